"""Connect parsers of RIG annotations to the checks: ``parse(text)`` gives (query, value, start, end) in code points.

The answer may be a list, a tuple or an iterator of tuples, mappings, objects with such attributes (or with ``span``) or
matches of two groups. Offsets in bytes or in UTF-16 units are found out by trying, where nothing is declared.

A function ``parse(text)`` is enough; so is ``resolve(text, fetch)``. An object (or a class without required arguments) may
offer more; each is a feature word:

- ``stream``: ``stream()`` returns a fresh reader with ``feed(chunk)`` and ``close()``. Both return what has become certain:
  strings (text) and (query, value, start, end), in the order of the document and with offsets from its beginning. A chunk
  may be empty.
- ``serialise`` (or ``serialize``): ``serialise(segments)`` writes a document from strings (text) and (query, value) pairs, and
  raises ValueError for what cannot be written.
- ``well_formed`` (or ``is_well_formed``): ``well_formed(text)`` says whether the opener occurs in annotations only.
- ``recover``: ``recover(text)`` is the lenient profile: (query, value or None, start, end, diagnostics), diagnostics as
  "D1" to "D15" in the order of their numbers. ``recover_stream`` (beside it) returns a reader in chunks of the same.
- ``tags``: ``tags(text)`` reads the resolved form: (number, served, footnote, differs, model, start, end), None for what is
  not there.
- ``resolve``: ``resolve(text, fetch)`` returns the resolved text; ``fetch(query)`` returns a mapping with "value", "unit",
  "source", "date" and "url", or None, or raises.
- ``address``: ``address(query)`` returns the address that a query is fetched from; its parameter "q" is the query.
- ``constrain``: ``constrain(vocabulary, end)`` returns a fresh guide of a constrained decoder. The vocabulary lists tokens
  as bytes, ``end`` is the id that ends a text; ``guide.allowed()`` gives those that may follow, ``guide.advance(id)`` takes
  one.

Settings of a record: ``offsets`` ("code points", "utf8" or "utf16") is the unit that the parser counts in; ``seconds`` is the
time limit of one answer. ``numerical_class`` names the profile: "" is strict, "official" is the published reader's.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol

from conformance.engine.text_comparison import in_chunks
from conformance.rig.harness import text as _text
from conformance.rig.harness.text import AnswerError, Found, Item, TimedReader, as_annotations, as_found
from impls.implementation import Implementation, Unsupported, load_target
from reference.rig.events import to_code_points
from reference.rig.grammar import PROFILES, RigProfile

STREAM, SERIALISE, WELL_FORMED = "stream", "serialise", "well_formed"
RECOVER, RECOVER_STREAM, TAGS, RESOLVE, ADDRESS = "recover", "recover_stream", "tags", "resolve", "address"
CONSTRAIN = "constrain"
RESOLVER = "resolver"
"""The protocol of a function ``resolve(text, fetch)``."""
_FETCH = ("fetch", "lookup", "answers", "answer", "query", "fetcher", "get")
"""Names of the second parameter by which such a function is recognised."""

FEATURES: dict[str, tuple[str, ...]] = {
    STREAM: ("stream",),
    SERIALISE: ("serialise", "serialize"),
    WELL_FORMED: ("well_formed", "is_well_formed"),
    RECOVER: ("recover",),
    RECOVER_STREAM: ("recover_stream",),
    TAGS: ("tags",),
    RESOLVE: ("resolve",),
    ADDRESS: ("address",),
    CONSTRAIN: ("constrain",),
}
"""The feature words, each with the names of the methods that offer it."""


Segment = str | tuple[str, str]
"""A text, or the query and the value of an annotation."""
Mended = tuple[str, str | None, int, int, tuple[str, ...]]
"""Query, value, span in code points, and diagnostics."""
Tag = tuple[Any, ...]
"""Number, served, footnote, differs, model, and the span in code points."""


class ChunkReader(Protocol):
    """A reader of one document in chunks, as an implementation offers it."""

    def feed(self, chunk: str) -> Any:
        """A list of strings and annotations that became certain."""

    def close(self) -> Any:
        """The same of what was held back."""


class TokenGuide(Protocol):
    """A constrained decoder's text in the making, as an implementation offers it."""

    def allowed(self) -> Iterable[int]:
        """The tokens that may come next."""

    def advance(self, token: int) -> object:
        """Take the next token."""


RESULTS = (AnswerError,)


class RigSubject(_text.TextSubject[Found]):
    """What the checks of RIG call."""

    def __init__(self, parser: object, numerical_class: str = "", offsets: str = "code points", seconds: float = 10.0) -> None:
        super().__init__(parser, numerical_class, PROFILES, seconds)
        self._offsets = offsets

    @property
    def profile(self) -> RigProfile:
        """The profile that the parser declares."""
        return PROFILES[self.numerical_class]

    def read(self, answer: Any, text: str) -> list[Found]:
        """The annotations that the parser answered to the text, in code points; AnswerError where it is no such answer."""
        return _converted(as_annotations(answer), text, self._offsets)

    @staticmethod
    def is_plain(answer: object) -> bool:
        """See the base class."""
        return type(answer) in (list, tuple) and all(type(item) in (tuple, list, dict) for item in answer)  # type: ignore[attr-defined]

    @staticmethod
    def listed(answer: Any) -> list[Any]:
        """See the base class."""
        return as_annotations(answer)

    def timed_feature(self, feature: str, size: int) -> TimedReader[Any]:
        """The parser's function for a feature word made ready to be timed, on chunks of this size if it takes chunks."""
        make = self._feature(feature)

        def read(text: str) -> list[Any]:
            if feature == RECOVER:
                return list(make(text))
            reader = make()
            items: list[Any] = []
            for chunk in in_chunks(text, size):
                items += reader.feed(chunk)
            items += reader.close()
            return items

        def items_of(items: list[Any], text: str) -> list[Any]:
            if feature != STREAM:
                return items
            return [item if isinstance(item, str) else self.read([item], text)[0] for item in items]

        return TimedReader(read, items_of)

    def stream(self) -> CheckedStream:
        """A fresh reader of one document in chunks."""
        return CheckedStream(self._feature(STREAM)(), self._offsets, self._seconds)

    def serialise(self, segments: Sequence[Segment]) -> str:
        """The document of these segments; ValueError where there is none."""
        given = list(segments)
        with _text.time_limit(self._seconds):
            document = self._feature(SERIALISE)(given)
        if given != list(segments):
            raise AnswerError(f"found {_text.describe(given)} where the segments were, expected them unchanged")
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

    def recover(self, text: str) -> list[Mended]:
        """What a lenient reader reads, with the diagnostics of each."""
        with _text.time_limit(self._seconds):
            return self._mended(self._feature(RECOVER)(text), text)

    def recover_stream(self) -> CheckedLenientStream:
        """A fresh lenient reader in chunks."""
        return CheckedLenientStream(self._feature(RECOVER_STREAM)(), self._seconds)

    def _mended(self, answer: Any, text: str) -> list[Mended]:
        if not isinstance(answer, (list, tuple)):
            raise AnswerError(f"found {_text.describe(answer)}, expected a list of (query, value, start, end, diagnostics)")
        items = [as_mended(item) for item in answer]
        points = _points(text, [offset for item in items for offset in item[2:4]], self._offsets)
        return [(item[0], item[1], points[2 * n], points[2 * n + 1], item[4]) for n, item in enumerate(items)]

    def tags(self, text: str) -> list[Tag]:
        """The resolved tags of a text."""
        with _text.time_limit(self._seconds):
            answer = self._feature(TAGS)(text)
        try:
            items = [(n, served, footnote, bool(d), model, s, e) for n, served, footnote, d, model, s, e in answer]
        except (TypeError, ValueError):
            raise AnswerError(
                f"found {_text.describe(answer)}, expected a list of (number, served, footnote, differs, model, start, end)"
            ) from None
        points = _points(text, [offset for item in items for offset in item[5:]], self._offsets)
        return [(*item[:5], points[2 * n], points[2 * n + 1]) for n, item in enumerate(items)]

    def resolve(self, text: str, fetch: Callable[[str], Mapping[str, str] | None]) -> str:
        """The resolved text."""
        with _text.time_limit(self._seconds):
            answer = self._feature(RESOLVE)(text, fetch)
        resolved = answer if isinstance(answer, str) else getattr(answer, "text", None)
        if not isinstance(resolved, str):
            raise AnswerError(f"found {_text.describe(answer)} as a resolved text, expected a string")
        return resolved

    def address(self, query: str) -> str:
        """Where a query is fetched from."""
        answer = self._feature(ADDRESS)(query)
        if not isinstance(answer, str):
            raise AnswerError(f"found {_text.describe(answer)} as an address, expected a string")
        return answer

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> CheckedGuide:
        """A fresh guide of a constrained decoder."""
        with _text.time_limit(self._seconds):
            return CheckedGuide(self._feature(CONSTRAIN)(vocabulary, end), self._seconds)

    def _feature(self, name: str) -> Callable[..., Any]:
        found = _text.method(self._parser, *FEATURES[name])
        if found is None:
            raise Unsupported(f"has no {name}")
        return found


class _LimitedReader(ABC, Generic[Item]):
    """A reader of one document in chunks under a time limit."""

    def __init__(self, reader: ChunkReader, seconds: float) -> None:
        self._reader, self._seconds = reader, seconds
        self._fed = ""

    def feed(self, chunk: str) -> list[str | Item]:
        """What became certain with this chunk."""
        self._fed += chunk
        with _text.time_limit(self._seconds):
            return self._items(self._reader.feed(chunk))

    def close(self) -> list[str | Item]:
        """What was held back."""
        with _text.time_limit(self._seconds):
            return self._items(self._reader.close())

    @abstractmethod
    def _items(self, answer: Any) -> list[str | Item]: ...


class CheckedStream(_LimitedReader[Found]):
    """A reader in chunks, whose items are strings and annotations in code points of the whole document."""

    def __init__(self, reader: ChunkReader, offsets: str, seconds: float) -> None:
        super().__init__(reader, seconds)
        self._offsets = offsets

    def _items(self, answer: Any) -> list[str | Found]:
        if not isinstance(answer, (list, tuple, Iterator)):
            raise AnswerError(f"found {_text.describe(answer)}, expected a list of strings and (query, value, start, end)")
        return [
            item if isinstance(item, str) else _converted([as_found(item)], self._fed, self._offsets)[0] for item in answer
        ]


class CheckedLenientStream(_LimitedReader[Mended]):
    """A lenient reader in chunks."""

    def _items(self, answer: Iterable[Any]) -> list[str | Mended]:
        return [item if isinstance(item, str) else as_mended(item) for item in answer]


class CheckedGuide:
    """A constrained decoder's text in the making."""

    def __init__(self, guide: TokenGuide, seconds: float) -> None:
        self._guide, self._seconds = guide, seconds

    def allowed(self) -> frozenset[int]:
        """The tokens that may come next."""
        with _text.time_limit(self._seconds):
            return frozenset(self._guide.allowed())

    def advance(self, token: int) -> None:
        """Take the next token."""
        with _text.time_limit(self._seconds):
            self._guide.advance(token)


def connect(implementation: Implementation, device: str) -> RigSubject:
    """The subject of a record. ValueError for an unknown profile or unit of offsets."""
    settings = implementation.settings
    offsets = settings.get("offsets", "code points")
    seconds = _text.seconds_for(settings)
    if implementation.protocol == _text.COMMAND:

        def read(answer: Mapping[str, Any], text: str) -> list[Found]:
            found = as_annotations(_text.answered(answer, "annotations"))
            return _converted(found, text, answer.get("offsets", offsets))

        subject = RigSubject(None, implementation.numerical_class, seconds=math.inf)  # the process has its own
        subject._parser = _text.CommandParser(implementation, subject.profile.name, read)
        return subject
    if implementation.protocol == RESOLVER:
        return RigSubject(_Resolver(load_target(implementation.target)), implementation.numerical_class, offsets, seconds)
    return RigSubject(_text.loaded_parser(implementation), implementation.numerical_class, offsets, seconds)


def beside(implementation: Implementation, device: str) -> dict[str, Any]:
    """What a subject in another process has here: its profile, which holds functions."""
    return {"profile": PROFILES[implementation.numerical_class]}


def recognise(loaded: Any, name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The fields of a record for an object that may be a parser of RIG; see `conformance.rig.harness.text.recognise_as`.

    An object without ``parse`` may still resolve or constrain: its methods, or its two parameters, show it.
    """
    if not callable(getattr(loaded, "parse", None)):
        offered = frozenset(word for word, names in FEATURES.items() if _text.method(loaded, *names))
        if offered & {CONSTRAIN, RESOLVE}:
            return {"protocol": _text.OBJECT, "dtypes": (), "devices": ("cpu",), "features": offered}
        if _is_resolver(loaded):
            return {"protocol": RESOLVER, "dtypes": (), "devices": ("cpu",), "features": frozenset({RESOLVE})}
    return _text.recognise_as("rig", loaded, name, FEATURES)


class _Resolver:
    def __init__(self, resolve: Callable[..., Any]) -> None:
        self.resolve = resolve


def _is_resolver(loaded: Any) -> bool:
    if isinstance(loaded, type) or not callable(loaded):
        return False
    try:
        parameters = list(inspect.signature(loaded).parameters.values())
    except (TypeError, ValueError):
        return False
    required = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(required) == 2 and required[0].name in ("text", "answer", "document") and required[1].name in _FETCH


def as_mended(item: Any) -> Mended:
    """One annotation of the lenient profile; AnswerError where it is none."""
    try:
        query, value, start, end, diagnostics = item
    except (TypeError, ValueError):
        raise AnswerError(f"found {_text.describe(item)}, expected (query, value, start, end, diagnostics)") from None
    _, _, start, end = as_found((query, "" if value is None else value, start, end))
    return query, value, start, end, tuple(str(code) for code in diagnostics)


def _points(text: str, offsets: Sequence[int], unit: str) -> list[int]:
    try:
        return to_code_points(text, offsets, unit)
    except ValueError as error:
        raise AnswerError(str(error)) from None


def _converted(found: list[Found], text: str, unit: str) -> list[Found]:
    if unit == "code points":
        return found
    points = _points(text, [offset for item in found for offset in item[2:]], unit)
    return [(query, value, points[2 * n], points[2 * n + 1]) for n, (query, value, _, _) in enumerate(found)]
