"""The parsers of RIG annotations that are judged, at a glance."""

from __future__ import annotations

from impls.contract import Implementation

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
)
