"""Every selected implementation is put to every requirement of Sigmoid attention."""

from __future__ import annotations

from collections.abc import Callable

from conformance.judging import Examination, LeftOut

SYSTEM = "sigmoid_attention"


def test_conforms(examination: Examination | LeftOut, judge: Callable[[Examination | LeftOut], None]) -> None:
    judge(examination)
