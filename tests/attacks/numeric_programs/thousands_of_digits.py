"""Give offsets of five thousand digits, which Python refuses to read."""

from honest import serve, tensors

OUTCOME = "error"


def answer(values):
    offset = b"9" * 5000
    return tensors(b'{"output": {"dtype": "F32", "shape": [], "data_offsets": [' + offset + b", " + offset + b"]}}", b"")


serve(answer)
