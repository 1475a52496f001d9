"""A slowdown is proven when every take shows a loss beyond chance, beyond the noise of both runs, and beyond 3 %.

Pure arithmetic on speeds from records; other modules decide what is measured again, and when. docs/regressions.md gives the
rule, its reasons and its limits. All differences are natural logarithms of ratios.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median

from scipy import special

from conformance.benchmark.statistics import CONFIDENCE, SAME_WITHIN
from conformance.records.schema import MeasurementRecord, TakeRecord

FALSE_ALARM = 1e-3
"""The chance that one run of unchanged code is called slower anywhere, as far as sampling alone decides."""
TAKES = 3
"""A loss is proven by this many takes, each from a fresh start; the first is the run's own."""
MIRRORED = 5
"""At least so many speeds must have risen to estimate the noise between runs."""
RESOLVED = math.log(1.1)
"""A speed whose change certainly lies within this is called the same."""

Key = tuple[str, str, str, str, str]
Place = tuple[str, str, str, str]


@dataclass(frozen=True)
class Speed:
    """One measured speed. ``ratio`` is baseline time / own time, ``low`` and ``high`` its interval, ``seconds`` its own
    time."""

    implementation: str
    workload: str
    dtype: str
    device: str
    cache: str
    ratio: float
    low: float
    high: float
    seconds: float
    samples: int
    again: bool = False
    """The baseline beside itself (A/A): its ratio is noise and nothing else."""

    @property
    def key(self) -> Key:
        """Identifies the speed: the same in every run."""
        return self.implementation, self.workload, self.dtype, self.device, self.cache

    @property
    def place(self) -> Place:
        """Where it was measured. An A/A pair of the same place tells the noise there."""
        return self.workload, self.dtype, self.device, self.cache

    @property
    def error(self) -> float:
        """The standard error of log(ratio), from the wider side of its interval."""
        wider = max(math.log(self.high / self.ratio), math.log(self.ratio / self.low))
        return wider / NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)

    @property
    def excursion(self) -> float:
        """How far from 1 the interval of an A/A pair reaches."""
        return max(abs(math.log(self.low)), abs(math.log(self.high)))


def speed_of(record: MeasurementRecord, take: TakeRecord | None = None) -> Speed | None:
    """The speed of a measurement, or of a further take of it; None where it has no ratio to a baseline."""
    of = take or record
    if of.verdict != "measured" or of.ratio is None or of.ratio_low is None or of.ratio_high is None or of.median_s is None:
        return None
    if not of.ratio_low <= of.ratio <= of.ratio_high:
        return None
    return Speed(
        *record.key, of.ratio, of.ratio_low, of.ratio_high, of.median_s, samples=of.samples or 0, again=record.again
    )  # fmt: skip


def speeds_of(records: Iterable[MeasurementRecord]) -> tuple[Speed, ...]:
    """The speeds of the records that have one."""
    return tuple(speed for record in records if (speed := speed_of(record)) is not None)


def takes_of(record: MeasurementRecord) -> tuple[Speed, ...]:
    """The speeds of a measurement's further takes."""
    return tuple(speed for take in record.takes if (speed := speed_of(record, take)) is not None)


@dataclass(frozen=True)
class SpeedChange:
    """How one speed changed between an earlier run and this one; ``now`` is the take that lost least.

    ``word`` is ``slower``, ``faster``, ``same`` or ``undecided``. ``loss`` above zero is slower. A loss must exceed the
    largest of ``chance``, ``noise`` and ``scatter``, on top of `SAME_WITHIN`.
    """

    before: Speed
    now: Speed
    takes: int
    word: str
    loss: float
    chance: float
    noise: float
    scatter: float
    reason: str = ""

    @property
    def threshold(self) -> float:
        """A loss, or a gain, counts beyond this."""
        return math.log(SAME_WITHIN) + max(self.chance, self.noise, self.scatter)

    @property
    def proven(self) -> bool:
        """Whether it is slower in as many takes as a proof needs."""
        return self.word == "slower" and self.takes >= TAKES


def compare(
    earlier: Sequence[Sequence[Speed]], now: Sequence[Speed], again: Mapping[Key, Sequence[Speed]] | None = None
) -> list[SpeedChange]:
    """Compare every speed of this run that an earlier one has too, in order; ``again`` holds the further takes of suspects.

    With several earlier runs a speed is slower only where it is slower than in each of them, and faster likewise.
    """
    known = {speed.key for run in earlier for speed in run if not speed.again}
    shared = [speed for speed in now if not speed.again and speed.key in known]
    by_key: dict[Key, list[SpeedChange]] = {}
    for run in earlier:
        for change in _compare_with(run, now, again or {}, family=len(shared)):
            by_key.setdefault(change.now.key, []).append(change)
    return [_least(by_key[speed.key]) for speed in shared]


def suspects(changes: Iterable[SpeedChange]) -> list[SpeedChange]:
    """Those that would be called slower, had they been measured often enough."""
    return [change for change in changes if change.word == "slower" and not change.proven]


def _compare_with(
    run: Sequence[Speed], now: Sequence[Speed], again: Mapping[Key, Sequence[Speed]], family: int
) -> list[SpeedChange]:
    before = {speed.key: speed for speed in run}
    pairs = [(before[speed.key], speed) for speed in now if speed.key in before]
    scatter = _scatter(pairs, family)
    changes = []
    for old, new in pairs:
        if new.again or old.again:
            continue
        noise = _noise(new.place, [*run, *now])
        takes = [new, *again.get(new.key, ())]
        judged = [_judge(old, take, len(takes), noise, scatter[new.device], family) for take in takes]
        changes.append(min(judged, key=lambda change: (_RANK[change.word], change.loss - change.threshold)))
    return changes


_RANK = {"undecided": 0, "same": 0, "faster": 0, "slower": 1}
"""One take that shows no loss decides for all of them."""


def _judge(before: Speed, now: Speed, takes: int, noise: float, scatter: float, family: int) -> SpeedChange:
    loss = math.log(before.ratio / now.ratio)
    chance = _chance(before, now, FALSE_ALARM / max(1, family))
    change = SpeedChange(before, now, takes, "undecided", loss, chance, noise, scatter)
    if loss > change.threshold:
        # The baseline may have become faster: at least half of the loss must be additional time of the implementation.
        if math.log(now.seconds / before.seconds) < loss / 2:
            return replace(change, reason="its own time did not grow as its ratio fell: the baseline became faster")
        return replace(change, word="slower")
    if -loss > change.threshold:
        return replace(change, word="faster")
    within = _chance(before, now, (1 - CONFIDENCE) / 2)
    return replace(change, word="same" if abs(loss) + within <= RESOLVED else "undecided")


def _least(changes: Sequence[SpeedChange]) -> SpeedChange:
    """The weakest of the comparisons with several earlier runs."""
    words = {change.word for change in changes}
    if len(words) > 1 and words & {"slower", "faster"}:
        changes = [change for change in changes if change.word not in ("slower", "faster")] or [
            replace(change, word="undecided", reason="the earlier runs contradict each other") for change in changes
        ]
    return min(changes, key=lambda change: abs(change.loss) - change.threshold)


def _chance(before: Speed, now: Speed, tail: float) -> float:
    """The loss that sampling alone exceeds with probability ``tail`` where nothing changed."""
    parts = (before.error**2, now.error**2)
    total = sum(parts)
    if total == 0:
        return 0.0
    # Welch and Satterthwaite: few samples tell their own spread badly.
    freedom = total**2 / sum(
        part**2 / max(1, speed.samples - 1) for part, speed in zip(parts, (before, now), strict=True) if part
    )
    return student_quantile(tail, max(1, math.floor(freedom))) * math.sqrt(total)


def _noise(place: Place, speeds: Sequence[Speed]) -> float:
    """How far the A/A pairs of this place reach from 1 in either run; where there is none, those of its device and cache."""
    own = [speed.excursion for speed in speeds if speed.again and speed.place == place]
    others = [speed.excursion for speed in speeds if speed.again and speed.place[2:] == place[2:]]
    return max(own or others, default=0.0)


def _scatter(pairs: Sequence[tuple[Speed, Speed]], family: int) -> dict[str, float]:
    """How much a speed may fall between runs for no reason, by device, estimated from the speeds that rose.

    Noise is symmetric. So speeds that rose, and A/A pairs whichever way they went, show how far unchanged speeds wander
    between two runs. Intervals inside one run cannot show that, and no slowdown hides in it.
    """
    found: dict[str, float] = {}
    for device in {now.device for _, now in pairs}:
        own = [(old, new) for old, new in pairs if new.device == device]
        moves = [math.log(old.ratio / new.ratio) for old, new in own if old.again and new.again]
        moves += [move for old, new in own if not new.again and (move := math.log(old.ratio / new.ratio)) < 0]
        half = NormalDist().inv_cdf(0.75)
        spread = median(abs(move) for move in moves) / half if len(moves) >= MIRRORED else 0.0
        found[device] = spread * student_quantile(FALSE_ALARM / max(1, family), len(moves)) if spread else 0.0
    return found


@functools.lru_cache(maxsize=4096)
def student_quantile(tail: float, freedom: int) -> float:
    """The t that Student's distribution exceeds with probability ``tail``, below one half."""
    # From the lower tail, where the smallest probabilities keep all their digits.
    return -float(special.stdtrit(freedom, tail))
