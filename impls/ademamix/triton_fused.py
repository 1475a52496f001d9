"""AdEMAMix in one Triton kernel: each element is read once and written once, 36 bytes per float32 parameter.

Where torch sees no CUDA device the kernel runs in Triton's interpreter. There bfloat16 conversions truncate instead of
rounding, so bfloat16 parameters are refused.
"""

from __future__ import annotations

from typing import Any

import torch

from impls._triton import interpreted, load_triton
from impls.ademamix import torch_eager
from impls.contract import Unsupported

triton: Any = load_triton()
tl: Any = triton.language

_BLOCK = 1024


@triton.jit
def _kernel(  # type: ignore[no-untyped-def]
    theta_ptr,
    g_ptr,
    m1_ptr,
    m2_ptr,
    nu_ptr,
    count,
    lr,
    weight_decay,
    eps,
    alpha,
    beta1,
    beta2,
    beta3,
    gain1,
    gain2,
    gain3,
    correction1,
    correction2,
    HAS_FAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    theta = tl.load(theta_ptr + at, mask=inside, other=0.0).to(tl.float32)
    g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
    m2 = beta3 * tl.load(m2_ptr + at, mask=inside, other=0.0) + gain3 * g
    nu = beta2 * tl.load(nu_ptr + at, mask=inside, other=0.0) + gain2 * g * g
    fast = g
    if HAS_FAST:
        m1 = beta1 * tl.load(m1_ptr + at, mask=inside, other=0.0) + gain1 * g
        tl.store(m1_ptr + at, m1, mask=inside)
        fast = m1 / correction1
    direction = (fast + alpha * m2) / (tl.sqrt(nu / correction2) + eps)
    theta = theta - lr * (direction + weight_decay * theta)
    tl.store(theta_ptr + at, theta.to(theta_ptr.dtype.element_ty), mask=inside)
    tl.store(m2_ptr + at, m2, mask=inside)
    tl.store(nu_ptr + at, nu, mask=inside)


class AdEMAMix(torch_eager.AdEMAMix):
    """As `impls.ademamix.torch_eager.AdEMAMix`, for float32, float16 and bfloat16 parameters."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; Unsupported for dtypes that the kernel does not compute in."""
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.dtype == torch.float64:
                raise Unsupported("the kernel's scalars are float32; float64 parameters would not be computed in float64")
            if parameter.dtype == torch.bfloat16 and interpreted():
                raise Unsupported("Triton's interpreter truncates when it converts to bfloat16; this needs a CUDA device")

    def update(self, theta: torch.Tensor, g: torch.Tensor, state: dict[str, Any], s: torch_eager.Scalars) -> None:
        """One launch. Non-contiguous memory goes through contiguous copies, because the kernel walks memory in order."""
        count = theta.numel()
        if not count:
            return
        m2 = state["exp_avg_slow"]
        m1 = state.get("exp_avg_fast", m2)
        tensors = [theta, g, m1, m2, state["exp_avg_sq"]]
        flat = [tensor.contiguous() for tensor in tensors]
        with torch.cuda.device_of(theta):  # Triton launches on the current device, which need not be the tensor's
            _kernel[(triton.cdiv(count, _BLOCK),)](
                *flat, count, s.lr, s.weight_decay, s.eps, s.alpha, s.beta1, s.beta2, s.beta3, *s.gains,
                s.correction1, s.correction2, HAS_FAST=s.beta1 > 0, BLOCK=_BLOCK,
            )  # fmt: skip
        for number, (tensor, copied) in enumerate(zip(tensors, flat, strict=True)):
            if number != 1 and copied is not tensor:
                tensor.copy_(copied)
