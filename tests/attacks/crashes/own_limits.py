"""Set the limits of one's own process to no open file, no file size and no child."""

import resource

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (0, 0))
    return parse(text)
