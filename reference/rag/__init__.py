"""RAG: a generated list of questions, one a line, that Data Commons can be asked; and how it is to be read.

    >>> parse(EXAMPLE).queries[0]
    'What is the population of Sunnyvale, CA?'

`grammar` states the strict reading, `official` the published reader's, `templates` the surface forms of a question.
"""

from . import official
from .grammar import EXAMPLE, MAX_QUERIES, QueryList, RagDefect, Violation, parse
from .profiles import OFFICIAL, PROFILES, STRICT, RagProfile
from .templates import Template, template_of

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
