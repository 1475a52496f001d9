"""The implementations of sigmoid attention that are judged without being asked for: ours, and the published ones."""

from __future__ import annotations

from impls.contract import Implementation, Origin

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
        summary="Plain torch with float32 scores in memory; the baseline of the speed figures.",
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
        summary="Triton kernels, forward and backward, with a sigmoid of relative accuracy; interpreted on a CPU.",
        requires=("torch", "triton"),
        settings={"interpreted_on_cpu": True},
        dtypes=("float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING,
    ),
    Implementation(
        name="sigmoid_attention/x-transformers",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.x_transformers:attention",
        protocol="torch",
        summary="x-transformers, Attend(sigmoid=True): eager, in the input dtype, without a bias.",
        requires=("torch", "x_transformers"),
        dtypes=("float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=frozenset(
            {
                "backward",
                "scale",
                "causal",
                "rectangular",
                "gqa",
                "key_lengths",
                "value_dim",
                "odd_head_dim",
                "strides",
            }
        ),
        numerical_class="materialised",
        origin=Origin("package", "x-transformers"),
        documentation="https://github.com/lucidrains/x-transformers",
    ),
    Implementation(
        name="sigmoid_attention/triton-sigmoid",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.triton_sigmoid:attention",
        protocol="torch",
        summary="triton-sigmoid with its default activation, the hardware's approximate tanh; CUDA only.",
        requires=("torch", "triton", "triton_sigmoid"),
        dtypes=("float32", "float16", "bfloat16"),
        devices=("cuda",),
        features=frozenset({"backward", "bias", "scale", "causal", "rectangular", "key_lengths", "strides"}),
        numerical_class="fused-tanh",
        settings={"layout": "BNHD"},
        origin=Origin("package", "triton-sigmoid"),
        documentation="https://github.com/MSDLLCpapers/triton-sigmoid",
        slow_start="it tunes and compiles its kernels on first use",
    ),
)
