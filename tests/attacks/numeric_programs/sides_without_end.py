"""Give an array two million sides of eighteen digits, whose product takes hours."""

from honest import serve, tensors

OUTCOME = "error"


def answer(values):
    shape = [10**17 + 1] * 2_000_000
    return tensors({"output": {"dtype": "F32", "shape": shape, "data_offsets": [0, values.nbytes]}}, values.tobytes())


serve(answer)
