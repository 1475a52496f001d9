"""What somebody reads who brings a kernel, an optimizer or a parser with one mistake: the answer stands on the last screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCREEN = 40
"""Lines."""

ATTENTION = """
import math
import torch

def attention(q, k, v, *, scale=None, bias=0.0, causal=False):
    wide = {wide}
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (wide(q) @ wide(k).transpose(-1, -2)) * scale + bias
    if not causal:
        return (torch.sigmoid(scores) @ wide(v)).to(v.dtype)
    n, m = scores.shape[-2:]
    keep = torch.ones(n, m, dtype=torch.bool).tril(m - n - {off})
    return (torch.sigmoid(scores).masked_fill(~keep, 0.0) @ wide(v)).to(v.dtype)
"""
OPTIMIZER = """
from impls.ademamix.optimizer import AdEMAMix

class Exchanged(AdEMAMix):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0, t_alpha=None, t_beta3=None
    ):
        super().__init__(params, lr, (betas[1], betas[0], betas[2]), alpha, eps, weight_decay, t_alpha, t_beta3)
"""
PARSER = r"""
import re

PATTERN = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')

def parse(text):
    return [(m[1], m[2], m.start(), m.end() - 1) for m in PATTERN.finditer(text)]
"""


@pytest.mark.parametrize(
    ("attribute", "source", "few", "answers"),
    [
        (
            "attention",
            ATTENTION.format(wide="lambda x: x", off=0),
            "SIG-05 or SIG-07 or SIG-16 or SIG-33 or SIG-38",
            ["wrong results vanish under 'materialised'", 'attention.gaugeblock = {"numerical_class": "materialised"}'],
        ),
        (
            "attention",
            ATTENTION.format(wide="torch.Tensor.float", off=1),
            "SIG-14 or SIG-16",
            ["as if: A causal query does not see its own position. [causal-strict", "all need causal"],
        ),
        ("Exchanged", OPTIMIZER, "ADM-02 or ADM-05 or ADM-06", ["definition differs (2 of 3 requirements)"]),
        (
            "parse",
            PARSER,
            "RIG-34- or RIG-37-",
            ["as if: Gives the index of the last character as the end of a span."],
        ),
    ],
    ids=["scores in 16 bits", "mask", "betas", "offset"],
)
def test_the_answer_stands_on_the_last_screen(
    tmp_path: Path, attribute: str, source: str, few: str, answers: list[str]
) -> None:
    (tmp_path / "theirs.py").write_text(source)
    system = {"Exchanged": "ademamix", "parse": "rig"}.get(attribute, "sigmoid_attention")
    command = [sys.executable, "-m", "pytest", f"conformance/{system}", "-q", "-p", "no:cacheprovider", "-k", few]
    done = subprocess.run(
        [*command, "--quick", f"--impl={system}={tmp_path}/theirs.py:{attribute}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.rstrip().split("\n")[-SCREEN:]
    screen = " ".join(" ".join(last).split())
    assert "= conformance =" in screen
    for answer in answers:
        assert answer in screen, done.stdout
    assert f"theirs.py:{attribute}" in screen.partition("reproduce pytest ")[2].partition(" failed margin ")[0]


def test_what_failed_beside_the_test_cases_is_named_last(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_of_somebody() -> None:\n    assert False\n")
    command = [sys.executable, "-m", "pytest", "conformance", str(tmp_path / "test_own.py"), "--impl=rig/fast", "-k"]
    run = subprocess.run(
        [*command, "RIG-01 or somebody", "-q", "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 1, run.stdout
    (last,) = (number for number, line in enumerate(lines) if line.startswith("also failed: "))
    assert lines[last].endswith("::test_of_somebody")
    assert last > max(number for number, line in enumerate(lines) if line.startswith("rig/fast "))
