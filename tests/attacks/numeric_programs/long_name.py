"""Name a second array, which has no place, with a million characters."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    return tensors({"output": about(values), "\x1b[2J" + "x" * 1_000_000: {}}, values.tobytes())


serve(answer)
