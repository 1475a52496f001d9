"""Give the same bytes under two hundred thousand names, each of which is an array of its own for whoever reads it."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    return tensors({f"{n}": about(values) for n in range(200_000)} | {"output": about(values)}, values.tobytes())


serve(answer)
