"""A result is one verdict on one implementation for one requirement and case, with its margin and its worst place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The five things that can come of putting a case to an implementation."""

    PASS = "pass"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    """A declared gap: neither passed nor failed; counts in the coverage column."""
    NOT_RUN = "not run"
    """Something outside the implementation is missing, or was left out on request; the message says which."""
    ERROR = "error"
    """It crashed; the message ends with the traceback's last line."""


RED = (Verdict.FAIL, Verdict.ERROR)
JUDGED = (Verdict.PASS, *RED)
"""The verdicts of cases that were put, and not refused or left out."""


@dataclass(frozen=True, kw_only=True)
class VerdictRecord:
    """One line of a record file. ``margin`` is the largest |error| / bound: above 1 fails, inf for a wrong text or shape."""

    implementation: str
    system: str
    requirement: str
    case: str
    dtype: str
    device: str
    verdict: Verdict
    margin: float | None = None
    quantity: str = ""
    worst: str = ""
    got: str = ""
    expected: str = ""
    bound: str = ""
    message: str = ""
    resembles: str = ""
    """The planted bug that gives the same wrong values, where there is one: the likeliest reason."""
    reproduce: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping; an infinite margin is the string "inf", which JSON has no number for."""
        fields = asdict(self)
        fields["verdict"] = self.verdict.value
        if self.margin is not None and math.isinf(self.margin):
            fields["margin"] = "inf"
        return {"record": "verdict", **fields}

    @staticmethod
    def from_json(line: dict[str, Any]) -> VerdictRecord:
        """The inverse of `to_json`."""
        fields = {key: value for key, value in line.items() if key != "record"}
        if fields["margin"] == "inf":
            fields["margin"] = math.inf
        return VerdictRecord(**{**fields, "verdict": Verdict(fields["verdict"])})
