"""AdEMAMix, sigmoid attention, RIG and RAG to use, and the suite that tests any implementation of them.

    from gaugeblock.ademamix import AdEMAMix
    from gaugeblock.sigmoid_attention import SigmoidAttention, sigmoid_attention
    from gaugeblock.rig import parse
    from gaugeblock.rag import parse

The command ``gaugeblock`` runs the suite from any folder; see ``gaugeblock --help``. Importing this package alone imports
nothing else.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """``__version__``, read when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gaugeblock.installation import version

    return version()
