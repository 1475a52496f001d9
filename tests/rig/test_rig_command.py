"""A parser behind the JSON-lines protocol is any program; every way in which one can misbehave is one clear exception."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from conformance.engine.command import Command, CommandError
from conformance.engine.discovery import plug
from conformance.engine.time_limit import NoAnswer, TimeLimitExceeded, Watch
from conformance.rag.harness import subject as rag_driver
from conformance.rig.harness import subject
from conformance.rig.harness import text as _text
from impls.implementation import PlugError, Unsupported
from reference import rig

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
REQUEST = {"system": "rig", "profile": "strict", "text": "x"}

HEAD = """
import json, os, sys, time
def answers():
    for line in sys.stdin:
        yield json.loads(line)
def say(**answer):
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Makes a command of the body of a Python program, in which HEAD is known."""
    made: list[Command] = []

    def make(body: str, seconds: float = 300.0) -> Command:
        path = tmp_path / f"program{len(made)}.py"
        path.write_text(HEAD + body)
        made.append(Command([sys.executable, str(path)], seconds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_requests_are_ascii_lines_with_rising_ids(command: Callable[..., Command]) -> None:
    echo = command("for line in sys.stdin.buffer:\n    say(id=json.loads(line)['id'], line=line.decode('ascii'))")
    first = echo.ask({**REQUEST, "text": "é\u2028\U0001f600\n"})
    assert first["id"] == 1
    assert first["line"] == ('{"id": 1, "system": "rig", "profile": "strict", "text": "\\u00e9\\u2028\\ud83d\\ude00\\n"}\n')
    assert echo.ask(REQUEST)["id"] == 2


def test_the_process_lives_on(command: Callable[..., Command]) -> None:
    program = command("for r in answers():\n    say(id=r['id'], pid=os.getpid())")
    assert len({program.ask(REQUEST)["pid"] for _ in range(3)}) == 1


def test_a_process_that_answers_once_is_started_again(command: Callable[..., Command]) -> None:
    program = command("for r in answers():\n    say(id=r['id'], pid=os.getpid())\n    break")
    assert len({program.ask(REQUEST)["pid"] for _ in range(3)}) == 3


@pytest.mark.parametrize(("body", "message"), [
    ("print('hello', flush=True)\nfor r in answers(): say(id=r['id'])", "found 'hello' on standard output, expected one line"),
    ("for r in answers(): print('[1]', flush=True)", "expected a JSON object"),
    ("for r in answers(): print('{\"id\": 1,', flush=True)", "expected one line of JSON"),
    ("for r in answers(): sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()", "UnicodeDecodeError"),
    ("for r in answers(): print('[' * 10**5, flush=True)", "expected one line of JSON"),
    ("for r in answers(): say(id=7)", "found an answer with id 7, expected id 1"),
    ("for r in answers(): say(id=True)", "found an answer with id True"),
    ("for r in answers(): say(annotations=[])", "found an answer with id None"),
    ("for r in answers():\n    sys.stdout.write('{\"id\": 1}\\n{\"id\": 1}\\n'); sys.stdout.flush()", "more than one line"),
    ("for r in answers(): say(id=r['id'], text='\\ud800')", "found a lone surrogate in the answer"),
    ("print('oops', file=sys.stderr)\nsys.exit(3)", "ended with exit code 3 without answering; its standard error ends: oops"),
    ("for r in answers(): raise KeyError('no such')", "exit code 1 without answering; its standard error ends: KeyError"),
    ("os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ("sys.exit(0)", "ended with exit code 0 without answering; it wrote nothing"),
    ("for r in answers(): sys.stdout.write('{\"id\"'); sys.exit(0)", "in the middle of the line"),
])  # fmt: skip
def test_misbehaviour_is_one_clear_exception(command: Callable[..., Command], body: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        command(body).ask(REQUEST)


@pytest.mark.parametrize(("body", "message"), [
    ("print('a\\nworking', file=sys.stderr, flush=True)", "it waits; .* ends: working"),
    ("sys.stdin.close()", "it waits"),
])  # fmt: skip
def test_a_program_that_waits_for_ever_is_given_up(
    command: Callable[..., Command], body: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as it has come so far, whenever that is."""
    ready = tmp_path / "ready"

    class WaitsOnceReady(Watch):
        def look(self) -> None:
            if ready.exists():
                raise NoAnswer("it waits")

    monkeypatch.setattr("conformance.engine.time_limit.Watch", WaitsOnceReady)
    program = command(f"{body}\nopen({str(ready)!r}, 'w').close()\ntime.sleep(600)")
    with pytest.raises(NoAnswer, match=message):
        program.ask(REQUEST)


@pytest.mark.parametrize("body", ["while True: pass", "while True: sys.stderr.write('x' * 65536)"])
def test_a_program_that_computes_for_ever_is_out_of_processor_time(command: Callable[..., Command], body: str) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"no answer within 0\.2 s of processor time"):
        command(body, seconds=0.2).ask(REQUEST)


def test_a_program_that_closes_its_output_and_goes_on_is_ended(
    command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.engine.command.LONGEST_END", 0.2)
    with pytest.raises(CommandError, match="closed its standard output without answering"):
        command("os.close(1)\nwhile True: pass").ask(REQUEST)


def test_children_count_for_the_processor_time(command: Callable[..., Command]) -> None:
    body = "import subprocess\nsubprocess.run([sys.executable, '-c', 'while True: pass'])"
    with pytest.raises(TimeLimitExceeded):
        command(body, seconds=0.5).ask(REQUEST)


def test_after_a_failure_the_next_request_starts_afresh(command: Callable[..., Command]) -> None:
    program = command("for r in answers():\n    assert r['text'] != 'bad', 'bad text'\n    say(id=r['id'])")
    assert program.ask(REQUEST) == {"id": 1}
    with pytest.raises(CommandError, match="bad text"):
        program.ask({**REQUEST, "text": "bad"})
    assert program.ask(REQUEST) == {"id": 3}


def test_big_texts_and_floods_do_not_deadlock(command: Callable[..., Command]) -> None:
    # It writes a megabyte to both outputs before it reads its input, and answers with what it got.
    program = command(
        "sys.stderr.write('e' * 2**20); sys.stderr.flush()\n"
        "sys.stdout.write(' ' * 2**20); sys.stdout.flush()\n"
        "for r in answers():\n    sys.stderr.write('e' * 2**20)\n    say(id=r['id'], text=r['text'])"
    )
    text = "\U0001f600[" * 2**19
    assert program.ask({**REQUEST, "text": text})["text"] == text


def test_an_endless_line_is_cut_off(command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.engine.command.LONGEST_ANSWER", 10**6)
    with pytest.raises(CommandError, match=r"found 10\d{5} bytes without a line end"):
        command("while True: sys.stdout.write('x' * 65536)").ask(REQUEST)


def test_nothing_is_left_running(command: Callable[..., Command], tmp_path: Path) -> None:
    # A child in the same group that ignores the end of its parent.
    program = command(
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "for r in answers(): say(id=r['id'], pids=[os.getpid(), child.pid])"
    )
    parent, child = program.ask(REQUEST)["pids"]
    program.close()
    assert not is_alive(parent)
    # Left alone it lives for ten minutes. An orphan is reaped by whoever inherits it.
    deadline = time.monotonic() + 300
    while is_alive(child) and not _is_zombie(child):
        assert time.monotonic() < deadline, "it was left running"
        time.sleep(0.01)


def test_an_interrupt_while_a_program_is_closed_comes_when_it_has_ended(
    command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = command("for r in answers(): say(id=r['id'], pid=os.getpid())\ntime.sleep(600)")
    running = program.ask(REQUEST)["pid"]
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        signal.raise_signal(signal.SIGINT)
        return wait(process, timeout)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patched.setattr(subprocess.Popen, "wait", interrupted)
        program.close()
    assert not is_alive(running)
    assert program.ask(REQUEST)["pid"] != running


CLOSING = ("command.py", "isolation.py", "weakref.py")


class TimeIsUp(Exception):
    """What the handler of the time limit's signal raises."""


def closed_with_an_interrupt_at(program: Command, line: int) -> bool:
    """Close a program, and send the time limit's signal when so many lines of `CLOSING` have run; False where it has fewer."""
    left = [line]

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        left[0] -= Path(frame.f_code.co_filename).name in CLOSING
        if left[0] == 0:
            sys.settrace(None)
            signal.raise_signal(signal.SIGPROF)
        return trace

    try:
        sys.settrace(trace)
        program.close()
    except TimeIsUp:
        pass
    finally:
        sys.settrace(None)
    return left[0] <= 0


def test_wherever_the_time_limit_interrupts_its_closing_a_program_is_closed_for_good() -> None:
    def interrupt(number: int, frame: object) -> None:
        raise TimeIsUp

    handler = signal.signal(signal.SIGPROF, interrupt)
    try:
        for line in itertools.count(1):
            program = Command(["sh", "-c", 'read x; echo "{\\"id\\": 1, \\"pid\\": $$}"; read x'], 300.0)
            running = program.ask(REQUEST)["pid"]
            reached = closed_with_an_interrupt_at(program, line)
            assert signal.getsignal(signal.SIGPROF) is interrupt
            # At the first lines nothing has begun: then it still runs, and the next to close it does so.
            program.close()
            assert not is_alive(running), f"interrupted at line {line}, it runs on"
            if not reached:
                break
        assert line > 30, "its closing was hardly interrupted"
    finally:
        signal.signal(signal.SIGPROF, handler)


def test_an_interrupt_between_a_fault_and_its_end_does_not_reach_the_next_request(
    command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second of two wrong lines waits for whoever asks next.
    program = command("for r in answers():\n    for id in [r['id']] if r['text'] else [0, 0]: say(id=id, pid=os.getpid())")

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patched.setattr(program, "close", interrupted)
        program.ask({**REQUEST, "text": ""})
    assert program.ask({**REQUEST, "text": "x"})["pid"]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_ends_with_the_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(HEAD + "for r in answers(): say(id=r['id'], pid=os.getpid())\ntime.sleep(600)")
    code = (
        "import sys\nfrom conformance.engine.command import Command\n"
        f"c = Command([sys.executable, {str(program)!r}], 300.0)\nprint(c.ask({REQUEST!r})['pid'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not is_alive(int(done.stdout))


@pytest.mark.parametrize("number", [signal.SIGKILL] if sys.platform == "linux" else [])
def test_a_process_ends_with_a_run_that_is_killed(number: int, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(HEAD + "for r in answers(): say(id=r['id'], pid=os.getpid())\ntime.sleep(600)")
    code = (
        "import os, sys\nfrom conformance.engine.command import Command\n"
        f"c = Command([sys.executable, {str(program)!r}], 300.0)\n"
        f"print(c.ask({REQUEST!r})['pid'], flush=True)\nos.kill(os.getpid(), {int(number)})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -number
    pid, deadline = int(done.stdout), time.monotonic() + 300
    while is_alive(pid) and not _is_zombie(pid):
        assert time.monotonic() < deadline, "it was left running"
        time.sleep(0.01)


def test_a_command_that_cannot_be_started_is_named() -> None:
    with pytest.raises(PlugError, match=r"found the command './no-such-parser', which cannot be started \(No such file"):
        Command(["./no-such-parser"], 1.0).ask(REQUEST)


def test_a_lone_surrogate_is_not_sent() -> None:
    with pytest.raises(Unsupported, match="lone surrogate"):
        Command(["./never-started"], 1.0).ask({**REQUEST, "text": "\ud800"})


GOOD = (
    HEAD
    + """
import re
for r in answers():
    if r['profile'] != 'strict':
        say(id=r['id'], unsupported='only the strict profile')
    elif r['system'] == 'rig':
        found = re.finditer(r'\\[__DC__\\("([^"]+)"\\) --> "([^"]*)"\\]', r['text'])
        say(id=r['id'], annotations=[dict(query=m[1], value=m[2], start=m.start(), end=m.end()) for m in found])
    elif r['text'] == 'fail':
        say(id=r['id'], error='I failed')
    elif r['text'] == 'strange':
        say(id=r['id'], results=[])
    else:
        say(id=r['id'], queries=r['text'].split('\\n'))
"""
)


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.py"
    path.write_text(GOOD)
    return f"cmd:{sys.executable} {path}"


def test_a_command_is_plugged_in_as_rig_or_as_rag(good: str) -> None:
    parser = subject.connect(plug(good), "cpu")
    assert parser.parse(rig.EXAMPLE) == [("what was the percentage of females in Sunnyvale, CA in 2020?", "51.6%", 91, 175)]
    with pytest.raises(Unsupported):
        parser.stream()
    reader = rag_driver.connect(plug(f"rag={good}"), "cpu")
    assert reader.parse("a\nb") == ["a", "b"]
    with pytest.raises(_text.AnswerError, match="the command reports: I failed"):
        reader.parse("fail")
    with pytest.raises(_text.AnswerError, match=r"found the keys \['id', 'results'\], expected 'queries'"):
        reader.parse("strange")


def test_the_profile_is_sent_and_may_be_declined(good: str) -> None:
    from dataclasses import replace

    parser = subject.connect(replace(plug(good), numerical_class="official"), "cpu")
    with pytest.raises(Unsupported, match="only the strict profile"):
        parser.parse("x")


def test_the_time_limit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slow.py"
    path.write_text("while True: pass")
    monkeypatch.setenv("GAUGEBLOCK_TEXT_SECONDS", "0.3")
    with pytest.raises(TimeLimitExceeded, match=r"no answer within 0\.3 s"):
        subject.connect(plug(f"cmd:{sys.executable} {path}"), "cpu").parse("x")


def conforms(words: list[str], system: str) -> Any:
    """Run the whole suite of a system on a command; the output of pytest."""
    spec = f"{system}=cmd:{' '.join(words)}"
    arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"conformance/{system}", "--impl", spec]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)


# The protocol is tested above with Python. These show that it does not depend on Python, where their tools are installed.
LANGUAGES = [language for language, tool in (("javascript", "node"), ("c", "cc")) if shutil.which(tool)]


@pytest.mark.parametrize("system", ["rig", "rag"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_conforms(language: str, system: str, tmp_path: Path) -> None:
    if language == "javascript":
        words = ["node", str(EXAMPLES / "text_parser.mjs")]
    else:
        words = [str(tmp_path / "text_parser")]
        flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["cc", *flags, "-o", *words, str(EXAMPLES / "text_parser.c")], check=True)
    done = conforms(words, system)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_a_wrong_command_fails(good: str) -> None:
    # Its strings may hold line breaks.
    done = conforms(good.removeprefix("cmd:").split(" "), "rig")
    assert done.returncode == 1
    assert "RIG-20" in done.stdout
