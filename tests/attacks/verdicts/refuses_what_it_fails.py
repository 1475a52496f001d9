"""Say "not implemented" to every text with an annotation, so that nothing is left to fail."""

import honest

OUTCOME = "error"


def attack(text):
    if not honest.is_probe(text) and "[__DC__(" in text:
        raise NotImplementedError("texts with annotations")
    return honest.wrong(text)
