"""Leave three hundred threads that wait for ever, with each answer."""

import threading

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    for _ in range(300):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return parse(text)
