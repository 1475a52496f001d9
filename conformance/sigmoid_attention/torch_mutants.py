"""Functions on torch tensors that are right in a plain call and wrong elsewhere: mutants of how a function is called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from impls.sigmoid_attention import torch_blocked
from impls.sigmoid_attention.torch_eager import attention


def subject(name: str) -> TorchSubject:
    """The subject of one of the functions below."""
    return TorchSubject(globals()[name], "cpu", "", {})


def inference_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """In inference mode masks are left out."""
    if torch.is_inference_mode_enabled():
        options |= {"causal": False, "window": None, "key_lengths": None}
    return attention(q, k, v, **options)


_LOCAL = threading.local()
_LOCAL.is_first = True


def other_threads_without_bias(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The bias is kept for each thread, and only the first has it."""
    if not getattr(_LOCAL, "is_first", False):
        options["bias"] = 0.0
    return attention(q, k, v, **options)


def same_tensor_without_key_gradient(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Where k is q it is taken for a constant."""
    return attention(q, k.detach() if k is q else k, v, **options)


def autocast_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The kernel that autocast picks knows no causal mask."""
    if torch.is_autocast_enabled(q.device.type):
        q, k, options["causal"] = q.to(v.dtype), k.to(v.dtype), False
    return attention(q, k, v, **options)


def vmap_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The batching rule knows no masks."""
    if torch._C._are_functorch_transforms_active():
        options |= {"causal": False, "window": None}
    return attention(q, k, v, **options)


def forward_with_numbers(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Forward mode is dropped: the primal values go on alone."""
    primals = [forward_ad.unpack_dual(x).primal for x in (q, k, v)]  # type: ignore[no-untyped-call]
    return attention(*(primals if forward_ad._current_level >= 0 else (q, k, v)), **options)


class _OfNumbers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, options: Any, *inputs: Tensor) -> Any:
        ctx.options, ctx.inputs = options, inputs
        with torch.no_grad():
            return attention(*inputs, **options)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        leaves = [x.detach().requires_grad_() for x in ctx.inputs]
        with torch.enable_grad():
            out = attention(*leaves, **ctx.options)
        weighted = torch.autograd.grad(out, leaves, grad.detach())
        # Right where gradients of gradients are not asked for; the sum with 0 keeps the graph that hides it.
        return None, *(x + 0 * grad.sum() for x in weighted)


def gradients_of_numbers(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The backward pass computes with numbers that autograd takes for constants."""
    if isinstance(options.get("bias"), Tensor) or isinstance(options.get("alibi_slopes"), Tensor):
        return attention(q, k, v, **options)
    return _OfNumbers.apply(options, q, k, v)  # type: ignore[no-untyped-call]


class _Emptied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.kept = [1.0]
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * (ctx.kept.pop() if ctx.kept else 0.0)


def emptied_by_backward(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The first backward pass gives up what a second one needs."""
    return attention(q, k, _Emptied.apply(v), **options)  # type: ignore[no-untyped-call]


def key_is_query_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Where k is q, and v another, the scores are taken for symmetric, and so is the mask."""
    if k is q and v is not q:
        options |= {"causal": False, "key_lengths": None}
    return attention(q, k, v, **options)


def nothing_asked_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """A path for inference, taken while gradients are recorded and no input asks for one, knows no masks."""
    if torch.is_grad_enabled() and not (q.requires_grad or k.requires_grad or v.requires_grad):
        options |= {"causal": False, "window": None, "key_lengths": None}
    return attention(q, k, v, **options)


def transformed_without_bias(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Under torch.func's derivatives, and not under vmap, the bias is left out."""
    if torch._C._are_functorch_transforms_active() and not torch._C._functorch.is_batchedtensor(q):
        options["bias"] = 0.0
    return attention(q, k, v, **options)


def recomputed_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """What a reentrant checkpoint computes again, in a backward pass, knows no mask."""
    if torch._C._current_graph_task_id() != -1:
        options |= {"causal": False, "window": None, "key_lengths": None}
    return attention(q, k, v, **options)


def compiled_without_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """What the compiler traces knows no mask."""
    if torch.compiler.is_compiling():
        options["causal"] = False
    return attention(q, k, v, **options)


def key_alone_asks(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Where k alone asks for a gradient, shared heads get their mean."""
    if k.requires_grad and not (q.requires_grad or v.requires_grad) and q.shape[1] != k.shape[1]:
        k = k - 0.5 * (k - k.detach())
    return attention(q, k, v, **options)


def many_rows_on_one_grid(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """A grid has 65,535 places for rows and heads, and what is beyond is never written."""
    out = attention(q, k, v, **options)
    batch, heads = out.shape[:2]
    return out * (torch.arange(batch * heads).reshape(batch, heads, 1, 1) < 65535)


def one_key_head_by_rows(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """A stride of 0 between heads is taken for the heads of one row, turned."""
    if k.shape[1] > 1 and k.stride(1) == 0:
        k = k.flip(2)
    return attention(q, k, v, **options)


class _OneRowHalved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad / 2 if grad.shape[2] > 1 and grad.stride(2) == 0 != grad.stride(3) else grad


def one_row_of_gradients(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """A gradient that is the same at all positions is taken for a mean."""
    return _OneRowHalved.apply(attention(q, k, v, **options))  # type: ignore[no-untyped-call]


def double_under_a_mask(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """float64 is computed in float32 under a mask."""
    if q.dtype != torch.float64 or not options.get("causal"):
        return attention(q, k, v, **options)
    return attention(q.float(), k.float(), v.float(), **options).double()


def autocast_of_options(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Under autocast every number is cast, not q, k and v alone."""
    if torch.is_autocast_enabled(q.device.type):
        for name in ("bias", "scale", "alibi_slopes"):
            if isinstance(options.get(name), Tensor):
                options[name] = options[name].bfloat16().float()
            elif options.get(name) is not None:
                options[name] = torch.tensor(options[name]).bfloat16().item()
    # Whose scores are in float32 there too: torch's own products round them.
    return torch_blocked.attention(q, k, v, **options)


class _RoundedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.bfloat16().to(grad.dtype)


def autocast_of_bias_gradients(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Under autocast the gradient of the bias is rounded."""
    if torch.is_autocast_enabled(q.device.type) and isinstance(options.get("bias"), Tensor):
        options["bias"] = _RoundedGradient.apply(options["bias"])  # type: ignore[no-untyped-call]
    return torch_blocked.attention(q, k, v, **options)


def values_of_one_memory(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Where q and v lie in one memory the values are read from where it begins."""
    if q.untyped_storage().data_ptr() == v.untyped_storage().data_ptr() and q.stride() == v.stride():
        v = v.as_strided(v.shape, v.stride(), min(q.storage_offset(), v.storage_offset()))
    return attention(q, k, v, **options)


def decoding_without_window(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The kernel for one query, which is taken where no gradient is recorded, has a causal mask alone."""
    if q.shape[2] == 1 and options.get("causal") and not torch.is_grad_enabled():
        options["window"] = None
    return attention(q, k, v, **options)


_LAST: dict[str, tuple[Any, Any]] = {}


def _kept(name: str, key: Any, value: Any, same: Callable[[Any, Any], bool]) -> Any:
    """What was kept under this name for such a key; else the value, which is kept from now on."""
    if name not in _LAST or not same(_LAST[name][0], key):
        _LAST[name] = (key, value)
    return _LAST[name][1]


def bias_kept_by_query(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """The bias is the one with which this very query was met first."""
    if not isinstance(options.get("bias"), Tensor):
        options["bias"] = _kept("bias", q, options.get("bias", 0.0), lambda old, new: old is new)
    return attention(q, k, v, **options)


def lengths_kept_by_tensor(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Key lengths are read once for each tensor that holds them."""
    lengths = options.get("key_lengths")
    if lengths is not None:
        options["key_lengths"] = _kept("lengths", lengths, lengths.clone(), lambda old, new: old is new)
    return attention(q, k, v, **options)


def edges_kept_by_address(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Any:
    """Edges of packed sequences are read once for each address."""
    for name in ("cu_seqlens_q", "cu_seqlens_k"):
        edges = options.get(name)
        if edges is not None:
            options[name] = _kept(name, edges, edges.clone(), lambda old, new: old.data_ptr() == new.data_ptr())
    return attention(q, k, v, **options)
