"""The parser gives what the reference gives, event by event, on any text, in bounded memory and without recursion."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impls.rig import lenient as recovering
from impls.rig import parser as parsing
from impls.rig import strict
from impls.rig.diagnostics import diagnose
from impls.rig.events import codes
from impls.rig.parser import StreamingParser, read, read_file
from reference import rig
from reference.rig import lenient
from tests.rig.plain_events import all_plain
from tests.rig.test_rig_reference import documents

ROOT = Path(__file__).resolve().parents[2]
PROFILES = [rig.STRICT, rig.OFFICIAL]
profiles = st.sampled_from(PROFILES)
bounds = st.sampled_from([None, 20, 30])
MEANT = [
    "$", "**DC**(\"", "[DC(\u201c", "\u201d) \u2192 \u201c5\u201d]", "-->", "\\", "&quot;", "[ \n __dc__ ( \"q",
    "\\_\\_DC\\_\\_('",
    "x" * 4100, "\n\n", "\n \n", "]", "')", " => '", "5", "[__DC__(\"q\") --> \"5", "`", "\u00ab", "\t ",
]  # fmt: skip
"""What models and displays make of the format."""
malformed = st.lists(st.one_of(st.sampled_from(MEANT), documents), max_size=8).map("".join)


def chunks_of(text: str, sizes: list[int]) -> list[str]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [*pieces, text[at:]]


sizes = st.lists(st.integers(0, 40), max_size=12)


@given(documents, profiles)
@settings(max_examples=300, deadline=None)
def test_a_document_is_read_as_the_reference_reads_it(text: str, profile: rig.RigProfile) -> None:
    expected = rig.parse(text, profile)
    assert all_plain(parsing.parse(text, profile.name)) == all_plain(expected)
    found = [(e.query, e.value, e.span.start, e.span.end) for e in expected if isinstance(e, rig.AnnotationEvent)]
    assert strict.find_annotations(text, profile.name) == found
    if profile is rig.STRICT:
        assert strict.is_well_formed(text) == rig.is_well_formed(text)


@given(documents, profiles, bounds, sizes)
@settings(max_examples=300, deadline=None)
def test_chunk_by_chunk_the_same_is_handed_out_and_held_back(
    text: str, profile: rig.RigProfile, bound: int | None, cuts: list[int]
) -> None:
    expected, parser = rig.CharacterParser(profile, bound), StreamingParser(profile.name, bound)
    for chunk in chunks_of(text, cuts):
        assert all_plain(parsing.coalesce(parser.feed(chunk))) == all_plain(rig.coalesce(expected.feed(chunk)))
        assert parser.held_back == expected.held_back
    assert parser._reader.overflows == expected.overflows  # type: ignore[union-attr]
    assert all_plain(parsing.coalesce(parser.close())) == all_plain(rig.coalesce(expected.close()))


def numbers(recovered: lenient.RecoveredAnnotation) -> list[int]:
    return sorted(defect.value for defect in recovered.defects)


@given(malformed, sizes)
@settings(max_examples=300, deadline=None)
def test_lenient_reading_is_the_references_in_any_chunks(text: str, cuts: list[int]) -> None:
    expected = list(lenient.attempts(text))
    assert all_plain(recovering.attempts(text)) == all_plain(expected)
    wanted = [attempt for attempt in expected if isinstance(attempt, lenient.RecoveredAnnotation)]
    events = list(read(chunks_of(text, cuts), "lenient", None))
    assert "".join(event.raw for event in events) == text
    found = [e for e in events if isinstance(e, (parsing.Recovered, parsing.Annotation))]
    assert [(e.query, e.value, e.span.start, e.span.end) for e in found] == [
        (r.query, r.value, r.start, r.end) for r in wanted
    ]
    assert [codes(getattr(e, "defects", ())) for e in found] == [tuple(f"D{n}" for n in numbers(r)) for r in wanted]


@given(malformed, st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_a_lenient_reader_holds_back_a_region_and_no_more(text: str, size: int) -> None:
    parser = StreamingParser("lenient", 64)
    most = 64 + recovering.LONGEST_REGION + 2 * recovering.LONGEST_OPENER
    for start in range(0, len(text), size):
        parser.feed(text[start : start + size])
        assert parser.held_back <= most
    assert "".join(e.raw for e in read(chunks_of(text, [size]), "lenient", 64)) == text


FAMILIES = [
    "[", "[__DC__(", rig.OPEN, rig.OPEN + "a", rig.OPEN + "a" + rig.ARROW, rig.OPEN + "a[__DC__(" + rig.ARROW,
    rig.OPEN + "a[__DC__(" + rig.ARROW + "b[__DC__(", rig.OPEN + " " * 1000, rig.OPEN + "a" + rig.ARROW + "b" * 1000, '"',
    "$", "**DC**(\"", "_", "\\", "[ ", "__DC__(\"a\" -->", "\n", "[ \t", rig.OPEN + "a" + rig.ARROW + "5" + rig.CLOSE, "[[",
    "&quot;",
    "[ __DC__(" + "\t" * 8,
]  # fmt: skip


ONE_CANDIDATE = {
    "one query": (rig.OPEN + "a", "a"),
    "one value": (rig.OPEN + "a" + rig.ARROW, "5"),
    "one value of half openers": (rig.OPEN + "a" + rig.ARROW, "[__DC__("),
    "one recovered value": ("[ __DC__('a') --> '", "5 "),
}
"""Texts that are one candidate, alive to the end: what is held back grows, and must not be read again with each chunk."""


@pytest.mark.parametrize("profile", parsing.PROFILES)
@pytest.mark.parametrize("size", [1, 64, 10**6], ids=str)
def test_time_grows_with_the_text_and_not_with_its_square(profile: str, size: int) -> None:
    # A reader whose time is the square of the text takes a thousand times as long for 32 times the text. A quarter of that is
    # the bound: eight times what is proportional, in this thread's own time, so that a busy machine does not matter.
    short = 1_000 if size == 1 else 4_000

    def seconds(family: str, length: int) -> float:
        head, piece = ONE_CANDIDATE.get(family, ("", family))
        text = head + piece * max(1, length // len(piece))
        started = time.thread_time()
        for _ in read((text[at : at + size] for at in range(0, len(text), size)), profile, None):
            pass
        return time.thread_time() - started

    slow = [*FAMILIES, *ONE_CANDIDATE]
    for _ in range(4):
        slow = [family for family in slow if seconds(family, 32 * short) > 256 * max(seconds(family, short), 2e-4)]
    assert slow == []


@pytest.mark.parametrize("profile", parsing.PROFILES)
def test_nothing_recurses(profile: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(120)
    try:
        for family in FAMILIES:
            parsing.parse(family * (20_000 // len(family)), profile)
    finally:
        sys.setrecursionlimit(limit)


BLOCK = ("prose \u2013 with [brackets] and _marks_ " * 40 + rig.serialise_annotation("what was it?", "5%")) * 16
MEGABYTE = 2**20
HELD = rig.DEFAULT_MAX_CANDIDATE + recovering.LONGEST_REGION + 2 * recovering.LONGEST_OPENER
"""Code points that a reader may hold back, the lenient one."""


def most_bytes(annotations: int) -> int:
    """What reading a file may take, however long it is.

    Of the chunk and what was held back there are at the most six copies of four bytes a code point: as bytes, decoded, joined,
    cut into texts, held back again, and what lenient reading is looking at. Each annotation of a chunk is two events, of a
    kilobyte.
    """
    return 6 * 4 * (parsing.CHUNK + HELD) + annotations * 2 * 2**10


@pytest.mark.parametrize("profile", parsing.PROFILES)
def test_a_long_document_is_read_in_the_memory_of_a_short_one(profile: str, tmp_path: Path) -> None:
    blocks = 8 * MEGABYTE // len(BLOCK)
    path = tmp_path / "long.txt"
    path.write_text(BLOCK * blocks, encoding="utf-8", newline="")
    tracemalloc.start()
    try:
        found = sum(isinstance(event, parsing.Annotation) for event in read_file(path, profile))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 16 * blocks
    assert peak < most_bytes(16 * (parsing.CHUNK + HELD) // len(BLOCK))


@pytest.mark.parametrize(("content", "message"), [
    (gzip.compress(b"x", mtime=0), "is compressed with gzip"),
    ("some words".encode("utf-16"), "is UTF-16"),
    ("some words".encode("utf-16-le"), "looks like UTF-16"),
    (b"caf\xe9", "can't decode byte 0xe9"),
])  # fmt: skip
def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_file(tmp_path / "a.txt"))


READING = """
import resource, sys
from impls.rig.parser import Annotation, read_file
short, long, profile = sys.argv[1:]
def found(path):
    return sum(isinstance(event, Annotation) for event in read_file(path, profile))
found(short)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found(long), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("what", "profile"), [
    *(("answers", profile) for profile in parsing.PROFILES),
    ("one query", "strict"), ("one value of half openers", "official"), ("one recovered value", "lenient"),
])  # fmt: skip
def test_a_hundred_megabytes_take_no_more_of_the_machine_than_one(what: str, profile: str, tmp_path: Path) -> None:
    head, piece = ONE_CANDIDATE.get(what, ("", BLOCK))
    piece *= max(1, 10_000 // len(piece))
    for name, megabytes in (("short", 1), ("long", 100)):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            file.write(head)
            written = len(piece.encode())
            for _ in range(megabytes * MEGABYTE // written):
                file.write(piece)
    arguments = [sys.executable, "-c", READING, str(tmp_path / "short"), str(tmp_path / "long"), profile]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    found, grown = map(int, done.stdout.split())
    assert found == (0 if head else 16 * (100 * MEGABYTE // written))
    # In kibibytes, but for macOS, which counts bytes. Reading the short one has taken all that is taken once.
    assert grown * (1 if sys.platform == "darwin" else 2**10) < most_bytes(16 * (parsing.CHUNK + HELD) // len(BLOCK))


def test_a_stream_can_be_cancelled_at_any_time() -> None:
    for profile in parsing.PROFILES:
        parser = StreamingParser(profile)
        parser.feed("text " + rig.OPEN + "q")
        parser.cancel()
        parser.cancel()
        assert parser.held_back == 0
        with pytest.raises(ValueError, match="fed after close"):
            parser.feed("x")
    fed: list[int] = []

    def endless() -> object:
        while True:
            fed.append(1)
            yield "text "

    events = read(endless())  # type: ignore[arg-type]
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(fed) == 1


def test_a_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="found the profile 'lax', expected one of strict, official, lenient"):
        StreamingParser("lax")


@pytest.mark.parametrize("where", ["chunk", "document"])
def test_a_lone_surrogate_is_refused_as_the_reference_refuses_it(where: str) -> None:
    with pytest.raises(ValueError, match=r"lone surrogate U\+D800 at 4"):
        strict.find_annotations("text\ud800 more\u2013") if where == "document" else StreamingParser().feed("text\ud800")
    assert strict.find_annotations(rig.OPEN + "\ud800" + rig.ARROW + rig.CLOSE, "official")[0][0] == "\ud800"


@pytest.mark.parametrize(("text", "rendered"), [
    ("The share was [__DC__('what was the share of women?') --> \"52%\"].",
     "a.txt:1:23: error D4: expected '\"', found \"'\" (U+0027)\n"
     "    The share was [__DC__('what was the share of women?') --> \"52%\"].\n"
     "                          ^\n"
     '    write: [__DC__("what was the share of women?") --> "52%"]'),
    ('one\n\u4e00 [__DC__("q1?") -> "5"]',
     "a.txt:2:19: error D5: expected '-> \"', found '>' (U+003E)\n"
     '    \u4e00 [__DC__("q1?") -> "5"]\n'
     "                       ^\n"
     '    write: [__DC__("q1?") --> "5"]'),
    ('[__DC__("a', "a.txt:1:11: error truncated: expected more of the query or '\") --> \"', found the end of the text\n"
     '    [__DC__("a\n              ^'),
    ('[__DC__(" ") --> "5"]', "a.txt:1:11: error lost: expected a character that is not white space (the query is blank), "
     "found '\"' (U+0022)\n    [__DC__(\" \") --> \"5\"]\n              ^"),
    ('[__DC__("a") --> "5\n6"]',
     "a.txt:1:20: error D14: expected more of the value or '\"]', found the end of the line (U+000A)\n"
     '    [__DC__("a") --> "5\n                       ^\n    write: [__DC__("a") --> "5 6"]'),
    ('[__DC__("a") --> "5" million]', "a.txt:1:21: error D9: expected ']', found ' ' (U+0020)\n"
     '    [__DC__("a") --> "5" million]\n                        ^'),
])  # fmt: skip
def test_a_diagnostic_says_what_a_compiler_would(text: str, rendered: str) -> None:
    assert [diagnostic.render("a.txt") for diagnostic in diagnose(text)] == [rendered]


@given(malformed)
@settings(max_examples=200, deadline=None)
def test_a_suggestion_written_in_is_read_strictly_and_everything_unread_has_a_diagnostic(text: str) -> None:
    found = diagnose(text)
    for each in found:
        assert 0 <= each.start <= each.at <= len(text)
        assert text.split("\n")[each.line - 1][each.column - 1 :] == text[each.at :].split("\n")[0]
        if each.suggestion is not None:
            (whole,) = rig.parse(each.suggestion)
            assert isinstance(whole, rig.AnnotationEvent)
    if not rig.is_well_formed(text):
        assert found


def test_a_document_of_a_hundred_thousand_broken_annotations_is_diagnosed() -> None:
    source = random.Random(1)
    broken = ["[__DC__('q1?') --> \"5\"] ", '[__DC__("q1?") -> "5"]\n', '__DC__("q1?") --> "5"] ']
    text = "".join(source.choices(broken, k=20_000))
    assert len(diagnose(text)) == 20_000
