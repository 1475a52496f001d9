"""Mutants (planted bugs) of RIG: one correct parser, one method or attribute of which each replaces; and honest variants."""

from __future__ import annotations

import functools
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from conformance.engine.mutation import Mutant
from conformance.rig.harness.subject import RigSubject
from impls.rig import constraint, strict, writer
from impls.rig.adapters.product import MendedStream
from impls.rig.adapters.reference import mended
from reference import rig

Found = tuple[str, str, int, int]

_SPACE = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NOT_IN_STRINGS = r"\x00-\x1f\x22\x7f\ud800-\udfff"
_CHARACTER = rf"[^{_NOT_IN_STRINGS}]"
_ANY = r'[^"]'


class CorrectParser:
    """A parser, a streaming reader and a writer, all correct; each attribute and method is a place for one bug."""

    opener = r'\[__DC__\("'
    query = rf"[{_SPACE}]*[^{_NOT_IN_STRINGS}{_SPACE}]{_CHARACTER}*"
    arrow = r'"\) --> "'
    value = rf"{_CHARACTER}*"
    close = r'"\]'
    flags = 0

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(f"(?s){self.opener}({self.query}){self.arrow}({self.value}){self.close}", self.flags)

    def parse(self, text: str) -> list[Found]:
        return self.finish([self.found(match, text) for match in self.matches(self.prepared(text))])

    def prepared(self, text: str) -> str:
        return text

    def matches(self, text: str) -> Iterable[re.Match[str]]:
        return self.pattern.finditer(text)

    def found(self, match: re.Match[str], text: str) -> Found:
        return (self.string(match[1]), self.string(match[2]), *self.span(match, text))

    def string(self, string: str) -> str:
        return string

    def span(self, match: re.Match[str], text: str) -> tuple[int, int]:
        return match.span()

    def finish(self, found: list[Found]) -> list[Found]:
        return found

    def stream(self) -> Any:
        return CorrectStream()

    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        return writer.serialise(segments)

    def well_formed(self, text: str) -> bool:
        return rig.is_well_formed(text)

    def recover(self, text: str) -> list[Any]:
        return [mended(found) for found in rig.lenient.recover(text)]

    def recover_stream(self) -> Any:
        return MendedStream()

    def tags(self, text: str) -> list[Any]:
        return [(t.number, t.served, t.footnote, t.differs, t.model, s, e) for t, s, e in rig.resolved.tags(text)]

    def resolve(self, text: str, fetch: Any) -> str:
        return rig.resolver.resolve(text, fetch)

    def address(self, query: str) -> str:
        return rig.resolver.address(query)

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        return CorrectGuide(vocabulary, end)


class CorrectStream:
    """Our own streaming reader, without a bound."""

    def __init__(self) -> None:
        self.reader = strict.StrictStream(max_candidate=None)

    def feed(self, chunk: str) -> list[Any]:
        return self.items(self.reader.feed(chunk))

    def close(self) -> list[Any]:
        return self.items(self.reader.close())

    def items(self, items: list[Any]) -> list[Any]:
        return items


# Each class below is one bug, named in the table at the end of the file. A bug of one expression stands in the table itself.


class LeavesTheCut(CorrectParser):
    """Keeps what is unfinished at the end of a document for the next one."""

    rest = ""

    def prepared(self, text: str) -> str:
        joined = self.rest + text
        last = rig.parse(text)[-1] if text and text.isascii() and text.isprintable() and len(text) < 1000 else None
        self.rest = last.raw if isinstance(last, rig.IncompleteEvent) else ""
        return joined


class Recurses(CorrectParser):
    def parse(self, text: str, at: int = 0) -> list[Found]:
        match = self.pattern.search(text, at)
        return [self.found(match, text), *self.parse(text, match.end())] if match else []


class SharesItsList(CorrectParser):
    def __init__(self) -> None:
        self.list: list[Found] = []

    def finish(self, found: list[Found]) -> list[Found]:
        del self.list[:-100]  # or comparing millions of them would be most of a run
        self.list += found
        return self.list


class GroupedByQuery(CorrectParser):
    def finish(self, found: list[Found]) -> list[Found]:
        first = {query: n for n, (query, *_) in reversed(list(enumerate(found)))}
        return sorted(found, key=lambda item: first[item[0]])


class LineByLine(CorrectParser):
    def parse(self, text: str) -> list[Found]:
        found, at = [], 0
        for line in text.splitlines(keepends=True):
            found += [(q, v, s + at, e + at) for q, v, s, e in super().parse(line)]
            at += len(line)
        return found


class ByteSpans(CorrectParser):
    codec, width = "utf-8", 1

    def parse(self, text: str) -> list[Found]:
        found, at, units = [], 0, 0
        for query, value, *span in super().parse(text):
            ends = []
            for end in span:
                units += len(text[at:end].encode(self.codec, "surrogatepass")) // self.width
                at = end
                ends.append(units)
            found.append((query, value, ends[0], ends[1]))
        return found


class Utf16Spans(ByteSpans):
    codec, width = "utf-16-le", 2


class AllBrackets(CorrectParser):
    def span(self, match: re.Match[str], text: str) -> tuple[int, int]:
        end = match.end()
        while text[end : end + 1] == "]":
            end += 1
        return match.start(), end


class LooksUp(CorrectParser):
    def span(self, match: re.Match[str], text: str) -> tuple[int, int]:
        start = text.find(match[0])
        return start, start + len(match[0])


class SkipsFailed(CorrectParser):
    """Takes the next opener's whole candidate away when it fails."""

    def matches(self, text: str) -> Iterable[re.Match[str]]:
        at = 0
        while (start := text.find(rig.OPEN, at)) >= 0:
            match = self.pattern.match(text, start)
            if match:
                yield match
                at = match.end()
            else:
                quote = text.find('"', start + len(rig.OPEN))
                at = len(text) if quote < 0 else quote + 1


class ScansOnce(CorrectParser):
    """A state machine that treats every mismatch inside the opener as text, the mismatching character too."""

    def matches(self, text: str) -> Iterable[re.Match[str]]:
        at = 0
        while (start := text.find("[", at)) >= 0:
            length = next((n for n, c in enumerate(rig.OPEN) if text[start + n : start + n + 1] != c), len(rig.OPEN))
            match = self.pattern.match(text, start) if length == len(rig.OPEN) else None
            if match:
                yield match
            at = match.end() if match else start + (1 if length == len(rig.OPEN) else length + 1)


class SplitsAtOpeners(CorrectParser):
    def parse(self, text: str) -> list[Found]:
        found, at = [], 0
        pieces = text.split(rig.OPEN)
        for index, piece in enumerate(pieces):
            whole = (rig.OPEN if index else "") + piece
            match = self.pattern.match(whole)
            if match:
                found.append((match[1], match[2], at + match.start(), at + match.end()))
            at += len(whole)
        return found


class FiltersAfterwards(CorrectParser):
    """Reads as the official reader does, and drops what the strict one forbids: the annotation that begins inside is gone."""

    query = rf"{_ANY}*"
    value = rf"{_ANY}*"

    def finish(self, found: list[Found]) -> list[Found]:
        return [f for f in found if f[0].strip() and not re.search(f"[{_NOT_IN_STRINGS}]", f[0] + f[1])]


class SkipsBlank(CorrectParser):
    """Goes past a whole annotation whose query is blank, so that one that begins inside is gone."""

    query = rf"{_CHARACTER}*"

    def finish(self, found: list[Found]) -> list[Found]:
        return [f for f in found if f[0].strip()]


class Overlaps(CorrectParser):
    """Looks for an annotation at every place, inside others too."""

    def matches(self, text: str) -> Iterable[re.Match[str]]:
        opener = re.compile(self.opener)
        return filter(None, (self.pattern.match(text, start.start()) for start in opener.finditer(text)))


class EatsTheNext(CorrectParser):
    def matches(self, text: str) -> Iterable[re.Match[str]]:
        at = 0
        while match := self.pattern.search(text, at):
            yield match
            at = match.end() + 1


class PerChunk(CorrectStream):
    at = 0

    def feed(self, chunk: str) -> list[Any]:
        super().__init__()
        items = super().feed(chunk) + super().close()
        at, self.at = self.at, self.at + len(chunk)
        return [item if isinstance(item, str) else (*item[:2], item[2] + at, item[3] + at) for item in items]

    def close(self) -> list[Any]:
        return []


class DropsFailedText(CorrectStream):
    def items(self, items: list[Any]) -> list[Any]:
        return [item for item in items if not (isinstance(item, str) and rig.OPEN in item)]


class StripsText(CorrectStream):
    def items(self, items: list[Any]) -> list[Any]:
        return [item.strip(" ") if isinstance(item, str) else item for item in items]


class AnnotationsLast(CorrectStream):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Found] = []

    def feed(self, chunk: str) -> list[Any]:
        items = super().feed(chunk)
        self.found += [item for item in items if not isinstance(item, str)]
        return [item for item in items if isinstance(item, str)]

    def close(self) -> list[Any]:
        return super().close() + self.found


class OneItemLate(CorrectStream):
    """Keeps an annotation until something follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def feed(self, chunk: str) -> list[Any]:
        items = self.kept + super().feed(chunk)
        self.kept = items[-1:] if items and not isinstance(items[-1], str) else []
        return items[: len(items) - len(self.kept)]

    def close(self) -> list[Any]:
        return self.kept + super().close()


class EndsAtAnEmptyChunk(CorrectStream):
    ended = False

    def feed(self, chunk: str) -> list[Any]:
        if chunk and not self.ended:
            return super().feed(chunk)
        ended, self.ended = self.ended, True
        return [] if ended else super().close()

    def close(self) -> list[Any]:
        return [] if self.ended else super().close()


class WaitsForTheEnd(CorrectStream):
    def __init__(self) -> None:
        super().__init__()
        self.all: list[Any] = []

    def feed(self, chunk: str) -> list[Any]:
        self.all += super().feed(chunk)
        return []

    def close(self) -> list[Any]:
        return self.all + super().close()


class WaitsForAQuote(CorrectStream):
    """Holds everything back from a bracket to the next quote."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []
        self.open = False

    def feed(self, chunk: str) -> list[Any]:
        self.open = (self.open or "[" in chunk) and not chunk.endswith('"')
        self.held += super().feed(chunk)
        given, self.held = ([], self.held) if self.open else (self.held, [])
        return given

    def close(self) -> list[Any]:
        return self.held + super().close()


class DropsUnfinished(CorrectStream):
    def close(self) -> list[Any]:
        super().close()
        return []


class SpansInChunk(CorrectStream):
    def __init__(self) -> None:
        super().__init__()
        self.before = 0

    def feed(self, chunk: str) -> list[Any]:
        items = super().feed(chunk)
        before, self.before = self.before, self.before + len(chunk)
        return [i if isinstance(i, str) else (i[0], i[1], max(0, i[2] - before), max(0, i[3] - before)) for i in items]


def _raw(segment: rig.Segment) -> str:
    return segment if isinstance(segment, str) else f'[__DC__("{segment[0]}") --> "{segment[1]}"]'


class WritesEscapes(CorrectParser):
    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        listed = list(segments)
        if '"' not in "".join(_strings(listed)):
            return writer.serialise(listed)
        escaped = [s if isinstance(s, str) else (s[0].replace('"', '\\"'), s[1].replace('"', '\\"')) for s in listed]
        return "".join(map(_raw, escaped))


class WritesJson(CorrectParser):
    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        listed = list(segments)
        writer.serialise(listed)
        return "".join(_raw(s if isinstance(s, str) else (json.dumps(s[0])[1:-1], json.dumps(s[1])[1:-1])) for s in listed)


def _writes_when(refused: Callable[[list[rig.Segment]], bool]) -> type[CorrectParser]:
    """A writer that refuses only what ``refused`` says."""

    class Writer(CorrectParser):
        def serialise(self, segments: Iterable[rig.Segment]) -> str:
            listed = list(segments)
            if refused(listed):
                raise ValueError("refused")
            return "".join(map(_raw, listed))

    return Writer


def _is_refused(segments: list[rig.Segment]) -> bool:
    try:
        writer.serialise(segments)
    except writer.Unrepresentable:
        return True
    return False


def _strings(segments: list[rig.Segment]) -> list[str]:
    return [string for segment in segments if not isinstance(segment, str) for string in segment]


WritesQuotes = _writes_when(lambda s: _is_refused(s) and '"' not in "".join(_strings(s)))
WritesBlank = _writes_when(lambda s: _is_refused(s) and not any(p[0].strip() == "" for p in s if not isinstance(p, str)))
WritesControls = _writes_when(lambda s: _is_refused(s) and not any(c < " " or c == "\x7f" for c in "".join(_strings(s))))
WritesSurrogates = _writes_when(lambda s: _is_refused(s) and not any("\ud800" <= c <= "\udfff" for c in "".join(_strings(s))))
WritesForged = _writes_when(lambda s: _is_refused(s) and bool(_strings(s)) and s[0] != '[__DC__("x')
RefusesOpeners = _writes_when(lambda s: _is_refused(s) or any(rig.OPEN in part for part in s if isinstance(part, str)))


class CorrectGuide(constraint.Guide):
    """The guide of our own decoder."""

    def __init__(self, vocabulary: Sequence[bytes], end: int) -> None:
        super().__init__(_constraint(tuple(vocabulary), end))
        self.vocabulary, self.end = vocabulary, end
        self.written = b""

    def advance(self, token: int) -> None:
        self.written += self.vocabulary[token]
        super().advance(token)


@functools.lru_cache(maxsize=4)
def _constraint(vocabulary: tuple[bytes, ...], end: int) -> constraint.TokenConstraint:
    return constraint.TokenConstraint(vocabulary, end)


class Smuggles(CorrectGuide):
    """Forgets where a token ends that half an opener stands before it."""

    def advance(self, token: int) -> None:
        super().advance(token)
        if self._state.part == "text" and not self._state.begun:
            self._state = constraint.DecoderState()


class TakesBlankQueries(CorrectGuide):
    def allowed(self) -> set[int]:
        return super().allowed() | ({ord('"')} if self._state.part == "query" else set())

    def advance(self, token: int) -> None:
        self._state = (
            self._state._replace(visible=True) if self._state.part == "query" and not self._state.begun else self._state
        )
        super().advance(token)


class BansAnnotations(CorrectGuide):
    def allowed(self) -> set[int]:
        return {t for t in super().allowed() if rig.OPEN.encode() not in self.written + self.vocabulary[t] or t == self.end}


class AsciiGuide(CorrectGuide):
    def allowed(self) -> set[int]:
        return {t for t in super().allowed() if self.vocabulary[t].isascii()}


class EndsAnywhere(CorrectGuide):
    def allowed(self) -> set[int]:
        return super().allowed() | {self.end}


class EndsInPlainTextOnly(CorrectGuide):
    def allowed(self) -> set[int]:
        return super().allowed() - ({self.end} if self._state.at else set())


class LooksAtFirstBytes(CorrectGuide):
    def allowed(self) -> set[int]:
        bytes_allowed = {t for t in super().allowed() if t < 256}
        longer = {t for t, said in enumerate(self.vocabulary) if len(said) > 1 and said[0] in bytes_allowed and t != self.end}
        return super().allowed() | longer

    def advance(self, token: int) -> None:
        if token in super().allowed():
            super().advance(token)


class OneAnnotation(CorrectGuide):
    """Admits no second annotation."""

    def allowed(self) -> set[int]:
        done = rig.CLOSE.encode() in self.written and self._state.part == "text"
        return {t for t in super().allowed() if not done or not self.vocabulary[t].endswith(b'("')} - (
            {ord('"')} if done and self._state.at == len(rig.OPEN) - 1 else set()
        )


# The bugs below take two things at once.


class MiscountsFromTheTenth(Utf16Spans):
    """Counts the spans of the tenth annotation and those behind it in UTF-16 units."""

    def parse(self, text: str) -> list[Found]:
        return [*CorrectParser.parse(self, text)[:9], *super().parse(text)[9:]]


class LosesTheLastFailure(CorrectParser):
    """Stops at a failed candidate that has an arrow and no annotation behind the next."""

    def matches(self, text: str) -> Iterable[re.Match[str]]:
        last = text.rfind(rig.OPEN)
        cut = re.compile(r'\[__DC__\("[^"]*"\) (?!--> ")').search(text)
        return (match for match in self.pattern.finditer(text) if not (cut and cut.start() < match.start() == last))


class EscapedAcrossChunks(CorrectStream):
    """Takes a quote that begins a chunk for an escaped one where the last chunk ended in a backslash."""

    last = ""

    def feed(self, chunk: str) -> list[Any]:
        escaped = self.last == "\\" and chunk[:1] == '"'
        self.last = chunk[-1:]
        return super().feed("'" + chunk[1:] if escaped else chunk)


class SharesItsBuffer(CorrectStream):
    """Goes on with what another reader was given where that one stopped inside an annotation."""

    of_all: list[strict.StrictStream] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        if self.of_all and self.of_all[-1].held_back:
            self.reader = self.of_all[-1]
        self.of_all[:] = [self.reader]

    def close(self) -> list[Any]:
        self.of_all.clear()
        return super().close()


class CountsForAll(CorrectStream):
    """Counts the code points that all readers were given."""

    given = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).given = self.own = 0

    def feed(self, chunk: str) -> list[Any]:
        type(self).given += len(chunk)
        self.own += len(chunk)
        return super().feed(chunk)

    def items(self, items: list[Any]) -> list[Any]:
        others = type(self).given - self.own
        return [i if isinstance(i, str) else (*i[:2], i[2] + others, i[3] + others) for i in items]


class LosesAtFullChunks(CorrectStream):
    """Loses the last character of a chunk of 4096 that ends in a string."""

    def feed(self, chunk: str) -> list[Any]:
        is_full = len(chunk) == 4096 and chunk.count('"') % 2 == 1
        return super().feed(chunk[:-1] if is_full else chunk)


class OneTextForAll(CorrectParser):
    """Reads on in whatever text it was given last."""

    def parse(self, text: str) -> Any:
        self.text, at = text, 0
        while match := self.pattern.search(self.text, at):
            yield self.found(match, text)
            at = match.end()


class SpendsItsSegments(CorrectParser):
    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        document = writer.serialise(list(segments))
        segments.clear()  # type: ignore[attr-defined]
        return document


class LosesAt64(CorrectStream):
    """Loses the first character of a chunk of 64 that ends in a string."""

    def feed(self, chunk: str) -> list[Any]:
        return super().feed(chunk[1:] if len(chunk) == 64 and chunk.count('"') % 2 == 1 else chunk)


class OneFootnoteForEqualAnswers(rig.resolver.ReferenceResolver):
    """Cites one footnote for two queries whose answers are equal."""

    def tag(self, number: int, annotation: rig.lenient.RecoveredAnnotation) -> str:
        served = self.served.get(annotation.query)
        alike = next((n for query, n in self.footnotes.items() if served and self.served[query] == served), None)
        listed = dict(self.footnotes)
        if alike is not None:
            self.footnotes[annotation.query] = alike
        tag = super().tag(number, annotation)
        self.footnotes = self.footnotes if alike is None else listed
        return tag


class ZeroIsNothing(rig.resolver.ReferenceResolver):
    """Takes a value of 0 for none."""

    def read(self, answer: Any) -> rig.resolver.ServedValue | None:
        return super().read(answer) if answer.get("value") else None


class SameBeginning(rig.resolver.ReferenceResolver):
    """Fetches once for all queries with the same first 64 characters."""

    def queries(self, queries: list[str]) -> list[str]:
        self.first = {query[:64]: query for query in reversed(queries)}
        return super().queries(queries)

    def ask(self, query: str) -> Any:
        return super().ask(self.first[query[:64]])


class DefusesApart(rig.resolver.ReferenceResolver):
    """Writes a unit behind its value without a space, and looks at each alone."""

    def tag(self, number: int, annotation: rig.lenient.RecoveredAnnotation) -> str:
        served = self.served.get(annotation.query)
        tag = super().tag(number, annotation)
        if not served or not served.unit:
            return tag
        return tag.replace(self.piece(f"{served.value} {served.unit}"), self.piece(served.value) + self.piece(served.unit))


class BracketAtAPage(CorrectParser):
    """Loses an annotation at a multiple of 1024 behind a bracket."""

    def parse(self, text: str) -> list[Found]:
        return [found for found in super().parse(text) if not found[2] or found[2] % 1024 or text[found[2] - 1] != "["]


class HeadingsBeforeOpeners(rig.resolver.ReferenceResolver):
    """Looks for headings of footnotes before it takes openers away."""

    def outside(self, text: str) -> str:
        text = text.replace(rig.resolver.HEADING, "#### NOTES ####").replace(rig.OPEN, "")
        return text.replace(rig.OPEN, f"[ {rig.OPEN[1:]}").replace("[__DC__#", "[ __DC__#")


class TrustsDatesWithoutSource(rig.resolver.ReferenceResolver):
    """Puts a date as it is into a footnote that has no source."""

    def piece(self, text: str) -> str:
        dates = [served.date for served in self.served.values() if served and not served.source]
        return text if text in dates else super().piece(text)


class PrintsNone(rig.resolver.ReferenceResolver):
    """Writes a unit that is None."""

    def read(self, answer: Any) -> rig.resolver.ServedValue:
        return rig.resolver.ServedValue(**{key: str(answer[key]) for key in ("value", "unit", "source", "date", "url")})


class TakesFieldsOnly(rig.resolver.ReferenceResolver):
    """Fails where an answer has a field more."""

    def read(self, answer: Any) -> rig.resolver.ServedValue:
        return rig.resolver.ServedValue(**{key: "" if value is None else str(value) for key, value in answer.items()})


class SortsFootnotes(rig.resolver.ReferenceResolver):
    """Lists footnotes sorted as words: 1, 10, 2."""

    def notes(self) -> str:
        head, *lines = super().notes().removeprefix(rig.resolver.FOOTNOTES).split("\n[")
        return rig.resolver.FOOTNOTES + "\n[".join([head, *sorted(lines)])


class PutsTextIn(rig.resolver.ReferenceResolver):
    """Puts an answer of another type into the tag."""

    def ask(self, query: str) -> Any:
        given = self.fetch(query)
        other = given is not None and not isinstance(given, dict)
        return rig.resolver.ServedValue(str(given)) if other else super().ask(query)


class ListsTokens:
    """An honest guide that gives its tokens in a list, from the last to the first."""

    def __init__(self, vocabulary: Sequence[bytes], end: int) -> None:
        self.guide = CorrectGuide(vocabulary, end)
        self.advance = self.guide.advance

    def allowed(self) -> list[int]:
        return sorted(self.guide.allowed(), reverse=True)


class NumbersByQuery(rig.resolver.ReferenceResolver):
    def resolve(self, text: str) -> str:
        found = [a.query for a in rig.lenient.recover(text)]
        order = sorted(range(len(found)), key=lambda n: found.index(found[n]))
        self.numbers = {place + 1: number + 1 for number, place in enumerate(order)}
        return super().resolve(text)

    def tag(self, number: int, annotation: rig.lenient.RecoveredAnnotation) -> str:
        return super().tag(self.numbers[number], annotation)


class FootnotesByCall(rig.resolver.ReferenceResolver):
    """Numbers a footnote as its tag."""

    def tag(self, number: int, annotation: rig.lenient.RecoveredAnnotation) -> str:
        if self.served.get(annotation.query):
            self.footnotes[annotation.query] = number
        return super().tag(number, annotation)


class FootnotesOfAll(rig.resolver.ReferenceResolver):
    """Lists a footnote for what was not answered too."""

    def notes(self) -> str:
        listed = super().notes()
        missed = [query for query, served in self.served.items() if served is None]
        return listed + "".join(
            f"\n[{len(self.footnotes) + n + 1}] - Per -, value was -. See more at -" for n in range(len(missed))
        )


class FetchesEach(rig.resolver.ReferenceResolver):
    def queries(self, queries: list[str]) -> list[str]:
        return queries


class FetchesTrimmed(rig.resolver.ReferenceResolver):
    def ask(self, query: str) -> Any:
        return super().ask(query.strip())


class FailsWhole(rig.resolver.ReferenceResolver):
    """Gives the text back as it was where one fetch fails."""

    def resolve(self, text: str) -> str:
        return text if self.failed(text) else super().resolve(text)

    def failed(self, text: str) -> bool:
        for query in dict.fromkeys(a.query for a in rig.lenient.recover(text)):
            try:
                self.fetch(query)
            except Exception:
                return True
        return False


class DropsMissed(rig.resolver.ReferenceResolver):
    """Drops the model's value where nothing was found."""

    def tag(self, number: int, annotation: rig.lenient.RecoveredAnnotation) -> str:
        if self.served.get(annotation.query) is None:
            return rig.resolved.write_tag(rig.resolved.ResolvedTag(number))
        return super().tag(number, annotation)


class TrimsOutside(rig.resolver.ReferenceResolver):
    def resolve(self, text: str) -> str:
        return super().resolve(text.strip())


class ResolvesStrictly(rig.resolver.ReferenceResolver):
    """Resolves strict annotations and leaves everything else as it is."""

    def resolve(self, text: str) -> str:
        pieces, at = [], 0
        for number, found in enumerate(rig.annotations(text), start=1):
            self.served.setdefault(found.query, None) or self.served.update({found.query: self.ask(found.query)})
            pieces += [
                text[at : found.span.start],
                self.tag(
                    number,
                    rig.lenient.RecoveredAnnotation(found.query, found.value, found.span.start, found.span.end, frozenset()),
                ),
            ]
            at = found.span.end
        body = "".join([*pieces, text[at:]])
        return body + self.notes() if self.footnotes else body


class PutsIn(rig.resolver.ReferenceResolver):
    """Puts values into tags without looking at them."""

    def piece(self, text: str) -> str:
        return text.strip()

    def written(self, tag: rig.resolved.ResolvedTag) -> str:
        served = f"{tag.served} [{tag.footnote}]" if tag.served else ""
        return f"[__DC__#{tag.number}({served} || {tag.model or ''})]" if served else f"[__DC__#{tag.number}(|| {tag.model})]"


class TrustsText(rig.resolver.ReferenceResolver):
    """Leaves tags in the model's own text."""

    def outside(self, text: str) -> str:
        return text.replace(rig.OPEN, "")


class TrustsAddresses(rig.resolver.ReferenceResolver):
    """Puts the address that was served into a footnote without looking at it."""

    def link(self, served: rig.resolver.ServedValue, query: str) -> str:
        return " ".join(served.url.split("\n")) or rig.resolver.address(query)


class LowersHeadings(rig.resolver.ReferenceResolver):
    """Takes a sign off either side of a heading of footnotes that the model wrote."""

    def outside(self, text: str) -> str:
        heading = rig.resolver.HEADING
        return super().outside(text.replace(heading, "\0")).replace("\0", heading[1:-1])


def _resolving(resolver: type[rig.resolver.ReferenceResolver]) -> type[CorrectParser]:
    return _with(resolve=lambda self, text, fetch: resolver(fetch).resolve(text))


def _constraining(guide: Callable[[Sequence[bytes], int], Any]) -> type[CorrectParser]:
    return _with(constrain=lambda self, vocabulary, end: guide(vocabulary, end))


def _recovering(turn: Callable[[list[Any]], list[Any]]) -> type[CorrectParser]:
    return _with(recover=lambda self, text: turn([mended(found) for found in rig.lenient.recover(text)]))


class ChunkwiseLenient:
    """A lenient reader that reads each chunk alone."""

    def __init__(self) -> None:
        self.at = 0

    def feed(self, chunk: str) -> list[Any]:
        items: list[Any] = []
        end = 0
        for query, value, start, stop, codes in [mended(found) for found in rig.lenient.recover(chunk)]:
            items += [chunk[end:start], (query, value, start + self.at, stop + self.at, codes)]
            end = stop
        self.at += len(chunk)
        return [item for item in [*items, chunk[end:]] if item]

    def close(self) -> list[Any]:
        return []


class OnlyParses:
    """The ``parse`` of another parser, with nothing beside it."""

    def __init__(self, parser: Any) -> None:
        self.parse = parser.parse


class Scans:
    """An honest parser of another make: `str.find`, slices, and no pattern."""

    def parse(self, text: str) -> list[Found]:
        found, at = [], 0
        while (start := text.find(rig.OPEN, at)) >= 0:
            at = start + 1
            query_from = start + len(rig.OPEN)
            query_to = text.find('"', query_from)
            value_from = query_to + len(rig.ARROW)
            value_to = text.find('"', value_from)
            if min(query_to, value_to) < 0:
                continue
            query, value = text[query_from:query_to], text[value_from:value_to]
            if text[query_to:value_from] + text[value_to : value_to + 2] != rig.ARROW + rig.CLOSE:
                continue
            if self.says(query) and self.says(value) and not rig.WHITE_SPACE.issuperset(query):
                at = value_to + len(rig.CLOSE)
                found.append((query, value, start, at))
        return found

    def says(self, string: str) -> bool:
        return all(c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff" for c in string)


class ByCharacters(CorrectParser):
    """An honest parser that feeds a streaming reader one character at a time."""

    def parse(self, text: str) -> list[Found]:
        reader = rig.CharacterParser(max_candidate=None)
        events = [event for character in text for event in reader.feed(character)] + reader.close()
        return [(e.query, e.value, e.span.start, e.span.end) for e in events if isinstance(e, rig.AnnotationEvent)]


class InSmallPieces(CorrectStream):
    """An honest reader that hands its text out one character an item."""

    def items(self, items: list[Any]) -> list[Any]:
        return [piece for item in items for piece in (item if isinstance(item, str) else [item])]


class Bounded(CorrectStream):
    """An honest reader that holds back no more than 512 code points."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = strict.StrictStream(max_candidate=512)


class BoundedWhereChunksEnd(CorrectStream):
    """Gives up a candidate of more than 512 code points where a chunk ends, and no other."""

    def feed(self, chunk: str) -> list[Any]:
        items = super().feed(chunk)
        if self.reader.held_back > 512:
            self.reader.max_candidate = 512
            items += super().feed("")
            self.reader.max_candidate = None
        return items


def _with(**hooks: Any) -> type[CorrectParser]:
    """The correct parser with some attributes replaced."""
    return type("Changed", (CorrectParser,), hooks)


def _streaming(reader: type) -> type[CorrectParser]:
    return _with(stream=lambda self: reader())


def _mutant(name: str, sentence: str, parser: Callable[[], Any], *killed_by: str, seconds: float = 10.0) -> Mutant:
    """A parser with a bug. ``seconds`` must be far from what an answer takes, or it is given at some times only."""
    return Mutant(name, "rig", sentence, lambda: RigSubject(_changed_part(parser()), seconds=seconds), killed_by)


_BESIDE_PARSE = ("stream", "serialise", "well_formed", "recover", "recover_stream", "tags", "resolve", "address", "constrain")


def _changed_part(parser: Any) -> Any:
    """The operations of a parser that its bug changes; the others are correct and need no test."""
    if not isinstance(parser, CorrectParser):
        return parser
    changed = {
        name for kind in type(parser).__mro__ if kind not in (CorrectParser, object) for name in vars(kind) if name[0] != "_"
    }
    changed |= {"parse"} if "__init__" in vars(type(parser)) or changed - set(_BESIDE_PARSE) else set()
    return SimpleNamespace(**{name: getattr(parser, name) for name in ("parse", *_BESIDE_PARSE) if name in changed})


def _honest(name: str, sentence: str, parser: Callable[[], Any], *, thorough: bool = False, **declared: Any) -> Mutant:
    return Mutant(name, "rig", sentence, lambda: RigSubject(parser(), **declared), honest=True, thorough=thorough)


_BUT_BREAKS = r'[^"\r\n\ud800-\udfff]'
_BREAKS_TOO = r'[^\x00-\x09\x0b\x0c\x0e-\x1f"\x7f\ud800-\udfff]'
_SURROGATES_TOO = r'[^\x00-\x1f"\x7f]'
_BLACK = rf"[^{_NOT_IN_STRINGS}{_SPACE}]"
_NOT_BLANK = rf"(?=[{_SPACE}]*{_BLACK})"

MUTANTS: tuple[Mutant, ...] = (
    _mutant("swapped", "Gives the value for the query and the query for the value.",
            _with(found=lambda self, match, text: (match[2], match[1], *match.span())), "RIG-01", "RIG-44"),
    _mutant("no-opener", "Takes any two strings with the arrow between for an annotation.",
            _with(opener=r'(?:\[__DC__\()?"'), "RIG-02"),
    _mutant("greedy", "Lets a value run to the last quote of the document.",
            _with(value=rf'(?:{_CHARACTER}|")*'), "RIG-03", "RIG-04", seconds=0.12),
    _mutant("sorted", "Returns the annotations sorted.",
            _with(finish=lambda self, found: sorted(found, key=lambda item: item[0], reverse=True)), "RIG-03"),
    _mutant("grouped", "Returns the annotations grouped by query, as the official rewriting does.", GroupedByQuery, "RIG-05"),
    _mutant("eats-the-next", "Goes on one character after the end of an annotation.", EatsTheNext, "RIG-04"),
    _mutant("keyed-by-query", "Keeps one annotation for each query.",
            _with(finish=lambda self, found: list({item[0]: item for item in found}.values())), "RIG-05", "RIG-06"),
    _mutant("set", "Keeps one of identical annotations.",
            _with(finish=lambda self, found: list({item[:2]: item for item in reversed(found)}.values())[::-1]), "RIG-06"),
    _mutant("value-needed", "Asks for at least one character of value.", _with(value=rf"{_CHARACTER}+"), "RIG-07"),
    _mutant("query-optional", "Takes an empty query.", _with(query=f"(?:{CorrectParser.query})?"), "RIG-08"),
    _mutant("blank-query", "Takes a query of spaces.", _with(query=f"(?: +|{CorrectParser.query})"), "RIG-09"),
    _mutant("strips", "Strips spaces from queries and values.", _with(string=lambda self, string: string.strip()), "RIG-10"),
    _mutant("value-to-bracket", "Ends a value at the first bracket or bar.",
            _with(value=rf"[^{_NOT_IN_STRINGS}\]|]*"), "RIG-11"),
    _mutant("tidies-values", "Drops the commas of a value.",
            _with(found=lambda self, match, text: (match[1], match[2].replace(",", ""), *match.span())), "RIG-24"),
    _mutant("query-without-brackets", "Allows no bracket or parenthesis in a query.",
            _with(query=rf"{_NOT_BLANK}[^{_NOT_IN_STRINGS}\[\]()]*"), "RIG-12"),
    _mutant("bracket-optional", "Takes an annotation without its bracket.", _with(close=r'"\]?'),
            "RIG-13", "RIG-37", "RIG-75"),
    _mutant("undeclared", "Reads as the official reader does, without declaring it.",
            _with(query=r'[^"]+', value=r'[^"]*', close=r'"\]?'), "RIG-09", "RIG-13", "RIG-20", "RIG-21", "RIG-43"),
    _mutant("any-space", "Allows any white space between the parts.",
            _with(opener=r'\[\s*__DC__\s*\(\s*"', arrow=r'"\s*\)\s*-->\s*"', close=r'"\s*\]'), "RIG-14"),
    _mutant("space-after-parenthesis", "Allows a space after the opening parenthesis.",
            _with(opener=r'\[__DC__\( ?"'), "RIG-14"),
    _mutant("space-optional", "Does without the space after the arrow.", _with(arrow=r'"\) --> ?"'), "RIG-14"),
    _mutant("any-bracket", "Takes any closing bracket.", _with(close=r'"[\])}>]'), "RIG-13"),
    _mutant("colon", "Allows a colon before the arrow.", _with(arrow=r'"\):? --> "'), "RIG-15"),
    _mutant("underscore-optional", "Does without the last underscore.", _with(opener=r'\[__DC__?\("'), "RIG-17"),
    _mutant("parenthesis-optional", "Does without the opening parenthesis.", _with(opener=r'\[__DC__\(?"'), "RIG-17"),
    _mutant("any-arrow", "Accepts look-alikes of the arrow.",
            _with(arrow=r'"\)? (?:-+>+|=+>|\u2192|\u2013>|--&gt;) "'), "RIG-15"),
    _mutant("any-case", "Matches without regard to case.", _with(flags=re.IGNORECASE), "RIG-16"),
    _mutant("mended-marker", "Accepts what Markdown and the annotator made of the opener.",
            _with(opener=r'[\[$](?:__DC__|DC|\*\*DC\*\*|\\_\\_DC\\_\\_)\("'), "RIG-17"),
    _mutant("any-quote", "Accepts single and typographic quotation marks as delimiters.",
            _with(opener=r"\[__DC__\([\"'\u201c]", arrow=r"[\"'\u201d]\) --> [\"'\u201c]", close=r"[\"'\u201d]\]"),
            "RIG-18"),
    _mutant("honours-escapes", "Reads a backslash and a quote as a quote inside the string.",
            _with(query=rf"(?:\\.|[^{_NOT_IN_STRINGS}\\])*?{_BLACK}(?:\\.|[^{_NOT_IN_STRINGS}\\])*",
                    value=rf"(?:\\.|[^{_NOT_IN_STRINGS}\\])*"), "RIG-19", seconds=0.5),
    _mutant("unescapes", "Removes backslashes from queries and values.",
            _with(string=lambda self, string: re.sub(r"\\(.)", r"\1", string)), "RIG-19"),
    _mutant("line-breaks", "Lets strings run over line ends.",
            _with(query=rf"{_NOT_BLANK}{_BREAKS_TOO}+", value=rf"{_BREAKS_TOO}*"), "RIG-20"),
    _mutant("controls", "Forbids line ends in strings, and no other control character.",
            _with(query=rf"{_NOT_BLANK}{_BUT_BREAKS}+", value=rf"{_BUT_BREAKS}*"), "RIG-21"),
    _mutant("some-controls", "Forbids the control characters that have a backslash escape.",
            _with(query=rf'{_NOT_BLANK}[^\x00\x07-\x0d\x1b"\x7f\ud800-\udfff]+',
                    value=r'[^\x00\x07-\x0d\x1b"\x7f\ud800-\udfff]*'), "RIG-21"),
    _mutant("no-private-use", "Takes private use for surrogates.",
            _with(query=rf"{_NOT_BLANK}[^{_NOT_IN_STRINGS}\ue000-\uf8ff]+",
                    value=rf"[^{_NOT_IN_STRINGS}\ue000-\uf8ff]*"), "RIG-22"),
    _mutant("ascii-only", "Allows ASCII alone in strings.",
            _with(query=r"[ ]*[!#-~][ !#-~]*", value=r"[ !#-~]*"), "RIG-22", "RIG-24"),
    _mutant("no-separators", "Takes U+0085, U+2028, U+2029 and the C1 range for control characters.",
            _with(query=rf"{_NOT_BLANK}[^{_NOT_IN_STRINGS}\x80-\x9f\u2028\u2029]*",
                    value=rf"[^{_NOT_IN_STRINGS}\x80-\x9f\u2028\u2029]*"), "RIG-22"),
    _mutant("line-by-line", "Splits the text with str.splitlines first.", LineByLine, "RIG-22"),
    _mutant("ascii-blank", "Knows U+0020 alone as white space.", _with(query=rf"(?= *[^ \"]){_CHARACTER}*"), "RIG-23"),
    _mutant("java-blank", "Knows no white space that Java's Character.isWhitespace leaves out, but for U+00A0.",
            _with(query=rf"(?:{CorrectParser.query}|[{_SPACE}]*[\u2007\u202f]{_CHARACTER}*)"), "RIG-23"),
    _mutant("javascript-trim", "Trims U+FEFF when it looks for a blank query.",
            _with(query=rf"(?=[\ufeff{_SPACE}]*[^\ufeff{_NOT_IN_STRINGS}{_SPACE}]){_CHARACTER}*"), "RIG-23"),
    _mutant("normalises", "Composes characters (NFC).",
            _with(string=lambda self, string: unicodedata.normalize("NFC", string)), "RIG-24"),
    _mutant("quotes-in-value", "Ends a value at the first quote with a bracket after it.",
            _with(value=rf'(?:{_CHARACTER}|"(?!\]))*'), "RIG-25", seconds=0.12),
    _mutant("quotes-in-query", "Ends a query at the first quote with the arrow after it.",
            _with(query=rf'{_NOT_BLANK}(?:{_CHARACTER}|"(?!\) --> "))*'), "RIG-26", seconds=0.5),
    _mutant("splits-at-openers", "Splits the text at the openers first.", SplitsAtOpeners, "RIG-27"),
    _mutant("scans-once", "Takes the character on which an opener fails for text, be it a bracket.", ScansOnce, "RIG-28"),
    _mutant("filters-afterwards", "Drops forbidden annotations after it has gone past them.", FiltersAfterwards, "RIG-29"),
    _mutant("skips-blank", "Goes past a whole annotation whose query is blank.", SkipsBlank, "RIG-29"),
    _mutant("overlaps", "Finds annotations inside annotations.", Overlaps, "RIG-27"),
    _mutant("skips-failed", "Goes on after the query of a failed candidate.", SkipsFailed, "RIG-29", "RIG-44"),
    _mutant("mends-the-end", "Completes an annotation that the end of the input cuts.",
            _with(close=r'(?:"\]|"?\Z)'), "RIG-30"),
    _mutant("resolved", "Reads resolved tags too.", _with(opener=r'\[__DC__(?:#\d+)?\("'), "RIG-31"),
    _mutant("no-links", "Skips annotations in the text of a link.", _with(close=r'"\](?!\]\()'), "RIG-32"),
    _mutant("no-images", "Skips what Markdown takes for an image.", _with(opener=r'(?<!!)\[__DC__\("'), "RIG-32"),
    _mutant("no-code", "Skips code spans and fences.",
            _with(prepared=lambda self, text: re.sub(r"(?s)(`+).*?\1", lambda m: "\x00" * len(m[0]), text)), "RIG-32"),
    _mutant("c-string", "Reads up to the first NUL.", _with(prepared=lambda self, text: text.split("\x00", 1)[0]),
            "RIG-33", "RIG-39"),
    _mutant("inclusive-ends", "Gives the index of the last character as the end of a span.",
            _with(span=lambda self, match, text: (match.start(), match.end() - 1)), "RIG-34"),
    _mutant("short-offsets", "Keeps 16 bits of an offset.",
            _with(span=lambda self, match, text: (match.start() % 2**16, match.end() % 2**16)), "RIG-34"),
    _mutant("byte-spans", "Counts spans in bytes without declaring it.", ByteSpans, "RIG-35", "RIG-36"),
    _mutant("utf16-spans", "Counts spans in UTF-16 units without declaring it.", Utf16Spans, "RIG-36"),
    _mutant("all-brackets", "Takes every bracket that follows into the span.", AllBrackets, "RIG-37"),
    _mutant("looks-up", "Looks each annotation up in the text for its span.", LooksUp, "RIG-38"),
    _mutant("translates-newlines", "Translates line ends first.",
            _with(prepared=lambda self, text: re.sub("\r\n?", "\n", text)), "RIG-39"),
    _mutant("trims", "Trims the text first.", _with(prepared=lambda self, text: text.strip()), "RIG-39"),
    _mutant("leaves-the-cut", "Keeps what one document left unfinished for the next one.", LeavesTheCut, "RIG-40"),
    _mutant("shares-its-list", "Collects its annotations in one list, document after document.", SharesItsList, "RIG-40"),
    _mutant("limited", "Allows 4096 characters in a string.",
            _with(query=rf'(?=[^"]{{1,4096}}"){CorrectParser.query}', value=rf"{_CHARACTER}{{0,4096}}"), "RIG-41"),
    _mutant("recursive", "Calls itself for each annotation.", Recurses, "RIG-41"),
    _mutant("backtracks", "Nests one repetition in another, which takes exponential time where a string has no end.",
            _with(query=rf"{_NOT_BLANK}(?:{_CHARACTER}+)+"), "RIG-42", seconds=0.07),
    _mutant("surrogates", "Passes lone surrogates on.",
            _with(query=rf"{_NOT_BLANK}{_SURROGATES_TOO}*".replace(_BLACK, rf'[^\x00-\x1f"\x7f{_SPACE}]'),
                    value=rf"{_SURROGATES_TOO}*"), "RIG-43"),
    _mutant("drops-surrogates", "Drops lone surrogates and reads the rest.",
            _with(prepared=lambda self, text: text.encode("utf-8", "ignore").decode()), "RIG-43"),
    _mutant("chunk-by-chunk", "Streams by reading each chunk alone.", _streaming(PerChunk), "RIG-45"),
    _mutant("drops-failed", "Streams without the text of failed candidates.", _streaming(DropsFailedText), "RIG-46"),
    _mutant("annotations-last", "Streams the annotations after all text.", _streaming(AnnotationsLast), "RIG-46"),
    _mutant("ends-early", "Takes an empty chunk for the end of the stream.", _streaming(EndsAtAnEmptyChunk), "RIG-45"),
    _mutant("strips-chunks", "Strips each text that it streams.", _streaming(StripsText), "RIG-46"),
    _mutant("waits-for-the-end", "Streams nothing before the end.", _streaming(WaitsForTheEnd), "RIG-47"),
    _mutant("one-item-late", "Holds an annotation back until something follows it.", _streaming(OneItemLate), "RIG-47"),
    _mutant("waits-for-a-quote", "Holds everything back from a bracket to the next quote.",
            _streaming(WaitsForAQuote), "RIG-47"),
    _mutant("drops-unfinished", "Drops what is unfinished at the end of a stream.", _streaming(DropsUnfinished), "RIG-48"),
    _mutant("spans-in-chunk", "Streams spans that count from the beginning of the chunk.", _streaming(SpansInChunk), "RIG-49"),
    _mutant("writes-json", "Escapes what it writes as JSON does.", WritesJson, "RIG-50"),
    _mutant("refuses-openers", "Refuses to write any text with an opener in it.", RefusesOpeners, "RIG-51"),
    _mutant("writes-escapes", "Writes a backslash before a quote.", WritesEscapes, "RIG-52"),
    _mutant("writes-quotes", "Writes quotes as they are.", WritesQuotes, "RIG-52"),
    _mutant("writes-blank", "Writes a blank query.", WritesBlank, "RIG-53"),
    _mutant("writes-controls", "Writes control characters.", WritesControls, "RIG-54"),
    _mutant("writes-surrogates", "Writes lone surrogates.", WritesSurrogates, "RIG-43"),
    _mutant("writes-forged", "Writes texts that read as annotations.", WritesForged, "RIG-55"),
    _mutant("always-well-formed", "Calls nearly everything well formed.",
            _with(well_formed=lambda self, text: not text.endswith(rig.OPEN)), "RIG-56"),
    _mutant("removes-annotations", "Looks for openers in what is left when the annotations are cut out.",
            _with(well_formed=lambda self, text: rig.OPEN not in self.pattern.sub("", text)), "RIG-56"),
    _mutant("counts-openers", "Compares the number of openers with that of annotations.",
            _with(well_formed=lambda self, text: text.count(rig.OPEN) == len(rig.annotations(text))), "RIG-56"),
    _mutant("mends-nothing", "Recovers what a strict reader reads, and nothing else.",
            _recovering(lambda found: [f for f in found if not f[4]]), "RIG-57"),
    _mutant("names-one", "Names the first thing that was wrong.",
            _recovering(lambda found: [(*f[:4], f[4][:1]) for f in found]),
            "RIG-58"),
    _mutant("names-nothing", "Recovers without a word.", _recovering(lambda found: [(*f[:4], ()) for f in found]), "RIG-58"),
    _mutant("mends-chunks", "Recovers chunk by chunk.", _with(recover_stream=lambda self: ChunkwiseLenient()), "RIG-59"),
    _mutant("first-parenthesis", "Ends a resolved tag at its first parenthesis, as the first published reader did.",
            _with(tags=lambda self, text: [t for t in CorrectParser.tags(self, text) if ")" not in text[t[5]:t[6] - 2]]),
            "RIG-60"),
    _mutant("smuggles", "Forgets where a token ends that half an opener stands before it.", _constraining(Smuggles), "RIG-61"),
    _mutant("admits-blank-queries", "Admits the end of a blank query.", _constraining(TakesBlankQueries), "RIG-61"),
    _mutant("bans-annotations", "Admits text alone.", _constraining(BansAnnotations), "RIG-62", "RIG-65"),
    _mutant("admits-ascii", "Admits ASCII alone.", _constraining(AsciiGuide), "RIG-62"),
    _mutant("ends-anywhere", "Admits the end everywhere.", _constraining(EndsAnywhere), "RIG-63"),
    _mutant("ends-in-plain-text", "Admits no end behind half an opener.", _constraining(EndsInPlainTextOnly), "RIG-63"),
    _mutant("first-bytes", "Admits a token by its first byte.", _constraining(LooksAtFirstBytes), "RIG-64"),
    _mutant("one-annotation", "Admits no annotation after the first.", _constraining(OneAnnotation), "RIG-65"),
    _mutant("trims-outside", "Trims the text that it resolves.", _resolving(TrimsOutside), "RIG-66"),
    _mutant("numbers-by-query", "Numbers tags query by query, as the official code does.",
            _resolving(NumbersByQuery), "RIG-67"),
    _mutant("footnotes-by-call", "Numbers footnotes as their tags.", _resolving(FootnotesByCall), "RIG-68"),
    _mutant("footnotes-of-all", "Lists footnotes that nothing cites.", _resolving(FootnotesOfAll), "RIG-68"),
    _mutant("resolves-strictly", "Leaves what is not well formed in the text.", _resolving(ResolvesStrictly), "RIG-69"),
    _mutant("fetches-each", "Fetches for each annotation.", _resolving(FetchesEach), "RIG-70"),
    _mutant("fetches-trimmed", "Fetches trimmed queries.", _resolving(FetchesTrimmed), "RIG-70"),
    _mutant("fails-whole", "Leaves the whole text as it was where one fetch fails, as the official code does.",
            _resolving(FailsWhole), "RIG-71"),
    _mutant("drops-missed", "Drops the model's value where nothing was found.", _resolving(DropsMissed), "RIG-71"),
    _mutant("plus-for-space", "Replaces spaces in an address, and nothing else, as the official code does.",
            _with(address=lambda self, query: "https://datacommons.org/nodejs/query?q=" + query.strip().replace(" ", "+")),
            "RIG-72"),
    _mutant("puts-in", "Puts what was served into a tag as it is, as the official code does.", _resolving(PutsIn), "RIG-73"),
    _mutant("trusts-addresses", "Puts the address that was served into a footnote as it is.",
            _resolving(TrustsAddresses), "RIG-73"),
    _mutant("lowers-headings", "Lets a heading of footnotes with one sign more become one.",
            _resolving(LowersHeadings), "RIG-73"),
    _mutant("trusts-text", "Leaves the tags that the model wrote.", _resolving(TrustsText), "RIG-73"),
    _mutant("miscounts-from-the-tenth", "Counts spans in UTF-16 units from the tenth annotation on.",
            MiscountsFromTheTenth, "RIG-76"),
    _mutant("escapes-at-a-page", "Takes a backslash at the end of a string of 4096 characters for an escape.",
            _with(string=lambda self, s: s[:-1] if len(s) == 4096 and s[-1] == "\\" else s), "RIG-74"),
    _mutant("cuts-pairs-at-a-page", "Loses an astral character that ends a block of 4096.",
            _with(prepared=lambda self, text: text[:4095] + text[4095:].lstrip("\U0010ffff\U0001f600")), "RIG-36"),
    _mutant("loses-the-last-failure", "Loses the last annotation behind a candidate that failed at its arrow.",
            LosesTheLastFailure, "RIG-74"),
    _mutant("escaped-across-chunks", "Takes a quote that begins a chunk for an escaped one behind a backslash.",
            _streaming(EscapedAcrossChunks), "RIG-77"),
    _mutant("shares-its-buffer", "Goes on with what another reader held back.", _streaming(SharesItsBuffer), "RIG-77"),
    _mutant("counts-for-all", "Streams spans that count what other readers were given too.",
            _streaming(CountsForAll), "RIG-77"),
    _mutant("loses-at-full-chunks", "Loses the last character of a chunk of 4096 that ends in a string.",
            _streaming(LosesAtFullChunks), "RIG-77"),
    _mutant("looks-at-neighbours", "Refuses what two pieces beside each other forge, and no more.",
            _writes_when(lambda s: any(_is_refused(list(two)) for two in itertools.pairwise(["", *s]))), "RIG-78"),
    _mutant("forgets-the-last-repair", "Recovers nothing behind the tenth annotation.",
            _recovering(lambda found: found[:10]), "RIG-79"),
    _mutant("defuses-apart", "Writes a unit behind its value without a space, and looks at each alone.",
            _resolving(DefusesApart), "RIG-80"),
    _mutant("prints-none", "Writes a unit that is None.", _resolving(PrintsNone), "RIG-80", "RIG-82"),
    _mutant("takes-fields-only", "Fails where an answer has a field more.", _resolving(TakesFieldsOnly), "RIG-80", "RIG-82"),
    _mutant("sorts-footnotes", "Lists footnotes sorted as words.", _resolving(SortsFootnotes), "RIG-81"),
    _mutant("puts-text-in", "Puts an answer of another type into a tag.", _resolving(PutsTextIn), "RIG-82"),
    _mutant("one-text-for-all", "Goes on in the text that it was given last.", OneTextForAll, "RIG-40"),
    _mutant("takes-the-closing-line", "Takes a bracket that ends the line into the span.",
            _with(span=lambda self, match, text: (match.start(), match.end() + (text[match.end() :][:2] == "]\n"))), "RIG-76"),
    _mutant("bounded-where-chunks-end", "Gives up a candidate of more than 512 code points where a chunk ends, and no other.",
            _streaming(BoundedWhereChunksEnd), "RIG-77"),
    _mutant("loses-at-64", "Loses the first character of a chunk of 64 that ends in a string.",
            _streaming(LosesAt64), "RIG-77"),
    _mutant("spends-its-segments", "Empties the list that it is given to write.", SpendsItsSegments, "RIG-78"),
    _mutant("writes-deletes", "Writes U+007F where the query is not ASCII.",
            _writes_when(lambda s: _is_refused([p if isinstance(p, str) or p[0].isascii() else (
                p[0].replace("\x7f", ""), p[1].replace("\x7f", "")) for p in s])), "RIG-78"),
    _mutant("refuses-zero-width", "Refuses a query of zero width where there is no value.",
            _writes_when(lambda s: _is_refused(s) or any(p == ("\u200b", "") for p in s)), "RIG-78"),
    _mutant("zero-is-nothing", "Takes a value of 0 for none.", _resolving(ZeroIsNothing), "RIG-80"),
    _mutant("same-beginning", "Fetches once for queries whose first 64 characters are the same.", _resolving(SameBeginning),
            "RIG-80"),
    _mutant("one-footnote-for-equal-answers", "Cites one footnote for two queries with the same answer.",
            _resolving(OneFootnoteForEqualAnswers), "RIG-81"),
    _mutant("well-formed-neighbours", "Calls nothing well formed where a value holds an opener and another touches.",
            _with(well_formed=lambda self, text: rig.is_well_formed(text) and not any(
                a.span.end == b.span.start and rig.OPEN[:-1] in a.value
                for a, b in itertools.pairwise(rig.annotations(text)))), "RIG-56"),
    _mutant("tags-of-two-digits", "Reads no tag that has a number and a footnote of two digits and more.",
            _with(tags=lambda self, text: [t for t in CorrectParser.tags(self, text) if t[0] < 100 or (t[2] or 0) < 10]),
            "RIG-60"),
    _mutant("headings-before-openers", "Looks for headings of footnotes before it takes openers away.",
            _resolving(HeadingsBeforeOpeners), "RIG-73"),
    _mutant("trusts-dates-without-source", "Puts a date as it is into a footnote that has no source.",
            _resolving(TrustsDatesWithoutSource), "RIG-80"),
    _mutant("bracket-at-a-page", "Loses an annotation at a multiple of 1024 behind a bracket.",
            BracketAtAPage, "RIG-74", "RIG-76"),
    _honest("lists-tokens", "Gives the tokens that it admits in a list.", _constraining(ListsTokens)),
    _honest("one-pattern", "One regular expression, and the reference's stream and writer.", CorrectParser),
    _honest("scanner", "Finds quotes and compares literals; no pattern, no stream, no writer.", Scans),
    _honest("by-characters", "Feeds a streaming reader one character at a time.", ByCharacters, thorough=True),
    _honest("small-pieces", "Streams its text one character an item.", _streaming(InSmallPieces)),
    _honest("bounded", "Streams with a bound on what it holds back.", _streaming(Bounded)),
    _honest("utf8-declared", "Counts in bytes and declares it.", lambda: OnlyParses(ByteSpans()), offsets="utf8"),
    _honest("utf16-declared", "Counts in UTF-16 units and declares it.", lambda: OnlyParses(Utf16Spans()), offsets="utf16"),
    _honest("official-declared", "Reads as the official reader does and declares it.",
            lambda: OnlyParses(_with(query=r'[^"]+', value=r'[^"]*', close=r'"\]?')()), numerical_class="official"),
)  # fmt: skip
