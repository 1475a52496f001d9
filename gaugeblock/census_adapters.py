"""Adapters of ``gaugeblock census`` for implementations that a plug does not fit. They hold no code of the implementations.

Each name of `ADAPTERS` is an attribute of this module, made from the checkout when it is asked for, so that
``gaugeblock.census_adapters:NAME`` can be plugged in from the folder of checkouts.
A checkout lies at OWNER+NAME or OWNER/NAME.
"""

from __future__ import annotations

import ast
import functools
import importlib
import math
import re
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from impls.implementation import load_target

FOLDER = Path.cwd()
"""The folder of checkouts: where the census runs."""


def checkout(repository: str) -> Path:
    """The folder of a repository's checkout."""
    places = [FOLDER / repository.replace("/", "+"), FOLDER / repository]
    return next((place for place in places if place.is_dir()), places[0])


def taken(repository: str, path: str, *names: str, **given: Any) -> SimpleNamespace:
    """These definitions of a file, executed without the rest of it, which may read data or need a GPU.

    ``given`` is what they use of the rest: imports, and stand-ins for what only logs or checks.
    """
    text = (checkout(repository) / path).read_text(encoding="utf-8")
    found = [node for node in ast.parse(text).body if _name_of(node) in names]
    exec(compile(ast.Module(found, []), path, "exec"), given)
    return SimpleNamespace(**{name: given[name] for name in names})


def _name_of(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return getattr(node, "name", "")


def module_of(repository: str, module: str, root: str = "") -> Any:
    """A module of a checkout whose packages lie in its folder ``root``; the ``__init__.py`` above it are not run."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        package = ModuleType(".".join(parts[:depth]))
        package.__path__ = [str(checkout(repository).joinpath(root, *parts[:depth]))]
        sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(module)


def _lora_easy() -> Any:
    """The optimizer with decoupled decay, which the paper has; without this word it adds the decay to the gradient."""
    theirs: Any = module_of(
        "67372a/LoRA_Easy_Training_scripts_Backend", "LoraEasyCustomOptimizer.ademamix", "custom_scheduler"
    ).AdEMAMix

    @functools.wraps(theirs.__init__)
    def construct(self: Any, *arguments: Any, **keywords: Any) -> None:
        theirs.__init__(self, *arguments, **{"weight_decouple": True, **keywords})

    # It rounds by chance in 16 bits, on purpose.
    return type("AdEMAMix", (theirs,), {"__init__": construct, "gaugeblock": {"dtypes": ("float32",)}})


def _of_optax(factory: Callable[..., Any]) -> Any:
    """A factory whose schedules are words of their own, as optax has it: alpha and b3 may be functions of the count."""

    def ademamix(
        learning_rate: Any, b1: float = 0.9, b2: float = 0.999, b3: Any = 0.9999, alpha: Any = 5.0, eps: float = 1e-8,
        eps_root: float = 0.0, weight_decay: float = 0.0,
    ) -> Any:  # fmt: skip
        schedules = {"b3_scheduler": b3 if callable(b3) else None, "alpha_scheduler": alpha if callable(alpha) else None}
        return factory(
            learning_rate, b1=b1, b2=b2, b3=b3, alpha=alpha, eps=eps, eps_root=eps_root, weight_decay=weight_decay, **schedules
        )

    return ademamix


def _xlstm_jax() -> Any:
    """Without the module of its types, which imports the whole of Flax."""
    name = "xlstm_jax.common_types"
    types = ModuleType(name)
    vars(types)["PyTree"] = Any
    sys.modules.setdefault(name, types)
    return _of_optax(module_of("NX-AI/xlstm-jax", "xlstm_jax.trainer.optimizer.ademamix").ademamix)


def _apple_reference() -> Any:
    """``attention_ref``: (batch, length, heads, head_dim), a tuple returned, scale 1/sqrt(head_dim)."""
    import einops
    import torch

    names = ("attention_ref", "construct_local_mask")
    path = "flash_sigmoid/tests/test_flash_attn.py"
    own: dict[str, Any] = {"torch": torch, "math": math, "t": typing, "rearrange": einops.rearrange, "repeat": einops.repeat}
    reference = taken("apple/ml-sigmoid-attention", path, *names, **own).attention_ref

    def attention(
        q: Any, k: Any, v: Any, *, bias: Any, causal: bool = False, window: Any = None, key_lengths: Any = None
    ) -> Any:
        mask = None if key_lengths is None else torch.arange(k.shape[2], device=k.device) < key_lengths[:, None]
        sides = (-1, -1) if window is None else tuple(window)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        output, _ = reference(q, k, v, key_padding_mask=mask, causal=causal, window_size=sides, sigmoid_bias=bias)
        return output.transpose(1, 2)

    return attention


def _given(result: Any) -> Any:
    """A module that returns this whatever it is given: it stands for a projection of a module over x."""
    from torch import nn

    class Given(nn.Module):
        def forward(self, x: Any) -> Any:
            return result

    return Given()


def _apple_simulator() -> Any:
    """``Attention`` of the simulator: a module over x, whose projections are replaced by the given q, k and v."""
    import torch
    from torch import nn

    own: dict[str, Any] = {"torch": torch, "nn": nn, "t": typing, "functools": functools}
    layers = "attention_simulator/src/attention_simulator/layers/"
    module = taken("apple/ml-sigmoid-attention", layers + "attention.py", "Attention", **own).Attention
    function = "unnormalized_sigmoid_attention"
    sigmoid = getattr(taken("apple/ml-sigmoid-attention", layers + "activations.py", function, **own), function)

    def attention(q: Any, k: Any, v: Any, *, bias: float) -> Any:
        _same_shape(q, k, v)
        batch, heads, length, dim = q.shape
        layer = module(heads * dim, sigmoid, num_heads=heads, attn_bias=float(bias)).to(q.dtype)
        layer.qkv, layer.proj = _given(torch.stack([x.transpose(1, 2) for x in (q, k, v)], 2)), nn.Identity()
        output = layer(q.new_zeros(batch, length, heads * dim))["attn_proj"]
        return output.reshape(batch, length, heads, dim).transpose(1, 2)

    return attention


def _zeta() -> Any:
    """``SigmoidAttention`` of zeta: a module over x, without a bias; its mask is (batch, length, length), 0 where hidden."""
    import torch
    from torch import nn

    quiet = SimpleNamespace(info=lambda _: None, debug=lambda _: None)
    own: dict[str, Any] = {"torch": torch, "nn": nn, "math": math, "logger": quiet, "Optional": typing.Optional}
    module = taken("kyegomez/zeta", "zeta/nn/modules/sigmoid_attn.py", "SigmoidAttention", **own).SigmoidAttention

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        _same_shape(q, k, v)
        batch, heads, length, dim = q.shape
        layer = module(heads * dim, heads, length, dropout=0.0).to(q.dtype)
        layer.query, layer.key, layer.value = (_given(x.transpose(1, 2).reshape(batch, length, -1)) for x in (q, k, v))
        layer.out = nn.Identity()
        mask = torch.ones(length, length).tril().expand(batch, -1, -1) if causal else None
        return layer(q.new_zeros(batch, length, heads * dim), mask).view(batch, length, heads, dim).transpose(1, 2)

    return attention


def _ai_algorithms() -> Any:
    """``SigmoidAttention`` of ai-algorithms: a module over x with one head, without a bias or a mask."""
    import numpy as np
    import torch
    from torch import nn

    own: dict[str, Any] = {"torch": torch, "nn": nn, "np": np}
    module = taken("Jaykef/ai-algorithms", "src/sigmoid_attention.py", "SigmoidAttention", **own).SigmoidAttention

    def attention(q: Any, k: Any, v: Any) -> Any:
        _same_shape(q, k, v)
        layer = module(q.shape[-1], 1)
        layer.query, layer.key, layer.value = (_given(x.flatten(0, 1)) for x in (q, k, v))
        return layer(q.flatten(0, 1)).view(q.shape)

    return attention


def _axlearn() -> Any:
    """``sigmoid_with_biases`` of axlearn, from logits to weights; the two products are ours, as is the bias's sum."""
    import jax
    import numpy as np
    import torch
    from jax import numpy as jnp

    own: dict[str, Any] = {
        "jax": jax, "jnp": jnp, "Tensor": jax.Array, "Optional": typing.Optional, "check_numerics": lambda _: None,
    }  # fmt: skip
    names = ("sigmoid_with_biases", "apply_attention_logit_biases")
    weights = taken("apple/axlearn", "axlearn/common/attention.py", *names, **own).sigmoid_with_biases

    class Attend(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any, bias: float, causal: bool) -> Any:
            hidden = np.triu(np.full((q.shape[2], k.shape[2]), -1e15, np.float32), 1) if causal else np.float32(0)

            def attend(q: Any, k: Any, v: Any) -> Any:
                logits = jnp.einsum("bhqd,bhkd->bhqk", q / math.sqrt(q.shape[-1]), k)
                return jnp.einsum("bhqk,bhkd->bhqd", weights(logits, jnp.asarray(hidden + np.float32(bias))), v)

            output, ctx.pull_back = jax.vjp(attend, *(jnp.asarray(x.detach().numpy()) for x in (q, k, v)))
            return torch.from_numpy(np.array(output))

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            pulled = ctx.pull_back(jnp.asarray(gradients[0].numpy()))
            return (*(torch.from_numpy(np.array(x)) for x in pulled), None, None)

    def attention(q: Any, k: Any, v: Any, *, bias: float, causal: bool = False) -> Any:
        _same_shape(q, k, v)
        return Attend.apply(q, k, v, float(bias), causal)  # type: ignore[no-untyped-call]

    attention.gaugeblock = {"dtypes": ("float32",), "devices": ("cpu",)}  # type: ignore[attr-defined]
    return attention


def _row_detr() -> Any:
    """Without the registry of mmengine, which only names it."""
    import torch

    own: dict[str, Any] = {
        "torch": torch, "math": math, "Optimizer": torch.optim.Optimizer,
        "OPTIMIZERS": SimpleNamespace(register_module=lambda: lambda each: each),
    }  # fmt: skip
    return taken("r4hul77/RowDetr-v2", "models/optmizers.py", "AdEMAMix", **own).AdEMAMix


def _nanogpt() -> Any:
    """Without the rest of its file, which imports many packages of optimizers."""
    import torch

    own: dict[str, Any] = {"torch": torch, "math": math, "Optimizer": torch.optim.Optimizer}
    return taken("ReaLLMASIC/nanoGPT", "train_variations/optimizer_variants.py", "AdEMAMix", **own).AdEMAMix


def _qudiffuse() -> Any:
    """Its third beta is a word of its own."""
    theirs: Any = load_target(f"{checkout('Michael-Strojny/qudiffuse')}/src/qudiffuse/utils/optimizers.py:AdEMAMix")

    def construct(
        self: Any, params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999, 0.9999), alpha: float = 5.0, eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        theirs.__init__(self, params, lr=lr, betas=betas[:2], beta3=betas[2], alpha=alpha, eps=eps, weight_decay=weight_decay)

    return type("AdEMAMix", (theirs,), {"__init__": construct})


def _adana_jax() -> Any:
    """Its schedules are functions of the count before the step, as those that a harness gives to optax are."""
    theirs: Any = load_target(f"{checkout('mlexpos/adana')}/jax/optimizers.py:get_ademamix")

    def ademamix(
        learning_rate: Any, b1: float = 0.9, b2: float = 0.999, b3: Any = 0.9999, alpha: Any = 5.0, eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> Any:  # fmt: skip
        words = {"beta1": b1, "beta2": b2, "beta3": b3, "alpha": alpha, "epsilon": eps, "weight_decay": weight_decay}
        return theirs(learning_rate, **words)

    return ademamix


def _open_lm(repository: str) -> Any:
    """``custom_attn``: (batch, length, heads, head_dim); its activation is named, and its power of the length is 0."""
    import torch
    from torch.nn import functional

    own: dict[str, Any] = {"torch": torch, "F": functional, "partial": functools.partial}
    names = ("custom_attn", "ATTN_ACTIVATIONS", "ATTN_SEQ_SCALARS", "get_rectangular_causal_mask")
    custom = taken(repository, "open_lm/attention.py", *names, **own).custom_attn

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        _same_shape(q, k, v)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return custom(q, k, v, "sigmoid", "none", 0.0, is_causal=causal).transpose(1, 2)

    return _eager(attention)


def _attention_sink(path: str) -> Any:
    """Its mask is a matrix of 0 and 1 that multiplies weights; the caller makes it."""
    import torch
    from torch import nn

    name = "eager_scaled_dot_product_attention"
    eager = getattr(taken("sail-sg/Attention-Sink", path, name, torch=torch, nn=nn), name)

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=q.dtype)
        mask = mask.tril(k.shape[2] - q.shape[2]) if causal else mask
        result = eager(q, k, v, "sigmoid", False, mask, scale=q.shape[-1] ** -0.5)
        return result[0] if isinstance(result, tuple) else result

    return _eager(attention)


def _sigmoid_max() -> Any:
    """A module from scores to weights; the two products and the mask are those of a caller."""
    import torch
    from torch import nn

    module = taken("ReaLLMASIC/nanoGPT", "variations/softmax_variations.py", "SigmoidMax", torch=torch, nn=nn).SigmoidMax
    weights = module(SimpleNamespace(sigmoidmax_divisor=1.0, div_by_seq_len=False))

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril(k.shape[2] - q.shape[2]) == 0, -math.inf)
        return weights(scores) @ v

    return _eager(attention)


def _eager(attention: Any) -> Any:
    """Declares that scores are rounded to the dtype of the tensors, as plain code without a kernel does."""
    attention.gaugeblock = {"numerical_class": "materialised"}
    return attention


def _same_shape(q: Any, k: Any, v: Any) -> None:
    if not q.shape == k.shape == v.shape:
        raise NotImplementedError("takes q, k and v of one shape, since a module makes them of one x")


AUTHORS = "datacommonsorg/llm-tools"
FORK = "Shirisha-Manthoju/forked_datacommons_llm-tools"


def _datacommons_rig(repository: str) -> Any:
    """The pattern that ``RIGFlow._call_dc`` gives to ``re.findall``; the positions are those of its matches."""
    pattern = re.compile(taken(repository, "data_gemma/rig.py", "_DC_PATTERN")._DC_PATTERN)

    def parse(text: str) -> list[tuple[str, str, int, int]]:
        return [(match[1], match[2], match.start(), match.end()) for match in pattern.finditer(text)]

    parse.gaugeblock = {"numerical_class": "official"}  # type: ignore[attr-defined]
    return parse


def _datacommons_rag(repository: str) -> Any:
    """The questions that ``RAGFlow.query`` asks of what the first model answers; it asks a set, in no order of its own."""
    flow = SimpleNamespace(Flow=object, LLM=object, Options=SimpleNamespace, FlowResponse=SimpleNamespace)
    own: dict[str, Any] = {
        "base": flow, "datacommons": SimpleNamespace(DataCommons=object), "time": time,
        "logging": SimpleNamespace(warning=lambda _: None), "prompts": SimpleNamespace(RAG_FINE_TUNED_PROMPT=""),
    }  # fmt: skip
    names = ("RAGFlow", "_MAX_QUESTIONS")
    rag = taken(repository, "data_gemma/rag.py", *names, **own).RAGFlow

    def parse(text: str) -> list[str]:
        asked: list[str] = []

        def calln(questions: list[str], _: object) -> dict[str, Any]:
            asked.extend(questions)
            return {}

        one = rag.__new__(rag)
        vars(one).update(
            in_context=False, metrics_list="", validate_dc_responses=False, options=SimpleNamespace(vlog=lambda _: None),
            llm_question=SimpleNamespace(query=lambda _: SimpleNamespace(response=text)),
            llm_answer=SimpleNamespace(query=lambda _: SimpleNamespace(response="-")),
            data_fetcher=SimpleNamespace(table=None, calln=calln),
        )  # fmt: skip
        one.query("")
        return asked

    parse.gaugeblock = {"numerical_class": "official"}  # type: ignore[attr-defined]
    return parse


def _hands_on_data_gemma() -> Any:
    """How it takes the questions from what the model answers; the model itself is left out."""
    parse = taken("ag-chirag/hands-on-data-gemma", "model.py", "DataGemma").DataGemma.parse_completion
    parse.gaugeblock = {"numerical_class": "official"}
    return parse


ADAPTERS: dict[str, Callable[[], Any]] = {
    "apple_reference": _apple_reference,
    "apple_simulator": _apple_simulator,
    "zeta": _zeta,
    "ai_algorithms": _ai_algorithms,
    "axlearn": _axlearn,
    "datacommons_rig": lambda: _datacommons_rig(AUTHORS),
    "datacommons_rag": lambda: _datacommons_rag(AUTHORS),
    "datacommons_rig_fork": lambda: _datacommons_rig(FORK),
    "datacommons_rag_fork": lambda: _datacommons_rag(FORK),
    "hands_on_data_gemma": _hands_on_data_gemma,
    "torch_ademamix": lambda: module_of("ovuruska/torch_ademamix", "ademamix.ademamix").AdEMAMix,
    "lora_easy": _lora_easy,
    "row_detr": _row_detr,
    "nanogpt": _nanogpt,
    "qudiffuse": _qudiffuse,
    "adana_jax": _adana_jax,
    "open_lm": lambda: _open_lm("mlfoundations/open_lm"),
    "open_lm_fork": lambda: _open_lm("sedrick-keh-tri/open_lm_fork"),
    "attention_sink": lambda: _attention_sink("lit_gpt/model_attn_sim.py"),
    "attention_sink_inference": lambda: _attention_sink("lit_gpt/inference/model_attn_sim_infer.py"),
    "sigmoid_max": _sigmoid_max,
    "apple_optax": lambda: _of_optax(load_target(f"{checkout('apple/ml-ademamix')}/optax/ademamix.py:ademamix")),
    "xlstm_jax": _xlstm_jax,
}
"""What makes each plug."""


@functools.cache
def __getattr__(name: str) -> Any:
    """The plug of that name, made once, so that its classes stay identical."""
    if name not in ADAPTERS:
        raise AttributeError(name)
    return ADAPTERS[name]()
