"""Adapters of what needs a GPU give what those packages take and read what they return, shown on stand-ins for them.

A stand-in has the published parameters and no others, and computes by plain torch: an argument by a wrong name, an option that
goes astray or a result read wrongly fails here. What the packages themselves compute is theirs to show on a GPU.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from conformance.engine.runner import declared_obstacle
from conformance.sigmoid_attention.harness.subject import connect
from conformance.sigmoid_attention.requirements import REQUIREMENTS
from conformance.sigmoid_attention.workloads import WORKLOADS, prepare
from impls.implementation import Implementation, NotRun, Unsupported
from impls.sigmoid_attention.registry import IMPLEMENTATIONS
from impls.sigmoid_attention.torch_eager import attention as eager


def named(name: str) -> Implementation:
    return next(i for i in IMPLEMENTATIONS if i.name == f"sigmoid_attention/{name}")


def swapped(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(x.transpose(1, 2) for x in tensors)


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def outcomes(implementation: Implementation, dtype: str) -> Iterator[tuple[str, bool]]:
    """Every small case that the record declares itself able to take and the adapter takes, and whether it passed."""
    subject = connect(implementation, "cpu")
    for check in REQUIREMENTS.checks:
        for case in check.cases:
            if dtype not in case.dtypes or not case.needs <= (implementation.features or set()) or case.nq * case.nk > 1000:
                continue
            try:
                yield f"{check.requirement} {case.id}", all(c.passed for c in check.run(subject, case, dtype))
            except Unsupported:
                continue


# The flash-attn family: a tensor, or a tensor and the row sums.


def flash_attn_2(
    q: Any,
    k: Any,
    v: Any,
    dropout_p: float = 0.0,
    softmax_scale: Any = None,
    causal: bool = False,
    window_size: Any = (-1, -1),
) -> Any:
    (out,) = swapped(scaled_dot_product_attention(*swapped(q, k, v), is_causal=causal))
    return out


def flash_attn_4(q: Any, k: Any, v: Any, softmax_scale: Any = None, causal: bool = False) -> Any:
    return flash_attn_2(q, k, v, causal=causal), None


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("softmax-flash-attn-2", "flash_attn", flash_attn_2),
        ("softmax-flash-attn-3", "flash_attn_interface", flash_attn_2),
        ("softmax-flash-attn-4", "flash_attn.cute", flash_attn_4),
    ],
)
def test_a_speed_baseline_of_the_flash_attn_family_is_timed_and_checked_as_softmax(
    name: str, module: str, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = named(name)
    for parent in ("flash_attn", module):
        install(monkeypatch, parent, __path__=[])
    install(monkeypatch, module, flash_attn_func=function)
    for workload in (w for w in WORKLOADS if w.quick and "cpu" in w.devices):
        prepared = prepare(record, workload, "cpu")
        prepared.run()
        assert all(c.passed for c in prepared.verify())
    with pytest.raises(Unsupported, match="speed baseline"):
        connect(record, "cpu").forward(None)
    # A package of that name without the function: said, and no error of the record.
    install(monkeypatch, module)
    with pytest.raises(NotRun, match=f"{module} is installed and offers no"):
        prepared.run()


# FlashSigmoid.


def test_flash_sigmoid_gets_every_option_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def flash_attn_func(
        q: Any, k: Any, v: Any, dropout_p: float = 0.0, softmax_scale: Any = None, causal: bool = False,
        window_size: Any = (-1, -1), alibi_slopes: Any = None, deterministic: bool = False, return_attn_probs: bool = False,
        sigmoid_bias: float = 0.0,
    ) -> Any:  # fmt: skip
        assert dropout_p == 0
        options = {"scale": softmax_scale, "causal": causal, "window": window_size, "alibi_slopes": alibi_slopes}
        (out,) = swapped(eager(*swapped(q, k, v), bias=sigmoid_bias, **options))
        return out

    install(monkeypatch, "flash_sigmoid", flash_attn_func=flash_attn_func)
    monkeypatch.delitem(sys.modules, "impls.sigmoid_attention.adapters.apple", raising=False)
    found = dict(outcomes(named("flash-sigmoid"), "float16"))
    assert [case for case, passed in found.items() if not passed] == []
    assert {"SIG-17 both", "SIG-20 more-keys", "SIG-33 alibi", "SIG-34 four-over-one", "SIG-04 negative"} <= set(found)
    sys.modules.pop("impls.sigmoid_attention.adapters.apple")


# FlashInfer.


class RaggedPrefill:
    """``BatchPrefillWithRaggedKVCacheWrapper`` as far as the adapter needs it."""

    def __init__(
        self, float_workspace_buffer: Any, kv_layout: str = "NHD", backend: str = "auto", jit_args: Any = None
    ) -> None:
        _uri, q, k, out, index, dim, value_dim, tensors, tensor_types, scalars, scalar_types, name, source = jit_args
        assert (kv_layout, index, tensors, tensor_types) == ("NHD", torch.int32, [], [])
        assert q == k == out
        assert dim == value_dim
        assert len(scalars) == len(scalar_types) == 2
        assert f"struct {name} " in source
        assert all(f"params.{'additional_params.' if backend == 'fa3' else ''}{scalar} " in source for scalar in scalars)
        self.backend = backend

    def plan(
        self, qo_indptr: Any, kv_indptr: Any, num_qo_heads: int, num_kv_heads: int, head_dim_qk: int,
        head_dim_vo: Any = None, causal: bool = False, q_data_type: Any = None, kv_data_type: Any = None,
    ) -> None:  # fmt: skip
        self.edges, self.causal, self.heads = (qo_indptr, kv_indptr), causal, (num_qo_heads, num_kv_heads)

    def run(self, q: Any, k: Any, v: Any, scale: float, bias: float) -> Any:
        assert (q.shape[1], k.shape[1]) == self.heads
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        cu_q, cu_k = self.edges
        out = eager(q, k, v, scale=scale, bias=bias, causal=self.causal, cu_seqlens_q=cu_q, cu_seqlens_k=cu_k)
        return out[0].transpose(0, 1).contiguous()


@pytest.mark.parametrize(("generation", "backend"), [(8, "fa2"), (9, "fa3"), (10, "fa2")])
def test_flashinfer_is_given_a_variant_and_sequences_end_to_end(
    generation: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "flashinfer", BatchPrefillWithRaggedKVCacheWrapper=RaggedPrefill)
    monkeypatch.delitem(sys.modules, "impls.sigmoid_attention.adapters.flashinfer", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (generation, 0))
    adapter = importlib.import_module("impls.sigmoid_attention.adapters.flashinfer")
    # Most cases have a head dim that it does not take: with those taken too, all that it declares is put to the adapter.
    monkeypatch.setattr(adapter, "HEAD_DIMS", (16, *adapter.HEAD_DIMS))
    found = dict(outcomes(named("flashinfer"), "bfloat16" if backend == "fa3" else "float16"))
    assert [case for case, passed in found.items() if not passed] == []
    assert {"SIG-47 causal-more-keys", "SIG-21 six-over-two", "SIG-15 decode", "SIG-25 transposed"} <= set(found)
    assert adapter._planned((0, 4), (0, 4), 1, 1, 64, False, torch.float16, torch.device("cpu")).backend == backend
    with pytest.raises(Unsupported, match="takes head dims"):
        adapter.attention(*(torch.zeros(1, 4, 1, 24) for _ in range(3)))
    sys.modules.pop("impls.sigmoid_attention.adapters.flashinfer")


# What is not there.


@pytest.mark.parametrize(
    "name", ["softmax-flash-attn-2", "softmax-flash-attn-3", "softmax-flash-attn-4", "flashinfer", "flash-sigmoid"]
)
def test_what_is_not_installed_is_not_run_and_says_how_to_get_it(name: str) -> None:
    record = replace(named(name), requires=("no_such_module_of_anybody",))
    obstacle = declared_obstacle(record, "cpu", "bfloat16", frozenset(), quick=False)
    assert isinstance(obstacle, NotRun)
    assert record.installing
    assert str(obstacle) == f"needs no_such_module_of_anybody, not installed here; {record.installing}"
