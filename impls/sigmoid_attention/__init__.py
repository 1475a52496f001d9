"""The implementations of sigmoid attention that are judged without being asked for: ours, and the published ones."""

from __future__ import annotations

from typing import Any

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
        "packed",
        "unaligned",
    }
)


_SDPA = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html"
_FLASH_ATTN = "https://github.com/Dao-AILab/flash-attention"


def _yardstick(slug: str, summary: str, devices: tuple[str, ...] = ("cuda",), **fields: Any) -> Implementation:
    return Implementation(
        name=f"sigmoid_attention/{slug}",
        system="sigmoid_attention",
        target=f"impls.sigmoid_attention.softmax_yardstick:{slug.removeprefix('softmax-').replace('-', '_')}",
        protocol="torch",
        summary=f"Softmax, not sigmoid: {summary}; a yardstick of speed.",
        devices=devices,
        features=frozenset({"backward", "bias", "causal"}),
        **{
            "requires": ("torch",),
            "dtypes": ("float32", "float16", "bfloat16"),
            "documentation": _SDPA,
            "settings": {"yardstick": "softmax attention"},
            **fields,
        },
    )


def _flash_attn(version: int, module: str, distribution: str, summary: str, installing: str) -> Implementation:
    return _yardstick(
        f"softmax-flash-attn-{version}",
        summary,
        requires=("torch", module),
        dtypes=("float16", "bfloat16"),
        settings={"yardstick": "softmax attention", "layout": "BNHD"},
        origin=Origin("package", distribution),
        documentation=_FLASH_ATTN,
        installing=installing,
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
        name="sigmoid_attention/numpy-tanh",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.numpy_tanh:attention",
        protocol="numpy",
        summary="NumPy with the hardware's approximate tanh, emulated at its documented worst: most fast kernels' way.",
        dtypes=("float32", "float16", "bfloat16"),
        features=_EVERYTHING,
        numerical_class="fused-tanh",
    ),
    Implementation(
        name="sigmoid_attention/torch-eager",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.torch_eager:attention",
        protocol="torch",
        summary="Plain torch with float32 scores in memory: what one would write first.",
        requires=("torch",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING,
    ),
    Implementation(
        name="sigmoid_attention/torch-blocked",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.torch_blocked:attention",
        protocol="torch",
        summary="Plain torch in tiles that stay in cache, backward by recomputation; the path for a CPU.",
        requires=("torch",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING | {"long"},
        documentation="docs/sigmoid-attention.md",
    ),
    Implementation(
        name="sigmoid_attention/auto",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.api:sigmoid_attention",
        protocol="torch",
        summary="The public call, which picks a backend: on a CPU torch-blocked, on a CUDA device triton.",
        requires=("torch",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING | {"long"},
        documentation="docs/sigmoid-attention.md",
    ),
    Implementation(
        name="sigmoid_attention/flex-attention",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.torch_flex:attention",
        protocol="torch",
        summary="torch's flex_attention: softmax of log-sigmoid times its row sum; compiled on a CUDA device alone.",
        requires=("torch",),
        dtypes=("float32", "float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING,
        numerical_class="renormalised",
        settings={
            "cpu_dtypes": ("float32",),
            "untimed_on_cpu": "flex_attention is made to be compiled, and runs unfused here: no speed",
        },
        documentation="https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html",
        slow_start="torch.compile runs a compiler for each kind of mask",
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
        features=_EVERYTHING | {"long"},
    ),
    Implementation(
        name="sigmoid_attention/triton-hopper",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.triton_hopper:attention",
        protocol="torch",
        summary="Triton for Hopper: tensor copies, warp specialisation; head dims 64 and 128. It has never run on a GPU.",
        requires=("torch", "triton"),
        settings={"interpreted_on_cpu": True},
        dtypes=("float16", "bfloat16"),
        devices=("cpu", "cuda"),
        features=frozenset({"backward", "bias", "scale", "causal", "rectangular", "gqa", "strides"}),
        documentation="docs/sigmoid-attention.md",
    ),
    _yardstick("softmax-fused", "torch's flash backend, FlashAttention-2 on a CUDA device", ("cpu", "cuda")),
    _yardstick("softmax-cudnn", "torch's cuDNN backend"),
    _flash_attn(
        2,
        "flash_attn",
        "flash-attn",
        "FlashAttention-2 as its own package has it",
        "python -m pip install --no-build-isolation flash-attn (it compiles for a long time)",
    ),
    _flash_attn(
        3,
        "flash_attn_interface",
        "flash_attn_3",
        "FlashAttention-3, for Hopper",
        f"git clone {_FLASH_ATTN} && python -m pip install --no-build-isolation ./flash-attention/hopper",
    ),
    _flash_attn(
        4,
        "cutlass",  # its own module, flash_attn.cute, cannot be looked for without an import of what lies above it
        "flash-attn-4",
        "FlashAttention-4, in the CuTe DSL",
        "python -m pip install --pre flash-attn-4",
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
                "unaligned",
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
    Implementation(
        name="sigmoid_attention/flashinfer",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.flashinfer:attention",
        protocol="torch",
        summary="FlashInfer's prefill kernels with a sigmoid variant, as its own tests have; forward, CUDA only.",
        requires=("torch", "flashinfer"),
        dtypes=("float16", "bfloat16"),
        devices=("cuda",),
        features=frozenset({"bias", "scale", "causal", "rectangular", "gqa", "packed", "strides"}),
        settings={"layout": "BNHD"},
        origin=Origin("package", "flashinfer-python"),
        documentation="https://docs.flashinfer.ai",
        installing="python -m pip install flashinfer-python (it compiles with nvcc on first use)",
        slow_start="it compiles a kernel for each head dim and dtype on first use",
    ),
    Implementation(
        name="sigmoid_attention/flash-sigmoid",
        system="sigmoid_attention",
        target="impls.sigmoid_attention.apple:attention",
        protocol="torch",
        summary="FlashSigmoid, the paper's own kernel, where somebody has built it; CUDA only.",
        requires=("torch", "flash_sigmoid"),
        dtypes=("float16", "bfloat16"),
        devices=("cuda",),
        features=frozenset({"backward", "bias", "scale", "causal", "rectangular", "window", "alibi", "gqa", "strides"}),
        numerical_class="fused-tanh",
        settings={"layout": "BNHD"},
        origin=Origin("package", "flash_sigmoid"),
        documentation="https://github.com/apple/ml-sigmoid-attention",
        installing="git clone https://github.com/apple/ml-sigmoid-attention && "
        "python -m pip install --no-build-isolation ./ml-sigmoid-attention/flash_sigmoid (it needs nvcc)",
    ),
)
