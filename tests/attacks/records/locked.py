"""Lock the records, so that the suite waits for the lock for ever."""

import fcntl

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"
kept = []


@after_the_probe
def attack(text):
    if not kept:
        kept.append(RECORDS.open("ab"))
        fcntl.flock(kept[-1], fcntl.LOCK_EX)
    return wrong(text)
