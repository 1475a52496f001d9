"""RIG: a generated answer whose statistics are annotated ``[__DC__("query") --> "value"]``, and how it is to be read.

    >>> [(a.query, a.value) for a in annotations(EXAMPLE)]
    [('what was the percentage of females in Sunnyvale, CA in 2020?', '51.6%')]

`grammar` states the strict grammar and every decision in it, `parser` reads it in one linear pass, `serialise` writes it,
`official` is the published reader with its surprises, `lenient` recovers what was meant and names what was wrong with it,
`resolved` is the notation of answered annotations, `resolver` writes it, and `constraint` says what a constrained decoder must
admit.
"""

from . import constraint, lenient, official, resolved, resolver
from .events import (
    UNITS,
    AnnotationEvent,
    AnnotationPart,
    Event,
    EventSpan,
    IncompleteEvent,
    TextEvent,
    coalesce,
    length_in,
    to_code_points,
)
from .grammar import ARROW, CLOSE, EXAMPLE, OFFICIAL, OPEN, PROFILES, STRICT, WHITE_SPACE, RigProfile
from .parser import DEFAULT_MAX_CANDIDATE, CharacterParser, annotations, is_well_formed, parse
from .serialise import NotRepresentable, Segment, segments_of, serialise, serialise_annotation

__all__ = [
    "ARROW",
    "CLOSE",
    "DEFAULT_MAX_CANDIDATE",
    "EXAMPLE",
    "OFFICIAL",
    "OPEN",
    "PROFILES",
    "STRICT",
    "UNITS",
    "WHITE_SPACE",
    "AnnotationEvent",
    "AnnotationPart",
    "CharacterParser",
    "Event",
    "EventSpan",
    "IncompleteEvent",
    "NotRepresentable",
    "RigProfile",
    "Segment",
    "TextEvent",
    "annotations",
    "coalesce",
    "constraint",
    "is_well_formed",
    "length_in",
    "lenient",
    "official",
    "parse",
    "resolved",
    "resolver",
    "segments_of",
    "serialise",
    "serialise_annotation",
    "to_code_points",
]
