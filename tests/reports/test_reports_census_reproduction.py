"""The second formula of a census, and the run that shows a difference: on made-up files, of which one errs on purpose."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports import census_reproduction, census_training

FILE = """
import math, torch

class Mix(torch.optim.Optimizer):
    def __init__(self, params, lr, betas, alpha, eps, weight_decay, T):
        super().__init__(params, dict(lr=lr, betas=betas, alpha=alpha, eps=eps, decay=weight_decay, T=T))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2, b3 = group["betas"]
            for p in group["params"]:
                s = self.state[p]
                t = s["t"] = s.get("t", 0) + 1
                first, last = (math.log(0.5) / math.log(b) for b in (b1, b3))
                a, b = group["alpha"] * min(1, t / group["T"]), b3
                if t < group["T"]:
                    b = 0.5 ** (1 / (first + (last - first) * t / group["T"]))
                g = p.grad
                for name, beta, value in (("m1", b1, g), ("m2", b, g), ("nu", b2, g * g)):
                    s[name] = beta * s.get(name, 0) + (1 - beta) * value
                mixed = s["m1"] / (1 - b1**t) + a * s["m2"] WRONG
                p -= group["lr"] * (mixed / ((s["nu"] / (1 - b2**t)).sqrt() + group["eps"]) + group["decay"] * p)
"""
ROW: dict[str, Any] = {
    "repository": "ann/first", "path": "mix.py", "object": "Mix", "load": "",
    "call": "[p], lr=lr, betas=(b1, b2, b3), alpha=alpha, eps=eps, weight_decay=decay, T=T",
}  # fmt: skip


@pytest.fixture(params=["", "/ (1 - b1**t)"], ids=["right", "wrong"])
def checkouts(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[bool, Path]:
    """Whether the file is right, and the folder of its checkout."""
    place = tmp_path / "ann+first"
    place.mkdir()
    (place / "mix.py").write_text(FILE.replace("WRONG", request.param), encoding="utf-8")
    return not request.param, tmp_path


def test_the_second_formula_tells_right_from_wrong(checkouts: tuple[bool, Path]) -> None:
    right, folder = checkouts
    found = census_reproduction.distances(ROW, folder)
    assert list(found) == list(census_reproduction.SETTINGS)
    far = [float(value) > census_reproduction.AGREES for value in found.values()]
    assert not any(far) if right else all(far)


def test_a_file_that_raises_is_quoted(tmp_path: Path) -> None:
    assert "FileNotFoundError" in str(census_reproduction.distances(ROW, tmp_path)["plain"])
    assert census_reproduction.distances({**ROW, "call": ""}, tmp_path) == {}


def test_without_words_for_a_warm_up_none_is_run() -> None:
    row = {**ROW, "call": "[p], lr=lr"}
    assert list(census_reproduction.scripts(row)) == ["plain", "eps", "decay"]


def test_a_training_run_of_the_right_one_is_the_papers(checkouts: tuple[bool, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    right, folder = checkouts
    monkeypatch.setattr(census_training, "STEPS", 4)
    monkeypatch.setattr(census_training, "EVERY", 2)
    losses, places = census_training.trained(ROW, 4, str(folder))
    expected, path = census_training.trained(None, 4, str(folder))
    assert len(losses) == len(expected) == 3
    assert losses[0] == expected[0] > losses[-1]
    assert not np.array_equal(path[0], path[-1])
    # Both round in float64, over four steps whose size is that of the learning rate.
    apart = float(np.abs(places[-1] - path[-1]).max())
    assert (apart < math.sqrt(math.ulp(1.0)) * census_training.SETTING["lr"]) == right
