"""Give one name twice, with right values and with zeros, of which one reader sees the first and another the last."""

import json

from honest import about, serve, tensors

OUTCOME = "error"


def answer(values):
    wrong = json.dumps({"output": about(values)})[:-1]
    right = json.dumps({"output": about(values, values.nbytes)})[1:]
    return tensors(f"{wrong}, {right}".encode(), bytes(values.nbytes) + values.tobytes())


serve(answer)
