"""Run the real command on attacks, and read what it said of each."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.confinement import Confinement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NO_ATTACK = ("__init__", "honest", "honest_attention", "others")
SECONDS = 900
"""A run that takes longer hangs; the longest takes a fraction of that."""
NOT_PREVENTED = "not prevented"
LIMITS = {"GAUGEBLOCK_TEXT_SECONDS": "1", "GAUGEBLOCK_CALL_SECONDS": "3", "GAUGEBLOCK_CALL_GIB": "1"}
CONFINED = "--confine=folder,environment,namespace"


@dataclass(frozen=True)
class Attack:
    """One file: what it tries, and what must come of it."""

    kind: str
    path: Path
    tries: str
    outcome: str

    @property
    def name(self) -> str:
        return self.path.stem


def attacks(kind: str) -> list[Attack]:
    """The attacks in a folder, read and not run."""
    return [_read(kind, path) for path in sorted((HERE / kind).glob("*.py")) if path.stem not in NO_ATTACK]


def _read(kind: str, path: Path) -> Attack:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    outcomes = [
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and any(isinstance(name, ast.Name) and name.id == "OUTCOME" for name in each.targets)
    ]
    if len(outcomes) != 1 or not (tries := ast.get_docstring(tree)):
        raise ValueError(f"{path}: an attack has a docstring, which says what it tries, and one OUTCOME")
    return Attack(kind, path, tries, outcomes[0])


@dataclass(frozen=True)
class Run:
    """What a run left behind: its exit status, what it said, and its records' lines."""

    status: int
    output: str
    records: tuple[dict[str, Any], ...]

    @property
    def footer(self) -> dict[str, Any] | None:
        return self.records[-1] if self.records and self.records[-1].get("record") == "footer" else None

    def verdicts(self, implementation: str) -> dict[str, str]:
        """By requirement, case and dtype."""
        return {
            "-".join(filter(None, (each["requirement"], each["case"], each["dtype"]))): each["verdict"]
            for each in self.records
            if each.get("record") == "verdict" and each["implementation"] == implementation
        }


def gaugeblock(
    arguments: Iterable[str], folder: Path, environment: dict[str, str] | None = None, seconds: float = SECONDS
) -> Run:
    """Run the command in a folder, as a user does, with records in ``run.jsonl``."""
    command = [sys.executable, "-m", "gaugeblock", *arguments]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "160", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
    )
    return Run(done.returncode, done.stdout.decode(errors="replace"), tuple(_lines(folder / "run.jsonl")))


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    if file.is_file():
        for line in file.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"record": "damaged"}


def check(plugs: Sequence[str], folder: Path, keyword: str, *options: str, environment: dict[str, str] | None = None) -> Run:
    """``gaugeblock check`` on plugs, with the test cases that the keyword selects."""
    return gaugeblock(["check", *plugs, "-k", keyword, "--records=run.jsonl", *options], folder, environment)


def worst(verdicts: Iterable[str]) -> str:
    """One word for several verdicts: the worst that is among them."""
    found = set(verdicts)
    return next((each for each in ("error", "fail", "inconclusive", "unsupported", "not run", "pass") if each in found), "")


def by_system(found: Iterable[Attack]) -> dict[str, list[Attack]]:
    """The attacks by the system that each belongs to."""
    systems: dict[str, list[Attack]] = defaultdict(list)
    for each in found:
        source = each.path.read_text(encoding="utf-8")
        system = "ademamix" if "class attack" in source else "sigmoid_attention" if "def attack(q, k, v" in source else "rig"
        systems[system].append(each)
    return dict(systems)


def outcomes(found: Iterable[Attack], system: str, run: Run) -> dict[str, str]:
    """What came of each attack of a batch: its worst verdict, ``refused``, or that it was not prevented, as it declares."""
    refused = {each["spec"] for each in run.records[0]["plug_failures"]}
    words = {}
    for each in found:
        word = worst(run.verdicts(f"{system}/{each.name}.attack").values())
        if f"{system}={each.path}:attack" in refused:
            word = "refused"
        allowed = ("pass", "fail") if NOT_PREVENTED in each.outcome and " where " in each.outcome else ("pass",)
        words[each.name] = each.outcome if NOT_PREVENTED in each.outcome and word in allowed else word
    return words


def declared(found: Iterable[Attack]) -> dict[str, str]:
    """What must come of each attack."""
    return {each.name: each.outcome for each in found}


def can_confine() -> bool:
    """Whether this system can give processes a namespace of their own."""
    return not Confinement(frozenset({"namespace"})).obstacle()
