"""The backends of the optimizer: each makes the same step of a batch of tensors, and says where it cannot.

A backend is a module with two functions:

    obstacle(kind) -> Exception | None   why it cannot step tensors of this kind here; None where it can
    update(batch) -> None                one step of every tensor of the batch, in place
"""

from __future__ import annotations

import importlib
from typing import Any

from impls.ademamix.backends.batch import Batch, Kind, recording
from impls.compiler import BackendUnavailable
from impls.implementation import Unsupported

BACKENDS = {
    "eager": "impls.ademamix.backends.eager",
    "foreach": "impls.ademamix.backends.foreach",
    "compiled": "impls.ademamix.backends.compiled",
    "triton": "impls.ademamix.backends.fused_triton",
    "cuda": "impls.ademamix.backends.cuda",
    "cuda-host": "impls.ademamix.backends.cuda_host",
    "cpu": "impls.ademamix.backends.cpu",
}
PREFERRED = {"cuda": ("triton", "cuda", "foreach", "eager"), "cpu": ("cpu", "foreach", "eager")}
"""What "auto" tries, best first, by the type of device; the last can step anything."""

__all__ = ["BACKENDS", "Batch", "Kind", "UnsupportedByBackend", "backend_named", "choose", "recording"]


class UnsupportedByBackend(Unsupported, ValueError):
    """A backend was asked for by name that does not do what its tensors or options need. The message says what would."""


def backend_named(name: str) -> Any:
    """The module; ValueError where no backend is called so."""
    if name not in BACKENDS:
        raise ValueError(f"backend = {name!r}, expected 'auto' or one of {', '.join(map(repr, BACKENDS))}")
    return importlib.import_module(BACKENDS[name])


def choose(wanted: str, kind: Kind) -> tuple[str, str]:
    """The backend for tensors of a kind, and why that one. Raises where it was asked for by name and cannot be used."""
    if wanted != "auto":
        fault = backend_named(wanted).obstacle(kind)
        if fault is not None:
            raise fault
        return wanted, "asked for"
    reasons: list[str] = []
    for name in PREFERRED.get(kind.device, ("foreach", "eager")):
        try:
            fault = backend_named(name).obstacle(kind)
        except ImportError as error:
            fault = BackendUnavailable(f"cannot be imported: {error}")
        if fault is None:
            return name, "; ".join(reasons) or f"the fastest for tensors on {kind.device}"
        reasons.append(f"not {name}: {fault}")
    raise BackendUnavailable("; ".join(reasons))
