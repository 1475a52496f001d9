"""Answers that mix what readers branch on: every two values of these factors meet in one of them.

An answer has a number of plain lines and among them two unusual ones: one with a list marker or something like it, and one
with the same unusual characters that may be long. The reference says which queries are in it.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations
from conformance.engine.text_comparison import TextCase
from reference import rag

MARKERS = ("nothing", "-", "*", "\u2022", "1.", "12)", "12.", "(3)", "(12)", "100.", "2020)", "1.5", "--", "\u2013", "#", "a)")
NO_MARKERS = ("nothing", "100.", "2020)", "1.5", "--", "\u2013", "#", "a)")
"""What stands before a query and is no list marker."""

CONTENTS = {
    "plain": "What is it?",
    "bare": "",
    "backslash": "a\\n\\",
    "astral": "\U0001f600?\U0010ffff",
    "invisible": "\ufeffa\u200b\u200d\u00ad\ufe0fb\u2060",
    "combining": "e\u0301\u1112\u1161",
    "mark": "\u0301",
    "separators": "a\u2028b\x85c?",
    "spaces": "a  b \u00a0 c??",
    "markup": '"**a**", [b]',
    "number": "1. b? - c",
    "percentage": "5% of whom?",
    "money": "$5?",
    "zero-width": "\u200b",
    "control": "a\tb\x00?",
}
"""What the unusual lines say."""

AROUND = {
    "nothing": "",
    "spaces": "  ",
    "tabs": "\t",
    "wide": "\u00a0\u3000",
    "form feeds": "\x0b\x0c",
    "separators": "\u2028\x85",
    "mark": "\ufeff",
    "zero-width": "\u200b",
}
"""What stands around each query. The last two are no white space, and so belong to it."""

_FACTORS = (
    Factor("marker", MARKERS),
    Factor("gap", ("space", "no-break space", "em space", "nothing", "tab")),
    Factor("query", tuple(CONTENTS)),
    Factor("around", tuple(AROUND)),
    Factor("lines", (0, 1, 9, 17, 23, 24, 25, 26, 400)),
    Factor("others", ("alike", "unlike")),
    Factor("place", ("first", "middle", "last")),
    Factor("repeats", ("none", "at once", "at the end", "around it", "in another case", "in other spacing")),
    Factor("line ends", ("LF", "CR LF", "blank lines", "both")),
    Factor("end", ("ended", "unended", "blank")),
    Factor("long", ("nothing", *(f"{part} {n}" for part in ("line", "before") for n in (4095, 4096, 4097)), "line 65536")),
    Factor("read before", ("nothing", "itself", "another", "25 queries")),
)
_LENGTH = Constraint(
    ("around", "long"),
    lambda around, long: around not in ("mark", "zero-width") or not long.startswith("line"),
    "these belong to the line, which would be longer and end otherwise",
)
_PLAIN = {
    "marker": NO_MARKERS,
    "lines": (0, 1, 9, 17),
    "query": tuple(content for content in CONTENTS if content not in ("control", "number")),
}
PLAIN = Interactions(
    "rag",
    name="plain",
    factors=tuple(Factor(each.name, _PLAIN.get(each.name, each.values)) for each in _FACTORS),
    constraints=(
        _LENGTH,
        Constraint(("marker", "gap"), lambda marker, gap: marker == "nothing" or gap != "tab", "a tab is a control character"),
    ),
)
"""What everybody reads alike, so that every two values of these meet at the level of the definition. There are 25 queries at
most."""
MIXED = Interactions("rag", factors=_FACTORS, constraints=(_LENGTH,))
"""The same with list markers and control characters, whose reading is open."""
INTERACTIONS = (PLAIN, MIXED)
"""The arrays of RAG."""
ALL = tuple(dict.fromkeys(row for array in INTERACTIONS for row in combinations(array)))
"""The combinations of both."""

GAPS = {"space": " ", "no-break space": "\u00a0", "em space": "\u2003", "nothing": "", "tab": "\t"}


@dataclass(frozen=True)
class MixedAnswers(TextCase):
    """The answers of several combinations."""

    id: str
    combinations: tuple[Combination, ...] = field(repr=False)


def is_reading(combination: Combination) -> bool:
    """Whether the two profiles differ: list markers, control characters, and what counts towards the 25 are readings."""
    return frozenset(read(combination, "strict")) != read(combination, "official")


def _is_plain(combination: Combination) -> bool:
    """Whether it has neither a list marker nor a control character."""
    has_control = combination["query"] == "control" or (combination["gap"] == "tab" and combination["marker"] != "nothing")
    return combination["marker"] in NO_MARKERS and combination["query"] != "number" and not has_control


def cases(of: Callable[[Combination], bool]) -> tuple[MixedAnswers, ...]:
    """The answers whose combinations ``of`` takes, a case for each content of the unusual lines."""
    taken = sorted(filter(of, ALL), key=lambda each: list(CONTENTS).index(each["query"]))
    return tuple(
        MixedAnswers(content, tuple(each), quick=True)
        for content, each in itertools.groupby(taken, key=lambda each: str(each["query"]))
    )


@functools.cache
def answer(combination: Combination) -> str:
    """The answer."""
    return "".join(_lines(combination))


def _lines(combination: Combination) -> Iterator[str]:
    marker = "" if combination["marker"] == "nothing" else combination["marker"] + GAPS[combination["gap"]]
    content = CONTENTS[combination["query"]]
    part, _, length = combination["long"].partition(" ")
    unusual = [marker + content, content.rjust(int(length), "a") if part == "line" else content]
    count = combination["lines"]
    queries = [f"What is q{number}?" for number in range(count)]
    if combination["others"] == "unlike":
        queries = [_unlike(combination, number) for number in range(min(count, 26))] + queries[26:]
    place = {"first": 0, "middle": count // 2, "last": count}[combination["place"]]
    queries[place:place] = unusual
    queries = _repeated(queries, unusual, combination["repeats"])
    around = AROUND[combination["around"]]
    if part == "before":
        yield "What is before" + "e" * (int(length) - 15) + "\n"
    ends = itertools.cycle({"LF": ["\n"], "CR LF": ["\r\n"], "blank lines": ["\n \n"], "both": ["\n", "\r\n", "\n\r\n"]}[
        combination["line ends"]])  # fmt: skip
    lines = [f"{around}{query}{around}" for query in queries]
    for number, (line, end) in enumerate(zip(lines, ends, strict=False), start=1):
        yield line if number == len(lines) and combination["end"] == "unended" else line + end
    if combination["end"] == "blank":
        yield " \t\n\n"


def _unlike(combination: Combination, number: int) -> str:
    """A line of any contents; without list markers and control characters where the combination has none."""
    draw = random.Random(f"{combination.id} {number}")
    reading = not _is_plain(combination)
    contents = [each for name, each in CONTENTS.items() if reading or name not in ("control", "number")]
    marker = draw.choice(("nothing", *(MARKERS if reading else NO_MARKERS)))
    before = "" if marker == "nothing" else marker + draw.choice([gap for gap in GAPS.values() if reading or gap != "\t"])
    return before + "".join(draw.choices(contents, k=draw.randrange(3))) + draw.choice(("", "", f" q{number}?"))


def _repeated(queries: list[str], unusual: list[str], how: str) -> list[str]:
    if how == "at once":
        return [query for query in queries for _ in range(2)]
    if how == "in another case":
        return [*queries, *(query.upper() for query in queries[:3])]
    if how == "in other spacing":
        return [*queries, *(query.replace("?", " ?").replace(" ", "  ", 1) for query in queries[:3]),
                *(query.replace("?", " ?") for query in queries[:3])]  # fmt: skip
    added = {"none": [], "at the end": queries, "around it": unusual}[how]
    return [*(added if how == "around it" else []), *queries, *added]


@functools.cache
def read(combination: Combination, profile: str) -> tuple[str, ...] | frozenset[str]:
    """The queries that the reference reads; of the official profile all of which any 25 are returned."""
    text = answer(combination)
    return tuple(rag.parse(text).queries) if profile == "strict" else frozenset(rag.official.candidates(text))
