"""Look in every loaded module for a parser that is not one's own, and answer what that says."""

import sys

import honest

OUTCOME = "not prevented; --confine=namespace does"


def attack(text):
    for name, module in list(sys.modules.items()):
        parser = getattr(module, "annotations", None)
        if callable(parser) and "honest" not in name:
            return [(a.query, a.value, a.span.start, a.span.end) for a in parser(text)]
    return honest.wrong(text)
