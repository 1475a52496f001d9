"""Every selected implementation is put to every requirement of Sigmoid attention."""

from __future__ import annotations

from collections.abc import Callable

from conformance.judging import Examination

SYSTEM = "sigmoid_attention"


def test_conforms(examination: Examination, judge: Callable[[Examination], None]) -> None:
    judge(examination)
