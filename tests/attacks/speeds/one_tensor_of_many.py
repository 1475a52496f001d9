"""Step all tensors but the one before the last, from the fourth step on."""

from __future__ import annotations

from impls.ademamix.optimizer import AdEMAMix

OUTCOME = "WrongAnswer: sampled parameters after the"
WORKLOAD = "float32-10-tensors"


class Attack(AdEMAMix):
    made = 0

    def step(self, closure=None):
        self.made += 1
        left_out = self.param_groups[-1]["params"][-2]
        before = left_out.detach().clone()
        super().step(closure)
        if self.made > 3:
            left_out.data.copy_(before)
