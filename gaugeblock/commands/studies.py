"""``gaugeblock claims`` and ``curves``."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.commands.parser import one_line


def claims(arguments: Sequence[str]) -> int:
    """Measure what the papers claim."""
    from conformance.studies.claims import main

    return main(arguments, one_line("gaugeblock claims"))


def curves(arguments: Sequence[str]) -> int:
    """Follow errors along a length."""
    from conformance.studies.curves import main

    return main(arguments, one_line("gaugeblock curves"))
