"""AdEMAMix (arXiv:2409.03137) to train with: one `torch.optim.Optimizer`, the same whatever computes its step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch

from impls.ademamix import quantised
from impls.ademamix.backends import BACKENDS, Batch, Kind, UnsupportedByBackend, backend_named, choose, recording
from impls.ademamix.backends.eager import in_memory_order
from impls.ademamix.scalars import GOLDEN, Scalars, base_key, constants_of, key_at, rows_on_device, scalars_of

_LOG = logging.getLogger(__name__)
_STATES = {
    "float32": "float32", "fp32": "float32", torch.float32: "float32",
    "bfloat16": "bfloat16", "bf16": "bfloat16", torch.bfloat16: "bfloat16",
    "8bit": "8bit", "8-bit": "8bit", torch.uint8: "8bit",
}  # fmt: skip
_MOMENTS = (("exp_avg_fast", True), ("exp_avg_slow", True), ("exp_avg_sq", False))
"""Names of the moments in ``state``, and whether they have a sign."""


class AdEMAMix(torch.optim.Optimizer):
    """Adam with a second, slow momentum: ``theta -= lr ((m1 / (1 - beta1**t) + alpha m2) / (sqrt(nu / (1 - beta2**t)) + eps)
    + weight_decay theta)``.

    params: parameters, or parameter groups with hyperparameters of their own (all of the first row below).

    lr, betas, alpha, eps, weight_decay, t_alpha, t_beta3, maximize, state_dtype, stochastic_rounding: per group.
      - ``betas``: fast, squared, slow. With ``betas[0] == 0`` no fast EMA is kept: as little memory as AdamW takes.
      - ``alpha``: weight of the slow EMA; the paper uses 4 to 10 (5 is its listing's default).
      - ``t_alpha`` and ``t_beta3``: warm-ups of alpha and of ``betas[2]`` in steps, usually the training's length. None or
        0: constant from the first step, which is what the paper does only where it starts late.
      - ``weight_decay`` is decoupled and multiplied by ``lr``.
      - ``state_dtype``: ``torch.float32`` (float64 parameters: float64), ``torch.bfloat16`` or ``"8bit"`` (blocks of 256;
        tensors of fewer than 4096 elements keep float32). Low precision loses small updates of the slow EMA, see
        docs/ademamix.md.
      - ``stochastic_rounding``: what is stored in 16 bits, parameters and moments, is rounded to a neighbour at random instead
        of to the nearest, as roots and slow EMAs in 8 bits always are; repeatable by ``seed``.

    backend: ``"auto"`` takes the fastest that works here for each device and dtype; see `describe`. ``"eager"``,
    ``"foreach"``, ``"compiled"`` (torch.compile), ``"triton"``, ``"cuda"`` (CUDA C++), ``"cpu"`` (C++) and ``"cuda-host"``
    (the CUDA source on the host, to test it) are taken or refused.

    capturable: the step count, schedules and bias corrections live on the device, so that a step can be recorded in a CUDA
    graph and replayed, and GradScaler costs no synchronisation. ``lr`` may then be a tensor.

    Every parameter has a clock of its own, which stands still while it has no gradient. Raises ValueError for hyperparameters
    out of range, RuntimeError for sparse gradients and complex parameters, `impls.ademamix.backends.UnsupportedByBackend` or
    `impls.compiler.BackendUnavailable` where a backend was asked for that cannot do it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
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
            "t_beta3": t_beta3, "maximize": maximize, "state_dtype": _states(state_dtype),
            "stochastic_rounding": stochastic_rounding,
        }  # fmt: skip
        super().__init__(params, defaults)
        # GradScaler then hands over its scale and whether it found an infinity, and leaves the rest to `step`.
        self._step_supports_amp_scaling = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with hyperparameters of their own where given."""
        group = {**self.defaults, **param_group}
        _validate(group, self.capturable)
        if "state_dtype" in param_group:
            param_group["state_dtype"] = _states(param_group["state_dtype"])
        super().add_param_group(param_group)
        added = self.param_groups[-1]
        try:
            for parameter in added["params"]:
                if torch.is_complex(parameter):
                    raise RuntimeError("AdEMAMix takes real parameters only; optimize torch.view_as_real(parameter) instead")
                if self.backend != "auto" and parameter.device.type != "meta":
                    self._chosen(self._kind(parameter, added))
        except BaseException:
            self.param_groups.pop()
            raise
        self._forget()

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
                    for name in ("t", "t_switch"):
                        state[name] = optimizer._clock(int(old["step"]), parameter)
                    _put(state, old["exp_avg"], None, old["exp_avg_sq"])
                    optimizer.state[parameter] = state
        return optimizer

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        scale, found_inf = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        if found_inf is not None and not self.capturable and bool(found_inf.item()):
            return loss
        for name, batch in self._batches(scale, found_inf):
            backend_named(name).update(batch)
        return loss

    def describe(self) -> str:
        """Which backend steps what, and why; one line for each kind of parameter there is."""
        lines = []
        for group in self.param_groups:
            for parameter in group["params"]:
                kind = self._kind(parameter, group)
                name, reason = self._chosen(kind)
                line = f"{kind.dtype} parameters on {kind.device}, {kind.states} states: {name} ({reason})"
                if line not in lines:
                    lines.append(line)
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """As `torch.optim.Optimizer.state_dict`. 8-bit moments of distributed (DTensor) parameters are handed out in float32,
        as distributed tensors: another sharding, which a checkpoint may be loaded into, has other blocks."""
        saved = super().state_dict()
        parameters = [p for group in self.param_groups for p in group["params"]]
        numbers = [n for group in saved["param_groups"] for n in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            if "exp_avg_sq_scale" in saved["state"].get(number, {}) and hasattr(parameter, "to_local"):
                saved["state"][number] = _distributed(parameter, saved["state"][number])
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `torch.optim.Optimizer.load_state_dict`, without its cast of the moments to the parameter's dtype."""
        super().load_state_dict(state_dict)
        saved = state_dict["state"]
        numbers = [n for group in state_dict["param_groups"] for n in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in saved.get(number, {}).items():
                if name in ("t", "t_switch"):
                    self.state[parameter][name] = self._clock(int(value), parameter)
                elif torch.is_tensor(value):
                    self.state[parameter][name] = value.detach().clone().to(parameter.device)
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in ("backend", "capturable", "seed")}
        return {**super().__getstate__(), **options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._step_supports_amp_scaling = True
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
        loss_scale = 1.0 if scale is None or self.capturable else float(scale)
        batches: dict[Any, Batch] = {}
        clocks: dict[Any, list[tuple[Any, Any, Any, int]]] = {}
        known: dict[tuple[int, int, int], Scalars] = {}
        number = -1
        for index, group in enumerate(self.param_groups):
            seen: dict[Any, tuple[Any, Batch]] = {}
            for parameter in group["params"]:
                number += 1
                if parameter.grad is None:
                    continue
                gradient = _dense(parameter)
                key, batch = self._batch_of(parameter, group, seen, batches)
                state = self._state_of(parameter, group, batch)
                _append(batch, parameter, gradient, state)
                if self.capturable:
                    clocks.setdefault(key, []).append((state["t"], state["t_switch"], group, number))
                    continue
                t = state["t"] = state["t"] + 1
                which = (index, t, state["t_switch"])
                if which not in known:
                    known[which] = scalars_of(group, t, state["t_switch"], loss_scale)
                batch.scalars.append(known[which])
                if batch.kind.draws:
                    batch.keys.append(key_at(base_key(self.seed, number), t))  # type: ignore[union-attr]
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

    def _state_of(self, parameter: torch.Tensor, group: dict[str, Any], batch: Batch) -> dict[str, Any]:
        """The state of a parameter, in the format and on the device of its batch."""
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state.update(self._initial(parameter, group))
        kept, kind = state["exp_avg_slow"], batch.kind
        missing = kind.has_fast and "exp_avg_fast" not in state
        if kept.dtype != kind.moment_dtype or kept.device != batch.device or missing:
            self._store_anew(parameter, group, state)
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

    def _store_anew(self, parameter: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Bring moments into the format and to the device that go with the parameter and its group as they are now.

        A model that was moved or cast, or an option that was changed: a backend would take the memory for something else. A
        fast EMA that was not kept so far starts at zero.
        """
        wide = _wide(state)
        fresh = self._initial(parameter, group)
        _put(fresh, *(wide.get(name) for name, _ in _MOMENTS))
        clocks = {name: self._clock(int(state[name]), parameter) for name in ("t", "t_switch")}
        state.clear()
        state.update(fresh | clocks)

    def _initial(self, parameter: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        kind = self._kind(parameter, group)
        if kind.states == "8bit":
            parameter = _local(parameter)  # blocks are of what this process has
        state: dict[str, Any] = {}
        for name, signed in _MOMENTS:
            if name == "exp_avg_fast" and not kind.has_fast:
                continue
            state[name] = torch.zeros_like(parameter, dtype=kind.moment_dtype, memory_format=torch.preserve_format)
            if kind.states == "8bit":
                state[name].fill_(quantised.ZERO if signed else 0)
                blocks = quantised.blocks_of(parameter.numel())
                state[f"{name}_scale"] = torch.zeros(blocks, dtype=torch.float32, device=parameter.device)
        return {**state, "t": self._clock(0, parameter), "t_switch": self._clock(0, parameter)}


def _dense(parameter: torch.Tensor) -> torch.Tensor:
    """Its gradient, in its dtype. RuntimeError where that is sparse."""
    gradient = parameter.grad
    assert gradient is not None
    if gradient.layout is not torch.strided:
        raise RuntimeError(
            "AdEMAMix takes dense gradients only, and this one is sparse (an embedding with sparse=True?): "
            "the slow EMA would touch every row at every step all the same"
        )
    return gradient if gradient.dtype == parameter.dtype else gradient.to(parameter.dtype)


_PLAIN = (torch.Tensor, torch.nn.Parameter)


def _append(batch: Batch, parameter: torch.Tensor, gradient: torch.Tensor, state: dict[str, Any]) -> None:
    m2, nu = state["exp_avg_slow"], state["exp_avg_sq"]
    if batch.kind.has_fast:
        m1 = state["exp_avg_fast"]
        batch.m1.append(m1 if type(m1) in _PLAIN else _local(m1))
    if type(parameter) not in _PLAIN:
        parameter, gradient, m2, nu = map(_local, (parameter, gradient, m2, nu))
    batch.theta.append(parameter)
    batch.g.append(gradient)
    batch.m2.append(m2)
    batch.nu.append(nu)
    if batch.kind.states == "8bit":
        if batch.kind.has_fast:
            batch.m1_scale.append(state["exp_avg_fast_scale"])
        batch.m2_scale.append(state["exp_avg_slow_scale"])
        batch.nu_scale.append(state["exp_avg_sq_scale"])


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a distributed tensor: the step is elementwise."""
    plain: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return plain


def _put(state: dict[str, Any], m1: torch.Tensor | None, m2: torch.Tensor | None, nu: torch.Tensor | None) -> None:
    """Store moments that were kept wide, where there are any; a state without m1 keeps none."""
    wide = {"exp_avg_fast": m1, "exp_avg_slow": m2, "exp_avg_sq": nu}
    given = {name: values for name, values in wide.items() if values is not None and name in state}
    if "exp_avg_sq_scale" not in state:
        for name, values in given.items():
            _local(state[name]).copy_(_local(values))
        return
    strides = state["exp_avg_sq"].stride()
    flat = {name: in_memory_order(_local(values), strides).float() for name, values in given.items()}
    root = quantised.encode_root(flat.pop("exp_avg_sq"), state["exp_avg_sq"], state["exp_avg_sq_scale"])
    for name, values in flat.items():
        quantised.encode_ratio(values, root, state[name], state[f"{name}_scale"])


def _wide(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The moments of a state, those in 8 bits decoded: float32, in the shape and order of what this process has."""
    if "exp_avg_sq_scale" not in state:
        return {name: _local(state[name]) for name, _ in _MOMENTS if name in state}
    codes = state["exp_avg_sq"]
    root = quantised.decode_root(codes, state["exp_avg_sq_scale"])
    flat = {"exp_avg_sq": root * root}
    for name in ("exp_avg_fast", "exp_avg_slow"):
        if name in state:
            flat[name] = quantised.decode_ratio(state[name], state[f"{name}_scale"], root)
    return {name: torch.as_strided(values, codes.shape, codes.stride()) for name, values in flat.items()}


def _distributed(parameter: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a distributed parameter with its 8-bit moments in float32, laid out and sharded as the parameter is."""
    from torch.distributed.tensor import DTensor

    def whole(local: torch.Tensor) -> torch.Tensor:
        return DTensor.from_local(
            local,
            parameter.device_mesh,
            parameter.placements,
            run_check=False,
            shape=parameter.shape,
            stride=parameter.stride(),
        )

    clocks = {name: state[name] for name in ("t", "t_switch")}
    return {name: whole(values) for name, values in _wide(state).items()} | clocks


def _states(given: Any) -> str:
    if given not in _STATES:
        raise ValueError(f"state_dtype = {given!r}, expected torch.float32, torch.bfloat16 or '8bit'")
    return _STATES[given]


def _validate(group: dict[str, Any], capturable: bool) -> None:
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
    _states(group["state_dtype"])


__all__ = ["AdEMAMix", "UnsupportedByBackend"]
