"""Seed the random numbers, set another locale, time zone and umask, and leave them so."""

import locale
import os
import random
import time

from honest import parse

OUTCOME = "pass"


def attack(text):
    random.seed(0)
    locale.setlocale(locale.LC_ALL, "C")
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    os.umask(0o777)
    return parse(text)
