"""RIG annotations, ``[__DC__("query") --> "value"]`` (arXiv:2409.13741): parser, writer and resolver.

    from gaugeblock.rig import parse

    for segment in parse(text):
        ...  # Text or Annotation, in the order of the text

It needs nothing but Python. See docs/rig-parser.md.
"""

from __future__ import annotations

from gaugeblock.public import publish
from impls.rig import (
    PROFILES,
    Annotation,
    Defect,
    Diagnostic,
    Event,
    Incomplete,
    Recovered,
    Served,
    Span,
    State,
    StreamingParser,
    Tag,
    Text,
    Unrepresentable,
    coalesce,
    diagnose,
    find_annotations,
    find_tags,
    parse,
    read,
    read_file,
    recover,
    resolve,
    resolve_async,
    serialise,
)

__all__ = [
    "PROFILES",
    "Annotation",
    "Defect",
    "Diagnostic",
    "Event",
    "Incomplete",
    "Recovered",
    "Served",
    "Span",
    "State",
    "StreamingParser",
    "Tag",
    "Text",
    "Unrepresentable",
    "coalesce",
    "diagnose",
    "find_annotations",
    "find_tags",
    "parse",
    "read",
    "read_file",
    "recover",
    "resolve",
    "resolve_async",
    "serialise",
]

publish(globals())
