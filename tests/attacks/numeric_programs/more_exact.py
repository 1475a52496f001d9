"""Answer in float64 where float32 was asked for: the error of the last rounding is then nil."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    wide = values.astype("<f8")
    return tensors({"output": {**about(wide), "dtype": "F64"}}, wide.tobytes())


serve(answer)
