"""The parsers of RIG annotations that are judged, at a glance."""

from __future__ import annotations

from impls.contract import Implementation, Origin

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    Implementation(
        name="rig/reference",
        system="rig",
        target="impls.rig.by_reference:ReferenceParser",
        protocol="object",
        summary="The reference parser itself, with its streaming reader and its serialiser.",
        dtypes=(),
        features=frozenset({"stream", "serialise", "well_formed"}),
    ),
    Implementation(
        name="rig/re",
        system="rig",
        target="impls.rig.by_regular_expression:parse",
        protocol="function",
        summary="The strict grammar as one regular expression for Python's re.",
        dtypes=(),
        features=frozenset(),
    ),
    Implementation(
        name="rig/official",
        system="rig",
        target="impls.rig.official:parse",
        protocol="function",
        summary="What the published reader extracts, by the published pattern.",
        dtypes=(),
        features=frozenset(),
        numerical_class="official",
        documentation="https://github.com/datacommonsorg/llm-tools",
    ),
    Implementation(
        name="rig/regex",
        system="rig",
        target="impls.rig.by_regex:parse",
        protocol="function",
        summary="The exported regular expression in the regex package.",
        requires=("regex",),
        dtypes=(),
        features=frozenset(),
        origin=Origin("package", "regex"),
        documentation="https://pypi.org/project/regex/",
    ),
    Implementation(
        name="rig/re2",
        system="rig",
        target="impls.rig.by_re2:parse",
        protocol="function",
        summary="The exported regular expression in RE2.",
        requires=("re2",),
        dtypes=(),
        features=frozenset(),
        origin=Origin("package", "google-re2"),
        documentation="https://github.com/google/re2",
    ),
    Implementation(
        name="rig/lark",
        system="rig",
        target="impls.rig.by_lark:parse",
        protocol="function",
        summary="The exported grammar in Lark: LALR with the basic lexer.",
        requires=("lark",),
        dtypes=(),
        features=frozenset(),
        origin=Origin("package", "lark"),
        documentation="https://lark-parser.readthedocs.io/",
    ),
)
