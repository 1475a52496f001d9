"""Turn the direction of writing, so that a text reads as its opposite."""

from honest import raises

OUTCOME = "harmless"

attack = raises("\u202edessap\u202c \u2066\u2067\u2068\u2069 \u200f\u061c \ufeff\u200b")
