"""RAG: a generated list of questions, one a line, that Data Commons can be asked; and how it is to be read.

    >>> parse(EXAMPLE).queries[0]
    'What is the population of Sunnyvale, CA?'

`grammar` states the strict reading, `official` the published reader's, `templates` the surface forms of a question.
"""

from dataclasses import dataclass

from . import official
from .grammar import EXAMPLE, MAX_QUERIES, QueryList, RagDefect, Violation, parse
from .templates import Template, template_of


@dataclass(frozen=True)
class RagProfile:
    """A way of reading a list; `grammar` (strict) and `official` define what it returns."""

    name: str
    description: str


STRICT = RagProfile("strict", "order kept, list markers refused, duplicates and everything past 25 left out; the default")
OFFICIAL = RagProfile("official", "what the published reader returns: a set, of which any 25 are kept")
PROFILES: dict[str, RagProfile] = {"": STRICT, STRICT.name: STRICT, OFFICIAL.name: OFFICIAL}
"""By declared name; the empty name is the default, strict."""

__all__ = [
    "EXAMPLE",
    "MAX_QUERIES",
    "OFFICIAL",
    "PROFILES",
    "STRICT",
    "QueryList",
    "RagDefect",
    "RagProfile",
    "Template",
    "Violation",
    "official",
    "parse",
    "template_of",
]
