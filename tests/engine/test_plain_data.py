"""What comes from another process is plain data: it arrives as it was sent, and nothing else arrives."""

from __future__ import annotations

import math
import os
import pickle
from collections import namedtuple
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from conformance.engine.plain_data import NotPlainError, read, written


@dataclass(frozen=True)
class Found:
    values: Any
    name: str = "a"


RECORDS = {"Found": Found}
Pair = namedtuple("Pair", "first second")


class Text(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ([None, True, -1, 2.5, "\ud800", b"x", {1: (2,)}, {3}, frozenset({4})],) * 2,
        (Text("no"), "no"),
        (Colour.RED, "red"),
        (Pair(1, [2]), (1, [2])),
        (Found({"a": Text("b")}), Found({"a": "b"})),
    ],
    ids=["plain", "a text that equals everything", "enum", "named tuple", "record"],
)
def test_plain_data_arrives(sent: Any, arrives: Any) -> None:
    found = read(written(sent, RECORDS), RECORDS)
    assert found == arrives
    assert type(found) is type(arrives)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5, -0.0, math.nan, math.inf]),
        np.array(3.0),
        np.zeros((0, 3), np.int16),
        np.arange(6).reshape(2, 3).T,
        np.broadcast_to(np.float16(2), (2, 2)),
    ],
    ids=["values", "one", "none", "transposed", "broadcast"],
)
def test_arrays_arrive_bit_for_bit_and_can_be_written_to(array: Any) -> None:
    found = read(written(array, {}), {})
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.writeable


def test_a_scalar_of_numpy_stays_one() -> None:
    found = read(written(np.float32(0.1), {}), {})
    assert type(found) is np.float32
    assert found == np.float32(0.1)


@pytest.mark.parametrize(
    "sent",
    [object(), print, lambda: 0, Found(object()), np.array([object()]), bytearray(b"x")],
    ids=lambda x: type(x).__name__,
)
def test_nothing_else_is_sent(sent: Any) -> None:
    with pytest.raises(NotPlainError, match="expected plain data or arrays of numbers"):
        written(sent, RECORDS)


class RunsCode:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/gaugeblock-was-here",)


@pytest.mark.parametrize(
    "data",
    [pickle.dumps(RunsCode()), pickle.dumps(Found(1)), pickle.dumps(len), pickle.dumps(np.zeros(1)), b"", b"\x80\x05rubbish"],
    ids=["code", "class", "function", "array", "nothing", "rubbish"],
)
def test_nothing_else_is_read(data: bytes) -> None:
    with pytest.raises(
        NotPlainError, match=r"found .* expected plain data that names no class|found bytes that are no message"
    ):
        read(data, RECORDS)
    assert not os.path.exists("/tmp/gaugeblock-was-here")


def test_a_record_that_is_not_listed_is_not_read() -> None:
    with pytest.raises(NotPlainError):
        read(written(Found(1), RECORDS), {})
