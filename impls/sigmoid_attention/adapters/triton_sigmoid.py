"""triton-sigmoid (PyPI): its dense kernel, and its padded one where lengths differ; tensors (batch, length, heads, dim).

Its sigmoid is the hardware's approximate tanh unless TRITON_SIGMOID_ACCURATE=1 stands in the environment when it is first
imported; the record declares the default.
"""

from __future__ import annotations

import torch

from impls.implementation import NotRun, Unsupported


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    bias: float = 0.0,
    scale: float | None = None,
    causal: bool = False,
    key_lengths: torch.Tensor | None = None,
) -> torch.Tensor:
    """Its output, by the function that its documentation names for such inputs."""
    try:
        import triton_sigmoid
    except RuntimeError as error:
        raise NotRun(f"triton-sigmoid refuses to be imported: {error}") from error
    if causal and q.shape[1] != k.shape[1]:
        raise Unsupported("documents causal as j <= i, aligned at the top left, for unequal lengths too")
    options = {"is_causal": causal, "scale": scale, "sigmoid_bias": bias}
    output: torch.Tensor
    if key_lengths is None and q.shape[1] == k.shape[1]:
        output = triton_sigmoid.sigmoid_attention(q, k, v, **options)
    else:
        output = triton_sigmoid.sigmoid_attention_padded(q, k, v, seq_lens_k=key_lengths, **options)
    return output
