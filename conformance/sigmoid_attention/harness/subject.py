"""Make the subject that the checks call from a listed or plugged-in implementation of sigmoid attention.

The subject is an `AttentionSubject` (problem.py). Its inputs are fresh copies inside poisoned memory on every call; subjects
keep no state.

Protocols
    torch    ``f(q, k, v, *, scale, bias, causal, window, alibi_slopes, key_lengths, ...)`` on torch tensors
             (batch, heads, length, head_dim), gradients through autograd; `FEATURES` it lacks it simply does not accept
    numpy    the same on NumPy arrays, with ``f.backward(q, k, v, grad, ...)`` -> dict where it has gradients
             A record whose settings say ``speed_baseline`` (which function it is) is timed beside the others; it computes
             something else, and no requirement applies
    command  a program (``cmd:``), see `command_subject`
    subject  an object that already is a subject, or a function of the device that makes one

Settings (of an `Implementation` record)
    layout      BHND (default) or BNHD, of every tensor (torch)
    names       our name of an option -> the function's, for what is not recognised
    arguments   further keyword arguments, always given (torch)
    result      whole (default) or first: the output is the first of what it returns (torch)
    causal      given (default) or always: it masks causally in every call, and takes no argument for it (torch)
    cpu_dtypes  those in which it is tested on a CPU, where it is not what it is on a CUDA device (torch)
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from conformance.engine.executed_ptx import install
from conformance.sigmoid_attention.harness.arguments import NAMES, QUERY_NAMES, signature_of
from conformance.sigmoid_attention.harness.problem import AttentionLoad, AttentionResult, AttentionSubject
from conformance.sigmoid_attention.harness.timed_work import TimedWork
from impls.implementation import Implementation, PlugError, Unsupported, load_target

FEATURES: dict[str, str] = {
    "backward": "gradients of q, k and v",
    "bias": "a bias other than 0",
    "bias_gradient": "the gradient of the bias",
    "scale": "a scale other than 1/sqrt(head_dim)",
    "causal": "causal masks",
    "rectangular": "a number of queries that is not the number of keys",
    "window": "a sliding window (left, right)",
    "alibi": "ALiBi slopes, one per head",
    "slope_gradient": "the gradient of the slopes",
    "gqa": "fewer key heads than query heads",
    "key_lengths": "a number of valid keys per batch row",
    "packed": "sequences of different lengths laid end to end, by cu_seqlens_q and cu_seqlens_k",
    "long": "lengths whose score matrix fits no memory",
    "unaligned": "inputs whose rows begin at no multiple of 16 bytes",
    "value_dim": "values whose dim is not that of the keys",
    "odd_head_dim": "head dims below 16 or that are no power of two",
    "strides": "inputs that are views with gaps",
}
"""The feature words of this system and what each says."""

ALL_FEATURES = frozenset(FEATURES)

OPTIONAL = frozenset(FEATURES) - {"bias", "scale", "causal", "strides", "unaligned", "long"}
"""The features that a plug need not have: where the simplest use of one raises an error, it is a gap and no failure."""

DTYPES = {"torch": ("float64", "float32", "float16", "bfloat16"), "numpy": ("float64", "float32", "float16")}
"""The dtypes that a plug is tried in, by protocol."""

RESULTS = (AttentionResult,)

COMMANDS_DESCRIBE = True


def connect(implementation: Implementation, device: str) -> AttentionSubject:
    """The subject for an implementation on a device. PlugError for a protocol that this system does not have."""
    settings = dict(implementation.settings)
    if "speed_baseline" in settings:
        from conformance.sigmoid_attention.harness.speed_baseline import SpeedBaseline

        return SpeedBaseline(implementation.target, device, settings)
    if implementation.protocol == "torch":
        # Before the implementation: it settles how Triton runs.
        from conformance.sigmoid_attention.harness.torch_backend import TorchSubject

        if device == "ptx":
            install()
        loaded = load_target(implementation.target)
        return TorchSubject(loaded, device, implementation.numerical_class, settings)
    if implementation.protocol == "command":
        from conformance.engine.numeric_command import NumericCommand
        from conformance.sigmoid_attention.harness.command_subject import CommandSubject

        program = NumericCommand(implementation.target, implementation.system)
        return CommandSubject(program, implementation.numerical_class)
    loaded = load_target(implementation.target)
    if implementation.protocol == "numpy":
        from conformance.sigmoid_attention.harness.numpy_backend import NumpySubject

        return NumpySubject(loaded, implementation.numerical_class, settings)
    if implementation.protocol == "subject":
        subject: AttentionSubject = loaded if hasattr(loaded, "forward_backward") else loaded(device)
        return subject
    raise PlugError(
        f"{implementation.name} declares protocol {implementation.protocol!r}; "
        "sigmoid attention knows torch, numpy, command and subject"
    )


def inputs_of(implementation: Implementation, load: AttentionLoad, device: str) -> TimedWork:
    """What draws the inputs of an implementation that is timed in another process, without it. Unsupported where none does."""
    if implementation.protocol == "torch" or "speed_baseline" in implementation.settings:
        from conformance.sigmoid_attention.harness.torch_backend import TorchWork

        return TorchWork(None, {}, device, implementation.settings.get("layout") == "BNHD", load)
    if implementation.protocol == "numpy":
        from conformance.sigmoid_attention.harness.numpy_backend import NumpyWork

        return NumpyWork(None, None, load)
    raise Unsupported("is a subject of its own, and does not say how to time it")


def probe(implementation: Implementation, declared: Collection[str]) -> Implementation:
    """With the settings that trying it out found, see probing.py; of functions of torch tensors alone."""
    if implementation.protocol != "torch":
        return implementation
    from conformance.sigmoid_attention.harness import probing

    return probing.probe(implementation, declared)


def recognise(loaded: Any, name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """What to assume of a plugged-in object: a function whose first three parameters are a query, a key and a value.

    None where it is something else; PlugError where it is nearly one, with what would make it one.
    """
    if hasattr(loaded, "forward_backward") and hasattr(loaded, "numerical_class"):
        return {"protocol": "subject", "dtypes": ("float32", "float16", "bfloat16"), "devices": ("cpu", "cuda")}
    if type(loaded).__name__ in ("JITFunction", "Autotuner", "Heuristics", "InterpretedFunction"):
        raise PlugError(
            f"found {name}, a Triton kernel; expected the Python function f(q, k, v, ...) that launches it; name that function"
        )
    if inspect.isclass(loaded):
        _refuse_class(loaded, name)
        return None
    if not callable(loaded):
        return None
    try:
        parameters = list(signature_of(loaded).parameters.values())
    except (TypeError, ValueError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not _is_query_key_value([p.name for p in positional]):
        return None
    required = [p.name for p in positional[3:] if p.default is p.empty]
    # A bias without a default is how it should be: every case gives one.
    bias = (*NAMES["bias"], (settings or {}).get("names", {}).get("bias"))
    required += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    required = [argument for argument in required if argument not in bias]
    if required:
        raise PlugError(
            f"found {name}(q, k, v, ...), which also requires {', '.join(required)}; expected every further argument to have "
            f"a default; wrap it in a function that gives {required[0]}"
        )
    annotations = " ".join(str(p.annotation) for p in positional[:3])
    protocol = "numpy" if "ndarray" in annotations or "ArrayLike" in annotations else "torch"
    if "jax" in annotations:
        raise PlugError(
            f"found {name} on JAX arrays; expected torch tensors; plug in a function of torch tensors that calls it, "
            f"or an impls.implementation.Implementation with protocol 'subject'"
        )
    return {
        "protocol": protocol,
        "dtypes": ("float32", "float16", "bfloat16") if protocol == "torch" else ("float64", "float32", "float16"),
        "devices": ("cpu", "cuda") if protocol == "torch" else ("cpu",),
    }


def _is_query_key_value(names: list[str]) -> bool:
    return len(names) >= 3 and all(name.lower() in known for name, known in zip(names, QUERY_NAMES, strict=False))


def _refuse_class(loaded: type, name: str) -> None:
    for method in ("forward", "__call__", "apply"):
        function = loaded.__dict__.get(method)
        if function is None or not inspect.isfunction(function):
            continue
        names = [p for p in inspect.signature(function).parameters if p not in ("self", "ctx")]
        if _is_query_key_value(names):
            raise PlugError(
                f"found {name}, a class whose {method} takes {', '.join(names[:3])}; expected a function f(q, k, v, ...) on "
                "tensors; name an instance, a bound method of one, or a function that calls it"
            )
