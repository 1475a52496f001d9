"""Connect readers of RAG answers to the checks: ``parse(text)`` gives a list of queries.

A function ``parse(text)`` is enough, or an object (or a class without required arguments) with one. There are no feature
words. Settings of a record: ``seconds`` is the time limit of one answer. ``numerical_class`` names the profile: "" is
strict, "official" is the published reader's, whose order and choice of 25 are unspecified.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from conformance.rig.harness import text as _text
from impls.implementation import Implementation
from reference.rag.profiles import PROFILES, RagProfile

RESULTS = (_text.AnswerError,)


class RagSubject(_text.TextSubject[str]):
    """What the checks of RAG call."""

    def __init__(self, parser: object, numerical_class: str = "", seconds: float = 10.0) -> None:
        super().__init__(parser, numerical_class, PROFILES, seconds)

    @property
    def profile(self) -> RagProfile:
        """The profile that the reader declares."""
        return PROFILES[self.numerical_class]

    @staticmethod
    def is_plain(answer: object) -> bool:
        """See the base class."""
        return type(answer) in (list, tuple)

    @staticmethod
    def listed(answer: Any) -> list[Any]:
        """See the base class."""
        return _text.as_queries(answer)

    def read(self, answer: Any, text: str) -> list[str]:
        """The queries that the parser answered; AnswerError where what comes back is no list of strings."""
        return _text.as_queries(answer)


def connect(implementation: Implementation, device: str) -> RagSubject:
    """The subject of a record. ValueError for an unknown profile."""
    seconds = _text.seconds_for(implementation.settings)
    if implementation.protocol == _text.COMMAND:

        def read(answer: Mapping[str, Any], text: str) -> list[str]:
            return _text.as_queries(_text.answered(answer, "queries"))

        subject = RagSubject(None, implementation.numerical_class, math.inf)  # the process has its own
        subject._parser = _text.CommandParser(implementation, subject.profile.name, read)
        return subject
    return RagSubject(_text.loaded_parser(implementation), implementation.numerical_class, seconds)


def beside(implementation: Implementation, device: str) -> dict[str, Any]:
    """What a subject in another process has here: its profile."""
    return {"profile": PROFILES[implementation.numerical_class]}


def recognise(loaded: Any, name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The fields of a record for an object that may be a reader of RAG; see `conformance.rig.harness.text.recognise_as`."""
    return _text.recognise_as("rag", loaded, name, {})
