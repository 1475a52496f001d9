"""How an implementation computes, where that changes how exact it can be: declared by name, and shown in every report.

The default is the strict one. A class widens the bound by what it names and by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

# Largest relative error of the hardware instruction tanh.approx.f32 over all float32 arguments, from an exhaustive
# measurement (forums.developer.nvidia.com/t/173291). The PTX manual itself promises only 2**-11.
TANH_APPROX_RELATIVE_ERROR = 1.1126e-5


@dataclass(frozen=True)
class AttentionClass:
    """``name`` is what a record declares. Everything else says which further error the class is allowed."""

    name: str
    description: str
    activation_error: float = 0.0
    """Absolute error of one activation, whatever its size."""
    stored_scores: bool = False
    """Scores, weights and their gradients are stored in the input dtype between operations."""
    scaled_operands: bool = False
    """q and k are each scaled and stored in the input dtype before their product."""
    renormalised: bool = False
    """Each row is divided by the sum of its weights, stored, and multiplied by that sum again; its gradient likewise."""
    operand_roundoff: float = 0.0
    """Relative error of each operand on its way into a matrix unit narrower than its dtype."""


_CLASSES = (
    AttentionClass(
        "fused",
        "scores in float32 (float64 for float64 input), never stored; a sigmoid of relative accuracy; "
        "weights stored in the input dtype for the product with v; sums in float32",
    ),
    AttentionClass(
        "fused-tanh",
        "fused, with sigmoid(x) = (1 + tanh(x/2))/2 by the hardware's approximate tanh, whose error is absolute: "
        "small weights lose relative accuracy",
        # Half of tanh's relative error times |tanh| <= 1.
        activation_error=TANH_APPROX_RELATIVE_ERROR / 2,
    ),
    AttentionClass(
        "fused-tf32",
        "fused, for float32 input, with the operands of every matrix product cut to TF32",
        # 10 stored bits, and hardware may truncate to them.
        operand_roundoff=2.0**-10,
    ),
    AttentionClass(
        "prescaled",
        "fused, with q and k (or one of them) scaled and stored in the input dtype before the product",
        scaled_operands=True,
    ),
    AttentionClass(
        "renormalised",
        "fused softmax of log-sigmoid: a row is divided by the sum of its weights, stored in the input dtype and multiplied "
        "by that sum, whose logarithm is kept in float32; its gradient goes the same way back",
        renormalised=True,
    ),
    AttentionClass(
        "materialised",
        "eager: product, scaled score, biased score, weight and each of their gradients are stored in the input dtype",
        stored_scores=True,
    ),
)

NUMERICAL_CLASSES: dict[str, AttentionClass] = {c.name: c for c in _CLASSES}


def class_of(name: str) -> AttentionClass:
    """The class of that name; "" is ``fused``, the strict default. ValueError names the known ones."""
    try:
        return NUMERICAL_CLASSES[name or "fused"]
    except KeyError:
        raise ValueError(
            f"unknown numerical class {name!r} for sigmoid attention; expected one of {', '.join(NUMERICAL_CLASSES)}"
        ) from None
