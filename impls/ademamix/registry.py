"""The implementations of AdEMAMix that are judged, at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from impls.implementation import Implementation, Origin

_EVERYTHING = frozenset(
    {
        "schedules",
        "separate-warmups",
        "beta1-zero",
        "weight-decay",
        "groups",
        "missing-gradients",
        "late-parameters",
        "state-round-trip",
        "switch",
        "strided",
        "moments",
    }
)
_TORCH_MOMENTS = {"m1": "exp_avg_fast", "m2": "exp_avg_slow", "nu": "exp_avg_sq"}

_NARROW = ("float32", "bfloat16", "float16")
_COMPILER = "a C++ compiler runs, once per machine"


def _ours(
    slug: str,
    backend: str,
    summary: str,
    *,
    requires: tuple[str, ...] = ("torch",),
    dtypes: tuple[str, ...] = ("float64", *_NARROW),
    devices: tuple[str, ...] = ("cpu", "cuda"),
    numerical_class: str = "",
    arguments: Mapping[str, Any] | None = None,
    slow_start: str = "",
    untimed: str = "",
) -> Implementation:
    """Our optimizer, which is one class, with one of its backends; see `impls.ademamix.optimizer`."""
    settings: dict[str, Any] = {"arguments": {"backend": backend, **(arguments or {})}, "moments": _TORCH_MOMENTS}
    if backend == "triton":
        settings["interpreted_on_cpu"] = True
    if untimed:
        settings["untimed"] = untimed
    return Implementation(
        name=f"ademamix/{slug}",
        system="ademamix",
        target="impls.ademamix.optimizer:AdEMAMix",
        protocol="torch-optimizer",
        summary=summary,
        requires=requires,
        dtypes=dtypes,
        devices=devices,
        features=_EVERYTHING - ({"moments"} if numerical_class == "ratios-8bit" else set()),
        numerical_class=numerical_class,
        settings=settings,
        slow_start=slow_start,
    )


_HERE: tuple[Implementation, ...] = (
    Implementation(
        name="ademamix/numpy",
        system="ademamix",
        target="impls.ademamix.numpy_optimizer:AdEMAMix",
        protocol="numpy",
        summary="NumPy, one method per line of the algorithm",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        features=_EVERYTHING,
    ),
    _ours("torch-eager", "eager", "torch.optim.Optimizer, eager, float32 moments"),
    _ours("torch-foreach", "foreach", "torch's multi-tensor functions, a few launches however many tensors"),
    _ours(
        "torch-compile",
        "compiled",
        "the eager step compiled into one pass by torch.compile",
        slow_start="torch.compile runs a compiler for each dtype",
    ),
    _ours(
        "triton",
        "triton",
        "one fused Triton launch for a list of tensors (interpreted where there is no CUDA device)",
        requires=("torch", "triton"),
        dtypes=_NARROW,
    ),
    _ours(
        "triton-8bit",
        "triton",
        "the Triton kernel with block-wise 8-bit moments for tensors of at least 4096 elements",
        requires=("torch", "triton"),
        dtypes=_NARROW,
        numerical_class="ratios-8bit",
        arguments={"state_dtype": "8bit"},
        slow_start="its moments show in large tensors only, which the interpreter takes long for",
    ),
    _ours(
        "cuda",
        "cuda",
        "CUDA C++, compiled for the device at the first step, one launch for a list of tensors",
        devices=("cuda",),
        dtypes=_NARROW,
    ),
    _ours(
        "cuda-host",
        "cuda-host",
        "the very source of the CUDA kernel compiled for the host, to be judged without a device",
        devices=("cpu",),
        dtypes=_NARROW,
        slow_start=_COMPILER,
        untimed="it walks memory as a device would; its speed on a CPU means nothing",
    ),
    _ours(
        "cuda-host-8bit",
        "cuda-host",
        "the source of the CUDA kernel on the host, with block-wise 8-bit moments",
        devices=("cpu",),
        dtypes=_NARROW,
        numerical_class="ratios-8bit",
        arguments={"state_dtype": "8bit"},
        slow_start=_COMPILER,
        untimed="it walks memory as a device would; its speed on a CPU means nothing",
    ),
    _ours("cpu", "cpu", "C++, one pass over the memory, vectorised and threaded", devices=("cpu",), slow_start=_COMPILER),
    _ours(
        "cpu-8bit",
        "cpu",
        "the C++ pass with block-wise 8-bit moments for tensors of at least 4096 elements",
        devices=("cpu",),
        dtypes=_NARROW,
        numerical_class="ratios-8bit",
        arguments={"state_dtype": "8bit"},
        slow_start=_COMPILER,
    ),
    _ours(
        "cpu-bfloat16-moments",
        "cpu",
        "the C++ pass with bfloat16 moments",
        devices=("cpu",),
        dtypes=_NARROW,
        numerical_class="bfloat16-moments",
        arguments={"state_dtype": "bfloat16"},
        slow_start=_COMPILER,
    ),
    _ours(
        "cpu-stochastic",
        "cpu",
        "the C++ pass, 16-bit parameters rounded stochastically",
        devices=("cpu",),
        dtypes=("bfloat16", "float16"),
        numerical_class="stochastic-rounding",
        arguments={"stochastic_rounding": True},
        slow_start=_COMPILER,
    ),
    _ours(
        "cpu-bfloat16-moments-stochastic",
        "cpu",
        "the C++ pass with bfloat16 moments, which and 16-bit parameters are rounded stochastically",
        devices=("cpu",),
        dtypes=_NARROW,
        numerical_class="bfloat16-moments-stochastic",
        arguments={"state_dtype": "bfloat16", "stochastic_rounding": True},
        slow_start=_COMPILER,
    ),
    Implementation(
        name="ademamix/optax",
        system="ademamix",
        target="optax.contrib:ademamix",
        protocol="optax",
        summary="optax.contrib.ademamix; Optax ships no schedules, so the paper's equations are given at its count + 1",
        requires=("jax", "optax"),
        dtypes=("float32",),
        features=frozenset(
            {"schedules", "separate-warmups", "beta1-zero", "weight-decay", "state-round-trip", "switch", "moments"}
        ),
        numerical_class="float32-hyperparameters",
        settings={"moments": {"m1": "m1", "m2": "m2", "nu": "nu"}},
        origin=Origin("package", "optax"),
        documentation="https://optax.readthedocs.io/en/latest/api/contrib.html#ademamix",
        slow_start="XLA compiles every operation for every shape",
    ),
    Implementation(
        name="ademamix/pytorch-optimizer",
        system="ademamix",
        target="pytorch_optimizer:AdEMAMix",
        protocol="torch-optimizer",
        summary="pytorch_optimizer.AdEMAMix with weight_decouple=True; its default is coupled L2",
        requires=("torch", "pytorch_optimizer"),
        dtypes=("float64", "float32"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"separate-warmups", "switch"},
        settings={
            "arguments": {"weight_decouple": True},
            "moments": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"},
        },
        origin=Origin("package", "pytorch_optimizer"),
        documentation="https://pytorch-optimizers.readthedocs.io/en/latest/optimizer/#pytorch_optimizer.AdEMAMix",
    ),
    Implementation(
        name="ademamix/pytorch-optimizer-defaults",
        system="ademamix",
        target="pytorch_optimizer:AdEMAMix",
        protocol="torch-optimizer",
        summary="pytorch_optimizer.AdEMAMix as constructed without weight_decouple",
        requires=("torch", "pytorch_optimizer"),
        dtypes=("float64", "float32"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"separate-warmups", "switch"},
        settings={"moments": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"}},
        origin=Origin("package", "pytorch_optimizer"),
        documentation="https://pytorch-optimizers.readthedocs.io/en/latest/optimizer/#pytorch_optimizer.AdEMAMix",
    ),
    Implementation(
        name="ademamix/pytorch-optimizer-16bit",
        system="ademamix",
        target="pytorch_optimizer:AdEMAMix",
        protocol="torch-optimizer",
        summary="pytorch_optimizer.AdEMAMix on 16-bit parameters: moments and intermediates take their dtype",
        requires=("torch", "pytorch_optimizer"),
        dtypes=("bfloat16", "float16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"separate-warmups", "switch"},
        numerical_class="parameter-dtype",
        settings={
            "arguments": {"weight_decouple": True},
            "moments": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"},
        },
        origin=Origin("package", "pytorch_optimizer"),
        documentation="https://pytorch-optimizers.readthedocs.io/en/latest/optimizer/#pytorch_optimizer.AdEMAMix",
    ),
    Implementation(
        name="ademamix/bitsandbytes",
        system="ademamix",
        target="bitsandbytes.optim:AdEMAMix",
        protocol="torch-optimizer",
        summary="bitsandbytes.optim.AdEMAMix, 32-bit moments (optim_bits=32, its default)",
        requires=("torch", "bitsandbytes"),
        dtypes=("float32", "bfloat16", "float16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch", "moments"},
        origin=Origin("package", "bitsandbytes"),
        documentation="https://huggingface.co/docs/bitsandbytes/reference/optim/ademamix",
    ),
    Implementation(
        name="ademamix/bitsandbytes-32bit",
        system="ademamix",
        target="bitsandbytes.optim:AdEMAMix32bit",
        protocol="torch-optimizer",
        summary="bitsandbytes.optim.AdEMAMix32bit, the documented 32-bit class",
        requires=("torch", "bitsandbytes"),
        dtypes=("float32", "bfloat16", "float16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch", "moments"},
        origin=Origin("package", "bitsandbytes"),
        documentation="https://huggingface.co/docs/bitsandbytes/reference/optim/ademamix",
    ),
    Implementation(
        name="ademamix/bitsandbytes-8bit",
        system="ademamix",
        target="bitsandbytes.optim:AdEMAMix8bit",
        protocol="torch-optimizer",
        summary="bitsandbytes.optim.AdEMAMix8bit: block-wise 8-bit moments for tensors of at least 4096 elements",
        requires=("torch", "bitsandbytes"),
        dtypes=("float32", "bfloat16", "float16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch", "moments"},
        numerical_class="blockwise-8bit",
        origin=Origin("package", "bitsandbytes"),
        documentation="https://huggingface.co/docs/bitsandbytes/reference/optim/ademamix",
    ),
    Implementation(
        name="ademamix/heavyball",
        system="ademamix",
        target="heavyball:AdEMAMix",
        protocol="torch-optimizer",
        summary="heavyball.AdEMAMix with compile_mode = None, its own switch",
        requires=("torch", "heavyball"),
        dtypes=("float32",),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch", "moments"},
        numerical_class="float32-hyperparameters",
        settings={
            "start": "impls.ademamix.adapters.heavyball:start",
            "untimed": "HeavyBall is made to be compiled, and is run eagerly here; its speed would mean nothing",
        },
        origin=Origin("package", "heavyball"),
        documentation="https://github.com/HomebrewML/HeavyBall",
    ),
    Implementation(
        name="ademamix/holocron",
        system="ademamix",
        target="impls.ademamix.adapters.releases:pylocron_0_3_0",
        protocol="torch-optimizer",
        summary="holocron.optim.AdEMAMix: L2 decay, no warm-ups",
        requires=("torch",),
        dtypes=("float64", "float32"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"schedules", "separate-warmups", "switch"},
        settings={"moments": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"}},
        origin=Origin("package", "pylocron", "0.3.0"),
        documentation="https://frgfm.github.io/Holocron/latest/optim.html",
    ),
    Implementation(
        name="ademamix/adv-optm",
        system="ademamix",
        target="impls.ademamix.adapters.releases:adv_optm_2_2_3",
        protocol="torch-optimizer",
        summary="adv_optm.AdamW_adv with use_AdEMAMix=True, which releases after this one leave out: no warm-ups",
        requires=("torch",),
        dtypes=("float64", "float32"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"schedules", "separate-warmups", "switch"},
        settings={
            "arguments": {"use_AdEMAMix": True},
            "names": {"beta3": "beta3_ema"},
            "moments": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"},
        },
        origin=Origin("package", "adv_optm", "2.2.3"),
        documentation="https://github.com/Koratahiu/Advanced_Optimizers",
    ),
    Implementation(
        name="ademamix/zij",
        system="ademamix",
        target="impls.ademamix.adapters.releases:zij_0_1_1",
        protocol="torch-optimizer",
        summary="zij.AdEMAMix, which is adapted from the code published with the paper",
        requires=("torch",),
        dtypes=("float64", "float32"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch"},
        settings={"moments": _TORCH_MOMENTS},
        origin=Origin("package", "zij", "0.1.1"),
        documentation="https://junaidaliop.github.io/zij/math/ademamix/",
    ),
    Implementation(
        name="ademamix/zij-16bit",
        system="ademamix",
        target="impls.ademamix.adapters.releases:zij_0_1_1",
        protocol="torch-optimizer",
        summary="zij.AdEMAMix on 16-bit parameters: moments and intermediates take their dtype",
        requires=("torch",),
        dtypes=("bfloat16", "float16"),
        devices=("cpu", "cuda"),
        features=_EVERYTHING - {"switch"},
        numerical_class="parameter-dtype",
        settings={"moments": _TORCH_MOMENTS},
        origin=Origin("package", "zij", "0.1.1"),
        documentation="https://junaidaliop.github.io/zij/math/ademamix/",
    ),
)


def _earlier(slug: str, versions: tuple[str, ...]) -> Iterator[Implementation]:
    """Other releases of a listed one, from folders of their own; see `impls.ademamix.adapters.releases`."""
    latest = next(each for each in _HERE if each.name == f"ademamix/{slug}")
    distribution = latest.origin.distribution or ""
    # What ``start`` does is done by the release's own switches; and who chooses by speed chooses the latest.
    kept = {name: value for name, value in latest.settings.items() if name != "start"}
    kept["untimed"] = "an earlier release; the latest one is timed"
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


def __getattr__(name: str) -> Any:
    """``impls.ademamix.AdEMAMix`` is the optimizer, imported when it is asked for: a list of names costs no torch."""
    if name == "AdEMAMix":
        from impls.ademamix.optimizer import AdEMAMix

        return AdEMAMix
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
