"""Name an implementation with what a plotting library takes for unfinished mathematics."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(records, "$\\frac{$_^{{%s{0.__class__}")
