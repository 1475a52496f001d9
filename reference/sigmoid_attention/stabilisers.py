"""What the paper puts around the attention to keep it stable: QK-norm and LayerScale, with their gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def qk_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """LayerNorm over the last axis, that is per head and position (paper, section 5: QK-norm), before the product.

    ``x`` (B, H, N, D); ``weight`` and ``bias`` (D,); ``(x - mean) / sqrt(var + epsilon) * weight + bias`` with the
    population variance. Analytic, so complex input is differentiated by a complex step.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + epsilon) * weight + bias)


def qk_norm_gradients(x: Array, weight: Array, epsilon: float, grad: Array) -> tuple[Array, Array, Array]:
    """Gradients of ``sum(qk_norm(...) * grad)`` in x, weight and bias."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + epsilon)
    normal = centred / spread
    through = grad * weight
    dx = (through - through.mean(axis=-1, keepdims=True) - normal * (through * normal).mean(axis=-1, keepdims=True)) / spread
    axes = tuple(range(x.ndim - 1))
    return dx, (grad * normal).sum(axis=axes), grad.sum(axis=axes)


def layer_scale(x: Array, weight: Array) -> Array:
    """``x * weight`` with one weight per channel (D,), started near 1e-4 so that the branch begins almost closed."""
    return x * weight


def layer_scale_gradients(x: Array, weight: Array, grad: Array) -> tuple[Array, Array]:
    """Gradients of ``sum(layer_scale(...) * grad)`` in x and weight."""
    return grad * weight, (grad * x).sum(axis=tuple(range(x.ndim - 1)))
