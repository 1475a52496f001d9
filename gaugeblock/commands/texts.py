"""``gaugeblock lint`` and ``grammar``, which need nothing but Python."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.commands.parser import one_line
from gaugeblock.installation import CannotRun


def lint(arguments: Sequence[str]) -> int:
    """Lint model outputs in the format named first."""
    from conformance.linting.command import run
    from conformance.rag import lint as rag
    from conformance.rig import lint as rig

    linters = {"rig": rig.LINTER, "rag": rag.LINTER}
    if not arguments or arguments[0] not in linters:
        raise CannotRun("expected the format first: gaugeblock lint rig FILE..., or gaugeblock lint rag FILE...")
    return run(linters[arguments[0]], ["lint", *arguments[1:]])


def grammar(arguments: Sequence[str]) -> int:
    """Print the strict grammar of RIG in the notation of an engine."""
    from impls.rig.export import main

    main(list(arguments), one_line("gaugeblock grammar"))
    return 0
