"""Every code block of every document works.

Python runs, commands run or have their arguments parsed, data is read. What cannot be run has its reason in a table here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from gaugeblock.command import SUBCOMMANDS
from gaugeblock.commands import ci

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "conformance/rig/vectors/README.md",
]

PLACEHOLDERS = {
    "docs/ademamix.md": "import torch; model = torch.nn.Linear(4, 1)",
    "docs/reports.md": "train = lambda steps, device, report: [1.0] * steps",
    "conformance/rig/vectors/README.md": (
        "from reference.rig import annotations\n"
        "my_parser = lambda text: [(a.query, a.value, a.span.start, a.span.end) for a in annotations(text)]"
    ),
}
"""What a document's Python takes for given, as Python."""

SHOWN = {
    "CONTRIBUTING.md mermaid": "a picture; test_layers.py holds the layers",
    "README.md text": "what a run prints",
    "docs/command.md text": "what inspect prints; tests/installation/test_inspect.py compares it",
    "docs/ptx.md text": "what a run prints; tests/ptx/test_ptx_torch_kernels.py compares it",
    "docs/linting.md text": "what the linter prints; tests/core/test_linting.py compares it",
    "docs/own-tests.md text": "what a run prints; tests/installation/test_own_tests.py has one",
    "docs/plugging-in.md text": "one exchange with a program; the programs of examples/ are run by tests",
    "docs/regressions.md text": "what a run prints",
    "docs/reports.md markdown": "a badge in a page of somebody's own",
    "docs/rig-grammars.md text": "generated; tests/rig/test_rig_export.py compares it and gives it to engines",
    "docs/rig-parser.md text": "what the example above it prints; compared here",
    "docs/rig-specification.md abnf": "the definition; tests/rig/test_rig_specification.py holds examples against it",
    "docs/rig-specification.md rag": "an input; tests/rig/test_rig_specification.py reads it",
    "docs/rig-specification.md rig": "an input; tests/rig/test_rig_specification.py reads it",
    "docs/rig-specification.md text": "patterns and outputs; tests/rig/test_rig_specification.py reads them",
    "conformance/rig/vectors/README.md text": "one vector; tests/rig/test_rig_vectors.py compares it",
}
"""Blocks that nothing can run, by document and language, and why."""

NOT_RUN = {
    "./numeric_vectors": "tests/installation/test_numeric_vectors.py compiles and runs it",
    "c++": "needs a compiler; tests/installation/test_numeric_vectors.py runs it where there is one",
    "cargo": "needs Rust; tests/installation/test_numeric_vectors.py runs it where it is",
    "examples/rust/target/release/gaugeblock-example": "built by the command before; the same test runs it",
    "./vectors": "compiled by the command before; tests/rig/test_rig_vectors.py compiles and runs it",
    "cc": "needs a compiler; tests/rig/test_rig_vectors.py runs it where there is one",
    "cd": "changes the reader's folder",
    "cp": "copies files that a run has written",
    "echo": "writes a file for the command after it",
    "eval": "changes the reader's shell; tests/installation/test_command.py tests what it takes",
    "export": "sets a variable for the commands after it",
    "git": "fetches the repository",
    "some-model": "stands for the reader's own program",
}
"""Programs that are not ours, and why they are not run. Of ours, `EXECUTED` ones run; others have their arguments parsed."""

INTERACTIVE = ("--help", "--version", "vectors")
"""Of the command gaugeblock: what parses its arguments itself; tests/installation runs it."""

EXECUTED = ("conformance.rig lint", "conformance.rag lint", "conformance.rig vectors")
OWN_PLUG = "--impl rig=my_parser.py:parse"
"""A plug that a document writes out: tested as the document says."""

FILES = {"outputs.jsonl": '{"output": "nothing"}\n', "answer.txt": "nothing\n", "answers.txt": "nothing\n"}
"""Files that commands and examples read."""


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def parsed_by(words: list[str]) -> None:
    """Let ``python -m module`` parse its arguments, and stop it there."""

    class Parsed(Exception):
        pass

    def parse(parser: argparse.ArgumentParser, *arguments: Any, **others: Any) -> None:
        original(parser, *arguments, **others)
        raise Parsed

    original = argparse.ArgumentParser.parse_args
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        patch.setattr(sys, "argv", words)
        # Not by runpy: pytest loads what an installed plug-in belongs to in a way that it does not know.
        found = importlib.util.find_spec(words[0])
        if found is not None and found.submodule_search_locations is not None:
            found = importlib.util.find_spec(f"{words[0]}.__main__")
        assert found is not None, f"there is no module {words[0]}"
        assert found.origin is not None
        code = compile(Path(found.origin).read_text(encoding="utf-8"), found.origin, "exec")
        with pytest.raises(Parsed):
            exec(code, {"__name__": "__main__", "__spec__": found, "__file__": found.origin})


def parse_pytest(arguments: list[str]) -> None:
    """Let pytest and our plug-in parse the arguments of a run. The folders to collect must exist."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        config = pytest.Config.fromdictargs({}, ["--import-mode=importlib", *arguments])
    for place in config.args:
        assert (ROOT / place.partition("::")[0]).exists(), f"nothing to collect in {place}"


def run(words: list[str], given: str = "") -> None:
    done = subprocess.run([sys.executable, "-m", *words], input=given, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def install(words: list[str]) -> None:
    """The extras that ``pip install`` names must exist, and so must the file of constraints."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for word in words:
        named = re.search(r"\[(.*)\]", word)
        assert not named or set(named[1].split(",")) <= set(extras), word
        assert not word.endswith(".txt") or (ROOT / Path(word).name).is_file(), word


def execute(words: list[str]) -> None:
    """One command of a block."""
    if words[0] == "pytest":
        words = ["python", "-m", *words]
    if words[0] == "make":
        assert set(words[1:]) <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    elif words[:3] == ["python", "-m", "pip"]:
        install(words[3:])
    elif words[:3] == ["python", "-m", "pytest"]:
        if OWN_PLUG in " ".join(words):
            run(["pytest", str(ROOT / "conformance"), "--quick", "-q", *words[words.index("--impl") :]])
        else:
            parse_pytest(words[3:])
    elif words[0] == "gaugeblock":
        assert words[1].startswith("-") or words[1] in SUBCOMMANDS, words
        if words[1] in ("check", "bench", "ci"):
            ci.parser().parse(words[2:])
        elif words[1] not in INTERACTIVE:
            parsed_by(["gaugeblock", *words[1:]])
    elif words[:2] == ["python", "-m"]:
        is_cheap = " ".join(words[2:]).startswith(EXECUTED)
        (run if is_cheap else parsed_by)(words[2:])
    else:
        assert words[0] in NOT_RUN, f"{words[0]} is not known to {Path(__file__).name}: run it, parse it, or say there why not"


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a shell block, each as its words; those of a pipe one by one."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("|") if "|" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


def run_python(example: Example) -> None:
    """In the document's namespace. A block that begins with a comment that names a file is that file too."""
    own = re.match(r"# (\w+\.py)\n", example.parsed)
    if own:
        Path(own[1]).write_text(example.parsed, encoding="utf-8")
    PythonEvaluator()(example)


def run_shell(example: Example) -> None:
    for words in commands(example.parsed):
        execute(words)


def read_workflow(example: Example) -> None:
    """YAML, with the commands of ours in the steps of a workflow."""
    read = yaml.safe_load(example.parsed)
    jobs = read.get("jobs", {}).values() if isinstance(read, dict) else ()
    for script in [step["run"] for job in jobs for step in job["steps"] if "run" in step]:
        for line in re.findall(r"^(?:python -m|gaugeblock) .*", script, re.MULTILINE):
            execute(shlex.split(line.replace("$against", "")))


def read_with(loads: Callable[[str], object]) -> Callable[[Example], None]:
    def read(example: Example) -> None:
        loads(example.parsed)

    return read


LANGUAGES: dict[str, Callable[[Example], None]] = {
    "python": run_python,
    "sh": run_shell,
    "json": read_with(json.loads),
    "toml": read_with(tomllib.loads),
    "yaml": read_workflow,
}


def blocks(document: Document) -> Iterable[Region]:
    """Every fenced block, with what runs it; sybil calls this."""
    for region in FencedCodeBlockLexer("[^\n]*")(document):
        language = region.lexemes["language"]
        key = f"{name_of(Path(document.path))} {language}"
        assert language in LANGUAGES or key in SHOWN, f"a block of {key!r}: give it a language that runs, or a reason in SHOWN"
        region.parsed = region.lexemes["source"]
        region.evaluator = LANGUAGES.get(language, lambda example: None)
        yield region


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_block_works(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for file, text in FILES.items():
        Path(file).write_text(text, encoding="utf-8")
    document, printed = Document.parse(str(path), blocks), ""
    exec(PLACEHOLDERS.get(name_of(path), ""), document.namespace)
    for example in document.examples():
        try:
            example.evaluate()
        except BaseException as error:
            error.add_note(f"in the block at {name_of(path)}:{example.line}")
            raise
        printed = capsys.readouterr().out if example.region.lexemes["language"] != "text" else printed
        if "compared here" in SHOWN.get(f"{name_of(path)} {example.region.lexemes['language']}", ""):
            assert printed.endswith(example.parsed)


def test_every_reason_is_about_a_block_that_is_there() -> None:
    found = {
        f"{name_of(path)} {language}"
        for path in DOCUMENTS
        for language in re.findall(r"^```(\w+)$", path.read_text("utf-8"), re.M)
    }
    assert set(SHOWN) <= found
    for reason in SHOWN.values():
        assert all((ROOT / file).is_file() for file in re.findall(r"tests/\S+\.py", reason)), reason


def test_every_setting_is_documented_where_the_guide_says() -> None:
    guide = (ROOT / "docs" / "plugging-in.md").read_text(encoding="utf-8")
    assert "`conformance/<system>/harness/subject.py` documents the protocols, the settings and the feature words" in guide
    for harness in sorted((ROOT / "conformance").glob("*/harness")):
        sources = "".join(file.read_text(encoding="utf-8") for file in harness.glob("*.py"))
        settings = set(re.findall(r'settings(?: or \{\}\))?(?:\.get\(|\[)"(\w+)"', sources))
        docstring = (harness / "subject.py").read_text(encoding="utf-8").split('"""')[1]
        assert settings or harness.parent.name == "rag"
        assert not {name for name in settings if not re.search(rf"\b{name}\b", docstring)}, harness
