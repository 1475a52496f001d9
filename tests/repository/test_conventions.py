"""Conventions that no linter checks: derived bounds only, no skipped tests, no personal paths."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("reference", "impls", "conformance", "reports", "gaugeblock")


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def test_no_tolerance_is_a_literal() -> None:
    # Bounds are derived. A comparison with a tolerance chosen by hand, or by a library's default, could hide a bug.
    wrong = []
    for file, tree in sources(*PACKAGES, "tests"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"allclose", "assert_allclose", "isclose", "approx", "assert_almost_equal", "assert_close"}:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {name}")
            for keyword in node.keywords:
                if keyword.arg in {"atol", "rtol"} and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {keyword.arg}={keyword.value.value}")
    assert wrong == []


def test_no_test_is_skipped() -> None:
    # A skip is a verdict that the report shows; only conformance/pytest_plugin/outcomes.py gives one.
    wrong = []
    for file, tree in sources("conformance", "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"skip", "xfail", "skipif", "importorskip"}:
                wrong.append(str(file.relative_to(ROOT)))
    assert set(wrong) <= {"conformance/pytest_plugin/outcomes.py", "tests/repository/test_conventions.py"}


def test_no_file_names_a_personal_folder() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    roots = ["/" + name + "/" for name in ("root", "home", "Users")]
    wrong = []
    for name in tracked:
        file = ROOT / name
        if file.suffix in {".py", ".md", ".toml", ".txt", ".json", ".jsonl", ".svg", ".mjs", ".c"} and file.is_file():
            text = file.read_text(encoding="utf-8")
            wrong += [f"{name}: {root}" for root in roots if root in text and name != "tests/repository/test_conventions.py"]
    assert wrong == []


def test_every_class_name_occurs_once() -> None:
    places: dict[str, list[str]] = {}
    for file, tree in sources(*PACKAGES, "tools", "examples"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
