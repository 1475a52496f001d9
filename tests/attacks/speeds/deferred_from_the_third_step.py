"""Make three steps in time, and the others when the clock has stopped."""

from __future__ import annotations

from impls.ademamix.optimizer import AdEMAMix

OUTCOME = "WrongAnswer: parameters when the clock stopped"
WORKLOAD = "float32-1e5"
running: list[AdEMAMix] = []


class Attack(AdEMAMix):
    made = owed = 0

    def step(self, closure=None):
        if self.made < 3:
            self.made += 1
            return super().step(closure)
        if self not in running:
            running.append(self)
        self.owed += 1
        return None


def finish():
    """Called once the clock has stopped: by then the steps are made."""
    for optimizer in running:
        for _ in range(optimizer.owed):
            AdEMAMix.step(optimizer)
        optimizer.owed = 0
