"""The mixed documents are what their combinations say, and our readers read them as the reference does."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import pytest

from conformance.engine.check import run_check
from conformance.engine.interactions import Combination, covered
from conformance.engine.selection import checks_of
from conformance.rig.harness.subject import RigSubject
from conformance.rig.interactions import (
    ALL,
    EXTREMES,
    SPECIAL,
    STARTS,
    cases,
    chunks,
    document,
    failed,
    number_in,
    pieces,
    segments,
)
from impls.rig import strict
from reference import rig
from reference.rig.official import PATTERN


def test_every_pair_of_values_is_in_a_case_of_reading() -> None:
    reading = [case for check in checks_of("rig") if check.requirement in ("RIG-74", "RIG-75") for case in check.cases]
    possible = set(itertools.chain.from_iterable(each.pairs for each in ALL))
    assert covered(reading) == possible
    assert len(possible) > 7000


@pytest.mark.parametrize("special", SPECIAL)
def test_documents_hold_what_their_combination_says(special: str) -> None:
    for each in (one for one in ALL if one["special"] == special):
        text = document(each)
        parts = pieces(each)
        assert "".join(parts) == text
        assert len(parts) == 1 + 2 * (each["annotations"] + 2)
        unusual = parts[2 * {"first": 0, "middle": each["annotations"] // 2, "last": each["annotations"]}[each["place"]] + 3]
        query, value = re.fullmatch(r'\[__DC__\("(.*)"\) --> "(.*)"\]', unusual, re.DOTALL).groups()  # type: ignore[union-attr]
        part = {
            "text": parts[0].removeprefix(STARTS[each["start"]] + failed(each["failed"])),
            "query": query,
            "value": value,
            "nothing": "",
        }[each["long"].split()[0]]
        assert len(part) == number_in(each["long"])
        # The unusual annotation is there whatever stands before it, but for what takes its opener or its quotes for its own.
        assert (query, value) in [found[:2] for found in strict.find_annotations(text)] or each["special"] == "cut"


@pytest.mark.parametrize("profile", ["strict", "official"])
def test_our_reader_reads_them_as_the_reference_does(profile: str) -> None:
    for case in cases():
        for each in case.documents:
            assert strict.find_annotations(each.text, profile) == each.read(profile), each.combination


def test_chunks_and_segments_make_the_document() -> None:
    for each in ALL:
        assert "".join(chunks(each)) == document(each)
        if each["written"] != "text around":
            written = [s if isinstance(s, str) else f"{rig.OPEN}{rig.ARROW.join(s)}{rig.CLOSE}" for s in segments(each)]
            assert "".join(written) == document(each)


def test_a_reader_of_the_published_pattern_differs_in_readings_alone() -> None:
    """It is undeclared, so that it is held to the strict profile; the levels definition and interface hold all the same."""
    found = RigSubject(SimpleNamespace(parse=lambda text: [(m[1], m[2], *m.span()) for m in re.finditer(PATTERN, text)]))
    failed = set()
    for check in checks_of("rig"):
        if check.requirement in ("RIG-74", "RIG-75", "RIG-76"):
            for case in check.cases:
                failed |= {check.requirement for each in run_check(check, found, case, "") if not each.passed}
    assert failed == {"RIG-75"}


def lengths(each: Combination) -> list[int]:
    return [len(chunk) for chunk in chunks(each)]


def test_extremes_are_long() -> None:
    extremes = next(case for case in cases() if case.id == "extremes")
    assert len(extremes.extremes) == len(EXTREMES)
    assert sum(len(each.text) > 65_000 for each in extremes.documents) == 11
    assert {max(lengths(each)) for each in extremes.extremes} >= {8, 1024, 4096, 4097, 8192, 65_536}
