"""Which of the prompt's question forms a query has, by its surface alone.

The prompt asks for three forms: ``What is $METRIC in $PLACE?``, ``What is $METRIC in $PLACE $PLACE_TYPE?`` and ``How has
$METRIC changed over time in $PLACE $PLACE_TYPE?``. Where a place ends and its type begins cannot be told without a
gazetteer ("US states" is either), so the first two are one class here. Three more forms occur in the official examples and
in published answers, and are classes of their own. A query that has none of them is not wrong: it is `OTHER`.
"""

from __future__ import annotations

import re
from enum import Enum


class Template(Enum):
    """The surface forms, in the order in which they are tried."""

    WHAT_IN = "What is M in P?"
    HOW_CHANGED_IN = "How has M changed over time in P?"
    HOW_IN_CHANGED = "How has M in P changed over time?"
    WHAT_AMONG = "What is M among P?"
    WHAT_OF = "What is M of P?"
    OTHER = "other"


_FORMS: tuple[tuple[Template, str], ...] = (
    (Template.WHAT_IN, "What (?:is|are) {} in {}\\?"),
    (Template.HOW_CHANGED_IN, "How (?:has|have) {} changed over time in {}\\?"),
    (Template.HOW_IN_CHANGED, "How (?:has|have) {} in {} changed over time\\?"),
    (Template.WHAT_AMONG, "What (?:is|are) {} among {}\\?"),
    (Template.WHAT_OF, "What (?:is|are) {} of {}\\?"),
)
_PATTERNS = tuple((template, re.compile(form.format(r"\S.*", r"\S.*"))) for template, form in _FORMS)


def template_of(query: str) -> Template:
    """The first form that the whole query has; verbs may be plural."""
    return next((template for template, pattern in _PATTERNS if pattern.fullmatch(query)), Template.OTHER)
