"""The same results as text with carets for a terminal, as JSON for a program, and as Markdown for a report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.linting.findings import Linter, LintFinding, Severity
from conformance.linting.inputs import LintedDocument
from impls.rig.positions import Lines, visible, width

CONTEXT = 76
"""Columns of a line that are shown around a finding."""

SCHEMA = 1


@dataclass(frozen=True)
class Located:
    """A finding with its place, and the line it stands in (its part around the finding)."""

    document: str
    line: int
    column: int
    finding: LintFinding
    shown: str
    caret: str


@dataclass
class FileResult:
    """All that is known of one file: sums over its documents, findings by code, and the findings that are shown."""

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    located: list[Located] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """A message for each record of a container that could not be read."""

    def add(self, other: FileResult) -> None:
        """Add the sums of another, not its findings."""
        for mine, its in ((self.counts, other.counts), (self.codes, other.codes), (self.severities, other.severities)):
            mine.update(its)


def locate(document: LintedDocument, findings: Sequence[LintFinding]) -> list[Located]:
    """The findings of a document with their places."""
    lines = Lines(document.text) if findings else None
    located = []
    for finding in findings:
        assert lines
        number, column = lines.place(finding.start)
        shown, caret = _context(lines.line(number), column - 1, finding.end - finding.start)
        located.append(Located(document.name, number, column, finding, shown, caret))
    return located


def _context(line: str, at: int, length: int) -> tuple[str, str]:
    """The part of the line around the finding, and the line of carets below it."""
    first = max(0, at - CONTEXT // 3)
    last = min(len(line), first + CONTEXT)
    part = visible(line[first:last])
    head = ("..." if first else "") + part[: at - first]
    length = max(1, min(length, last - at))
    shown = ("..." if first else "") + part + ("..." if last < len(line) else "")
    return shown, " " * width(head) + "^" * max(1, width(part[at - first : at - first + length]))


def total(results: Sequence[FileResult]) -> FileResult:
    """The sums over all files."""
    everything = FileResult("total")
    for result in results:
        everything.add(result)
    return everything


def as_text(linter: Linter, results: Sequence[FileResult], limit: int) -> str:
    """Findings, one table of files, one of diagnostics, the ratios."""
    out: list[str] = []
    located = [place for result in results for place in result.located]
    for place in located:
        codes = " ".join(place.finding.codes)
        name = f"{place.document}:{place.line}:{place.column}"
        out += [f"{name}: {place.finding.severity.name.lower()} {codes}: {place.finding.message}"]
        out += [f"    {place.shown}", f"    {place.caret}"]
        if place.finding.suggestion is not None:
            out.append(f"    write: {visible(place.finding.suggestion)}")
    everything = total(results)
    hidden = sum(everything.severities.values()) - len(located)
    if hidden:
        out.append(f"({hidden} more findings; --limit {limit} shows no more, --limit 0 shows all)")
    if out:
        out.append("")
    rows = [*results, everything] if len(results) > 1 else list(results)
    out += _aligned([["file", *linter.columns], *([r.file, *(str(r.counts[c]) for c in linter.columns)] for r in rows)])
    if everything.codes:
        out += ["", *_aligned([["diagnostic", "findings"], *([code, str(n)] for code, n in _ordered(everything.codes))])]
    out += ["", *_aligned([[name, _number(value)] for name, value in linter.ratios(everything.counts).items()])]
    return "\n".join(line.rstrip() for line in out) + "\n"


def as_json(linter: Linter, results: Sequence[FileResult], limit: int) -> str:
    """One object; ``findings`` of each file are those within ``--limit``, the sums are complete."""

    def described(result: FileResult) -> dict[str, Any]:
        return {
            "counts": dict(sorted(result.counts.items())),
            "diagnostics": dict(_ordered(result.codes)),
            "severities": {s.name.lower(): result.severities[s.name.lower()] for s in sorted(Severity, reverse=True)},
            "ratios": linter.ratios(result.counts),
        }

    files = [
        {
            "file": result.file,
            **described(result),
            "unread": result.unread,
            "findings": [
                {
                    "document": place.document,
                    "line": place.line,
                    "column": place.column,
                    "start": place.finding.start,
                    "end": place.finding.end,
                    "severity": place.finding.severity.name.lower(),
                    "diagnostics": list(place.finding.codes),
                    "message": place.finding.message,
                    "suggestion": place.finding.suggestion,
                }
                for place in result.located
            ],
        }
        for result in results
    ]
    value = {"schema": SCHEMA, "system": linter.system, "limit": limit, "files": files, "total": described(total(results))}
    return json.dumps(value, ensure_ascii=True, indent=1) + "\n"


def as_markdown(linter: Linter, results: Sequence[FileResult], limit: int) -> str:
    """Tables; the findings within ``--limit`` as a list at the end."""
    everything = total(results)
    rows = [*results, everything] if len(results) > 1 else list(results)
    out = [f"# Lint of {linter.system.upper()} outputs", ""]
    out += _table(["file", *linter.columns], [[_cell(r.file), *(str(r.counts[c]) for c in linter.columns)] for r in rows])
    out += ["", *_table(["figure", "value"], [[k, _number(v)] for k, v in linter.ratios(everything.counts).items()])]
    if everything.codes:
        out += ["", *_table(["diagnostic", "findings"], [[code, str(n)] for code, n in _ordered(everything.codes)])]
    located = [place for result in results for place in result.located]
    if located:
        out += ["", "## Findings", ""]
    for place in located:
        where = f"{place.document}:{place.line}:{place.column}"
        fence = "`" * (1 + max((len(run) for run in "".join(c if c == "`" else " " for c in place.shown).split()), default=0))
        shown = f"{fence} {place.shown.strip() or ' '} {fence}"
        out.append(f"- {_cell(where)} **{' '.join(place.finding.codes)}** {_cell(place.finding.message)}: {shown}")
    hidden = sum(everything.severities.values()) - len(located)
    if hidden:
        out += ["", f"{hidden} more findings are not listed."]
    return "\n".join(out) + "\n"


FORMATS = {"text": as_text, "json": as_json, "markdown": as_markdown}


def _ordered(codes: Counter[str]) -> list[tuple[str, int]]:
    return sorted(codes.items(), key=lambda item: (-item[1], item[0]))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]

    def padded(cell: str, column: int) -> str:
        space = " " * (widths[column] - width(cell))
        return cell + space if column == 0 else space + cell

    return ["  ".join(padded(cell, column) for column, cell in enumerate(row)) for row in rows]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---", *["---:"] * (len(header) - 1)], *rows)]


def _cell(text: str) -> str:
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
