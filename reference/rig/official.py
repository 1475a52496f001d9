r"""The official profile does what the published reader does: it extracts by one pattern and rewrites by another literal.

Source: Data Commons' llm-tools, revision df971f8, ``rig.py``: line 26 (the pattern, unchanged in every revision), 105
(`re.findall`), 107 to 165 (the calls, their numbers, the rewriting). What follows from it, against the strict grammar:

- extraction does without ``]``, rewriting does not: an annotation without it is fetched and stays in the answer as markup;
- queries and values may hold any character but U+0022, so a missing closing quote joins two annotations into one;
- calls are grouped by query in the order of first appearance, and numbered in that order: in a text with the queries
  a, b, a the annotations get the numbers 1, 3, 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable

PATTERN = r'\[__DC__\("([^"]+)"\) --> "([^"]*)"\]?'
"""The published pattern, the only one that the official code reads annotations with."""


def extract(text: str) -> list[tuple[str, str]]:
    """The (query, value) pairs that the official reader extracts, in the order of the text."""
    return re.findall(PATTERN, text)


def calls(text: str) -> dict[str, list[str]]:
    """The values of each distinct query, queries in the order of first appearance."""
    grouped: dict[str, list[str]] = {}
    for query, value in extract(text):
        grouped.setdefault(query, []).append(value)
    return grouped


def rewrite(text: str, replacement: Callable[[int, str, str], str]) -> str:
    """The text with each annotation replaced by ``replacement(number, query, value)``.

    Numbers count calls from 1, query by query. Only the whole literal with its ``]`` is replaced, the first one left.
    """
    number = 0
    for query, values in calls(text).items():
        for value in values:
            number += 1
            text = text.replace(f'[__DC__("{query}") --> "{value}"]', replacement(number, query, value), 1)
    return text
