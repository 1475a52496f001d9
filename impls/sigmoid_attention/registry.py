"""Every implementation of sigmoid attention that a run tests by default: ours, the published ones, and softmax baselines."""

from __future__ import annotations

from typing import Any

from impls.implementation import Implementation, Origin

LOW = ("float16", "bfloat16")
FLOATS = ("float32", *LOW)
EVERYWHERE = ("cpu", "cuda")
BASIC = frozenset({"backward", "bias", "scale", "causal", "rectangular", "strides"})
WITHOUT_MASKS = BASIC | {"bias_gradient", "alibi", "slope_gradient", "gqa", "value_dim", "odd_head_dim", "unaligned"}
EVERYTHING = WITHOUT_MASKS | {"window", "key_lengths", "packed"}

_SDPA = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html"
_FLASH_ATTN = "https://github.com/Dao-AILab/flash-attention"


def _listed(slug: str, target: str, summary: str, **fields: Any) -> Implementation:
    """A record on torch, in 32 and 16 bits, on either device, of every feature, where ``fields`` do not say otherwise."""
    defaults: dict[str, Any] = {
        "protocol": "torch", "requires": ("torch",), "dtypes": FLOATS, "devices": EVERYWHERE, "features": EVERYTHING,
    }  # fmt: skip
    return Implementation(
        name=f"sigmoid_attention/{slug}",
        system="sigmoid_attention",
        target=f"impls.sigmoid_attention.{target}",
        summary=summary,
        **{**defaults, **fields},
    )


def _published(slug: str, module: str, summary: str, distribution: str, **fields: Any) -> Implementation:
    """Other people's, on CUDA alone where ``fields`` do not say otherwise."""
    return _listed(
        slug,
        f"adapters.{module}:attention",
        summary,
        origin=Origin("package", distribution),
        **{"devices": ("cuda",), **fields},
    )


def _speed_baseline(slug: str, summary: str, **fields: Any) -> Implementation:
    return _listed(
        slug,
        f"adapters.softmax:{slug.removeprefix('softmax-').replace('-', '_')}",
        f"Softmax, not sigmoid: {summary}; a speed baseline.",
        features=frozenset({"backward", "bias", "causal"}),
        **{"devices": ("cuda",), "documentation": _SDPA, "settings": {"speed_baseline": "softmax attention"}, **fields},
    )


def _flash_attn(version: int, module: str, distribution: str, summary: str, installing: str) -> Implementation:
    return _speed_baseline(
        f"softmax-flash-attn-{version}",
        summary,
        requires=("torch", module),
        dtypes=LOW,
        settings={"speed_baseline": "softmax attention", "layout": "BNHD"},
        origin=Origin("package", distribution),
        documentation=_FLASH_ATTN,
        installing=installing,
    )


IMPLEMENTATIONS: tuple[Implementation, ...] = (
    _listed(
        "numpy",
        "numpy_attention:attention",
        "NumPy at working precision, in small steps: the readable one, and what the mutants are made of.",
        protocol="numpy",
        requires=(),
        dtypes=("float64", *FLOATS),
        devices=("cpu",),
    ),
    _listed(
        "numpy-tanh",
        "numpy_tanh:attention",
        "NumPy with the hardware's approximate tanh, emulated at its documented worst: most fast kernels' way.",
        protocol="numpy",
        requires=(),
        devices=("cpu",),
        numerical_class="fused-tanh",
    ),
    _listed(
        "torch-eager",
        "torch_eager:attention",
        "Plain torch with float32 scores in memory: what one would write first.",
        dtypes=("float64", *FLOATS),
    ),
    _listed(
        "torch-blocked",
        "torch_blocked:attention",
        "Plain torch in tiles that stay in cache, backward by recomputation; the path for a CPU.",
        dtypes=("float64", *FLOATS),
        features=EVERYTHING | {"long"},
        documentation="docs/sigmoid-attention.md",
    ),
    _listed(
        "native",
        "native:attention",
        "C++ for the CPU, compiled at its first call: products and activation of a tile in registers and cache.",
        devices=("cpu",),
        features=EVERYTHING | {"long"},
        documentation="docs/sigmoid-attention.md",
        slow_start="a C++ compiler runs once on each machine",
    ),
    _listed(
        "auto",
        "api:sigmoid_attention",
        "The public call, which picks a backend: on a CPU native (torch-blocked without a compiler), on CUDA triton.",
        dtypes=("float64", *FLOATS),
        features=EVERYTHING | {"long"},
        documentation="docs/sigmoid-attention.md",
    ),
    _listed(
        "flex-attention",
        "torch_flex:attention",
        "torch's flex_attention: softmax of log-sigmoid times its row sum; compiled on a CUDA device alone.",
        numerical_class="renormalised",
        settings={
            "cpu_dtypes": ("float32",),
            "untimed_on_cpu": "flex_attention is made to be compiled, and runs unfused here: no speed",
        },
        documentation="https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html",
        slow_start="torch.compile runs a compiler for each kind of mask",
    ),
    _listed(
        "triton",
        "triton_kernels:attention",
        "Triton kernels, forward and backward, with a sigmoid of relative accuracy; interpreted on a CPU.",
        requires=("torch", "triton"),
        settings={"interpreted_on_cpu": True},
        features=EVERYTHING | {"long"},
    ),
    _listed(
        "triton-hopper",
        "triton_hopper:attention",
        "Triton for Hopper, forward and backward: bulk copies, specialised warps; D to 128. Never run on a GPU.",
        requires=("torch", "triton"),
        settings={"interpreted_on_cpu": True},
        dtypes=LOW,
        # Gradients of bias and slopes are the generic kernels', and under slopes some of k and v: see its backward().
        features=WITHOUT_MASKS,
        documentation="docs/sigmoid-attention.md",
    ),
    _listed(
        "triton-gluon",
        "triton_gluon:attention",
        "Gluon for Hopper: products run under the activation; gradients above D 64 are triton's. Never run on a GPU.",
        requires=("torch", "triton"),
        dtypes=LOW,
        devices=("cuda",),
        # Key lengths at head dims up to 128.
        features=WITHOUT_MASKS | {"window", "key_lengths"},
        documentation="docs/sigmoid-attention.md",
    ),
    _speed_baseline("softmax-fused", "torch's flash backend, FlashAttention-2 on a CUDA device", devices=EVERYWHERE),
    _speed_baseline("softmax-cudnn", "torch's cuDNN backend"),
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
    _published(
        "x-transformers",
        "x_transformers",
        "x-transformers, Attend(sigmoid=True): eager, in the input dtype, without a bias.",
        "x-transformers",
        requires=("torch", "x_transformers"),
        devices=EVERYWHERE,
        features=BASIC - {"bias"} | {"gqa", "key_lengths", "value_dim", "odd_head_dim", "unaligned"},
        numerical_class="materialised",
        documentation="https://github.com/lucidrains/x-transformers",
    ),
    _published(
        "triton-sigmoid",
        "triton_sigmoid",
        "triton-sigmoid with its default activation, the hardware's approximate tanh; CUDA only.",
        "triton-sigmoid",
        requires=("torch", "triton", "triton_sigmoid"),
        features=BASIC | {"key_lengths"},
        numerical_class="fused-tanh",
        settings={"layout": "BNHD"},
        documentation="https://github.com/MSDLLCpapers/triton-sigmoid",
        slow_start="it tunes and compiles its kernels on first use",
    ),
    _published(
        "flashinfer",
        "flashinfer",
        "FlashInfer's prefill kernels with a sigmoid variant, as its own tests have; forward, CUDA only.",
        "flashinfer-python",
        requires=("torch", "flashinfer"),
        dtypes=LOW,
        features=BASIC - {"backward"} | {"gqa", "packed"},
        settings={"layout": "BNHD"},
        documentation="https://docs.flashinfer.ai",
        installing="python -m pip install flashinfer-python (it compiles with nvcc on first use)",
        slow_start="it compiles a kernel for each head dim and dtype on first use",
    ),
    _published(
        "flash-sigmoid",
        "apple",
        "FlashSigmoid, the paper's own kernel, where somebody has built it; CUDA only.",
        "flash_sigmoid",
        requires=("torch", "flash_sigmoid"),
        dtypes=LOW,
        features=BASIC | {"window", "alibi", "gqa"},
        numerical_class="fused-tanh",
        settings={"layout": "BNHD"},
        documentation="https://github.com/apple/ml-sigmoid-attention",
        installing="git clone https://github.com/apple/ml-sigmoid-attention && "
        "python -m pip install --no-build-isolation ./ml-sigmoid-attention/flash_sigmoid (it needs nvcc)",
    ),
)
