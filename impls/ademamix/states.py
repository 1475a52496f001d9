"""What the optimizer keeps of a parameter: two first moments, the second one, two clocks; in 8 bits, scales and their order.

Blocks of 8-bit codes are neighbours in memory. A tensor may be laid out anew (another memory format, a file format that knows
no strides), so a state says in which order its blocks were made (`ORDER`). Codes have names of their own (`CODED`).

Where a parameter is sharded (DTensor, FSDP1), blocks are of what one process has. What such an optimizer hands out must not
depend on that: float32 moments, as the parameter is sharded. What it takes in may be a checkpoint of one process.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from impls.ademamix import quantised
from impls.ademamix.backends.batch import CODED, Batch, local
from impls.ademamix.backends.batch import FAST as FAST
from impls.ademamix.backends.batch import SLOW as SLOW
from impls.ademamix.backends.batch import SQUARE as SQUARE

State = dict[str, Any]

SIGNED = {FAST: True, SLOW: True, SQUARE: False}
"""Names of the moments, and whether they have a sign."""
CLOCKS = ("t", "t_switch")
ORDER = "block_order"
"""The dimensions of 8-bit codes from the outermost in memory to the innermost, as the digits of a number of base 64.

It is handed out as a tensor of the dimensions: of what is no tensor, torch's full state dicts lose what they do not know.
"""
_BASE = 64  # torch's tensors have no more dimensions


def is_quantised(state: State) -> bool:
    """Whether the moments are 8-bit codes."""
    return CODED[SQUARE] in state


def is_sharded(parameter: torch.Tensor) -> bool:
    """Whether it is a process's part of a parameter: a DTensor, or one of FSDP1's."""
    return hasattr(parameter, "to_local") or bool(getattr(parameter, "_fsdp_flattened", False))


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
    return _number(_dimensions(strides))


def _number(dimensions: list[int]) -> int:
    return functools.reduce(lambda number, digit: number * _BASE + digit, dimensions, 0)


def _permutation(state: State) -> list[int]:
    codes = state[CODED[SQUARE]]
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
        return {name: local(state[name]) for name in SIGNED if state.get(name) is not None}
    permutation = _permutation(state)
    flat = {name: _by_blocks(state[coded], permutation) for name, coded in CODED.items() if coded in state}
    root = quantised.decode_root(flat[SQUARE], state[f"{SQUARE}_scale"])
    decoded = {
        name: root * root if name == SQUARE else quantised.decode_ratio(codes, state[f"{name}_scale"], root)
        for name, codes in flat.items()
    }
    return {name: _from_blocks(values, state[CODED[name]].shape, permutation) for name, values in decoded.items()}


def put(state: State, moments: dict[str, torch.Tensor]) -> None:
    """Store moments that were kept wide; a state without m1 keeps none."""
    names = CODED if is_quantised(state) else {name: name for name in SIGNED}
    given = {name: local(values) for name, values in moments.items() if names[name] in state}
    if not is_quantised(state):
        for name, values in given.items():
            local(state[name]).copy_(values)
        return
    permutation = _permutation(state)
    flat = {name: _by_blocks(values, permutation).float() for name, values in given.items()}
    root = quantised.encode_root(flat.pop(SQUARE), state[CODED[SQUARE]], state[f"{SQUARE}_scale"])
    for name, values in flat.items():
        quantised.encode_ratio(values, root, state[CODED[name]], state[f"{name}_scale"])


def initial(parameter: torch.Tensor, dtype: torch.dtype, has_fast: bool) -> State:
    """Moments of zero, without clocks; ``dtype`` uint8 for 8 bits."""
    state: State = {}
    signed = {name: sign for name, sign in SIGNED.items() if has_fast or name != FAST}
    if dtype != torch.uint8:
        for name in signed:
            state[name] = torch.zeros_like(parameter, dtype=dtype, memory_format=torch.preserve_format)
        return state
    if is_sharded(parameter):
        # What is handed out has these names, and torch finds flattened keys by the names that it sees here.
        state = dict.fromkeys(signed)
    parameter = local(parameter)  # blocks are of what this process has
    blocks = quantised.blocks_of(parameter.numel())
    for name, has_sign in signed.items():
        codes = torch.zeros_like(parameter, dtype=dtype, memory_format=torch.preserve_format)
        state[CODED[name]] = codes.fill_(quantised.ZERO if has_sign else 0)
        state[f"{name}_scale"] = torch.zeros(blocks, dtype=torch.float32, device=parameter.device)
        state[ORDER] = order_of(codes.stride())
    return state


def copied(state: State, device: torch.device) -> State:
    """A copy on the device, 8-bit codes laid out in the order of their blocks, as they were made."""
    copy = {key: value.detach().clone().to(device) if torch.is_tensor(value) else value for key, value in state.items()}
    if is_quantised(copy):
        permutation = _permutation(copy)
        for coded in CODED.values():
            if coded in copy:
                copy[coded] = _from_blocks(_by_blocks(copy[coded], permutation), copy[coded].shape, permutation)
        copy[ORDER] = order_of(copy[CODED[SQUARE]].stride())
    return copy


# --- Handing out and taking in ---------------------------------------------------------------------------------------------


def handed_out(parameter: Any, state: State) -> State:
    """An 8-bit state for a checkpoint: that of a sharded parameter in float32, laid out and sharded as the parameter is."""
    if not is_sharded(parameter):
        return {**state, ORDER: torch.tensor(_permutation(state), device=parameter.device)}
    moments = wide(state)
    if hasattr(parameter, "to_local"):
        moments = {name: _as_distributed(parameter, part) for name, part in moments.items()}
    return moments | {name: state[name] for name in CLOCKS}


def _as_distributed(parameter: Any, part: torch.Tensor) -> torch.Tensor:
    from torch.distributed.tensor import DTensor

    whole: torch.Tensor = DTensor.from_local(
        part,
        parameter.device_mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )
    return whole


def taken_in(parameter: Any, given: State, own: State) -> State:
    """A loaded state, without what torch has filled in, and the whole moments of one process as this one's part of them.

    ``own`` is the state that the optimizer has. torch adds what that hands out where a checkpoint has no such key, so what it
    would not hand out was loaded. ValueError where the parts cannot be found.
    """
    state = {key: value for key, value in given.items() if value is not None and not (isinstance(value, dict) and not value)}
    for name, coded in CODED.items():
        if f"{name}_scale" in state and getattr(state.get(name), "dtype", None) == torch.uint8:
            state[coded] = state.pop(name)  # a checkpoint from before codes had names of their own
    if torch.is_tensor(state.get(ORDER)):
        state[ORDER] = _number(state[ORDER].tolist())
    if is_quantised(state) and SQUARE in state:
        dropped = [*CODED.values(), *(f"{name}_scale" for name in SIGNED), ORDER]
        if is_sharded(parameter) or not is_quantised(own):
            dropped = list(SIGNED)
        state = {key: value for key, value in state.items() if key not in dropped}
    if hasattr(parameter, "to_local"):
        return _part_of(parameter, state)
    if any(hasattr(value, "to_local") for value in state.values()):
        raise ValueError("holds parts of distributed tensors, expected whole ones: gather them with full_tensor()")
    return state


def _part_of(parameter: Any, state: State) -> State:
    """A state with whole moments of a distributed parameter, or their codes, as this process's part of wide moments."""
    if is_quantised(state):
        codes = {name: state[coded] for name, coded in CODED.items() if coded in state}
        scales = {name: state.get(f"{name}_scale") for name in codes}
        blocks = quantised.blocks_of(parameter.numel())
        if any(c.shape != parameter.shape for c in codes.values()) or any(
            not torch.is_tensor(s) or tuple(s.shape) != (blocks,) for s in scales.values()
        ):
            raise ValueError(f"holds 8-bit moments of a part, expected {blocks} scales for each moment and codes of the whole")
        gathered = {CODED[name]: c.full_tensor() if hasattr(c, "full_tensor") else c for name, c in codes.items()}
        whole = wide({**state, **gathered})
        state = {key: value for key, value in state.items() if key in CLOCKS} | whole
    return {key: _sharded_as(parameter, value) if key in SIGNED else value for key, value in state.items()}


def _sharded_as(parameter: Any, moment: Any) -> Any:
    from torch.distributed.tensor import distribute_tensor

    if not hasattr(moment, "to_local"):
        if not torch.is_tensor(moment) or moment.shape != parameter.shape:
            return moment  # which `fault` puts into words
        return distribute_tensor(moment, parameter.device_mesh, parameter.placements, src_data_rank=None)
    if moment.device_mesh != parameter.device_mesh or moment.placements != parameter.placements:
        raise ValueError(f"is sharded as {moment.placements}, expected as the parameter, {parameter.placements}")
    return moment


def require_alike(parameter: Any, found: bool) -> None:
    """Raise ValueError on every process where only some found 8-bit moments. A collective call of the parameter's mesh.

    torch's ``broadcast_from_rank0`` sends what every process has asked for, and codes are not among that.
    """
    import torch.distributed as dist

    mesh = parameter.device_mesh
    either = torch.tensor([float(found), float(not found)], device=mesh.device_type)
    for dimension in range(mesh.ndim):
        dist.all_reduce(either, dist.ReduceOp.MAX, mesh.get_group(dimension))
    if bool(either.all()):
        raise ValueError(
            "8-bit moments of one process have come to some processes only: load them on all, with full_state_dict=True and "
            "without broadcast_from_rank0"
        )


# --- Checking --------------------------------------------------------------------------------------------------------------


def fits(batch: Batch, theta: torch.Tensor, g: torch.Tensor, state: State) -> bool:
    """Whether a state has the shape, format, device and order of memory that backends count on.

    Backends take addresses, so every step asks for every tensor, all of which may have been changed meanwhile. ``theta`` and
    ``g`` are what this process has.
    """
    fast, slow, square = batch.names
    m2, nu, m1 = state.get(slow), state.get(square), state.get(fast) if batch.kind.has_fast else None
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
    order: bool = state.get(ORDER) == order_of(state[CODED[SQUARE]].stride())
    return order


def fault(parameter: torch.Tensor, state: State) -> str | None:
    """What is wrong with a state, in words; None where it can be brought into any format, order and device."""
    names = CODED if is_quantised(state) else {name: name for name in SIGNED}
    if missing := [name for name in (names[SLOW], names[SQUARE], *CLOCKS) if state.get(name) is None]:
        found = ", ".join(sorted(repr(str(name)) for name in state if state[name] is not None)) or "nothing"
        return f"has no {', '.join(map(repr, missing))}; found {found}"
    for name, kept in names.items():
        if state.get(kept) is not None and (wrong := _moment_fault(parameter, state, name, kept)):
            return f"{kept!r} {wrong}"
    return _clock_fault(state)


def _clock_fault(state: State) -> str | None:
    try:
        t, t_switch = (int(state[clock]) for clock in CLOCKS)
    except (TypeError, ValueError, RuntimeError):
        return f"has clocks {[state[clock] for clock in CLOCKS]!r}, expected numbers of steps"
    return None if 0 <= t_switch <= t else f"has t = {t} and t_switch = {t_switch}, expected 0 <= t_switch <= t"


def _moment_fault(parameter: torch.Tensor, state: State, name: str, kept: str) -> str | None:
    moment, scale = state[kept], state.get(f"{name}_scale")
    if not torch.is_tensor(moment) or moment.layout is not torch.strided:
        return f"is {getattr(moment, 'layout', type(moment).__name__)}, expected a dense tensor"
    shape = tuple((local(parameter) if name != kept else parameter).shape)
    if tuple(moment.shape) != shape:
        return f"has shape {tuple(moment.shape)}, expected the parameter's, {shape}"
    if name == kept:
        return None if moment.is_floating_point() else f"is of {moment.dtype}, expected a floating dtype"
    if moment.dtype != torch.uint8 or scale is None:
        return f"is of {moment.dtype} {'without' if scale is None else 'with'} scales, expected uint8 codes with scales"
    blocks = (quantised.blocks_of(moment.numel()),)
    if not torch.is_tensor(scale) or tuple(scale.shape) != blocks:
        return f"has scales of shape {tuple(getattr(scale, 'shape', ()))}, expected {blocks}, one for each {quantised.BLOCK}"
    if state.get(ORDER) is not None and sorted(_permutation({**state, CODED[SQUARE]: moment})) != list(range(moment.ndim)):
        return f"has blocks in the order {state[ORDER]!r}, expected one of {moment.ndim} dimensions"
    return None
