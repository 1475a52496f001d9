"""What the optimizer keeps of a parameter: two first moments, the second one, two clocks; in 8 bits, scales and their order.

Blocks of 8-bit codes are neighbours in memory. A tensor may be laid out anew (another memory format, a file format that knows
no strides), so a state says in which order its blocks were made (`ORDER`).
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from impls.ademamix import quantised
from impls.ademamix.backends.batch import Batch, local

State = dict[str, Any]

FAST, SLOW, SQUARE = "exp_avg_fast", "exp_avg_slow", "exp_avg_sq"
SIGNED = {FAST: True, SLOW: True, SQUARE: False}
"""Names of the moments, and whether they have a sign."""
CLOCKS = ("t", "t_switch")
ORDER = "block_order"
"""The dimensions of 8-bit codes from the outermost in memory to the innermost, as the digits of a number of base 64."""
_BASE = 64  # torch's tensors have no more dimensions


def is_quantised(state: State) -> bool:
    """Whether the moments are 8-bit codes."""
    return f"{SQUARE}_scale" in state


# --- The order of memory ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _strides(shape: torch.Size, strides: tuple[int, ...]) -> tuple[int, ...]:
    like = torch.empty_strided(shape, strides, device="meta")
    return torch.empty_like(like, memory_format=torch.preserve_format).stride()


def strides_for(parameter: torch.Tensor) -> tuple[int, ...]:
    """The strides that moments of this parameter have: its own, without gaps."""
    return _strides(parameter.shape, parameter.stride())


def _dimensions(strides: tuple[int, ...]) -> list[int]:
    """From the outermost to the innermost."""
    return sorted(range(len(strides)), key=lambda dimension: -strides[dimension])


@functools.lru_cache(maxsize=4096)
def order_of(strides: tuple[int, ...]) -> int:
    """`ORDER` of a tensor without gaps."""
    return functools.reduce(lambda number, digit: number * _BASE + digit, _dimensions(strides), 0)


def _permutation(state: State) -> list[int]:
    codes = state[SQUARE]
    number = state.get(ORDER)
    if number is None:  # a checkpoint from before it was kept
        return _dimensions(codes.stride())
    return [number // _BASE**place % _BASE for place in reversed(range(codes.ndim))]


def _by_blocks(values: torch.Tensor, permutation: list[int]) -> torch.Tensor:
    """The elements in one dimension, in the order of the blocks."""
    return values.permute(permutation).reshape(-1)


def _from_blocks(flat: torch.Tensor, shape: torch.Size, permutation: list[int]) -> torch.Tensor:
    """The tensor whose memory, in the order of the blocks, is ``flat``."""
    inverse = [permutation.index(dimension) for dimension in range(len(permutation))]
    return flat.reshape([shape[dimension] for dimension in permutation]).permute(inverse)


# --- Reading and writing ---------------------------------------------------------------------------------------------------


def wide(state: State) -> dict[str, torch.Tensor]:
    """The moments of a state, those in 8 bits decoded: float32, in the shape of what this process has."""
    if not is_quantised(state):
        return {name: local(state[name]) for name in SIGNED if name in state}
    permutation = _permutation(state)
    flat = {name: _by_blocks(state[name], permutation) for name in SIGNED if name in state}
    root = quantised.decode_root(flat[SQUARE], state[f"{SQUARE}_scale"])
    decoded = {
        name: root * root if name == SQUARE else quantised.decode_ratio(codes, state[f"{name}_scale"], root)
        for name, codes in flat.items()
    }
    return {name: _from_blocks(values, state[name].shape, permutation) for name, values in decoded.items()}


def put(state: State, moments: dict[str, torch.Tensor]) -> None:
    """Store moments that were kept wide; a state without m1 keeps none."""
    given = {name: values for name, values in moments.items() if name in state}
    if not is_quantised(state):
        for name, values in given.items():
            local(state[name]).copy_(local(values))
        return
    permutation = _permutation(state)
    flat = {name: _by_blocks(local(values), permutation).float() for name, values in given.items()}
    root = quantised.encode_root(flat.pop(SQUARE), state[SQUARE], state[f"{SQUARE}_scale"])
    for name, values in flat.items():
        quantised.encode_ratio(values, root, state[name], state[f"{name}_scale"])


def initial(parameter: torch.Tensor, dtype: torch.dtype, has_fast: bool) -> State:
    """Moments of zero, without clocks; ``dtype`` uint8 for 8 bits."""
    if dtype == torch.uint8:
        parameter = local(parameter)  # blocks are of what this process has
    state: State = {}
    for name, signed in SIGNED.items():
        if name == FAST and not has_fast:
            continue
        state[name] = torch.zeros_like(parameter, dtype=dtype, memory_format=torch.preserve_format)
        if dtype == torch.uint8:
            state[name].fill_(quantised.ZERO if signed else 0)
            blocks = quantised.blocks_of(parameter.numel())
            state[f"{name}_scale"] = torch.zeros(blocks, dtype=torch.float32, device=parameter.device)
            state[ORDER] = order_of(state[name].stride())
    return state


def copied(state: State, device: torch.device) -> State:
    """A copy on the device, 8-bit codes laid out in the order of their blocks, as they were made."""
    copy = {key: value.detach().clone().to(device) if torch.is_tensor(value) else value for key, value in state.items()}
    if is_quantised(copy):
        permutation = _permutation(copy)
        for name in SIGNED:
            if name in copy:
                copy[name] = _from_blocks(_by_blocks(copy[name], permutation), copy[name].shape, permutation)
        copy[ORDER] = order_of(copy[SQUARE].stride())
    return copy


def distributed(parameter: Any, state: State) -> State:
    """The state of a distributed parameter with its 8-bit moments in float32, laid out and sharded as the parameter is."""
    from torch.distributed.tensor import DTensor

    def whole(part: torch.Tensor) -> torch.Tensor:
        return DTensor.from_local(
            part,
            parameter.device_mesh,
            parameter.placements,
            run_check=False,
            shape=parameter.shape,
            stride=parameter.stride(),
        )

    return {name: whole(values) for name, values in wide(state).items()} | {name: state[name] for name in CLOCKS}


# --- Checking --------------------------------------------------------------------------------------------------------------


def fits(batch: Batch, theta: torch.Tensor, g: torch.Tensor, state: State) -> bool:
    """Whether a state has the shape, format, device and order of memory that backends count on.

    Backends take addresses, so every step asks for every tensor, all of which may have been changed meanwhile. ``theta`` and
    ``g`` are what this process has.
    """
    m2, nu, m1 = state.get(SLOW), state.get(SQUARE), state.get(FAST) if batch.kind.has_fast else None
    if m2 is None or nu is None or (m1 is None and batch.kind.has_fast):
        return False
    if type(m2) is not torch.Tensor:
        m2, nu, m1 = local(m2), local(nu), None if m1 is None else local(m1)
    # Written out, because it is all that a plain step pays.
    shape, dtype, device = theta.shape, batch.moment_dtype, batch.device
    if not (g.shape == m2.shape == nu.shape == shape and m2.dtype is dtype and nu.dtype is dtype):
        return False
    if not (g.device == device and m2.device == device and nu.device == device):
        return False
    if m1 is not None and not (m1.shape == shape and m1.dtype is dtype and m1.device == device):
        return False
    if not (theta.is_contiguous() and m2.is_contiguous() and nu.is_contiguous() and (m1 is None or m1.is_contiguous())):
        batch.contiguous = False
        strides = strides_for(theta)
        if not (m2.stride() == nu.stride() == strides and (m1 is None or m1.stride() == strides)):
            return False
    elif not g.is_contiguous():
        batch.contiguous = False
    return batch.kind.states != "8bit" or _scales_fit(batch, theta, state)


def _scales_fit(batch: Batch, theta: torch.Tensor, state: State) -> bool:
    blocks = (quantised.blocks_of(theta.numel()),)
    for name in (FAST, SLOW, SQUARE) if batch.kind.has_fast else (SLOW, SQUARE):
        scale = state.get(f"{name}_scale")
        if scale is None or scale.shape != blocks or scale.dtype is not torch.float32 or scale.device != batch.device:
            return False
        if not scale.is_contiguous():
            return False
    order: bool = state.get(ORDER) == order_of(state[SQUARE].stride())
    return order


def fault(parameter: torch.Tensor, state: State) -> str | None:
    """What is wrong with a state, in words; None where it can be brought into any format, order and device."""
    if missing := [name for name in (SLOW, SQUARE, *CLOCKS) if name not in state]:
        found = ", ".join(map(repr, sorted(map(str, state)))) or "nothing"
        return f"has no {', '.join(map(repr, missing))}; found {found}"
    for name in SIGNED:
        if name in state and (wrong := _moment_fault(parameter, state, name)):
            return f"{name!r} {wrong}"
    return None


def _moment_fault(parameter: torch.Tensor, state: State, name: str) -> str | None:
    moment, scale = state[name], state.get(f"{name}_scale")
    if not torch.is_tensor(moment) or moment.layout is not torch.strided:
        return f"is {getattr(moment, 'layout', type(moment).__name__)}, expected a dense tensor"
    shapes = {tuple(parameter.shape), tuple(local(parameter).shape)} if is_quantised(state) else {tuple(parameter.shape)}
    if tuple(moment.shape) not in shapes:
        return f"has shape {tuple(moment.shape)}, expected the parameter's, {tuple(parameter.shape)}"
    if not is_quantised(state):
        return None if moment.is_floating_point() else f"is of {moment.dtype} and has no scales, expected a floating dtype"
    if moment.dtype != torch.uint8 or scale is None:
        return f"is of {moment.dtype} {'without' if scale is None else 'with'} scales, expected uint8 codes with scales"
    blocks = (quantised.blocks_of(moment.numel()),)
    if not torch.is_tensor(scale) or tuple(scale.shape) != blocks:
        return f"has scales of shape {tuple(getattr(scale, 'shape', ()))}, expected {blocks}, one for each {quantised.BLOCK}"
    if state.get(ORDER) is not None and sorted(_permutation(state)) != list(range(moment.ndim)):
        return f"has blocks in the order {state[ORDER]!r}, expected one of {moment.ndim} dimensions"
    return None
