"""Leave bytes between the arrays that belong to none."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    return tensors({"output": about(values, 8)}, bytes(8) + values.tobytes() + bytes(8))


serve(answer)
