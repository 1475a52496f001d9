"""The exported grammar in Lark: its lexer cuts the text into annotations and the rest, its parser keeps them in order."""

from __future__ import annotations

from typing import Any

import lark

from impls.rig.export import lark_reader
from impls.rig.grammar import refuse_surrogates

_PARSER = lark.Lark(lark_reader(), parser="lalr", lexer="basic")


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points. ValueError for a lone surrogate."""
    refuse_surrogates(text)
    found = []
    document: Any = _PARSER.parse(text)
    for token in document.children:
        if token.type == "ANNOTATION":
            # Neither string holds a quote, so the four quotes are those of the literals.
            _, query, _, value, _ = token.split('"')
            found.append((query, value, token.start_pos, token.end_pos))
    return found
