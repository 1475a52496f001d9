"""One differentiable torch operator from a forward and a backward function, so that both work under torch.compile.

An operator of `torch.library` is opaque to the compiler, which learns shapes and dtypes from its fakes; nothing in it is
traced, so loops and launches stay as they are. It takes numbers and tensors alone: the options are laid out flat for it.

A kernel knows its first derivative. Everything beyond (second derivatives, forward mode, `torch.func`) goes through plain
torch with the scores in memory, which has all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from impls.sigmoid_attention import torch_eager
from impls.sigmoid_attention.flops import count_in_active_counters
from impls.sigmoid_attention.options import AttentionOptions
from impls.sigmoid_attention.validation import Attend, check

GradientTensors = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Of q, k, v, bias and slopes."""
AttendBackward = Callable[[Tensor, Tensor, Tensor, Tensor, AttentionOptions, bool, bool], GradientTensors]


def operator(name: str, forward: Attend, backward: AttendBackward) -> Attend:
    """Register ``gaugeblock::name`` and its backward pass; return the function of q, k, v and options that calls it.

    ``forward(q, k, v, options)`` gives the output in q's dtype, contiguous. ``backward(grad, q, k, v, options, wants_bias,
    wants_slopes)`` gives the gradients of q, k, v, bias and slopes, contiguous; of the last two an empty tensor where it is
    not wanted. Both get a scale, a window and edges of the keys in every case where they have a meaning.
    """

    def forward_once_checked(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
        check(q, k, v, options)  # a compiler that traced the call could not, and the operator may be called by its name
        return forward(q, k, v, options)

    forward_op, backward_op = _on_flat_options(forward_once_checked, backward)
    registered: Any = torch.library.custom_op(f"gaugeblock::{name}", forward_op, mutates_args=())
    registered_backward: Any = torch.library.custom_op(f"gaugeblock::{name}_backward", backward_op, mutates_args=())
    registered.register_fake(_fake_output)
    registered_backward.register_fake(_fake_gradients)
    registered.register_autograd(functools.partial(_differentiate, registered_backward), setup_context=_remember)
    packets = (getattr(torch.ops.gaugeblock, name), getattr(torch.ops.gaugeblock, f"{name}_backward"))
    direct = _without_dispatcher(*_on_flat_options(forward, backward))

    def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
        if is_transformed():
            return torch_eager.attend(q, k, v, options)
        number, tensor = (0.0, options.bias) if isinstance(options.bias, Tensor) else (float(options.bias), None)
        cu_q, cu_k = options.cu_seqlens_q, options.cu_seqlens_k
        given = tensor, options.alibi_slopes, options.key_lengths, cu_q, cu_q if cu_k is None else cu_k
        inputs = (q, k, v, *given, number, options.scale_for(q.shape[3]), options.left, options.right)
        if _is_plain_call(q, k, v):
            return direct(*inputs)  # type: ignore[no-any-return]
        if not torch.compiler.is_compiling():
            count_in_active_counters(*packets)
        return registered(*inputs)  # type: ignore[no-any-return]

    return attend


def _on_flat_options(forward: Attend, backward: AttendBackward) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward_op(
        q: Tensor, k: Tensor, v: Tensor, bias_tensor: Tensor | None, slopes: Tensor | None, lengths: Tensor | None,
        cu_q: Tensor | None, cu_k: Tensor | None, bias: float, scale: float, left: int, right: int,
    ) -> Tensor:  # fmt: skip
        return forward(q, k, v, _options(bias_tensor, slopes, lengths, cu_q, cu_k, bias, scale, left, right))

    def backward_op(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias_tensor: Tensor | None, slopes: Tensor | None,
        lengths: Tensor | None, cu_q: Tensor | None, cu_k: Tensor | None, bias: float, scale: float, left: int, right: int,
        wants_bias: bool, wants_slopes: bool,
    ) -> GradientTensors:  # fmt: skip
        options = _options(bias_tensor, slopes, lengths, cu_q, cu_k, bias, scale, left, right)
        return backward(grad, q, k, v, options, wants_bias, wants_slopes)

    # The decorator reads the types, which are text in this module.
    for function in (forward_op, backward_op):
        function.__annotations__ = {key: _TYPES[text] for key, text in function.__annotations__.items()}
    return forward_op, backward_op


def _options(
    bias_tensor: Tensor | None, slopes: Tensor | None, lengths: Tensor | None, cu_q: Tensor | None, cu_k: Tensor | None,
    bias: float, scale: float, left: int, right: int,
) -> AttentionOptions:  # fmt: skip
    return AttentionOptions(
        bias=bias if bias_tensor is None else bias_tensor, scale=scale, window=(left, right), alibi_slopes=slopes,
        key_lengths=lengths, cu_seqlens_q=cu_q, cu_seqlens_k=cu_k,
    )  # fmt: skip


def _fake_output(q: Tensor, k: Tensor, v: Tensor, *options: Any) -> Tensor:
    return q.new_empty((*q.shape[:3], v.shape[3]))


def _fake_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, bias_tensor: Any, slopes: Any, *options: Any
) -> GradientTensors:
    wants_bias, wants_slopes = options[-2:]
    nothing = q.new_empty(0)
    return (
        q.new_empty(q.shape),
        k.new_empty(k.shape),
        v.new_empty(v.shape),
        bias_tensor.new_empty(bias_tensor.shape) if wants_bias else nothing,
        slopes.new_empty(slopes.shape) if wants_slopes else nothing.clone(),
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:8])
    ctx.numbers = inputs[8:]


def _differentiate(through: Callable[..., GradientTensors], ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    # Gradients are enabled here where those of the gradients will be asked for.
    if torch.is_grad_enabled() or is_transformed() or torch._C._functorch.is_legacy_batchedtensor(grad):
        return _differentiate_again(ctx, grad)
    wants_bias, wants_slopes = ctx.needs_input_grad[3], ctx.needs_input_grad[4]
    dq, dk, dv, dbias, dslopes = through(grad, *ctx.saved_tensors, *ctx.numbers, wants_bias, wants_slopes)
    return dq, dk, dv, dbias if wants_bias else None, dslopes if wants_slopes else None, *(None,) * 7


def _differentiate_again(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    """The same gradients by plain torch, which can be differentiated in their turn, and batched."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Names of their own: one input may be computed from another, or be the same tensor.
        inputs: Any = [None if x is None else x.view_as(x) for x in ctx.saved_tensors[:5]]
        q, k, v, bias, slopes = inputs
        options = _options(bias, slopes, *ctx.saved_tensors[5:], *ctx.numbers)
        out = torch_eager.attend(q, k, v, options)
        wanted = [x for x, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
        found = iter(torch.autograd.grad(out, wanted, grad, create_graph=create_graph))
    return *(next(found) if needed else None for needed in ctx.needs_input_grad[:5]), *(None,) * 7


def _without_dispatcher(forward_op: Callable[..., Tensor], backward_op: Callable[..., GradientTensors]) -> Callable[..., Any]:
    class Direct(torch.autograd.Function):
        """The same two functions without the dispatcher between."""

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            _remember(ctx, inputs, inputs[0])
            return forward_op(*inputs)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
            return _differentiate(backward_op, ctx, grad)

    apply: Callable[..., Any] = Direct.apply
    return apply


def _is_plain_call(*tensors: Tensor) -> bool:
    """Whether the call is a plain one: then the dispatcher, which takes five times as long as autograd alone, is spared."""
    return (
        not torch.compiler.is_compiling()
        and all(type(x) in (Tensor, torch.nn.Parameter) for x in tensors)
        and torch._C._len_torch_dispatch_stack() == 0
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # a compiler guards what is asked here by itself
def is_transformed() -> bool:
    """Whether the call is inside a transform of `torch.func`, or of forward-mode differentiation."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


_TYPES: dict[str, Any] = {
    "Tensor": Tensor,
    "Tensor | None": Tensor | None,
    "float": float,
    "int": int,
    "bool": bool,
    "GradientTensors": GradientTensors,
}
