"""Turn an exception into a verdict and a message, for test cases, measurements, claims and curves alike."""

from __future__ import annotations

from conformance.engine.check import last_line
from conformance.records.schema import Verdict
from impls.implementation import NotRun, Unsupported, in_one_line


def outcome_of(error: BaseException) -> tuple[Verdict, str]:
    """The verdict and its message. Only an interrupt is raised again; SystemExit of a library is an error like any other."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, Unsupported):
        return Verdict.UNSUPPORTED, in_one_line(str(error))
    if isinstance(error, NotRun):
        return Verdict.NOT_RUN, in_one_line(str(error))
    return Verdict.ERROR, last_line(error)
