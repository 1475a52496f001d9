"""Put a finder before all others, which never comes back, for whatever the suite imports next."""

import sys

from honest import after_the_probe, parse

OUTCOME = "pass"


class Finder:
    def find_spec(self, name, path=None, target=None):
        while True:
            pass


@after_the_probe
def attack(text):
    sys.meta_path.insert(0, Finder())
    return parse(text)
