"""Mutants (planted bugs) of RAG: one correct reader, one method or attribute of which each replaces; and honest variants."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from conformance.engine.mutation import Mutant
from conformance.rag.harness.subject import RagSubject
from reference import rag
from reference.rig import STRICT, WHITE_SPACE

_BLANKS = "".join(WHITE_SPACE)


class CorrectReader:
    """A strict reader; each method is a place for one bug."""

    limit = 25
    marker = re.compile(r"(?:[-*+\u2022]|[0-9]{1,2}[.)]|\([0-9]{1,2}\))(?!\S)")

    def parse(self, text: str) -> list[str]:
        queries: list[str] = []
        for line in self.lines(text):
            query = self.trimmed(line)
            if self.is_query(query) and not self.is_known(query, queries):
                queries.append(self.given(query))
        return self.finish(queries)

    def lines(self, text: str) -> list[str]:
        return text.split("\n")

    def trimmed(self, line: str) -> str:
        return line.strip(_BLANKS)

    def is_query(self, query: str) -> bool:
        return bool(query) and self.is_allowed(query) and not self.marker.match(query)

    def is_allowed(self, query: str) -> bool:
        return not re.search("[\x00-\x1f\x7f\ud800-\udfff]", query)

    def is_known(self, query: str, before: list[str]) -> bool:
        return query in before

    def given(self, query: str) -> str:
        return query

    def finish(self, queries: list[str]) -> list[str]:
        return queries[: self.limit]


class RemembersAFullAnswer(CorrectReader):
    last = ""

    def finish(self, queries: list[str]) -> list[str]:
        found = super().finish(queries)[int(bool(self.last) and queries[:1] == [self.last]) :]
        self.last = found[-1] if len(found) == self.limit else ""
        return found


# Each class below is one bug, named in the table at the end of the file. A bug of one expression stands in the table itself.


class KeepsReturns(CorrectReader):
    def trimmed(self, line: str) -> str:
        return line.strip("".join(WHITE_SPACE - {"\r"}))

    def is_allowed(self, query: str) -> bool:
        return super().is_allowed(query.removesuffix("\r"))


class KeepsBlankLines(CorrectReader):
    def is_query(self, query: str) -> bool:
        return not query or super().is_query(query)

    def finish(self, queries: list[str]) -> list[str]:
        return super().finish(queries if any(queries) else [])

    def lines(self, text: str) -> list[str]:
        return text.removesuffix("\n").split("\n")


class TrimsAsciiOnly(CorrectReader):
    def trimmed(self, line: str) -> str:
        return line.strip(" \t\r\n\x0b\x0c")

    def is_query(self, query: str) -> bool:
        return super().is_query(query) and bool(query.strip(_BLANKS))


class TrimsCommonSpace(CorrectReader):
    def trimmed(self, line: str) -> str:
        return line.strip("\t\n\x0b\x0c\r \x85\xa0\u2028\u2029\u3000")

    def is_query(self, query: str) -> bool:
        return super().is_query(query) and bool(query.strip(_BLANKS))


class ReadsJson(CorrectReader):
    def parse(self, text: str) -> list[str]:
        try:
            return list(map(str, json.loads(text))) or [text]
        except (ValueError, TypeError):
            return super().parse(text)


class Shuffles(CorrectReader):
    def finish(self, queries: list[str]) -> list[str]:
        return sorted(super().finish(queries), key=lambda query: (sum(map(ord, query)) % 7, query))


class KeepsTheLast(CorrectReader):
    def parse(self, text: str) -> list[str]:
        queries = [q for line in self.lines(text) if self.is_query(q := self.trimmed(line))]
        kept = set(list(dict.fromkeys(queries))[: self.limit])
        return list(dict.fromkeys(q for q in reversed(queries) if q in kept))[::-1]


class KnowsUntrimmed(CorrectReader):
    """Looks for repeats before it trims."""

    def parse(self, text: str) -> list[str]:
        queries = [q for line in dict.fromkeys(self.lines(text)) if self.is_query(q := self.trimmed(line))]
        return self.finish(queries)


def _folded(fold: Callable[[str], str]) -> type[CorrectReader]:
    """A reader that takes queries for repeats whose folded forms are equal."""

    class Folds(CorrectReader):
        def is_known(self, query: str, before: list[str]) -> bool:
            return fold(query) in map(fold, before[:100])

    return Folds


class CutsBeforeRepeats(CorrectReader):
    def parse(self, text: str) -> list[str]:
        queries = [q for line in self.lines(text) if self.is_query(q := self.trimmed(line))]
        return list(dict.fromkeys(queries[: self.limit]))


class MendsNumbers(CorrectReader):
    def trimmed(self, line: str) -> str:
        return re.sub(r"^(?:\d{1,2}[.)]|\(\d{1,2}\))\s+", "", super().trimmed(line))


class Remembers(CorrectReader):
    def __init__(self) -> None:
        self.before: set[str] = set()

    def finish(self, queries: list[str]) -> list[str]:
        fresh = [query for query in queries if query not in self.before]
        self.before = set(queries) if len(queries) < 3 and all(len(query) == 2 for query in queries) else set()
        return super().finish(fresh)


class KeepsTheCut(CorrectReader):
    """Puts a last line that is cut before the next answer."""

    rest = ""

    def lines(self, text: str) -> list[str]:
        lines = super().lines(self.rest + text)
        self.rest = lines[-1] if lines[-1][-1:].isalpha() else ""
        return lines


class OneAnswerForAll(CorrectReader):
    """Reads on in whatever answer it was given last."""

    def parse(self, text: str) -> Any:
        self.text, given = text, 0
        while len(queries := super().parse(self.text)) > given:
            yield queries[given]
            given += 1


class FoldsLate(CorrectReader):
    def is_known(self, query: str, before: list[str]) -> bool:
        return query in before or (len(before) > 22 and query.lower() in map(str.lower, before))


class ByReference:
    """An honest reader: the reference."""

    def parse(self, text: str) -> list[str]:
        return list(rag.parse(text).queries)


class OnePass:
    """An honest reader of another make: finds line feeds, and refuses what is no text."""

    def parse(self, text: str) -> list[str]:
        STRICT.refuse_unless_text(text)
        found: dict[str, None] = {}
        at = 0
        while at <= len(text) and len(found) < rag.MAX_QUERIES:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            line, at = text[at:end].strip(_BLANKS), end + 1
            if line and CorrectReader().is_query(line):
                found.setdefault(line)
        return list(found)


class Official:
    """An honest reader of the official profile, in the order of the text."""

    def choose(self, queries: list[str]) -> Iterable[str]:
        return queries[: rag.MAX_QUERIES]

    def parse(self, text: str) -> list[str]:
        return list(self.choose(list(dict.fromkeys(q for line in text.split("\n") if (q := line.strip())))))


class OfficialFromTheEnd(Official):
    """An honest reader of the official profile that keeps the last 25."""

    def choose(self, queries: list[str]) -> Iterable[str]:
        return reversed(queries[-rag.MAX_QUERIES :])


def _with(**hooks: Any) -> type[CorrectReader]:
    """The correct reader with some attributes replaced."""
    return type("Changed", (CorrectReader,), hooks)


def _mutant(name: str, sentence: str, reader: Callable[[], Any], *killed_by: str, **declared: Any) -> Mutant:
    return Mutant(name, "rag", sentence, lambda: RagSubject(reader(), **declared), killed_by)


def _honest(name: str, sentence: str, reader: Callable[[], Any], **declared: Any) -> Mutant:
    return Mutant(name, "rag", sentence, lambda: RagSubject(reader(), **declared), honest=True)


_NO_NUMBERS = re.compile(r"[-*+\u2022](?!\S)")
_NO_BULLETS = re.compile(r"(?:[0-9]{1,2}[.)]|\([0-9]{1,2}\))(?!\S)")

MUTANTS: tuple[Mutant, ...] = (
    _mutant("one-query", "Takes the whole answer for one query.", _with(lines=lambda self, text: [text.replace("\n", " ")]),
            "RAG-01", "RAG-21"),
    _mutant("commas", "Splits at commas and semicolons too.", _with(lines=lambda self, text: re.split(r"[\n,;]", text)),
            "RAG-17"),
    _mutant("never-empty", "Returns an empty query where there is none.",
            _with(finish=lambda self, queries: CorrectReader.finish(self, queries) or [""]), "RAG-02"),
    _mutant("keeps-returns", "Leaves the CR of CR LF on the query.", KeepsReturns, "RAG-03"),
    _mutant("needs-line-ends", "Drops a last line without an end.", _with(lines=lambda self, text: text.split("\n")[:-1]),
            "RAG-04"),
    _mutant("blank-lines", "Returns blank lines as empty queries.", KeepsBlankLines, "RAG-05"),
    _mutant("first-paragraph", "Stops at the first blank line.",
            _with(lines=lambda self, text: re.split(r"\n\s*\n", text.lstrip("\n"))[0].split("\n")), "RAG-05"),
    _mutant("ascii-trim", "Trims ASCII white space alone.", TrimsAsciiOnly, "RAG-06"),
    _mutant("javascript-trim", "Trims U+FEFF too.", _with(trimmed=lambda self, line: line.strip(_BLANKS + "\ufeff")),
            "RAG-06"),
    _mutant("python-trim", "Trims as Python's str.strip does, U+001C to U+001F too.",
            _with(trimmed=lambda self, line: line.strip()), "RAG-16"),
    _mutant("common-trim", "Trims the white space that is common.", TrimsCommonSpace, "RAG-06"),
    _mutant("no-trim", "Trims nothing but CR.",
            _with(trimmed=lambda self, line: line.removesuffix("\r") if line.strip(_BLANKS) else ""), "RAG-06"),
    _mutant("sorted", "Returns the queries sorted.",
            _with(finish=lambda self, queries: sorted(CorrectReader.finish(self, queries))), "RAG-07"),
    _mutant("shuffled", "Returns the queries in an order of its own.", Shuffles, "RAG-07"),
    _mutant("last-of-equals", "Keeps the last place of a repeated query.", KeepsTheLast, "RAG-07"),
    _mutant("repeats", "Keeps repeated queries.", _with(is_known=lambda self, query, before: False), "RAG-08"),
    _mutant("repeats-untrimmed", "Looks for repeated lines before it trims them.", KnowsUntrimmed, "RAG-08"),
    _mutant("folds-case", "Takes queries that differ in case for repeats.", _folded(str.casefold), "RAG-09"),
    _mutant("folds-space", "Takes queries that differ in inner space for repeats.",
            _folded(lambda q: " ".join(q.split())), "RAG-09"),
    _mutant("folds-composition", "Takes queries that differ in composition for repeats.",
            _folded(lambda q: unicodedata.normalize("NFC", q)), "RAG-09"),
    _mutant("no-limit", "Returns every query.", _with(limit=10**9), "RAG-10"),
    _mutant("limit-20", "Returns 20 queries.", _with(limit=20), "RAG-10", "RAG-11"),
    _mutant("limit-26", "Returns 26 queries.", _with(limit=26), "RAG-10"),
    _mutant("cuts-lines-first", "Reads the first 25 lines.",
            _with(lines=lambda self, text: CorrectReader.lines(self, text)[: self.limit]), "RAG-11"),
    _mutant("cuts-before-repeats", "Keeps 25 queries, then drops repeats.", CutsBeforeRepeats, "RAG-11"),
    _mutant("keeps-bullets", "Returns lines with bullets.", _with(marker=_NO_BULLETS), "RAG-12"),
    _mutant("mends-bullets", "Strips bullets.",
            _with(trimmed=lambda self, line: re.sub(r"^[-*+\u2022](?:\s+|\Z)", "", CorrectReader.trimmed(self, line))),
            "RAG-12"),
    _mutant("keeps-numbers", "Returns numbered lines.", _with(marker=_NO_NUMBERS), "RAG-13"),
    _mutant("mends-numbers", "Strips numbers.", MendsNumbers, "RAG-13"),
    _mutant("one-digit", "Takes numbers of two digits for no list markers.",
            _with(marker=re.compile(r"(?:[-*+\u2022]|[0-9][.)]|[0-9]{2}\)|\([0-9]\))(?!\S)")), "RAG-13"),
    _mutant("three-digits", "Takes numbers of three digits for list markers.",
            _with(marker=re.compile(r"(?:[-*+\u2022]|[0-9]{1,3}[.)]|\([0-9]{1,3}\))(?!\S)")), "RAG-14"),
    _mutant("unicode-digits", "Takes the digits of other scripts for list markers.",
            _with(marker=re.compile(r"(?:[-*+\u2022]|\d{1,2}[.)]|\(\d{1,2}\))(?!\S)")), "RAG-14"),
    _mutant("half-parentheses", "Takes '(1.' for a list marker.",
            _with(marker=re.compile(r"(?:[-*+\u2022]|\(?[0-9]{1,2}[.)])(?!\S)")), "RAG-14"),
    _mutant("any-bullet", "Takes dashes and dots of every kind for bullets.",
            _with(marker=re.compile(r"(?:[-*+\u2022\u2013\u2014\u00b7\u25e6\u25aa]|[0-9]{1,2}[.)]|\([0-9]{1,2}\))(?!\S)")),
            "RAG-14"),
    _mutant("tight-bullets", "Takes a bullet for a list marker with nothing after it.",
            _with(marker=re.compile(r"\u2022|(?:[-*+]|[0-9]{1,2}[.)]|\([0-9]{1,2}\))(?!\S)")), "RAG-14"),
    _mutant("headings", "Drops headings.", _with(marker=re.compile(rf"#+\s|{CorrectReader.marker.pattern}")), "RAG-14"),
    _mutant("no-preamble", "Drops lines that end in a colon.",
            _with(is_query=lambda self, query: CorrectReader.is_query(self, query) and not query.endswith(":")), "RAG-17"),
    _mutant("json", "Reads a JSON list as a list of queries.", ReadsJson, "RAG-17"),
    _mutant("any-marker", "Takes every leading digit or sign for a list marker.",
            _with(marker=re.compile(r"[-*+\u2022(\d]")), "RAG-14"),
    _mutant("long-numbers", "Takes numbers of any length for list markers.",
            _with(marker=re.compile(r"(?:[-*+\u2022]|\(?\d+[.)])(?!\S)")), "RAG-14"),
    _mutant("splitlines", "Splits the text with str.splitlines.", _with(lines=lambda self, text: text.splitlines()),
            "RAG-15", "RAG-16"),
    _mutant("splits-at-returns", "Ends a line at a CR alone.", _with(lines=lambda self, text: re.split("\r\n|\r|\n", text)),
            "RAG-16"),
    _mutant("controls", "Returns lines with control characters.",
            _with(is_allowed=lambda self, query: not re.search("[\ud800-\udfff]", query)), "RAG-16"),
    _mutant("tabs", "Returns lines with tabs.",
            _with(is_allowed=lambda self, query: CorrectReader.is_allowed(self, query.replace("\t", " "))), "RAG-16"),
    _mutant("question-mark", "Drops lines without a question mark.",
            _with(is_query=lambda self, query: CorrectReader.is_query(self, query) and query.endswith(("?", "؟"))),
            "RAG-17"),
    _mutant("unquotes", "Strips quotation marks.", _with(given=lambda self, query: query.strip("\"'")), "RAG-17"),
    _mutant("lowers", "Returns queries in lower case.", _with(given=lambda self, query: query.lower()), "RAG-01", "RAG-17"),
    _mutant("remembers", "Drops queries that the answer before held.", Remembers, "RAG-18"),
    _mutant("short-lines", "Drops lines of more than 4096 characters.",
            _with(is_query=lambda self, query: len(query) <= 4096 and CorrectReader.is_query(self, query)), "RAG-19"),
    _mutant("escapes-at-a-page", "Takes a backslash at the end of a line of 4096 characters for an escape.",
            _with(given=lambda self, query: query[:-1] if len(query) == 4096 and query[-1] == "\\" else query), "RAG-22"),
    _mutant("repeats-of-long-lines", "Keeps repeats of lines of 4096 characters and more.",
            _with(is_known=lambda self, query, before: len(query) < 4096 and query in before), "RAG-22"),
    _mutant("keeps-the-cut", "Puts a last line that is cut before the next answer.", KeepsTheCut, "RAG-22"),
    _mutant("trims-ends-together", "Leaves wide spaces on a query where the line ends in CR LF.",
            _with(trimmed=lambda self, line: line[:-1].strip(" \t") if line[-2:] == "\u3000\r" else line.strip(_BLANKS)),
            "RAG-22"),
    _mutant("bullets-behind-wide-space", "Knows a list marker only behind ASCII white space.",
            _with(trimmed=lambda self, line: line.strip(" \t\r\x0b\x0c"),
                  given=lambda self, query: query.strip(_BLANKS),
                  is_query=lambda self, query: CorrectReader.is_query(self, query) and bool(query.strip(_BLANKS)),
                  is_known=lambda self, query, before: query.strip(_BLANKS) in before), "RAG-23"),
    _mutant("folds-late", "Takes queries that differ in case for repeats, from the 23rd on.", FoldsLate, "RAG-09"),
    _mutant("few-lines", "Reads 40 lines where CR LF ends them.",
            _with(lines=lambda self, text: text.split("\n")[:40] if "\r\n" in text else text.split("\n")), "RAG-03"),
    _mutant("surrogates", "Returns queries with lone surrogates.",
            _with(is_allowed=lambda self, query: not re.search("[\x00-\x1f\x7f]", query)), "RAG-20"),
    _mutant("drops-surrogates", "Drops lone surrogates and reads the rest.",
            _with(lines=lambda self, text: CorrectReader.lines(self, text.encode("utf-8", "ignore").decode())), "RAG-20"),
    _mutant("undeclared", "Reads as the official reader does, without declaring it.", Official,
            "RAG-12", "RAG-13", "RAG-16", "RAG-20"),
    _mutant("official-unlimited", "Declares the official profile and returns every query.",
            lambda: type("All", (Official,), {"choose": lambda self, queries: queries})(),
            "RAG-10", numerical_class="official"),
    _mutant("one-text-for-all", "Goes on in the answer that it was given last.", OneAnswerForAll, "RAG-18"),
    _mutant("marks-are-blank", "Takes a combining mark alone for a blank line.",
            _with(is_query=lambda self, query: CorrectReader.is_query(self, query) and query != "\u0301"), "RAG-22"),
    _mutant("no-em-space", "Knows no em space behind a list marker.",
            _with(is_query=lambda self, query: CorrectReader.is_query(self, query) or query[:2] in ("-\u2003", "*\u2003")),
            "RAG-23"),
    _mutant("markers-behind-marks", "Takes a list marker behind a byte order mark, or what has no width, for one.",
            _with(is_query=lambda self, query: CorrectReader.is_query(self, query.lstrip("\ufeff\u200b") or query)), "RAG-22"),
    _mutant("folds-spaces", "Takes queries that differ in the space before a question mark for repeats.",
            _with(is_known=lambda self, query, before: query.replace(" ?", "?") in {b.replace(" ?", "?") for b in before}),
            "RAG-22"),
    _mutant("remembers-a-full-answer", "Leaves out a first query that ended an answer of 25 before.", RemembersAFullAnswer,
            "RAG-22"),
    _mutant("backwards-when-long", "Returns the queries of a long answer from the last to the first.",
            _with(lines=lambda self, text: text.split("\n")[:: -1 if len(text) > 65536 else 1]), "RAG-07"),
    _mutant("soft-hyphens-dropped", "Drops soft hyphens, which most editors do not show.",
            _with(given=lambda self, query: query.replace("\u00ad", "")), "RAG-22"),
    _mutant("one-question-mark", "Returns one question mark where there are two.",
            _with(given=lambda self, query: re.sub(r"\?\?$", "?", query)), "RAG-22"),
    _honest("turned-nowhere", "The correct reader as it stands.", CorrectReader),
    _honest("reference", "The reference.", ByReference),
    _honest("one-pass", "Finds line feeds and refuses lone surrogates.", OnePass),
    _honest("official-declared", "Reads as the official reader does, in the order of the text.", Official,
            numerical_class="official"),
    _honest("official-from-the-end", "Reads as the official reader does, and keeps the last 25, the last one first.",
            OfficialFromTheEnd, numerical_class="official"),
)  # fmt: skip
