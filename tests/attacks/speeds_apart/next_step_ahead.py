"""Make two steps at once, with the gradients and the learning rate at hand, and only show the second when it is asked for."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: "


class Attack(honest.Optimizer):
    """Works at every other step."""

    made = 0

    def step(self, closure=None):
        self.made += 1
        parameters = self.param_groups[0]["params"]
        if self.made % 2:
            super().step()
            now = [p.detach().clone() for p in parameters]
            super().step()
            self.ahead = [p.detach().clone() for p in parameters]
            for p, value in zip(parameters, now, strict=True):
                p.data.copy_(value)
        else:
            for p, value in zip(parameters, self.ahead, strict=True):
                p.data.copy_(value)
