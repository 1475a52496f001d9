"""Stack ten thousand accents on one letter."""

from honest import raises

OUTCOME = "harmless"

attack = raises("a" + "\u0300\u0489" * 10_000)
