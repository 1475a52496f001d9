"""The step of somebody else's CI: the action's own scripts are run, in a project of theirs, in a new environment."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from gaugeblock.commands import ci
from tests.installation import wheels

ROOT = Path(__file__).resolve().parent.parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WRONG = "def parse(text):\n    return []\n"


def run_action(folder: Path, python: Path, **inputs: str) -> tuple[list[subprocess.CompletedProcess[str]], dict[str, Path]]:
    """Do what GitHub's runner does with a composite action, as far as ours needs it."""
    given = {name: str(about.get("default", "")) for name, about in ACTION["inputs"].items()} | inputs
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    # No network: what it installs is there already.
    offline = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    variables = kept | offline | {"GITHUB_ACTIONS": "true", "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    variables |= {name: str(path) for name, path in files.items()}
    done = []
    for step in ACTION["runs"]["steps"]:
        own = {name: filled(text, given) for name, text in step["env"].items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done.append(subprocess.run(command, cwd=folder, env=variables | own, capture_output=True, text=True))
        if done[-1].returncode:
            break
    return done, files


def filled(text: str, given: dict[str, str]) -> str:
    text = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], text)
    return text.replace("${{ github.action_path }}", str(ROOT))


def test_the_action_passes_what_is_right_and_annotates_what_is_not(tmp_path: Path) -> None:
    theirs = wheels.foreign_project(tmp_path / "theirs")
    wheel = wheels.build(tmp_path)
    python = wheels.install(wheel, tmp_path / "environment", with_packages=True)
    (install, check), files = run_action(theirs, python, implementations="rig=parser.py:parse\n", install=str(wheel))
    assert install.returncode == 0, install.stderr
    assert check.returncode == 0, check.stdout + check.stderr
    assert "report=gaugeblock-report" in files["GITHUB_OUTPUT"].read_text()
    report = theirs / "gaugeblock-report"
    assert {"README.md", "index.html", "records.jsonl", "badges"} <= {path.name for path in report.iterdir()}
    assert files["GITHUB_STEP_SUMMARY"].read_text() == "Gaugeblock: nothing failed that was not expected.\n"

    (theirs / "wrong parser.py").write_text(WRONG)
    (theirs / "known failures.txt").write_text("RIG-02\nRIG-0[3-9]\nRIG-[1-9]*\n")
    (_, check), files = run_action(
        theirs,
        python,
        implementations="rig=wrong parser.py:parse",
        options="--quick '--xfails=known failures.txt'",
        install=str(wheel),
    )
    assert check.returncode == 1, check.stdout + check.stderr
    (annotation,) = re.findall(r"^::.*", check.stdout, re.M)
    assert annotation.startswith("::error title=RIG-01 (definition)%3A rig/wrong-parser.parse::The description's example")
    assert "%0Areproduce: gaugeblock check 'rig=wrong parser.py:parse' --test " in annotation
    assert "| `rig/wrong-parser.parse` | RIG-01: " in files["GITHUB_STEP_SUMMARY"].read_text()


def test_the_plain_recipe_writes_what_the_document_says_and_annotates_nothing(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^gaugeblock ci .*", document, re.M)
    theirs = wheels.foreign_project(tmp_path / "theirs")
    (theirs / "known-failures.txt").write_text("RIG-9*\n")
    python = wheels.install(wheels.build(tmp_path), tmp_path / "environment", with_packages=True)
    words = shlex.split(recipe.replace("mypackage.optim:AdEMAMix", "rig=impls.parser:parse --quick"))
    done = wheels.run(python.with_name(words[0]), theirs, *words[1:], GITHUB_ACTIONS="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"^::", done.stdout, re.M)
    for name in re.findall(r"`([\w./]+)`", document.partition("| in the folder")[2].partition("\n\n")[0]):
        assert name == "records.jsonl" or (theirs / "gaugeblock-report" / name).exists(), name
    (badge,) = (theirs / "gaugeblock-report" / "badges").rglob("*.svg")
    assert badge.name.startswith("impls-parser-parse")


GITHUB = {
    "github-actions": ["action.yml"],
    "github-workflows": [".github/workflows/ci.yml"],
    "github-issue-forms": [
        f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("finding", "new-implementation", "wrong-verdict")
    ],
    "github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
    "citation-file-format": ["CITATION.cff"],
}


def test_githubs_files_have_the_form_that_their_schemas_say() -> None:
    if importlib.util.find_spec("check_jsonschema") is None:
        print("not run: check-jsonschema is not installed here")
        return
    for schema, files in GITHUB.items():
        words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_workflow_commands_are_escaped() -> None:
    assert ci.escaped("100 %\na: b, c", ":,") == "100 %25%0Aa%3A b%2C c"


def test_forms_workflows_and_hooks_are_what_forges_read() -> None:
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        read = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= read.keys()
        ids = [field["id"] for field in read["body"]]
        assert len(ids) == len(set(ids))
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    wanted = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["pythons"]["strategy"]["matrix"]["python"] == wanted
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")):
        assert hook["entry"].startswith("gaugeblock lint ")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
