"""Every reader of RAG answers is one subject: ``parse(text)`` gives a list of queries.

A function ``parse(text)`` is enough, or an object (or a class without required arguments) with one. There are no feature
words. Settings of a record: ``seconds`` is the time limit of one answer. ``numerical_class`` names the profile: "" is
strict, "official" is the published reader's, whose order and choice of 25 are unspecified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.engine.command import Command
from conformance.rig.harness import text as _text
from impls.implementation import Implementation
from reference.rag import PROFILES, RagProfile


class RagSubject:
    """What the checks talk to. Holds no state between calls."""

    def __init__(self, parser: Any, numerical_class: str = "", seconds: float = 10.0) -> None:
        if numerical_class not in PROFILES:
            known = ", ".join(name for name in PROFILES if name)
            raise ValueError(f"found the profile {numerical_class!r}, expected one of {known}")
        self.numerical_class = numerical_class
        self._parser = parser
        self._seconds = seconds

    @property
    def profile(self) -> RagProfile:
        """The profile that it declares to read in."""
        return PROFILES[self.numerical_class]

    def parse(self, text: str) -> list[str]:
        """The queries of the answer; AnswerError where what comes back is no list of strings."""
        return _text.as_queries(self.answer(text))

    def answer(self, text: str) -> Any:
        """What the parser answers, as it stands."""
        with _text.time_limit(self._seconds):
            return self._parser.parse(text)

    def raw_parse(self) -> Callable[[str], Any]:
        """The bare call, for the clock."""
        parse: Callable[[str], Any] = self._parser.parse
        return parse


class _CommandParser:
    """A process seen as a parser."""

    def __init__(self, command: Command, profile: RagProfile) -> None:
        self._command, self._profile = command, profile

    def parse(self, text: str) -> list[str]:
        answer = self._command.ask({"system": "rag", "profile": self._profile.name, "text": text})
        return _text.as_queries(_text.answered(answer, "queries"))


def connect(implementation: Implementation, device: str) -> RagSubject:
    """The subject of a record. ValueError for an unknown profile."""
    seconds = _text.seconds_for(implementation.settings)
    if implementation.protocol == _text.COMMAND:
        subject = RagSubject(None, implementation.numerical_class, seconds + 1.0)
        subject._parser = _CommandParser(_text.command_of(implementation), subject.profile)
        return subject
    return RagSubject(_text.loaded_parser(implementation), implementation.numerical_class, seconds)


def recognise(loaded: Any, name: str) -> dict[str, Any] | None:
    """The fields of a record for an object that may be a reader of RAG; see `conformance.rig.harness.text.recognise_as`."""
    return _text.recognise_as("rag", loaded, name, {})
