"""Sigmoid by the hardware's approximate tanh, emulated at its documented worst: what most fast kernels compute.

``sigmoid(x) = (1 + tanh(x/2)) / 2`` with a tanh that is off by up to 1.1e-5 of itself. The error is absolute, about 5.6e-6,
whatever the weight. Real hardware is as far off only at its worst arguments; which sign it has where is not documented, and
alternates here.
"""

from __future__ import annotations

import numpy as np

from impls.sigmoid_attention.numpy_attention import NumpyAttention, Values

TANH_ERROR = 1.1126e-5
"""Largest relative error of tanh.approx.f32, from an exhaustive measurement (forums.developer.nvidia.com/t/173291)."""


class TanhAttention(NumpyAttention):
    """NumPy sigmoid attention with the emulated activation."""

    def activate(self, scores: Values) -> Values:
        exact = np.tanh(scores / 2)
        sign = np.where(np.floor(np.abs(np.nan_to_num(scores, posinf=0, neginf=0)) * 1024) % 2, 1.0, -1.0)
        # Just inside what is documented, so that rounding the rest to float32 does not leave it.
        approximate = np.where(np.abs(exact) < 1, exact * (1 + 0.99 * TANH_ERROR * sign), exact)
        return np.asarray((0.5 + 0.5 * np.clip(approximate, -1, 1)).astype(scores.dtype))


attention = TanhAttention()
