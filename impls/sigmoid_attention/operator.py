"""One differentiable torch operator from a forward and a backward function, so that both work under torch.compile.

`Options` is all that both functions need besides q, k and v. An operator of `torch.library` is opaque to the compiler, which
learns shapes and dtypes from its fakes; nothing in it is traced, so loops and launches stay as they are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FAR = 2**30
"""A side of a window that has no limit: larger than any length, and small enough that adding positions stays in 32 bits."""


@dataclass(frozen=True)
class Options:
    """The options in the form that both passes take: ``left`` and ``right`` are `FAR` where a side is open."""

    bias: float | Tensor
    slopes: Tensor | None
    lengths: Tensor | None
    cu_q: Tensor | None
    cu_k: Tensor | None
    scale: float
    left: int
    right: int


Forward = Callable[[Tensor, Tensor, Tensor, Options], Tensor]
Backward = Callable[[Tensor, Tensor, Tensor, Tensor, Options, bool, bool], tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]


def reach(causal: bool, window: tuple[int, int] | None) -> tuple[int, int]:
    """How far a query sees to the left and to the right of its own position."""
    left, right = window if window is not None else (-1, -1)
    left, right = left if left >= 0 else FAR, right if right >= 0 else FAR
    return left, min(right, 0) if causal else right


def operator(name: str, forward: Forward, backward: Backward) -> Callable[..., Tensor]:
    """Register ``gaugeblock::name`` and its backward pass; return the function that calls it.

    ``forward(q, k, v, options)`` gives the output in q's dtype, contiguous. ``backward(grad, q, k, v, options, wants_bias,
    wants_slopes)`` gives the gradients of q, k, v, bias and slopes, contiguous; of the last two an empty tensor where it is
    not wanted.
    """

    def forward_op(
        q: Tensor, k: Tensor, v: Tensor, bias_tensor: Tensor | None, slopes: Tensor | None, lengths: Tensor | None,
        cu_q: Tensor | None, cu_k: Tensor | None, bias: float, scale: float, left: int, right: int,
    ) -> Tensor:  # fmt: skip
        given = bias if bias_tensor is None else bias_tensor
        return forward(q, k, v, Options(given, slopes, lengths, cu_q, cu_k, scale, left, right))

    def backward_op(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias_tensor: Tensor | None, slopes: Tensor | None,
        lengths: Tensor | None, cu_q: Tensor | None, cu_k: Tensor | None, bias: float, scale: float, left: int, right: int,
        wants_bias: bool, wants_slopes: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        given = bias if bias_tensor is None else bias_tensor
        options = Options(given, slopes, lengths, cu_q, cu_k, scale, left, right)
        return backward(grad, q, k, v, options, wants_bias, wants_slopes)

    # The decorator reads the types, which stand as text in this module.
    for function in (forward_op, backward_op):
        function.__annotations__ = {key: _TYPES[text] for key, text in function.__annotations__.items()}
    forward_registered: Any = torch.library.custom_op(f"gaugeblock::{name}", forward_op, mutates_args=())
    backward_registered: Any = torch.library.custom_op(f"gaugeblock::{name}_backward", backward_op, mutates_args=())

    @forward_registered.register_fake
    def _(q: Tensor, k: Tensor, v: Tensor, *options: Any) -> Tensor:
        return q.new_empty((*q.shape[:3], v.shape[3]))

    @backward_registered.register_fake
    def _(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias_tensor: Any, slopes: Any, *options: Any
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        wants_bias, wants_slopes = options[-2:]
        nothing = q.new_empty(0)
        return (
            q.new_empty(q.shape),
            k.new_empty(k.shape),
            v.new_empty(v.shape),
            bias_tensor.new_empty(bias_tensor.shape) if wants_bias else nothing,
            slopes.new_empty(slopes.shape) if wants_slopes else nothing.clone(),
        )

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:8])
        ctx.numbers = inputs[8:]

    def differentiate(through: Any, ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        wants_bias, wants_slopes = ctx.needs_input_grad[3], ctx.needs_input_grad[4]
        dq, dk, dv, dbias, dslopes = through(grad, *ctx.saved_tensors, *ctx.numbers, wants_bias, wants_slopes)
        nothing = (None,) * 7
        return dq, dk, dv, dbias if wants_bias else None, dslopes if wants_slopes else None, *nothing

    registered = functools.partial(differentiate, backward_registered)
    forward_registered.register_autograd(registered, setup_context=remember)

    class Direct(torch.autograd.Function):
        """The same two functions without the dispatcher between."""

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            remember(ctx, inputs, inputs[0])
            return forward_op(*inputs)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
            return differentiate(backward_op, ctx, grad)

    def call(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        bias: float | Tensor = 0.0,
        scale: float | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        alibi_slopes: Tensor | None = None,
        key_lengths: Tensor | None = None,
        cu_seqlens_q: Tensor | None = None,
        cu_seqlens_k: Tensor | None = None,
    ) -> Tensor:
        left, right = reach(causal, window)
        number, tensor = (0.0, bias) if isinstance(bias, Tensor) else (float(bias), None)
        factor = 1 / math.sqrt(q.shape[3]) if scale is None else float(scale)
        cu_k = cu_seqlens_q if cu_seqlens_k is None else cu_seqlens_k
        inputs = (q, k, v, tensor, alibi_slopes, key_lengths, cu_seqlens_q, cu_k, number, factor, left, right)
        result: Tensor = Direct.apply(*inputs) if _nobody_watches(q, k, v) else forward_registered(*inputs)
        return result

    return call


def _nobody_watches(*tensors: Tensor) -> bool:
    """Whether the call is a plain one: then the dispatcher, which takes five times as long as autograd alone, is spared."""
    return (
        not torch.compiler.is_compiling()
        and all(type(x) in (Tensor, torch.nn.Parameter) for x in tensors)
        and torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
    )


_TYPES: dict[str, Any] = {
    "Tensor": Tensor,
    "Tensor | None": Tensor | None,
    "float": float,
    "int": int,
    "bool": bool,
    "tuple[Tensor, Tensor, Tensor, Tensor, Tensor]": tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
}
