"""Time calls on a device by its own clock, in the process in which they are made; verify them in this one.

Events of a device can be read only by the process that uses it. So the process of what is tested measures, and hands over what
its calls left behind. The suite draws the inputs itself, compares with the reference, and never imports what is tested. A time
that was handed over is no more than a claim. So the same calls are timed from outside too, by the clock of the suite: see
`Elsewhere.from_outside` and `contradicted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.benchmark import memory, timer
from conformance.benchmark.apart import ApartProcess
from conformance.benchmark.cache import cache_of
from conformance.benchmark.timer import ATTEMPTS, DeviceClock, DeviceLost, Work, nothing
from conformance.engine.child import ChildEndedError
from conformance.engine.remote_subject import RemoteObject

OUTSIDE_S = 0.05
"""Calls are timed from outside until they take this long together, so that an exchange does not matter."""
MOST_OUTSIDE = 10_000
"""No more calls than this are timed from outside."""
DOUBT = 1.25
"""A ratio that is so many times the one from outside is not believed."""


class ImpossibleTimeError(Exception):
    """A process said of its own calls what cannot be."""


class Timeable(Protocol):
    """What can be timed on a device: a system's timed work."""

    def received(self, told: Any) -> Any:
        """What a sample is told, brought to the device."""

    def tell(self, told: Any) -> None:
        """Take it over, behind what is queued already."""

    def once(self) -> Any:
        """One call."""

    def look(self, told: Any) -> Any:
        """Queue the reading of a part of what the last call left behind."""

    def shown(self, looked: Any) -> Any:
        """That part, as plain data."""


class OnDevice:
    """In the process of what is timed: times its calls between events of the device."""

    def __init__(self, work: Timeable) -> None:
        self._work = work
        self._clock = DeviceClock(timer.TorchCuda())
        self._works: dict[tuple[int, bool], Work] = {}
        self._told: Any = None
        self._looked: Any = None

    def time(self, told: Any, calls: int, warm: bool, replayed: bool) -> tuple[float, bool, bool, int, Any]:
        """Seconds of a sample, whether launches are in it, whether that is hopeless, attempts, and what was seen at the end.

        It is told what it works on when the untimed call before a warm sample is made: no answer can lie ready.
        """
        work, received = self._ready(calls, replayed), self._work.received(told)
        exposed, attempts = work.exposed, [0]

        def before() -> None:
            attempts[0] += 1
            if warm:
                (work.launch if replayed else self._work.once)()
            if attempts[0] == 1:
                self._told = received
                self._work.tell(received)
            if not warm:
                cache_of("cuda").evict()

        seconds = self._clock.time(work, before)
        return seconds, work.exposed > exposed, work.hopeless, attempts[0], self._work.shown(self._looked)

    def capture(self, calls: int, call_s: float | None) -> tuple[bool, str]:
        """Have the calls replayed from a graph from now on. Otherwise: whether the device is lost, and why there is none."""
        try:
            found = self._clock.captured(self._launch(calls), 1, None if call_s is None else call_s * calls)
        except DeviceLost as lost:
            return True, str(lost)
        if isinstance(found, str):
            return False, found
        self._works[calls, True] = found
        return False, ""

    def launching_seconds(self) -> float:
        """See `DeviceClock.launching_seconds`."""
        return self._clock.launching_seconds(self._work.once)

    def make(self, told: Any, calls: int) -> Any:
        """Make calls and wait for them; a part of what the last left behind."""
        self._told = self._work.received(told)
        self._work.tell(self._told)
        self._launch(calls)()
        self._clock.device.synchronize()
        return self._work.shown(self._looked)

    def peak_bytes(self) -> dict[str, Any]:
        """See `memory.peak_bytes`; one call."""
        return memory.peak_bytes(self._work.once, "cuda")

    def _ready(self, calls: int, replayed: bool) -> Work:
        if (calls, replayed) not in self._works:
            self._works[calls, replayed] = Work(self._launch(calls), calls)
        return self._works[calls, replayed]

    def _launch(self, calls: int) -> Callable[[], None]:
        def launch() -> None:
            for _ in range(calls):
                self._work.once()
            # In front of the clock's second event: what is put off until somebody looks is on the clock.
            self._looked = self._work.look(self._told)

        return launch


def synchronize() -> None:
    """In the process of what is timed: wait for the device."""
    import torch

    torch.cuda.synchronize()


@dataclass
class Elsewhere:
    """In this process: the timed calls of one work that lives in another, on a device.

    ``tell`` draws what a sample is told. ``made`` gets what each call that was made was told (None: as the one before), and
    what was seen after the last, None where nobody looked.
    """

    process: ApartProcess
    remote: RemoteObject
    tell: Callable[[], Any]
    made: Callable[[Sequence[Any], Any], None]
    replayable: bool = True
    """Whether a replay of a captured call does what the call does; an optimizer's is always of the same step."""

    @property
    def took_s(self) -> float:
        """Seconds of the last exchange, by this process's clock."""
        return self.process.remote.child.took_s

    def time(self, work: Work, warm: bool) -> float:
        """Seconds of a sample, by the device's clock, as its process says; ImpossibleTimeError where that cannot be."""
        told, calls = self.tell(), work.calls
        seconds, exposed, hopeless, attempts, seen = self.remote.time(told, calls, warm, work.method == "graph")
        took_s = self.took_s
        if type(seconds) is not float or not 0 < seconds <= took_s or attempts not in range(1, ATTEMPTS + 1):
            raise ImpossibleTimeError(
                f"its process says that a sample took {seconds!r} s in {attempts!r} attempts; the whole exchange took "
                f"{took_s:.3g} s here, and {ATTEMPTS} attempts are the most"
            )
        again = (calls + warm) * (attempts - 1)
        self.made([*([None] if warm else []), *([told] * (calls + again))], seen)
        work.timed, work.exposed, work.hopeless = work.timed + 1, work.exposed + bool(exposed), bool(hopeless)
        return seconds

    def capture(self, work: Work, call_s: float | None) -> str:
        """Have a work's calls replayed from a graph; why not, where they cannot. ChildEndedError where that costs the device.

        Its process is ended then, and the next case gets a fresh one.
        """
        if not self.replayable:
            return "a replay would repeat one step, and not make the next"
        lost, why = self.remote.capture(work.calls, call_s)
        if lost:
            self.process.remote.child.close()
            raise ChildEndedError(f"{why}; its process was ended, and the next case gets a fresh one")
        return str(why)

    def launching_seconds(self) -> float:
        """See `DeviceClock.launching_seconds`."""
        seconds = float(self.remote.launching_seconds())
        self.made([None] * timer.LAUNCHES, None)
        return seconds

    def peak_bytes(self) -> dict[str, Any]:
        """See `memory.peak_bytes`."""
        found: dict[str, Any] = self.remote.peak_bytes()
        self.made([None], None)
        return found

    def from_outside(self) -> float:
        """Seconds of one call by this process's clock: its launches and an exchange's share of many calls included."""
        calls = 1
        while True:
            told = self.tell()
            seen, took_s = self.remote.make(told, calls), self.took_s
            self.made([told] * calls, seen)
            if took_s >= OUTSIDE_S or calls >= MOST_OUTSIDE:
                return took_s / calls
            calls = min(2 * calls, MOST_OUTSIDE)


class ElsewhereClock(DeviceClock):
    """Has samples timed where their works live. What goes before a sample is done there too, behind what the device spins."""

    name = "device events, read by processes of their own"

    def __init__(self, processes: Sequence[ApartProcess]) -> None:
        super().__init__(_OtherProcesses(processes))
        self._warm = False

    def evict(self) -> None:
        """Have the next sample begin with a cold cache."""
        self._warm = False

    def once(self) -> None:
        """Have the next sample begin behind an untimed call."""
        self._warm = True

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        if work.elsewhere is None:
            raise TypeError("found a work that lives in this process, expected one that lives in another")
        before()
        seconds: float = work.elsewhere.time(work, self._warm)
        self.observe()
        return seconds

    def replaying(self, work: Work, run: Callable[[], Any], call_s: float | None) -> Work | str:
        assert work.elsewhere is not None
        captured = Work(nothing, work.calls, "graph", elsewhere=work.elsewhere)
        return work.elsewhere.capture(captured, call_s) or captured


class _OtherProcesses(timer.TorchCuda):
    """The device as this process needs it: it waits for what others have queued, and measures nothing."""

    def __init__(self, processes: Sequence[ApartProcess]) -> None:
        self._processes = processes

    def synchronize(self) -> None:
        for process in self._processes:
            process.remote.do(synchronize)


def contradicted(ratio: float, from_outside: float) -> str:
    """Why a ratio to the baseline that processes have measured themselves is not believed; empty where it is."""
    if ratio <= DOUBT * from_outside:
        return ""
    return (
        f"by the clocks of their own processes it is {ratio:.3g} times as fast as the baseline, and by the suite's clock, "
        f"from outside and with launches, {from_outside:.3g} times"
    )
