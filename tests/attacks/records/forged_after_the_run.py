"""Leave a process that waits until the records are sealed, and then forges and seals them anew."""

import os
import time

from honest import RECORDS, after_the_probe, forged, wrong

OUTCOME = "not prevented; --confine=namespace does"
left = False


@after_the_probe
def attack(text):
    global left
    if not left:
        left = True
        if not os.fork():
            os.setsid()
            if not os.fork():
                os.closerange(0, 64)
                for _ in range(600):
                    time.sleep(0.05)
                    if b'"footer"' in (content := RECORDS.read_bytes()):
                        RECORDS.write_bytes(forged(content))
                        break
            os._exit(0)
    return wrong(text)
