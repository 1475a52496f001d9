"""Call a function of q, k and v where users of torch call it: checkpointed, under autocast, in a thread, compiled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from conformance.sigmoid_attention.harness.problem import ONE_TENSOR
from impls.implementation import Unsupported, in_one_line

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Inputs = tuple[Tensor, Tensor, Tensor]

MAY_REFUSE = ("autocast", "autocast of 16 bits", "vmap", "vjp", "compiled")
"""Where an exception is a refusal: nobody promises that every function can be traced, batched or cast."""


def outcome_in(
    context: str, attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The output, and the gradients of ``leaves`` where there is one at the output. Unsupported where it is refused.

    ``context`` is one of ``inference``, ``nothing asked`` (gradients are recorded, and no input asks for one), ``autocast``
    (q and k in float32, v in bfloat16), ``autocast of 16 bits`` (all three as linear layers leave them there),
    ``checkpoint``, ``reentrant checkpoint``, ``backward()`` (of inputs that are computed, into ``grad``), ``backward twice``,
    ``two calls`` (half of the sum of both gradients), ``vmap`` (over the batch), ``vjp`` (of q, k and v), ``thread``,
    ``compiled`` and ``one memory`` (parts of one tensor, as a linear layer leaves them); or one of `ONE_TENSOR`, which is a
    plain call here.
    """
    try:
        return _IN[context](attend, inputs, leaves, grad)
    except Exception as error:
        if context not in MAY_REFUSE:
            raise
        raise Unsupported(f"refuses {context}: {in_one_line(str(error))}") from error


def _plain(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    with torch.set_grad_enabled(grad is not None):
        out = attend(*inputs)
    return out, () if grad is None else _gradients([out], leaves, grad)


def _gradients(outs: Sequence[Tensor], leaves: Sequence[Tensor], grad: Tensor, **options: Any) -> tuple[Tensor | None, ...]:
    if not outs[0].requires_grad:
        raise Unsupported("forward only: its output carries no gradient")
    same = [grad.to(outs[0].dtype)] * len(outs)
    return torch.autograd.grad(list(outs), list(leaves), same, allow_unused=True, **options)


def _inference(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    with torch.inference_mode():
        return attend(*inputs), ()


def _nothing_asked(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    with torch.enable_grad():
        return attend(*(x.detach() for x in inputs)), ()


def _autocast(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    def mixed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with torch.autocast(q.device.type, dtype=torch.bfloat16):
            return attend(q.float(), k.float(), v)

    return _plain(mixed, inputs, leaves, grad)


def _autocast_of_16_bits(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    def cast(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with torch.autocast(q.device.type, dtype=torch.bfloat16):
            return attend(q, k, v)

    return _plain(cast, inputs, leaves, grad)


def _checkpoint(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    return _plain(lambda q, k, v: checkpoint(attend, q, k, v, use_reentrant=False), inputs, leaves, grad)


def _backward_twice(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor) -> Any:
    out = attend(*inputs)
    _gradients([out], leaves, grad, retain_graph=True)
    return out, _gradients([out], leaves, grad)


def _two_calls(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor) -> Any:
    outs = [attend(*inputs), attend(*inputs)]
    return outs[1], tuple(None if x is None else x / 2 for x in _gradients(outs, leaves, grad))


def _vmap(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    def by_row(*batch: Tensor) -> Tensor:
        found: Tensor = torch.func.vmap(lambda q, k, v: attend(q[None], k[None], v[None])[0])(*batch)
        return found

    return _plain(by_row, inputs, leaves, grad)


def _thread(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(_plain(attend, inputs, leaves, grad))
        except BaseException as error:
            found.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    worker.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _vjp(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor) -> Any:
    out, pull, *_ = torch.func.vjp(attend, *(x.detach() for x in inputs))
    return out, pull(grad.to(out.dtype))


def _into_grad(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    out = attend(*(x.view_as(x) for x in inputs))
    if grad is not None:
        if not out.requires_grad:
            raise Unsupported("forward only: its output carries no gradient")
        torch.autograd.backward([out], [grad.to(out.dtype)])
    return out, tuple(leaf.grad for leaf in leaves)


def _reentrant(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    return _into_grad(lambda q, k, v: checkpoint(attend, q, k, v, use_reentrant=True), inputs, leaves, grad)


def _one_memory(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    return _plain(lambda *parts: attend(*torch.stack(parts, dim=3).unbind(3)), inputs, leaves, grad)


def _compiled(attend: Attend, inputs: Inputs, leaves: Sequence[Tensor], grad: Tensor | None) -> Any:
    torch._dynamo.reset()
    return _plain(torch.compile(attend, backend="aot_eager"), inputs, leaves, grad)


_IN: dict[str, Callable[..., tuple[Tensor, tuple[Tensor | None, ...]]]] = {
    "inference": _inference,
    "autocast": _autocast,
    "autocast of 16 bits": _autocast_of_16_bits,
    "nothing asked": _nothing_asked,
    "checkpoint": _checkpoint,
    "reentrant checkpoint": _reentrant,
    "backward()": _into_grad,
    "backward twice": _backward_twice,
    "two calls": _two_calls,
    "vmap": _vmap,
    "vjp": _vjp,
    "thread": _thread,
    "compiled": _compiled,
    "one memory": _one_memory,
    **dict.fromkeys(ONE_TENSOR, _plain),
}


def tangent(attend: Attend, inputs: Inputs, direction: Tensor) -> Tensor:
    """The output's derivative along a direction of q, by forward mode; 0 where the output carries none."""
    try:
        with forward_ad.dual_level():
            dual: Tensor = forward_ad.make_dual(inputs[0], direction)  # type: ignore[no-untyped-call]
            out = attend(dual, *inputs[1:])
            found: Tensor | None = forward_ad.unpack_dual(out).tangent  # type: ignore[no-untyped-call]
            return torch.zeros_like(out) if found is None else found
    except Exception as error:
        raise Unsupported(f"refuses forward mode: {in_one_line(str(error))}") from error


def second_derivatives(attend: Attend, inputs: Inputs, grad: Tensor, direction: Tensor) -> dict[str, Tensor]:
    """The gradients of ``sum(dQ * direction)`` with respect to q, k, v and ``grad``, the gradient at the output."""
    leaves = [x.requires_grad_() for x in (*inputs, grad)]
    try:
        out = attend(*inputs)
        (dq,) = torch.autograd.grad(out, leaves[:1], grad, create_graph=True)
        # Through every node, so that one which must not be gone through can say so.
        torch.autograd.backward([(dq * direction).sum()])
    except Exception as error:
        raise Unsupported(f"refuses a second derivative: {in_one_line(str(error))}") from error
    named = zip(("q", "k", "v", "grad"), leaves, strict=True)
    return {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in named}
