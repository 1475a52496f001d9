"""End the process with status 0 from a thread, while the answer is on its way."""

import os
import threading
import time

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    threading.Thread(target=lambda: os._exit(0), daemon=True).start()
    time.sleep(0.2)
    return []
