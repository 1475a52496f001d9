"""Third parties who live outside the repository plug in by every form there is, and wrong plugs get one clear error."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from conformance.engine.isolation import process_state_of
from conformance.records import io as records
from conformance.records.fields import Record, RecordError
from conformance.records.schema import VerdictRecord

ROOT = Path(__file__).resolve().parent.parent.parent

OPTIMIZER = """
    import math
    import torch

    class Theirs(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0,
                     T_alpha=None, T_beta3=None):
            super().__init__(params, dict(lr=lr, betas=betas, alpha=alpha, eps=eps, weight_decay=weight_decay,
                                          T_alpha=T_alpha, T_beta3=T_beta3))

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                b1, b2, b3_end = group["betas"]
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    s = self.state[p]
                    if not s:
                        s.update(step=0, m1=torch.zeros_like(p), m2=torch.zeros_like(p), nu=torch.zeros_like(p))
                    s["step"] += 1
                    t, T_a, T_b = s["step"], group["T_alpha"], group["T_beta3"]
                    alpha = group["alpha"] if not T_a else min(t / T_a, 1.0) * group["alpha"]
                    b3 = b3_end
                    if T_b and t < T_b and b1 > 0:
                        ls, le, mu = math.log(b1), math.log(b3_end), t / T_b
                        b3 = min(math.exp(ls * le / ((1 - mu) * le + mu * ls)), b3_end)
                    elif T_b and t < T_b:
                        b3 = b3_end ** (T_b / t)
                    g = p.grad
                    s["m1"].mul_(b1).add_(g, alpha=1 - b1)
                    s["m2"].mul_(b3).add_(g, alpha=1 - b3)
                    s["nu"].mul_(b2).addcmul_(g, g, value=1 - b2)
                    denominator = (s["nu"] / (1 - b2**t)).sqrt().add_(group["eps"])
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_((s["m1"] / (1 - b1**t) + alpha * s["m2"]) / denominator, alpha=-group["lr"])
            return loss
"""

ATTENTION = """
    import math
    import torch

    def attention(q, k, v, *, scale=None, bias=0.0, causal=False):
        if q.shape[1] != k.shape[1]:
            raise NotImplementedError("grouped heads")
        scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
        scores = (q.float() @ k.float().transpose(-1, -2)) * scale + bias
        if causal:
            n, m = scores.shape[-2:]
            keep = torch.ones(n, m, dtype=torch.bool).tril(m - n)
            return (torch.sigmoid(scores).masked_fill(~keep, 0.0) @ v.float()).to(v.dtype)
        return (torch.sigmoid(scores) @ v.float()).to(v.dtype)
"""

PARSER = r"""
    import re
    ALLOWED = r'[^"\x00-\x1f\x7f\ud800-\udfff]'
    PATTERN = re.compile(rf'\[__DC__\("(?=\s*[^\s"])({ALLOWED}+)"\) --> "({ALLOWED}*)"\]')
    def parse(text):
        return [(m[1], m[2], m.start(), m.end()) for m in PATTERN.finditer(text)]
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else's, with a package, loose files and an installed distribution."""
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "optim.py").write_text(textwrap.dedent(OPTIMIZER))
    (tmp_path / "neighbour.py").write_text(textwrap.dedent(ATTENTION))
    (tmp_path / "kernel.py").write_text("from neighbour import attention\n")
    (tmp_path / "parser.py").write_text(textwrap.dedent(PARSER))
    return tmp_path


def run(outside: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], records.Run | None]:
    file = outside / "run.jsonl"
    command = [sys.executable, "-m", "pytest", "conformance", "-q", "-p", "no:cacheprovider", "--tb=short", *arguments]
    done = subprocess.run(
        [*command, "--records", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(outside)},
        capture_output=True,
        text=True,
        timeout=3600,  # only what would never end is ended
    )
    return done, records.read(file) if file.is_file() else None


def verdicts(run: records.Run | None, name: str) -> Counter[str]:
    assert run is not None
    return Counter(line.verdict for line in run.of(VerdictRecord) if line.implementation == name)


def test_a_class_in_somebodys_package(outside: Path) -> None:
    done, found = run(outside, "--quick", "--impl", "theirs.optim:Theirs")
    counts = verdicts(found, "ademamix/theirs.optim.Theirs")
    assert done.returncode == 0, done.stdout
    assert counts["pass"] > 10
    assert not counts["fail"] + counts["error"] + counts["not run"]


def test_a_function_in_a_file_that_imports_its_neighbour(outside: Path) -> None:
    done, found = run(outside, "--quick", "--impl", f"{outside}/kernel.py:attention")
    counts = verdicts(found, "sigmoid_attention/kernel.attention")
    assert done.returncode == 0, done.stdout
    assert counts["pass"] > 5
    assert counts["unsupported"] > 0  # no window, no slopes, no key lengths, no grouped heads: gaps, not failures
    assert found is not None
    assert any("grouped heads" in line.message for line in found.of(VerdictRecord) if line.verdict == "unsupported")
    assert not counts["fail"] + counts["error"]


def test_an_object_declares_itself_without_importing_ours(outside: Path) -> None:
    (outside / "eager.py").write_text(
        "import torch\n"
        "def attention(q, k, v, *, scale=None, bias=0.0):\n"
        "    scale = q.shape[-1] ** -0.5 if scale is None else scale\n"
        "    return torch.sigmoid(q @ k.transpose(-1, -2) * scale + bias) @ v\n"
        "attention.gaugeblock = {'numerical_class': 'materialised', 'dtypes': ['bfloat16'], 'features': ['bias', 'scale']}\n"
    )
    done, found = run(outside, "--quick", "--impl", f"{outside}/eager.py:attention")
    assert done.returncode == 0, done.stdout
    assert verdicts(found, "sigmoid_attention/eager.attention")["pass"] > 3
    assert found is not None
    (described,) = found.header.implementations
    assert (described.numerical_class, described.dtypes) == ("materialised", ("bfloat16",))
    assert described.features == ("bias", "scale")


def test_a_parser_in_a_file_is_told_apart_by_what_it_gives(outside: Path) -> None:
    done, found = run(outside, "--impl", f"{outside}/parser.py:parse")
    counts = verdicts(found, "rig/parser.parse")
    assert done.returncode == 0, done.stdout
    assert counts["pass"] > 20


def test_an_installed_package_just_appears(outside: Path) -> None:
    metadata = outside / "theirs-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text("[gaugeblock.implementations]\nrig.theirs = parser:parse\n")
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--list-impls"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(outside)},
        capture_output=True,
        text=True,
    )
    assert "rig/theirs" in listing.stdout
    done, found = run(outside, "--quick", "--impl", "installed")
    assert done.returncode == 0, done.stdout
    assert verdicts(found, "rig/theirs")["pass"] > 20
    assert found is not None
    (described,) = found.header.implementations
    assert (described.version, described.origin.kind) == ("1.2", "entry point")


def test_wrong_plugs_get_one_line_each_and_the_rest_goes_on(outside: Path) -> None:
    (outside / "odd.py").write_text(
        "THREE = 3\ndef nothing(): return []\ndef parse(text): return None\ndef two(a, b): return a\n"
        "class NotAnOptimizer: pass\n"
        "def declares(q, k, v): return v\ndeclares.gaugeblock = {'speed': 'high'}\n"
    )
    (outside / "broken.py").write_text("1 / 0\n")
    (outside / "exits.py").write_text("import sys\nsys.exit(4)\n")
    (outside / "skips.py").write_text("import pytest\ndef parse(text): pytest.skip('not\\ntoday')\n")
    wrong = {
        "no_such_module:thing": "no module named 'no_such_module'",
        "theirs.optim:Nothing": "has no attribute 'Nothing'; it has:",
        f"{outside}/absent.py:thing": "no file",
        f"{outside}/broken.py:thing": "failed on import: ZeroDivisionError",
        "exits:thing": "failed on import: SystemExit: 4",
        f"{outside}/skips.py:parse": "raised Skipped: not today when asked",
        f"{outside}/odd.py:THREE": "odd.py:THREE is an object of type int",
        f"{outside}/odd.py:nothing": "expected",
        f"{outside}/odd.py:two": "expected",
        f"{outside}/odd.py:NotAnOptimizer": "expected",
        f"{outside}/odd.py:parse": "returned None",
        f"{outside}/odd.py:declares": "found the keys speed, expected",
        "nosuchsystem=theirs.optim:Theirs": "unknown system 'nosuchsystem'",
        "rig/refrence": "did you mean rig/reference",
        "rag": "did you mean 'rag/*'?",
        f"rag={outside}/parser.py:parse": "was given as rag and looks like rig; expected parse(text) that returns",
        "cmd:./no-such-parser --fast": "found the command './no-such-parser', which cannot be started",
        ":": "expected 'package.module:attribute'",
    }
    arguments = [word for spec in wrong for word in ("--impl", spec)]
    done, found = run(outside, "--quick", *arguments, "--impl", f"rig={outside}/parser.py:parse")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert verdicts(found, "rig/parser.parse")["pass"] > 20
    assert found is not None
    messages = {failure.spec: failure.message for failure in found.header.plug_failures}
    assert set(messages) == set(wrong)
    for spec, words in wrong.items():
        assert words in messages[spec]
        assert "\n" not in messages[spec]
        assert f"ERROR: --impl {spec}: " in done.stdout


def test_nothing_but_wrong_plugs_is_an_error_too(outside: Path) -> None:
    done, _ = run(outside, "--impl", "no_such_module:thing")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no module named 'no_such_module'" in done.stderr


COMMANDS = {
    "rubbish": ("print('rubbish', flush=True)\n", "JSON"),
    "crash": ("import sys\nsys.exit('out of order')\n", "out of order"),
    "hang": ("import time\ntime.sleep(600)\n", "answer"),
}


@pytest.mark.parametrize("fault", list(COMMANDS))
def test_a_program_that_misbehaves_is_an_error_in_words(outside: Path, fault: str) -> None:
    body, words = COMMANDS[fault]
    program = outside / f"{fault}.py"
    program.write_text(f"import sys\nfor line in sys.stdin:\n{textwrap.indent(body, '    ')}")
    # One case is enough to see what a fault says; every further one would wait for the time limit again.
    done, found = run(
        outside,
        "--quick",
        "-k",
        "RIG-01-",
        "--impl",
        f"cmd:{sys.executable} {program}",
        "--impl",
        f"rig={outside}/parser.py:parse",
    )
    assert done.returncode == 1
    assert found is not None
    errors = [line for line in found.of(VerdictRecord) if line.implementation == f"rig/cmd.{fault}.py"]
    assert errors
    for line in errors:
        assert line.verdict == "error"
        assert words in line.message
    assert verdicts(found, "rig/parser.parse")["pass"] > 0


def test_a_program_that_answers_is_judged_like_everybody(outside: Path) -> None:
    program = outside / "speaks.py"
    program.write_text(
        "import json, sys\nfrom parser import parse\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    found = [dict(query=q, value=v, start=s, end=e) for q, v, s, e in parse(asked['text'])]\n"
        "    print(json.dumps({'id': asked['id'], 'annotations': found}), flush=True)\n"
    )
    done, found = run(outside, "--quick", "--impl", f"cmd:{sys.executable} {program}")
    counts = verdicts(found, "rig/cmd.speaks.py")
    assert counts["pass"] > 20, done.stdout
    assert not counts["fail"] + counts["error"]


def test_many_workers_give_the_same_records(outside: Path) -> None:
    def lines(*arguments: str) -> list[Record]:
        _, found = run(outside, "--impl", f"rig={outside}/parser.py:parse", "--impl", "rig/re", *arguments)
        assert found is not None
        return list(found.records)

    alone = lines()
    assert len(alone) > 50
    assert lines("-n", "2") == alone


def test_a_crash_of_a_worker_is_an_error_of_whom_it_judged(outside: Path) -> None:
    (outside / "fatal.py").write_text(
        "import os, signal\nfrom parser import parse as honest\n"
        "def parse(text):\n    if text.count('__DC__') > 1: os.kill(os.getpid(), signal.SIGKILL)\n    return honest(text)\n"
    )
    done, found = run(outside, "--in-process", "--quick", "-n", "2", "-k", "RIG-0", "--impl", f"rig={outside}/fatal.py:parse")
    counts = verdicts(found, "rig/fatal.parse")
    assert done.returncode != 0
    assert counts["error"] > 0
    assert counts["pass"] > 0


STRANGE = """
    import pytest
    from parser import parse as honest
    class Own(BaseException): pass
    def with_skip(text):
        if "Sunnyvale" in text: return honest(text)
        pytest.skip("not today")
    def with_surrogate(text):
        if "Sunnyvale" in text: return honest(text)
        raise Own("\\ud800 \\x1b[31m " + 9999 * "long ")
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_whatever_is_raised_is_a_verdict_in_the_records(outside: Path, workers: list[str]) -> None:
    (outside / "strange.py").write_text(textwrap.dedent(STRANGE))
    plugs = [word for name in ("with_skip", "with_surrogate") for word in ("--impl", f"rig={outside}/strange.py:{name}")]
    done, found = run(outside, "--quick", "-k", "RIG-0", *plugs, *workers)
    assert done.returncode == 1
    for name, words in (("with_skip", "Skipped: not today"), ("with_surrogate", r"Own: \ud800 \x1b[31m long")):
        counts = verdicts(found, f"rig/strange.{name}")
        assert counts["error"] > 5, done.stdout
        assert found is not None
        errors = [v for v in found.of(VerdictRecord) if v.verdict == "error" and v.implementation.endswith(name)]
        assert all(words in error.message and len(error.message) < 1200 for error in errors)


def test_the_printed_command_shows_the_failure_again(outside: Path) -> None:
    """Whatever the file is called, and even where another plug of the same name stands beside it."""
    folder = outside / "it's a [folder]"
    folder.mkdir()
    for where in (outside, folder):
        (where / "par ser[1] $x.py").write_text("def parse(text): return [('what', '5', 0, 1)]\n")
    program = folder / "pro gram.py"
    program.write_text("import sys\nfor line in sys.stdin: print('{}', flush=True)\n")
    specs = [f"rig={where}/par ser[1] $x.py:parse" for where in (outside, folder)]
    specs.append(f"rig=cmd:{shlex.quote(sys.executable)} {shlex.quote(str(program))}")
    _, found = run(outside, "-k", "RIG-01-example", *(word for spec in specs for word in ("--impl", spec)))
    assert found is not None
    failures = [line for line in found.of(VerdictRecord) if line.verdict in ("fail", "error")]
    assert len({line.implementation for line in failures}) == len(specs)
    for line in failures:
        done = subprocess.run(
            ["bash", "-c", f"{shlex.quote(sys.executable)} -m {line.reproduce} -p no:cacheprovider"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert "1 failed" in done.stdout, done.stdout + done.stderr
        assert line.message in done.stdout


def test_a_badly_named_entry_point_hides_no_other_and_troubles_nobody_who_did_not_ask(outside: Path) -> None:
    metadata = outside / "theirs-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text("[gaugeblock.implementations]\nbad = parser:parse\nrig.theirs = parser:parse\n")
    done, found = run(outside, "--quick", "-k", "RIG-0", "--impl", "installed")
    assert done.returncode == 1
    assert "entry point 'bad' of package theirs: expected a name 'system.slug'" in done.stdout
    assert verdicts(found, "rig/theirs")["pass"] > 5
    done, _ = run(outside, "--quick", "-k", "RIG-0", "--impl", "rig/re")
    assert done.returncode == 0, done.stdout


def test_records_go_where_they_were_asked_for_or_the_run_says_why_not(outside: Path) -> None:
    """An implementation may change the working directory; a pipe or a device is never replaced by a file."""
    (outside / "moves.py").write_text("import os\nfrom parser import parse as honest\n"
                                      "def parse(text):\n    os.chdir('/')\n    return honest(text)\n")  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(ROOT / "conformance"),
        "-q",
        "-p",
        "no:cacheprovider",
        "--quick",
        "-k",
        "RIG-0",
    ]
    command += ["--impl", f"rig={outside}/moves.py:parse", "--records"]
    environment = {**os.environ, "PYTHONPATH": str(outside)}
    done = subprocess.run([*command, "moved.jsonl"], cwd=outside, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert records.read(outside / "moved.jsonl").of(VerdictRecord)
    os.mkfifo(outside / "pipe")
    done = subprocess.run([*command, "pipe"], cwd=outside, env=environment, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "found something that is no regular file, expected the name of a file" in done.stderr
    assert (outside / "pipe").is_fifo()
    (outside / "file").write_text("")
    done = subprocess.run([*command, "file/run.jsonl"], cwd=outside, env=environment, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "file/run.jsonl: not written" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_one_does_to_the_process_is_not_met_by_another(outside: Path) -> None:
    (outside / "vandal.py").write_text(
        "import locale, os, signal, sys\nimport numpy as np\nfrom parser import parse as honest\n"
        "np.seterr(all='raise')\n"
        "def parse(text):\n"
        "    if 'reaching' not in text and np.geterr()['over'] != 'raise': raise AssertionError('its own state is gone')\n"
        "    os.chdir('/')\n    os.environ.pop('PATH', None)\n    sys.setrecursionlimit(150)\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    sys.stdout = open(os.devnull, 'w')\n    sys.argv.clear()\n"
        "    sys.path[:] = ['/nowhere']\n    return honest(text)\n"
    )
    (outside / "witness.py").write_text(
        "import os, signal, sys\nimport numpy as np\nfrom parser import parse as honest\n"
        "def parse(text):\n"
        "    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN and sys.stdout.name != os.devnull and sys.argv\n"
        "    assert len(sys.path) > 1 and sys.path[-1] == '/nowhere'\n"
        "    assert np.geterr()['over'] == 'warn' and sys.getrecursionlimit() >= 1000\n"
        "    assert os.getcwd() != '/' and 'PATH' in os.environ\n    return honest(text)\n"
    )
    plugs = [word for name in ("vandal", "witness") for word in ("--impl", f"rig={outside}/{name}.py:parse")]
    done, found = run(outside, "--quick", "-k", "RIG-0", "--in-process", *plugs)
    assert done.returncode == 0, done.stdout
    assert verdicts(found, "rig/vandal.parse")["pass"] == verdicts(found, "rig/witness.parse")["pass"] > 5


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "worker"])
def test_nobody_who_is_judged_ends_the_run(outside: Path, workers: list[str]) -> None:
    (outside / "leaver.py").write_text(
        "import os\nfrom parser import parse as honest\n"
        "def parse(text):\n    if text.count('__DC__') > 1: os._exit(0)\n    return honest(text)\n"
    )
    done, found = run(outside, "--in-process", "--quick", "-k", "RIG-0", "--impl", f"rig={outside}/leaver.py:parse", *workers)
    assert done.returncode == 1, done.stdout
    assert verdicts(found, "rig/leaver.parse")["error"] > 0 < verdicts(found, "rig/leaver.parse")["pass"]
    assert "it called os._exit(0), which would have ended the run" in done.stdout


LEAVERS = {
    "thread": "thread = threading.Thread(target=os._exit, args=(0,)); thread.start(); thread.join()",
    "library": "ctypes.CDLL(None).exit(0)",
    "crash": "ctypes.string_at(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("name", sorted(LEAVERS))
def test_a_run_that_dies_never_exits_with_0_and_leaves_what_it_recorded(outside: Path, name: str) -> None:
    (outside / f"{name}_leaver.py").write_text(
        "import ctypes, os, signal, threading\nfrom parser import parse as honest\n"
        f"def parse(text):\n    if text.count('__DC__') > 1: {LEAVERS[name]}\n    return honest(text)\n"
    )
    file = outside / f"{name}.jsonl"
    file.write_text("of last week")
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(ROOT / "conformance"),
        "-q",
        "--quick",
        "--in-process",
        "-k",
        "RIG-0",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--impl", f"rig={outside}/{name}_leaver.py:parse", f"--records={file}"]
    environment = {**os.environ, "PYTHONPATH": str(outside)}
    done = subprocess.run(command, cwd=outside, env=environment, capture_output=True, text=True)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "what it had recorded is a part" in done.stderr
    with pytest.raises(RecordError, match="the run was cut short"):
        records.read(file)
    assert len(records.read(file, partial=True).of(VerdictRecord)) > 0
    assert file.with_name(f"{file.name}.previous").read_text() == "of last week"


def test_who_replaces_what_judges_does_not_pass(outside: Path) -> None:
    (outside / "judge.py").write_text(
        "import numpy as np\nfrom conformance.engine import runner\nfrom conformance.engine.comparison import Comparison\n"
        "def numpy(text):\n    np.isnan = lambda values: np.ones_like(values, bool)\n    return [('no', 'such', 0, 1)]\n"
        "def suite(text):\n"
        "    runner.worst_of = lambda comparisons: Comparison('', 0.0, '', '', '', '')\n    return [('no', 'such', 0, 1)]\n"
    )
    for name in ("numpy", "suite"):
        done, found = run(outside, "--in-process", "--quick", "-k", "RIG-0", "--impl", f"rig={outside}/judge.py:{name}")
        assert done.returncode == 1
        assert set(verdicts(found, f"rig/judge.{name}")) == {"error"}, done.stdout
        assert "no longer tells a wrong value from a right one" in done.stdout


def test_a_thread_that_never_ends_does_not_keep_the_run(outside: Path) -> None:
    # Its thread would keep the run for a day.
    (outside / "ghost.py").write_text(
        "import threading, time\nfrom parser import parse as honest\n"
        "def parse(text):\n"
        "    if threading.active_count() < 3: threading.Thread(target=time.sleep, args=(86400,)).start()\n"
        "    return honest(text)\n"
    )
    done, found = run(outside, "--in-process", "--quick", "-k", "RIG-01", "--impl", f"rig={outside}/ghost.py:parse")
    assert done.returncode == 0, done.stdout
    assert verdicts(found, "rig/ghost.parse")["pass"] > 0
    assert "threads that an implementation left behind did not end" in done.stderr


def test_torch_is_left_as_it_was() -> None:
    import torch

    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    with process_state_of("somebody"):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()) == before
    with process_state_of("somebody"):
        assert torch.get_default_dtype() == torch.float64
    assert torch.get_default_dtype() == before[0]
