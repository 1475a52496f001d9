"""The implementations of RIG that are tested, in one table."""

from __future__ import annotations

from typing import Any

from impls.implementation import Implementation, Origin

_READING = frozenset({"stream", "serialise", "well_formed", "recover", "tags", "resolve", "address"})


def _ours(slug: str, target: str, summary: str, features: frozenset[str] = frozenset(), **fields: Any) -> Implementation:
    """One of this repository's own."""
    return Implementation(
        name=f"rig/{slug}",
        system="rig",
        target=f"impls.rig.adapters.{target}",
        protocol="object" if features else "function",
        summary=summary,
        dtypes=(),
        features=features,
        **fields,
    )


def _package(
    slug: str, module: str, target: str, feature: str, documentation: str, summary: str, distribution: str = "", **fields: Any
) -> Implementation:
    """An engine from the package index, with a grammar that `impls.rig.export` writes."""
    return _ours(
        slug,
        target,
        summary,
        frozenset({feature} - {""}),
        requires=(module,),
        origin=Origin("package", distribution or slug),
        documentation=documentation,
        **fields,
    )


IMPLEMENTATIONS: tuple[Implementation, ...] = (
    _ours(
        "reference",
        "reference:ReferenceParser",
        "The reference parser itself, with its streaming reader and its serialiser.",
        _READING,
    ),
    _ours(
        "fast",
        "product:FastParser",
        "The parser to use: compiled patterns, chunks of any size, strict and lenient; see impls/rig/parser.py.",
        _READING | {"recover_stream", "constrain"},
    ),
    _ours("re", "re:parse", "The strict grammar as one regular expression for Python's re."),
    _ours(
        "official",
        "official:parse",
        "What the published reader extracts, by the published pattern.",
        numerical_class="official",
        documentation="https://github.com/datacommonsorg/llm-tools",
    ),
    _package(
        "regex", "regex", "regex:parse", "", "https://pypi.org/project/regex/",
        "The exported regular expression in the regex package.",
    ),
    _package(
        "re2", "re2", "re2:parse", "", "https://github.com/google/re2",
        "The exported regular expression in RE2.", "google-re2",
    ),
    _package(
        "lark", "lark", "lark:parse", "", "https://lark-parser.readthedocs.io/",
        "The exported grammar in Lark: LALR with the basic lexer.",
    ),
    _package(
        "interegular", "interegular", "interegular:Interegular", "well_formed", "https://github.com/MegaIng/interegular",
        "The exported regular expression as an automaton by interegular; it decides what is well formed.",
    ),
    _package(
        "llguidance", "llguidance", "llguidance:LLGuidance", "constrain", "https://github.com/guidance-ai/llguidance",
        "Constrained decoding by llguidance with the exported Lark grammar.",
    ),
    _package(
        "llguidance-regex", "llguidance", "llguidance:LLGuidanceRegex", "constrain",
        "https://github.com/guidance-ai/llguidance",
        "Constrained decoding by llguidance with the exported regular expression.", "llguidance",
    ),
    _package(
        "xgrammar", "xgrammar", "xgrammar:XGrammar", "constrain", "https://xgrammar.mlc.ai/docs/",
        "Constrained decoding by xgrammar with the exported EBNF.",
        slow_start="it imports torch",
    ),
    _package(
        "outlines-core", "outlines_core", "outlines_core:OutlinesCore", "constrain",
        "https://github.com/dottxt-ai/outlines-core",
        "Constrained decoding by outlines-core with the exported regular expression.",
    ),
    _package(
        "lm-format-enforcer", "lmformatenforcer", "lm_format_enforcer:LMFormatEnforcer", "constrain",
        "https://github.com/noamgat/lm-format-enforcer",
        "Constrained decoding by lm-format-enforcer with the exported regular expression.",
    ),
)  # fmt: skip
