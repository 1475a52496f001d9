"""How the suite lives inside pytest: options in, test_cases and measurements as items, records and a summary out."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import pytest

from conformance.benchmark import environment
from conformance.benchmark.benchmark import Measurement, Outcome, measure, measurements, replay
from conformance.engine import xfails
from conformance.engine.discovery import Selection, listed, misnamed, select
from conformance.engine.mutation import Mutant, mutants_of, run_mutant
from conformance.engine.runner import (
    RuledOut,
    TestCase,
    divided,
    explain,
    requirements_of,
    run_test_case,
    test_cases,
    unjudged,
)
from conformance.engine.selection import Options, selected_cases
from conformance.pytest_plugin import workers
from conformance.pytest_plugin.terminal_summary import summary_table
from conformance.records import header as heading
from conformance.records import io as records
from conformance.records.schema import Verdict, VerdictRecord
from conformance.regression import compare, speeds
from impls.implementation import Implementation, in_one_line
from impls.systems import SYSTEMS
from impls.triton_support import interpret_without

LINES = pytest.StashKey[list[dict[str, Any]]]()
SELECTION = pytest.StashKey[Selection]()
BEGAN = pytest.StashKey[heading.Began]()
HEADER = pytest.StashKey[dict[str, Any]]()
TARGET = pytest.StashKey[Path | None]()
"""Where --records writes, absolute from the beginning, since an implementation may change the working directory."""
UNWRITTEN = pytest.StashKey[str]()
"""Why there are no records of this run; absent where they were written."""
EXPECTED = pytest.StashKey[tuple[xfails.Entry, ...]]()
EARLIER = pytest.StashKey[tuple[records.Run, ...]]()
"""The runs that --against names; empty without it."""
FINDINGS = pytest.StashKey[compare.Findings]()
TAKEN_AGAIN = "gaugeblock_taken_again"
"""Where a worker hands over the lines that it measured again."""
PROPERTY = "gaugeblock"
"""The key under which an item's record line travels in its report, also from a worker to the process that gathers them."""

GATHERER = "gaugeblock-gatherer"
MOST_STILLBORN = 10

DTYPES = ("float64", "float32", "bfloat16", "float16")


def add_options(parser: pytest.Parser) -> None:
    """The suite's options, in a group of their own."""
    group = parser.getgroup("gaugeblock", "Gaugeblock: conformance and speed of published systems")
    group.addoption(
        "--impl",
        action="append",
        default=[],
        metavar="SPEC",
        help="what to judge; repeatable. A listed name or glob ('ademamix/*', triton), 'built-in', 'peers', 'installed', or a "
        "plug: package.module:attribute, path/to/file.py:attribute, 'cmd:COMMAND'; SYSTEM= may stand before a plug. "
        "Default: all that is listed",
    )
    group.addoption(
        "--device", action="append", choices=["cpu", "cuda"], default=[], help="device to judge on; repeatable. Default: cpu"
    )
    group.addoption("--dtype", action="append", choices=DTYPES, default=[], help="only cases in this dtype; repeatable")
    group.addoption(
        "--quick",
        action="store_true",
        help="a small share of cases, each in one dtype, and of workloads; judges nothing that compiles first",
    )
    group.addoption(
        "--thorough", action="store_true", help="also the cases that take long: thousands of steps, several processes"
    )
    group.addoption("--records", metavar="FILE", help="write the run's verdicts and measurements to FILE (JSON lines)")
    group.addoption(
        "--xfails", metavar="FILE", help="known failures: REQUIREMENT [IMPLEMENTATION [CASE]] a line, globs allowed"
    )
    group.addoption(
        "--against",
        action="append",
        default=[],
        metavar="RECORDS",
        help="an earlier run, a record file or a folder of them; repeatable. A verdict lost, and a slowdown proven by "
        "measuring again, make the exit status non-zero and are named",
    )
    group.addoption("--list-impls", action="store_true", help="list the implementations and exit, importing none of them")


def configure(config: pytest.Config) -> None:
    """Prepare the run's stash; a bad --xfails or --against file ends the run before anything is judged."""
    workers.take_device(config)
    interpret_without(config.getoption("--device"))
    if hasattr(config, "workerinput") and not measures_only(config):
        # Workers share the cores already, so torch takes one thread in each. NumPy, loaded before this, keeps its own: with
        # another number of threads its products, and so the margins, would differ in the last place from a run without any.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    config.stash[LINES] = []
    config.pluginmanager.register(Gatherer(config), GATHERER)
    config.stash[BEGAN] = heading.Began()
    if config.getoption("--quick") and config.getoption("--thorough"):
        raise pytest.UsageError("found both --quick and --thorough; expected one of them, or neither")
    for name in ("--records", "--xfails"):
        if config.getoption(name) == "":
            raise pytest.UsageError(f"{name}: found no name, expected that of a file: {name}=FILE")
    file = config.getoption("--xfails")
    try:
        config.stash[EXPECTED] = xfails.read(file) if file else ()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    try:
        config.stash[EARLIER] = compare.read(config.getoption("--against"), environment.suite_version())
    except records.RecordError as error:
        raise pytest.UsageError(f"--against {error}") from None
    target = config.getoption("--records")
    config.stash[TARGET] = path = Path(target).absolute() if target else None
    if path is not None and path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "something that is no regular file"
        raise pytest.UsageError(f"--records {target}: found {found}, expected the name of a file to write")
    config.stash[UNWRITTEN] = "the run did not come to its end"


def check_workers(config: pytest.Config) -> None:
    """Refuse processes that would disturb each other."""
    workers.check(config, options_of(config).devices, measures_only(config))


def outlive_crashes(config: pytest.Config) -> None:
    """Let pytest-xdist replace a crashed worker as often as it takes: a run that gives up has verdicts missing."""
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "100000"


def options_of(config: pytest.Config) -> Options:
    """The judging options of this run."""
    return Options(
        devices=tuple(dict.fromkeys(config.getoption("--device"))) or ("cpu",),
        dtypes=tuple(config.getoption("--dtype")),
        quick=config.getoption("--quick"),
        thorough=config.getoption("--thorough"),
    )


def selection_of(config: pytest.Config) -> Selection:
    """What this run judges; made on first use, since it may import a stranger's code."""
    if SELECTION not in config.stash:
        config.stash[SELECTION] = select(config.getoption("--impl"))
    return config.stash[SELECTION]


def measures_only(config: pytest.Config) -> bool:
    """Whether this run measures speed instead of judging."""
    return bool(config.getoption("--benchmark-only", default=False))


def list_implementations(config: pytest.Config) -> str:
    """The text of ``--list-impls``."""
    specs = config.getoption("--impl")
    found = select(specs) if specs else Selection(listed(), misnamed())
    lines = []
    for system in SYSTEMS:
        own = [implementation for implementation in found.implementations if implementation.system == system.name]
        if not own:
            continue
        lines.append(f"{system.title} ({system.paper})")
        width = max(len(implementation.name) for implementation in own)
        lines += [f"  {i.name:<{width}}  {_state(i)}{i.summary}" for i in own]
    lines += [f"ERROR: {in_one_line(failure.spec)}: {failure.message}" for failure in found.failures]
    return "\n".join(lines)


def _state(implementation: Implementation) -> str:
    missing = implementation.missing()
    return f"[not installed: {', '.join(missing)}] " if missing else ""


def ignores(path: Path, config: pytest.Config) -> bool:
    """Benchmarks are collected under ``--benchmark-only`` and nothing else is; a file named outright is always collected."""
    if path.suffix != ".py" or any(str(path) in str(Path(argument.partition("::")[0]).resolve()) for argument in config.args):
        return False
    if path.name.startswith("bench_"):
        return not measures_only(config)
    return measures_only(config) and path.name.startswith("test_")


def generate(metafunc: pytest.Metafunc) -> None:
    """Make an item of every test_case, planted bug or measurement of the test's system."""
    config = metafunc.config
    if "test_case" in metafunc.fixturenames:
        system = metafunc.module.SYSTEM
        found = test_cases(system, selection_of(config).implementations, options_of(config))
        runnable, ruled_out = divided(found)
        items: list[TestCase | RuledOut] = [*runnable, *ruled_out]
        metafunc.parametrize("test_case", _items([pytest.param(item, id=item.id) for item in items]))
    elif "mutant" in metafunc.fixturenames:
        # The suite judges itself in its own runs; somebody who came with one implementation did not ask for that.
        plugged = any(spec != "built-in" for spec in config.getoption("--impl"))
        everywhere = [] if plugged or config.getoption("--quick") else mutants_of(metafunc.module.SYSTEM)
        own = [m for m in everywhere if config.getoption("--thorough") or not m.thorough]
        metafunc.parametrize("mutant", _items([pytest.param(m, id=m.name) for m in own]))
    elif "measurement" in metafunc.fixturenames:
        own_measurements = measurements(metafunc.module.SYSTEM, selection_of(config).implementations, options_of(config))
        metafunc.parametrize("measurement", _items([pytest.param(m, id=m.id) for m in own_measurements]))


def _items(items: list[Any]) -> list[Any]:
    """The parameters; where there are none, a placeholder that `drop_empty` removes: nothing to do is not a skip."""
    return items or [pytest.param(None, id="nothing")]


def drop_empty(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the placeholders of `_items`."""
    empty = {
        item
        for item in items
        if any(value is None for name, value in _params(item).items() if name in ("test_case", "mutant", "measurement"))
    }
    if empty:
        items[:] = [item for item in items if item not in empty]


def _params(item: pytest.Item) -> dict[str, Any]:
    return dict(getattr(getattr(item, "callspec", None), "params", {}))


def take_up(one: TestCase | RuledOut, item: pytest.Item) -> None:
    """Judge what an item of the suite stands for."""
    if isinstance(one, RuledOut):
        conclude_ruled_out(one, item)
    else:
        conclude(run_test_case(one), item)


def conclude(result: VerdictRecord, item: pytest.Item) -> None:
    """Hand the verdict to pytest: a record line on the report, and pass, fail, skip or expected failure as the outcome."""
    item.user_properties.append((PROPERTY, result.to_json()))
    if result.verdict in (Verdict.UNSUPPORTED, Verdict.NOT_RUN):
        pytest.skip(f"{result.verdict.value}: {result.message}")
    if result.verdict is Verdict.PASS:
        return
    entry = xfails.expected(item.config.stash[EXPECTED], result)
    if entry is not None:
        pytest.xfail(f"expected by line {entry.line}, {entry.text!r}: {result.message or f'margin {result.margin}'}")
    pytest.fail(explain(result), pytrace=False)


def conclude_ruled_out(ruled_out: RuledOut, item: pytest.Item) -> None:
    """A record line for each test_case that is not sat, and one skip that counts them by reason."""
    reasons: Counter[str] = Counter()
    for test_case in ruled_out.test_cases:
        result = run_test_case(test_case)
        keep(item, result.to_json())
        reasons[f"{result.verdict.value}: {result.message}"] += 1
    pytest.skip("; ".join(f"{count} {reason}" for reason, count in reasons.most_common()))


def conclude_measurement(outcome: Outcome, item: pytest.Item, benchmark: Any) -> None:
    """Hand a measurement to pytest and pytest-benchmark: a wrong answer fails, what cannot run is skipped with its reason."""
    line = outcome.line
    for each in outcome.lines:
        keep(item, each)
    if line["verdict"] in ("unsupported", "not run"):
        pytest.skip(f"{line['verdict']}: {line['message']}")
    if line["verdict"] != "measured":
        pytest.fail(
            f"{line['verdict'].upper()}: {line['implementation']} on {line['workload']} ({line['device']}): {line['message']}",
            pytrace=False,
        )
    replay(benchmark, outcome)


def judge_mutant(mutant: Mutant, item: pytest.Item) -> None:
    """Run every check on a mutant: what must catch a planted bug catches it, and nothing accuses an honest variant."""
    result = run_mutant(mutant, every_dtype=item.config.getoption("--thorough"))
    if result.missed:
        result = run_mutant(mutant)  # some show in one dtype alone
    keep(item, result.to_json())
    if mutant.honest and result.killers:
        pytest.fail(f"FALSE ALARM: {mutant.name} is correct ({mutant.sentence}) yet fails {result.killers}", pytrace=False)
    if result.missed:
        pytest.fail(
            f"SURVIVED: {mutant.name} ({mutant.sentence}) must be caught by {', '.join(result.missed)}; "
            f"caught by {', '.join(result.killers) or 'nothing'}",
            pytrace=False,
        )


def keep(item: pytest.Item, line: dict[str, Any]) -> None:
    """Put a record line on the item's report."""
    item.user_properties.append((PROPERTY, line))


class Gatherer:
    """Takes the record lines off finished items, also off those that finished in a worker process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stillborn = 0

    def count_death(self) -> None:
        """Give up where one worker after another dies before it has judged anything: the next would too."""
        self._stillborn += 1
        if self._stillborn >= MOST_STILLBORN:
            pytest.exit(
                f"{self._stillborn} workers in a row died before they judged anything; run without -n to see why",
                pytest.ExitCode.INTERNAL_ERROR,
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A crashed worker leaves no line; then the crash is an error of whom it was judging."""
        self._stillborn = 0
        lines: list[Any] = [value for key, value in report.user_properties if key == PROPERTY]
        if report.when == "call":
            self._config.stash[LINES].extend(lines)
        elif report.when not in ("setup", "teardown") and report.failed and not lines:
            result = _crashed(self._config, report)
            if result is not None:
                self._keep_crash(result.to_json())

    def _keep_crash(self, line: dict[str, Any]) -> None:
        """What was judged before the crash, in the same breath, does not stand beside it as a second verdict."""
        names = ("record", "implementation", "requirement", "case", "dtype", "device")
        others = [x for x in self._config.stash[LINES] if any(x.get(name) != line[name] for name in names)]
        self._config.stash[LINES][:] = [*others, line]


def _crashed(config: pytest.Config, report: pytest.TestReport) -> VerdictRecord | None:
    node = report.nodeid.partition("@")[0]
    for test_case in _all_examinations(config):
        if node.endswith(f"test_{test_case.implementation.system}.py::test_conforms[{test_case.id}]"):
            return unjudged(test_case, Verdict.ERROR, "the process that was judging it crashed")
    return None


def _all_examinations(config: pytest.Config) -> list[TestCase]:
    selection = selection_of(config)
    return [e for s in SYSTEMS for e in test_cases(s.name, selection.implementations, options_of(config))]


def header(config: pytest.Config) -> dict[str, Any]:
    """The first line of the record file; made once, when the run has ended, since it looks at the whole machine."""
    if HEADER not in config.stash:
        config.stash[HEADER] = _header(config)
    return config.stash[HEADER]


def _header(config: pytest.Config) -> dict[str, Any]:
    option = config.getoption
    options, selection = options_of(config), selection_of(config)
    asked = {
        "quick": options.quick,
        "thorough": options.thorough,
        "device": list(options.devices),
        "dtype": list(options.dtypes),
        "impl": list(option("--impl")),
        "benchmark": measures_only(config),
        "keyword": option("keyword", "") or "",
    }
    return {
        **heading.header(
            config.stash[BEGAN],
            asked,
            map(heading.described, selection.implementations),
            map(asdict, selection.failures),
            ({"system": s.name, **asdict(rule)} for s in SYSTEMS for rule in requirements_of(s.name).values()),
        ),
        "cases": {s.name: sum(1 for _ in selected_cases(s.name, Options(thorough=True))) for s in SYSTEMS},
    }


def finish(session: pytest.Session, exitstatus: int) -> None:
    """Hold the run against earlier ones, and write the record file, unless it was interrupted.

    A plug that could not be used, a lost verdict and a proven slowdown make the exit status non-zero.
    """
    config = session.config
    if config.option.collectonly:
        return
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if hasattr(config, "workerinput"):
        if ended and config.stash[EARLIER]:
            vars(config)["workeroutput"][TAKEN_AGAIN] = take_again(session)
        return
    if selection_of_if_made(config).failures and ended:
        session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
    if ended and config.stash[EARLIER]:
        take_again(session)
        earlier, lines = config.stash[EARLIER], config.stash[LINES]
        found = compare.findings(earlier, header(config), lines, selected(config), forgiven(config))
        config.stash[FINDINGS] = found
        if found.worse:
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
    target = config.stash[TARGET]
    if target and ended:
        footer = config.stash[BEGAN].footer(int(exitstatus))
        if FINDINGS in config.stash:
            footer["against"] = {"lost": len(config.stash[FINDINGS].lost), "slower": len(config.stash[FINDINGS].slower)}
        gathered: list[dict[str, Any]] = config.stash[LINES]
        try:
            records.write(target, header(config), gathered, footer)
            config.stash[UNWRITTEN] = ""
        except OSError as error:
            config.stash[UNWRITTEN] = str(error)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


PATIENCE_S = 3.0


def end_in_spite_of_threads(session: pytest.Session) -> None:
    """Python waits for threads at its end, for ever if need be: those of strangers it is kept waiting for a moment only."""

    def watch(leave: Callable[[int], NoReturn] = os._exit) -> None:
        while threading.main_thread().is_alive():
            time.sleep(0.1)
        time.sleep(PATIENCE_S)
        sys.stderr.write("threads that somebody who was judged left behind did not end; the run ends without them\n")
        sys.stderr.flush()
        leave(int(session.exitstatus))

    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        threading.Thread(target=watch, name="gaugeblock-end", daemon=True).start()


def take_again(session: pytest.Session) -> list[dict[str, Any]]:
    """Measure every suspect of a slowdown again, from a fresh start, round by round; returns the lines that gained a take.

    All of this process's own measurements are done by then, so a round is as far from the first take as a run allows.
    """
    config = session.config
    by_id: dict[tuple[str, str, str], Measurement] = {}
    for item in session.items:
        found = _params(item).get("measurement")
        if found is not None:
            by_id[found.implementation.name, found.workload.id, found.device] = found
    gained: dict[speeds.Key, dict[str, Any]] = {}
    earlier, this = config.stash[EARLIER], header(config) if by_id else {}
    for _ in range(speeds.TAKES - 1 if by_id else 0):
        lines = {speeds.key_of(line): line for line in config.stash[LINES] if line["record"] == "measurement"}
        held = compare.speeds(earlier, this, lines.values())
        wanted = {change.now.key for change in speeds.suspects(held.changes())}
        for name, workload, device in dict.fromkeys((key[0], key[1], key[3]) for key in sorted(wanted)):
            if (name, workload, device) not in by_id:
                continue
            for again in measure(by_id[name, workload, device]).lines:
                key = speeds.key_of(again)
                if key in wanted:
                    lines[key].setdefault("takes", []).append(compare.take_of(again))
                    gained[key] = lines[key]
    return list(gained.values())


def worker_ended(config: pytest.Config, output: dict[str, Any] | None) -> None:
    """Put the further takes of a worker into the lines that it had reported before; one that crashed hands over nothing."""
    if output is None:
        config.pluginmanager.getplugin(GATHERER).count_death()
        return
    for line in output.get(TAKEN_AGAIN) or ():
        for own in config.stash[LINES]:
            if own["record"] == "measurement" and speeds.key_of(own) == speeds.key_of(line):
                own["takes"] = line["takes"]


def selected(config: pytest.Config) -> compare.Selected:
    """What this run was asked for."""
    option = config.getoption
    part = option("keyword", "") or option("markexpr", "") or option("lf", False) or any("::" in a for a in config.args)
    return compare.Selected(tuple(option("--impl")), whole=not part, quick=option("--quick"))


def forgiven(config: pytest.Config) -> list[dict[str, Any]]:
    """The red verdicts that --xfails expects."""
    entries = config.stash[EXPECTED]
    lines = [line for line in config.stash[LINES] if line["record"] == "verdict"] if entries else []
    return [line for line in lines if xfails.expected(entries, VerdictRecord.from_json(line)) is not None]


def selection_of_if_made(config: pytest.Config) -> Selection:
    """The selection, without making one for a run that needed none; under workers the gathering process makes its own."""
    if SELECTION in config.stash or config.getoption("--impl") or config.getoption("--records"):
        return selection_of(config)
    return Selection(())


def summarise(terminal: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A line per implementation, stale expected failures, unusable plugs, and where the records are."""
    results = [VerdictRecord.from_json(line) for line in config.stash[LINES] if line["record"] == "verdict"]
    if results:
        terminal.section("conformance")
    for line in summary_table(results):
        terminal.write_line(line)
    for entry in xfails.stale(config.stash[EXPECTED], results):
        terminal.write_line(f"stale: line {entry.line} of {config.getoption('--xfails')}, {entry.text!r}, matched no failure")
    for failure in selection_of_if_made(config).failures:
        terminal.write_line(f"ERROR: --impl {in_one_line(failure.spec)}: {failure.message}", red=True)
    if FINDINGS in config.stash:
        findings = config.stash[FINDINGS]
        terminal.section(f"against {', '.join(config.getoption('--against'))}")
        for line in [*findings.lost, *findings.slower]:
            terminal.write_line(line, red=True)
        for line in findings.remarks or ["nothing to compare"]:
            terminal.write_line(line)
    target = config.getoption("--records")
    if target and not config.option.collectonly and config.stash[UNWRITTEN]:
        terminal.write_line(f"ERROR: --records {target}: not written: {config.stash[UNWRITTEN]}", red=True)
    elif target and not config.option.collectonly:
        terminal.write_line(f"records: {target}; render them with: python -m reports {target} -o DIR")
