"""Give an array that is empty, since one side is 0, and whose other sides no computer can hold."""

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    empty = {"dtype": "F32", "shape": [0, 2**70, 2**70], "data_offsets": [0, 0]}
    return tensors({"output": about(values), "other": empty}, values.tobytes())


serve(answer)
