"""Make each requirement a test of your own suite.

    from gaugeblock.testing import parametrize_with_checks

    @parametrize_with_checks("mykernels.sigmoid:attention", expected_failures={"SIG-12": "issue 34: window"})
    def test_sigmoid_attention(check):
        check()

Importing this module imports nothing of the suite; the tests need the extra ``suite``. See docs/own-tests.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

__all__ = ["CheckPlan", "parametrize_with_checks"]

LEVELS = ("definition", "interface", "robustness")
"""The levels at which the paper or the host is clear."""
DEVICES = ("cpu", "cuda", "ptx")
"""Where cases may run; ptx, alone: kernels of GPUs are executed on the CPU."""
Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class CheckPlan:
    """What one decorated test asks for; see `parametrize_with_checks`."""

    spec: Any
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True
    levels: Sequence[str] = LEVELS
    quick: bool = False
    thorough: bool = False
    devices: Sequence[str] = ("cpu",)
    dtypes: Sequence[str] = ()


def parametrize_with_checks(
    spec: Any,
    *,
    expected_failures: Mapping[str, str] | None = None,
    strict: bool = True,
    levels: Sequence[str] = LEVELS,
    quick: bool = False,
    thorough: bool = False,
    devices: Sequence[str] = ("cpu",),
    dtypes: Sequence[str] = (),
) -> Callable[[Test], Test]:
    """Run a test once for each requirement of the system that ``spec`` implements, with the argument ``check``.

    ``spec`` is what ``gaugeblock check`` takes (``"package.module:attribute"``, ``"path/to/file.py:attribute"``,
    ``"cmd:..."``, ``"SYSTEM="`` before any of these), or a class or function of a module. A relative path counts from the
    test's file.
    ``check()`` raises pytest's failure with the worst place and the likeliest bug, and skips where nothing could be judged.

    ``expected_failures`` maps ids or globs (``"SIG-12"``, ``"ADM-5*"``) to reasons; these tests are xfail, and ``strict``
    makes one that passes fail. A name that matches no requirement is an error. ``levels``, ``quick``, ``thorough``,
    ``devices`` and ``dtypes`` choose the cases; pytest's options ``--gaugeblock-quick``, ``--gaugeblock-thorough``,
    ``--gaugeblock-device`` and ``--gaugeblock-dtype`` replace them in a run.

    ValueError for a level or device that does not exist.
    """
    for word in (*levels, *devices):
        if word not in (*LEVELS, "reading", *DEVICES):
            raise ValueError(
                f"found {word!r}, expected levels of {', '.join(LEVELS)}, reading, and devices of {', '.join(DEVICES)}"
            )
    plan = CheckPlan(
        spec, dict(expected_failures or {}), strict, tuple(levels), quick, thorough, tuple(devices), tuple(dtypes)
    )
    return pytest.mark.gaugeblock(plan)
