"""Finds what a constructor calls its arguments, or says which one it could not find."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.engine.signatures import parameters_of
from impls.implementation import PlugError, Unsupported
from reference.ademamix.hyperparameters import Hyperparameters

ALIASES: dict[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate"),
    "betas": ("betas",),
    "beta1": ("beta1", "beta_1", "b1"),
    "beta2": ("beta2", "beta_2", "b2"),
    "beta3": ("beta3", "beta_3", "b3", "beta_slow", "slow_beta"),
    "alpha": ("alpha", "alpha_end", "mix"),
    "eps": ("eps", "epsilon"),
    "weight_decay": ("weight_decay", "wd"),
    "t_alpha": ("t_alpha", "alpha_warmup", "T_alpha", "alpha_warmup_steps", "warmup_alpha"),
    "t_beta3": ("t_beta3", "beta3_warmup", "T_beta3", "beta3_warmup_steps", "warmup_beta3"),
    "t_both": ("t_alpha_beta3", "T_alpha_beta3", "alpha_beta3_warmup", "warmup_alpha_beta3", "schedule_warmup"),
}


def construct(loaded: Any, settings: Mapping[str, Any], parameters: Any, hyper: Hyperparameters, rate: float) -> Any:
    """The torch optimizer with these hyperparameters and the record's own arguments."""
    keywords = OptimizerArguments.of(loaded, settings.get("names", {})).keywords(hyper, rate)
    return loaded(parameters, **{**keywords, **settings.get("arguments", {})})


@dataclass(frozen=True)
class OptimizerArguments:
    """Our names -> the constructor's names, and the defaults that tell their shapes apart."""

    owner: str
    names: Mapping[str, str]
    defaults: Mapping[str, Any]
    three_betas: bool
    whole: Mapping[str, str] = field(default_factory=dict)
    """Annotations of arguments that take integers and no floating-point numbers."""

    @classmethod
    def of(cls, constructor: Any, given: Mapping[str, str]) -> OptimizerArguments:
        """Read a constructor's signature; ``given`` goes before what its names say. PlugError where it is no AdEMAMix."""
        signature = parameters_of(constructor)
        names = dict(given)
        for ours, theirs in ALIASES.items():
            for candidate in theirs:
                if candidate in signature:
                    names.setdefault(ours, candidate)
                    break
        owner = getattr(constructor, "__name__", repr(constructor))
        found = ", ".join(signature)
        if "alpha" not in names:
            raise PlugError(
                f"{owner}({found}) has no argument for the mixing coefficient alpha; expected 'alpha', or a record with "
                f"settings={{'names': {{'alpha': '...'}}}}"
            )
        separate = {"beta1", "beta2", "beta3"} <= set(names)
        if not separate and "betas" not in names:
            raise PlugError(
                f"{owner}({found}) has no argument for the decays; expected 'betas' (three, or two and 'beta3') or 'beta1', "
                f"'beta2', 'beta3', or a record with settings={{'names': ...}}"
            )
        defaults = {name: signature[name].default for name in names.values() if name in signature}
        annotations = {name: str(signature[name].annotation) for name in names.values() if name in signature}
        whole = {name: text for name, text in annotations.items() if re.search(r"\bint\b", text) and "float" not in text}
        return cls(owner, names, defaults, three_betas="beta3" not in names, whole=whole)

    def keywords(self, hyper: Hyperparameters, lr: float) -> dict[str, Any]:
        """The constructor's arguments for these hyperparameters; Unsupported where one cannot be said."""
        names = self.names
        values: dict[str, Any] = {}
        self._set(values, "lr", lr)
        if "betas" in names:
            betas = (hyper.beta1, hyper.beta2, hyper.beta3) if self.three_betas else (hyper.beta1, hyper.beta2)
            values[names["betas"]] = betas
        else:
            values[names["beta1"]], values[names["beta2"]] = hyper.beta1, hyper.beta2
        if not self.three_betas:
            values[names["beta3"]] = hyper.beta3
        values[names["alpha"]] = hyper.alpha
        self._set(values, "eps", hyper.eps)
        if "weight_decay" in names or hyper.weight_decay:
            self._set(values, "weight_decay", hyper.weight_decay)
        self._set_warmups(values, hyper)
        return values

    def _set(self, values: dict[str, Any], ours: str, value: Any) -> None:
        if ours not in self.names:
            raise Unsupported(f"{self.owner} takes no argument for {ours} (looked for {', '.join(ALIASES[ours])})")
        values[self.names[ours]] = value

    def _set_warmups(self, values: dict[str, Any], hyper: Hyperparameters) -> None:
        if "t_both" in self.names and not {"t_alpha", "t_beta3"} <= set(self.names):
            if hyper.t_alpha != hyper.t_beta3:
                raise Unsupported(
                    f"{self.owner} has one warm-up length, {self.names['t_both']!r}, for alpha and beta3; "
                    f"the case has {hyper.t_alpha} and {hyper.t_beta3}"
                )
            values[self.names["t_both"]] = self._length(self.names["t_both"], hyper.t_alpha)
            return
        for ours in ("t_alpha", "t_beta3"):
            length = getattr(hyper, ours)
            if ours in self.names:
                values[self.names[ours]] = self._length(self.names[ours], length)
            elif length:
                raise Unsupported(f"{self.owner} takes no warm-up length {ours} (looked for {', '.join(ALIASES[ours])})")

    def _length(self, name: str, length: float | None) -> float | int | None:
        if length is not None and not float(length).is_integer() and self.whole.get(name):
            raise Unsupported(f"{self.owner} takes whole lengths of warm-ups: {name}: {self.whole[name]}")
        # "No scheduler" is None where the constructor's own default is None (or there is none), else 0 as in the paper.
        if length is None and self.defaults.get(name) not in (None, inspect.Parameter.empty):
            return 0
        return int(length) if length is not None and float(length).is_integer() else length
