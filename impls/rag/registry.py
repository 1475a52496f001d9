"""The readers of RAG answers that are judged, at a glance."""

from __future__ import annotations

from impls.implementation import Implementation

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    Implementation(
        name="rag/reference",
        system="rag",
        target="impls.rag.adapters.reference:parse",
        protocol="function",
        summary="The strict reference reader itself.",
        dtypes=(),
        features=frozenset(),
    ),
    Implementation(
        name="rag/official",
        system="rag",
        target="impls.rag.adapters.official:parse",
        protocol="function",
        summary="What the published reader does: split, strip, a set, at most 25.",
        dtypes=(),
        features=frozenset(),
        numerical_class="official",
        documentation="https://github.com/datacommonsorg/llm-tools",
    ),
)
