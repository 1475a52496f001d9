"""The parser that users import stands on its own, and each of its parts gives what the reference gives."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import impls.rag
import impls.rig
from conformance.rig.vectors import load
from impls.rig import grammar, lenient, parser, resolver, strict, tags, writer
from impls.rig.export import annotation_pattern
from reference import rag, rig
from reference.rig.resolved import tags as reference_tags
from tests.rig.plain_events import all_plain
from tests.rig.test_rig_parsing import malformed
from tests.rig.test_rig_reference import documents
from tests.rig.test_rig_resolver import HOSTILE, texts, values

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(
    path
    for system in ("rig", "rag")
    for path in (ROOT / "impls" / system).rglob("*.py")
    if path.relative_to(ROOT / "impls" / system) != Path("adapters/reference.py")
)


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_product_imports_neither_the_reference_nor_the_suite(path: Path) -> None:
    assert not imported(path) & {"reference", "conformance", "reports", "tests"}


def test_the_packages_need_nothing_but_python() -> None:
    program = (
        "import sys; import impls.rig, impls.rag; impls.rig.parse('x'); impls.rag.parse('x')\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded - set(sys.stdlib_module_names) - before))"
    )
    command = [sys.executable, "-c", f"import sys; before = {{n.partition('.')[0] for n in sys.modules}}\n{program}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["impls"]


def test_the_characters_written_down_are_those_of_unicode_and_of_the_reference() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert set(grammar.WHITE_SPACE) == {c for c in every if c.isspace()} - set("\x1c\x1d\x1e\x1f") == rig.WHITE_SPACE
    assert len(grammar.WHITE_SPACE) == len(rig.WHITE_SPACE)
    low = [c for c in every if unicodedata.category(c) == "Cc" and not "\x80" <= c <= "\x9f"]
    assert set(grammar.FORBIDDEN) == {*low, '"'}
    assert set(grammar.FORBIDDEN) == {c for c in every if c == rig.grammar.QUOTE or not rig.STRICT.allows(c)}
    text = "".join(c for c in every if not "\ud800" <= c <= "\udfff")
    assert set(re.findall(grammar.STRING[:-1], text)) == set(text) - set(grammar.FORBIDDEN)
    visible = {c for c in text if re.fullmatch(grammar.QUERY, c)}
    assert visible == set(text) - set(grammar.FORBIDDEN) - set(grammar.WHITE_SPACE)
    assert all(grammar.is_blank(c) == (c in rig.WHITE_SPACE) for c in every)
    assert all(grammar.has_control(c) == (c in low) for c in every)
    assert (grammar.OPEN, grammar.ARROW, grammar.CLOSE) == (rig.OPEN, rig.ARROW, rig.CLOSE)
    assert grammar.DEFAULT_MAX_CANDIDATE == rig.DEFAULT_MAX_CANDIDATE
    assert [(d.name, d.value) for d in impls.rig.Defect] == [(d.name, d.value) for d in rig.lenient.RigDefect]


def test_the_parser_matches_what_the_exporter_writes() -> None:
    from impls.rig.strict import GRAMMARS, STRICT

    # The parser's own pattern is written by hand; the exported one is generated.
    ours, exported = GRAMMARS[STRICT].whole, re.compile(annotation_pattern())
    pieces = [rig.OPEN, rig.ARROW, rig.CLOSE, '"', "[__DC__(", ") --> ", "q", "\n", "\u2003", "\x7f"]
    for length in range(6):
        for sequence in itertools.product(pieces, repeat=length):
            text = "".join(sequence)
            assert [m.groups() for m in ours.finditer(text)] == [m.groups() for m in exported.finditer(text)]


def written(serialise: Any, segments: list[Any]) -> str | None:
    try:
        result: str = serialise(segments)
    except ValueError:
        return None
    return result


strings = st.lists(st.sampled_from(["q", "5%", '"', " ", "\n", "\x7f", "\ud800", "[__DC__(", ") --> ", "\u3000"]), max_size=2)
pairs = st.tuples(strings.map("".join), strings.map("".join))
segments = st.lists(st.one_of(documents, pairs, pairs, st.sampled_from(["\udc00", "[__DC__", rig.OPEN, '"]'])), max_size=5)


@given(segments)
@settings(max_examples=400, deadline=None)
def test_documents_are_written_and_refused_as_by_the_reference(pieces: list[Any]) -> None:
    assert written(writer.serialise, pieces) == written(rig.serialise, pieces)


@pytest.mark.parametrize(("query", "value", "message"), [
    ('say "q"', "5", r"U\+0022 in the query"), ("q", '5 "approx"', r"U\+0022 in the value"),
    ("", "5", "not White_Space"), (" \u00a0\u3000", "5", "not White_Space"),
    ("q\n", "5", r"U\+000A in the query"), ("q", "\x7f", r"U\+007F in the value"), ("q\ud800", "5", r"query: .*U\+D800"),
])  # fmt: skip
def test_a_refusal_says_what_cannot_be_written(query: str, value: str, message: str) -> None:
    with pytest.raises(writer.Unrepresentable, match=message):
        writer.serialise([(query, value)])
    with pytest.raises(writer.Unrepresentable, match="forged"):
        writer.serialise(["[__DC__", '("q") --> "5"]'])


def tags_of_reference(text: str) -> list[tuple[Any, ...]]:
    return [(t.number, t.served, t.footnote, t.differs, t.model, start, end) for t, start, end in reference_tags(text)]


def test_every_short_sequence_of_pieces_of_tags_is_read_as_by_the_reference() -> None:
    pieces = ["[__DC__#1(", "[__DC__#12(", ")]", "||", " || ", " ||", "|| ", "5", " [1]", "*", "--- || ---", "|", "\n", " "]
    for length in range(5):
        for sequence in itertools.product(pieces, repeat=length):
            text = "".join(sequence)
            assert tags.find_tags(text) == tags_of_reference(text), text


tag_pieces = [*HOSTILE[:-1], "[__DC__#12(", " || ", "--- || ---", " [1]", "*", "[__DC__#123456789(", "[__DC__#0("]


@given(st.lists(st.sampled_from(tag_pieces), max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_tags_are_read_as_by_the_reference(text: str) -> None:
    assert tags.find_tags(text) == tags_of_reference(text)


@pytest.mark.parametrize(
    "family", ["[__DC__#1(", ")]", "[__DC__#1(5 [1] || 6)]", "[__DC__#1(" + "5 [1] " * 50 + "||)]", " [1]", "5 [1]|", "|"]
)
def test_reading_tags_needs_linear_work(family: str) -> None:
    from conformance.rig.harness.text import time_limit

    with time_limit(20):
        tags.find_tags("[__DC__#7(" + family * (300_000 // len(family)) + ")]")


@given(texts, values, values, values, values, st.sampled_from(["", "%", "||"]), st.integers(0, 3))
@settings(max_examples=500, deadline=None)
def test_texts_are_resolved_as_by_the_reference(
    text: str, value: str, source: str, url: str, date: str, unit: str, missing: int
) -> None:
    def asked(log: list[str], served: Any) -> Any:
        def fetch(query: str) -> Any:
            log.append(query)
            if missing == 1 and len(log) % 2:
                raise TimeoutError
            if missing == 2 and len(query) % 2:
                return None
            fields = {"value": value, "unit": unit, "source": source, "date": date, "url": url}
            return fields if missing == 3 else served(**fields)

        return fetch

    log: list[str] = []
    expected_log: list[str] = []
    expected = rig.resolver.resolve(text, asked(expected_log, rig.resolver.ServedValue))
    assert resolver.resolve(text, asked(log, resolver.Served)) == expected
    assert log == expected_log


@given(malformed, st.sampled_from(["5", "1,000 %", ")]", "6 ||"]))
@settings(max_examples=300, deadline=None)
def test_malformed_texts_are_resolved_as_by_the_reference(text: str, value: str) -> None:
    expected = rig.resolver.resolve(text, lambda query: {"value": value})
    assert resolver.resolve(text, lambda query: {"value": value}) == expected


@given(st.text(), st.text())
@settings(max_examples=200, deadline=None)
def test_addresses_and_deviations_are_the_references(query: str, other: str) -> None:
    if not query.isascii():
        query = query.encode("utf-8", "replace").decode()
    assert resolver.address(query) == rig.resolver.address(query)
    assert resolver.differs(query, other) == rig.resolver.differs(query, other)


NUMBERS = ["50.9 %", "60", "$1,000", "-5", "5 people", "", "12-13%"]


@pytest.mark.parametrize(("served", "model"), list(itertools.product(NUMBERS, repeat=2)))
def test_plain_numbers_are_compared_as_by_the_reference(served: str, model: str) -> None:
    assert resolver.differs(served, model) == rig.resolver.differs(served, model)


def test_every_vector_is_recovered_as_by_the_reference() -> None:
    for vector in load():
        if vector.kind == "recover":
            assert all_plain(lenient.attempts(vector.text)) == all_plain(rig.lenient.attempts(vector.text)), vector.id


GAPS = [*[""] * 24, " ", "\t ", "\n", " \r\n\u00a0", "        ", "         ", "\n\n", "\u00a0\n\u00a0\n", "\r", "\u2003"]
QUOTES = [*'""""""""\'', "\u201c", "\u201d", "\u201e", "\u00ab", "\u00bb", "\u2018", "\u2019", "`", '\\"', "&quot;"]
PARTS = (
    ["[", "[", "[", "$", "", "[[", "x"], GAPS, ["__DC__", "__DC__", "__dC__", "\\_\\_DC\\_\\_", "**DC**", "DC", "**dc**"],
    GAPS, ["(", "(", "(", ""], GAPS, QUOTES, ["q", "a q", "", " ", 'a "b" c', "\t", "q" * 4090], QUOTES, GAPS,
    [")", ")", ")", ""], [" ", " ", *GAPS], ["-->", "-->", "->", "=>", "--->", "\u2192", "--&gt;", "-"], [" ", " ", *GAPS],
    [*QUOTES, ""], ["5%", "", "a 'b' c", "5\n", "\x7f"], [*QUOTES, ""], GAPS, ["]", "]", "]", "", ")]"],
)  # fmt: skip
"""What an annotation that a model meant is made of, part by part."""
meant = st.tuples(*map(st.sampled_from, PARTS)).map("".join)
cut = st.tuples(meant, st.integers(0, 30), st.integers(0, 30)).map(lambda drawn: drawn[0][drawn[1] : len(drawn[0]) - drawn[2]])


@given(
    st.lists(st.one_of(meant, meant, cut, st.sampled_from(["\n\n", " and ", rig.OPEN, "[", '"]'])), max_size=4).map("".join)
)
@settings(max_examples=3000, deadline=None)
def test_annotations_that_were_meant_are_recovered_as_by_the_reference(text: str) -> None:
    expected = all_plain(rig.lenient.attempts(text))
    assert all_plain(lenient.attempts(text)) == expected
    whole = [attempt for attempt in expected if attempt[0] != "lost"]
    stream = lenient.LenientStream(None)
    items = [item for at in range(0, len(text), 7) for item in stream.feed(text[at : at + 7])] + stream.close()
    assert all_plain(item for item in items if not isinstance(item, str)) == whole


LINES = [
    "a?",
    "b?",
    "What is x in y?",
    "- ",
    "1. ",
    "(2) ",
    "2)",
    "(3.",
    "\u2022",
    "*",
    "\t",
    "\x00",
    "\u2028",
    "\x1f",
    "\u00a0",
]
answers = st.lists(st.sampled_from([*LINES, "\n", "\n", "\r\n", "\r", " "]), max_size=60).map("".join)


@given(answers)
@settings(max_examples=500, deadline=None)
def test_lists_of_queries_are_read_as_by_the_reference(text: str) -> None:
    assert impls.rag.parse(text) == list(rag.parse(text).queries)
    from impls.rag.adapters import official

    assert rag.official.accepts(text, official.parse(text))


@pytest.mark.parametrize("count", [24, 25, 26, 60])
def test_long_lists_of_queries_are_read_as_by_the_reference(count: int) -> None:
    text = "".join(f"q{number}?\n- no\nq{number}?\n" for number in range(count))
    assert impls.rag.parse(text) == list(rag.parse(text).queries)
    assert impls.rag.MAX_QUERIES == rag.MAX_QUERIES


def test_a_list_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="lone surrogate"):
        impls.rag.parse("a?\n" * 3 + "\ud800")


NOT_TEXTS = [
    (b"x", "found bytes, expected str; decode it first"), (None, "found NoneType, expected str"), (["x"], "found list"),
    (3, "found int"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), NOT_TEXTS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("read", [
    *(functools.partial(parser.parse, profile=profile) for profile in parser.PROFILES),
    *(lambda chunk, profile=profile: parser.StreamingParser(profile).feed(chunk) for profile in parser.PROFILES),
    parser.find_annotations, parser.diagnose, lenient.recover, strict.is_well_formed, strict.find_annotations, tags.find_tags,
    impls.rag.parse, lambda text: resolver.resolve(text, lambda query: None), lambda query: writer.serialise([(query, "5")]),
    lambda value: writer.serialise([("q", value)]), lambda text: list(parser.read([text])),
])  # fmt: skip
def test_what_is_no_text_is_refused_clearly(read: Any, wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        read(wrong)


@pytest.mark.parametrize("wrong", ["9", 9.5, True])
def test_a_bound_that_is_no_number_is_refused_clearly(wrong: Any) -> None:
    for profile in parser.PROFILES:
        with pytest.raises(TypeError, match="expected a number of code points or None"):
            parser.parse("x", profile, wrong)


@pytest.mark.parametrize("segment", [3, b"x", None, ("q",), ("q", "v", "x")])
def test_what_is_no_segment_is_refused_clearly(segment: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a str, or the \(query, value\) of an annotation"):
        writer.serialise(["x", segment])
