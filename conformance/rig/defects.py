"""Documents with one defective annotation or two, of which every two departures from the grammar meet in one document.

They are for lenient readers (docs/rig-specification.md, section 5). The reference says what is recovered, where, and with
which diagnostics. Some of what is put together cannot be read: then nothing may be recovered.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations
from conformance.engine.text_comparison import TextCase, in_chunks
from reference import rig

QUOTES = {
    "plain": ('"', '"'),
    "curly": ("\u201c", "\u201d"),
    "turned": ("\u201d", "\u201d"),
    "mixed": ("\u201c", '"'),
    "low": ("\u201e", "\u201c"),
    "angle": ("\u00ab", "\u00bb"),
    "angle, turned": ("\u00bb", "\u00ab"),
    "single": ("'", "'"),
    "single curly": ("\u2018", "\u2019"),
    "backtick": ("`", "'"),
    "escaped": ('\\"', '\\"'),
    "entity": ("&quot;", "&quot;"),
}
"""What opens a string and what closes it, by a word for the pair."""

QUERIES = {
    "plain": "how many",
    "quoted": 'how many "homeless" in SF',
    "apostrophes": "what's the workers' pay",
    "line end": "how\nmany",
    "control": "how\x07many",
    "brackets": "how [many] (of them)",
    "arrow": "from a --> b",
    "astral": "\U0001f600 \u00e9e\u0301",
    "blank": " \u3000",
}
"""What a query says, by a word for it."""

VALUES = {
    "number": "5",
    "comma": "1,234.5 (2020)",
    "money": "$127,909",
    "sign": "-3.0",
    "parenthesis": "a) b",
    "quoted": '5 "approx"',
    "dot": "about 5.",
    "spaces": " 5  ",
    "control": "5\t6",
    "astral": "\U0001f4c8 5",
}
"""What a value says, by a word for it."""

GAPS = {"none": "", "one": " ", "two": "  ", "no-break": "\u00a0", "line end": "\n ", "CR LF": "\r\n", "nine": " " * 9}
"""White space between two parts, by a word for it. Nine characters are more than a lenient reader passes over."""

BEHIND = {
    "nothing": "",
    "dot": ".",
    "comma": ", and",
    "words": " million people",
    "quote": '" he said',
    "bracket": " ]",
    "line end": "\nand",
    "blank line": "\n\nand",
    "opener": " [__DC__(",
}
"""What stands behind the annotation, by a word for it."""

BEYOND_DEFECTS = {
    "marker": ("__DC",),
    "gap at the marker": ("nine",),
    "gap before the arrow": ("nine",),
    "gap behind the arrow": ("nine",),
    "arrow": ("~>",),
    "defective query": ("blank",),
    "region": ("4097",),
}
"""What nothing can be read with. It would hide what stands beside it, and so has an array of its own."""

_NEEDS_BRACKET = ("unclosed", "unquoted", "none")
DEFECTS = Interactions(
    "rig",
    name="defects",
    factors=(
        Factor("head", ("bracket", "dollar", "nothing")),
        Factor("marker", ("__DC__", "__dc__", "**DC**", "\\_\\_DC\\_\\_", "DC")),
        Factor("gap at the marker", tuple(GAPS)[:-1]),
        Factor("quotes", tuple(QUOTES)),
        Factor("quotes of the value", ("alike", "plain", "curly")),
        Factor("parenthesis", ("there", "missing", "behind a space")),
        Factor("arrow", ("-->", "--->", "->", "=>", "==>", "\u2192", "\u2013>", "\u2014>", "--&gt;", "-&gt;")),
        Factor("gap before the arrow", tuple(GAPS)[:-1]),
        Factor("gap behind the arrow", tuple(GAPS)[:-1]),
        Factor("form", ("quoted", "unclosed", "unquoted", "empty", "none")),
        Factor("close", ("there", "missing", "behind a space", "behind a line end")),
        Factor("defective query", tuple(QUERIES)[:-1]),
        Factor("defective value", tuple(VALUES)),
        Factor("before", ("nothing", "words", "bracket", "dollar", "quote", "opener")),
        Factor("behind", tuple(BEHIND)),
        Factor("next", ("nothing", "the same beside", "the same below", "an annotation", "another defect")),
        Factor("region", ("short", "4000", "4095", "4096")),
        Factor("size of chunks", ("whole", "1", "7", "64")),
    ),
    constraints=(
        Constraint(("head", "marker"), lambda head, marker: head != "nothing" or marker != "DC", "DC alone marks nothing"),
        Constraint(
            ("form", "close"),
            lambda form, close: form not in _NEEDS_BRACKET or close in ("there", "behind a space"),
            "the bracket alone ends it",
        ),
        Constraint(
            ("form", "parenthesis"),
            lambda form, parenthesis: form != "none" or parenthesis != "missing",
            "the parenthesis alone ends the query",
        ),
        Constraint(("region", "size of chunks"), lambda region, size: region == "short" or size in ("whole", "64"), "cost"),
    ),
)
"""What departs from the grammar in an annotation, and what stands around it. ``region`` is how many characters stand between
the opener and the end of the value."""
BEYOND = replace(
    DEFECTS,
    name="beyond",
    factors=tuple(Factor(each.name, (*each.values, *BEYOND_DEFECTS.get(each.name, ()))) for each in DEFECTS.factors),
    constraints=DEFECTS.constraints[-1:],
)
"""The same with what cannot be read."""


@dataclass(frozen=True)
class DefectiveDocuments(TextCase):
    """The documents of several combinations."""

    id: str
    combinations: tuple[Combination, ...] = field(default=(), repr=False)


def defective(needs: str) -> tuple[DefectiveDocuments, ...]:
    """The documents of each array as one case."""
    return tuple(
        DefectiveDocuments(array.name, combinations(array), quick=True, needs=frozenset({needs}))
        for array in (DEFECTS, BEYOND)
    )


@functools.cache
def document(combination: Combination) -> str:
    """The document."""
    before = {"nothing": "", "words": "In 2020, ", "bracket": "[", "dollar": "$", "quote": '"', "opener": "[__DC__("}
    one = _annotation(combination)
    following = {
        "nothing": "",
        "the same beside": " " + one,
        "the same below": "\n" + one,
        "an annotation": ' [__DC__("q?") --> "7"]',
        "another defect": ' $__DC__("q?")-->"7"]',
    }
    return before[combination["before"]] + one + BEHIND[combination["behind"]] + following[combination["next"]]


def _annotation(combination: Combination) -> str:
    opening, closing = QUOTES[combination["quotes"]]
    head = {"bracket": "[", "dollar": "$", "nothing": ""}[combination["head"]]
    parenthesis = {"there": ")", "missing": "", "behind a space": " )"}[combination["parenthesis"]]
    close = {"there": "]", "missing": "", "behind a space": " ]", "behind a line end": "\n]"}[combination["close"]]
    opener = f"{head}{GAPS[combination['gap at the marker']]}{combination['marker']}({opening}"
    query = QUERIES[combination["defective query"]] + "?" * (combination["defective query"] != "blank") + closing
    if combination["form"] == "none":
        return f"{opener}{query}{parenthesis}{close}"
    arrow = (
        parenthesis
        + GAPS[combination["gap before the arrow"]]
        + combination["arrow"]
        + GAPS[combination["gap behind the arrow"]]
    )
    value = _value(combination)
    if combination["region"] != "short":
        query = query.rjust(int(combination["region"]) - len(arrow) - len(value), "a")
    return f"{opener}{query}{arrow}{value}{close}"


def _value(combination: Combination) -> str:
    """The value with its quotes, as far as it has any."""
    opening, closing = QUOTES[
        {"alike": combination["quotes"]}.get(combination["quotes of the value"], combination["quotes of the value"])
    ]
    value = "" if combination["form"] == "empty" else VALUES[combination["defective value"]]
    return {"unquoted": value, "unclosed": opening + value}.get(combination["form"], opening + value + closing)


@functools.cache
def recovered(text: str) -> list[tuple[str, str | None, int, int, tuple[str, ...]]]:
    """What the reference recovers: query, value, span and diagnostics."""
    return [
        (each.query, each.value, each.start, each.end, tuple(f"D{d}" for d in sorted(d.value for d in each.defects)))
        for each in rig.lenient.recover(text)
    ]


def chunks(combination: Combination) -> Iterator[str]:
    """The document in chunks; joined they are the document."""
    text = document(combination)
    size = len(text) if combination["size of chunks"] == "whole" else int(combination["size of chunks"])
    return in_chunks(text, size)
