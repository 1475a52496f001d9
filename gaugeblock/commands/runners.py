"""``gaugeblock gpu`` and ``fleet``."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.commands.parser import one_line


def gpu(arguments: Sequence[str]) -> int:
    """Run everything that needs a CUDA device, into one folder."""
    from conformance.runners.gpu.command import main

    return main(list(arguments), one_line("gaugeblock gpu"))


def fleet(arguments: Sequence[str]) -> int:
    """Spread a run over a Ray cluster."""
    from conformance.runners.ray_cluster.__main__ import main

    return main(arguments, one_line("gaugeblock fleet"))
