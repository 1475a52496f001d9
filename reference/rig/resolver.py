r"""Resolving: given an answer for each query, an annotated text becomes a text with tags and footnotes that a person reads.

The official code (llm-tools df971f8, ``rig.py``, lines 101 to 165) does it too. Where it loses something, this does not:

- tags are numbered in the order of the text, from 1 (there: query by query);
- each distinct query is fetched once, verbatim, and has one footnote where it is answered: footnotes are numbered from 1 in
  the order in which the text cites them, every one is cited, and a cited number is always listed;
- no markup is left. What a lenient reader reads is resolved as well; the opener of what cannot be read is taken away, and a
  text that was cut inside an annotation ends before it;
- a fetch that fails or finds nothing leaves the model's own value (there: an exception leaves the whole text raw);
- what was served, and the model's text, cannot forge: ``)]``, ``||``, line ends, the beginning of a tag and the heading of the
  footnotes are taken apart, and in an address all characters that do not belong there are encoded.

The text outside annotations is otherwise untouched.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .grammar import OPEN
from .lenient import LostOpener, RecoveredAnnotation, attempts
from .resolved import ResolvedTag, write_tag

HEADING = "#### FOOTNOTES ####"
FOOTNOTES = f"\n\n{HEADING}\n"
ADDRESS = "https://datacommons.org/explore"

# With a colon: a heading with fewer signs would be completed by others beside it.
_NO_HEADING = "#### FOOTNOTES: ####"
_DEFUSED = ((")]", ") ]"), ("[__DC__", "[ __DC__"), (HEADING, _NO_HEADING))
_OF_ADDRESSES = ":/?#@!$&'()*+,;=%"
"""What is not encoded in an address, beside letters, digits and ``-._~``: RFC 3986, without brackets."""
_BARS = re.compile(r"\|(?=\|)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


@dataclass(frozen=True)
class ServedValue:
    """What was found for a query: a value, and where it is from."""

    value: str
    unit: str = ""
    source: str = ""
    date: str = ""
    url: str = ""


Fetch = Callable[[str], ServedValue | Mapping[str, Any] | None]
"""Asked once for each distinct query. None, an exception and an answer of another type mean that nothing was found."""


def address(query: str) -> str:
    """The address at which Data Commons explores a query; the query is encoded, so that it arrives as it is."""
    return f"{ADDRESS}?{urllib.parse.urlencode({'q': query}, quote_via=urllib.parse.quote)}"


class ReferenceResolver:
    """One resolution. Each step is a method, so that a mutant replaces one of them."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.served: dict[str, ServedValue | None] = {}
        self.footnotes: dict[str, int] = {}

    def resolve(self, text: str) -> str:
        """The resolved text. ValueError for a lone surrogate in it."""
        pieces: list[str] = []
        between: list[str] = []  # the model's own text since the last tag, without removed openers
        at = number = 0
        found = list(attempts(text))
        for query in self.queries([a.query for a in found if isinstance(a, RecoveredAnnotation)]):
            self.served[query] = self.ask(query)
        for attempt in found:
            between.append(text[at : attempt.start])
            at = attempt.end
            if isinstance(attempt, RecoveredAnnotation):
                number += 1
                pieces += [self.outside("".join(between)), self.tag(number, attempt)]
                between = []
            elif isinstance(attempt, LostOpener):
                # Half an opener at the end is ordinary text, and stays.
                whole = OPEN.startswith(text[attempt.start : attempt.end]) and text[attempt.start : attempt.end] != OPEN
                if whole:
                    between.append(text[attempt.start : attempt.end])
                elif attempt.truncated:
                    at = len(text)
        pieces.append(self.outside("".join([*between, text[at:]])))
        body = "".join(pieces)
        return body + self.notes() if self.footnotes else body

    def queries(self, queries: list[str]) -> list[str]:
        """Those to be fetched: each once, in the order of the text."""
        return list(dict.fromkeys(queries))

    def ask(self, query: str) -> ServedValue | None:
        """What is served for a query."""
        try:
            answer = self.fetch(query)
        except Exception:
            return None
        if not isinstance(answer, (ServedValue, Mapping)):
            return None
        served = answer if isinstance(answer, ServedValue) else self.read(answer)
        return served if served and self.piece(served.value) else None

    def read(self, answer: Mapping[str, Any]) -> ServedValue | None:
        """What a mapping says: None and NaN are nothing, other numbers are texts, and what else it holds is ignored."""
        given = {each.name: answer.get(each.name) for each in fields(ServedValue)}
        if not all(isinstance(value, (str, int, float, type(None))) for value in given.values()):
            return None
        return ServedValue(**{k: "" if value is None or value != value else str(value) for k, value in given.items()})

    def tag(self, number: int, annotation: RecoveredAnnotation) -> str:
        """The tag in the place of an annotation."""
        model = self.piece(annotation.value or "") or None
        served = self.served.get(annotation.query)
        if served is None:
            return self.written(ResolvedTag(number, model=model))
        footnote = self.footnotes.setdefault(annotation.query, len(self.footnotes) + 1)
        value = self.piece(f"{served.value} {served.unit}" if served.unit else served.value)
        return self.written(ResolvedTag(number, value, footnote, differs(value, model), model))

    def written(self, tag: ResolvedTag) -> str:
        """The text of a tag."""
        return write_tag(tag)

    def piece(self, text: str) -> str:
        """A value without anything at which a reader of tags would stop."""
        text = _CONTROL.sub(" ", text).strip()
        for forbidden, apart in _DEFUSED:
            text = text.replace(forbidden, apart)
        # Bar by bar, since "|||" holds "||" twice; and none at the end, where one would join the tag's own.
        return _BARS.sub("| ", text).rstrip("| ")

    def outside(self, text: str) -> str:
        """The model's own text, without the tags and the headings of footnotes that it may have made up."""
        # Openers go first: what stood around one may join to a new opener, or to the beginning of a tag.
        text = text.replace(OPEN, "").replace(OPEN, f"[ {OPEN[1:]}").replace("[__DC__#", "[ __DC__#")
        return text.replace(HEADING, _NO_HEADING)

    def link(self, served: ServedValue, query: str) -> str:
        """The address in a footnote: one word, in which nothing else can be read."""
        return urllib.parse.quote(served.url.strip(), _OF_ADDRESSES, errors="replace") or address(query)

    def notes(self) -> str:
        """The list of footnotes."""
        lines = []
        for query, number in sorted(self.footnotes.items(), key=lambda item: item[1]):
            served = self.served[query]
            assert served
            value = self.piece(f"{served.value} {served.unit}".strip())
            date = f" in {self.piece(served.date)}" if self.piece(served.date) else ""
            source = self.piece(served.source) or "Data Commons"
            lines.append(f"[{number}] - Per {source}, value was {value}{date}. See more at {self.link(served, query)}")
        return FOOTNOTES + "\n".join(lines)


def resolve(text: str, fetch: Fetch) -> str:
    """The text with each annotation resolved, and its footnotes; see the module. ValueError for a lone surrogate."""
    return ReferenceResolver(fetch).resolve(text)


_PLAIN = re.compile(r"[^\d\-+]{0,3}([-+]?\d[\d,]*(?:\.\d+)?)(?:\s?%)?")
FLAGGED_ABOVE = 0.05
"""The relative deviation above which the official code marks a tag with an asterisk."""


def differs(served: str, model: str | None) -> bool:
    """Whether two values that are both plain numbers deviate by more than 5 %; what is no plain number is not compared."""
    first, second = _PLAIN.fullmatch(served), _PLAIN.fullmatch(model or "")
    if not first or not second:
        return False
    a, b = (float(match[1].replace(",", "")) for match in (first, second))
    return abs(a - b) > FLAGGED_ABOVE * max(abs(a), abs(b))
