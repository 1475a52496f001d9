"""Build the wheel: `gaugeblock` and nothing else. Everything declarative is in pyproject.toml.

The suite's four folders stay at the top of the repository. In a wheel they become `gaugeblock._suite.conformance`,
`gaugeblock._suite.impls` and so on, and their names in the sources are changed with them, as pip does with the packages
that it carries. The result is plain files: no import hook, nothing on `sys.path`. See docs/packaging.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
FOLDERS = ("conformance", "impls", "reference", "reports")
HOME = "gaugeblock._suite"

OWN = find_packages(include=["gaugeblock*"])
MOVED = find_packages(include=[f"{name}*" for name in FOLDERS], exclude=["reports.published*", "reports.latest*"])
DOTTED = re.compile(rf"(?<![\w./-])({'|'.join(FOLDERS)})(?=\.(\w+|{{))")
PREFIX = re.compile(rf"(?<=[\"'])({'|'.join(FOLDERS)})(?=\.[\"'])")
IMPORTED = re.compile(rf"\bfrom ({'|'.join(FOLDERS)})(?= import )")
COMMANDS = {
    r"python -m reports diff\b": "gaugeblock diff",
    r"python -m reports\b": "gaugeblock report",
    r"python -m conformance\.(\{linter\.system\}|rig|rag) lint\b": r"gaugeblock lint \1",
    r"python -m conformance\.rig vectors\b": "gaugeblock vectors rig",
    r"python -m conformance\.studies\.(claims|curves)\b": r"gaugeblock \1",
    r"python -m conformance\.runners\.gpu\b": "gaugeblock gpu",
    r"python -m conformance\.runners\.ray_cluster\b(?! ?/)": "gaugeblock fleet",
    r"python -m impls\.rig\.export\b": "gaugeblock grammar",
    r"pip install -c constraints\.txt (?:-e )?'\.\[(\w+)\]'": r"pip install 'gaugeblock[\1]'",
}
"""What messages tell a person to type in a checkout, and what they say in the wheel."""


def moved(source: str) -> str:
    """A source with the names of our modules as they are in the wheel: ``impls.rig`` becomes ``gaugeblock._suite.impls.rig``.

    ``conformance.jsonl`` is no module of ours and stays.
    """
    for command, installed in COMMANDS.items():
        source = re.sub(command, installed, source)

    def name(found: re.Match[str]) -> str:
        folder, member = ROOT / found[1], found[2]
        ours = member == "{" or (folder / member).is_dir() or (folder / f"{member}.py").is_file()
        return f"{HOME}.{found[1]}" if ours else found[1]

    return IMPORTED.sub(rf"from {HOME}.\1", PREFIX.sub(rf"{HOME}.\1", DOTTED.sub(name, source)))


class BuildMoved(build_py):
    """Write each module into the wheel with its new names."""

    def build_module(self, module: Any, module_file: str, package: Any) -> Any:
        result = super().build_module(module, module_file, package)
        words = package.split(".") if isinstance(package, str) else list(package)
        target = Path(self.get_module_outfile(self.build_lib, words, module))
        target.write_text(moved(Path(module_file).read_text(encoding="utf-8")), encoding="utf-8")
        return result


class EditInPlace(editable_wheel):
    """An editable install is the checkout itself, in a ``.pth`` file that editors and type checkers follow too."""

    def finalize_options(self) -> None:
        self.distribution.packages = [*OWN, *MOVED]
        self.distribution.package_dir = {"": "."}
        super().finalize_options()


setup(
    packages=[*OWN, *(f"{HOME}.{name}" for name in MOVED)],
    package_dir={f"{HOME}.{name}": name.replace(".", "/") for name in MOVED},
    cmdclass={"build_py": BuildMoved, "editable_wheel": EditInPlace},
)
