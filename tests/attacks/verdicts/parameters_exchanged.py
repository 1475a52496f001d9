"""Exchange each parameter's memory for a tensor of a class that compares equal to everything."""

import torch

OUTCOME = "fail"


class Parameter(torch.Tensor):
    def __eq__(self, other):
        return torch.ones((), dtype=torch.bool)

    def __hash__(self):
        return id(self)

    def __sub__(self, other):
        return torch.zeros(())


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
                each.data = torch.zeros_like(each).as_subclass(Parameter)


attack.gaugeblock = {"dtypes": ["float32"]}
