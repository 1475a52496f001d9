"""What belongs together is merged in any order; what does not is refused, with the file and the reason."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.records.fields import RecordError
from conformance.records.schema import Verdict
from reports.charts.gallery import Gallery
from reports.markdown import blocks, inline
from reports.merge import load
from reports.ranking import Status, fastest, main_workload, ranking
from reports.sections.choice import choice
from reports.sections.provenance import headline, reproduction
from reports.sections.rankings import FEW, ranking_of
from tests.reports import records_for_tests as made

LATER = "2026-11-24T08:00:00Z"


def one_verdict(**changes: Any) -> list[dict[str, Any]]:
    return [made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4, **changes)]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    bug = made.mutant("ademamix", "ademamix/bug", "Is wrong.", ["ADM-01"], {"ADM-01": 9.0}, ["ADM-01"])
    return made.write(tmp_path / "first.jsonl", [*one_verdict(), bug], cases={"rig": 8})


def second(folder: Path, body: list[dict[str, Any]], **header: Any) -> Path:
    return made.write(folder / "second.jsonl", body, **{"started": LATER, **header})


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    paths = [
        made.write(tmp_path / "a.jsonl"),
        made.write_gpu_run(tmp_path / "b.jsonl"),
        made.write(tmp_path / "c.jsonl", one_verdict(margin=0.9), started="2026-11-23T07:00:00Z"),
    ]
    merged = [load(order) for order in itertools.permutations(paths)]
    assert all(evidence == merged[0] for evidence in merged)
    assert [source.name for source in merged[0].sources] == ["c.jsonl", "a.jsonl", "b.jsonl"]
    assert [source.label for source in merged[0].sources] == ["A", "B", "C"]


def test_the_same_file_twice_is_one_run(tmp_path: Path, first: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(first.read_bytes())
    assert load([first, copy, first]) == load([copy, first])
    assert len(load([first, copy]).sources) == 1


def test_a_part_beside_the_whole_that_it_was_merged_into_is_measured_once(tmp_path: Path) -> None:
    part, other = made.measurement("ademamix/numpy", 1.5), made.measurement("ademamix/triton", 5.0)
    files = [made.write(tmp_path / "part.jsonl", [part]), second(tmp_path, [part, other])]
    assert [m.implementation for m in load(files).measurements] == ["ademamix/numpy", "ademamix/triton"]
    # Another run of the same workload is another measurement.
    again = made.write(
        tmp_path / "again.jsonl", [{**part, "median_s": 1.0, "low_s": 1.0, "high_s": 1.0}], started="2026-11-25T08:00:00Z"
    )
    assert len(load([*files, again]).measurements) == 3


def test_the_same_verdict_twice_keeps_the_worse_margin(tmp_path: Path, first: Path) -> None:
    other = second(tmp_path, one_verdict(margin=0.875))
    (result,) = load([first, other]).results
    assert result.margin == 0.875


def test_margins_are_compared_as_numbers(tmp_path: Path) -> None:
    margins = (9.0, 10.0)
    body = [one_verdict(verdict=Verdict.FAIL, margin=margin) for margin in margins]
    paths = [made.write(tmp_path / "a.jsonl", body[0]), second(tmp_path, body[1])]
    (result,) = load(paths).results
    assert result.margin == max(margins)


def test_a_verdict_outweighs_not_run(tmp_path: Path, first: Path) -> None:
    other = second(tmp_path, one_verdict(verdict=Verdict.NOT_RUN, margin=None, message="no such device"))
    (result,) = load([other, first]).results
    assert result.verdict is Verdict.PASS


def test_the_installed_version_outweighs_the_missing_package(tmp_path: Path) -> None:
    absent = {**made.implementation("ademamix/optax", "package", "optax", None), "missing": ["optax"]}
    present = made.implementation("ademamix/optax", "package", "optax", "0.2.8")
    a = made.write(tmp_path / "a.jsonl", [], implementations=[absent])
    b = second(tmp_path, [], implementations=[present])
    (implementation,) = load([a, b]).implementations
    assert implementation.version == "0.2.8"


REFUSALS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "another suite": (
        one_verdict(),
        {"suite": "0.2.0"},
        r"second\.jsonl: was written by suite 0\.2\.0, but first\.jsonl by suite 0\.1\.0",
    ),
    "a contradiction": (
        one_verdict(verdict=Verdict.FAIL, margin=2.0),
        {},
        r"second\.jsonl: ademamix/torch on ADM-01 \(d8-t1, float32, cpu\) is 'fail' here and 'pass' in first\.jsonl",
    ),
    "a crash against a pass": (
        one_verdict(verdict=Verdict.ERROR, margin=None),
        {},
        r"is 'error' here and 'pass' in first\.jsonl",
    ),
    "a rule that reads differently": (
        [],
        {"requirements": [{**made.header()["requirements"][0], "statement": "Something else."}]},
        r"second\.jsonl: its requirement ADM-01 reads differently in first\.jsonl",
    ),
    "a system that reads differently": (
        [],
        {"systems": [{**made.SYSTEMS[0], "title": "Other"}]},
        "its system 'ademamix' reads differently",
    ),
    "another numerical class": (
        [],
        {"implementations": [{**made.implementation("ademamix/torch"), "numerical_class": "float32-hyperparameters"}]},
        r"declares the numerical class 'float32-hyperparameters' here and 'strict' in first\.jsonl",
    ),
    "another version": (
        [],
        {"implementations": [made.implementation("ademamix/optax", "package", "optax", "0.2.9")]},
        r"ademamix/optax is version 0\.2\.9 here and 0\.2\.8 in first\.jsonl",
    ),
}


REFUSALS |= {
    "as many cases": ([], {"cases": {"rig": 7}}, r"second\.jsonl: its suite has 7 cases for rig, that of first\.jsonl has 8"),
    "two verdicts in one": (
        [*one_verdict(device="cuda"), *one_verdict(device="cuda", verdict=Verdict.ERROR, margin=None)],
        {},
        r"second\.jsonl: holds two verdicts on ademamix/torch for ADM-01 d8-t1: ",
    ),
    "a mutant that reads differently": (
        [made.mutant("ademamix", "ademamix/bug", "Says another thing.", ["ADM-01"], {}, ["ADM-01"])],
        {},
        r"second\.jsonl: its mutant ademamix/bug reads differently in first\.jsonl",
    ),
    "a mutant that is caught in one": (
        [made.mutant("ademamix", "ademamix/bug", "Is wrong.", ["ADM-01"], {}, ["ADM-01"], verdict="survived")],
        {},
        r"second\.jsonl: the mutant ademamix/bug is 'survived' here and 'killed' in first\.jsonl",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_does_not_belong_together_is_refused(what: str, tmp_path: Path, first: Path) -> None:
    body, header, message = REFUSALS[what]
    with pytest.raises(RecordError, match=message):
        load([second(tmp_path, body, **header), first])


def cut_short(path: Path) -> None:
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")


def forged(path: Path) -> None:
    made.rewrite(path, {"verdict": "fail"}, line=1)


def other_schema(path: Path) -> None:
    made.rewrite(path, {"schema": 99})


def not_json(path: Path) -> None:
    path.write_text("hello\n", encoding="utf-8")


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def absent(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_short, "no footer"),
        (forged, "do not match the footer's digest"),
        (other_schema, "found schema 99"),
        (not_json, "not JSON"),
        (binary, "cannot be read"),
        (empty, "no header"),
        (absent, "cannot be read"),
    ],
)
def test_a_spoilt_file_is_refused_by_name(spoil: Callable[[Path], None], message: str, first: Path) -> None:
    spoil(first)
    with pytest.raises(RecordError, match=rf"first\.jsonl.*{message}"):
        load([first])


@pytest.mark.parametrize(
    "line",
    [
        {"record": "verdict", "implementation": "ademamix/torch"},
        {**one_verdict()[0], "verdict": "splendid"},
        {**one_verdict()[0], "margin": "large"},
        {**one_verdict()[0], "margin": True},
        {**one_verdict()[0], "case": 7},
        {"record": "mutant", "system": "rig"},
        {"record": "measurement", "system": "rig"},
    ],
    ids=json.dumps,
)
def test_a_malformed_line_is_refused_by_the_name_of_its_file(line: dict[str, Any], tmp_path: Path) -> None:
    path = made.write(tmp_path / "odd.jsonl", [line])
    with pytest.raises(RecordError, match=r"odd\.jsonl, line 2, a (verdict|mutant|measurement): .*(found|missing)"):
        load([path])


def test_nothing_is_refused() -> None:
    with pytest.raises(RecordError, match="no record file given"):
        load([])


def test_the_league_is_sorted_by_status_then_margin(tmp_path: Path) -> None:
    rows = ranking(load([made.write(tmp_path / "a.jsonl")]), "ademamix")
    assert [row.implementation.slug for row in rows] == [
        *("numpy", "torch", "triton"),
        *("heavyball", "optax", "pytorch-optimizer"),
        *("bitsandbytes-32bit", "apple"),
    ]
    assert [row.status for row in rows] == [Status.RIGHT] * 3 + [Status.WRONG] * 3 + [Status.CRASHES, Status.NOT_JUDGED]
    assert rows[-1].reason == made.NOT_INSTALLED["ademamix/apple"]


def test_the_fastest_conforms_and_an_accelerator_is_the_main_workload(tmp_path: Path) -> None:
    evidence = load([made.write(tmp_path / "a.jsonl"), made.write_gpu_run(tmp_path / "b.jsonl")])
    main = main_workload(evidence, "sigmoid_attention")
    assert main is not None
    assert (main.device, main.run, main.baseline) == ("cuda", "B", "sigmoid_attention/torch")
    rows = ranking(evidence, "ademamix")
    first_place, level = fastest(rows, main_workload(evidence, "ademamix"))
    assert first_place is not None
    assert first_place.implementation == "ademamix/triton"
    assert level == []


def test_the_baseline_has_speed_one_whatever_its_pair_says(tmp_path: Path) -> None:
    body = [made.measurement("ademamix/torch", 0.7, decision="baseline", aa=True), made.measurement("ademamix/numpy", 0.9)]
    main = main_workload(load([made.write(tmp_path / "a.jsonl", body)]), "ademamix")
    assert main is not None
    assert {name: measured.speed for name, measured in main.measurements.items()} == {
        "ademamix/torch": 1.0,
        "ademamix/numpy": 0.9,
    }


def test_overlapping_intervals_cannot_be_told_apart(tmp_path: Path) -> None:
    evidence = load([made.write(tmp_path / "a.jsonl")])
    first_place, level = fastest(ranking(evidence, "sigmoid_attention"), main_workload(evidence, "sigmoid_attention"))
    assert first_place is not None
    assert first_place.implementation == "sigmoid_attention/triton"
    assert [row.implementation for row in level] == ["sigmoid_attention/triton-sigmoid"]


def test_a_wide_interval_does_not_make_anybody_the_fastest(tmp_path: Path) -> None:
    wide = made.measurement("ademamix/numpy", 6.34, ratio_low=0.51, ratio_high=12.7, decision="undecided")
    body = [wide, made.measurement("ademamix/optax", 2.0), made.measurement("ademamix/torch", 1.0, aa=True)]
    evidence = load([made.write(tmp_path / "a.jsonl", body)])
    rows = [replace(row, status=Status.RIGHT) for row in ranking(evidence, "ademamix")]
    first_place, level = fastest(rows, main_workload(evidence, "ademamix"))
    assert first_place is not None
    assert first_place.implementation == "ademamix/optax"
    assert [row.implementation for row in level] == ["ademamix/numpy"]


def test_a_ratio_to_a_slowed_baseline_makes_nobody_the_fastest(tmp_path: Path) -> None:
    disbelieved = made.measurement("ademamix/numpy", 6.3, ratio_low=5.1, ratio_high=7.0, decision="undecided")
    wide = {"ratio_low": 0.6, "ratio_high": 4.0, "decision": "undecided", "median_s": 1e-2, "low_s": 9e-3, "high_s": 2e-2}
    body = [disbelieved, made.measurement("ademamix/optax", 1.5, **wide), made.measurement("ademamix/torch", 1.0, aa=True)]
    evidence = load([made.write(tmp_path / "a.jsonl", body)])
    rows = [replace(row, status=Status.RIGHT) for row in ranking(evidence, "ademamix")]
    first_place, level = fastest(rows, main_workload(evidence, "ademamix"))
    assert first_place is not None
    assert (first_place.implementation, level) == ("ademamix/torch", [])


def test_speeds_are_compared_where_the_most_that_conform_were_measured(tmp_path: Path) -> None:
    """What fails takes part in small work alone: it does not make the small work the one that all are compared on."""
    small = [
        made.measurement(f"ademamix/{name}", 1.0, workload="small", amount=1e3) for name in ("numpy", "torch", "heavyball")
    ]
    large = [made.measurement(f"ademamix/{name}", 1.0, workload="large", amount=1e9) for name in ("numpy", "torch")]
    judged = made.verdict_lines()
    main = main_workload(load([made.write(tmp_path / "a.jsonl", [*judged, *small, *large])]), "ademamix")
    assert main is not None
    assert main.workload == "large"
    # Where nothing was judged, whatever was measured counts.
    main = main_workload(load([made.write(tmp_path / "b.jsonl", [*small, *large])]), "ademamix")
    assert main is not None
    assert main.workload == "small"


def test_who_is_far_behind_by_its_own_time_is_not_first_whatever_its_ratio(tmp_path: Path) -> None:
    wide = {"ratio_low": 0.97, "ratio_high": 1.2, "decision": "undecided", "median_s": 13e-3, "low_s": 13e-3, "high_s": 14e-3}
    slowed = made.measurement("ademamix/numpy", 1.13, **wide)
    ahead = made.measurement("ademamix/optax", 0.96, ratio_low=0.95, ratio_high=0.97, median_s=6e-3, low_s=6e-3, high_s=6.1e-3)
    evidence = load([made.write(tmp_path / "a.jsonl", [slowed, ahead])])
    rows = [replace(row, status=Status.RIGHT) for row in ranking(evidence, "ademamix")]
    first_place, level = fastest(rows, main_workload(evidence, "ademamix"))
    assert first_place is not None
    assert (first_place.implementation, level) == ("ademamix/optax", [])


def test_a_run_of_a_few_cases_has_not_covered_the_suite(tmp_path: Path) -> None:
    """As after --quick, -k or -x: all of its cases passed, and most of the suite's were never put."""
    evidence = load([made.write(tmp_path / "quick.jsonl", one_verdict(), cases={"ademamix": 200})])
    row = next(row for row in ranking(evidence, "ademamix") if row.status is Status.RIGHT)
    assert (row.share, row.is_ranked) == (1.0, False)
    ademamix = evidence.systems[0]
    assert FEW in ranking_of(evidence, ademamix, Gallery())
    whole = load([made.write(tmp_path / "whole.jsonl", one_verdict(), cases={"ademamix": 2})])
    assert next(row for row in ranking(whole, "ademamix") if row.status is Status.RIGHT).is_ranked
    assert "1 of 1 implementation of ours that were judged" in blocks([choice(whole, ademamix)])


@pytest.mark.parametrize("change", [{"margin": 1.5}, {"margin": "inf"}, {"ratio": -2.0}, {"median_s": 0}], ids=str)
def test_a_speed_that_its_own_line_contradicts_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = made.write(tmp_path / "odd.jsonl", [{**made.measurement("ademamix/torch", 1.5), **change}])
    with pytest.raises(RecordError, match=r"odd\.jsonl, line 2, a (verdict|mutant|measurement): .*(found|missing)"):
        load([path])


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 1.5},
        {"margin": "inf"},
        {"margin": None},
        {"margin": -1},
        {"verdict": "fail"},
        {"verdict": "splendid"},
        {"system": "rig"},
    ],
    ids=str,
)
def test_a_verdict_that_its_own_line_contradicts_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = made.write(tmp_path / "odd.jsonl", [{**one_verdict()[0], **change}])
    with pytest.raises(RecordError, match=r"odd\.jsonl, line 2, a (verdict|mutant|measurement): .*(found|missing)"):
        load([path])


def test_a_run_of_unusable_plugs_says_so_on_the_first_screen(tmp_path: Path) -> None:
    failures = [{"spec": "no:thing", "message": "no module named 'no'"}]
    evidence = load([made.write(tmp_path / "none.jsonl", [], implementations=[], plug_failures=failures)])
    assert "1 plug could not be used" in inline(headline(evidence))
    assert "could not be used" not in headline(load([made.write(tmp_path / "some.jsonl")]))


def test_the_command_of_a_run_of_some_cases_says_which(tmp_path: Path) -> None:
    options = {**made.header()["options"], "keyword": "RIG-0 and not $HOME"}
    assert "-k 'RIG-0 and not $HOME'" in blocks(reproduction(load([made.write(tmp_path / "some.jsonl", options=options)])))
