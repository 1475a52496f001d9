"""Name a list as the dtype, which cannot be looked up."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    return tensors({"output": {**about(values), "dtype": ["F32"]}}, values.tobytes())


serve(answer)
