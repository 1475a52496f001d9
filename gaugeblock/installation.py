"""Where this installation is, what it has, and how to get what it lacks. It imports nothing heavy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "conformance").is_dir() and (PACKAGE.parent / "setup.py").is_file() else None
"""The checkout that this package lies in; None where it was installed from a wheel."""
SUITE = CHECKOUT or PACKAGE / "_suite"
"""The folder that contains conformance, impls, reference and reports."""

SUITE_EXTRA = ("numpy", "scipy", "pytest", "pytest_benchmark", "matplotlib")
"""The modules of the extra ``suite`` without which the suite does not run."""


class CannotRun(Exception):
    """A command that cannot be carried out. The message says what was found, what was expected, and what to do."""


def version() -> str:
    """The version: of the checkout, or of the installed package."""
    if CHECKOUT is not None:
        import tomllib

        return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    from importlib import metadata

    return metadata.version("gaugeblock")


def installing(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install -c constraints.txt -e '.[{extra}]'" if CHECKOUT is not None else f"pip install 'gaugeblock[{extra}]'"


def need(module: str, *, by: str, extra: str = "") -> None:
    """Raise ImportError in one line where a module is not installed: who needs it, and how to get it."""
    if importlib.util.find_spec(module) is None:
        raise ImportError(f"{by} needs {module}, which is not installed here; get it with: {installing(extra or module)}")
