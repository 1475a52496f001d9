"""The exported vectors: files that any language reads, which pass what is right and fail every mutant that they can show."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from safetensors.torch import load_file

from conformance.ademamix.harness.problem import GroupProblem, OptimizerProblem, TensorProblem
from conformance.engine.comparison import compare
from conformance.engine.discovery import select
from conformance.engine.harness import AnySubject, connect
from conformance.engine.mutation import Mutant, mutants_of
from conformance.sigmoid_attention.harness.problem import AttentionProblem
from gaugeblock.command import main
from gaugeblock.vectors.files import SYSTEMS
from impls.compiler import compiler
from impls.implementation import Unsupported
from impls.sigmoid_attention.options import AttentionOptions
from reference.ademamix import Hyperparameters

ROOT = Path(__file__).resolve().parent.parent.parent
systems = pytest.mark.parametrize("system", SYSTEMS)

SEVERAL = "a vector is a run of one parameter: it shows nothing that needs a second one"
SAVED = "a vector saves no state"
PACKED = "a vector is a call without packed sequences"
UNSEEN = {
    "ademamix": {
        "schedules-compound": SEVERAL,
        "clock-per-parameter": SEVERAL,
        "first-group-for-all": SEVERAL,
        "schedules-by-length": SEVERAL,
        "first-tensor-switched": SEVERAL,
        "late-groups-take-the-first": SEVERAL,
        "switch-not-saved": SAVED,
    },
    "sigmoid_attention": {
        "packed-without-bias": PACKED,
        "packed-without-scale": PACKED,
        "empty-sequences-uncounted": PACKED,
    },
}
"""Mutants that a requirement of the vectors must catch, and that no vector shows, with the reason."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vectors")
    assert main(["vectors", "export", str(made)]) == 0
    return made


def read(folder: Path, system: str) -> tuple[dict[str, Any], dict[str, Any]]:
    index = json.loads((folder / f"{system}.json").read_text(encoding="ascii"))
    return index, {name: array.double().numpy() for name, array in load_file(folder / index["arrays"]).items()}


def run_ademamix(subject: Any, vector: dict[str, Any], inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    given = vector["parameters"]
    hypers = [{k: v for k, v in each.items() if k != "from_step"} for each in given["hyperparameters"]]
    changes = [(e["from_step"], Hyperparameters(**h)) for e, h in zip(given["hyperparameters"][1:], hypers[1:], strict=True)]
    gradients = tuple(None if step in given["missing"] else g for step, g in enumerate(inputs["gradients"]))
    group = GroupProblem(
        (TensorProblem(inputs["theta"], gradients),),
        Hyperparameters(**hypers[0]),
        tuple(given["learning_rates"]),
        tuple(changes),
    )
    outcome = subject.run(OptimizerProblem(vector["dtype"], (group,), switch_at=given["switch_at"]))
    yield "theta", np.stack(outcome.parameters[0])


def run_sigmoid_attention(subject: Any, vector: dict[str, Any], inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    given, q, v = vector["parameters"], inputs["q"], inputs["v"]
    options = AttentionOptions(
        **given
        | {
            "window": given["window"] and tuple(given["window"]),
            "key_lengths": given["key_lengths"] and tuple(given["key_lengths"]),
        },
        alibi_slopes=inputs.get("alibi_slopes"),
    )
    names = [name.removeprefix("gradient_") for name in vector["expected"] if name != "output"]
    problem = AttentionProblem(
        q=q, k=inputs["k"], v=v, grad=inputs.get("output_gradient", np.zeros((*q.shape[:3], v.shape[3]))),
        dtype=vector["dtype"], options=options, wanted=tuple(name for name in names if name not in ("q", "k", "v")),
    )  # fmt: skip
    result = subject.forward_backward(problem) if names else subject.forward(problem)
    yield "output", result.output
    yield from ((f"gradient_{name}", result.gradients[name]) for name in names)


RUNS: dict[str, Callable[[Any, dict[str, Any], dict[str, Any]], Iterator[tuple[str, Any]]]] = {
    "ademamix": run_ademamix,
    "sigmoid_attention": run_sigmoid_attention,
}


def passes(subject: AnySubject, system: str, vector: dict[str, Any], arrays: dict[str, Any]) -> bool | None:
    """Whether a subject is right about a vector; None where it does not offer it."""
    inputs = {name: arrays[key] for name, key in vector["inputs"].items()}
    try:
        got = dict(RUNS[system](subject, vector, inputs))
    except Unsupported:
        return None
    except Exception:
        return False
    return all(
        compare(name, got[name], arrays[keys["values"]], arrays[keys["bounds"]]).passed
        for name, keys in vector["expected"].items()
    )


@systems
def test_files_are_what_their_schema_and_checksums_say(folder: Path, system: str) -> None:
    index, arrays = read(folder, system)
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(index)
    used = [key for v in index["vectors"] for key in v["inputs"].values()]
    used += [key for v in index["vectors"] for keys in v["expected"].values() for key in keys.values()]
    assert sorted(used) == sorted(arrays)
    assert len({vector["name"] for vector in index["vectors"]}) == len(index["vectors"]) > 100
    assert {rule for vector in index["vectors"] for rule in vector["requirements"]} == set(index["requirements"])
    for line in (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_another_class_has_wider_bounds_and_a_wrong_name_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vectors", "export", str(tmp_path), "--class", "sigmoid_attention=materialised"]) == 0
    _, strict = read(folder, "sigmoid_attention")
    index, wide = read(tmp_path, "sigmoid_attention")
    assert index["numerical_class"] == "materialised"
    assert any((wide[name] > strict[name]).any() for name in strict if name.endswith("/bounds"))
    assert (folder / "ademamix.safetensors").read_bytes() == (tmp_path / "ademamix.safetensors").read_bytes()
    assert main(["vectors", "export", str(tmp_path), "--class", "ademamix=exact"]) == 2
    assert "found --class ademamix=exact, expected one of float32-states" in capsys.readouterr().err


@systems
def test_the_numpy_implementation_passes_every_vector(folder: Path, system: str) -> None:
    index, arrays = read(folder, system)
    subject = connect(select([f"{system}/numpy"]).implementations[0], "cpu")
    found = {vector["name"]: passes(subject, system, vector, arrays) for vector in index["vectors"]}
    assert [name for name, passed in found.items() if passed is False] == []
    assert sum(passed is True for passed in found.values()) > 100


@systems
def test_every_mutant_that_a_vector_can_show_fails_one(folder: Path, system: str) -> None:
    index, arrays = read(folder, system)

    def is_caught(mutant: Mutant) -> bool:
        own = [vector for vector in index["vectors"] if set(mutant.killed_by) & set(vector["requirements"])]
        return any(passes(mutant.subject(), system, vector, arrays) is False for vector in own)

    shown = [
        mutant
        for mutant in mutants_of(system)
        if not (mutant.honest or mutant.equivalent or mutant.thorough) and set(mutant.killed_by) & set(index["requirements"])
    ]
    assert len(shown) > 30
    assert {mutant.name for mutant in shown if not is_caught(mutant)} == set(UNSEEN[system])


def test_cpp_from_the_specification_passes_and_a_bug_in_it_fails(folder: Path, tmp_path: Path) -> None:
    words = compiler()
    if not words:
        return
    source = ROOT / "examples" / "numeric_vectors.cpp"
    for bug, code in ((), 0), (("-DBUG",), 1):
        program = tmp_path / f"vectors{code}"
        subprocess.run([*words, "-std=c++17", "-O1", *bug, str(source), "-o", str(program)], check=True)
        done = subprocess.run([program, folder], capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
    assert "catches: max(sqrt(nu), eps)" in done.stdout
    assert subprocess.run([program, tmp_path / "none"], capture_output=True, check=False).returncode == 2
