"""The implementations of sigmoid attention that are judged without being asked for: ours, and the published ones."""

from __future__ import annotations

from impls.contract import Implementation

_EVERYTHING = frozenset(
    {
        "backward",
        "bias",
        "bias_gradient",
        "scale",
        "causal",
        "rectangular",
        "window",
        "alibi",
        "slope_gradient",
        "gqa",
        "key_lengths",
        "value_dim",
        "odd_head_dim",
        "strides",
    }
)

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    Implementation(
        name="sigmoid_attention/numpy",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.numpy_attention:attention",
        protocol="numpy",
        summary="NumPy at working precision, in small steps: the readable one, and what the planted bugs are made of.",
        dtypes=("float64", "float32", "float16", "bfloat16"),
        features=_EVERYTHING,
    ),
    Implementation(
        name="sigmoid_attention/torch-eager",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.torch_eager:attention",
        protocol="torch",
        summary="Plain torch with scores in float32 and the whole score matrix in memory; the baseline of the speed figures.",
        requires=("torch",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING,
    ),
    Implementation(
        name="sigmoid_attention/triton",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.triton_kernels:attention",
        protocol="torch",
        summary="Triton kernels, forward and backward, with a sigmoid of relative accuracy; interpreted where there is no GPU.",
        requires=("torch", "triton"),
        dtypes=("float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING,
    ),
)
