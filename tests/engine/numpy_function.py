"""Sigmoid attention on NumPy arrays, as somebody plugs it in."""

import numpy as np
import numpy.typing as npt

from impls.sigmoid_attention.numpy_attention import attention as whole


def attention(
    q: npt.NDArray[np.float64],
    k: npt.NDArray[np.float64],
    v: npt.NDArray[np.float64],
    *,
    scale: float | None = None,
    bias: float = 0.0,
    causal: bool = False,
) -> npt.NDArray[np.float64]:
    """The output alone."""
    return whole(q, k, v, scale=scale, bias=bias, causal=causal)
