"""Search all objects of the garbage collector for annotations of the very text."""

import gc

import honest

OUTCOME = "fail"


def attack(text):
    found = [each for each in gc.get_objects() if type(each).__name__ == "Annotation" and hasattr(each, "span")]
    return [(a.query, a.value, a.span.start, a.span.end) for a in found] or honest.wrong(text)
