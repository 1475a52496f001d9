"""Every tolerance in this project is built from the numbers and the algebra in this module.

The standard model of rounded arithmetic (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 2.2):
``fl(a op b) = (a op b)(1 + delta) + epsilon`` with ``|delta| <= u`` (the unit roundoff) and, where the result is subnormal,
``|epsilon| <= eta`` (half the smallest subnormal) with ``delta = 0``. A bound states how many such roundings an honest
implementation may make, and in which format; it is evaluated in float64 beside the value that it bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, round to nearest even, with subnormals (IEEE 754-2019, section 3.3).

    ``precision`` counts significand bits with the implicit one; ``emin`` and ``emax`` are exponents of the smallest and
    largest normal number written ``1.xxx * 2**e``.
    """

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """Largest relative error of one rounding to nearest: ``2**-precision``."""
        return 2.0**-self.precision

    @property
    def smallest_subnormal(self) -> float:
        """Distance between neighbours near zero."""
        return 2.0 ** (self.emin - self.precision + 1)

    @property
    def smallest_normal(self) -> float:
        """Smallest positive number of full precision; the threshold under which a flush-to-zero unit returns 0."""
        return 2.0**self.emin

    @property
    def half_subnormal(self) -> float:
        """Largest absolute error of one rounding in the subnormal range (``eta``)."""
        # 2.0**(emin - precision) underflows for float64; halving a power of two that is itself subnormal gives 0,
        # which would claim no error at all, so the smallest subnormal takes its place.
        return self.smallest_subnormal / 2 or self.smallest_subnormal

    @property
    def largest(self) -> float:
        """Largest finite number."""
        return float((2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax)

    def round(self, x: npt.ArrayLike) -> Array:
        """The float64 values that ``x`` takes when stored in this format; overflow gives inf, NaN stays NaN.

        Shapes: any, returned unchanged. Exact for every format no wider than float64.
        """
        given = np.asarray(x)
        values = np.array(given, dtype=np.float64)
        if self.precision >= 53 or (self.precision == 24 and given.dtype in (np.float32, np.float16)):
            return values  # held exactly already
        finite = np.isfinite(values)
        safe = np.where(finite, values, 0.0)
        _, exponent = np.frexp(safe)  # safe = m * 2**exponent with 0.5 <= |m| < 1
        quantum = np.maximum(exponent - self.precision, self.emin - self.precision + 1)
        with np.errstate(over="ignore"):  # what overflows here is replaced by inf below
            rounded = np.ldexp(np.rint(np.ldexp(safe, -quantum)), quantum)
        rounded = np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, safe), rounded)
        return np.where(finite, rounded, values)


FLOAT64 = Format("float64", precision=53, emin=-1022, emax=1023)
FLOAT32 = Format("float32", precision=24, emin=-126, emax=127)
FLOAT16 = Format("float16", precision=11, emin=-14, emax=15)
BFLOAT16 = Format("bfloat16", precision=8, emin=-126, emax=127)

FORMATS: dict[str, Format] = {f.name: f for f in (FLOAT64, FLOAT32, FLOAT16, BFLOAT16)}


def format_of(dtype: str) -> Format:
    """The format that a dtype's name stands for; ValueError names the known ones."""
    try:
        return FORMATS[dtype]
    except KeyError:
        raise ValueError(f"unknown dtype {dtype!r}; expected one of {', '.join(FORMATS)}") from None


def gamma(count: float, unit_roundoff: float) -> float:
    """``gamma_n = n u / (1 - n u)`` bounds the relative error of n successive roundings (Higham, lemma 3.1).

    Raises ValueError where ``n u >= 1``: no bound exists there, and pretending otherwise would hide any bug.
    """
    product = count * unit_roundoff
    if not 0 <= product < 1:
        raise ValueError(f"gamma({count}, {unit_roundoff}) has no finite bound: n*u = {product} is not below 1")
    return product / (1 - product)


def rounded(value: Array, error: Array, fmt: Format) -> Array:
    """Error bound after storing, in ``fmt``, a quantity whose exact value is ``value`` and error so far ``error``.

    ``error + u (|value| + error) + eta``, elementwise; shapes broadcast.
    """
    return error + fmt.unit_roundoff * (np.abs(value) + error) + fmt.half_subnormal
