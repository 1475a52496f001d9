"""The AdEMAMix optimizer, its backends, and the registry of implementations: ``from impls.ademamix import AdEMAMix``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impls.ademamix.optimizer import AdEMAMix

__all__ = ["AdEMAMix"]


def __getattr__(name: str) -> Any:
    """The optimizer, imported when it is asked for: the registry costs no torch."""
    if name == "AdEMAMix":
        from impls.ademamix.optimizer import AdEMAMix

        return AdEMAMix
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
