"""What a state_dict goes through on its way: torch.save, arrays and JSON alone as in safetensors files, changes."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch

from conformance.ademamix.harness.problem import RESHAPED
from impls.implementation import NotRun, Unsupported


def through_torch(state: Any, device: torch.device) -> Any:
    """`torch.save` and `torch.load`, with its default of plain types only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, map_location=device)


def through_safetensors(state: Any, device: torch.device) -> Any:
    """Tensors through safetensors, everything else through JSON in its metadata. Raises what they raise for other things."""
    try:
        from safetensors.torch import load, save
    except ImportError:
        raise NotRun("needs safetensors, not installed here; python -m pip install -c constraints.txt safetensors") from None
    tensors: dict[str, torch.Tensor] = {}
    layout = json.dumps(_laid_out(state, tensors))
    data = save(tensors, metadata={"layout": layout})
    read = {name: tensor.to(device) for name, tensor in load(data).items()}
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return _restored(json.loads(header["__metadata__"]["layout"]), read)


def _laid_out(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """A tree that JSON can hold, with tensors moved out of it; dictionaries become pairs, since their keys are numbers."""
    if isinstance(value, torch.Tensor):
        name = f"tensor-{len(tensors)}"
        # A copy: safetensors refuses tensors that share memory, or whose memory is not in order.
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[_laid_out(key, tensors), _laid_out(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_laid_out(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"plain": value}
    raise TypeError(f"the state holds {type(value).__name__}, which is neither a tensor nor a value that JSON has")


def _restored(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "pairs":
        return {_restored(key, tensors): _restored(item, tensors) for key, item in value}
    if kind in ("list", "tuple"):
        items = [_restored(item, tensors) for item in value]
        return tuple(items) if kind == "tuple" else items
    return value


def _widened(state: Any, shapes: Sequence[Any]) -> Any:
    return _with_moments(state, shapes, lambda moment: moment.double() if moment.is_floating_point() else moment)


def _without_options(state: Any, shapes: Sequence[Any]) -> Any:
    """Without what torch's own optimizers fill in where it is missing, in ``__setstate__``."""
    added = {"maximize", "foreach", "capturable", "differentiable", "fused"}
    if not any(added & set(group) for group in state["param_groups"]):
        raise Unsupported("has none of the options that torch.optim has added over the years")
    groups = [{name: value for name, value in group.items() if name not in added} for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def _with_moments(state: Any, shapes: Sequence[Any], change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The state with every tensor changed that has the shape of its parameter."""
    changed: dict[Any, dict[str, Any]] = {}
    for number, kept in state["state"].items():
        fits = {name for name, each in kept.items() if torch.is_tensor(each) and each.shape == shapes[number]}
        changed[number] = {name: change(each) if name in fits else each for name, each in kept.items()}
        if not fits:
            raise Unsupported("its state holds nothing in the shape of the parameter")
    return {**state, "state": changed}


CHANGES: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "wider": _widened,
    "without options": _without_options,
    **{how: functools.partial(_with_moments, change=change) for how, change in RESHAPED.items()},
}
"""Changes of a state_dict, whose parameters have these shapes, by the way of saving; see `OptimizerProblem`."""
