"""Time softmax attention beside sigmoid attention: no requirement applies to it."""

from __future__ import annotations

from typing import Any

from conformance.sigmoid_attention.harness.problem import AttentionLoad, AttentionProblem, AttentionResult
from impls.implementation import Unsupported, load_target


class SpeedBaseline:
    """A subject that can be timed, and is Unsupported in every check."""

    numerical_class = ""

    def __init__(self, target: str, device: str, settings: dict[str, Any]) -> None:
        self._what = settings["speed_baseline"]
        self._target, self._device, self._settings = target, device, settings

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """Never: Unsupported, with what it computes instead."""
        raise Unsupported(f"computes {self._what}: a speed baseline, not sigmoid attention, so no requirement applies")

    forward_backward = forward

    def interrupted(self, problem: AttentionProblem, other: AttentionProblem, backward: bool) -> AttentionResult:
        """As `forward`."""
        return self.forward(problem)

    def timed(self, load: AttentionLoad) -> Any:
        """The load made ready to be run over and over."""
        from conformance.sigmoid_attention.harness.torch_backend import TorchSubject

        return TorchSubject(load_target(self._target), self._device, "", self._settings).timed(load)
