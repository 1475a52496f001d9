"""The table of speeds: grouped by workload, the fastest first, and no ratio between readers of different grammars."""

from __future__ import annotations

from typing import Any

from conformance.pytest_plugin.speed_table import speed_table
from conformance.records.schema import MeasurementRecord

DECISION = {"ratio_low": 1.9, "ratio_high": 2.1, "ratio": 2.0, "decision": "faster", "margin": 0.25}


def speeds(name: str, median_s: float | None, **fields: Any) -> list[MeasurementRecord]:
    system = name.partition("/")[0]
    given: dict[str, Any] = {
        "system": system, "implementation": name, "workload": "1e6", "description": "one step", "device": "cpu",
        "baseline": f"{system}/eager", "verdict": "measured", "median_s": median_s,
    }  # fmt: skip
    return [MeasurementRecord(**{**given, "cache": cache, **fields}) for cache in ("warm", "cold")]


def test_the_fastest_comes_first_with_its_ratios_and_its_margin() -> None:
    found = speed_table(
        [
            *speeds("ademamix/eager", 2e-3, ratio=1.0, margin=0.0, decision="baseline"),
            *speeds(
                "ademamix/slow", 4e-3, **{**DECISION, "ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6, "decision": "slower"}
            ),
            *speeds("ademamix/cpu", 1e-3, **DECISION),
            *speeds("ademamix/noisy", 1.5e-3, **{**DECISION, "decision": "undecided"}),
            *speeds("ademamix/wrong", None, verdict="wrong answer", message="theta is off", margin=9.0),
            *speeds("ademamix/wrong-too", None, verdict="wrong answer", message="theta is off", margin=9.0),
            *speeds("ademamix/other", None, verdict="unsupported", message="declares no schedules"),
            *speeds("ademamix/absent", None, verdict="not run", message="needs jax"),
        ],
        {},
    )
    assert list(found) == [
        "",
        "ademamix 1e6 on cpu: one step",
        "         time    beside eager, cold      beside eager, warm      margin",
        "  cpu    1 ms    2x faster [1.9, 2.1]    2x faster [1.9, 2.1]    0.25",
        "  noisy  1.5 ms  undecided               undecided               0.25",
        "  eager  2 ms    the baseline            the baseline            0",
        "  slow   4 ms    0.5x slower [0.4, 0.6]  0.5x slower [0.4, 0.6]  0.25",
        "  wrong, wrong-too: WRONG ANSWER, so no speed: theta is off",
        "  1 unsupported, 1 not run",
    ]


def test_each_grammar_has_an_order_of_its_own() -> None:
    records = [*speeds("rig/eager", 2e-6, ratio=1.0, margin=0.0), *speeds("rig/strict", 1e-6, **DECISION)]
    found = list(speed_table(records, {"rig/eager": "official", "rig/strict": "strict"}))
    assert found[2:] == [
        "  official grammar  time  beside eager, cold  beside eager, warm  margin",
        "  eager             2 us  the baseline        the baseline        0",
        "  strict grammar  time  margin",
        "  strict          1 us  0.25",
    ]


def test_a_workload_that_nobody_could_run_is_left_out() -> None:
    assert not list(speed_table(speeds("ademamix/cuda", None, verdict="not run", message="needs a device"), {}))
