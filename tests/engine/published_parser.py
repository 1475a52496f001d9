"""A plugin for pytest, ``-p tests.engine.published_parser``: a parser of a package in the list."""

from __future__ import annotations

import sys

from impls.implementation import Implementation, Origin
from impls.rig import registry
from impls.rig.adapters.re import parse as honest

NAME = "rig/published"


def parse(text: str) -> object:
    """What the right parser says; but it refuses to work in the process that runs pytest."""
    if "pytest" in sys.modules:
        raise RuntimeError("it was called in the suite's own process")
    return honest(text)


setattr(  # noqa: B010
    registry,
    "IMPLEMENTATIONS",
    (
        *registry.IMPLEMENTATIONS,
        Implementation(
            name=NAME,
            system="rig",
            target=f"{__name__}:parse",
            protocol="function",
            summary="Published by somebody else.",
            dtypes=(),
            features=frozenset(),
            origin=Origin("package", "somebody-elses"),
        ),
    ),
)
