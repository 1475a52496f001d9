"""AdEMAMix as a plain `torch.optim.Optimizer`, one line per equation: float32 throughout, float64 for float64 parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Scalars:
    """The scalars of one step, computed in double; ``gain`` is ``1 - beta`` before anything is rounded to float32."""

    lr: float
    weight_decay: float
    eps: float
    alpha: float
    beta1: float
    beta2: float
    beta3: float
    correction1: float
    correction2: float

    @property
    def gains(self) -> tuple[float, float, float]:
        return 1 - self.beta1, 1 - self.beta2, 1 - self.beta3


def alpha_at(t: int, alpha: float, warmup: float | None) -> float:
    """Linear warm-up, equation (f_alpha); ``t`` counts from 1."""
    return min(t * alpha / warmup, alpha) if warmup and t < warmup else alpha


def beta3_at(t: int, beta1: float, beta3: float, warmup: float | None) -> float:
    """Warm-up that is linear in the half-life, equation (f_beta3); ``t`` counts from 1."""
    if not warmup or t >= warmup:
        return beta3
    share = t / warmup
    if beta1 == 0:
        return beta3 ** (1 / share)  # the equation's limit: its ln(beta1) is not a number
    start, end = math.log(beta1), math.log(beta3)
    return min(math.exp(start * end / ((1 - share) * end + share * start)), beta3)


class AdEMAMix(torch.optim.Optimizer):
    """``t_alpha`` and ``t_beta3`` are the warm-ups in steps; None or 0: constant from the first step.

    With ``betas[0] == 0`` no fast EMA is kept. Every parameter has a clock of its own, which stands still while it has no
    gradient. Raises ValueError for hyperparameters out of range, RuntimeError for sparse and complex gradients.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        t_alpha: float | None = None,
        t_beta3: float | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "t_alpha": t_alpha,
            "t_beta3": t_beta3,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters of their own where given."""
        _validate({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @classmethod
    def from_adamw(cls, adamw: torch.optim.AdamW, **hyperparameters: Any) -> AdEMAMix:
        """Take over a running AdamW: its moments and clock stay, ``m2`` is zero, and the schedules start now (section 4.1)."""
        groups = [{"params": g["params"], "lr": g["lr"], "weight_decay": g["weight_decay"]} for g in adamw.param_groups]
        optimizer = cls(groups, **hyperparameters)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter in adamw.state:
                    old = adamw.state[parameter]
                    state = optimizer._initial(parameter, group)
                    state["t"] = state["t_switch"] = int(old["step"])
                    if "exp_avg_fast" in state:
                        state["exp_avg_fast"].copy_(old["exp_avg"])
                    state["exp_avg_sq"].copy_(old["exp_avg_sq"])
                    optimizer.state[parameter] = state
        return optimizer

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.grad.is_sparse or torch.is_complex(parameter):
                    raise RuntimeError("AdEMAMix takes dense, real gradients only")
                state = self.state[parameter]
                if not state:
                    state.update(self._initial(parameter, group))
                state["t"] += 1
                self.update(parameter, parameter.grad, state, scalars_of(group, state["t"], state["t_switch"]))
        return loss

    def update(self, theta: torch.Tensor, g: torch.Tensor, state: dict[str, Any], s: Scalars) -> None:
        """Algorithm 1, lines 9 to 13, for one parameter."""
        m2, nu = state["exp_avg_slow"], state["exp_avg_sq"]
        g = g.to(m2.dtype)
        m2.mul_(s.beta3).add_(g, alpha=1 - s.beta3)
        nu.mul_(s.beta2).addcmul_(g, g, value=1 - s.beta2)
        fast = g
        if s.beta1 > 0:
            m1 = state["exp_avg_fast"].mul_(s.beta1).add_(g, alpha=1 - s.beta1)
            fast = m1 / s.correction1
        denominator = nu.div(s.correction2).sqrt_().add_(s.eps)
        direction = torch.add(fast, m2, alpha=s.alpha).div_(denominator)
        wide = theta.to(m2.dtype)
        theta.copy_(wide - s.lr * direction.add_(wide, alpha=s.weight_decay))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `torch.optim.Optimizer.load_state_dict`, without its cast of the moments to the parameter's dtype."""
        super().load_state_dict(state_dict)
        saved = state_dict["state"]
        numbers = [n for group in state_dict["param_groups"] for n in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in saved.get(number, {}).items():
                if torch.is_tensor(value):
                    self.state[parameter][name] = value.detach().clone().to(parameter.device)

    def _initial(self, parameter: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        wide = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        names = ["exp_avg_slow", "exp_avg_sq"] + (["exp_avg_fast"] if group["betas"][0] > 0 else [])
        state: dict[str, Any] = {
            name: torch.zeros_like(parameter, dtype=wide, memory_format=torch.preserve_format) for name in names
        }
        return {**state, "t": 0, "t_switch": 0}


def scalars_of(group: dict[str, Any], t: int, t_switch: int) -> Scalars:
    """The scalars of step ``t``; the schedules count from the switch, the bias corrections do not."""
    beta1, beta2, beta3 = map(float, group["betas"])
    return Scalars(
        lr=float(group["lr"]),
        weight_decay=float(group["weight_decay"]),
        eps=float(group["eps"]),
        alpha=alpha_at(t - t_switch, float(group["alpha"]), group["t_alpha"]),
        beta1=beta1,
        beta2=beta2,
        beta3=beta3_at(t - t_switch, beta1, beta3, group["t_beta3"]),
        correction1=1 - beta1**t,
        correction2=1 - beta2**t,
    )


def _validate(group: dict[str, Any]) -> None:
    if len(group["betas"]) != 3:
        raise ValueError(f"betas = {group['betas']!r}, expected three: fast, squared, slow")
    for number, beta in enumerate(group["betas"], start=1):
        if not 0 <= beta < 1:
            raise ValueError(f"beta{number} = {beta!r}, expected 0 <= beta{number} < 1")
    for name in ("lr", "alpha", "eps", "weight_decay"):
        if not float(group[name]) >= 0:
            raise ValueError(f"{name} = {group[name]!r}, expected a number >= 0")
    for name in ("t_alpha", "t_beta3"):
        if not (group[name] or 0) >= 0:
            raise ValueError(f"{name} = {group[name]!r}, expected None or a number of steps >= 0")
