"""The implementations of RAG that are tested, in one table."""

from __future__ import annotations

from impls.implementation import Implementation


def _function(slug: str, target: str, summary: str, numerical_class: str = "", documentation: str = "") -> Implementation:
    return Implementation(
        name=f"rag/{slug}",
        system="rag",
        target=target,
        protocol="function",
        summary=summary,
        dtypes=(),
        features=frozenset(),
        numerical_class=numerical_class,
        documentation=documentation,
    )


IMPLEMENTATIONS: tuple[Implementation, ...] = (
    _function("reference", "impls.rag.adapters.reference:parse", "The strict reference reader itself."),
    _function("fast", "impls.rag.parser:parse", "The reader to use: strict, and done after the 25th query."),
    _function(
        "official",
        "impls.rag.adapters.official:parse",
        "What the published reader does: split, strip, a set, at most 25.",
        numerical_class="official",
        documentation="https://github.com/datacommonsorg/llm-tools",
    ),
)
