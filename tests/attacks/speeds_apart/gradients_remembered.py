"""Take the gradients of the first step for those of all others, since nothing has to be read from memory for them."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: "


class Attack(honest.Optimizer):
    """Keeps a copy of what it was given first."""

    first = None

    def step(self, closure=None):
        parameters = self.param_groups[0]["params"]
        if self.first is None:
            self.first = [p.grad.clone() for p in parameters]
        for p, gradient in zip(parameters, self.first, strict=True):
            p.grad = gradient
        super().step()
