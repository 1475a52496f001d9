"""RIG annotations, ``[__DC__("query") --> "value"]``: the parser, the writer, the resolver, and the grammar for other engines.

    from impls.rig import Annotation, parse

See docs/rig-parser.md. This package needs nothing but Python.
"""

from impls.rig.lenient import recover
from impls.rig.parser import (
    PROFILES,
    Annotation,
    Defect,
    Diagnostic,
    Event,
    Incomplete,
    Recovered,
    Span,
    State,
    StreamingParser,
    Text,
    coalesce,
    diagnose,
    find_annotations,
    parse,
    read,
    read_file,
)
from impls.rig.resolver import Served, resolve, resolve_async
from impls.rig.tags import Tag, find_tags
from impls.rig.writer import Unrepresentable, serialise

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
