"""The claims measure what they say: the model's gradient is its loss's, the intervals are Student's, the short forms run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.ademamix import character_model as model
from conformance.ademamix import claims
from conformance.studies.study import Effort
from reference.ademamix import Hyperparameters
from reference.rounding import FLOAT64, gamma
from tests.core.said import said


def test_gradient_of_the_model_is_the_derivative_of_its_loss() -> None:
    symbols = 5
    rng = np.random.default_rng(0)
    theta = model.initial(symbols, seed=1)
    contexts, following = rng.integers(0, symbols, (7, model.CONTEXT)), rng.integers(0, symbols, 7)
    loss, gradient = model.loss_and_gradient(theta, symbols, contexts, following)
    step = 2.0**-200  # complex step: no cancellation, so that the derivative is as exact as the loss
    scale = np.max(np.abs(gradient))
    for place in rng.integers(0, len(theta), 60):
        moved = theta.astype(complex)
        moved[place] += 1j * step
        derivative = float(np.imag(model.cross_entropy(moved, symbols, contexts, following))) / step
        assert abs(derivative - gradient[place]) <= gamma(4 * len(theta), FLOAT64.unit_roundoff) * scale
    assert abs(loss - model.loss_of(theta, symbols, contexts, following)) <= gamma(100, FLOAT64.unit_roundoff) * loss


def test_corpus_parts_share_no_text_and_are_large_enough() -> None:
    text = model.corpus()
    assert len(text.train) > 5 * len(text.test) > 50_000
    assert len(text.validation) > 10_000
    assert max(text.train.max(), text.test.max()) < text.symbols
    assert len(text.sha256) == 64


def test_training_learns_and_both_optimizers_see_the_same_batches() -> None:
    symbols = model.corpus().symbols
    seen: dict[str, list[int]] = {}
    for name, hyper in (("AdamW", claims.ADAMW), ("AdEMAMix", claims.ademamix_for(60))):
        drawn: list[int] = seen.setdefault(name, [])
        original = model.batch

        def watched(codes: model.Codes, rng: np.random.Generator, size: int = model.BATCH, drawn: list[int] = drawn) -> object:
            contexts, following = original(codes, rng, size)  # noqa: B023
            drawn.append(int(contexts.sum()))
            return contexts, following

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "batch", watched)
            *_, (last, theta) = model.train(model.Training(hyper, 1e-2, 60, seed=3))
        assert last == 60
        examples = model.batch(model.corpus().test, np.random.default_rng(0), 500)
        assert model.loss_of(theta, symbols, *examples) < model.loss_of(model.initial(symbols, 3), symbols, *examples)
    assert seen["AdamW"] == seen["AdEMAMix"]


def test_rates_warm_up_and_end_at_nothing() -> None:
    training = model.Training(Hyperparameters(), 0.5, 100, seed=0)
    assert [training.rate(t) for t in (1, 5)] == [0.1, 0.5 * (1 + math.cos(math.pi * 0.05)) / 2]
    assert training.rate(100) == 0


def test_intervals_are_students_and_verdicts_need_all_of_one() -> None:
    middle, low, high = claims.interval([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3)
    assert said(middle, low, high) == said(2.0, 2.0 - half, 2.0 + half)
    assert claims.interval([1.0]) == (1.0, -math.inf, math.inf)
    assert claims.verdict_of(0.1, 0.2) == "holds"
    assert claims.verdict_of(-0.2, -0.1) == "does not hold"
    assert claims.verdict_of(-0.1, 0.2) == "undecided"


def test_a_claim_holds_by_every_figure_that_is_printed_under_it() -> None:
    assert claims.rosenbrock_verdict(6, 6, True) == "holds"
    assert claims.rosenbrock_verdict(5, 6, True) == claims.rosenbrock_verdict(6, 6, False) == "undecided"
    assert claims.rosenbrock_verdict(0, 6, False) == "does not hold"


def test_rosenbrock_has_its_minimum_and_its_gradient() -> None:
    assert claims.rosenbrock(1.0, 1.0) == (0.0, (0.0, 0.0))
    value, (by_x, by_y) = claims.rosenbrock(-3.0, 5.0)
    assert (value, by_x, by_y) == (1616.0, -4808.0, -800.0)


def test_paths_count_turns_and_adam_is_the_one_without_alpha() -> None:
    slow = claims.descend(Hyperparameters(alpha=0.0), 1e-2, 300)
    heavy = claims.descend(Hyperparameters(beta1=0.99, alpha=0.0), 1e-2, 300)
    assert slow.turns < heavy.turns
    assert slow.values[0] == 1616.0
    assert len(slow.values) == 300


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.id)
def test_short_form_gives_a_finding_that_a_record_can_hold(claim: claims.Claim) -> None:
    told: list[str] = []
    finding = claim.run(Effort(quick=True, say=told.append))
    assert finding.verdict in {"holds", "does not hold", "undecided"}
    assert finding.message.endswith(".")
    for series in finding.series:
        assert series.to_json()["y"]
        assert all(math.isfinite(y) for y in series.y)
    assert told or not finding.series


def test_forgetting_is_measured_against_the_same_run_without_the_batch() -> None:
    gain = claims._gain(claims.ADAMW, 60, seed=1, when=30)
    assert min(gain) == 0
    assert max(gain) <= 30
    assert gain[0] > 0  # one step on the batch lowers its loss
