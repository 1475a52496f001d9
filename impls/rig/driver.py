"""Every parser of RIG annotations is one subject: ``parse(text)`` gives (query, value, start, end) in code points.

A function ``parse(text)`` is enough. An object (or a class without required arguments) may offer more beside its ``parse``;
each is a feature word:

- ``stream``: ``stream()`` returns a fresh reader with ``feed(chunk)`` and ``close()``. Both return what has become certain:
  strings (text) and (query, value, start, end), in the order of the document and with offsets from its beginning. A chunk
  may be empty.
- ``serialise`` (or ``serialize``): ``serialise(segments)`` writes a document from strings (text) and (query, value) pairs, and
  raises ValueError for what cannot be written.
- ``well_formed`` (or ``is_well_formed``): ``well_formed(text)`` says whether the opener occurs in annotations only.

Settings of a record: ``offsets`` ("code points", "utf8" or "utf16") is the unit that the parser counts in; ``seconds`` is the
time limit of one answer. ``numerical_class`` names the profile: "" is strict, "official" is the published reader's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from impls import _text
from impls._command import Command
from impls._text import AnswerError, Found, as_annotations, as_found
from impls.contract import Implementation, Unsupported
from reference.rig import PROFILES, Profile, Segment, to_code_points

STREAM, SERIALISE, WELL_FORMED = "stream", "serialise", "well_formed"
FEATURES: dict[str, tuple[str, ...]] = {
    STREAM: ("stream",),
    SERIALISE: ("serialise", "serialize"),
    WELL_FORMED: ("well_formed", "is_well_formed"),
}
"""The feature words, each with the names of the methods that offer it."""


class Subject:
    """What the checks talk to. Holds no state between calls."""

    def __init__(self, parser: Any, numerical_class: str = "", offsets: str = "code points", seconds: float = 10.0) -> None:
        if numerical_class not in PROFILES:
            known = ", ".join(name for name in PROFILES if name)
            raise ValueError(f"found the profile {numerical_class!r}, expected one of {known}")
        self.numerical_class = numerical_class
        self._parser = parser
        self._offsets = offsets
        self._seconds = seconds

    @property
    def profile(self) -> Profile:
        """The profile that it declares to read in."""
        return PROFILES[self.numerical_class]

    def parse(self, text: str) -> list[Found]:
        """The annotations of the text; AnswerError where the answer has not the shape of one."""
        return self.read(self.answer(text), text)

    def answer(self, text: str) -> Any:
        """What the parser answers, as it stands."""
        with _text.time_limit(self._seconds):
            return self._parser.parse(text)

    def read(self, answer: Any, text: str) -> list[Found]:
        """What the parser answered to the text, in code points."""
        return _converted(as_annotations(answer), text, self._offsets)

    def raw_parse(self) -> Callable[[str], Any]:
        """The bare call, for the clock."""
        return self._parser.parse

    def stream(self) -> Stream:
        """A fresh reader of one document in chunks."""
        return Stream(self._feature(STREAM)(), self._offsets, self._seconds)

    def serialise(self, segments: Sequence[Segment]) -> str:
        """The document of these segments; ValueError where there is none."""
        with _text.time_limit(self._seconds):
            document = self._feature(SERIALISE)(list(segments))
        if not isinstance(document, str):
            raise AnswerError(f"found {_text.describe(document)} as a document, expected a string")
        return document

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        with _text.time_limit(self._seconds):
            answer = self._feature(WELL_FORMED)(text)
        if not isinstance(answer, bool):
            raise AnswerError(f"found {_text.describe(answer)} as the answer of well_formed, expected True or False")
        return answer

    def _feature(self, name: str) -> Callable[..., Any]:
        found = _text.method(self._parser, *FEATURES[name])
        if found is None:
            raise Unsupported(f"has no {name}")
        return found


class Stream:
    """A reader in chunks, whose items are strings and annotations in code points of the whole document."""

    def __init__(self, reader: Any, offsets: str, seconds: float) -> None:
        self._reader, self._offsets, self._seconds = reader, offsets, seconds
        self._fed = ""

    def feed(self, chunk: str) -> list[str | Found]:
        """What became certain with this chunk."""
        self._fed += chunk
        with _text.time_limit(self._seconds):
            return self._items(self._reader.feed(chunk))

    def close(self) -> list[str | Found]:
        """What was held back."""
        with _text.time_limit(self._seconds):
            return self._items(self._reader.close())

    def _items(self, answer: Any) -> list[str | Found]:
        if not isinstance(answer, (list, tuple)):
            raise AnswerError(f"found {_text.describe(answer)}, expected a list of strings and (query, value, start, end)")
        return [
            item if isinstance(item, str) else _converted([as_found(item)], self._fed, self._offsets)[0] for item in answer
        ]


class _CommandParser:
    """A process seen as a parser. It offers no more than ``parse``."""

    def __init__(self, command: Command, profile: Profile, offsets: str) -> None:
        self._command, self._profile, self._offsets = command, profile, offsets

    def parse(self, text: str) -> list[Found]:
        answer = self._command.ask({"system": "rig", "profile": self._profile.name, "text": text})
        found = as_annotations(_text.answered(answer, "annotations"))
        return _converted(found, text, answer.get("offsets", self._offsets))


def connect(implementation: Implementation, device: str) -> Subject:
    """The subject of a record. ValueError for an unknown profile or unit of offsets."""
    settings = implementation.settings
    offsets = settings.get("offsets", "code points")
    seconds = _text.seconds_for(settings)
    if implementation.protocol == _text.COMMAND:
        subject = Subject(None, implementation.numerical_class, "code points", seconds + 1.0)
        subject._parser = _CommandParser(_text.command_of(implementation), subject.profile, offsets)
        return subject
    return Subject(_text.loaded_parser(implementation), implementation.numerical_class, offsets, seconds)


def recognise(loaded: Any, name: str) -> dict[str, Any] | None:
    """The fields of a record for an object that may be a parser of RIG; see `impls._text.recognise_as`."""
    return _text.recognise_as("rig", loaded, name, FEATURES)


def _converted(found: list[Found], text: str, unit: str) -> list[Found]:
    if unit == "code points":
        return found
    try:
        points = to_code_points(text, [offset for item in found for offset in item[2:]], unit)
    except ValueError as error:
        raise AnswerError(str(error)) from None
    return [(query, value, points[2 * n], points[2 * n + 1]) for n, (query, value, _, _) in enumerate(found)]
