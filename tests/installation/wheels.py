"""Build the wheel from the tracked files, and install it into empty environments, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OURS = ("conformance", "impls", "reference", "reports")


def tracked() -> list[str]:
    """The files of the repository that a build may need, also those that are not committed yet."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if not name.startswith(("reports/published", "tests/")) and (ROOT / name).is_file()]


def build(folder: Path) -> Path:
    """The wheel of the checkout as it is now, built beside nothing that an earlier build left."""
    source = folder / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    subprocess.run([*PIP, "wheel", str(source), "--no-deps", "--no-build-isolation", "-w", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *, with_packages: bool) -> Path:
    """The Python of a new environment that holds the wheel, and our own environment's packages where they are asked for.

    A ``.pth`` file of ours would not be followed from there: the checkout cannot be imported.
    """
    python = new_environment(folder)
    words = [*PIP[1:], "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    run(Path(PIP[0]), folder, *words).check_returncode()  # on our own path pip would find the checkout, and be content
    if with_packages:
        (site_packages(folder) / "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def install_editable(source: Path, folder: Path) -> Path:
    """The Python of a new environment that uses a checkout in place, as `make` installs it."""
    python = new_environment(folder)
    (site_packages(folder) / "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    words = [
        *PIP[1:],
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-e",
        str(source),
    ]
    run(Path(PIP[0]), folder, *words).check_returncode()
    return python


def new_environment(folder: Path) -> Path:
    """The Python of an empty environment."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))


def foreign_project(folder: Path) -> Path:
    """A project of somebody else's, which has packages with the names of our four folders, and uses them."""
    for name in OURS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"WHOSE = 'theirs: {name}'\n")
    (folder / "reports" / "pattern.py").write_text(
        r"""ALLOWED = r'[^"\x00-\x1f\x7f\ud800-\udfff]'
PATTERN = rf'\[__DC__\("(?=\s*[^\s"])({ALLOWED}+)"\) --> "({ALLOWED}*)"\]'
"""
    )
    (folder / "impls" / "parser.py").write_text(
        "import re\nfrom reports.pattern import PATTERN\n\n\ndef parse(text):\n"
        "    from reference import WHOSE\n    assert WHOSE == 'theirs: reference'\n"
        "    return [(m[1], m[2], m.start(), m.end()) for m in re.finditer(PATTERN, text)]\n"
    )
    (folder / "parser.py").write_text("from impls.parser import parse\n")
    return folder


def run(python: Path, folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with none of our own settings of the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return subprocess.run([str(python), *words], cwd=folder, env=kept | variables, capture_output=True, text=True)
