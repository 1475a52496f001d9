"""What is wrong with lists of queries: lines that a strict reader leaves out, lines that ask nothing, an end that was cut."""

from __future__ import annotations

import re
from collections import Counter

from conformance.linting.findings import Lint, Linter, Severity
from reference import rag
from reference.rag import RagDefect, Template
from reference.rig import WHITE_SPACE

MEANING = {
    RagDefect.CONTROL_CHARACTER: (Severity.ERROR, "a control character inside; a strict reader leaves the line out"),
    RagDefect.LIST_MARKER: (Severity.ERROR, "a bullet or a number before the query; a strict reader leaves the line out"),
    RagDefect.DUPLICATE: (Severity.WARNING, "the same query stands above"),
    RagDefect.TOO_MANY: (Severity.WARNING, f"{rag.MAX_QUERIES} queries stand above; no reader returns more"),
    RagDefect.BLANK_LINE: (Severity.NOTE, "a blank line"),
    RagDefect.SURROUNDING_SPACE: (Severity.NOTE, "white space around the query"),
}
_MARKER = re.compile(r"(?:[-*+\u2022]|[0-9]{1,2}[.)]|\([0-9]{1,2}\))(?:\s+|\Z)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What keeps a line from being a query once its markers are gone."""
_BLANKS = "".join(sorted(WHITE_SPACE))
_QUESTION_MARKS = ("?", "\uff1f", "\u061f", "\u037e")


def lint(text: str) -> Lint:
    """Lint one answer. A lone surrogate is a finding, and the rest is linted with U+FFFD in its place."""
    found = Lint()
    if not text.isascii() and (surrogate := re.search("[\ud800-\udfff]", text)):
        found.add(Severity.ERROR, "lone-surrogate", "a lone surrogate is no character", *surrogate.span())
        text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    read = rag.parse(text)
    starts, at = [], 0
    for line in text.split("\n"):
        starts.append((at, at + len(line)))
        at += len(line) + 1
    for violation in read.violations:
        severity, meaning = MEANING[violation.defect]
        found.counts[violation.defect.value] += 1
        found.add(severity, violation.defect.value, meaning, *starts[violation.line - 1])
    _queries(text, read.queries, starts, found)
    counts = found.counts
    counts["documents"] = 1
    counts["queries"] = len(read.queries)
    counts["well-formed documents"] = int(read.well_formed)
    counts["empty documents"] = int(not read.queries and not read.violations)
    found.findings.sort(key=lambda finding: (finding.start, -finding.severity))
    return found


def _queries(text: str, queries: tuple[str, ...], starts: list[tuple[int, int]], found: Lint) -> None:
    """The queries that a strict reader returns: their form, and whether they ask at all."""
    kept = dict.fromkeys(queries)
    alike: dict[str, str] = {}
    last_line = max((n for n, (start, end) in enumerate(starts) if text[start:end].strip(_BLANKS)), default=-1)
    for number, (start, end) in enumerate(starts):
        query = text[start:end].strip(_BLANKS)
        if query not in kept:
            continue
        del kept[query]
        found.counts[f"template {rag.template_of(query).name}"] += 1
        key = " ".join(query.casefold().rstrip("?. ").split())
        if alike.setdefault(key, query) != query:
            found.add(
                Severity.WARNING, "near-duplicate", f"differs from {alike[key]!r} in case, spaces or its end only", start, end
            )
        if not query.endswith(_QUESTION_MARKS):
            if number == last_line and not text.endswith("\n") and found.counts["queries asking"]:
                found.counts["truncated"] += 1
                found.add(Severity.ERROR, "truncated", "the last line ends without '?' and without a line end", start, end)
            else:
                found.counts["not a question"] += 1
                found.add(Severity.WARNING, "not-a-question", "the line does not end in '?'", start, end)
        else:
            found.counts["queries asking"] += 1


def fix(text: str) -> str:
    """The answer as a strict reader would have it: no markers, no repeats, no more than 25; every query in its words.

    A line whose control characters are not white space stays out of reach and is left as it is.
    """
    try:
        if rag.parse(text).well_formed:
            return text
    except ValueError:
        return text
    lines: dict[str, None] = {}
    for line in text.split("\n"):
        query = re.sub(r"[\t\r\x0b\x0c]+", " ", line.strip(_BLANKS))
        while marker := _MARKER.match(query):
            query = query[marker.end() :]
        if query:
            lines[query] = None
    kept, allowed = [], rag.MAX_QUERIES
    for line in lines:
        if not _CONTROL.search(line):
            allowed -= 1
            if allowed < 0:
                continue
        kept.append(line + "\n")
    return "".join(kept)


def ratios(counts: Counter[str]) -> dict[str, float | None]:
    """Shares of documents and of queries."""

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    forms = {f"form {t.name}: {t.value}": share(counts[f"template {t.name}"], counts["queries"]) for t in Template}
    return {
        "well-formed documents": share(counts["well-formed documents"], counts["documents"]),
        "queries per document": share(counts["queries"], counts["documents"]),
        **forms,
    }


_COLUMNS = ("documents", "queries", "list-marker", "duplicate", "too-many", "truncated", "not a question")
_OFFICIAL_READS = {("list-marker",), ("control-character",), ("lone-surrogate",)}


def forgiven(text: str, found: Lint) -> Lint:
    """Lines that the official reader returns as they are, with their bullets, are warnings."""
    return found.forgive(lambda finding: finding.codes in _OFFICIAL_READS)


LINTER = Linter("rag", lint, fix, _COLUMNS, ratios, forgiven)
