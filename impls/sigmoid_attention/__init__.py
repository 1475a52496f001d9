"""Sigmoid attention for torch: the call and the module. Neither, nor torch, is imported before it is used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impls.sigmoid_attention.api import sigmoid_attention
    from impls.sigmoid_attention.module import SigmoidAttention

__all__ = ["SigmoidAttention", "sigmoid_attention"]

_MODULES = {"sigmoid_attention": "api", "SigmoidAttention": "module"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
