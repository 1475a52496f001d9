"""What would mend a difference of the census, and what a maintainer may rightly answer, by the mutant that it resembles."""

from __future__ import annotations

MEND = {
    "numerator-corrected": "Divide the fast EMA alone by 1 - beta1\\*\\*t, and multiply the quotient by lr.",
    "beta3-linear": "Let the half-life log(0.5) / log(beta3) grow linearly, not beta3 itself.",
    "epsilon-in-logarithm": "Leave out the 1e-8 inside the logarithms of the half-life.",
    "half-life-of-the-authors": "Leave out the 1e-8 inside the logarithms of the half-life.",
    "coupled-decay": "Decay the parameters beside the step, and leave the gradient as it is.",
    "scores-in-bfloat16": "Compute and keep scores in float32 where tensors have 16 bits.",
}
ANSWER = {
    "numerator-corrected": (
        "The difference is that of the first steps: after some 50 of them 1 - beta1\\*\\*t is nearly 1, and both are the same."
    ),
    "beta3-linear": "Once the warm-up is over both are the same, and without a warm-up they always are.",
    "epsilon-in-logarithm": (
        "It is what the code published with the paper does, and up to a beta3 of 0.9999 hardly anything depends on it."
    ),
    "half-life-of-the-authors": "It is what the code published with the paper does.",
    "scores-in-bfloat16": "Code of torch that is written step by step does so, and softmax attention written so too.",
    "coupled-decay": "Without weight decay both are the same.",
}
UNKNOWN = "This was read from one commit; a later one may differ, and the file may be meant as it is."
