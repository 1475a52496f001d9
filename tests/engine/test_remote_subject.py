"""An implementation in a process of its own gets the verdicts that it gets in this one, and ends nothing but that process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.child import ChildEndedError
from conformance.engine.discovery import Selection, select
from conformance.engine.harness import connect
from conformance.engine.remote_subject import Isolated
from conformance.engine.runner import TestCase, list_test_cases, run_test_case
from conformance.engine.selection import Options, checks_of
from conformance.records import io
from conformance.records.schema import VerdictRecord
from impls.implementation import Implementation

ROOT = Path(__file__).resolve().parents[2]

HONEST = r"""
    import ctypes, os, signal, sys, threading, time
    from impls.rig.adapters.re import parse as honest

    def parse(text):
        if text == DEADLY:
            die()
        return honest(text)
"""

WAYS = {
    "crash": ("ctypes.string_at(0)", "its process was ended by SIGSEGV before it answered"),
    "thread": (
        "thread = threading.Thread(target=os._exit, args=(0,)); thread.start(); thread.join()",
        "its process ended with exit status 0 before it answered",
    ),
    "exit": ("os._exit(7)", "its process ended with exit status 7 before it answered"),
    "library": ("ctypes.CDLL(None).exit(0)", "its process ended with exit status 0 before it answered"),
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL before it answered"),
    "an earlier answer": (
        "import struct\n    for n in map(int, os.listdir('/proc/self/fd')):\n"
        "        if os.path.realpath(f'/proc/self/fd/{n}').rpartition('/')[2].startswith('socket'):\n"
        "            os.write(n, struct.pack('<QQ', 1, 1) + b'x')\n    time.sleep(86400)",
        "its process answered another question than the one it was asked",
    ),
    "closed": ("os.closerange(3, 1000); time.sleep(86400)", "its process closed its connection before it answered"),
    "loop": (
        "import collections, itertools; collections.deque(itertools.count(), maxlen=0)",
        "no answer within 1 s of processor time (GAUGEBLOCK_CALL_SECONDS sets the limit)",
    ),
    "memory": ("held = b'x' * (3 * 2**28); time.sleep(86400)", "GiB of memory, more than 0.5 GiB; GAUGEBLOCK_CALL_GIB sets"),
}
"""What a parser does in one case; it goes on for ever in C, or waits for ever, where nobody ends it."""


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolated]:
    monkeypatch.setenv("GAUGEBLOCK_CALL_SECONDS", "600")
    monkeypatch.setenv("GAUGEBLOCK_CALL_GIB", "0.5")
    processes = Isolated()
    yield processes
    processes.close()


def chosen(found: Selection) -> Implementation:
    assert not found.failures
    (implementation,) = found.implementations
    return implementation


def plug_that(folder: Path, name: str, dies: str, deadly: str) -> str:
    body = textwrap.dedent(HONEST) + f"\nDEADLY = {deadly!r}\n\ndef die():\n    {dies}\n"
    (folder / f"{name}.py").write_text(body, encoding="utf-8")
    return f"rig={folder}/{name}.py:parse"


CHECK = next(check for check in checks_of("rig") if len(check.cases) > 2 and hasattr(check.cases[0], "text"))
DEADLY = str(CHECK.cases[1].text)
"""The text of the second of three cases."""


def three_cases(implementation: Implementation) -> list[TestCase]:
    return [TestCase(implementation, CHECK, case, "", "cpu") for case in CHECK.cases[:3]]


@pytest.mark.parametrize("way", sorted(WAYS))
def test_whoever_dies_is_an_error_of_that_case_alone(
    tmp_path: Path, isolated: Isolated, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies, words = WAYS[way]
    if way == "loop":
        monkeypatch.setenv("GAUGEBLOCK_CALL_SECONDS", "1")
    implementation = chosen(select([plug_that(tmp_path, way, dies, DEADLY)], isolated.describe))
    before, during, after = map(run_test_case, three_cases(implementation))
    assert (before.verdict, during.verdict, after.verdict) == ("pass", "error", "pass"), during.message
    assert words in during.message


def test_whoever_dies_when_imported_is_a_plug_that_cannot_be_used(tmp_path: Path, isolated: Isolated) -> None:
    (tmp_path / "dead.py").write_text("import os\nos._exit(0)\n")
    found = select([f"rig={tmp_path}/dead.py:parse"], isolated.describe)
    assert not found.implementations
    assert found.failures[0].message == (
        "could not be imported and looked at: its process ended with exit status 0 before it answered"
    )


def test_whoever_dies_when_imported_again_is_an_error_of_each_case(tmp_path: Path, isolated: Isolated) -> None:
    spec = plug_that(tmp_path, "again", f"open({str(tmp_path / 'died')!r}, 'w'); os._exit(0)", DEADLY)
    file = tmp_path / "again.py"
    file.write_text(f"import os\nif os.path.exists({str(tmp_path / 'died')!r}): os._exit(5)\n" + file.read_text())
    found = [run_test_case(one) for one in three_cases(chosen(select([spec], isolated.describe)))]
    assert [one.verdict for one in found] == ["pass", "error", "error"]
    assert found[2].message == "its process ended with exit status 5 before it answered"


def test_what_never_answers_is_asked_three_times(tmp_path: Path, isolated: Isolated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGEBLOCK_CALL_SECONDS", "0.3")
    implementation = chosen(select([plug_that(tmp_path, "mute", WAYS["loop"][0], DEADLY)], isolated.describe))
    deadly = three_cases(implementation)[1]
    assert {run_test_case(deadly).message[:9] for _ in range(3)} == {"no answer"}
    assert run_test_case(deadly).message == "not asked, since its process had to be ended 3 times in a row"


RAISES = {
    "its own error": "class Odd(ValueError): ...\n    raise Odd('odd')",
    "an error of more than a text": "b'\\xff'.decode()",
    "a gap": "raise NotImplementedError('no')",
    "an exit": "raise SystemExit(3)",
    "an error that cannot be shown": "class Odd(Exception):\n        def __str__(self): raise ValueError\n    raise Odd",
}


@pytest.mark.parametrize("name", sorted(RAISES))
def test_an_error_is_told_as_it_is_in_this_process(tmp_path: Path, isolated: Isolated, name: str) -> None:
    spec = plug_that(tmp_path, "raises", RAISES[name], DEADLY)
    apart = run_test_case(three_cases(chosen(select([spec], isolated.describe)))[1])
    isolated.close()
    assert apart == run_test_case(three_cases(chosen(select([spec])))[1])
    assert apart.verdict in ("error", "unsupported")


def test_ctrl_c_from_an_implementation_does_not_interrupt_the_run(tmp_path: Path, isolated: Isolated) -> None:
    spec = plug_that(tmp_path, "interrupts", "raise KeyboardInterrupt", DEADLY)
    found = run_test_case(three_cases(chosen(select([spec], isolated.describe)))[1])
    assert (found.verdict, found.message) == ("error", "interrupts.py:13: KeyboardInterrupt")


PLUGS = {
    "rig": "rig=impls.rig.adapters.product:FastParser",
    "rag": "rag=impls.rag.parser:parse",
    "ademamix": "impls.ademamix.numpy_optimizer:NumpyAdEMAMix",
    "sigmoid_attention": f"{Path(__file__).with_name('numpy_function.py')}:attention",
}


@pytest.mark.parametrize("system", sorted(PLUGS))
def test_verdicts_and_margins_are_those_of_this_process(isolated: Isolated, monkeypatch: Any, system: str) -> None:
    monkeypatch.setenv("GAUGEBLOCK_CALL_SECONDS", "300")
    monkeypatch.setenv("GAUGEBLOCK_CALL_GIB", "8")

    def verdicts(implementation: Implementation) -> list[VerdictRecord]:
        return [run_test_case(one) for one in list_test_cases(system, [implementation], Options(quick=True))]

    implementation = chosen(select([PLUGS[system]], isolated.describe))
    apart = verdicts(implementation)
    isolated.close()
    assert apart == verdicts(chosen(select([PLUGS[system]])))
    assert sum(one.verdict == "pass" for one in apart) > 10


def test_a_declaration_that_is_no_plain_data_says_what_to_do(tmp_path: Path, isolated: Isolated) -> None:
    (tmp_path / "declares.py").write_text("def parse(text): return []\nparse.gaugeblock = {'settings': {'lock': object()}}\n")
    (failure,) = select([f"rig={tmp_path}/declares.py:parse"], isolated.describe).failures
    assert "found a builtins.object, expected plain data" in failure.message
    assert "test it with --in-process" in failure.message


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits to be reaped by whoever inherited it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return not state or state.startswith("Z")


def wait_for_the_end(pid: int) -> None:
    while not has_ended(pid):  # for ever where it never ends
        time.sleep(0.05)


def test_no_process_is_left_at_the_end_of_a_run(tmp_path: Path, isolated: Isolated) -> None:
    file = tmp_path / "pids"
    starts = "import subprocess; started = subprocess.Popen(['sleep', '86400']); "
    starts += f"open({str(file)!r}, 'w').write(f'{{os.getpid()}} {{started.pid}}')"
    implementation = chosen(select([plug_that(tmp_path, "starts", starts, "x")], isolated.describe))
    assert connect(implementation, "cpu").parse("x") == []
    own, started = map(int, file.read_text().split())
    assert not has_ended(own)
    assert not has_ended(started)
    isolated.close()
    wait_for_the_end(own)
    wait_for_the_end(started)


def test_a_process_in_a_loop_ends_with_the_suite_that_started_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    spec = plug_that(tmp_path, "loops", f"open({str(file)!r}, 'w').write(str(os.getpid())); {WAYS['loop'][0]}", "x")
    program = (
        "from conformance.engine.discovery import select\nfrom conformance.engine.harness import connect\n"
        "from conformance.engine.remote_subject import Isolated\n"
        f"(found,) = select([{spec!r}], Isolated().describe).implementations\nconnect(found, 'cpu').parse('x')\n"
    )
    suite = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    while not (file.exists() and file.read_text()):
        assert suite.poll() is None
        time.sleep(0.05)
    suite.kill()
    suite.wait()
    if sys.platform == "linux":  # elsewhere it ends with its next look at the socket
        wait_for_the_end(int(file.read_text()))


def test_what_lived_in_a_process_that_ended_is_not_mistaken_for_something_new(tmp_path: Path, isolated: Isolated) -> None:
    (tmp_path / "streams.py").write_text(
        "import os\nfrom impls.rig.adapters.product import FastParser\n\nclass Reader(FastParser):\n"
        "    def parse(self, text):\n        if text == 'die': os._exit(0)\n        return super().parse(text)\n"
    )
    subject = connect(chosen(select([f"rig={tmp_path}/streams.py:Reader"], isolated.describe)), "cpu")
    reader = subject.stream()
    assert reader.feed("a") == ["a"]
    with pytest.raises(ChildEndedError):
        subject.parse("die")
    assert subject.parse("b") == []
    with pytest.raises(ChildEndedError, match="its process has ended, and what lived in it with it"):
        reader.feed("b")


def test_a_function_of_a_check_may_be_called_from_several_threads(tmp_path: Path, isolated: Isolated) -> None:
    (tmp_path / "threads.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from impls.rig.resolver import _ask, _parts, _queries, _written\n\n"
        "def resolve(text, fetch):\n    found, runs = _parts(text)\n    queries = _queries(found)\n"
        "    with ThreadPoolExecutor(8) as pool:\n"
        "        return _written(found, runs, dict(zip(queries, pool.map(lambda q: _ask(fetch, q), queries))))\n"
    )
    subject = connect(chosen(select([f"rig={tmp_path}/threads.py:resolve"], isolated.describe)), "cpu")
    text = "".join(f'[__DC__("q{number}?") --> "1"]' for number in range(64))
    written = subject.resolve(text, lambda query: {"value": query})
    assert all(f"(q{number}? [" in written for number in range(64))


def test_another_class_is_judged_in_the_same_process(isolated: Isolated) -> None:
    implementation = chosen(select([PLUGS["sigmoid_attention"]], isolated.describe))
    assert connect(replace(implementation, numerical_class="materialised"), "cpu").numerical_class == "materialised"


@pytest.mark.parametrize(("options", "verdict"), [((), "pass"), (("--in-process",), "error")])
def test_what_is_listed_and_not_built_in_runs_in_a_process_of_its_own(
    tmp_path: Path, options: tuple[str, ...], verdict: str
) -> None:
    file = tmp_path / "run.jsonl"
    words = ["-p", "tests.engine.published_parser", "--impl=rig/published", "--impl=rig/fast", "--quick", "-k", "RIG-01"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "conformance/rig", "-p", "no:cacheprovider", *words, f"--records={file}", *options],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    found = {(each.implementation, str(each.verdict)) for each in io.read(file).of(VerdictRecord)}
    assert found == {("rig/published", verdict), ("rig/fast", "pass")}, done.stdout
