"""What is dear to compute is kept, within a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.engine.kept import Kept, bytes_of


@dataclass(frozen=True, eq=False)
class Inputs:
    """Arrays in a dataclass."""

    x: Any
    more: dict[str, Any]


def test_what_was_used_longest_ago_goes_first() -> None:
    kept, calls = Kept(most=100), []

    @kept
    def zeros(count: int) -> Any:
        calls.append(count)
        return np.zeros(count)

    assert zeros(4) is zeros(4)
    zeros(5)
    zeros(4)
    assert kept.held == 72
    zeros(6)  # 5 goes, 4 stays
    assert zeros(4).size == 4
    assert (calls, kept.held) == ([4, 5, 6], 80)
    zeros(5)
    assert calls == [4, 5, 6, 5]
    assert zeros(1000).size == 1000, "what is larger than all room is given, and not kept"
    assert kept.held == 0


def test_functions_share_the_room_and_are_told_apart() -> None:
    kept = Kept(most=64)
    ones, twos = kept(lambda count: np.full(count, 1.0)), kept(lambda count: np.full(count, 2.0))
    assert (ones(4)[0], twos(4)[0], ones(4)[0]) == (1.0, 2.0, 1.0)
    assert kept.held == 64


def test_arrays_are_found_wherever_they_are() -> None:
    four = np.zeros(4, np.uint8)
    assert bytes_of(Inputs(four, {"a": four, "b": [four, (four, "text")]})) == 16
    kept = Kept(most=100)
    kept(lambda inputs: None)(Inputs(four, {}))
    assert kept.held == 4, "arguments are held too"
