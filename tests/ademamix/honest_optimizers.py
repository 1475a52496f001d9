"""Make AdEMAMix optimizers that are right, and put together by chance: `made` gives another one for every seed.

What varies: the order of operations and how scalars are formed, within what the declared numerical class allows; which
tensors are computed together; how clocks, moments and settings are kept and named; what a careful constructor refuses.
"""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Iterator
from typing import Any

import torch

CHOICES: dict[str, tuple[str, ...]] = {
    "class": ("", "", "", "float32-hyperparameters", "parameter-dtype-moments"),
    "average": ("two products", "lerp", "difference", "in place"),
    "correction": ("quotient", "inverse", "in the rate"),
    "root": ("of the quotient", "quotient of roots", "times inverse root"),
    "decay": ("first", "together", "apart"),
    "powers": ("power", "expm1"),
    "beta3": ("closed form", "half-lives"),
    "alpha": ("product first", "share first", "clamped share"),
    "together": ("one by one", "flattened", "in chunks", "concatenated", "foreach"),
    "clock": ("int", "float", "int64 tensor", "float32 tensor"),
    "names": ("exp_avg exp_avg_slow exp_avg_sq step", "m1 m2 nu t", "fast slow square count"),
    "states": ("lazy", "at once"),
    "zero gradients": ("None", "kept"),
    "maximize": ("known", "for all alike", "unknown"),
    "betas": ("three", "apart", "two and a slow one"),
    "warm-ups": ("None", "0", "one length", "always"),
    "rate": ("lr", "learning_rate"),
    "written": ("copy_", "data", "set in no_grad"),
    "closure": ("taken", "taken", "not taken"),
    "further": ("nothing", "**kwargs", "flags"),
    "refuses": (
        "nothing", "nothing", "beta2 of 0", "eps of 0", "beta3 below beta1", "fractions", "tensors", "beta1 of 0", "all",
    ),
}  # fmt: skip
"""What varies; a value that stands there twice is taken twice as often."""

_CHUNK = 1000
_MADE: dict[str, type] = {}


def made(seed: int) -> tuple[type, dict[str, str]]:
    """The optimizer of that seed, and the choices that it was made by."""
    rng = random.Random(seed)
    choices = {name: rng.choice(values) for name, values in CHOICES.items()}
    name = f"Honest{seed}"
    if name not in _MADE:
        made_class = type(name, (HonestOptimizer,), {"__init__": _constructor(choices), "choices": choices})
        made_class.__module__, _MADE[name] = __name__, made_class
        globals()[name] = made_class  # where pickling looks for it
    return _MADE[name], choices


def _constructor(choices: dict[str, str]) -> Any:
    """A constructor with the arguments that the choices ask for."""
    none = {"None": None, "0": 0, "one length": None, "always": 1000}[choices["warm-ups"]]
    arguments: dict[str, Any] = {choices["rate"]: 1e-3}
    betas: dict[str, dict[str, Any]] = {
        "three": {"betas": (0.9, 0.999, 0.9999)},
        "apart": {"beta1": 0.9, "beta2": 0.999, "beta3": 0.9999},
        "two and a slow one": {"betas": (0.9, 0.999), "beta_slow": 0.9999},
    }
    arguments |= betas[choices["betas"]]
    arguments |= {"alpha": 5.0, "eps": 1e-8, "weight_decay": 0.0}
    arguments |= {"alpha_beta3_warmup": none} if choices["warm-ups"] == "one length" else {"t_alpha": none, "t_beta3": none}
    arguments |= {"maximize": False} if choices["maximize"] != "unknown" else {}
    arguments |= {"foreach": None, "fused": None} if choices["further"] == "flags" else {}
    positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "params")]
    keywords = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=value) for n, value in arguments.items()]
    rest = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)] if choices["further"] == "**kwargs" else []

    def constructor(self: Any, params: Any, **given: Any) -> None:
        self.set_up(params, {**arguments, **given})

    constructor.__signature__ = inspect.Signature([*positional, *keywords, *rest])  # type: ignore[attr-defined]
    return constructor


class HonestOptimizer(torch.optim.Optimizer):
    """AdEMAMix by the choices of a subclass. Groups hold settings by the names of the arguments, the rate as ``lr``."""

    choices: dict[str, str]

    def set_up(self, params: Any, arguments: dict[str, Any]) -> None:
        self.for_all = arguments.pop("maximize", False) if self.choices["maximize"] == "for all alike" else False
        defaults = {"lr" if name == self.choices["rate"] else name: value for name, value in arguments.items()}
        self._refuse(defaults)
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "for_all": self.for_all}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Moments are loaded in the format that they are kept in; torch would cast them to the parameter's."""
        seen: list[dict[str, Any]] = []
        handle = self.register_load_state_dict_pre_hook(lambda _, given: seen.append(given))
        super().load_state_dict(state_dict)
        handle.remove()
        numbers = [number for group in seen[0]["param_groups"] for number in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, p in zip(numbers, parameters, strict=True):
            for name, value in seen[0]["state"].get(number, {}).items():
                if torch.is_tensor(value):
                    widened = value.dtype == torch.float64 and p.dtype != torch.float64
                    self.state[p][name] = value.float() if widened else value.clone()

    def _refuse(self, given: dict[str, Any]) -> None:
        beta1, beta2, beta3 = self._betas(given)
        what, lengths = self.choices["refuses"], self._lengths(given)
        wrong = {
            "beta2 of 0": beta2 == 0,
            "eps of 0": given["eps"] == 0,
            "beta3 below beta1": beta3 < beta1,
            "fractions": any(length and int(length) != length for length in lengths),
            "tensors": torch.is_tensor(given["lr"]),
            "beta1 of 0": beta1 == 0,
        }
        if wrong.get(what) or (what == "all" and any(wrong.values())):
            raise ValueError(f"found {given}, which makes no sense in a training")
        if self.choices["warm-ups"] == "always" and not all(lengths):
            raise ZeroDivisionError("division by zero")

    def _betas(self, group: dict[str, Any]) -> tuple[float, float, float]:
        if self.choices["betas"] == "apart":
            return group["beta1"], group["beta2"], group["beta3"]
        return (*group["betas"][:2], group["betas"][2] if self.choices["betas"] == "three" else group["beta_slow"])

    def _lengths(self, group: dict[str, Any]) -> tuple[Any, Any]:
        both = group.get("alpha_beta3_warmup")
        return (both, both) if "alpha_beta3_warmup" in group else (group["t_alpha"], group["t_beta3"])

    # --- The step -----------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if hasattr(self, "choices") and self.param_groups:
            self._refuse({**self.defaults, **param_group})
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"] if self.choices["states"] == "at once" else ():
            self._state_of(p, self.param_groups[-1])

    def _state_of(self, p: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        fast, slow, square, clock = self.choices["names"].split()
        if not state:
            dtype = p.dtype if self.choices["class"] == "parameter-dtype-moments" else _computed(p.dtype)
            for name in (fast, slow, square):
                state[name] = torch.zeros_like(p, dtype=dtype)
            state[clock] = {
                "int": 0, "float": 0.0, "int64 tensor": torch.zeros((), dtype=torch.int64), "float32 tensor": torch.zeros(())
            }[self.choices["clock"]]  # fmt: skip
        return state

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            entries = [(p, self._state_of(p, group)) for p in group["params"] if p.grad is not None]
            for batch in self._batches(entries):
                self._update(batch, group)
        return loss

    def _batches(self, entries: list[Any]) -> Iterator[list[Any]]:
        """Those that are computed together: of one dtype and one age."""
        clock = self.choices["names"].split()[3]
        ages: dict[Any, list[Any]] = {}
        for number, (p, state) in enumerate(entries):
            if p.grad.is_sparse:
                raise RuntimeError("sparse gradients are not supported")
            alone = self.choices["together"] not in ("concatenated", "foreach")
            state[clock] = state[clock] + 1
            ages.setdefault(number if alone else (p.dtype, int(state[clock])), []).append((p, state))
        yield from ages.values()

    def _update(self, batch: list[Any], group: dict[str, Any]) -> None:
        names, kind = self.choices["names"].split(), self.choices["together"]
        reverse = self.for_all or group.get("maximize", False)
        wide = _computed(batch[0][0].dtype)
        thetas = [p.to(wide) for p, _ in batch]
        gradients = [p.grad.to(wide) * (-1 if reverse else 1) for p, _ in batch]
        moments = [[state[name].to(wide) for _, state in batch] for name in names[:3]]
        scalars = self._scalars(group, int(batch[0][1][names[3]]), wide)
        if kind == "foreach":
            new = _foreach(thetas, gradients, moments, scalars)
        elif kind == "one by one":
            new = [[each] for each in self._formula(scalars, thetas[0], gradients[0], *(m[0] for m in moments))]
        else:
            flat = [torch.cat([t.reshape(-1) for t in tensors]) for tensors in (thetas, gradients, *moments)]
            size = _CHUNK if kind == "in chunks" else max(flat[0].numel(), 1)
            parts = [self._formula(scalars, *some) for some in zip(*(_parts(each, size) for each in flat), strict=True)]
            joined = [torch.cat(part) for part in zip(*parts, strict=True)]
            sizes = [t.numel() for t in thetas]
            new = [[x.view(t.shape) for x, t in zip(_parts(each, sizes), thetas, strict=True)] for each in joined]
        for number, (p, state) in enumerate(batch):
            for name, values in zip(names[:3], new[1:], strict=True):
                state[name].copy_(values[number])
            self._write(p, new[0][number])

    def _write(self, p: torch.Tensor, new: torch.Tensor) -> None:
        how = self.choices["written"]
        if how == "copy_":
            p.copy_(new)
        elif how == "data":
            p.data.copy_(new.to(p.dtype))
        else:
            p[...] = new.to(p.dtype)

    def _scalars(self, group: dict[str, Any], t: int, wide: torch.dtype) -> dict[str, Any]:
        """Coefficients of a step as numbers; computed in the precision of the moments where the class says so."""
        (beta1, beta2, beta3), (t_alpha, t_beta3) = self._betas(group), self._lengths(group)
        single = self.choices["class"] == "float32-hyperparameters"
        number = (lambda x: torch.tensor(x, dtype=wide)) if single else float
        one = number(1.0)
        b1, b2, alpha, b3 = number(beta1), number(beta2), number(group["alpha"]), number(beta3)
        if t_alpha and t < t_alpha:
            share = number(t / t_alpha)
            alpha = {"product first": t * alpha / t_alpha, "share first": share * alpha}.get(
                self.choices["alpha"], min(share, one) * alpha
            )
        if t_beta3 and t < t_beta3:
            b3 = number(min(self._warming(beta1, beta3, t / t_beta3), beta3))
        plain = {
            "b1": b1, "b2": b2, "b3": b3, "alpha": alpha, "g1": one - b1, "g2": one - b2, "g3": one - b3,
            "c1": self._correction(b1, t), "c2": self._correction(b2, t),
        }  # fmt: skip
        rest = {"lr": float(group["lr"]), "eps": group["eps"], "decay": group["weight_decay"]}
        return {**{name: float(value) for name, value in plain.items()}, **rest}

    def _warming(self, beta1: float, beta3: float, share: float) -> float:
        if beta1 == 0:
            return float(beta3 ** (1 / share))
        start, end = math.log(beta1), math.log(beta3)
        if self.choices["beta3"] == "closed form":
            return math.exp(start * end / ((1 - share) * end + share * start))
        half = math.log(0.5)
        return math.pow(0.5, 1 / ((1 - share) * (half / start - 1) + share * (half / end - 1) + 1))

    def _correction(self, beta: Any, t: int) -> Any:
        if self.choices["powers"] == "power" or not beta or torch.is_tensor(beta):
            return 1 - beta**t
        return -math.expm1(t * math.log(beta))

    # --- The equations ------------------------------------------------------------------------------------------------------

    def _average(self, m: torch.Tensor, x: torch.Tensor, beta: float, gain: float) -> torch.Tensor:
        made: dict[str, Any] = {
            "two products": lambda: beta * m + gain * x,
            "lerp": lambda: m.lerp(x, gain),
            "difference": lambda: m + gain * (x - m),
            "in place": lambda: m.clone().mul_(beta).add_(x, alpha=gain),
        }
        averaged: torch.Tensor = made[self.choices["average"]]()
        return averaged

    def _formula(self, s: dict[str, Any], *given: Any) -> tuple[torch.Tensor, ...]:
        """The new parameter and moments, of tensors of any shape."""
        theta, g, m1, m2, nu = given
        m1 = self._average(m1, g, s["b1"], s["g1"]) if s["b1"] else g.clone()
        m2, nu = self._average(m2, g, s["b3"], s["g3"]), self._average(nu, g * g, s["b2"], s["g2"])
        roots: dict[str, Any] = {
            "of the quotient": lambda: (nu / s["c2"]).sqrt(),
            "quotient of roots": lambda: nu.sqrt() / math.sqrt(s["c2"]),
            "times inverse root": lambda: nu.sqrt() * (1 / math.sqrt(s["c2"])),
        }
        root = roots[self.choices["root"]]()
        rate, how = s["lr"], self.choices["correction"]
        if how == "in the rate":
            numerator, step_size = m1 + (s["alpha"] * s["c1"]) * m2, rate / s["c1"]
        else:
            fast = m1 / s["c1"] if how == "quotient" else m1 * (1 / s["c1"])
            numerator, step_size = fast + s["alpha"] * m2, rate
        direction = numerator / (root + s["eps"])
        if self.choices["decay"] == "first":
            return theta * (1 - rate * s["decay"]) - step_size * direction, m1, m2, nu
        if self.choices["decay"] == "apart" or step_size != rate:
            return theta - step_size * direction - (rate * s["decay"]) * theta, m1, m2, nu
        return theta - rate * (direction + s["decay"] * theta), m1, m2, nu


def _parts(values: torch.Tensor, sizes: Any) -> Any:
    return torch.split(values, sizes)


def _computed(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _foreach(thetas: Any, gradients: Any, moments: Any, s: dict[str, Any]) -> list[list[torch.Tensor]]:
    """The equations on lists of tensors, as the batched optimizers of torch have them."""
    m1, m2, nu = moments
    m1 = torch._foreach_add(torch._foreach_mul(m1, s["b1"]), torch._foreach_mul(gradients, s["g1"]))
    m2 = torch._foreach_lerp(m2, gradients, s["g3"])
    nu = torch._foreach_addcmul(torch._foreach_mul(nu, s["b2"]), gradients, gradients, value=s["g2"])
    numerator = torch._foreach_add(torch._foreach_div(m1, s["c1"]), torch._foreach_mul(m2, s["alpha"]))
    root = torch._foreach_add(torch._foreach_div(torch._foreach_sqrt(nu), math.sqrt(s["c2"])), s["eps"])
    decayed = torch._foreach_mul(thetas, 1 - s["lr"] * s["decay"])
    return [list(torch._foreach_addcdiv(decayed, numerator, root, value=-s["lr"])), list(m1), list(m2), list(nu)]
