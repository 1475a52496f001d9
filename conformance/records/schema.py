"""The record schema: one class for each kind of record, which writes it, reads it and validates it.

A record file holds a header, then a line for each verdict, mutant result, measurement, claim and curve, then a footer. How
values are checked is in conformance/records/fields.py. A field that files of earlier versions lack has a default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from conformance.records.fields import LOCAL, NULL, OMIT, Count, Finite, Json, NotNegative, Positive, Record, Row, Rule

SCHEMA = 1
DIGITS = 6
"""Significant digits that a record keeps of a number in a series: more would only be noise."""


class Level(StrEnum):
    """What a requirement's verdict means for the implementation."""

    DEFINITION = "definition"
    """What the paper defines. Only this decides whether an implementation computes the paper's system."""
    INTERFACE = "interface"
    """What the host promises its users: torch.optim, autograd, strides, state dicts, compilation, distribution."""
    ROBUSTNESS = "robustness"
    """Extreme values and sizes, repeated calls, clear refusals."""
    READING = "reading"
    """The paper is silent or contradicts itself, and we had to choose. Never decides a verdict; shown as a difference."""


class Verdict(StrEnum):
    """The result of a test case: one case on one implementation."""

    PASS = "pass"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    """A declared gap: neither passed nor failed; counts in the coverage column."""
    NOT_RUN = "not run"
    """Something outside the implementation is missing, or was left out on request; the message says which."""
    ERROR = "error"
    """It crashed; the message ends with the traceback's last line."""
    INCONCLUSIVE = "inconclusive"
    """It passed, but somewhere the bound is as large as the change itself, which proves nothing. Neither green nor red."""


RED = (Verdict.FAIL, Verdict.ERROR)
JUDGED = (Verdict.PASS, *RED)
"""The verdicts of cases that were run, and not refused or left out, and whose bound could tell right from wrong."""


@dataclass(frozen=True, kw_only=True)
class SystemRecord(Row):
    """A published system, as a header names it."""

    name: str
    title: str
    paper: str
    requirement_prefix: str
    usage: str = field(default="", metadata=OMIT)
    """The line that imports our own implementation."""


@dataclass(frozen=True, kw_only=True)
class RequirementRecord(Row):
    """A requirement, as a header states it. Files from before levels have None for it, and no family."""

    system: str
    id: str
    level: Level | None = field(default=None, metadata=OMIT)
    statement: str
    source: str
    catches: str
    family: str = field(default="", metadata=OMIT)
    """The group that a report shows it in."""


@dataclass(frozen=True, kw_only=True)
class OriginRecord(Row):
    """Where an implementation comes from, and the distribution package that holds it."""

    kind: str = ""
    distribution: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImplementationRecord(Row):
    """What a header says of an implementation; ``version`` is the one installed where it was tested."""

    name: str
    system: str
    summary: str = ""
    protocol: str = ""
    numerical_class: str = ""
    class_description: str = ""
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    version: str | None = None
    origin: OriginRecord = OriginRecord()
    documentation: str = ""
    selector: str = ""
    missing: tuple[str, ...] = ()
    found: tuple[str, ...] = field(default=(), metadata=OMIT)
    """What was found by trying out a plug that declares nothing, in sentences."""
    usage: str = field(default="", metadata=OMIT)
    """The line that imports it from its package; empty for ours and for what has no such line."""

    @property
    def slug(self) -> str:
        """The name without its system."""
        return self.name.removeprefix(f"{self.system}/")


@dataclass(frozen=True, kw_only=True)
class PlugFailureRecord(Row):
    """An ``--impl`` argument that could not be used, and why."""

    spec: str
    message: str


@dataclass(frozen=True, kw_only=True)
class GpuRecord(Row):
    name: str = ""
    capability: str = field(default="", metadata=OMIT)
    memory_gib: Finite | None = field(default=None, metadata=OMIT)
    multiprocessors: Count | None = field(default=None, metadata=OMIT)
    l2_bytes: Count | None = field(default=None, metadata=OMIT)
    cuda: str | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord(Row):
    """The machine and the packages of a run; no host name, no user, no path."""

    python: str = ""
    platform: str = ""
    cpu: str = ""
    cores: Count | None = None
    memory_gib: Finite | None = None
    packages: dict[str, str] = field(default_factory=dict, hash=False)
    gpu: GpuRecord | None = None
    affinity: tuple[Count, ...] = field(default=(), metadata=OMIT)
    smt_siblings: tuple[tuple[Count, ...], ...] | None = field(default=None, metadata=OMIT)
    threads: dict[str, int | str] = field(default_factory=dict, hash=False)
    pinned: str = field(default="", metadata=OMIT)
    caches: dict[str, int | None] = field(default_factory=dict, hash=False, metadata=OMIT)
    huge_pages: str | None = field(default=None, metadata=OMIT)
    commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class OptionsRecord(Row):
    """What a run was asked for. ``command`` and ``only`` belong to studies, ``thorough`` and ``keyword`` to pytest."""

    command: str = field(default="", metadata=OMIT)
    quick: bool = False
    thorough: bool | None = field(default=None, metadata=OMIT)
    device: tuple[str, ...] = ()
    dtype: tuple[str, ...] = ()
    impl: tuple[str, ...] = ()
    only: tuple[str, ...] | None = field(default=None, metadata=OMIT)
    level: tuple[Level, ...] = field(default=(), metadata=OMIT)
    """The levels whose requirements were tested; empty for all."""
    benchmark: bool = False
    keyword: str | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class InteractionsRecord(Row):
    """How far a run tests a system's factors together: the pairs of values that its cases cover, and all that are possible.

    ``factors`` maps each factor to the labels of its values. A pair that a constraint forbids is not possible. ``triples``
    are the values of three factors, of those factors alone of which the system tests every three together.
    """

    system: str
    factors: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    combinations: Count = 0
    covered: Count = 0
    possible: Count = 0
    triples: Count = field(default=0, metadata=OMIT)
    possible_triples: Count = field(default=0, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class HeaderRecord(Record):
    """The first line: which suite ran, how, where, and on what."""

    KIND: ClassVar[str] = "header"

    schema: int = SCHEMA
    suite: str
    options: OptionsRecord = OptionsRecord()
    started: str = ""
    """In UTC, as 2026-11-23T08:00:00Z."""
    environment: EnvironmentRecord = EnvironmentRecord()
    systems: tuple[SystemRecord, ...] = ()
    requirements: tuple[RequirementRecord, ...] = ()
    implementations: tuple[ImplementationRecord, ...] = ()
    plug_failures: tuple[PlugFailureRecord, ...] = ()
    cases: dict[str, Count] = field(default_factory=dict, hash=False, metadata=OMIT)
    """How many test cases (requirement, case and dtype) the suite has for each system."""
    interactions: tuple[InteractionsRecord, ...] = field(default=(), metadata=OMIT)
    """How many pairs of factor values the run's cases test together, by system; of every implementation that supports them."""

    def implementation(self, name: str) -> ImplementationRecord | None:
        return next((each for each in self.implementations if each.name == name), None)


@dataclass(frozen=True, kw_only=True)
class AgainstRecord(Row):
    """How many differences for the worse ``--against`` found."""

    lost: Count
    slower: Count


@dataclass(frozen=True, kw_only=True)
class ShardsRecord(Row):
    """Of a run that was spread over several machines: how many shards it had, and how many were lost."""

    shards: Count
    lost: Count


@dataclass(frozen=True, kw_only=True)
class FooterRecord(Record):
    """The last line, which proves the file whole."""

    KIND: ClassVar[str] = "footer"

    finished: str = ""
    seconds: NotNegative | None = None
    exit: int | None = None
    against: AgainstRecord | None = field(default=None, metadata=OMIT)
    fleet: ShardsRecord | None = field(default=None, metadata=OMIT)
    counts: dict[str, Count] = field(default_factory=dict, hash=False)
    """How many lines of each kind there are."""
    sha256: str = ""
    """In hexadecimal, over all lines before this one."""


Resolution = Annotated[float, Rule("a number, 0 or more", lambda value: value >= 0)]


def passed(resolution: float | None) -> Literal[Verdict.PASS, Verdict.INCONCLUSIVE]:
    """The verdict on a test case whose errors are within their bounds."""
    return Verdict.PASS if resolution is None or resolution < 1 else Verdict.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class VerdictRecord(Record):
    """The verdict on one implementation for one requirement and case, with its margin and its worst place.

    ``margin`` is the largest |error| / bound: above 1 fails, inf for a wrong text or shape. ``resolution`` is the largest
    bound / size of the change, at any element: from 1 on the answer that nothing happened would pass there, and a pass is
    ``inconclusive``. None where no quantity changes, and in older files.
    """

    KIND: ClassVar[str] = "verdict"

    implementation: str
    system: str
    requirement: str
    case: str
    dtype: str
    device: str
    verdict: Verdict
    margin: float | None = None
    resolution: Resolution | None = field(default=None, metadata=OMIT)
    quantity: str = ""
    worst: str = ""
    got: str = ""
    expected: str = ""
    bound: str = ""
    message: str = ""
    resembles: str = ""
    """The mutants that give the same wrong values, in words: the nearest three."""
    candidates: tuple[str, ...] = field(default=(), metadata=OMIT)
    """The names of all of them, the nearest first. Over all failures `conformance.engine.diagnosis.ranked` ranks them."""
    reproduce: str = ""
    known: str = field(default="", metadata=OMIT)
    """The line of an --xfails file that lists this failure; "" where none does."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Identifies the test case: the same in every run."""
        return self.implementation, self.requirement, self.case, self.dtype, self.device

    def contradiction(self) -> str:
        passes = self.margin is not None and 0 <= self.margin <= 1
        fails = self.margin is not None and self.margin > 1
        asks = {Verdict.PASS: passes, Verdict.INCONCLUSIVE: passes, Verdict.FAIL: fails}
        if not asks.get(self.verdict, True):
            return f"found the verdict {self.verdict.value!r} with the margin {self.margin}, which decides otherwise"
        if passes and self.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE) and self.verdict is not passed(self.resolution):
            return f"found the verdict {self.verdict.value!r} with the resolution {self.resolution}, which decides otherwise"
        if self.system != self.implementation.partition("/")[0]:
            return f"found a verdict of {self.system} on {self.implementation}, which is of another system"
        return ""


@dataclass(frozen=True, kw_only=True)
class MutantRecord(Record):
    """The result of all checks on one mutant (a planted bug) or honest variant.

    ``killers`` maps each requirement that turned red to its worst margin, or to ``error``.
    """

    KIND: ClassVar[str] = "mutant"

    system: str
    mutant: str
    sentence: str
    honest: bool
    equivalent: str = ""
    expected_killers: tuple[str, ...]
    killers: dict[str, float | Literal["error"]] = field(default_factory=dict, hash=False)
    checked: tuple[str, ...]
    verdict: str
    """killed, survived, equivalent, honest or false alarm."""


@dataclass(frozen=True, kw_only=True)
class RooflineRecord(Row):
    """The ceilings of the machine, measured in the same run."""

    copy_bytes_per_s: Finite | None = field(default=None, metadata=OMIT)
    update_bytes_per_s: Finite | None = field(default=None, metadata=OMIT)
    matmul_flops_per_s: Finite | None = field(default=None, metadata=OMIT)
    multiply_add_flops_per_s: Finite | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class TakeRecord(Row):
    """The result of a further take of the same measurement. Times in seconds."""

    verdict: str = ""
    ratio: Positive | None = None
    ratio_low: Positive | None = None
    ratio_high: Positive | None = None
    median_s: Positive | None = None
    samples: Count | None = None


@dataclass(frozen=True, kw_only=True)
class MeasurementRecord(Record):
    """One workload timed on one implementation, in one state of the cache; or why it has no speed.

    Times are in seconds. ``ratio`` is the baseline's time divided by its own: above 1 is faster than the baseline.
    """

    KIND: ClassVar[str] = "measurement"

    run: str = field(default="", metadata=LOCAL)
    """The label that a report gives to the record file."""
    system: str
    implementation: str
    workload: str
    description: str = ""
    family: str = ""
    """Workloads of one family differ in their ``scale`` alone."""
    scale: Finite | None = None
    scale_name: str = ""
    dtype: str = ""
    device: str = ""
    amount: NotNegative = 0.0
    unit: str = ""
    quick: bool = False
    baseline: str = field(default="", metadata=NULL)
    bytes_moved: NotNegative | None = None
    flops: NotNegative | None = None
    verdict: str
    """measured, wrong answer, measuring fault, unsupported, not run or error."""
    message: str = ""
    decision: str = ""
    reason: str = ""
    """Why that decision, in words."""
    warnings: tuple[str, ...] = ()
    """What a reader must know: throttled, other processes, noisy."""
    again: bool = field(default=False, metadata={"name": "aa"})
    """The baseline measured against itself (A/A): what this clock calls a difference where there is none."""
    inputs: str = field(default="", metadata=OMIT)
    compile_s: NotNegative | None = field(default=None, metadata=OMIT)
    """By how much the first call took longer than a later one."""
    allocator: str = field(default="", metadata=OMIT)
    peak_memory_bytes: Count | None = field(default=None, metadata=OMIT)
    """Beyond what was live before the call."""
    memory_kind: str = field(default="", metadata=OMIT)
    """``device`` or ``host``."""
    memory_reason: str = field(default="", metadata=OMIT)
    """Why no peak was read."""
    margin: float | None = field(default=None, metadata=OMIT)
    threads: dict[str, Json] = field(default_factory=dict, hash=False, metadata=OMIT)
    affinity: tuple[Count, ...] = field(default=(), metadata=OMIT)
    samples: Count | None = field(default=None, metadata=OMIT)
    looks: Count | None = field(default=None, metadata=OMIT)
    planned_looks: Count | None = field(default=None, metadata=OMIT)
    stopped: str = field(default="", metadata=OMIT)
    """``tight``, ``budget`` or ``most``: why no more samples were taken."""
    calls_per_sample: Count | None = field(default=None, metadata=OMIT)
    median_s: Positive | None = field(default=None, metadata=OMIT)
    low_s: Positive | None = field(default=None, metadata=OMIT)
    high_s: Positive | None = field(default=None, metadata=OMIT)
    iqr_s: NotNegative | None = field(default=None, metadata=OMIT)
    per_second: Positive | None = field(default=None, metadata=OMIT)
    ratio: Positive | None = field(default=None, metadata=OMIT)
    ratio_low: Positive | None = field(default=None, metadata=OMIT)
    ratio_high: Positive | None = field(default=None, metadata=OMIT)
    noise: Positive | None = field(default=None, metadata=OMIT)
    roofline: RooflineRecord = field(default=RooflineRecord(), metadata=OMIT)
    roofline_share: NotNegative | None = field(default=None, metadata=OMIT)
    telemetry: dict[str, Json] = field(default_factory=dict, hash=False, metadata=OMIT)
    clock: str = field(default="", metadata=OMIT)
    launch: dict[str, Json] = field(default_factory=dict, hash=False, metadata=OMIT)
    launch_s: NotNegative | None = field(default=None, metadata=OMIT)
    cache_bytes: Count | None = field(default=None, metadata=OMIT)
    cache: str = field(default="", metadata=OMIT)
    """``warm`` or ``cold``; "" in older files, which were measured with a warm cache."""
    takes: tuple[TakeRecord, ...] = field(default=(), metadata=OMIT)
    """What it gave when it was measured again, as a suspect of a slowdown."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Identifies the measurement: the same in every run."""
        return self.implementation, self.workload, self.dtype, self.device, self.cache or "warm"

    @property
    def speed(self) -> float | None:
        """The ratio to the baseline, which is 1 for the baseline itself; None where no speed may be shown."""
        if self.verdict != "measured" or (self.disbelieved and not self.is_baseline):
            return None
        # A baseline's record may hold the A/A ratio, which tells the noise of the clock and not the speed of the baseline.
        return 1.0 if self.is_baseline else self.ratio

    @property
    def disbelieved(self) -> bool:
        """Whether its interval excludes 1 and yet no difference was decided: a slowed baseline, or a noisy place."""
        if self.decision != "undecided" or self.ratio_low is None or self.ratio_high is None:
            return False
        return self.ratio_low > 1 or self.ratio_high < 1

    @property
    def excursion(self) -> float:
        """How far the interval of its ratio reaches from 1, as a natural logarithm; 0 where there is none."""
        if self.verdict != "measured" or self.ratio_low is None or self.ratio_high is None:
            return 0.0
        return max(abs(math.log(self.ratio_low)), abs(math.log(self.ratio_high)))

    @property
    def is_baseline(self) -> bool:
        return self.implementation == self.baseline

    def contradiction(self) -> str:
        if self.verdict == "measured" and (self.margin or 0.0) > 1:
            return f"found a speed beside the margin {self.margin}, which is a wrong answer"
        for name, low, middle, high in (
            ("ratio", self.ratio_low, self.ratio, self.ratio_high),
            ("median_s", self.low_s, self.median_s, self.high_s),
        ):
            if low is not None and middle is not None and high is not None and not low <= middle <= high:
                return f"found the {name} {middle}, which its interval from {low} to {high} does not hold"
        return ""

    def take(self) -> TakeRecord:
        """This measurement as a further take of an earlier one."""
        return TakeRecord(
            verdict=self.verdict,
            ratio=self.ratio,
            ratio_low=self.ratio_low,
            ratio_high=self.ratio_high,
            median_s=self.median_s,
            samples=self.samples,
        )


@dataclass(frozen=True)
class Axes(Row):
    """The names of the two axes of a plot, with units, and which of them are logarithmic (``x``, ``y``, ``xy``)."""

    x: str = ""
    y: str = ""
    log: Literal["", "x", "y", "xy"] = ""

    def __post_init__(self) -> None:
        if self.log not in ("", "x", "y", "xy"):
            raise ValueError(f"log is {self.log!r}; expected one of '', 'x', 'y', 'xy'")


@dataclass(frozen=True)
class Series(Row):
    """One line of a plot; ``low`` and ``high`` are the ends of an interval around each ``y``, where there is one.

    Numbers are rounded to `DIGITS` significant digits. ValueError where the lists do not fit together, or for NaN.
    """

    label: str
    x: Sequence[float] = ()
    y: Sequence[float] = ()
    low: Sequence[float] = field(default=(), metadata=NULL)
    high: Sequence[float] = field(default=(), metadata=NULL)

    def __post_init__(self) -> None:
        _round_series(self)


@dataclass(frozen=True, kw_only=True)
class ClaimRecord(Record):
    """What a paper says, and what was measured of it."""

    KIND: ClassVar[str] = "claim"

    run: str = field(default="", metadata=LOCAL)
    system: str
    id: str
    statement: str
    source: str
    expected: float | str | None = None
    measured: float | str | None = None
    unit: str = ""
    verdict: str
    """holds, does not hold, undecided, unsupported, not run or error."""
    message: str = ""
    seconds: NotNegative = 0.0
    settings: dict[str, Json] = field(default_factory=dict, hash=False)
    device: str = ""
    quick: bool = False
    series: tuple[Series, ...] = ()
    axes: Axes = field(default=Axes(), metadata=NULL)


@dataclass(frozen=True, kw_only=True)
class CurveRecord(Record):
    """One implementation along a curve, in one dtype; without points where ``verdict`` is not ``measured``."""

    KIND: ClassVar[str] = "curve"

    run: str = field(default="", metadata=LOCAL)
    system: str
    implementation: str
    name: str
    title: str
    verdict: str = "measured"
    message: str = ""
    seconds: NotNegative = 0.0
    device: str = ""
    quick: bool = False
    axes: Axes = Axes()
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    low: tuple[float, ...] = field(default=(), metadata=NULL)
    high: tuple[float, ...] = field(default=(), metadata=NULL)
    dtype: str = ""
    settings: dict[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _round_series(self)

    @property
    def line(self) -> Series:
        return Series(self.implementation, self.x, self.y, self.low, self.high)


def significant(value: float) -> float:
    """The number in `DIGITS` significant digits. ValueError for NaN."""
    if math.isnan(value):
        raise ValueError("found NaN where a measured number was expected")
    return float(f"{value:.{DIGITS}g}")


def _round_series(series: Series | CurveRecord) -> None:
    """Check that the lists of a series belong together, and round their numbers."""
    points, ends = {len(series.x), len(series.y)}, {len(series.low), len(series.high)}
    if len(points) != 1 or len(ends) != 1 or not ends <= points | {0}:
        lengths = [len(values) for values in (series.x, series.y, series.low, series.high)]
        raise ValueError(
            f"found lists x, y, low and high of {lengths} numbers; expected as many x as y, and ends for all or none"
        )
    for name in ("x", "y", "low", "high"):
        # A frozen dataclass may set its own fields only like this.
        object.__setattr__(series, name, tuple(significant(value) for value in getattr(series, name)))


KINDS: tuple[type[Record], ...] = (VerdictRecord, MutantRecord, MeasurementRecord, ClaimRecord, CurveRecord)
"""The kinds of line between header and footer, in the order in which they are written."""
