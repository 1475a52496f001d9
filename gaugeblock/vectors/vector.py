"""One test vector: inputs, expected values, and the error that an honest implementation may have, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NumericVector:
    """``parameters`` is what JSON holds; arrays are float64 images, the inputs exact in ``dtype``."""

    name: str
    dtype: str
    requirements: tuple[str, ...]
    """Ids, the one whose case it is first."""
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Array]
    expected: Mapping[str, tuple[Array, Array]]
    """Values and bounds by the name of the result."""

    @property
    def elements(self) -> int:
        """Numbers in all its arrays."""
        arrays = [*self.inputs.values(), *(array for pair in self.expected.values() for array in pair)]
        return sum(array.size for array in arrays)
