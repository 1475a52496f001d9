"""The implementations of AdEMAMix that are tested, at a glance: ours, then other people's, then earlier releases of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from impls.implementation import Implementation, Origin

_EVERYTHING = frozenset({
    "schedules", "separate-warmups", "beta1-zero", "weight-decay", "groups", "missing-gradients", "late-parameters",
    "state-round-trip", "switch", "strided", "moments",
})  # fmt: skip
_WITHOUT_SWITCH = _EVERYTHING - {"switch"}
_OUR_MOMENTS = {"m1": "exp_avg_fast", "m2": "exp_avg_slow", "nu": "exp_avg_sq"}
_MOMENTS = _OUR_MOMENTS | {"m1": "exp_avg"}

_NARROW = ("float32", "bfloat16", "float16")
_SIXTEEN_BITS = ("bfloat16", "float16")
_WIDE = ("float64", "float32")
_EVERY_DTYPE = ("float64", *_NARROW)
_COMPILER = "a C++ compiler runs, once per machine"
_ON_HOST = "it walks memory as a device would; its speed on a CPU means nothing"
_PYTORCH_OPTIMIZERS = "https://pytorch-optimizers.readthedocs.io/en/latest/optimizer/#pytorch_optimizer.AdEMAMix"
_BITSANDBYTES = "https://huggingface.co/docs/bitsandbytes/reference/optim/ademamix"


def _torch(slug: str, target: str, summary: str, *, dtypes: tuple[str, ...], **fields: Any) -> Implementation:
    """A torch.optim.Optimizer."""
    shared = {"requires": ("torch",), "devices": ("cpu", "cuda"), "features": _WITHOUT_SWITCH}
    return Implementation(
        name=f"ademamix/{slug}", system="ademamix", target=target, protocol="torch-optimizer", summary=summary, dtypes=dtypes,
        **{**shared, **fields},
    )  # fmt: skip


def _ours(
    slug: str, backend: str, summary: str, *, dtypes: tuple[str, ...] = _NARROW, arguments: Any = None, untimed: str = "",
    **fields: Any,
) -> Implementation:  # fmt: skip
    """Our optimizer, which is one class, with one of its backends; see `impls.ademamix.optimizer`."""
    settings: dict[str, Any] = {"arguments": {"backend": backend, **(arguments or {})}, "moments": _OUR_MOMENTS}
    if backend == "triton":
        settings["interpreted_on_cpu"] = True
        fields["requires"] = ("torch", "triton")
    if untimed:
        settings["untimed"] = untimed
    features = _EVERYTHING - ({"moments"} if fields.get("numerical_class") == "ratios-8bit" else set())
    target = "impls.ademamix.optimizer:AdEMAMix"
    return _torch(slug, target, summary, dtypes=dtypes, features=features, settings=settings, **fields)


def _packaged(
    slug: str, target: str, summary: str, documentation: str, *, dtypes: tuple[str, ...] = _WIDE, version: str | None = None,
    **fields: Any,
) -> Implementation:  # fmt: skip
    """Other people's, from a package; one with a ``version`` comes from a folder, see `impls.ademamix.adapters.releases`."""
    package = target.partition(":")[0].partition(".")[0]
    if version:
        target = f"impls.ademamix.adapters.releases:{package}_{version.replace('.', '_')}"
    else:
        fields["requires"] = ("torch", package)
    origin = Origin("package", package, version)
    return _torch(slug, target, summary, dtypes=dtypes, origin=origin, documentation=documentation, **fields)


_HERE: tuple[Implementation, ...] = (
    Implementation(
        name="ademamix/numpy", system="ademamix", target="impls.ademamix.numpy_optimizer:NumpyAdEMAMix", protocol="numpy",
        summary="NumPy, one method per line of the algorithm", dtypes=_EVERY_DTYPE, features=_EVERYTHING,
    ),
    _ours("torch-eager", "eager", "torch.optim.Optimizer, eager, float32 moments", dtypes=_EVERY_DTYPE),
    _ours(
        "torch-foreach", "foreach", "torch's multi-tensor functions, a few launches however many tensors", dtypes=_EVERY_DTYPE
    ),
    _ours(
        "torch-compile", "compiled", "the eager step compiled into one pass by torch.compile", dtypes=_EVERY_DTYPE,
        slow_start="torch.compile runs a compiler for each dtype",
    ),
    _ours("triton", "triton", "one fused Triton launch for a list of tensors (interpreted where there is no CUDA device)"),
    _ours(
        "triton-8bit", "triton", "the Triton kernel with block-wise 8-bit moments for tensors of at least 4096 elements",
        numerical_class="ratios-8bit", arguments={"state_dtype": "8bit"},
        slow_start="its moments show in large tensors only, which the interpreter takes long for",
    ),
    _ours(
        "cuda", "cuda", "CUDA C++, compiled for the device at the first step, one launch for a list of tensors",
        devices=("cuda",),
    ),
    _ours(
        "cuda-host", "cuda-host", "the very source of the CUDA kernel compiled for the host, to be judged without a device",
        devices=("cpu",), slow_start=_COMPILER, untimed=_ON_HOST,
    ),
    _ours(
        "cuda-host-8bit", "cuda-host", "the source of the CUDA kernel on the host, with block-wise 8-bit moments",
        devices=("cpu",), numerical_class="ratios-8bit", arguments={"state_dtype": "8bit"}, slow_start=_COMPILER,
        untimed=_ON_HOST,
    ),
    _ours(
        "cpu", "cpu", "C++, one pass over the memory, vectorised and threaded", devices=("cpu",), dtypes=_EVERY_DTYPE,
        slow_start=_COMPILER,
    ),
    _ours(
        "cpu-8bit", "cpu", "the C++ pass with block-wise 8-bit moments for tensors of at least 4096 elements",
        devices=("cpu",), numerical_class="ratios-8bit", arguments={"state_dtype": "8bit"}, slow_start=_COMPILER,
    ),
    _ours(
        "cpu-bfloat16-moments", "cpu", "the C++ pass with bfloat16 moments", devices=("cpu",),
        numerical_class="bfloat16-moments", arguments={"state_dtype": "bfloat16"}, slow_start=_COMPILER,
    ),
    _ours(
        "cpu-stochastic", "cpu", "the C++ pass, 16-bit parameters rounded stochastically", devices=("cpu",),
        dtypes=_SIXTEEN_BITS, numerical_class="stochastic-rounding", arguments={"stochastic_rounding": True},
        slow_start=_COMPILER,
    ),
    _ours(
        "cpu-bfloat16-moments-stochastic", "cpu",
        "the C++ pass with bfloat16 moments, which and 16-bit parameters are rounded stochastically", devices=("cpu",),
        numerical_class="bfloat16-moments-stochastic", arguments={"state_dtype": "bfloat16", "stochastic_rounding": True},
        slow_start=_COMPILER,
    ),
    Implementation(
        name="ademamix/optax",
        system="ademamix",
        target="optax.contrib:ademamix",
        protocol="optax",
        summary="optax.contrib.ademamix; Optax ships no schedules, so the paper's equations are given at its count + 1",
        requires=("jax", "optax"),
        features=_EVERYTHING - {"groups", "missing-gradients", "late-parameters", "strided"},
        numerical_class="float32-hyperparameters",
        settings={"moments": {"m1": "m1", "m2": "m2", "nu": "nu"}},
        origin=Origin("package", "optax"),
        documentation="https://optax.readthedocs.io/en/latest/api/contrib.html#ademamix",
        slow_start="XLA compiles every operation for every shape",
    ),
    _packaged(
        "pytorch-optimizer", "pytorch_optimizer:AdEMAMix",
        "pytorch_optimizer.AdEMAMix with weight_decouple=True; its default is coupled L2", _PYTORCH_OPTIMIZERS,
        features=_WITHOUT_SWITCH - {"separate-warmups"},
        settings={"arguments": {"weight_decouple": True}, "moments": _MOMENTS},
    ),
    _packaged(
        "pytorch-optimizer-defaults", "pytorch_optimizer:AdEMAMix",
        "pytorch_optimizer.AdEMAMix as constructed without weight_decouple", _PYTORCH_OPTIMIZERS,
        features=_WITHOUT_SWITCH - {"separate-warmups"}, settings={"moments": _MOMENTS},
    ),
    _packaged(
        "pytorch-optimizer-16bit", "pytorch_optimizer:AdEMAMix",
        "pytorch_optimizer.AdEMAMix on 16-bit parameters: moments and intermediates take their dtype", _PYTORCH_OPTIMIZERS,
        dtypes=_SIXTEEN_BITS, features=_WITHOUT_SWITCH - {"separate-warmups"}, numerical_class="parameter-dtype",
        settings={"arguments": {"weight_decouple": True}, "moments": _MOMENTS},
    ),
    _packaged(
        "bitsandbytes", "bitsandbytes.optim:AdEMAMix",
        "bitsandbytes.optim.AdEMAMix, 32-bit moments (optim_bits=32, its default)", _BITSANDBYTES, dtypes=_NARROW,
        features=_WITHOUT_SWITCH - {"moments"},
    ),
    _packaged(
        "bitsandbytes-32bit", "bitsandbytes.optim:AdEMAMix32bit",
        "bitsandbytes.optim.AdEMAMix32bit, the documented 32-bit class", _BITSANDBYTES, dtypes=_NARROW,
        features=_WITHOUT_SWITCH - {"moments"},
    ),
    _packaged(
        "bitsandbytes-8bit", "bitsandbytes.optim:AdEMAMix8bit",
        "bitsandbytes.optim.AdEMAMix8bit: block-wise 8-bit moments for tensors of at least 4096 elements", _BITSANDBYTES,
        dtypes=_NARROW, features=_WITHOUT_SWITCH - {"moments"}, numerical_class="blockwise-8bit",
    ),
    _packaged(
        "heavyball",
        "heavyball:AdEMAMix",
        "heavyball.AdEMAMix with compile_mode = None, its own switch",
        "https://github.com/HomebrewML/HeavyBall",
        dtypes=("float32",),
        features=_WITHOUT_SWITCH - {"moments"},
        numerical_class="float32-hyperparameters",
        settings={
            "start": "impls.ademamix.adapters.heavyball:start",
            "untimed": "HeavyBall is made to be compiled, and is run eagerly here; its speed would mean nothing",
        },
    ),
    _packaged(
        "holocron", "pylocron:AdEMAMix", "holocron.optim.AdEMAMix: L2 decay, no warm-ups",
        "https://frgfm.github.io/Holocron/latest/optim.html", version="0.3.0",
        features=_WITHOUT_SWITCH - {"schedules", "separate-warmups"}, settings={"moments": _MOMENTS},
    ),
    _packaged(
        "adv-optm", "adv_optm:AdamW_adv",
        "adv_optm.AdamW_adv with use_AdEMAMix=True, which releases after this one leave out: no warm-ups",
        "https://github.com/Koratahiu/Advanced_Optimizers", version="2.2.3",
        features=_WITHOUT_SWITCH - {"schedules", "separate-warmups"},
        settings={"arguments": {"use_AdEMAMix": True}, "names": {"beta3": "beta3_ema"}, "moments": _MOMENTS},
    ),
    _packaged(
        "zij", "zij:AdEMAMix", "zij.AdEMAMix, which is adapted from the code published with the paper",
        "https://junaidaliop.github.io/zij/math/ademamix/", version="0.1.1", settings={"moments": _OUR_MOMENTS},
    ),
    _packaged(
        "zij-16bit", "zij:AdEMAMix", "zij.AdEMAMix on 16-bit parameters: moments and intermediates take their dtype",
        "https://junaidaliop.github.io/zij/math/ademamix/", version="0.1.1", dtypes=_SIXTEEN_BITS,
        numerical_class="parameter-dtype", settings={"moments": _OUR_MOMENTS},
    ),
)  # fmt: skip


def _earlier(slug: str, versions: tuple[str, ...]) -> Iterator[Implementation]:
    """Other releases of a listed one, from folders of their own; see `impls.ademamix.adapters.releases`."""
    latest = next(each for each in _HERE if each.name == f"ademamix/{slug}")
    distribution = latest.origin.distribution or ""
    # What ``start`` does is done by the release's own switches; and who chooses by speed chooses the latest.
    kept = {name: value for name, value in latest.settings.items() if name != "start"}
    kept["untimed"] = "an earlier release; the latest one is timed"
    kept["dtypes_in_turn"] = True
    for version in versions:
        attribute = f"{distribution}_{version}".replace(".", "_")
        yield replace(
            latest,
            name=f"{latest.name}-{version}",
            target=f"impls.ademamix.adapters.releases:{attribute}",
            summary=f"{latest.summary}, release {version}",
            requires=("torch",),
            settings=kept,
            origin=Origin("package", distribution, version),
        )


IMPLEMENTATIONS: tuple[Implementation, ...] = (
    *_HERE,
    *_earlier("pytorch-optimizer", ("3.8.2", "3.9.0", "3.10.1", "3.11.0")),
    *_earlier("heavyball", ("2.3.1", "3.0.0", "3.1.1", "3.2.0")),
)
