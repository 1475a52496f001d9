"""AdEMAMix as somebody might write it from the paper, in plain torch. It imports nothing of Gaugeblock."""

import math

import torch


class MyAdEMAMix(torch.optim.Optimizer):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0, t_alpha=None, t_beta3=None
    ):
        defaults = {"lr": lr, "betas": betas, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "t_alpha": t_alpha, "t_beta3": t_beta3})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss

    def update(self, p, g, state, group):
        if not state:
            state["step"] = 0
            for name in ("m1", "m2", "nu"):
                state[name] = torch.zeros_like(p)
        state["step"] += 1
        t, (beta1, beta2, _) = state["step"], group["betas"]
        alpha, beta3 = warmed_up(t, group)
        state["m1"].mul_(beta1).add_(g, alpha=1 - beta1)
        state["m2"].mul_(beta3).add_(g, alpha=1 - beta3)
        state["nu"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        root = (state["nu"] / (1 - beta2**t)).sqrt_().add_(group["eps"])
        direction = (state["m1"] / (1 - beta1**t)).add_(state["m2"], alpha=alpha).div_(root)
        p.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])


def warmed_up(t, group):
    """alpha and beta3 of step t: section 3 of the paper."""
    alpha, beta3, beta1 = group["alpha"], group["betas"][2], group["betas"][0]
    if group["t_alpha"]:
        alpha = min(t / group["t_alpha"], 1.0) * alpha
    if group["t_beta3"] and t < group["t_beta3"]:
        share = t / group["t_beta3"]
        if beta1 == 0:  # the limit
            beta3 = beta3 ** (1 / share)
        else:
            start, end = math.log(beta1), math.log(beta3)
            beta3 = min(math.exp(start * end / ((1 - share) * end + share * start)), beta3)
    return alpha, beta3
