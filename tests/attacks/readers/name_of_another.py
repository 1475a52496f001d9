"""Take the name of a published implementation."""

from honest import parse

OUTCOME = "harmless"


def attack(text):
    return parse(text)


attack.__name__ = attack.__qualname__ = "lark"
attack.__module__ = "impls.rig.adapters.lark"
attack.gaugeblock = {"summary": "lark, the published one", "documentation": "https://lark-parser.readthedocs.io"}
