"""Follow the relative error of a weight as sequences grow: with b = -log n every weight is near 1/n.

One curve: the worst relative error of a weight against n. With one key of value 1 the output is its weight, in float32, so
that the error is the activation's and not that of storing weights. Scores are normal deviates plus b, as at initialisation
with QK norm.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from conformance.engine.harness import connect
from conformance.sigmoid_attention.harness.problem import AttentionProblem
from conformance.studies.curves import Curve, Trace
from conformance.studies.study import Axes, Effort
from impls.implementation import Implementation, Unsupported
from impls.sigmoid_attention.options import AttentionOptions
from reference.rounding import FLOAT32
from reference.sigmoid_attention import forward, log_length_bias

Array = npt.NDArray[np.float64]

LENGTHS = (64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
QUERIES = 64
DIM = 16


def error_against_length(implementation: Implementation, effort: Effort) -> Iterator[Trace]:
    """The largest relative error of QUERIES weights at each length.

    Only the bias depends on the length: one key is enough to read a weight.
    """
    if "speed_baseline" in implementation.settings:
        raise Unsupported(f"computes {implementation.settings['speed_baseline']}, whose weights are others")
    if implementation.features is not None and not {"bias", "rectangular"} <= implementation.features:
        raise Unsupported("declares no bias, or no single key")
    if "float32" not in implementation.dtypes:
        raise Unsupported(f"computes in {', '.join(implementation.dtypes)} only")
    subject = connect(implementation, effort.device)
    lengths = LENGTHS[::3] if effort.quick else LENGTHS
    worst = []
    for length in lengths:
        effort.say(f"length {length}")
        problem, expected = one_weight_each(length)
        got = subject.forward(problem).output[0, 0, :, 0]
        worst.append(float((np.abs(got - expected) / expected).max()))
    floor = FLOAT32.unit_roundoff / 2  # a logarithm cannot show an error of 0
    yield Trace(
        x=lengths,
        y=[max(error, floor) for error in worst],
        dtype="float32",
        settings={"queries": QUERIES, "dim": DIM, "bias": "-log n", "class": implementation.numerical_class or "fused"},
    )


def one_weight_each(length: int) -> tuple[AttentionProblem, Array]:
    """QUERIES queries, one key whose value is 1: each output is one weight. And the weights, in float64."""
    rng = np.random.default_rng(length)
    q = FLOAT32.round(rng.normal(size=(1, 1, QUERIES, DIM)))
    k = FLOAT32.round(rng.normal(size=(1, 1, 1, DIM)))
    v = np.ones((1, 1, 1, DIM))
    bias = float(FLOAT32.round(log_length_bias(length)))
    expected = np.asarray(forward(q, k, v, bias=bias), dtype=np.float64)[0, 0, :, 0]
    options = AttentionOptions(bias=bias)
    return AttentionProblem(q=q, k=k, v=v, grad=np.ones((1, 1, QUERIES, DIM)), dtype="float32", options=options), expected


CURVES: tuple[Curve, ...] = (
    Curve(
        name="error-against-length", system="sigmoid_attention",
        title="Worst relative error of 64 attention weights, with b = -log n",
        axes=Axes("length n", "largest |error| / weight", "xy"), run=error_against_length, quick=True,
    ),
)  # fmt: skip
