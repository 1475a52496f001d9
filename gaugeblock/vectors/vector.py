"""One test vector: inputs, expected values, and the error that an honest implementation may have, element by element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.engine.tensor_bytes import Array


@dataclass(frozen=True, eq=False)
class NumericVector:
    """``parameters`` is what JSON holds; arrays are float64 images, inputs with the dtype in which they are exact."""

    name: str
    dtype: str
    requirements: tuple[str, ...]
    """Ids, the one whose case it is first."""
    parameters: Mapping[str, Any]
    inputs: Mapping[str, tuple[Array, str]]
    expected: Mapping[str, tuple[Array, Array]]
    """Values and bounds by the name of the result."""

    @property
    def elements(self) -> int:
        """Numbers in all its arrays."""
        return sum(values.size for _, values, _ in self.arrays())

    @property
    def is_defined(self) -> bool:
        """Whether a bound is infinite wherever the value is no number."""
        return all(
            (~np.isnan(values) & ~np.isnan(bounds) | np.isinf(bounds)).all() for values, bounds in self.expected.values()
        )

    def is_kept(self, case: Any, most: int) -> bool:
        """Whether its case is no row of a covering array; or it has at most so many numbers, or 800,000 in a quick row.

        Quick rows hold most pairs of values. So all files together stay below 50 MB.
        """
        return case.combination is None or self.elements <= (800_000 if case.quick else most)

    def arrays(self) -> Iterator[tuple[str, Array, str]]:
        """Every array with its name in the file and its dtype. Bounds are rounded up, by 1/128 at most."""
        for name, (values, dtype) in self.inputs.items():
            yield f"{self.name}/{name}", values, dtype
        for name, (values, bounds) in self.expected.items():
            yield f"{self.name}/{name}/values", values, "float64"
            yield f"{self.name}/{name}/bounds", _rounded_up(bounds), "bfloat16"


def _rounded_up(bounds: Array) -> Array:
    """The next bfloat16 that is not smaller; infinite where none is."""
    with np.errstate(over="ignore"):
        bits = bounds.astype("<f4").view("<u4")
    near = bits & ~np.uint32(0xFFFF)  # towards zero, and bounds are not negative
    above = np.where(near.view("<f4") < bounds, near + np.uint32(0x10000), near).astype("<u4")
    return above.view("<f4").astype(np.float64)
