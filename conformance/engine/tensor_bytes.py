"""Write and read named arrays as safetensors, bfloat16 included: the bytes of a file, or of one message of a program.

The library's own functions for NumPy have no bfloat16. The tests read with the library what is written here.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""The dtypes as safetensors calls them, the widest first."""

_DTYPES = {code: name for name, code in CODES.items()}
_STORED = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}
_LENGTH = struct.Struct("<Q")
_MOST_SIDES = 32
"""Dimensions of an array: what every NumPy can hold."""
_LONGEST_SIDE = 2**40
"""More elements than any message has."""


class Tensor(NamedTuple):
    """A float64 image, every value of which is exact in ``dtype``."""

    values: Array
    dtype: str


def written(arrays: Iterable[tuple[str, Array, str]]) -> bytes:
    """The safetensors bytes of arrays, given by name, values and dtype. Wider dtypes come first, so that each is aligned."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    end = 0
    for name, values, dtype in sorted(arrays, key=lambda each: [*CODES].index(each[2])):
        parts.append(_stored(values, dtype))
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": CODES[dtype], "shape": list(values.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # the data begins aligned
    return _LENGTH.pack(len(text)) + text + b"".join(parts)


def read(data: bytes) -> dict[str, Tensor]:
    """The arrays of safetensors bytes, by name. ValueError says what was found and expected.

    Every byte belongs to one array: a few bytes under many names would fill the memory of whoever reads them.
    """
    header, begin = _header(data)
    stored = memoryview(data)[begin:]
    places = {name: _placed(name, about, len(stored)) for name, about in header.items() if name != "__metadata__"}
    end = 0
    for name, place in sorted(places.items(), key=lambda each: (each[1].begin, each[1].end)):
        if place.begin != end:
            raise ValueError(
                f"found {name!r} at byte {place.begin}, expected it at byte {end}, where the array before it ends"
            )
        end = place.end
    if end != len(stored):
        raise ValueError(f"found {len(stored)} bytes of data, expected {end}, where the last array ends")
    return {name: place.tensor(stored) for name, place in places.items()}


def _header(data: bytes) -> tuple[Mapping[str, Any], int]:
    if len(data) < _LENGTH.size:
        raise ValueError(f"found {len(data)} bytes, expected safetensors, which begin with 8 bytes: the length of the header")
    (length,) = _LENGTH.unpack_from(data)
    if length > len(data) - _LENGTH.size:
        raise ValueError(f"found a header of {length} bytes in {len(data)} bytes of safetensors; the length is little-endian")
    try:
        text = bytes(data[_LENGTH.size : _LENGTH.size + length]).decode("utf-8")
        header = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"found a header of safetensors that is no JSON ({type(error).__name__}: {error})") from None
    if not isinstance(header, dict):
        raise ValueError(f"found a header of safetensors that is a {type(header).__name__}, expected an object")
    return header, _LENGTH.size + length


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


class _Place(NamedTuple):
    """Where an array is stored, and as what."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def tensor(self, data: memoryview) -> Tensor:
        raw = np.frombuffer(data[self.begin : self.end], _STORED[self.dtype]).reshape(self.shape)
        values = (raw.astype("<u4") << 16).view("<f4") if self.dtype == "bfloat16" else raw
        return Tensor(values.astype(np.float64), self.dtype)


def _placed(name: str, about: Any, most: int) -> _Place:
    """Where the header says that an array is, in ``most`` bytes; ValueError where that cannot be."""
    try:
        code, shape, (begin, end) = about["dtype"], tuple(about["shape"]), about["data_offsets"]
        whole = all(type(x) is int and x >= 0 for x in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"found {name!r} without a dtype, a shape and two data_offsets") from None
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"found {name!r} of dtype {code!r}, expected one of {', '.join(_DTYPES)}")
    # Checked before they are multiplied, which takes hours for a million sides.
    if len(shape) > _MOST_SIDES:
        raise ValueError(f"found {name!r} with {len(shape)} dimensions, expected {_MOST_SIDES} at most")
    if not whole or any(side > _LONGEST_SIDE for side in shape):
        raise ValueError(f"found {name!r} with the shape {list(shape)} and offsets {begin} and {end}, expected whole numbers")
    size = math.prod(shape) * np.dtype(_STORED[_DTYPES[code]]).itemsize
    if end - begin != size or end > most:
        raise ValueError(
            f"found {name!r} at bytes {begin} to {end} of {most}, expected {size} bytes for {code} of shape {list(shape)}"
        )
    return _Place(_DTYPES[code], shape, begin, end)


def _stored(values: Array, dtype: str) -> bytes:
    """The bytes of an array: little-endian, in C order. Every value is exact in ``dtype``."""
    if dtype == "bfloat16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()  # the upper half of a float32
    return np.ascontiguousarray(values).astype(_STORED[dtype]).tobytes()
