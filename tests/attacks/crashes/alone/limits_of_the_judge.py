"""Set the limits of the process that judges: it may open nothing and write nothing."""

import resource

from honest import after_the_probe, judge

OUTCOME = "status 3, and no sealed records"


@after_the_probe
def attack(text):
    resource.prlimit(judge(), resource.RLIMIT_FSIZE, (0, 0))
    resource.prlimit(judge(), resource.RLIMIT_NOFILE, (0, 0))
    return []
