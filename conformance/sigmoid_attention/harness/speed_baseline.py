"""Something that is timed beside sigmoid attention and is not sigmoid attention: no requirement is put to it."""

from __future__ import annotations

from typing import Any

from conformance.sigmoid_attention.harness.problem import AttentionLoad, AttentionProblem, AttentionResult
from impls.implementation import Unsupported, load_target


class Yardstick:
    """A subject that refuses to be judged, whatever the case, and can be timed."""

    numerical_class = ""

    def __init__(self, target: str, device: str, settings: dict[str, Any]) -> None:
        self._what = settings["yardstick"]
        self._target, self._device, self._settings = target, device, settings

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """Never: Unsupported, with what it computes instead."""
        raise Unsupported(f"computes {self._what}: a yardstick of speed, and no sigmoid attention to be judged")

    forward_backward = forward

    def interrupted(self, problem: AttentionProblem, other: AttentionProblem, backward: bool) -> AttentionResult:
        """As `forward`."""
        return self.forward(problem)

    def timed(self, load: AttentionLoad) -> Any:
        """The load made ready to be run over and over."""
        from conformance.sigmoid_attention.harness.torch_backend import TorchSubject

        return TorchSubject(load_target(self._target), self._device, "", self._settings).timed(load)
