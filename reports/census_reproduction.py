"""A reproduction without the suite: the paper's algorithm 1 in plain Python beside one file, in one script.

It is the second oracle of a census: written apart from `reference`, in float64, with the warm-up of beta3 in the paper's
closed form. `scripts` gives the text for each setting, which a page shows and ``gaugeblock census --reproduce`` runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SETTINGS: dict[str, dict[str, float]] = {
    "plain": {},
    "eps": {"eps": 0.5},
    "decay": {"decay": 0.1},
    "warm-up": {"T": 8},
    "warm-up of a long memory": {"T": 8, "b3": 1 - 1e-7},
}
"""What each script has beside the usual values; T steps of warm-up, of which 1 is none."""

USUAL: dict[str, float] = {"lr": 0.01, "b1": 0.9, "b2": 0.99, "b3": 0.999, "alpha": 5.0, "eps": 1e-8, "decay": 0.0, "T": 1}

BY_PATH = """\
spec = importlib.util.spec_from_file_location("theirs", "{place}/{path}")
theirs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theirs)"""

SCRIPT = """\
import importlib.util, math, sys, torch, types
{load}
{values}
p = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer = theirs.{target}({call})
w, m1, m2, nu = 1.0, 0.0, 0.0, 0.0
for t in range(1, 13):
    g = math.cos(t)
    p.grad = torch.full_like(p, g)
    optimizer.step()
    x, y = math.log(b1), math.log(b3)
    a, b = min(t / T, 1) * alpha, math.exp(x * y / ((1 - t / T) * y + t / T * x)) if t < T else b3
    m1, m2, nu = b1 * m1 + (1 - b1) * g, b * m2 + (1 - b) * g, b2 * nu + (1 - b2) * g * g
    w -= lr * ((m1 / (1 - b1**t) + a * m2) / (math.sqrt(nu / (1 - b2**t)) + eps) + decay * w)
print("theirs", p.item(), "the paper", w)
"""

AGREES = sys.float_info.epsilon**0.5
"""Both agree where they have half of float64's digits in common. What a page says of it decides no verdict."""


def scripts(row: Mapping[str, Any]) -> dict[str, str]:
    """The text for each setting that the implementation has words for; none where it cannot be called alone."""
    if not row.get("call"):
        return {}
    place = row["repository"].replace("/", "+")
    load = (row["load"] or BY_PATH).format(place=place, path=row["path"])
    found = {}
    for name, more in SETTINGS.items():
        used = {**USUAL, **more}
        values = f"{', '.join(used)} = {', '.join(map(str, used.values()))}"
        if "T" not in more or "=T" in row["call"]:
            found[name] = SCRIPT.format(load=load, values=values, target=row["object"], call=row["call"])
    return found


RUNNER = """\
import contextlib, io, json, sys
found = {}
for name, text in json.load(sys.stdin).items():
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(text, {})
        theirs, paper = (float(word) for word in printed.getvalue().replace("the paper", "").split()[-2:])
        found[name] = abs(theirs - paper) / abs(paper - 1.0)
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"[:200]
print(json.dumps(found))
"""


def distances(row: Mapping[str, Any], folder: Path) -> dict[str, float | str]:
    """Run the scripts from the folder of checkouts: |theirs - the paper| / |the paper - 1|, or what was raised."""
    texts = scripts(row)
    if not texts:
        return {}
    command = [sys.executable, "-c", RUNNER]
    ran = subprocess.run(command, cwd=folder, input=json.dumps(texts), capture_output=True, text=True, check=False)
    if ran.returncode:
        return dict.fromkeys(texts, ran.stderr.strip().splitlines()[-1][:200])
    found: dict[str, float | str] = json.loads(ran.stdout)
    return found
