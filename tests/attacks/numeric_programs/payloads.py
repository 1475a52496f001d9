"""Answer with NaNs, each with another payload, since a NaN is not unequal by more than any bound."""

import numpy as np
from honest import about, serve, tensors

OUTCOME = "fail"


def answer(values):
    nans = (np.arange(values.size, dtype="<u4") | 0x7FC00000).reshape(values.shape)
    return tensors({"output": about(values)}, nans.tobytes())


serve(answer)
