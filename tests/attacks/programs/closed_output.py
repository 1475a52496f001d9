"""Close standard output, and live on."""

import os
import time

from honest import questions

OUTCOME = "error"

for _ in questions():
    os.close(1)
    time.sleep(3600)
