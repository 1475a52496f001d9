"""The protocol of programs (``cmd:``): one request is one call of attention, with its gradients where they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.engine.numeric_command import NumericCommand
from conformance.sigmoid_attention.harness.problem import AttentionProblem, AttentionResult
from impls.implementation import Unsupported
from impls.sigmoid_attention.options import AttentionOptions


class CommandSubject:
    """An `AttentionSubject` of a program; gaugeblock/vectors/SPECIFICATION.md says what it is asked."""

    def __init__(self, program: NumericCommand, numerical_class: str) -> None:
        self.numerical_class = numerical_class
        self._program = program

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """The output alone."""
        return self._called(problem, ())

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        """Output and gradients."""
        return self._called(problem, (*problem.differentiated, *problem.wanted))

    def _called(self, problem: AttentionProblem, wanted: tuple[str, ...]) -> AttentionResult:
        if (problem.layout, problem.grad_layout) != ("contiguous", "contiguous"):
            raise Unsupported("a program gets arrays in C order, from their beginning")
        slopes = problem.options.alibi_slopes
        given = {"q": problem.q, "k": problem.k, "v": problem.v} | ({"output_gradient": problem.grad} if wanted else {})
        arrays = [(name, values, problem.dtype) for name, values in given.items()]
        if slopes is not None:
            slopes = np.asarray(slopes, dtype=np.float64)
            arrays.append(("alibi_slopes", slopes, "float32"))
        shapes = {**{name: values.shape for name, values in given.items()}, "bias": (), "alibi_slopes": np.shape(slopes)}
        wide = ("float64", "float32")
        expected = {"output": ((*problem.q.shape[:3], problem.v.shape[3]), (problem.dtype,))} | {
            f"gradient_{name}": (shapes[name], (problem.dtype,) if name in given else wide) for name in wanted
        }
        request = {"dtype": problem.dtype, "parameters": parameters_of(problem.options), "results": list(expected)}
        found = self._program.call("call", request, arrays, expected)
        return AttentionResult(
            found["output"],
            problem.dtype,
            {name: found[f"gradient_{name}"] for name in wanted},
            {name: problem.dtype for name in wanted if name in given},
        )


def parameters_of(options: AttentionOptions) -> dict[str, Any]:
    """The options of a call as JSON holds them, in vectors and in requests; the slopes are an array."""
    lists = ("window", "key_lengths", "cu_seqlens_q", "cu_seqlens_k")
    given = {name: None if getattr(options, name) is None else [int(x) for x in getattr(options, name)] for name in lists}
    scale = None if options.scale is None else float(options.scale)
    return {"scale": scale, "bias": float(options.bias), "causal": options.causal, **given}
