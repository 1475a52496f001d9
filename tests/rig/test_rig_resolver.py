"""What the law of resolving writes is read back, whatever is served and whatever the text holds."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.rig.requirements.resolution import read_back
from reference import rig
from reference.rig.lenient import recover
from reference.rig.resolver import FOOTNOTES, HEADING, ServedValue, address, differs, resolve
from tests.rig.test_rig_laws import documents

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
