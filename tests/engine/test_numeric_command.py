"""A program as an implementation of a numeric system: whatever it does is one clear error of one case, and no more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from conformance.ademamix.cases import RunCase, problem_of
from conformance.ademamix.harness import subject as ademamix
from conformance.ademamix.harness.command_backend import CommandBackend
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.engine.command import CommandError
from conformance.engine.discovery import plug, select
from conformance.engine.numeric_command import NumericCommand
from conformance.engine.selection import checks_of
from conformance.engine.tensor_bytes import read, written
from conformance.engine.time_limit import NoAnswer
from impls.implementation import PlugError, Unsupported

HEAD = """
import json, os, sys
OUT = sys.stdout.buffer
def requests():
    for line in sys.stdin.buffer:
        request = json.loads(line)
        yield request, sys.stdin.buffer.read(request["bytes"])
def say(data=b"", **answer):
    OUT.write(json.dumps({**answer, "bytes": len(data)}).encode() + b"\\n" + data)
    OUT.flush()
def tensors(**shapes):
    header, end = {}, 0
    for name, (dtype, shape) in shapes.items():
        size = {"F64": 8, "F32": 4}[dtype]
        for side in shape:
            size *= side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)
"""
GOOD = "for r, data in requests(): say(data=tensors(x=('F32', [2, 3])), id=r['id'], pid=os.getpid())"
EXPECTED = {"x": ((2, 3), ("float32",))}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], NumericCommand]]:
    """Makes a program of the body of a Python script, in which HEAD is known."""
    made: list[NumericCommand] = []

    def make(body: str) -> NumericCommand:
        path = tmp_path / f"program{len(made)}.py"
        path.write_text(HEAD + body)
        made.append(NumericCommand(f"cmd:{sys.executable} {path}", "ademamix"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_arrays_are_what_the_safetensors_library_reads() -> None:
    values = np.array([[0.5, -2.0, 0.0], [65504.0, np.inf, 2.0**-24]])
    data = written([("half", values, "float16"), ("one", np.array(1.25), "float64"), ("none", np.zeros((0, 3)), "float32")])
    assert [a.dtype.name for _, a in sorted(load(data).items())] == ["float16", "float32", "float64"]
    assert np.array_equal(load(data)["half"].astype(float), values)
    back = read(data)
    assert {name: (tensor.dtype, tensor.values.shape) for name, tensor in back.items()} == {
        "one": ("float64", ()),
        "none": ("float32", (0, 3)),
        "half": ("float16", (2, 3)),
    }
    brain = np.array([1.0, -(2.0**-133), 2.0**127 * 1.9921875])
    assert np.array_equal(read(written([("b", brain, "bfloat16")]))["b"].values, brain)


def test_a_right_answer_and_the_process_lives_on(program: Callable[[str], NumericCommand]) -> None:
    good = program(GOOD)
    assert good.call("step", {}, (), EXPECTED)["x"].shape == (2, 3)
    assert good.exchange("step", {}, b"")[0]["pid"] == good.exchange("step", {}, b"")[0]["pid"]


@pytest.mark.parametrize(("body", "message"), [
    ("for r, _ in requests(): sys.exit('out of order')", "ended with exit code 1 without answering; .* out of order"),
    ("for r, _ in requests(): os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
    ("for r, _ in requests(): print('hello', flush=True)", "found 'hello' on standard output, expected one line of JSON"),
    ("for r, _ in requests(): say(id=9)", "found an answer with id 9, expected id 1"),
    ("for r, _ in requests(): say(id=r['id'])", "no array 'x'|found 0 bytes, expected safetensors"),
    ("for r, _ in requests(): say(data=tensors(y=('F32', [2, 3])), id=r['id'])", "no array 'x'; it has: y"),
    ("for r, _ in requests(): say(data=tensors(x=('F32', [3, 2])), id=r['id'])", r"has the shape \[3, 2\], expected \[2, 3\]"),
    ("for r, _ in requests(): say(data=tensors(x=('F64', [2, 3])), id=r['id'])", "'x' is F64, expected F32"),
    ("for r, _ in requests(): say(data=b'garbage' * 9, id=r['id'])", "found a header of .* bytes in 63 bytes of safetensors"),
    ("for r, _ in requests(): say(data=tensors(x=('F32', [2, 3]))[:-1], id=r['id'])", "'x' at bytes 0 to 24 of 23, expected"),
    ("for r, _ in requests(): OUT.write(b'{\"id\": 1, \"bytes\": 50}\\n12345'); OUT.flush(); sys.exit(0)",
     "after 5 of the 50 bytes that its answer announced"),
    ("for r, _ in requests(): OUT.write(b'{\"id\": 1, \"bytes\": 2}\\n12345'); OUT.flush()", "more than the 2 bytes"),
    ("for r, _ in requests(): OUT.write(b'{\"id\": 1, \"bytes\": -2}\\n'); OUT.flush()", 'found "bytes": -2'),
    ("for r, _ in requests(): say(id=r['id'], error='no memory')", "answered the error 'no memory'"),
])  # fmt: skip
def test_misbehaviour_is_one_clear_error_and_the_next_request_gets_a_fresh_process(
    program: Callable[[str], NumericCommand], tmp_path: Path, body: str, message: str
) -> None:
    once = tmp_path / "was-here"
    two = f"if os.path.exists({str(once)!r}):\n    {GOOD}\nelse:\n    open({str(once)!r}, 'w').close()\n    {body}"
    made = program(two)
    with pytest.raises(CommandError, match=message):
        made.call("start", {}, (), EXPECTED)
    if "no memory" not in message:  # that process is at rest, and goes on
        assert made.call("start", {}, (), EXPECTED)["x"].shape == (2, 3)


def test_what_it_declines_is_a_gap_and_a_run_whose_process_ended_does_not_go_on(
    program: Callable[[str], NumericCommand],
) -> None:
    with pytest.raises(Unsupported, match="no such thing"):
        program("for r, _ in requests(): say(id=r['id'], unsupported='no such thing')").call("start", {}, (), {})
    ends = program("for r, _ in requests(): say(id=r['id']); break")
    ends.call("start", {}, (), {})
    with pytest.raises(CommandError, match=r"ended with exit code 0|its process has ended"):
        ends.call("step", {}, (), {}, goes_on=True)
    ends.call("start", {}, (), {})
    with pytest.raises(Unsupported, match="bias is inf, for which JSON has no word"):
        ends.call("start", {"parameters": {"bias": float("inf")}}, (), {})


def test_a_program_that_never_answers_is_soon_not_asked_again(
    program: Callable[[str], NumericCommand], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = program(GOOD)

    def waits(*_: object, **__: object) -> None:
        raise NoAnswer("it waits")

    monkeypatch.setattr(made._command, "ask_with_arrays", waits)
    for _ in range(3):
        with pytest.raises(NoAnswer):
            made.call("start", {}, (), {})
    with pytest.raises(CommandError, match="not asked, since its process had to be ended 3 times in a row"):
        made.call("start", {}, (), {})


@pytest.mark.parametrize(("body", "message"), [
    ("for r, _ in requests(): say(id=r['id'])", "it declares no dtypes, expected some of float64"),
    ("for r, _ in requests(): say(id=r['id'], dtypes='float32')", "it declares 'float32' as dtypes, expected a list"),
    ("for r, _ in requests(): say(id=r['id'], dtypes=['float32'], classes=1)", "it declares classes, and may declare dtypes"),
    ("sys.exit(4)", "ended with exit code 4"),
])  # fmt: skip
def test_a_program_that_describes_nothing_is_a_plug_that_cannot_be_used(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "program.py"
    path.write_text(HEAD + body)
    (failure,) = select([f"sigmoid_attention=cmd:{sys.executable} {path}"]).failures
    assert "asked what it offers of sigmoid_attention" in failure.message
    assert message in failure.message
    with pytest.raises(PlugError):
        plug(f"sigmoid_attention=cmd:{sys.executable} {path}")


def test_what_a_program_describes_decides_which_cases_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        HEAD + "for r, _ in requests(): say(id=r['id'], dtypes=['bfloat16'], features=['groups'], summary='Mine.')"
    )
    found = plug(f"ademamix=cmd:{sys.executable} {path}")
    assert (found.dtypes, found.features, found.summary) == (("bfloat16",), frozenset({"groups"}), "Mine.")
    assert found.name == "ademamix/cmd.program.py"
    assert "pipe" in found.settings["untimed"]


def test_layouts_and_what_torch_does_are_gaps(program: Callable[[str], NumericCommand]) -> None:
    cases = [case for check in checks_of("ademamix") for case in check.cases if isinstance(case, RunCase)]
    made = OptimizerPlug(program(GOOD))
    words = ("layout", "gradient_layout", "sparse", "use", "rate_tensors", "rebuilt_otherwise", "options")
    gaps: dict[str, list[RunCase]] = {word: [] for word in words}
    for case in cases:
        tensors = [tensor for group in case.groups for tensor in group.tensors]
        for what, found in gaps.items():
            if getattr(case, what, False) or any(getattr(tensor, what, False) for tensor in tensors):
                found.append(case)
    for what, found in gaps.items():
        assert found, what
        with pytest.raises(Unsupported):
            CommandBackend(made, problem_of(found[0], "float32")).outcome()
    assert ademamix.COMMANDS_DESCRIBE
