"""What the reference resolver writes can be read back, whatever is served and whatever the text holds."""

from __future__ import annotations

import asyncio
import datetime
import urllib.parse
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.rig.requirements.resolution import read_back
from impls.rig import resolver as product
from reference import rig
from reference.rig.lenient import recover
from reference.rig.resolver import FOOTNOTES, HEADING, ServedValue, address, differs, resolve
from tests.rig.test_rig_reference import documents

HOSTILE = [
    ")]",
    "||",
    "|",
    ")",
    "]",
    "[__DC__#1(",
    '[__DC__("',
    "\n",
    "\x00",
    " ",
    "5",
    "%",
    FOOTNOTES,
    "#",
    "[1] - Per x",
    "é",
    "\ud800",
]
values = st.lists(st.sampled_from(HOSTILE), max_size=5).map("".join)
texts = st.lists(st.one_of(documents, st.sampled_from(HOSTILE[:-1])), max_size=4).map("".join)


@given(texts, values, values, values, st.booleans())
@settings(max_examples=300, deadline=None)
def test_there_are_as_many_tags_as_annotations_and_as_many_footnotes_as_answers(
    text: str, value: str, source: str, url: str, fails: bool
) -> None:
    fetched: list[str] = []

    def fetch(query: str) -> ServedValue | None:
        fetched.append(query)
        if fails and len(fetched) % 2:
            raise TimeoutError
        return ServedValue(value, source=source, date=source, url=url)

    written = resolve(text, fetch)
    read = read_back(written)
    found = recover(text)
    assert [tag.number for tag in read.tags] == list(range(1, len(found) + 1))
    assert fetched == list(dict.fromkeys(annotation.query for annotation in found))
    cited = list(dict.fromkeys(tag.footnote for tag in read.tags if tag.footnote))
    assert [number for number, _ in read.notes] == cited == list(range(1, len(cited) + 1))
    assert rig.OPEN not in written
    assert [tag.number for tag, _, _ in rig.resolved.tags(written)] == list(range(1, len(found) + 1))
    assert written.count(HEADING) == bool(cited)


@pytest.mark.parametrize(("text", "written"), [
    ('[__DC__([__DC__("") --> ""]', ') --> ""]'),
    ('[__DC__([__DC__([__DC__("") --> ""]" x', '[__DC__() --> ""]" x'),
    ('a [__D[__DC__("C__#1(2 || 3)]\n b', "a [ __DC__#1(2 || 3)]\n b"),
    ('[__D[__D[__DC__("C__("C__#1(2 || 3)]\n b', "[ __DC__#1(2 || 3)]\n b"),
    ("\n\n##### FOOTNOTES #####\n[1] - Per x", "\n\n##### FOOTNOTES: #####\n[1] - Per x"),
])  # fmt: skip
def test_what_is_taken_apart_or_away_does_not_join_to_markup(text: str, written: str) -> None:
    assert resolve(text, lambda query: None) == written


@pytest.mark.parametrize(("value", "written"), [
    ("||||", "|| 7"), ("3|||4", "3| | |4 [1] || 7"), ("7 |", "7 [1] || 7"), ("6)", "6) [1] || 7"), ("a)|", "a) [1] || 7"),
])  # fmt: skip
def test_a_value_of_bars_is_taken_apart_bar_by_bar(value: str, written: str) -> None:
    text = resolve('[__DC__("q") --> "7"]', lambda query: ServedValue(value))
    assert text.partition(FOOTNOTES)[0] == f"[__DC__#1({written})]"


@pytest.mark.parametrize("query", ["what is it?", "R&D", "C#", "A+B", "5%25", "a=b/c", "é \U0001f600", " x ", '"'])
def test_an_address_decodes_to_its_query(query: str) -> None:
    parts = urllib.parse.urlsplit(address(query))
    assert (urllib.parse.parse_qs(parts.query)["q"], parts.fragment) == ([query], "")


@pytest.mark.parametrize(("served", "model", "flagged"), [
    ("50.9 %", "51.6%", False), ("60 %", "51.6%", True), ("155805", "150,000", False), ("155805", "$1,000", True),
    ("5 people", "6", False), ("12-13%", "1213", False), ("-5", "5", True), ("5", None, False),
])  # fmt: skip
def test_values_are_flagged_where_both_are_plain_numbers_and_deviate(served: str, model: str | None, flagged: bool) -> None:
    assert differs(served, model) is flagged


def test_a_text_without_annotations_is_left_as_it_is() -> None:
    assert resolve("nothing [here]\n", lambda query: None) == "nothing [here]\n"


TEXT = 'It was [__DC__("what was it?") --> "7"].'


def _fails(query: str) -> product.Served:
    raise KeyError(query)


class _Raises:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


@pytest.mark.parametrize(("answer", "tag"), [
    ({"value": "5", "unit": "%", "confidence": 0.9, 3: "x"}, "5 % [1]* || 7"),
    ({"value": "7", "unit": None, "url": None}, "7 [1] || 7"),
    ({"value": 7.5, "date": 2020}, "7.5 [1]* || 7"),
    ({"value": None}, "|| 7"),
    ({"value": float("nan")}, "|| 7"),
    ({"unit": "%"}, "|| 7"),
    ({}, "|| 7"),
    (product.Served(5, None), "5 [1]* || 7"),  # type: ignore[arg-type]
    ({"value": np.int64(5), "date": datetime.date(2020, 1, 2)}, "5 [1]* || 7"),
    ({"value": Decimal("7.10"), "unit": float("nan")}, "7.10 [1] || 7"),
    ({"value": float("inf")}, "|| 7"),
])  # fmt: skip
@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_with_other_fields_is_read(answer: Any, tag: str, is_async: bool) -> None:
    async def fetch(query: str) -> Any:
        return answer

    for each in [fetch, lambda query: answer] if is_async else [lambda query: answer]:
        written = asyncio.run(product.resolve_async(TEXT, each)) if is_async else product.resolve(TEXT, each)
        assert written.partition(FOOTNOTES)[0] == f"It was [__DC__#1({tag})]."
        assert "None" not in written


@pytest.mark.parametrize("answer", [
    ("5", "%"), ["5"], "5", 5, True, object(), _Raises(), {"value": ["5"]}, {"value": "5", "unit": {}}, {"value": True},
    product.Served,
], ids=lambda answer: type(answer).__name__)  # fmt: skip
@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_of_another_type_leaves_the_models_value_and_warns(answer: Any, is_async: bool) -> None:
    async def fetch(query: str) -> Any:
        return answer

    with pytest.warns(RuntimeWarning, match="expected a Served, a mapping of texts, or None"):
        written = asyncio.run(product.resolve_async(TEXT, fetch)) if is_async else product.resolve(TEXT, lambda query: answer)
    assert written == "It was [__DC__#1(|| 7)]."


def test_a_failed_fetch_leaves_the_models_value() -> None:
    async def fetch(query: str) -> None:
        raise TimeoutError

    assert asyncio.run(product.resolve_async(TEXT, fetch)) == "It was [__DC__#1(|| 7)]."
    assert asyncio.run(product.resolve_async(TEXT, _fails)) == "It was [__DC__#1(|| 7)]."
    assert product.resolve(TEXT, _fails) == "It was [__DC__#1(|| 7)]."


@pytest.mark.filterwarnings("error")
def test_a_fetch_that_cannot_be_used_is_refused() -> None:
    async def fetch(query: str) -> None:
        pass

    with pytest.raises(TypeError, match="found an async fetch, expected one that returns its answer; use resolve_async"):
        product.resolve(TEXT, fetch)  # type: ignore[arg-type]
    for text in (TEXT, "nothing"):
        with pytest.raises(TypeError, match="found dict, expected a function"):
            product.resolve(text, {})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="found NoneType, expected a function"):
            asyncio.run(product.resolve_async(text, None))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="found a fetch that cannot be called with a query"):
            product.resolve(text, lambda: None)  # type: ignore[arg-type,misc]
    for at_once in (0, "8"):
        with pytest.raises(ValueError, match=f"found at_once={at_once!r}"):
            asyncio.run(product.resolve_async(TEXT, fetch, at_once=at_once))  # type: ignore[arg-type]


def test_queries_are_asked_at_the_same_time_and_no_more_than_allowed() -> None:
    text = "".join(rig.serialise_annotation(f"q{n % 9}", str(n)) for n in range(12))
    running, most = 0, 0

    async def fetch(query: str) -> product.Served | None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return None if query == "q3" else product.Served(query, "u")

    written = asyncio.run(product.resolve_async(text, fetch, at_once=4))
    assert most == 4
    assert written == product.resolve(text, lambda query: None if query == "q3" else product.Served(query, "u"))
