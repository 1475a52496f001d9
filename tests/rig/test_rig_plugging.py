"""A third party's parser is used unchanged, told from a RAG reader by its answer, and refused clearly where it is unusable."""

from __future__ import annotations

import re
import sys
from collections import deque, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.engine.check import run_check
from conformance.engine.discovery import plug
from conformance.engine.selection import Options, selected_cases
from conformance.engine.time_limit import NoAnswer
from conformance.rag.harness import subject as rag_driver
from conformance.rig.harness import subject as driver
from conformance.rig.harness import text as _text
from conformance.rig.mutants import CorrectParser
from impls.implementation import Implementation, PlugError, Unsupported
from impls.rig import parser, strict
from impls.rig.registry import IMPLEMENTATIONS
from reference import rig

EXPECTED = [("what was the percentage of females in Sunnyvale, CA in 2020?", "51.6%", 91, 175)]
PATTERN = re.compile(rig.official.PATTERN)


def tuples(text: str) -> list[tuple[str, str, int, int]]:
    return [(m[1], m[2], *m.span()) for m in PATTERN.finditer(text)]


def lines(text: str) -> list[str]:
    return text.split("\n")


class WithParse:
    def parse(self, text: str) -> Any:
        return tuples(text)

    def serialize(self, segments: list[Any]) -> str:
        return rig.serialise(segments)


def subject(parse: Any, **declared: Any) -> driver.RigSubject:
    return driver.RigSubject(SimpleNamespace(parse=parse), **declared)


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if not i.missing()], ids=lambda i: i.name)
def test_every_listed_parser_that_is_installed_reads_the_example(implementation: Implementation) -> None:
    if implementation.features in ({"constrain"}, {"well_formed"}):
        with pytest.raises(Unsupported, match="has no parse"):
            driver.connect(implementation, "cpu").parse(rig.EXAMPLE)
        return
    assert driver.connect(implementation, "cpu").parse(rig.EXAMPLE) == EXPECTED


@pytest.mark.parametrize("item", [
    EXPECTED[0],
    list(EXPECTED[0]),
    dict(zip(("query", "value", "start", "end"), EXPECTED[0], strict=True)),
    SimpleNamespace(query=EXPECTED[0][0], value=EXPECTED[0][1], start=91, end=175, more=1),
    namedtuple("Spanned", "start end query value")(91, 175, *EXPECTED[0][:2]),
    (*EXPECTED[0][:2], (91, 175)),
    {"query": EXPECTED[0][0], "value": EXPECTED[0][1], "span": range(91, 175)},
    SimpleNamespace(query=EXPECTED[0][0], value=EXPECTED[0][1], span=SimpleNamespace(start=91, end=175)),
    PATTERN.search(rig.EXAMPLE),
], ids=[
    "tuple", "list", "mapping", "object", "named-tuple-in-another-order", "tuple-with-span", "mapping-with-span",
    "object-with-span", "match",
])  # fmt: skip
def test_an_annotation_has_many_shapes(item: Any) -> None:
    assert subject(lambda text: [item]).parse(rig.EXAMPLE) == EXPECTED
    assert subject(lambda text: (item,)).parse(rig.EXAMPLE) == EXPECTED
    assert subject(lambda text: (each for each in [item])).parse(rig.EXAMPLE) == EXPECTED
    assert subject(lambda text: {"annotations": [item]}).parse(rig.EXAMPLE) == EXPECTED


def counted(codec: str, width: int) -> Any:
    def parse(text: str) -> Any:
        for query, value, *span in strict.find_annotations(text):
            start, end = (len(text[:at].encode(codec, "surrogatepass")) // width for at in span)
            yield {"query": query, "value": value, "start": start, "end": end}

    return parse


HONEST = {
    "generator": lambda text: iter(strict.find_annotations(text)),
    "events": lambda text: parser.find_annotations(text),
    "dataclass": lambda text: [SpannedAnnotation(q, v, range(s, e)) for q, v, s, e in strict.find_annotations(text)],
    "matches": lambda text: list(CorrectParser().pattern.finditer(text)),
    "result": lambda text: SimpleNamespace(annotations=strict.find_annotations(text), text=text),
    "bytes of UTF-8": counted("utf-8", 1),
    "units of UTF-16": counted("utf-16-le", 2),
}


@dataclass(frozen=True)
class SpannedAnnotation:
    query: str
    value: str
    span: range


@pytest.mark.parametrize("how", HONEST)
def test_a_right_parser_is_accused_of_nothing_whatever_it_returns(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(parse=HONEST[how]))
    implementation = plug("mine:parse")
    assert implementation.system == "rig"
    assert ("offsets" in implementation.settings) is (how == implementation.summary.partition("count ")[2].split(",")[0])
    connected = driver.connect(implementation, "cpu")
    for check, case, dtype in selected_cases("rig", Options(quick=True)):
        with suppress(Unsupported):
            assert all(comparison.passed for comparison in run_check(check, connected, case, dtype)), check.requirement


@pytest.mark.parametrize("parse", [
    lambda text: iter(["a?"]), lambda text: ("a?",), lambda text: {"queries": ["a?"]}, lambda text: deque(["a?"]),
    lambda text: SimpleNamespace(queries=("a?",)),
])  # fmt: skip
def test_queries_come_in_many_shapes(parse: Any) -> None:
    assert rag_driver.RagSubject(SimpleNamespace(parse=parse)).parse("a?") == ["a?"]


@pytest.mark.parametrize(("answer", "message"), [
    (None, "found None"),
    ("text", "found 'text' \\(str\\), expected a list"),
    ({"q": "v"}, "found {'q': 'v'} \\(dict\\), expected a list"),
    ([("q", "v", 3)], "expected two integers"),
    ([("q", "v")], "expected \\(query, value, start, end\\)"),
    ([("q", None, 0, 1)], "expected two strings"),
    ([("q", "v", 0.5, 1)], "expected two integers"),
    ([("q", "v", True, 1)], "expected two integers"),
    ([{"query": "q"}], "expected \\(query, value, start, end\\)"),
])  # fmt: skip
def test_a_wrong_answer_is_said_to_be_wrong(answer: Any, message: str) -> None:
    with pytest.raises(_text.AnswerError, match=message):
        subject(lambda text: answer).parse("x")


@pytest.mark.parametrize(("unit", "start"), [("code points", 2), ("utf16", 3), ("utf8", 5)])
def test_spans_are_converted_from_the_declared_unit(unit: str, start: int) -> None:
    text = "\U0001f4c8 " + '[__DC__("q") --> "v"]'
    found = subject(lambda _: [("q", "v", start, start + 21)], offsets=unit).parse(text)
    assert found == [("q", "v", 2, 23)]


def test_an_offset_inside_a_character_is_said_to_be_one() -> None:
    with pytest.raises(_text.AnswerError, match="the offset 1 \\(utf16\\) lies inside a character"):
        subject(lambda _: [("q", "v", 1, 2)], offsets="utf16").parse("\U0001f4c8")


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="found the profile 'lax', expected one of strict, official"):
        driver.RigSubject(None, "lax")
    with pytest.raises(ValueError, match="found the profile 'lax', expected one of strict, official"):
        rag_driver.RagSubject(None, "lax")


def test_what_a_parser_does_not_offer_is_unsupported() -> None:
    for use in (lambda s: s.stream(), lambda s: s.serialise([]), lambda s: s.well_formed("")):
        with pytest.raises(Unsupported, match="has no"):
            use(subject(tuples))


def test_a_parser_that_hangs_is_interrupted() -> None:
    def hangs(text: str) -> Any:
        return re.match(r"(a+)+$", "a" * 60 + "b")

    # Left alone it would take 2^60 steps: that it comes back at all is the point.
    with pytest.raises(_text.TimeLimitExceeded, match=r"no answer within 0\.2 s"):
        subject(hangs, seconds=0.2).parse("x")


def test_a_parser_that_waits_is_asked_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def waits(text: str) -> Any:
        calls.append(text)
        raise NoAnswer("it waits")

    parser = subject(waits)
    for _ in range(3):
        with pytest.raises(NoAnswer, match="it waits"):
            parser.parse("x")
    with pytest.raises(NoAnswer, match="not asked, since it did not answer 3 times before"):
        parser.parse("x")
    assert len(calls) == 3


def test_parsers_are_told_apart_by_their_answer() -> None:
    plain = {"protocol": "function", "dtypes": (), "devices": ("cpu",), "features": frozenset()}
    assert driver.recognise(tuples, "m:f") == plain
    assert rag_driver.recognise(tuples, "m:f") is None
    assert driver.recognise(lines, "m:f") is None
    assert rag_driver.recognise(lines, "m:f") == plain
    for given in (WithParse, WithParse()):
        found = driver.recognise(given, "m:f")
        assert found == {**plain, "protocol": "object", "features": frozenset({"serialise"})}


def test_an_empty_answer_fits_both() -> None:
    def nothing(text: str) -> list[Any]:
        return []

    assert driver.recognise(nothing, "m:f") == rag_driver.recognise(nothing, "m:f") != None  # noqa: E711


@pytest.mark.parametrize("loaded", [
    42, dict, int, lambda q, k, v: None, lambda: None, lambda *, text: [], lambda params: 1 / 0, lambda learning_rate: 1 / 0,
    print,
], ids=["number", "dict", "int", "attention", "nothing", "keyword", "optimizer", "factory", "print"])  # fmt: skip
def test_what_takes_no_text_is_not_called(loaded: Any) -> None:
    assert driver.recognise(loaded, "m:f") is None
    assert rag_driver.recognise(loaded, "m:f") is None


def test_an_annotated_parameter_says_whether_it_is_a_text() -> None:
    def number(count: int) -> Any:
        raise AssertionError("called")

    assert driver.recognise(number, "m:f") is None


@pytest.mark.parametrize(("loaded", "message"), [
    (lambda text: [("q", "v")], "returned a list of 1 whose first item is a tuple of 2"),
    (lambda text: {"q": "v"}, "returned {'q': 'v'} \\(dict\\)"),
    (lambda text: None, "returned None"),
    (lambda text: 1 // 0, "raised ZeroDivisionError"),
])  # fmt: skip
def test_what_is_nearly_a_parser_is_told_what_is_missing(loaded: Any, message: str) -> None:
    for room in (driver, rag_driver):
        with pytest.raises(PlugError, match=message):
            room.recognise(loaded, "m:f")


def test_a_file_is_plugged_in_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def rig(text):\n    i = text.index('[__DC__')\n    return [('a', 'b', i, len(text))]\n"
        "def rag(text):\n    return text.splitlines()\n"
        "def empty(text):\n    return []\n"
    )
    assert plug(f"{path}:rig").name == "rig/mine.rig"
    assert plug(f"{path}:rag").name == "rag/mine.rag"
    with pytest.raises(PlugError, match="could be rig or rag; say which: --impl 'rig="):
        plug(f"{path}:empty")
    settled = plug(f"rag={path}:empty")
    assert rag_driver.connect(settled, "cpu").parse("x") == []


def test_a_rag_answer_that_is_no_list_of_strings_is_said_to_be_wrong() -> None:
    for answer in (None, "a\nb", [1], [("q", "v", 0, 1)], {"a"}):
        with pytest.raises(_text.AnswerError, match="expected a list of strings"):
            rag_driver.RagSubject(SimpleNamespace(parse=lambda text, answer=answer: answer)).parse("x")


def test_a_stream_is_taken_in_the_declared_unit() -> None:
    class Reader:
        def feed(self, chunk: str) -> list[Any]:
            return [chunk, ("q", "v", 0, 3)] if chunk == "b" else []

        def close(self) -> Any:
            return None

    stream = driver.RigSubject(SimpleNamespace(parse=tuples, stream=Reader), offsets="utf8").stream()
    assert stream.feed("é") == []
    assert stream.feed("b") == ["b", ("q", "v", 0, 2)]
    with pytest.raises(_text.AnswerError, match="found None"):
        stream.close()
