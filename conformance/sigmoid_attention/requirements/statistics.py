"""Requirements on rounding errors as a whole, on random data: no mean, no more spread than roundings have, no pattern."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import Array, AttentionResult, AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, solve
from impls.implementation import Unsupported
from reference.sigmoid_attention import Product, is_modelled


def _errors(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[tuple[str, Product, Array]]:
    """What the statistical model knows of each result of the case, and the error found in it."""
    if not is_modelled(subject.numerical_class):
        raise Unsupported(f"the class {subject.numerical_class} stores more than the statistical model of rounding errors has")
    yield from errors_of(solve(subject, case, dtype), subject, case, dtype)


def errors_of(
    found: AttentionResult, subject: AttentionSubject, case: AttentionCase, dtype: str
) -> Iterator[tuple[str, Product, Array]]:
    """The same of a result of the case."""
    known = cases.random_products(case, dtype, subject.numerical_class)
    results = {f"gradient of {name}": x for name, x in found.gradients.items()} if case.backward else {"output": found.output}
    for name, result in results.items():
        product = known[name]
        if result.ndim < product.value.ndim and result.size == product.value.size:  # of the bias and the slopes
            result = result.reshape(product.value.shape)
        if result.shape != product.value.shape:
            raise ValueError(f"{name} has shape {result.shape}, expected {product.value.shape}")
        yield name, product, result - product.value


def along(name: str, product: Product, error: Array, direction: str) -> Comparison:
    """The sum of the errors, weighted by a direction."""
    w = product.weights(direction)
    along = f"along {direction}" if direction else "weighted mean"
    return compare(f"error of the {name}, {along}", float((w * error).sum()), 0.0, product.lean_limit(w))


@REQUIREMENTS.add(
    "SIG-44",
    Level.ROBUSTNESS,
    "On random data rounding errors have no mean: they are as often above as below.",
    source="reference (statistical model, bias)",
    catches="truncating where rounding is meant, in weights, score gradients or results",
    cases=cases.RANDOM_POSITIVE,
)
def errors_have_no_mean(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The sum of the errors, each in units of its own spread."""
    for name, product, error in _errors(subject, case, dtype):
        yield along(name, product, error, "")


@REQUIREMENTS.add(
    "SIG-45",
    Level.ROBUSTNESS,
    "On random data rounding errors spread no further than one rounding of each stored weight and result makes them.",
    source="reference (statistical model, spread and largest)",
    catches="sums rounded to the input dtype every few keys; weights stored with fewer bits",
    cases=cases.RANDOM,
)
def errors_spread_no_further_than_roundings(
    subject: AttentionSubject, case: AttentionCase, dtype: str
) -> Iterator[Comparison]:
    """The root of the sum of squares, and the largest."""
    for name, product, error in _errors(subject, case, dtype):
        spread = float(np.sqrt(((error / product.sigma()) ** 2).sum()))
        yield compare(f"spread of the errors of the {name}", spread, 0.0, product.spread_limit())
        yield compare(f"error of the {name}", error, np.zeros_like(error), product.largest_limit())


@REQUIREMENTS.add(
    "SIG-46",
    Level.ROBUSTNESS,
    "On random data rounding errors follow neither the value nor its derivative in the bias or the scale.",
    source="reference (statistical model, bias)",
    catches="a bias or a scale kept in the input dtype, which hides under every worst-case bound",
    cases=cases.RANDOM,
)
def errors_follow_nothing(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The errors projected on the value, and on its derivatives in bias and scale."""
    for name, product, error in _errors(subject, case, dtype):
        for direction in product.directions:
            yield along(name, product, error, direction)
