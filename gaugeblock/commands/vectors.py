"""``gaugeblock vectors``: test vectors for implementations in any language."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.installation import CannotRun


def main(arguments: Sequence[str]) -> int:
    """Print the vectors of RIG."""
    if arguments[:1] == ["rig"]:
        from conformance.rig.__main__ import vectors

        return vectors(arguments[1:])
    raise CannotRun("expected what first: gaugeblock vectors rig")
