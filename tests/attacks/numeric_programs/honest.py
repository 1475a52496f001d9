"""Nothing wrong: sigmoid attention as a program. Attacks begin with its functions."""

from __future__ import annotations

import json
import sys

import numpy as np


def requests():
    for line in sys.stdin.buffer:
        request = json.loads(line)
        yield request, sys.stdin.buffer.read(request["bytes"])


def say(request, data=b"", **answer):
    sys.stdout.buffer.write(json.dumps({"id": request["id"], **answer, "bytes": len(data)}).encode() + b"\n" + data)
    sys.stdout.buffer.flush()


def arrays(data):
    size = int.from_bytes(data[:8], "little")
    stored = data[8 + size :]
    places = {name: (about["shape"], *about["data_offsets"]) for name, about in json.loads(data[8 : 8 + size]).items()}
    return {name: np.frombuffer(stored[begin:end], "<f4").reshape(shape) for name, (shape, begin, end) in places.items()}


def output(request, data):
    given = arrays(data)
    q, k, v = (given[name].astype(np.float64) for name in "qkv")
    parameters = request["parameters"]
    score = q @ k.swapaxes(-1, -2) * (parameters["scale"] or q.shape[-1] ** -0.5) + parameters["bias"]
    return (1 / (1 + np.exp(-score)) @ v).astype("<f4")


def tensors(header, stored):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + stored


def about(values, begin=0):
    return {"dtype": "F32", "shape": list(values.shape), "data_offsets": [begin, begin + values.nbytes]}


def serve(answer):
    """Answer each call with the bytes of ``answer(values)``, whose values are right."""
    for request, data in requests():
        if request["op"] == "describe":
            say(request, dtypes=["float32"], features=[])
        else:
            say(request, answer(output(request, data)))


if __name__ == "__main__":
    serve(lambda values: tensors({"output": about(values)}, values.tobytes()))
