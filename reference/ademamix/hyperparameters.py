"""The hyperparameters of AdEMAMix, which a run and its reference share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """What stays the same over a run. Warm-ups are in steps; None or 0 means that there is no scheduler."""

    beta1: float = 0.9
    beta2: float = 0.999
    beta3: float = 0.9999
    alpha: float = 5.0
    eps: float = 1e-8
    weight_decay: float = 0.0
    t_alpha: float | None = None
    t_beta3: float | None = None

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2", "beta3"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)!r}, expected 0 <= {name} < 1")
        for name in ("alpha", "eps", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} = {getattr(self, name)!r}, expected {name} >= 0")
        for name in ("t_alpha", "t_beta3"):
            if not (getattr(self, name) or 0) >= 0:
                raise ValueError(f"{name} = {getattr(self, name)!r}, expected None or a number of steps >= 0")
