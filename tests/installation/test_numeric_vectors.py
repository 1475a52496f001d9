"""The exported vectors: files that any language reads, which pass what is right and fail every mutant that they can show."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
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
from conformance.records import io as records
from conformance.records.schema import Verdict, VerdictRecord
from conformance.sigmoid_attention.harness.problem import AttentionProblem
from gaugeblock.command import main
from gaugeblock.vectors.files import SYSTEMS
from impls.compiler import compiler
from impls.implementation import Unsupported
from impls.sigmoid_attention.options import AttentionOptions
from reference.ademamix import Hyperparameters

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
systems = pytest.mark.parametrize("system", SYSTEMS)

LAYOUT = "a vector has no layout in memory"
HOST = "how a host calls: a vector is the algorithm alone"
OBJECTS = "pickling and copying need objects of a host"
SIZE = "the smallest case that shows it has over 100,000 numbers, or a thousand tensors"
DOUBLE = "only quick rows are exported in float64, where it acts"
MAXIMIZE = "an argument of torch.optim, which the algorithm does not have"
HYPER = "a vector gives the hyperparameters of each step"
MEMORY = "what lies in memory before and after a call; a vector has the result"
ASKED = "which gradients are asked for: a vector has all"
CALLS = "several calls are compared with each other; a vector is one"
CHANCE = "a statement about the errors of many draws, none of which is beyond its bound"
UNSEEN = {
    "clock-outside-the-state": "what a host's own way of saving keeps; it shows where an author saves as the mutant does not",
    "late-beta3-without-decay": SIZE,
    "huge-tail-without-decay": SIZE,
    "eps-of-the-first-group-in-large-tensors": SIZE,
    "gaps-without-decay": LAYOUT,
    "transposed-without-warm-up": LAYOUT,
    "unaligned-without-eps": LAYOUT,
    "turned-gradient-with-bias": LAYOUT,
    "one-key-head-by-rows": LAYOUT,
    "one-row-of-gradients": LAYOUT,
    "key-alone-asks": ASKED,
    "many-rows-on-one-grid": SIZE,
    "heads-beyond-32-uncausal": SIZE,
    "wide-key-gradient-of-shared-heads": SIZE,
    "double-under-a-mask": DOUBLE,
    "narrow-values-without-key-gradient": SIZE,
    "closure-minimises": MAXIMIZE,
    "resumed-minimises": MAXIMIZE,
    "pickled-minimises": MAXIMIZE,
    "small-ones-reversed": MAXIMIZE,
    "reversed-without-fast-average": MAXIMIZE,
    "closure-steps-the-first-group": HOST,
    "closure-counts-twice": HOST,
    "skipped-step-warms-up": HOST,
    "first-group-restored": HYPER,
    "copies-warm-up-again": OBJECTS,
    "copies-go-back": OBJECTS,
    "copies-share-moments": OBJECTS,
    "loading-adds-clocks": HOST,
    "used-state-wins": HOST,
    "second-load-warms-up-again": HOST,
    "closure-for-each-group": HOST,
    "closure-without-gradients": HOST,
    "written-rate-read-once": HOST,
    "replaced-rate-kept": HOST,
    "maximize-of-the-first-group": MAXIMIZE,
    "maximize-of-the-last-group": MAXIMIZE,
    "first-group-reversed": MAXIMIZE,
    "grid-of-a-million": SIZE,
    "launch-of-1024": SIZE,
    "unseen-multiplied": "the definition has no number there: 0 times infinity",
}
"""Mutants that a requirement of the vectors must catch, and that no vector shows, with the reason."""
NO_VECTORS = {
    "ADM-27": "where an element is no number, the bound of the whole run is infinite",
    "ADM-32": LAYOUT, "ADM-47": LAYOUT, "SIG-25": LAYOUT, "SIG-39": LAYOUT, "SIG-49": LAYOUT,
    "ADM-38": CALLS, "SIG-28": CALLS, "SIG-29": CALLS, "SIG-42": CALLS, "ADM-51": CALLS,
    "ADM-39": MEMORY, "SIG-26": MEMORY,
    "ADM-40": "the moments, which an implementation need not show",
    "ADM-46": HOST, "ADM-52": HOST, "ADM-53": HOST, "ADM-54": HOST, "ADM-55": HOST,
    "SIG-54": HOST, "SIG-56": HOST, "SIG-60": HOST, "SIG-61": HOST,
    "ADM-63": MAXIMIZE, "ADM-67": HYPER, "ADM-72": LAYOUT, "ADM-80": LAYOUT, "ADM-81": MEMORY,
    "ADM-75": HOST, "ADM-76": HOST, "ADM-77": HOST, "ADM-78": HOST, "ADM-79": HOST,
    "ADM-64": CHANCE, "ADM-65": CHANCE, "SIG-44": CHANCE, "SIG-45": CHANCE, "SIG-46": CHANCE,
    "ADM-68": "a parameter that others change: a program is tested on it, which gets the parameter with each step",
    "SIG-27": "the dtype of a result: the files have numbers alone, and a program is tested on it",
}  # fmt: skip
"""Requirements without a vector, of which some mutant is caught by these alone, with the reason."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vectors")
    assert main(["vectors", "export", str(made)]) == 0
    return made


def read(folder: Path, system: str) -> tuple[dict[str, Any], dict[str, Any]]:
    index = json.loads((folder / f"{system}.json").read_text(encoding="ascii"))
    found = load_file(folder / index["arrays"])
    for vector in index["vectors"]:
        thetas = {name.partition(".")[2]: key for name, key in vector["inputs"].items() if name.startswith("theta.")}
        vector["dtypes"] = {name: str(found[key].dtype).removeprefix("torch.") for name, key in thetas.items()}
    return index, {name: array.double().numpy() for name, array in found.items()}


def run_ademamix(subject: Any, vector: dict[str, Any], inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    given = vector["parameters"]
    groups, order = [], []
    for group in given["groups"]:
        hypers = [(each.pop("from_step"), Hyperparameters(**each)) for each in map(dict, group["hyperparameters"])]
        tensors = []
        for name in group["parameters"]:
            joins = given["joins_at"].get(name, 0)
            missing = given["missing"].get(name, ())
            gradients = tuple(None if s + joins in missing else g for s, g in enumerate(inputs[f"gradients.{name}"]))
            dtype = vector["dtypes"][name]
            own = "" if dtype == vector["dtype"] else dtype
            tensors.append(TensorProblem(inputs[f"theta.{name}"], gradients, joins, dtype=own))
            order.append(name)
        groups.append(GroupProblem(tuple(tensors), hypers[0][1], tuple(group["learning_rates"]), tuple(hypers[1:])))
    places = {"switch_at": given["switch_at"], "resume_after": given["resume_after"]}
    outcome = subject.run(OptimizerProblem(vector["dtype"], tuple(groups), **places))
    for name, after in zip(order, outcome.parameters, strict=True):
        yield f"theta.{name}", np.stack(after)


def run_sigmoid_attention(subject: Any, vector: dict[str, Any], inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    given, q, v = vector["parameters"], inputs["q"], inputs["v"]
    options = AttentionOptions(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()},
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
    Draft202012Validator(schema).validate(json.loads((folder / f"{system}.json").read_text(encoding="ascii")))
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

    mutants = [m for m in mutants_of(system) if not (m.honest or m.equivalent or m.thorough)]
    shown = [mutant for mutant in mutants if set(mutant.killed_by) & set(index["requirements"])]
    assert len(shown) > 100
    assert [m.name for m in shown if m.name not in UNSEEN and not is_caught(m)] == []
    assert {id_ for m in mutants if m not in shown for id_ in m.killed_by} == {
        id_ for id_ in NO_VECTORS if id_ not in index["requirements"] and id_[:3] == min(index["requirements"])[:3]
    }


def test_the_mutants_that_no_vector_shows_are_mutants() -> None:
    assert set(UNSEEN) <= {mutant.name for system in SYSTEMS for mutant in mutants_of(system)}


def test_the_files_are_no_larger_than_people_fetch(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < 50e6


def cargo() -> str:
    """The path of Rust's build tool; "" where it is not installed."""
    found = shutil.which("cargo") or str(Path.home() / ".cargo" / "bin" / "cargo")
    return found if Path(found).is_file() else ""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The examples that can be compiled here, by language; of C++ one with two bugs too."""
    made, built = tmp_path_factory.mktemp("programs"), {}
    if words := compiler():
        for name, bug in (("C++", ()), ("C++ with bugs", ("-DBUG",))):
            built[name] = made / name.replace(" ", "-").lower()
            source = ROOT / "examples" / "numeric_vectors.cpp"
            subprocess.run([*words, "-std=c++17", "-O1", *bug, str(source), "-o", str(built[name])], check=True)
    if cargo():
        manifest = ROOT / "examples" / "rust" / "Cargo.toml"
        options = ["--release", "--offline", "--quiet", "--manifest-path", str(manifest), "--target-dir", str(made)]
        subprocess.run([cargo(), "build", *options], check=True)
        built["Rust"] = made / "release" / "gaugeblock-example"
    return built


def is_there(programs: dict[str, Path], language: str) -> bool:
    if language not in programs:
        print(f"not run: there is no compiler of {language} here")
    return language in programs


@pytest.mark.parametrize("language", ["C++", "Rust"])
def test_an_example_from_the_specification_passes_its_vectors(
    folder: Path, programs: dict[str, Path], tmp_path: Path, language: str
) -> None:
    if not is_there(programs, language):
        return
    done = subprocess.run([programs[language], folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 failures") == len(SYSTEMS)
    assert subprocess.run([programs[language], tmp_path / "none"], capture_output=True, check=False).returncode == 2


def test_an_example_with_bugs_fails_and_says_what_its_vectors_catch(folder: Path, programs: dict[str, Path]) -> None:
    if not is_there(programs, "C++"):
        return
    done = subprocess.run([programs["C++ with bugs"], folder], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "catches: max(sqrt(nu), eps)" in done.stdout
    assert "gradient_q: margin" in done.stdout


def test_the_examples_are_programs_that_conform_to_the_definition(programs: dict[str, Path], tmp_path: Path) -> None:
    specs = [f"{system}=cmd:{programs[name]}" for name in ("C++", "Rust") if is_there(programs, name) for system in SYSTEMS]
    if not specs:
        return
    words = [sys.executable, "-m", "gaugeblock", "check", *specs, "--quick", "--level", "definition", "--records=found.jsonl"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = records.read(tmp_path / "found.jsonl").of(VerdictRecord)
    for spec in specs:
        system, _, command = spec.partition("=cmd:")
        own = [v for v in verdicts if v.implementation == f"{system}/cmd.{Path(command).name}"]
        assert sum(v.verdict is Verdict.PASS for v in own) > 20, spec
        assert {v.verdict for v in own} <= {Verdict.PASS, Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE}


def test_a_program_with_a_bug_is_told_which(programs: dict[str, Path], tmp_path: Path) -> None:
    if not is_there(programs, "C++"):
        return
    spec = f"ademamix=cmd:{programs['C++ with bugs']}"
    words = [sys.executable, "-m", "gaugeblock", "check", spec, "--quick", "-k", "ADM-09 or ADM-01"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ADM-09 definition" in done.stdout
    assert "eps" in done.stdout
