"""Documents that mix what readers, writers and resolvers branch on: every two values of these factors meet in one of them.

A document is a text and a number of plain annotations. Among them stand a special piece, which may be no annotation, and
behind it an annotation with unusual strings. One part may be long, so that a buffer ends in it. The reference says what is in
it.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations
from conformance.engine.text_comparison import TextCase
from conformance.rig.defects import BEYOND, DEFECTS
from reference import rig

CONTENTS = {
    "plain": "what is it",
    "backslash": "\\",
    "backslashes": "a\\\\n\\u0022",
    "brackets": "[](){}",
    "bracket": "]",
    "arrow": ") --> ",
    "opener": "[__DC__(",
    "separators": "\u2028a\u2029\x85",
    "spaces": "\u00a0 a \u3000",
    "invisible": "\ufeffa\u200b\u200d\u202e\u00ad\u2060\u200f",
    "combining": "e\u0301\u1112\u1161\u11ab",
    "astral": "\U0001f600\U0010ffff",
    "markup": "&quot;<b>**%22",
    "tag": "[__DC__#1(",
    "bars": "'a'|b||\u201cc\u201d",
    "nothing": "",
    "zero width": "\u200b",
}
"""What is special about a string, by a word for it."""

TEXTS = {
    "words": "in 2020, ",
    "nothing": "",
    "astral": "\U0001f4c8 \U0001f600",
    "accents": "\u00e9e\u0301\u4e94",
    "line ends": "\r\n\n\r",
    "controls": "\x00\t\x7f\x1b",
    "separators": "\u2028\x85\ufeff",
    "brackets": '[[__DC__["](',
    "tag": "[__DC__#1(|| 7)]",
    "closing": "]\n)",
    "row": "| a |\t]\r\n",
    "fence": '```json\n{"a": (',
    "bracket": "[",
}
"""What stands between annotations, by a word for it."""

STARTS = {"nothing": "", "mark": "\ufeff", "line end": "\r\n", "quote": '"', "bracket": "[", "spaces": " \u3000"}
"""How a document begins, by a word for it."""


def annotation(query: str, value: str) -> str:
    """Its literal."""
    return f"{rig.OPEN}{query}{rig.ARROW}{value}{rig.CLOSE}"


SPECIAL: dict[str, Callable[[str, str], str]] = {
    "annotation": annotation,
    "twice": lambda query, value: 2 * annotation(query, value),
    "empty value": lambda query, value: annotation(query, ""),
    "in a query": lambda query, value: f"{rig.OPEN}{query}{annotation('inner?', value)}",
    "behind a quote": lambda query, value: f'{rig.OPEN}{query}" {annotation("inner?", value)}',
    "behind an arrow": lambda query, value: f"{rig.OPEN}{query}{rig.ARROW.rstrip(chr(34))}{annotation('inner?', value)}",
    "behind half an opener": lambda query, value: "[[__DC[__DC__(" + annotation(query, value),
    "wrong arrow": lambda query, value: annotation(query, value).replace('") --> "', '") -> "', 1),
    "other case": lambda query, value: annotation(query, value).replace("DC", "dc", 1),
    "cut": lambda query, value: annotation(query, value)[:-2],
    "no query": lambda query, value: annotation("", value),
    "blank query": lambda query, value: annotation(" \u3000", value),
    "line end": lambda query, value: annotation(query + "\n", value),
    "control": lambda query, value: annotation(query, "\x00" + value),
    "no bracket": lambda query, value: annotation(query, value)[:-1],
    "in a value": lambda query, value: f"{rig.OPEN}a{rig.ARROW}{annotation(query, value)}",
}
"""The special piece, made of a query and a value."""

READINGS = ("blank query", "line end", "control", "no bracket", "in a value")
"""Special pieces whose reading the paper leaves open."""

READABLE = ("annotation", "twice", "empty value")
"""Special pieces that are annotations and nothing else."""
UNREADABLE = ("tag", "brackets")
"""Texts of which a resolver takes something away."""

LONG = ("nothing", *(f"{part} {length}" for part in ("text", "query", "value") for length in (4095, 4096, 4097)))
SHORT = 4097
"""A string of more characters may be given up by a reader in chunks, which holds back no more than it must."""

CUTS = (
    "whole",
    "1",
    "2",
    "3",
    "7",
    "4095",
    "4096",
    "4097",
    "65536",
    "at marks",
    "behind marks",
    "in marks",
    "with empty chunks",
    "at random",
)

MIXED = Interactions(
    "rig",
    factors=(
        Factor("special", tuple(SPECIAL)),
        Factor("query", tuple(CONTENTS)),
        Factor("value", tuple(CONTENTS)),
        Factor("text", tuple(TEXTS)),
        Factor("annotations", (0, 1, 9, 10, 11)),
        Factor("others", ("alike", "unlike")),
        Factor("start", tuple(STARTS)),
        Factor("failed", (0, 1, 10, 40)),
        Factor("place", ("first", "middle", "last")),
        Factor("long", LONG),
        Factor("end", ("nothing", "text", "bracket", "unfinished")),
        Factor("chunks", CUTS),
        Factor("readers", ("one", "another between", "another unfinished")),
        Factor("written", ("pairs", "text", "cut in text", "with empty texts", "text around", "by characters")),
        Factor(
            "served",
            ("text", "number", "no unit", "more fields", "nothing", "tenth fails", "markup", "halves", "zero", "same"),
        ),
        Factor("missing", ("nothing", "unit", "source", "date", "url")),
    ),
    constraints=(
        Constraint(("long", "chunks"), lambda long, chunks: long == "nothing" or len(chunks) > 1, "small chunks take long"),
    ),
)  # fmt: skip
"""The factors of readers, writers and resolvers. ``served`` is what a resolver's fetch returns, ``missing`` which field of it
is empty, ``written`` how a writer is given the document, ``failed`` how many pieces before it begin like an annotation and
are none.

Where ``others`` are unlike, the other annotations and the texts between them are drawn from all contents, so that many things
meet by chance that no two factors name.
"""

PLAIN = replace(
    MIXED,
    name="plain",
    factors=(Factor("special", tuple(name for name in SPECIAL if name not in READINGS)), *MIXED.factors[1:]),
)
"""The same without what the paper leaves open, so that every two values of these meet at the level of the definition."""
INTERACTIONS = (PLAIN, MIXED, DEFECTS, BEYOND)
"""The arrays of RIG."""
ALL = tuple(dict.fromkeys(row for array in (PLAIN, MIXED) for row in combinations(array)))
"""The combinations of mixed documents."""


def number_in(value: object) -> int:
    """The number of characters of the long part, 0 where there is none."""
    return int("".join(filter(str.isdigit, str(value))) or 0)


@dataclass(frozen=True)
class MixedDocument:
    """The document of one combination."""

    combination: Combination

    @property
    def text(self) -> str:
        """The document."""
        return document(self.combination)

    @property
    def is_reading(self) -> bool:
        """Whether the strict and the official profile differ: then the paper leaves the reading open."""
        return self.read("strict") != self.read("official")

    def read(self, profile: str) -> list[tuple[str, str, int, int]]:
        """What the reference reads."""
        return read(self.combination, profile)


EXTREMES: tuple[Mapping[str, Any], ...] = (
    *(
        {"long": f"{part} {length}", "query": content, "value": content, "text": text, "chunks": chunks}
        for part, text in (("text", "astral"), ("query", "words"), ("value", "astral"))
        for length, content, chunks in ((65535, "backslash", "4096"), (65536, "astral", "65536"), (65537, "plain", "4097"))
    ),
    *({"long": f"{part} 4096", "query": "backslash", "value": "backslash", "chunks": "4096"} for part in ("query", "value")),
    *({"annotations": many, "text": "astral", "chunks": "4096", "place": "last"} for many in (100, 10_000)),
    {"failed": 10_000, "text": "astral", "chunks": "4096", "place": "last"},
    # Some thousand chunks within one string.
    *({"long": f"{part} 4096", "chunks": size, "text": "row"} for part, size in (("query", "3"), ("value", "1"))),
    *(
        {"long": f"{part} {size + more}", "query": content, "value": content, "text": text, "chunks": str(size)}
        for size, content in zip((8, 16, 32, 64, 128, 256, 512, 1024, 2048, 8192), CONTENTS, strict=False)
        for part, more, text in (
            ("text", -12, "row"),
            ("text", 0, "bracket"),
            *itertools.product(("text", "query", "value"), (-1, 0, 1), ("row",)),
        )
        if size + more >= len(content)
    ),
)
"""What differs from plain in documents that are much longer, too long to meet all else, or as long as other buffers."""


@dataclass(frozen=True)
class MixedDocuments(TextCase):
    """Several documents: all combinations with one special piece, or extremes, which count for no pair."""

    id: str
    combinations: tuple[Combination, ...] = field(default=(), repr=False)
    extremes: tuple[Combination, ...] = field(default=(), repr=False)

    @property
    def documents(self) -> Iterator[MixedDocument]:
        """One after another."""
        return map(MixedDocument, (*self.combinations, *self.extremes))


def cases(of: Callable[[Combination], bool] = lambda each: True, needs: str = "") -> tuple[MixedDocuments, ...]:
    """The documents whose combinations ``of`` takes: a case for each special piece, and one of extremes."""
    taken = sorted(filter(of, ALL), key=lambda each: list(SPECIAL).index(each["special"]))
    features = frozenset({needs} - {""})
    grouped = tuple(
        MixedDocuments(special.replace(" ", "-"), tuple(each), needs=features, quick=True)
        for special, each in itertools.groupby(taken, key=lambda each: str(each["special"]))
    )
    extremes = tuple(filter(of, map(_extreme, EXTREMES)))
    return (*grouped, MixedDocuments("extremes", extremes=extremes, needs=features)) if extremes else grouped


def all_in_one(name: str, of: Callable[[Combination], bool]) -> MixedDocuments:
    """The documents whose combinations ``of`` takes as one case."""
    return MixedDocuments(name, tuple(filter(of, ALL)), quick=True)


def _extreme(changed: Mapping[str, Any]) -> Combination:
    values = {factor.name: changed.get(factor.name, factor.values[0]) for factor in MIXED.factors}
    return Combination(tuple((name, str(value)) for name, value in values.items()), values)


def shortened(combination: Combination) -> Combination:
    """The same without its long part."""
    changed = {"long": "nothing"}
    labels = tuple((name, changed.get(name, label)) for name, label in combination.labels)
    return Combination(labels, {**combination.values, **changed})


def pieces(combination: Combination, special: str = "", end: str = "") -> tuple[str, ...]:
    """The document in pieces: every other one is an annotation, or the special piece.

    ``special`` and ``end`` stand for the combination's own where they are given.
    """
    long = combination["long"]

    def at_length(part: str, content: str) -> str:
        """The content with something before it, so that its end is the end of a buffer of that length."""
        return content.rjust(number_in(long), "a") if long.startswith(part) else content

    text, count = TEXTS[combination["text"]], combination["annotations"]
    query, value = CONTENTS[combination["query"]] + "?", CONTENTS[combination["value"]]
    unusual = annotation(at_length("query", query), at_length("value", value))
    others = _unlike(combination, readable=bool(special)) if combination["others"] == "unlike" else _alike(count, text)
    marks, between = map(list, others)
    place = {"first": 0, "middle": count // 2, "last": count}[combination["place"]]
    marks[place:place] = [SPECIAL[special or combination["special"]](query, value), unusual]
    ends = {"nothing": "", "text": text, "bracket": "]", "unfinished": f"{rig.OPEN}what was the popu"}
    following = [text, *between, ends[end or combination["end"]]]
    before = STARTS[combination["start"]] + ("" if special else failed(combination["failed"]))
    return before + at_length("text", text), *(piece for pair in zip(marks, following, strict=True) for piece in pair)


def failed(count: int) -> str:
    """Pieces that begin like an annotation and are none: the opener alone, and annotations that break off somewhere."""
    whole = annotation("q?", "0")
    broken = (rig.OPEN, whole[:-1] + " ", whole.replace(" -", ""), rig.OPEN + "q?\n", whole[:-3] + "\x00")
    return "".join(itertools.islice(itertools.cycle(broken), count))


def _alike(count: int, text: str) -> tuple[list[str], list[str]]:
    """Plain annotations, some with the same query, and the same text behind each."""
    return [annotation("q?" if number % 5 == 4 else f"q{number}?", str(number)) for number in range(count)], [text] * count


_ALIKE_AT_FIRST = "how many people lived in each of the counties of the state of California in the year of "


def _unlike(combination: Combination, readable: bool) -> tuple[list[str], list[str]]:
    """Other annotations, and pieces that are none, with any text behind each; with ``readable`` annotations alone."""
    draw = random.Random(combination.id)
    kinds = [kind for kind in SPECIAL if kind not in READINGS and (not readable or kind in READABLE)]
    kinds += ["annotation"] * len(kinds)
    texts = [text for text in TEXTS if not readable or text not in UNREADABLE]
    contents, marks, between = list(CONTENTS.values()), [], []
    for number in range(combination["annotations"]):
        before = draw.choice(("", "", "", _ALIKE_AT_FIRST))
        query = before + "".join(draw.choices(contents, k=draw.randrange(3))) + draw.choice((str(number), "?", "\\", ""))
        query += "?" if rig.WHITE_SPACE.issuperset(query) else ""
        value = "".join(draw.choices((*contents, str(number)), k=draw.randrange(3)))
        marks.append(SPECIAL[draw.choice(kinds)](query, value))
        between.append("".join(TEXTS[text] for text in draw.choices(texts, k=draw.randrange(3))))
    return marks, between


@functools.cache
def document(combination: Combination) -> str:
    """The document."""
    return "".join(pieces(combination))


@functools.cache
def read(combination: Combination, profile: str) -> list[tuple[str, str, int, int]]:
    """What the reference reads in it. For the official profile the published pattern is asked, which is faster."""
    text = document(combination)
    if profile == "official":
        return [(match[1], match[2], *match.span()) for match in re.finditer(rig.official.PATTERN, text)]
    return [(each.query, each.value, each.span.start, each.span.end) for each in rig.annotations(text)]


_MARKS = re.compile(r'\[__DC__\("|"\) --> "|"\]|\\.?|[\U00010000-\U0010ffff]|["\[\]]')
"""What a reader may be in the middle of."""


def chunks(combination: Combination) -> Iterator[str]:
    """The document in chunks; joined they are the document."""
    text, cut = document(combination), combination["chunks"]
    if cut.isdigit() or cut == "whole":
        size = int(cut) if cut.isdigit() else len(text) or 1
        places = list(range(size, len(text), size))
    elif cut == "at random":
        draw = random.Random(combination.id)
        places = sorted(draw.sample(range(1, len(text)), k=len(text) // 6)) if len(text) > 1 else []
    else:
        marks = (match.span() for match in _MARKS.finditer(text))
        places = sorted(
            {start if cut == "at marks" else (start + end) // 2 if cut == "in marks" else end for start, end in marks}
        )
    for start, end in zip([0, *places], [*places, len(text)], strict=True):
        yield text[start:end]
        if cut == "with empty chunks":
            yield ""


def segments(combination: Combination) -> list[rig.Segment]:
    """The document as a writer is given it: with its annotations as pairs, or with all or some of it as text."""
    text, how = document(combination), combination["written"]
    if how in ("text", "by characters"):
        return [text] if how == "text" else list(text)
    found = read(combination, "strict")
    if how == "cut in text":
        places = [start + 8 for _, _, start, _ in found]  # before the quote of the opener
        return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    given: list[rig.Segment] = []
    at = 0
    if how == "with empty texts":
        return [piece for each in text.partition(rig.OPEN[:4]) for piece in ("", each, "")]
    for query, value, start, end in found:
        given += [text[at:start], (query, value)]
        at = end
    if how == "text around":
        # Half an annotation on each side of a pair, which together are one.
        return [f"{rig.OPEN}", *given, text[at:], f"{rig.ARROW}x", rig.CLOSE]
    return [*given, text[at:]]
