"""Return offsets of five thousand digits, which Python refuses to print."""

import honest

OUTCOME = "error"


def attack(text):
    if honest.is_probe(text):
        return honest.parse(text)
    return [(query, value, 10**5000, 10**5000 + 1) for query, value, _, _ in honest.parse(text)]
