"""AdEMAMix (arXiv:2409.03137) to train with: one `torch.optim.Optimizer`, the same whatever computes its step."""

from __future__ import annotations

import logging
import numbers
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from impls.ademamix import quantised, states
from impls.ademamix.backends import BACKENDS, Batch, Kind, UnsupportedByBackend, backend_named, choose, recording
from impls.ademamix.backends.batch import local
from impls.ademamix.scalars import GOLDEN, Scalars, base_key, constants_of, key_at, rows_on_device, scalars_of

_LOG = logging.getLogger(__name__)
_STATES = {
    "float32": "float32", "fp32": "float32", torch.float32: "float32",
    "bfloat16": "bfloat16", "bf16": "bfloat16", torch.bfloat16: "bfloat16",
    "8bit": "8bit", "8-bit": "8bit", torch.uint8: "8bit",
}  # fmt: skip
_BETA3 = 0.9999
_OF_ADAM_ALONE = ("amsgrad", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay")
"""Options of AdamW's parameter groups that say nothing here."""


@dataclass(frozen=True)
class _Loaded:
    """A state on its way through torch's loading, which would cast the tensors that it sees to the parameter's dtype."""

    state: states.State


class AdEMAMix(torch.optim.Optimizer):
    """Adam with a second, slow momentum: ``theta -= lr ((m1 / (1 - beta1**t) + alpha m2) / (sqrt(nu / (1 - beta2**t)) + eps)
    + weight_decay theta)``.

    It is algorithm 1 of arXiv:2409.03137. Parameters have any shape, and dtype float16, bfloat16, float32 or float64.
    Of each group:

    - ``params``: parameters, or parameter groups with hyperparameters of their own
    - ``lr``: the learning rate
    - ``betas``: fast, squared, slow. With ``betas[0] == 0`` no fast EMA is kept: as little memory as AdamW takes
    - ``alpha``: weight of the slow EMA; the paper uses 4 to 10 (5 is its listing's default)
    - ``eps``: added to the root of the corrected second moment
    - ``t_alpha`` and ``t_beta3``: warm-ups of alpha and of ``betas[2]`` in steps, usually the training's length. None or
      0: constant from the first step, which is what the paper does only where it starts late
    - ``weight_decay``: decoupled, and multiplied by ``lr``
    - ``maximize``: ascend instead
    - ``state_dtype``: ``torch.float32`` (float64 parameters: float64), ``torch.bfloat16`` or ``"8bit"`` (blocks of 256;
      tensors of fewer than 4096 elements keep float32). Low precision loses small updates of the slow EMA, see
      docs/ademamix.md
    - ``stochastic_rounding``: what is stored in 16 bits, parameters and moments, is rounded to a neighbour at random instead
      of to the nearest, as roots and slow EMAs in 8 bits always are; repeatable by ``seed``

    Of the whole optimizer:

    - ``backend``: ``"auto"`` takes the fastest that works here for each device and dtype; see `describe`. ``"eager"``,
      ``"foreach"``, ``"compiled"`` (torch.compile), ``"triton"``, ``"cuda"`` (CUDA C++), ``"cpu"`` (C++) and ``"cuda-host"``
      (the CUDA source on the host, to test it) are taken or refused
    - ``capturable``: the step count, schedules and bias corrections live on the device, so that a step can be recorded in a
      CUDA graph and replayed, and GradScaler costs no synchronisation. ``lr`` may then be a tensor

    Every parameter has a clock of its own, which stands still while it has no gradient.

    Raises ValueError for hyperparameters
    out of range, RuntimeError for sparse gradients and complex parameters, `impls.ademamix.backends.UnsupportedByBackend` or
    `impls.compiler.BackendUnavailable` where a backend was asked for that cannot do it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, _BETA3),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        t_alpha: float | None = None,
        t_beta3: float | None = None,
        *,
        backend: str = "auto",
        state_dtype: torch.dtype | str = torch.float32,
        stochastic_rounding: bool = False,
        maximize: bool = False,
        capturable: bool = False,
        seed: int = 0,
    ) -> None:
        if backend != "auto" and backend not in BACKENDS:
            backend_named(backend)  # raises
        self.backend, self.capturable, self.seed = backend, capturable, seed
        self._forget()
        defaults = {
            "lr": lr, "betas": betas, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "t_alpha": t_alpha,
            "t_beta3": t_beta3, "maximize": maximize, "state_dtype": state_dtype,
            "stochastic_rounding": stochastic_rounding,
        }  # fmt: skip
        _validate(defaults)
        defaults["state_dtype"] = _states(state_dtype)
        super().__init__(params, defaults)
        # GradScaler then hands over its scale and whether it found an infinity, and leaves the rest to `step`.
        self._step_supports_amp_scaling = capturable

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters of their own where given."""
        group = {**self.defaults, **param_group}
        _validate(group)
        if "state_dtype" in param_group:
            param_group["state_dtype"] = _states(param_group["state_dtype"])
        super().add_param_group(param_group)
        added = self.param_groups[-1]
        try:
            for parameter in added["params"]:
                if is_lazy(parameter):
                    continue  # nothing is known of it yet: looked at in its first step
                _refuse_complex(parameter)
                if self.backend != "auto" and parameter.device.type != "meta":
                    self._chosen(self._kind(parameter, added))
        except BaseException:
            self.param_groups.pop()
            raise
        self._forget()

    @classmethod
    def from_adamw(cls, adamw: torch.optim.Optimizer, **hyperparameters: Any) -> AdEMAMix:
        """Take over a running AdamW: its moments and clock stay, ``m2`` is zero, and the schedules start now (section 4.1).

        Every setting that both have is AdamW's, in each group, unless it is given here; with ``alpha=0`` the next step is
        AdamW's own. TypeError for another optimizer, ValueError for one whose step is not AdamW's (``amsgrad``, or Adam's
        weight decay, which goes into the moments).
        """
        _refuse_unlike_adamw(adamw)
        groups = [_group_of_adamw(group, hyperparameters) for group in adamw.param_groups]
        defaults = _group_of_adamw(
            {name: adamw.defaults[name] for name in _OF_BOTH if name in adamw.defaults}, hyperparameters
        )
        capturable = any(group.get("capturable", False) for group in adamw.param_groups)
        optimizer = cls(groups, **{"capturable": capturable, **hyperparameters, **defaults})
        for group in optimizer.param_groups:
            for number, parameter in enumerate(group["params"]):
                old = adamw.state.get(parameter)
                if old:
                    t = int(old["step"])
                    moments = {states.FAST: old["exp_avg"].detach(), states.SQUARE: old["exp_avg_sq"].detach()}
                    given = {**moments, states.SLOW: moments[states.SQUARE], "t": t, "t_switch": t}
                    if wrong := states.fault(parameter, given):
                        raise ValueError(f"the state of {_named(group, number)} in {type(adamw).__name__}: {wrong}")
                    state = optimizer._initial(parameter, group, t, t)
                    states.put(state, {**moments, states.SLOW: torch.zeros_like(moments[states.SQUARE])})
                    optimizer.state[parameter] = state
        return optimizer

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._advance()
        return loss

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _advance(self) -> None:
        """The step behind the closure. `torch.compile` would compile it anew as often as a scheduled scalar changes."""
        for name, batch in self._batches(getattr(self, "grad_scale", None), getattr(self, "found_inf", None)):
            backend_named(name).update(batch)

    def describe(self) -> str:
        """Which backend steps what, and why; one line for each kind of parameter there is."""
        lines = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if is_lazy(parameter):
                    continue
                kind = self._kind(parameter, group)
                name, reason = self._chosen(kind)
                line = f"{kind.dtype} parameters on {kind.device}, {kind.states} states: {name} ({reason})"
                if line not in lines:
                    lines.append(line)
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """As `torch.optim.Optimizer.state_dict`. 8-bit moments of sharded parameters (DTensor, FSDP1) are handed out in
        float32, sharded as they are: another sharding, which a checkpoint may be loaded into, has other blocks."""
        # Before the hooks of others, which then see and may change what is handed out.
        handle = self.register_state_dict_post_hook(lambda _, saved: self._hand_out(saved), prepend=True)
        try:
            return super().state_dict()
        finally:
            handle.remove()

    def _hand_out(self, saved: dict[str, Any]) -> dict[str, Any]:
        parameters = [p for group in self.param_groups for p in group["params"]]
        numbers = [n for group in saved["param_groups"] for n in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            if states.is_quantised(saved["state"].get(number, {})):
                saved["state"][number] = states.handed_out(parameter, saved["state"][number])
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `torch.optim.Optimizer.load_state_dict`, without its cast of the moments to the parameter's dtype.

        An option that a group of the state dict lacks keeps the value that it has in this optimizer. ValueError where a state
        is not of its parameter's shape, or not AdEMAMix's; nothing is loaded then.
        """
        # Behind the hooks of others, which may bring other state dicts into this form.
        handle = self.register_load_state_dict_pre_hook(lambda _, given: self._take_in(given))
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()

    def _take_in(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is loaded, checked and filled up; states in a form that torch leaves as they are."""
        if [len(g["params"]) for g in given["param_groups"]] != [len(g["params"]) for g in self.param_groups]:
            return given  # which torch refuses
        saved_groups, saved = [], dict(given["state"])
        self._require_alike(given)
        for index, (group, its) in enumerate(zip(self.param_groups, given["param_groups"], strict=True)):
            filled = {**{name: group[name] for name in self.defaults if name in group}, **its}
            if "alpha" not in its and len(its.get("betas", ())) == 2:
                raise ValueError(f"group {index} of the state dict is Adam's or AdamW's, expected AdEMAMix's: {_SWITCH}")
            try:
                _validate(filled)
            except ValueError as error:
                raise ValueError(f"group {index} of the state dict: {error}") from None
            saved_groups.append({**filled, "state_dtype": _states(filled["state_dtype"])})
            for place, (parameter, number) in enumerate(zip(group["params"], its["params"], strict=True)):
                if saved.get(number):
                    saved[number] = _Loaded(self._loaded(parameter, saved[number], _named(group, place)))
        return {**given, "state": saved, "param_groups": saved_groups}

    def _require_alike(self, given: dict[str, Any]) -> None:
        """Where an 8-bit checkpoint goes into distributed parameters, either all processes have its codes, or none has."""
        distributed = [
            (parameter, given["state"].get(number))
            for group, its in zip(self.param_groups, given["param_groups"], strict=True)
            for parameter, number in zip(group["params"], its["params"], strict=True)
            if its.get("state_dtype") == "8bit" and hasattr(parameter, "to_local")
        ]
        if distributed:
            states.require_alike(distributed[0][0], any(states.is_quantised(state or {}) for _, state in distributed))

    def _loaded(self, parameter: torch.Tensor, given: states.State, name: str) -> states.State:
        try:
            state = states.taken_in(parameter, given, self.state.get(parameter, {}))
        except ValueError as error:
            raise ValueError(f"the loaded state of {name} {error}") from None
        hint = _SWITCH if "exp_avg" in state else "load a checkpoint of this model and optimizer"
        if not is_lazy(parameter) and (wrong := states.fault(parameter, state)):
            raise ValueError(f"the loaded state of {name}: {wrong}; {hint}")
        clocks = {clock: self._clock(int(state[clock]), parameter) for clock in states.CLOCKS if clock in state}
        return {**states.copied(state, parameter.device), **clocks}

    def __getstate__(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in ("backend", "capturable", "seed")}
        return {**super().__getstate__(), **options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._step_supports_amp_scaling = self.capturable
        for parameter, kept in self.state.items():
            if isinstance(kept, _Loaded):
                self.state[parameter] = kept.state
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        self._forget()

    # --- What a step is made of ---------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Drop what was worked out from parameters and options."""
        self._choices: dict[Kind, tuple[str, str]] = {}
        self._constants: dict[Any, torch.Tensor] = {}
        self._recorded = False  # whether a graph reads them

    def _chosen(self, kind: Kind) -> tuple[str, str]:
        if kind not in self._choices:
            self._choices[kind] = choose(self.backend, kind)
            name, reason = self._choices[kind]
            _LOG.info("AdEMAMix steps %s on %s with %s (%s)", kind.dtype, kind.device, name, reason)
        return self._choices[kind]

    def _kind(self, parameter: torch.Tensor, group: dict[str, Any]) -> Kind:
        states = group["state_dtype"]
        if parameter.dtype == torch.float64 or (states == "8bit" and parameter.numel() < quantised.SMALLEST):
            states = "float32"
        stochastic = group["stochastic_rounding"] and (
            parameter.dtype in (torch.bfloat16, torch.float16) or states == "bfloat16"
        )
        return Kind(
            parameter.device.type, parameter.dtype, states, float(group["betas"][0]) > 0, bool(stochastic), self.capturable
        )

    def _batches(self, scale: Any, found_inf: Any) -> list[tuple[str, Batch]]:
        """What has a gradient, by backend and kind, with its clock moved on and its scalars. Backends come by name."""
        batches: dict[Any, Batch] = {}
        clocks: dict[Any, list[tuple[Any, Any, Any, int]]] = {}
        known: dict[tuple[int, int, int], Scalars] = {}
        moved: list[tuple[states.State, int]] = []
        number = -1
        for index, group in enumerate(self.param_groups):
            seen: dict[Any, tuple[Any, Batch]] = {}
            for place, parameter in enumerate(group["params"]):
                number += 1
                gradient = parameter.grad
                if gradient is None:
                    continue
                key, batch = self._batch_of(parameter, group, seen, batches)
                state = self._append(batch, parameter, gradient, group, place)
                if self.capturable:
                    clocks.setdefault(key, []).append((state["t"], state["t_switch"], group, number))
                    continue
                t = state["t"] + 1
                moved.append((state, t))
                which = (index, t, state["t_switch"])
                if which not in known:
                    known[which] = scalars_of(group, t, state["t_switch"])
                batch.scalars.append(known[which])
                if batch.kind.draws:
                    batch.keys.append(key_at(base_key(self.seed, number), t))  # type: ignore[union-attr]
        for state, t in moved:  # now that no tensor was refused
            state["t"] = t
        for key, items in clocks.items():
            self._put_rows(batches[key], items, scale, found_inf)
        return [(key[0], batch) for key, batch in batches.items()]

    def _batch_of(
        self, parameter: torch.Tensor, group: dict[str, Any], seen: dict[Any, tuple[Any, Batch]], batches: dict[Any, Batch]
    ) -> tuple[Any, Batch]:
        """The batch that a parameter goes into, and its key; ``seen`` spares its group the search for each tensor."""
        small = group["state_dtype"] == "8bit" and parameter.numel() < quantised.SMALLEST
        look = (parameter.device, parameter.dtype, small)
        if look not in seen:
            kind = self._kind(parameter, group)
            key = (self._chosen(kind)[0], kind, parameter.device)
            seen[look] = key, batches.setdefault(key, Batch(kind, parameter.device, keys=[]))
        return seen[look]

    def _append(
        self, batch: Batch, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any], place: int
    ) -> states.State:
        """Add a parameter to its batch, its state brought into the batch's format; returns the state."""
        theta, g = parameter, _dense(gradient, batch.kind.dtype)
        if type(parameter) not in _PLAIN:
            theta, g = local(theta), local(g)
        state: states.State = self.state[parameter]
        if not state:
            _refuse_complex(parameter)
            state.update(self._initial(parameter, group, 0, 0))
        if not states.fits(batch, theta, g, state):
            self._store_anew(parameter, gradient, group, state, _named(group, place))
            if not states.fits(batch, theta, g, state):
                raise ValueError(f"{_named(group, place)} has a gradient or moments that are not sharded as it is")
        batch.append(theta, g, state)
        return state

    def _put_rows(self, batch: Batch, items: list[tuple[Any, Any, Any, int]], scale: Any, found_inf: Any) -> None:
        """Clocks, scalars and keys on the device, with a handful of small launches and no synchronisation."""
        device = batch.device
        times = [item[0] for item in items]
        if found_inf is None:
            torch._foreach_add_(times, 1)
        else:
            for time in times:
                time += (found_inf.to(device).reshape(()) == 0).to(time.dtype)
        t, t_switch = torch.stack(times), torch.stack([item[1] for item in items])
        rates = tuple(item[2]["lr"] for item in items)
        lr = torch.stack([self._rate(rate, device) for rate in rates])
        constants = self._constant(tuple(constants_of(item[2]) for item in items), torch.float64, device)
        batch.rows = rows_on_device(
            t, t_switch, constants, lr,
            None if scale is None else scale.to(device), None if found_inf is None else found_inf.to(device),
        )  # fmt: skip
        if batch.kind.draws:
            bases = self._constant(tuple(base_key(self.seed, item[3]) for item in items), torch.int64, device)
            batch.keys = torch.stack([(bases[:, 0] + t * GOLDEN) & 0xFFFFFFFF, bases[:, 1]], dim=1)

    def _rate(self, rate: Any, device: torch.device) -> torch.Tensor:
        if isinstance(rate, torch.Tensor):
            return rate.to(device, torch.float64).reshape(())
        return self._constant((float(rate),), torch.float64, device)[0]

    def _constant(self, values: Any, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A tensor made once and kept, because a recorded graph may not copy from the host."""
        key = (values, dtype, device)
        if key not in self._constants:
            if len(self._constants) > 1000 and not self._recorded:  # rates that change at every step, in no graph
                self._constants.clear()
            self._constants[key] = torch.tensor(values, dtype=dtype, device=device)
        self._recorded = self._recorded or recording()
        return self._constants[key]

    def _clock(self, value: int, parameter: torch.Tensor) -> Any:
        return torch.tensor(value, dtype=torch.int64, device=parameter.device) if self.capturable else value

    def _store_anew(
        self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any], state: states.State, name: str
    ) -> None:
        """Bring moments into the format and order and to the device that go with the parameter and its group as they are now.

        A model that was moved, cast or laid out anew, or an option that was changed: a backend would take the memory for
        something else. A fast EMA that was not kept so far starts at zero. ValueError where shapes disagree.
        """
        if gradient.shape != parameter.shape or gradient.device != parameter.device:
            raise ValueError(
                f"the gradient of {name} has shape {tuple(gradient.shape)} on {gradient.device}, expected the parameter's, "
                f"{tuple(parameter.shape)} on {parameter.device}: set it to None when a parameter's data is replaced"
            )
        if wrong := states.fault(parameter, state):
            raise ValueError(
                f"the state of {name}: {wrong}; load a checkpoint of this model, or, where the parameter's data was replaced, "
                "start its state anew with del optimizer.state[parameter]"
            )
        fresh = self._initial(parameter, group, int(state["t"]), int(state["t_switch"]))
        states.put(fresh, states.wide(state))
        state.clear()
        state.update(fresh)

    def _initial(self, parameter: torch.Tensor, group: dict[str, Any], t: int, t_switch: int) -> states.State:
        kind = self._kind(parameter, group)
        clocks = {"t": self._clock(t, parameter), "t_switch": self._clock(t_switch, parameter)}
        return states.initial(parameter, kind.moment_dtype, kind.has_fast) | clocks


def _dense(gradient: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A gradient in the dtype of its parameter. RuntimeError where it is sparse."""
    if gradient.layout is not torch.strided:
        raise RuntimeError(
            "AdEMAMix takes dense gradients only, and this one is sparse (an embedding with sparse=True?): "
            "the slow EMA would touch every row at every step all the same"
        )
    return gradient if gradient.dtype is dtype else gradient.to(dtype)


_PLAIN = (torch.Tensor, torch.nn.Parameter)


def _named(group: dict[str, Any], place: int) -> str:
    """A parameter in words."""
    names = group.get("param_names") or ()
    return f"parameter {place}{f' ({names[place]})' if len(names) > place else ''} of its group"


def _refuse_complex(parameter: torch.Tensor) -> None:
    if torch.is_complex(parameter):
        raise RuntimeError("AdEMAMix takes real parameters only; optimize torch.view_as_real(parameter) instead")


_OF_BOTH = ("lr", "betas", "eps", "weight_decay", "maximize")
_SWITCH = "load it into torch.optim.AdamW, and go on from there with AdEMAMix.from_adamw(adamw)"


def _refuse_unlike_adamw(adamw: Any) -> None:
    if not isinstance(adamw, torch.optim.Adam):  # of which torch's AdamW is one
        raise TypeError(f"from_adamw got {type(adamw).__name__}, expected torch.optim.AdamW")
    for group in adamw.param_groups:
        if group.get("amsgrad"):
            raise ValueError("from_adamw got an AdamW with amsgrad=True, expected False: AdEMAMix keeps no maximum")
        decoupled = isinstance(adamw, torch.optim.AdamW) or group.get("decoupled_weight_decay", False)
        if group["weight_decay"] and not decoupled:
            raise ValueError(
                f"from_adamw got {type(adamw).__name__} with weight_decay={group['weight_decay']}, expected AdamW: Adam adds "
                "its decay to the gradients, and its moments are of both"
            )


def _group_of_adamw(group: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A parameter group, or defaults, of AdamW's as AdEMAMix's; what is given overrides."""
    own = {name: value for name, value in group.items() if name not in _OF_ADAM_ALONE}
    if "betas" in own:
        own["betas"] = (*map(float, own["betas"]), _BETA3)
    own |= {name: value for name, value in given.items() if name in own or name in _OF_BOTH}
    if "lr" in given:
        own.pop("initial_lr", None)  # a scheduler would go back to it
    return own


def _states(given: Any) -> str:
    if not isinstance(given, (str, torch.dtype)) or given not in _STATES:
        raise ValueError(f"state_dtype = {given!r}, expected torch.float32, torch.bfloat16 or '8bit'")
    return _STATES[given]


def _validate(group: dict[str, Any]) -> None:
    betas = group["betas"]
    if not isinstance(betas, (tuple, list)) or len(betas) != 3:
        raise ValueError(f"betas = {betas!r}, expected three: fast, squared, slow")
    for number, beta in enumerate(betas, start=1):
        if not (_is_number(beta) and 0 <= beta < 1):
            raise ValueError(f"beta{number} = {beta!r}, expected a number, 0 <= beta{number} < 1")
    for name in ("lr", "alpha", "eps", "weight_decay"):
        if not (_is_number(group[name]) and group[name] >= 0):
            raise ValueError(f"{name} = {group[name]!r}, expected a number >= 0")
    for name in ("t_alpha", "t_beta3"):
        if group[name] is not None and not (_is_number(group[name]) and group[name] >= 0):
            raise ValueError(f"{name} = {group[name]!r}, expected None or a number of steps >= 0")
    _states(group["state_dtype"])


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) or (torch.is_tensor(value) and value.numel() == 1 and not value.is_complex())


__all__ = ["AdEMAMix", "UnsupportedByBackend"]
