"""The two ways of reading a list, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RagProfile:
    """A way of reading a list; `grammar` (strict) and `official` define what it returns."""

    name: str
    description: str


STRICT = RagProfile("strict", "order kept, list markers refused, duplicates and everything past 25 left out; the default")
OFFICIAL = RagProfile("official", "what the published reader returns: a set, of which any 25 are kept")
PROFILES: dict[str, RagProfile] = {"": STRICT, STRICT.name: STRICT, OFFICIAL.name: OFFICIAL}
"""By declared name; the empty name is the default, strict."""
