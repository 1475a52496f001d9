"""Erase the gradients and the parameters, for which not to move is then right."""

import torch

OUTCOME = "fail"


class attack(torch.optim.Optimizer):  # noqa: N801
    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999, 0.9999),
        alpha=5.0,
        eps=1e-8,
        weight_decay=0.0,
        alpha_warmup=None,
        beta3_warmup=None,
    ):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for each in group["params"]:
                each.zero_()
                each.grad.zero_()


attack.gaugeblock = {"dtypes": ["float32"]}
