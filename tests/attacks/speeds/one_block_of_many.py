"""Leave one block of 256 elements as it is, from the fourth step on."""

from __future__ import annotations

from impls.ademamix.optimizer import AdEMAMix

OUTCOME = "WrongAnswer: sampled parameters after the"
WORKLOAD = "float32-1e5"


class Attack(AdEMAMix):
    made = 0

    def step(self, closure=None):
        self.made += 1
        block = self.param_groups[0]["params"][0].data[51200:51456]
        before = block.clone()
        super().step(closure)
        if self.made > 3:
            block.copy_(before)
