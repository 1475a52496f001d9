"""What the harnesses of RIG and RAG share: a time limit on ``parse(text)``, and recognising a parser by its answer.

A parser of RIG and a parser of RAG have the same signature. They differ in what they answer to one short document, which is
at once an annotated text and a list of one line.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import operator
import os
import re
import shlex
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Generic, TypeVar

from conformance.engine.command import Command
from conformance.engine.time_limit import NoAnswer
from conformance.engine.time_limit import TimeLimitExceeded as TimeLimitExceeded
from conformance.engine.time_limit import time_limit as time_limit
from impls.implementation import Implementation, PlugError, Unsupported, load_target
from reference.rig.events import length_in
from reference.rig.grammar import CLOSE, EXAMPLE, OPEN

Item = TypeVar("Item")
Found = tuple[str, str, int, int]
"""An annotation as a harness returns it: query, value, and the span in code points."""

FUNCTION, OBJECT, COMMAND = "function", "object", "command"
"""Protocols: a ``parse(text)``; an object (or a class without required arguments) with ``parse`` and more; a process."""

_NEVER_TEXT = {"params", "parameters", "learning_rate", "lr", "named_parameters", "model", "module", "schedule"}
"""Names of a first parameter that is no text: calling such a function with a text would say nothing."""


MOST_SILENCES = 3
"""So often is a parser asked again that waited until it was interrupted: each time costs half a minute."""


class AnswerError(Exception):
    """A parser's answer has the wrong shape; the message says what was found, and what was expected."""


def seconds_for(settings: Mapping[str, Any]) -> float:
    """The processor time that an answer may take: the record's ``seconds``, else GAUGEBLOCK_TEXT_SECONDS, else 10."""
    return float(settings.get("seconds") or os.environ.get("GAUGEBLOCK_TEXT_SECONDS") or 10.0)


class TextSubject(ABC, Generic[Item]):
    """What the subjects of RIG and RAG share: a parser, its profile, a limit of processor time, and no state between calls."""

    def __init__(self, parser: object, numerical_class: str, profiles: Collection[str], seconds: float) -> None:
        if numerical_class not in profiles:
            known = ", ".join(name for name in profiles if name)
            raise ValueError(f"found the profile {numerical_class!r}, expected one of {known}")
        self.numerical_class = numerical_class
        self._parser = parser
        self._seconds = seconds
        self._silences = 0

    def answer(self, text: str) -> Any:
        """The parser's answer, unchanged. NoAnswer where it waits for ever, or has done so `MOST_SILENCES` times."""
        if self._silences >= MOST_SILENCES:
            raise NoAnswer(f"not asked, since it did not answer {self._silences} times before")
        try:
            with time_limit(self._seconds):
                answer = self.raw_parse()(text)
                return list(answer) if isinstance(answer, Iterator) else answer
        except NoAnswer:
            self._silences += 1
            raise

    @abstractmethod
    def read(self, answer: Any, text: str) -> list[Item]:
        """The items of what the parser answered to the text; AnswerError where the answer has not the shape of one."""

    def parse(self, text: str) -> list[Item]:
        """The items that the parser finds in the text."""
        return self.read(self.answer(text), text)

    def begin_and_parse(self, text: str, other: str) -> tuple[list[Item], list[Item]]:
        """The items of a text, the first of which was taken before the other text was read; and those of the other.

        Only an iterator can tell the difference.
        """
        with time_limit(self._seconds):
            begun = self.raw_parse()(text)
            first = list(itertools.islice(begun, 1)) if isinstance(begun, Iterator) else []
            meanwhile = self.parse(other)
            answer = [*first, *begun] if isinstance(begun, Iterator) else begun
        return self.read(answer, text), meanwhile

    def timed(self, text: str) -> TimedReader[Item]:
        """The parser made ready to be timed on texts like this one."""
        plain = self.is_plain(self.answer(text))
        return TimedReader(self.raw_parse(), self.read, None if plain else self.listed)

    @staticmethod
    @abstractmethod
    def is_plain(answer: object) -> bool:
        """Whether an answer is built of Python's own lists, tuples and dicts, which cannot put work off."""

    @staticmethod
    @abstractmethod
    def listed(answer: Any) -> list[Any]:
        """Any answer as a list of items."""

    def raw_parse(self) -> Callable[[str], Any]:
        """The parser's own function, for the timer; Unsupported where it has no ``parse``."""
        found = method(self._parser, "parse")
        if found is None:
            raise Unsupported("has no parse")
        return found


class TimedReader(Generic[Item]):
    """A parser made ready to be timed, here or in another process: what is called by name, with texts, from outside.

    ``listed`` turns an answer that is not plain into a list of items, on the clock: other objects could put work off.
    ``items`` gives the items of an answer to a text.
    """

    def __init__(
        self,
        read: Callable[[str], Any],
        items: Callable[[Any, str], list[Item]],
        listed: Callable[[Any], list[Any]] | None = None,
    ) -> None:
        self._read, self._items, self._listed = read, items, listed
        self._last: tuple[Any, str] = ((), "")

    def make(self, texts: Collection[str]) -> list[int]:
        """Read texts; how many items are in each."""
        counts = []
        for text in texts:
            answer = self._read(text)
            answer = self._listed(answer) if self._listed else answer
            self._last = answer, text
            counts.append(len(answer))
        return counts

    def exchange(self, texts: Collection[str]) -> list[int]:
        """All that `make` does but the reading."""
        return [len(text) for text in texts]

    def last(self) -> list[Item]:
        """The items of the last answer."""
        return self._items(*self._last)

    def digest(self) -> int:
        """A number of the last answer's items."""
        return digest_of(self.last())

    def read(self, text: str) -> list[Item]:
        """The items of a text."""
        return self._items(self._read(text), text)


def digest_of(items: list[Any]) -> int:
    """A number that other items hardly have."""
    return zlib.crc32(repr(items).encode("utf-8", "backslashreplace"))


class CommandParser:
    """A process (``cmd:``) as a parser, which offers no more than ``parse``; started at the first call.

    ``read`` turns the process's answer to a text into annotations or queries.
    """

    def __init__(self, implementation: Implementation, profile: str, read: Callable[[Mapping[str, Any], str], Any]) -> None:
        words = shlex.split(implementation.target.removeprefix("cmd:"))
        self._command = Command(words, seconds_for(implementation.settings))
        self._system, self._profile, self._read = implementation.system, profile, read

    def parse(self, text: str) -> Any:
        """What the process answered."""
        return self._read(self._command.ask({"system": self._system, "profile": self._profile, "text": text}), text)


def loaded_parser(implementation: Implementation) -> Any:
    """The object behind a record: a function becomes an object with ``parse``, a class is instantiated."""
    loaded = load_target(implementation.target)
    if implementation.protocol == FUNCTION:
        return _Function(loaded)
    return loaded() if isinstance(loaded, type) else loaded


class _Function:
    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.parse = parse


def method(parser: Any, *names: str) -> Callable[..., Any] | None:
    """The first callable attribute of these names, or None."""
    return next((found for name in names if callable(found := getattr(parser, name, None))), None)


def as_found(item: Any) -> Found:
    """One annotation; AnswerError where it is none.

    A tuple or a list of four, or of three with a span; a mapping, or an object with such attributes; a match of two groups.
    """
    query, value, start, end = _fields(item)
    if not isinstance(query, str) or not isinstance(value, str):
        raise AnswerError(f"found query {query!r} and value {value!r}, expected two strings")
    if isinstance(start, bool) or isinstance(end, bool):
        raise AnswerError(f"found the span {start!r} to {end!r}, expected two integers")
    try:
        # Exact strings, since a subclass may define another equality.
        return str.__str__(query), str.__str__(value), operator.index(start), operator.index(end)
    except TypeError:
        raise AnswerError(f"found the span {start!r} to {end!r}, expected two integers") from None


def _fields(item: Any) -> tuple[Any, Any, Any, Any]:
    if isinstance(item, re.Match) and item.re.groups == 2:
        return item[1], item[2], *item.span()
    given = item if isinstance(item, Mapping) else _Attributes(item)
    if "query" in given and "value" in given:
        # Before tuples: a named tuple may have them in another order.
        if "start" in given and "end" in given:
            return given["query"], given["value"], given["start"], given["end"]
        if "span" in given:
            return given["query"], given["value"], *_ends(given["span"])
    elif isinstance(item, (tuple, list)) and len(item) == 4:
        return item[0], item[1], item[2], item[3]
    elif isinstance(item, (tuple, list)) and len(item) == 3:
        return item[0], item[1], *_ends(item[2])
    raise AnswerError(f"found {describe(item)} as an annotation, expected (query, value, start, end)")


def _ends(span: Any) -> tuple[Any, Any]:
    """Start and end of a span: a pair, a slice or a range, or an object that has them."""
    if isinstance(span, (tuple, list)) and len(span) == 2:
        return span[0], span[1]
    return getattr(span, "start", span), getattr(span, "stop", getattr(span, "end", None))


class _Attributes:
    """The attributes of an object as a mapping."""

    def __init__(self, item: object) -> None:
        self._item = item

    def __contains__(self, name: str) -> bool:
        return hasattr(self._item, name)

    def __getitem__(self, name: str) -> Any:
        return getattr(self._item, name)


def _items(answer: Any, key: str) -> list[Any] | None:
    """The items of an answer: a list, a tuple or an iterator, alone or as ``key`` of a mapping or an object; else None."""
    if isinstance(answer, Mapping) and key in answer:
        answer = answer[key]
    elif not callable(held := getattr(answer, key, None)) and held is not None:
        answer = held
    return list(answer) if isinstance(answer, (list, tuple, deque, Iterator)) else None


def as_annotations(answer: Any) -> list[Found]:
    """A parser's whole answer for RIG; AnswerError where it is none."""
    items = _items(answer, "annotations")
    if items is None:
        raise AnswerError(f"found {describe(answer)}, expected a list of (query, value, start, end)")
    return [as_found(item) for item in items]


def as_queries(answer: Any) -> list[str]:
    """A parser's whole answer for RAG; AnswerError where it is none."""
    items = _items(answer, "queries")
    if items is None or not all(isinstance(item, str) for item in items):
        raise AnswerError(f"found {describe(answer)}, expected a list of strings")
    return [str.__str__(item) for item in items]


def answered(answer: Mapping[str, Any], key: str) -> Any:
    """What stands under ``key`` in the answer of a process; Unsupported or AnswerError where it says so."""
    if "unsupported" in answer:
        raise Unsupported(str(answer["unsupported"]))
    if "error" in answer:
        raise AnswerError(f"the command reports: {answer['error']}")
    if key not in answer:
        raise AnswerError(f"found the keys {sorted(answer)}, expected {key!r}, 'unsupported' or 'error'")
    return answer[key]


def describe(value: Any, limit: int = 80) -> str:
    """A value in a message: its type, its length, and how it begins."""
    if isinstance(value, (list, tuple)):
        if not value:
            return f"an empty {type(value).__name__}"
        return f"a {type(value).__name__} of {len(value)} whose first item is {describe(value[0])}"
    text = repr(value)
    return f"{text if len(text) <= limit else text[:limit] + '...'} ({type(value).__name__})"


def recognise_as(system: str, loaded: Any, name: str, features: Mapping[str, tuple[str, ...]]) -> dict[str, Any] | None:
    """The record's fields where ``loaded`` is, or may be, a parser of ``system``; None where it is the other or no parser.

    ``features`` gives the names of the methods that offer each feature. The parser is asked for the example document. An
    empty answer fits both systems: then the user is asked to say which. Raises PlugError where the answer
    fits neither.
    """
    protocol, parser = _as_parser(loaded)
    if parser is None:
        return None
    try:
        with time_limit(seconds_for({})):
            answer = parser.parse(EXAMPLE)
            answer = list(answer) if isinstance(answer, Iterator) else answer
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PlugError(
            f"{name} raised {type(error).__name__}: {error} when asked to parse the example document; expected a list of "
            f"(query, value, start, end) for rig or of strings for rag; make it parse {EXAMPLE[-60:]!r} first"
        ) from None
    fits = []
    for fitting, convert in (("rig", as_annotations), ("rag", as_queries)):
        with contextlib.suppress(AnswerError):
            convert(answer)
            fits.append(fitting)
    if not fits:
        if inspect.iscoroutine(answer):
            answer.close()
        raise PlugError(
            f"{name} returned {describe(answer)} for the example document; expected a list of (query, value, start, end) "
            f"(rig) or a list of strings (rag); return one of these, or wrap it in a function that does"
        )
    if system not in fits:
        return None
    offered = frozenset(feature for feature, names in features.items() if method(parser, *names))
    found = {"protocol": protocol, "dtypes": (), "devices": ("cpu",), "features": offered}
    unit = _unit_of(parser) if system == "rig" else ""
    if unit:
        found["settings"] = {"offsets": unit}
        found["summary"] = f"{name}. Its offsets count {_UNITS[unit]}, as it answered when it was tried."
    return found


_UNITS = {"utf8": "bytes of UTF-8", "utf16": "units of UTF-16"}
_TRIED = "\u00e9\U0001f600 " + EXAMPLE
"""A text in which each unit gives other offsets."""


def _unit_of(parser: Any) -> str:
    """The unit other than code points in which the parser counts; "" where it counts in them, or in none that is known."""
    try:
        with time_limit(seconds_for({})):
            found = as_annotations(parser.parse(_TRIED))
    except Exception:
        return ""
    ends = _TRIED.index(OPEN), _TRIED.index(CLOSE) + len(CLOSE)
    known = {unit: tuple(length_in(unit, _TRIED[:end]) for end in ends) for unit in _UNITS}
    return next((unit for unit, each in known.items() if [each] == [item[2:] for item in found]), "")


def _as_parser(loaded: Any) -> tuple[str, Any]:
    """(protocol, object with ``parse``), or ("", None) where this cannot be a parser of texts."""
    if callable(getattr(loaded, "parse", None)):
        if isinstance(loaded, type):
            try:
                return OBJECT, loaded()
            except TypeError:
                return "", None
        return OBJECT, loaded
    if isinstance(loaded, type) or not callable(loaded):
        return "", None
    try:
        parameters = list(inspect.signature(loaded).parameters.values())
    except (TypeError, ValueError):
        # Compiled functions may hide their signature; then their name decides.
        return (FUNCTION, _Function(loaded)) if "parse" in getattr(loaded, "__name__", "") else ("", None)
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(required) != 1 or required[0].kind is inspect.Parameter.KEYWORD_ONLY or required[0].name in _NEVER_TEXT:
        return "", None
    if required[0].annotation not in (inspect.Parameter.empty, str, "str", Any, "Any"):
        return "", None
    return FUNCTION, _Function(loaded)
