"""``gaugeblock lint`` and ``grammar``, which need nothing but Python."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.commands.parser import one_line
from gaugeblock.installation import CannotRun

LINT_HELP = "Find faults in model outputs. The options: gaugeblock lint rig --help"


def lint(arguments: Sequence[str]) -> int:
    """Lint model outputs in the format named first."""
    from conformance.linting.command import run
    from conformance.rag import lint as rag
    from conformance.rig import lint as rig

    linters = {"rig": rig.LINTER, "rag": rag.LINTER}
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: gaugeblock lint rig|rag [OPTIONS] [FILE ...]\n\n{LINT_HELP}")
        return 0
    if not arguments or arguments[0] not in linters:
        raise CannotRun("expected the format first: gaugeblock lint rig FILE..., or gaugeblock lint rag FILE...")
    return run(linters[arguments[0]], ["lint", *arguments[1:]], one_line(f"gaugeblock lint {arguments[0]}"))


def grammar(arguments: Sequence[str]) -> int:
    """Print the strict grammar of RIG in the notation of an engine."""
    from impls.rig.export import main

    main(list(arguments), one_line("gaugeblock grammar"))
    return 0
