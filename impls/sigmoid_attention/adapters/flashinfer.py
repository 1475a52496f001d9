"""FlashInfer with a sigmoid in place of its softmax: a variant in CUDA C++ that its own compiler builds into its kernels.

FlashInfer ships no sigmoid attention as such. Its documented way to other attentions is a variant, a struct of hooks; its
tests write this one. The logits are the bare products q.k; what the hook returns is the weight, and pairs that a mask hides
get the weight 0 after it. Forward only. Tensors are (batch, length, heads, dim), which its ragged kernels take end to end.
The kernels for Hopper (``fa3``) and for what came before (``fa2``) take their parameters from different places.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from flashinfer import BatchPrefillWithRaggedKVCacheWrapper

from impls.implementation import Unsupported

HEAD_DIMS = (64, 128, 256)
WORKSPACE_BYTES = 128 * 2**20
"""What its documentation recommends."""

_WEIGHT = """
  REGISTER_LOGITS_TRANSFORM(params, logits, batch_idx, qo_idx, kv_idx, qo_head_idx, kv_head_idx, {
    const float exponent = float(logits) * scale_log2 + bias_log2;
    return math::ptx_rcp(1.f + math::ptx_exp2(-exponent));
  })
"""

VARIANTS: dict[str, str] = {
    "fa2": """
struct SigmoidWeights : AttentionVariantBase {
  static constexpr bool use_softmax = false;
  uint32_t qo_len, kv_len, window_left;
  float scale_log2, bias_log2;

  template <typename Params>
  __device__ __host__ SigmoidWeights(const Params& params, uint32_t batch_idx, uint8_t* smem_ptr) {
    qo_len = params.get_qo_len(batch_idx);
    kv_len = params.get_kv_len(batch_idx);
    window_left = kv_len;
    scale_log2 = params.score_scale * math::log2e;
    bias_log2 = params.score_bias * math::log2e;
  }
"""
    + _WEIGHT
    + """
  REGISTER_OUTPUT_TRANSFORM(params, output, batch_idx, qo_idx, qo_head_idx, m, d, scale, { return output; })
};
""",
    "fa3": """
struct SigmoidWeights : AttentionVariantBase {
  float scale_log2, bias_log2;

  template <typename MainloopParams, typename BlockCoord>
  __device__ __host__ SigmoidWeights(const MainloopParams& params, const BlockCoord& block_coord) {
    scale_log2 = params.additional_params.score_scale * math::log2e;
    bias_log2 = params.additional_params.score_bias * math::log2e;
  }

  template <int NUM_ROWS_PER_THREAD>
  __device__ auto GetAttentionUpdater() {
    return DefaultUpdater<NUM_ROWS_PER_THREAD>();
  }
"""
    + _WEIGHT
    + "};\n",
}
"""The struct for each of its backends."""


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
    bias: float = 0.0,
    causal: bool = False,
    cu_seqlens_q: torch.Tensor | None = None,
    cu_seqlens_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """The output (batch, length, heads, dim of v), float16 or bfloat16. Unsupported for head dims other than `HEAD_DIMS`."""
    batch, nq, heads, dim = q.shape
    _, nk, kv_heads, value_dim = v.shape
    if dim != value_dim or dim not in HEAD_DIMS:
        raise Unsupported(
            f"takes head dims {', '.join(map(str, HEAD_DIMS))}, the same for values; found {dim} and {value_dim}"
        )
    edges_q = tuple(cu_seqlens_q.tolist()) if cu_seqlens_q is not None else tuple(range(0, batch * nq + 1, nq))
    edges_k = tuple(cu_seqlens_k.tolist()) if cu_seqlens_k is not None else tuple(range(0, batch * nk + 1, nk))
    kernels = _planned(edges_q, edges_k, heads, kv_heads, dim, causal, q.dtype, q.device)
    rows: torch.Tensor = kernels.run(
        *(x.reshape(-1, *x.shape[2:]) for x in (q, k, v)), 1 / math.sqrt(dim) if scale is None else scale, float(bias)
    )
    return rows.reshape(batch, nq, heads, value_dim)


@functools.lru_cache(maxsize=4)  # as its users do: planned once, run layer after layer
def _planned(
    edges_q: tuple[int, ...],
    edges_k: tuple[int, ...],
    heads: int,
    kv_heads: int,
    dim: int,
    causal: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Any:
    backend = "fa3" if torch.cuda.get_device_capability(device)[0] == 9 else "fa2"
    name = f"gaugeblock_sigmoid_{backend}_{str(dtype).removeprefix('torch.')}_{dim}"
    scalars = ["score_scale", "score_bias"]
    kernels = BatchPrefillWithRaggedKVCacheWrapper(
        torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=device),
        kv_layout="NHD",
        backend=backend,
        jit_args=[
            *(name, dtype, dtype, dtype, torch.int32, dim, dim),
            *([], [], scalars, ["double"] * len(scalars), "SigmoidWeights", VARIANTS[backend]),
        ],
    )
    edges = (torch.tensor(edges, dtype=torch.int32) for edges in (edges_q, edges_k))
    kernels.plan(*edges, heads, kv_heads, dim, causal=causal, q_data_type=dtype, kv_data_type=dtype)
    return kernels
