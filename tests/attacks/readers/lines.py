"""End lines with every sign at which some program ends one."""

from honest import raises

OUTCOME = "harmless"

attack = raises("a\nb\rc\vd\fe\x1cf\x1dg\x1eh\x85i\u2028j\u2029k")
