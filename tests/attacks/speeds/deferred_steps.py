"""Count steps, and make them when the clock has stopped."""

from __future__ import annotations

from impls.ademamix.optimizer import AdEMAMix

OUTCOME = "WrongAnswer: sampled parameters of tensor 0 after step 1"
WORKLOAD = "float32-1e5"
running: list[AdEMAMix] = []


class Attack(AdEMAMix):
    owed = 0

    def step(self, closure=None):
        if self not in running:
            running.append(self)
        self.owed += 1


def finish():
    """Called once the clock has stopped: by then the steps are made."""
    for optimizer in running:
        for _ in range(optimizer.owed):
            AdEMAMix.step(optimizer)
        optimizer.owed = 0
