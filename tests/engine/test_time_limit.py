"""Only processor time counts, and what waits for ever is told from what computes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance.engine import time_limit as engine
from conformance.engine.time_limit import (
    NoAnswer,
    TimeLimitExceeded,
    Watch,
    group_queued_seconds,
    group_seconds,
    queued_seconds,
    time_limit,
    wait,
    watch_of_group,
)


def spin() -> None:
    while True:
        pass


def test_what_computes_too_long_is_interrupted_and_what_is_quick_is_not() -> None:
    message = r"no answer within 0\.1 s of processor time \(GAUGEBLOCK_TEXT_SECONDS sets the limit\)"
    with pytest.raises(TimeLimitExceeded, match=message), time_limit(0.1):
        spin()
    with time_limit(0.1):
        time.sleep(0.3)  # waiting costs nothing


def test_what_waits_for_ever_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "IDLE_S", 0.2)
    with pytest.raises(NoAnswer, match="it waits for something"), time_limit(60.0):
        time.sleep(600)


def test_an_outer_limit_goes_on() -> None:
    with pytest.raises(TimeLimitExceeded, match=r"0\.3 s"), time_limit(0.3):  # noqa: PT012
        with time_limit(60.0):
            pass
        spin()


def test_infinity_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.signal, "setitimer", None)
    with time_limit(float("inf")):
        pass


@pytest.mark.parametrize(
    ("looks", "error"),
    [
        ([(10.0, 1.0), (20.0, 2.0), (40.0, 9.0), (90.0, 10.0)], None),  # slow since the machine is busy
        ([(1.0, 10.1)], TimeLimitExceeded),
        ([(29.0, 0.0)], None),
        ([(30.0, 0.2)], NoAnswer),
        ([(30.0, 0.4), (50.0, 0.4), (59.0, 0.4)], None),
        ([(30.0, 0.4), (50.0, 0.4), (60.0, 0.4)], NoAnswer),
    ],
)
def test_a_watch_looks_at_processor_time(
    looks: list[tuple[float, float]], error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At moments of a scripted clock, with the processor time used by then."""
    now = [(0.0, 0.0)]
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: now[-1][0]))
    watch = Watch(lambda: now[-1][1], 10.0)
    for look in looks[:-1]:
        now.append(look)
        watch.look()
    now.append(looks[-1])
    if error is None:
        watch.look()
    else:
        with pytest.raises(error):
            watch.look()


def test_what_waits_for_a_processor_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"clock": 0.0, "queued": 5.0}
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: now["clock"]))
    watch = Watch(lambda: 0.0, 10.0, queued=lambda: now["queued"])
    now.update(clock=40.0, queued=30.0)
    watch.look()
    now.update(clock=80.0, queued=45.0)
    with pytest.raises(NoAnswer):
        watch.look()


def test_waiting_for_a_processor_is_read_where_the_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    assert queued_seconds() >= 0.0
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: "1 2500000000 3\n")
    assert queued_seconds() == 2.5
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: "nothing")
    assert queued_seconds() == 0.0


def test_the_time_in_which_a_group_waits_for_a_processor_is_read_thread_by_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that is made up, as the kernel has it in ``/proc``."""
    for process, group, threads in ((5, 5, {5: 2.0, 6: 0.5}), (7, 5, {7: 1.0}), (8, 8, {8: 100.0})):
        for thread, queued in threads.items():
            (tmp_path / f"{process}/task/{thread}").mkdir(parents=True)
            (tmp_path / f"{process}/task/{thread}/schedstat").write_text(f"1 {round(queued * 1e9)} 3\n")
        (tmp_path / f"{process}/stat").write_text(f"{process} (a ) name) S 1 {group} {group} " + "0 " * 20)
    monkeypatch.setattr(engine, "Path", lambda path: tmp_path if path == "/proc" else Path(path))
    assert group_queued_seconds(5) == 3.5
    assert group_queued_seconds(9) == 0.0


def test_a_group_that_waits_for_a_processor_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"clock": 0.0, "queued": 5.0}
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: now["clock"]))
    monkeypatch.setattr(engine, "group_seconds", lambda group: 0.0)
    monkeypatch.setattr(engine, "group_queued_seconds", lambda group: now["queued"])
    watch = watch_of_group(1, 10.0)
    now.update(clock=40.0, queued=30.0)
    watch.look()
    now.update(clock=80.0, queued=45.0)
    with pytest.raises(NoAnswer):
        watch.look()


def test_a_group_that_a_signal_has_stopped_is_given_up_after_some_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that is made up; one process of the group has ended and was not waited for."""
    for process, state in ((5, "T"), (6, "Z"), (7, "T"), (8, "R")):
        (tmp_path / str(process)).mkdir()
        (tmp_path / f"{process}/stat").write_text(f"{process} (a ) name) {state} 1 {5 if process < 8 else 8} 1 " + "0 " * 20)
    monkeypatch.setattr(engine, "Path", lambda path: tmp_path if path == "/proc" else Path(path))
    assert [engine.group_is_stopped(group) for group in (5, 8, 9)] == [True, False, False]
    states = [True] * (engine.MOST_STOPS - 1) + [False] + [True] * engine.MOST_STOPS
    left = iter(states)
    watch = Watch(lambda: 0.0, 10.0, is_stopped=lambda: next(left))
    for _ in states[:-1]:
        watch.look()
    with pytest.raises(NoAnswer, match="was stopped by a signal"):
        watch.look()


@pytest.mark.parametrize(("proc", "seconds"), [(True, 0.3), (False, 1.5)])  # ps counts whole seconds on Linux
def test_processor_time_of_a_process_is_read_with_and_without_proc(
    proc: bool, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not proc:
        monkeypatch.setattr(engine, "Path", lambda path: SimpleNamespace(exists=lambda: False, glob=lambda _: ()))
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        with pytest.raises(TimeLimitExceeded):
            wait(process, seconds)
        assert group_seconds(process.pid) > seconds
    finally:
        process.kill()
        process.wait()
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"], start_new_session=True)
    assert wait(ended, 60.0) == 7


@pytest.mark.parametrize(("text", "seconds"), [("0:01.25", 1.25), ("00:02:03", 123.0), ("1-00:00:01", 86401.0)])
def test_what_ps_writes_is_read(text: str, seconds: float) -> None:
    assert engine._clock_seconds(text) == seconds
