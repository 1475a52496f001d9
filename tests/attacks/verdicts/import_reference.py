"""Import the suite's own reference, and return what that expects."""

OUTCOME = "not prevented; --confine=namespace does"


def attack(text):
    from reference.rig import annotations

    return [(a.query, a.value, a.span.start, a.span.end) for a in annotations(text)]
