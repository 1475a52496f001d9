"""Resolve an annotated text: fetch an answer for each query, and write tags and footnotes that a person reads.

- Tags are numbered in the order of the text, from 1.
- Each distinct query is fetched once, verbatim, and has one footnote where it is answered, in the order of the text.
- What a lenient reader reads is resolved as well. The opener of what cannot be read is taken away, and a text that was cut
  inside an annotation ends before it.
- A fetch that fails, finds nothing or answers with another type leaves the model's own value.
- Neither what was served nor the model's text can forge a tag or a footnote.

docs/rig-specification.md, section 7.1, is the definition.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date
from numbers import Number
from typing import Any
from urllib.parse import quote

from impls.rig.grammar import OPEN
from impls.rig.lenient import LenientAnnotation, attempts

HEADING = "#### FOOTNOTES ####"
FOOTNOTES = f"\n\n{HEADING}\n"
ADDRESS = "https://datacommons.org/explore"
FLAGGED_ABOVE = 0.05
"""Two plain numbers that deviate by more get a tag with an asterisk, as in the official code."""

_APART = {")]": ") ]", "[__DC__": "[ __DC__", HEADING: HEADING[:-5] + ": ####"}
"""What would be read as markup, taken apart. The heading gets a colon: fewer signs could be made up by others beside it."""
_MARKUP = re.compile("|".join(map(re.escape, _APART)))
_MADE_UP = re.compile(r'\[(?=__DC__(?:\("|#))')
_BARS = re.compile(r"\|(?=\|)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_PLAIN_NUMBER = re.compile(r"[^\d\-+]{0,3}([-+]?\d[\d,]*(?:\.\d+)?)(?:\s?%)?")
_OF_ADDRESSES = ":/?#@!$&'()*+,;=%"
"""What stands in an address as it is, beside letters, digits and ``-._~`` (RFC 3986, but for brackets)."""


@dataclass(frozen=True)
class Served:
    """What was found for a query: a ``value`` with its ``unit``, and for the footnote its ``source``, ``date`` and ``url``.

    All are text; an empty one is left out.
    """

    value: str
    unit: str = ""
    source: str = ""
    date: str = ""
    url: str = ""


Fetch = Callable[[str], Served | Mapping[str, Any] | None]
"""Asked once for each distinct query. A mapping has the fields of `Served`; its other keys are ignored. None: nothing was
found. So does an exception, and so does an answer of another type, with a RuntimeWarning."""

AsyncFetch = Callable[[str], Awaitable[Served | Mapping[str, Any] | None]]
AT_ONCE = 8
"""Queries that `resolve_async` asks at the same time unless told otherwise."""


def address(query: str) -> str:
    """The address at which Data Commons explores a query. The query is encoded, so that it arrives as it is."""
    return f"{ADDRESS}?q={quote(query, safe='')}"


def resolve(text: str, fetch: Fetch) -> str:
    """The text with each annotation resolved, and its footnotes. ValueError for a lone surrogate in the text.

    ``fetch`` takes a query and returns `Served`, a mapping with its fields, or None where nothing was found. It is asked
    once for each distinct query.

    TypeError where ``text`` is no str, or ``fetch`` no function that returns its answer (for an async one: `resolve_async`).
    """
    _require_function(fetch)
    annotations, runs = _parts(text)
    return _written(annotations, runs, {query: _ask(fetch, query) for query in _queries(annotations)})


async def resolve_async(text: str, fetch: AsyncFetch | Fetch, at_once: int = AT_ONCE) -> str:
    """As `resolve`, with a ``fetch`` that may be async, asked ``at_once`` queries at the same time.

    ValueError where ``at_once`` is no number of queries.
    """
    import asyncio  # here, since it takes longer to import than all of the parser

    _require_function(fetch)
    if not isinstance(at_once, int) or at_once < 1:
        raise ValueError(f"found at_once={at_once!r}, expected the number of queries to ask at the same time")
    annotations, runs = _parts(text)
    free = asyncio.Semaphore(at_once)

    async def ask(query: str) -> Served | None:
        async with free:
            try:
                answer = fetch(query)
                return _served(await answer if inspect.isawaitable(answer) else answer)
            except Exception:
                return None

    queries = _queries(annotations)
    answers = await asyncio.gather(*map(ask, queries))
    return _written(annotations, runs, dict(zip(queries, answers, strict=True)))


def _require_function(fetch: object) -> None:
    found = "" if callable(fetch) else type(fetch).__name__
    if callable(fetch):
        with suppress(ValueError):  # what is compiled may hide its parameters
            try:
                inspect.signature(fetch).bind("query")
            except TypeError as error:
                found = f"a fetch that cannot be called with a query ({error})"
    if found:
        raise TypeError(f"found {found}, expected a function that is given a query and returns a Served or None")


def _parts(text: str) -> tuple[list[LenientAnnotation], list[str]]:
    """The annotations, and the model's own text before, between and after them."""
    annotations: list[LenientAnnotation] = []
    runs: list[str] = []
    run: list[str] = []
    at = 0
    for attempt in attempts(text):
        run.append(text[at : attempt.start])
        at = attempt.end
        if isinstance(attempt, LenientAnnotation):
            annotations.append(attempt)
            runs.append("".join(run))
            run = []
        elif (raw := text[attempt.start : at]) != OPEN and OPEN.startswith(raw):
            run.append(raw)  # half an opener at the end is a bracket that somebody wrote
        elif attempt.truncated:
            at = len(text)
    return annotations, [*runs, "".join([*run, text[at:]])]


def _queries(annotations: Iterable[LenientAnnotation]) -> list[str]:
    return list(dict.fromkeys(annotation.query for annotation in annotations))


def _written(annotations: list[LenientAnnotation], runs: list[str], served: Mapping[str, Served | None]) -> str:
    """The resolved text, given what was found for each query."""
    answered = [query for query, answer in served.items() if answer]
    footnotes = {query: number for number, query in enumerate(answered, start=1)}
    pieces = [_without_markup(runs[0])]
    for number, annotation in enumerate(annotations, start=1):
        tag = _tag(annotation, served[annotation.query], footnotes.get(annotation.query))
        pieces.append(f"[__DC__#{number}({tag})]{_without_markup(runs[number])}")
    return "".join(pieces) + _notes((number, query, served[query]) for query, number in footnotes.items())


def _ask(fetch: Fetch, query: str) -> Served | None:
    try:
        answer = fetch(query)
        if not inspect.isawaitable(answer):
            return _served(answer)
    except Exception:
        return None
    if inspect.iscoroutine(answer):
        answer.close()  # or Python warns that nobody awaited it
    raise TypeError("found an async fetch, expected one that returns its answer; use resolve_async")


def _served(answer: object) -> Served | None:
    """An answer with texts in every field; None where there is no value in it."""
    if answer is None:
        return None
    given = answer if isinstance(answer, Mapping) else vars(answer) if isinstance(answer, Served) else None
    texts = {} if given is None else {field.name: _as_text(given.get(field.name)) for field in fields(Served)}
    if None in texts.values() or given is None:
        warnings.warn(
            f"fetch returned {answer!r:.80}, expected a Served, a mapping of texts, or None", RuntimeWarning, stacklevel=4
        )
        return None
    served = Served(**{name: text or "" for name, text in texts.items()})
    return served if _piece(served.value) else None


def _as_text(value: object) -> str | None:
    """A field of an answer as a text: "" for None and for what is no finite number; None where no text can be made of it.

    Numbers of NumPy and of `decimal`, and dates, are texts as they print.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    is_text = isinstance(value, (str, Number, date)) and not isinstance(value, (bool, complex))
    return str(value) if is_text else None


def _tag(annotation: LenientAnnotation, served: Served | None, footnote: int | None) -> str:
    """What stands in the parentheses of a tag."""
    model = _piece(annotation.value or "")
    if served is None:
        return f"|| {model}" if model else "--- || ---"
    value = _value(served)
    return f"{value} [{footnote}]{'*' * differs(value, model)} ||{' ' * bool(model)}{model}"


def _value(served: Served) -> str:
    return _piece(f"{served.value} {served.unit}" if served.unit else served.value)


def _piece(text: str) -> str:
    """A value in which no reader of tags would stop."""
    apart = _MARKUP.sub(lambda found: _APART[found[0]], _CONTROLS.sub(" ", text).strip())
    # Bar by bar, since "|||" holds "||" twice; and none at the end, where one would join the tag's own.
    return _BARS.sub("| ", apart).rstrip("| ")


def _without_markup(text: str) -> str:
    """The model's own text, without openers, tags and headings of footnotes that it made up."""
    # Openers go first: what they stood between may join to an opener, or to the beginning of a tag, that nobody wrote.
    return _MADE_UP.sub("[ ", text.replace(OPEN, "")).replace(HEADING, _APART[HEADING])


def _notes(footnotes: Iterable[tuple[int, str, Served | None]]) -> str:
    lines = []
    for number, query, served in footnotes:
        assert served
        source, date = _piece(served.source) or "Data Commons", _piece(served.date)
        link = quote(served.url.strip(), _OF_ADDRESSES, errors="replace") or address(query)
        lines.append(f"[{number}] - Per {source}, value was {_value(served)}{date and f' in {date}'}. See more at {link}")
    return FOOTNOTES + "\n".join(lines) if lines else ""


def differs(served: str, model: str) -> bool:
    """Whether two values that are both plain numbers deviate by more than 5 %; anything else is not compared."""
    numbers = [_PLAIN_NUMBER.fullmatch(value) for value in (served, model)]
    a, b = (float(number[1].replace(",", "")) if number else None for number in numbers)
    return a is not None and b is not None and abs(a - b) > FLAGGED_ABOVE * max(abs(a), abs(b))
