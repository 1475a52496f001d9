"""A numerical class says in which precision an optimizer keeps and computes what; its bound follows from that alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OptimizerNumericalClass:
    """What an implementation declares about its arithmetic.

    ``operations``: format to which each elementwise result is rounded: ``wide`` (float32, or float64 for float64 parameters),
    or ``parameter`` (the parameter's own dtype: every intermediate is stored in it).
    ``states``: format in which the moments are kept between steps: ``wide``, ``parameter``, ``bfloat16``, ``blockwise-8bit``
    (`reference.ademamix.codebook`), or ``ratios-8bit`` (`reference.ademamix.companding`).
    ``storing``: how the parameter, and moments in a narrow format, are rounded when they are stored: ``nearest``, or
    ``stochastic`` (to one of the two neighbours, by chance, so that small changes are not always lost).
    ``hyperparameters``: format in which schedules, powers and ``1 - beta`` are computed: ``float64`` (Python floats, each then
    rounded once to the format of the operations), or ``float32``.
    """

    name: str
    description: str
    operations: str = "wide"
    states: str = "wide"
    hyperparameters: str = "float64"
    storing: str = "nearest"
    block: int = 256
    quantised_from: int = 4096
    """Tensors with fewer elements keep unquantised moments (8-bit states only)."""
    quantiser_resolution: float = 2.0**-15
    """Relative to a block's maximum, how finely a quantiser must tell values apart before it looks up the nearest code:
    published CPU code indexes a table of 65536 bins over [-1, 1]."""


STRICT = OptimizerNumericalClass(
    "float32-states",
    "Moments and operations in float32 (float64 for float64 parameters), scalars in double: the paper's own setting (B.1).",
)

NUMERICAL_CLASSES: dict[str, OptimizerNumericalClass] = {
    each.name: each
    for each in (
        STRICT,
        OptimizerNumericalClass(
            "float32-hyperparameters",
            "As float32-states, but schedules, powers and 1 - beta are computed in float32.",
            hyperparameters="float32",
        ),
        OptimizerNumericalClass(
            "parameter-dtype-moments",
            "As float32-states, but the moments are kept in the dtype of the parameter: in 16 bits a slow EMA stands still.",
            states="parameter",
        ),
        OptimizerNumericalClass(
            "parameter-dtype-moments-stochastic",
            "As parameter-dtype-moments; moments and parameters in 16 bits are rounded stochastically.",
            states="parameter",
            storing="stochastic",
        ),
        OptimizerNumericalClass(
            "bfloat16-moments",
            "As float32-states, but the moments are kept in bfloat16, rounded to nearest: a slow EMA stands still.",
            states="bfloat16",
        ),
        OptimizerNumericalClass(
            "bfloat16-moments-stochastic",
            "As float32-states, but the moments are kept in bfloat16; they and narrow parameters are rounded stochastically.",
            states="bfloat16",
            storing="stochastic",
        ),
        OptimizerNumericalClass(
            "stochastic-rounding",
            "As float32-states, but parameters in 16 bits are rounded stochastically.",
            storing="stochastic",
        ),
        OptimizerNumericalClass(
            "parameter-dtype",
            "Moments and every intermediate are rounded to the dtype of the parameter: in 16 bits a slow EMA stands still.",
            operations="parameter",
            states="parameter",
        ),
        OptimizerNumericalClass(
            "blockwise-8bit",
            "Moments of large tensors are kept in 8 bits with the dynamic code book, in blocks of 256; a slow EMA lags.",
            states="blockwise-8bit",
        ),
        OptimizerNumericalClass(
            "ratios-8bit",
            "Large tensors keep 8 bits of the second moment's root and of the first moments' ratios to it, in blocks of 256; "
            "what rounding to nearest would never move is rounded stochastically.",
            states="ratios-8bit",
        ),
    )
}


def numerical_class(name: str) -> OptimizerNumericalClass:
    """The class of that name; the empty name is the strict one. ValueError names the known ones."""
    try:
        return NUMERICAL_CLASSES[name or STRICT.name]
    except KeyError:
        raise ValueError(f"unknown numerical class {name!r}; expected one of {', '.join(NUMERICAL_CLASSES)}") from None
