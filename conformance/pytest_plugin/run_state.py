"""The state of one pytest run: what was asked for, and what has been found so far."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from conformance.benchmark import environment
from conformance.benchmark.benchmark import baselines_of
from conformance.engine import xfails
from conformance.engine.declarations import misspelt
from conformance.engine.discovery import Selection, select
from conformance.engine.interactions import coverage
from conformance.engine.other_classes import OtherClass
from conformance.engine.remote_subject import Isolated
from conformance.engine.selection import Options, requirements_of, selected_cases
from conformance.engine.several_causes import SeveralCauses
from conformance.pytest_plugin.options import confinement_of, isolates, measures_only, options_of, records_target
from conformance.records import header as heading
from conformance.records import io
from conformance.records.claim import ClaimedFile
from conformance.records.fields import Record, RecordError
from conformance.records.io import AnyRecord
from conformance.records.schema import HeaderRecord, Level, OptionsRecord, PlugFailureRecord, RequirementRecord
from conformance.regression import compare
from impls.implementation import in_one_line
from impls.systems import SYSTEMS


@dataclass
class RunState:
    """One run of the suite. ``records`` gathers what it found, also in worker processes."""

    config: pytest.Config
    expected: tuple[xfails.Entry, ...]
    """The failures that --xfails lists."""
    earlier: tuple[io.Run, ...]
    """The runs that --against names."""
    target: Path | None
    """Where --records writes. Absolute, since an implementation may change the working directory."""
    isolated: Isolated
    """The processes of what is not built in."""
    file: ClaimedFile | None = None
    """The file there, which this process writes; None in workers."""
    began: heading.Began = field(default_factory=heading.Began)
    records: list[Record] = field(default_factory=list)
    findings: compare.Findings | None = None
    """What --against found, once the run has ended."""
    causes: dict[str, tuple[tuple[OtherClass, ...], SeveralCauses | None]] = field(default_factory=dict)
    """What was found by running an implementation's failures again, by its name: see `terminal_summary.look_for_causes`."""
    unwritten: str = "the run did not come to its end"
    """Why there are no records of this run; empty once they are written."""

    @functools.cached_property
    def selection(self) -> Selection:
        """The implementations that this run tests; made on first use, since it may import third-party code."""
        specs = self.config.getoption("--impl")
        if not isolates(self.config):
            return select(specs)
        selection = select(specs, self.isolated.describe)
        if measures_only(self.config):
            self.isolated.keep_all_apart([*selection.implementations, *baselines_of(selection.implementations)])
        else:
            self.isolated.keep_apart(selection.implementations)
        return selection

    @property
    def selection_if_needed(self) -> Selection:
        """The selection, or an empty one where the run needed none. The process that leads workers makes its own."""
        option = self.config.getoption
        return self.selection if "selection" in vars(self) or option("--impl") or option("--records") else Selection(())

    def claim(self) -> None:
        """Claim the record file. UsageError where it cannot be written, before anything is tested."""
        if self.target is not None:
            try:
                self.file = ClaimedFile(self.target, lambda: self.header)
            except OSError as error:
                raise pytest.UsageError(f"--records {self.config.getoption('--records')}: not written: {error}") from None

    def keep(self, records: Iterable[Record]) -> None:
        """Add records to those of the run, and to its file."""
        for record in records:
            self.records.append(record)
            if self.file is not None:
                self.file.append(record)

    def of(self, kind: type[AnyRecord]) -> list[AnyRecord]:
        """The records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]

    @functools.cached_property
    def header(self) -> HeaderRecord:
        """The first line of the record file; made when the run has ended, since it examines the whole machine."""
        option, options = self.config.getoption, options_of(self.config)
        return heading.header(
            self.began,
            environment.suite_version(),
            environment.describe(with_gpu="cuda" in options.devices),
            OptionsRecord(
                quick=options.quick,
                thorough=options.thorough,
                device=options.devices,
                dtype=options.dtypes,
                impl=tuple(option("--impl")),
                level=tuple(Level(level) for level in option("--level")),
                benchmark=measures_only(self.config),
                keyword=option("keyword", "") or "",
            ),
            self.selection.implementations,
            (PlugFailureRecord(**asdict(failure)) for failure in self.selection.failures),
            (RequirementRecord(system=s.name, **asdict(rule)) for s in SYSTEMS for rule in requirements_of(s.name).values()),
            {s.name: sum(1 for _ in selected_cases(s.name, Options(thorough=True))) for s in SYSTEMS},
            coverage(options),
        )


_RUN = pytest.StashKey[RunState]()


def start_run(config: pytest.Config) -> None:
    """Read the files that the options name. UsageError for a bad one, before anything is tested."""
    file = config.getoption("--xfails")
    try:
        expected = xfails.read(file) if file else ()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    try:
        earlier = compare.read(config.getoption("--against"), environment.suite_version())
    except RecordError as error:
        raise pytest.UsageError(f"--against {error}") from None
    config.stash[_RUN] = RunState(config, expected, earlier, records_target(config), Isolated(confinement_of(config)))


def check_implementations(run: RunState) -> None:
    """UsageError where nothing that --impl names can be used, or one declares a word that its system does not know."""
    if not run.config.getoption("--impl"):
        return
    found = run.selection
    unusable = [f"--impl {in_one_line(failure.spec)}: {failure.message}" for failure in found.failures]
    # A worker may be able to use what this process, which leads the workers, cannot.
    wrong = [] if found.implementations or run.config.pluginmanager.hasplugin("dsession") else unusable
    wrong += [f"--impl {message}" for each in found.implementations for message in misspelt(each)]
    if wrong:
        raise pytest.UsageError(*wrong)


def run_of(config: pytest.Config) -> RunState:
    """The state of the run that this configuration belongs to."""
    return config.stash[_RUN]
