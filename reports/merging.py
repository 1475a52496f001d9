"""Record files of one suite version become one body of evidence, or are refused with the file and the reason.

The order in which the files are given never matters: runs are sorted by when they started, and where two runs say the
same about the same thing, the worse margin stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.benchmark.statistics import decide
from conformance.records.io import KINDS, RecordError, Run, dump, read, refuse_strangers
from conformance.records.schema import Verdict, VerdictRecord
from conformance.regression.speeds import Figure, figure_of
from reports import studied
from reports.reading import number as _number
from reports.studied import PaperClaim, Trace


@dataclass(frozen=True)
class Source:
    """One record file: ``label`` (A, B, ...) is what the page calls it."""

    label: str
    name: str
    """The base name of the file; its folder is nobody's business."""
    digest: str
    """SHA-256 of everything before the footer, as the footer states it."""
    header: dict[str, Any]
    footer: dict[str, Any]
    line_counts: dict[str, int]


@dataclass(frozen=True)
class System:
    name: str
    title: str
    paper: str
    requirement_prefix: str


@dataclass(frozen=True)
class Requirement:
    system: str
    id: str
    statement: str
    source: str
    catches: str


@dataclass(frozen=True)
class Implementation:
    """What the headers say of one implementation; ``version`` is the one installed where it was judged."""

    name: str
    system: str
    summary: str = ""
    protocol: str = ""
    numerical_class: str = ""
    class_description: str = ""
    version: str | None = None
    origin: str = ""
    distribution: str | None = None
    documentation: str = ""
    missing: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name without its system."""
        return self.name.removeprefix(f"{self.system}/")


@dataclass(frozen=True)
class Killed:
    """One planted bug or honest variant; ``killers`` maps each requirement that turned red to its margin, or to ``error``."""

    system: str
    mutant: str
    sentence: str
    honest: bool
    equivalent: str
    expected_killers: tuple[str, ...]
    killers: dict[str, float | str]
    checked: tuple[str, ...]
    verdict: str


@dataclass(frozen=True)
class Measurement:
    """One timed workload of one implementation in one run. Times in seconds; ``ratio`` above 1 is faster than the baseline."""

    run: str
    system: str
    implementation: str
    workload: str
    description: str
    dtype: str
    device: str
    amount: float
    unit: str
    verdict: str
    message: str = ""
    baseline: str = ""
    samples: int | None = None
    median_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    decision: str = ""
    per_second: float | None = None
    bytes_moved: float | None = None
    flops: float | None = None
    copy_bytes_per_s: float | None = None
    update_bytes_per_s: float | None = None
    matmul_flops_per_s: float | None = None
    multiply_add_flops_per_s: float | None = None
    roofline_share: float | None = None
    margin: float | None = None
    compile_s: float | None = None
    """By how much the first call took longer than a later one."""
    cache: str = ""
    """``warm``, ``cold``, or "" in records that do not tell."""
    family: str = ""
    """Workloads of one family differ in their ``scale`` alone."""
    scale: float | None = None
    scale_name: str = ""
    peak_memory_bytes: float | None = None
    """Beyond what was live before the call."""
    memory_kind: str = ""
    """``device`` or ``host``."""
    stopped: str = ""
    """``tight``, ``budget`` or ``most``: why no more samples were taken."""
    looks: int | None = None
    reason: str = ""
    """The decision's, in words."""
    warnings: tuple[str, ...] = ()
    """What a reader must know: throttled, other processes, noisy."""
    takes: tuple[Figure, ...] = ()
    """What it gave when it was measured again, as a suspect of a slowdown."""
    again: bool = False
    """The baseline measured against itself (A/A): what this clock calls a difference where there is none."""

    @property
    def speed(self) -> float | None:
        """The ratio to the baseline, which is 1 for the baseline itself; None where no speed may be shown."""
        if self.verdict != "measured" or (self.disbelieved and not self.is_baseline):
            return None
        # Its own line may carry the A/A ratio, which says how noisy the clock was and not how fast the baseline is.
        return 1.0 if self.is_baseline else self.ratio

    @property
    def disbelieved(self) -> bool:
        """Whether its ratio leaves 1 out and was yet not taken for a difference: a slowed baseline, a place that is noisy."""
        if self.decision != "undecided" or self.ratio_low is None or self.ratio_high is None:
            return False
        return self.ratio_low > 1 or self.ratio_high < 1

    @property
    def is_baseline(self) -> bool:
        return self.implementation == self.baseline

    @property
    def noisy(self) -> bool:
        """Whether this A/A pair, by the rule that judges everybody, shows a difference where there is none."""
        if not self.again or self.ratio_low is None or self.ratio_high is None:
            return False
        return decide(self.ratio_low, self.ratio_high) in ("faster", "slower")


@dataclass(frozen=True)
class Evidence:
    """Everything the page is rendered from, in an order that depends on the records' content alone."""

    suite: str
    sources: tuple[Source, ...]
    systems: tuple[System, ...]
    requirements: tuple[Requirement, ...]
    implementations: tuple[Implementation, ...]
    results: tuple[VerdictRecord, ...]
    mutants: tuple[Killed, ...]
    measurements: tuple[Measurement, ...]
    claims: tuple[PaperClaim, ...] = ()
    traces: tuple[Trace, ...] = ()
    by_implementation: dict[str, tuple[VerdictRecord, ...]] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    """How many cases (requirement, case and dtype) the suite has for each system, as the headers say."""

    def __hash__(self) -> int:
        """By the files that it was merged from, so that what is drawn from it again and again is drawn once."""
        return hash((self.suite, tuple(source.digest for source in self.sources)))

    def judgements_of(self, implementation: str) -> tuple[VerdictRecord, ...]:
        return self.by_implementation.get(implementation, ())

    def implementations_of(self, system: str) -> list[Implementation]:
        return [implementation for implementation in self.implementations if implementation.system == system]

    def requirements_of(self, system: str) -> list[Requirement]:
        return [requirement for requirement in self.requirements if requirement.system == system]


def load(paths: Sequence[str | Path]) -> Evidence:
    """Read and merge record files. RecordError names the file and what is wrong with it."""
    if not paths:
        raise RecordError("no record file given; expected at least one, written by `pytest conformance --records=FILE`")
    return merge([(Path(path).name, read(path)) for path in paths])


def merge(runs: Iterable[tuple[str, Run]]) -> Evidence:
    """Merge runs, each under its file's base name. RecordError says which two do not belong together, and why."""
    unique: dict[str, tuple[str, Run]] = {}
    for name, run in sorted(runs, key=lambda item: item[0]):
        # The same file given twice, under whatever names, is one run.
        unique.setdefault(str(run.footer["sha256"]), (name, run))
    ordered = sorted(unique.items(), key=lambda item: (str(item[1][1].header.get("started", "")), item[0]))
    named = [(label, name, digest, run) for label, (digest, (name, run)) in zip(_labels(), ordered, strict=False)]
    refuse_strangers([(name, run) for _, name, _, run in named])
    try:
        merged = _Merger()
        for label, name, _, run in named:
            merged.add(label, name, run)
    except RecordError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            f"{name}: a line is not what this version expects ({type(error).__name__}: {error}); run it again"
        ) from error
    sources = tuple(
        Source(label, name, digest, run.header, run.footer, {kind: len(run.of_kind(kind)) for kind in KINDS})
        for label, name, digest, run in named
    )
    return merged.evidence(str(named[0][3].header.get("suite", "")), sources)


class _Merger:
    """Gathers run after run; every table remembers which file said a thing first, for the refusals."""

    def __init__(self) -> None:
        self.systems: dict[str, System] = {}
        self.requirements: dict[tuple[str, str], Requirement] = {}
        self.implementations: dict[str, tuple[Implementation, str]] = {}
        self.results: dict[tuple[str, ...], tuple[VerdictRecord, str]] = {}
        self.mutants: dict[tuple[str, str], tuple[Killed, str]] = {}
        self.measurements: list[Measurement] = []
        self.claims: list[PaperClaim] = []
        self.traces: list[Trace] = []
        self.cases: dict[str, int] = {}
        self._lines: dict[str, str] = {}

    def add(self, label: str, name: str, run: Run) -> None:
        for row in run.header["systems"]:
            self.systems.setdefault(row["name"], System(row["name"], row["title"], row["paper"], row["requirement_prefix"]))
        for row in run.header["requirements"]:
            requirement = Requirement(row["system"], row["id"], row["statement"], row["source"], row["catches"])
            self.requirements.setdefault((requirement.system, requirement.id), requirement)
        for row in run.header["implementations"]:
            self._add_implementation(_implementation(row), name)
        for system_name, number in (run.header.get("cases") or {}).items():
            self.cases[str(system_name)] = max(int(number), self.cases.get(str(system_name), 0))
        for line in run.of_kind("verdict"):
            self._add_judgement(_judgement(line), name)
        for line in run.of_kind("mutant"):
            self._add_mutant(_killed(line), name)
        self._add_measurements(label, run)
        self.claims += [studied.claim(line, label) for line in run.of_kind("claim")]
        self.traces += [studied.trace(line, label) for line in run.of_kind("curve")]

    def _add_implementation(self, new: Implementation, name: str) -> None:
        if new.name not in self.implementations:
            self.implementations[new.name] = (new, name)
            return
        known, first = self.implementations[new.name]
        if known.version is not None and new.version is not None and known.version != new.version:
            raise RecordError(
                f"{name}: {new.name} is version {new.version} here and {known.version} in {first}; "
                f"one column cannot stand for both, so render the two files apart"
            )
        if known.numerical_class != new.numerical_class:
            raise RecordError(
                f"{name}: {new.name} declares the numerical class {new.numerical_class or 'strict'!r} here and "
                f"{known.numerical_class or 'strict'!r} in {first}; margins of two classes cannot share a column"
            )
        # The run that had it installed describes it best; otherwise the choice must only not depend on the order.
        self.implementations[new.name] = min(
            (known, first), (new, name), key=lambda item: (len(item[0].missing), item[0].version is None, repr(item[0]))
        )

    def _add_judgement(self, new: VerdictRecord, name: str) -> None:
        key = (new.implementation, new.requirement, new.case, new.dtype, new.device)
        if key not in self.results:
            self.results[key] = (new, name)
            return
        known, first = self.results[key]
        verdicts = {known.verdict, new.verdict} - {Verdict.NOT_RUN}
        if len(verdicts) > 1 and name == first:
            raise RecordError(
                f"{name}: holds two verdicts on {new.implementation} for {new.requirement} {new.case}: "
                f"{known.verdict.value!r} and {new.verdict.value!r}; run it again"
            )
        if len(verdicts) > 1:
            where = ", ".join(part for part in (new.case, new.dtype, new.device) if part)
            raise RecordError(
                f"{name}: {new.implementation} on {new.requirement} ({where}) is {new.verdict.value!r} here and "
                f"{known.verdict.value!r} in {first}; one of the two machines or versions differs in what matters, "
                f"so render the two files apart"
            )
        # A verdict outweighs "not run"; of two equal verdicts the one with the larger margin is kept.
        self.results[key] = max((known, first), (new, name), key=lambda item: _weight(item[0]))

    def _add_measurements(self, label: str, run: Run) -> None:
        for line in run.of_kind("measurement"):
            # The same samples in two files, a part and the whole that it was merged into, are one measurement.
            text = dump(line)
            if self._lines.setdefault(text, label) == label:
                self.measurements.append(_measurement(line, label))

    def _add_mutant(self, new: Killed, name: str) -> None:
        key = (new.system, new.mutant)
        if key not in self.mutants:
            self.mutants[key] = (new, name)
            return
        known, first = self.mutants[key]
        if (known.sentence, known.honest) != (new.sentence, new.honest):
            raise RecordError(
                f"{name}: its planted bug {new.mutant} reads differently in {first}; "
                f"render files of one suite version together"
            )
        # A quick run puts fewer cases to a planted bug: the run that checked more requirements speaks for it.
        if known.checked == new.checked and known.verdict != new.verdict:
            raise RecordError(
                f"{name}: the planted bug {new.mutant} is {new.verdict!r} here and {known.verdict!r} in {first}; "
                f"render the two files apart"
            )
        self.mutants[key] = max(
            (known, first), (new, name), key=lambda item: (len(item[0].checked), len(item[0].killers), repr(item[0]))
        )

    def evidence(self, suite: str, sources: tuple[Source, ...]) -> Evidence:
        rank = {name: place for place, name in enumerate(self.systems)}
        last = len(rank)
        results = tuple(result for _, (result, _) in sorted(self.results.items()))
        grouped: dict[str, list[VerdictRecord]] = {}
        for result in results:
            grouped.setdefault(result.implementation, []).append(result)
            if result.implementation not in self.implementations:
                described = Implementation(result.implementation, result.system)
                self.implementations[result.implementation] = (described, "")
        return Evidence(
            suite=suite,
            sources=sources,
            systems=tuple(self.systems.values()),
            requirements=tuple(
                sorted(self.requirements.values(), key=lambda rule: (rank.get(rule.system, last), rule.system, rule.id))
            ),
            implementations=tuple(
                implementation
                for implementation, _ in sorted(
                    self.implementations.values(), key=lambda item: (rank.get(item[0].system, last), item[0].name)
                )
            ),
            results=results,
            mutants=tuple(killed for _, (killed, _) in sorted(self.mutants.items())),
            measurements=tuple(sorted(self.measurements, key=_measurement_order)),
            claims=studied.best_claims(self.claims),
            traces=studied.best_traces(self.traces),
            by_implementation={name: tuple(lines) for name, lines in grouped.items()},
            cases=self.cases,
        )


def _labels() -> Iterable[str]:
    """A, B, ..., Z, A2, B2, ..."""
    for turn in range(1, 1000):
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            yield letter if turn == 1 else f"{letter}{turn}"


def _weight(result: VerdictRecord) -> tuple[bool, float, str]:
    return (
        result.verdict is not Verdict.NOT_RUN,
        -1.0 if result.margin is None else result.margin,
        json.dumps(result.to_json(), sort_keys=True),
    )


def _judgement(line: dict[str, Any]) -> VerdictRecord:
    result = VerdictRecord.from_json({**line, "margin": _number(line["margin"])})
    words = ("implementation", "system", "requirement", "case", "dtype", "device", "quantity", "worst", "got", "expected")
    for word in (*words, "bound", "message", "resembles", "reproduce"):
        if not isinstance(getattr(result, word), str):
            raise TypeError(f"{word} is {getattr(result, word)!r}, expected a text")
    passes = result.margin is not None and 0 <= result.margin <= 1
    fails = result.margin is not None and result.margin > 1
    if (result.verdict is Verdict.PASS and not passes) or (result.verdict is Verdict.FAIL and not fails):
        raise ValueError(
            f"found the verdict {result.verdict.value!r} with the margin {line['margin']}, which decides otherwise"
        )
    if result.system != result.implementation.partition("/")[0]:
        raise ValueError(f"found a verdict of {result.system} on {result.implementation}, which is of another system")
    return result


def _implementation(row: dict[str, Any]) -> Implementation:
    origin = row.get("origin") or {}
    return Implementation(
        name=str(row["name"]),
        system=str(row["system"]),
        summary=str(row.get("summary") or ""),
        protocol=str(row.get("protocol") or ""),
        numerical_class=str(row.get("numerical_class") or ""),
        class_description=str(row.get("class_description") or ""),
        version=None if row.get("version") is None else str(row["version"]),
        origin=str(origin.get("kind") or ""),
        distribution=None if origin.get("distribution") is None else str(origin["distribution"]),
        documentation=str(row.get("documentation") or ""),
        missing=tuple(str(module) for module in row.get("missing") or ()),
    )


def _killed(line: dict[str, Any]) -> Killed:
    killers = {str(id_): "error" if value == "error" else _number(value) for id_, value in line["killers"].items()}
    return Killed(
        system=str(line["system"]),
        mutant=str(line["mutant"]),
        sentence=str(line["sentence"]),
        honest=bool(line["honest"]),
        equivalent=str(line["equivalent"] or ""),
        expected_killers=tuple(str(id_) for id_ in line["expected_killers"]),
        killers={id_: "error" if value is None else value for id_, value in sorted(killers.items())},
        checked=tuple(sorted(str(id_) for id_ in line["checked"])),
        verdict=str(line["verdict"]),
    )


def _measurement(line: dict[str, Any], run: str) -> Measurement:
    words = ("system", "implementation", "workload", "verdict")
    optional_words = (
        *("description", "dtype", "device", "unit", "message", "baseline", "decision"),
        *("cache", "family", "scale_name", "memory_kind", "stopped", "reason"),
    )
    optional_numbers = (
        *("median_s", "low_s", "high_s", "ratio", "ratio_low", "ratio_high", "per_second"),
        *("bytes_moved", "flops", "roofline_share", "margin", "compile_s", "scale", "peak_memory_bytes"),
    )
    fields: dict[str, Any] = {word: str(line[word]) for word in words}
    fields |= {word: str(line.get(word) or "") for word in optional_words}
    fields |= {word: _number(line.get(word)) for word in optional_numbers}
    if fields["verdict"] == "measured" and (fields["margin"] or 0.0) > 1:
        raise ValueError(f"found a speed beside the margin {line['margin']}, which is a wrong answer")
    for word in ("median_s", "low_s", "high_s", "ratio", "ratio_low", "ratio_high", "per_second"):
        if fields[word] is not None and fields[word] <= 0:
            raise ValueError(f"found {word} {fields[word]}, expected a positive number")
    roofline = line.get("roofline") or {}
    samples, looks = _number(line.get("samples")), _number(line.get("looks"))
    return Measurement(
        run=run,
        **fields,
        amount=_number(line.get("amount")) or 0.0,
        samples=None if samples is None else int(samples),
        looks=None if looks is None else int(looks),
        warnings=tuple(str(warning) for warning in line.get("warnings") or ()),
        copy_bytes_per_s=_number(roofline.get("copy_bytes_per_s")),
        update_bytes_per_s=_number(roofline.get("update_bytes_per_s")),
        matmul_flops_per_s=_number(roofline.get("matmul_flops_per_s")),
        multiply_add_flops_per_s=_number(roofline.get("multiply_add_flops_per_s")),
        takes=tuple(take for other in line.get("takes") or () if (take := figure_of({**line, **other})) is not None),
        again=bool(line.get("aa")),
    )


def _measurement_order(measurement: Measurement) -> tuple[Any, ...]:
    speed = measurement.speed
    return (
        measurement.system,
        measurement.run,
        measurement.device,
        measurement.workload,
        measurement.dtype,
        speed is None,
        -(speed or 0.0),
        measurement.implementation,
        measurement.again,
        repr(measurement),
    )
