"""Attention made ready to be timed, here or in another process: what is called by name, with plain data, from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.benchmark.on_device import OnDevice

Array = npt.NDArray[Any]
Told = Sequence[Array | None]
"""What calls are told when they are asked for: by how much each column of the keys is multiplied before the call, 1 or -1.

No answer can have been computed before that is known, and a key that was drawn from the normal distribution stays so drawn.
None: the keys stay as they are."""


class TimedWork(ABC):
    """``renew`` draws inputs in place, ``make`` calls, ``head`` shows one head of what the last call left behind."""

    def __init__(self, *, watched: bool) -> None:
        self._watched = watched
        self._inputs: dict[str, Any] = {}
        self._results: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._seen: dict[str, Array] = {}

    @abstractmethod
    def renew(self, seed: int) -> None:
        """Draw the inputs anew, in their places."""

    @abstractmethod
    def turn(self, signs: Any) -> None:
        """Multiply the columns of the keys."""

    @abstractmethod
    def run(self) -> dict[str, Any]:
        """Compute on the inputs at hand: the output, and the gradients where the load has them."""

    @abstractmethod
    def glance(self, results: dict[str, Any], largest: bool) -> dict[str, Any]:
        """One number of each row of each result, (B, H, N): its largest, else its first, which is cheaper.

        It is read on the clock, so that no work is put off until later.
        """

    @abstractmethod
    def shown(self, looked: dict[str, Any]) -> dict[str, Array]:
        """What a glance saw, as arrays."""

    @abstractmethod
    def of_head(self, arrays: dict[str, Any], batch: int, head: int) -> dict[str, Array]:
        """One head of these, (N, D) in float64."""

    def make(self, told: Told) -> dict[str, Array]:
        """Make calls; what a glance sees of the last. On a device, where what comes later waits for it, nothing."""
        largest = False
        for signs in told:
            if signs is not None:
                largest = True
                self.turn(signs)
            self._results = {}  # first, to free its memory
            self._results = self.run()
            self._seen = self.shown(self.glance(self._results, largest)) if self._watched else {}
        return self._seen

    def exchange(self, told: Told) -> dict[str, Array]:
        """All that `make` does but the calls, on the results of earlier ones."""
        for signs in told:
            if signs is not None:
                self.turn(signs)
            self._seen = self.shown(self.glance(self._results, signs is not None))
        return self._seen

    def on_device(self) -> OnDevice:
        """What times the calls by the device's clock, in this process."""
        return OnDevice(self)

    def received(self, told: Array | None) -> Any:
        """What a sample is told, where the keys lie."""
        return told

    def tell(self, told: Any) -> None:
        """Turn the keys as told."""
        if told is not None:
            self.turn(told)

    def once(self) -> None:
        """One call."""
        self._results = {}
        self._results = self.run()

    def look(self, told: Any) -> dict[str, Any]:
        """What `make` shows of the last call, not waited for."""
        return self.glance(self._results, told is not None)

    def keep(self) -> None:
        """Keep the results of the last call beside those of later ones."""
        self._kept = self._results

    def names(self) -> list[str]:
        """Of the results."""
        return list(self._results)

    def inputs(self, batch: int, head: int) -> dict[str, Array]:
        """One head of the inputs."""
        return self.of_head(self._inputs, batch, head)

    def head(self, batch: int, head: int) -> dict[str, Array]:
        """One head of the results of the last call."""
        return self.of_head(self._results, batch, head)

    def kept(self, batch: int, head: int) -> dict[str, Array]:
        """One head of the results that were kept."""
        return self.of_head(self._kept, batch, head)


class Signs:
    """Draws what calls are told, and remembers what that has made of the keys since they were drawn."""

    def __init__(self, dim: int, rng: np.random.Generator) -> None:
        self._dim, self._rng = dim, rng
        self.product: Array = np.ones(dim, np.float32)

    def reset(self) -> None:
        self.product = np.ones(self._dim, np.float32)

    def draw(self, calls: int) -> list[Array | None]:
        """For so many calls."""
        drawn = self._rng.choice(np.array([-1, 1], np.float32), (calls, self._dim))
        self.product = self.product * drawn.prod(0)
        return [*drawn]
