"""What is wrong with annotated answers: what a strict reader loses, numbers not annotated, values and queries of no use."""

from __future__ import annotations

import re
from collections import Counter

from conformance.linting.findings import Lint, Linter, Severity
from conformance.rig.unannotated import SCALE, numbers
from impls.rig import lenient, strict
from impls.rig.diagnostics import diagnostics
from impls.rig.events import Defect
from impls.rig.lenient import LenientAnnotation, Lost
from impls.rig.repair import CURRENCY, REST_OF_LINE, repaired
from impls.rig.tags import find_tags
from impls.rig.writer import serialise_annotation

MEANING = {
    Defect.CURRENCY_FOR_BRACKET: "'$' stands where '[' should",
    Defect.MISSING_OPEN_BRACKET: "'[' is missing",
    Defect.WHITESPACE: "white space where none should be, or none beside the arrow",
    Defect.QUOTE_VARIANT: "a quotation mark that is not U+0022",
    Defect.ARROW_VARIANT: "an arrow that is not '-->'",
    Defect.MISSING_PARENTHESIS: "')' is missing before the arrow",
    Defect.QUOTE_IN_QUERY: "U+0022 inside the query",
    Defect.QUOTE_IN_VALUE: "U+0022 inside the value",
    Defect.MISSING_CLOSE_BRACKET: "']' is missing",
    Defect.MISSING_CLOSE_QUOTE: "the value's closing quote is missing",
    Defect.UNQUOTED_VALUE: "the value is not quoted",
    Defect.NO_VALUE: "there is no value",
    Defect.EMPTY_VALUE: "the value is empty",
    Defect.CONTROL_CHARACTER: "a line break or another control character inside",
    Defect.MARKER_VARIANT: "a marker that is not '__DC__'",
}

FOOTNOTES = "#### FOOTNOTES ####"
_MARKER = re.compile(r"__DC__|\\_\\_DC\\_\\_|\*\*DC\*\*\(", re.IGNORECASE)
_SCALE_AFTER = re.compile(rf"\s?({SCALE})", re.IGNORECASE)
_WORD_AFTER = re.compile(r"\s?([^\W\d_]{3,})")
_LAST_WORD = re.compile(r"([^\W\d_]{3,})\W*\Z")
_DIGIT = re.compile(r"\d")
_NUMBER_WORD = re.compile(
    r"\b(?:zero|none|no|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|trillions?|half|third|quarter"
    r"|dozens?|twice|double)\b|[\u00bc-\u00be\u2150-\u215e]",
    re.IGNORECASE,
)
_STAT = re.compile(r"\bstat(?:istic)?s?\b", re.IGNORECASE)
_PLACE_WORD = re.compile(
    r"\b(?:in|of|for|across|among|within|at|world|global|globally|worldwide|earth|national|international)\b", re.I
)
_SHORTEST_QUERY = 3
"""Words: a metric, a place, and something that joins them."""


def lint(text: str) -> Lint:
    """Lint one answer. A lone surrogate is a finding, and the rest is linted with U+FFFD in its place."""
    found = Lint()
    text = _without_surrogates(text, found)
    # Files end in a line end, which must not hide that the answer ends inside an annotation.
    attempts = list(lenient.attempts(text.rstrip()))
    tags = find_tags(text)
    values: dict[str, tuple[str, int]] = {}
    covered = sorted([_extent(a, text) for a in attempts] + [(tag.start, tag.end) for tag in tags])
    for attempt in attempts:
        if isinstance(attempt, Lost):
            _lost(attempt, text, found)
        else:
            _format(attempt, text, found)
            _value(attempt, text, found)
            _query(attempt, found)
            _repeated(attempt, values, found)
    found.counts["resolved tags"] = len(tags)
    _between(text, covered, found)
    found.counts["words"] += sum(len((a.value or "").split()) for a in attempts if isinstance(a, LenientAnnotation))
    counts = found.counts
    counts["documents"] = 1
    counts["well-formed documents"] = int(not (counts["recoverable"] or counts["lost"] or counts["truncated"]))
    found.findings.sort(key=lambda finding: (finding.start, -finding.severity))
    return found


def _without_surrogates(text: str, found: Lint) -> str:
    if text.isascii() or not (surrogate := re.search("[\ud800-\udfff]", text)):
        return text
    at = surrogate.start()
    found.add(Severity.ERROR, "lone-surrogate", f"U+{ord(text[at]):04X} alone is no character", at, at + 1)
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _extent(attempt: LenientAnnotation | Lost, text: str) -> tuple[int, int]:
    """The part of the text that is no prose: of what was lost, up to a bracket on the same line that may have closed it."""
    if isinstance(attempt, LenientAnnotation):
        return attempt.start, attempt.end
    if attempt.truncated:
        return attempt.start, len(text)
    closed = REST_OF_LINE.match(text, attempt.end)
    return attempt.start, closed.end() if closed else attempt.end


def _lost(attempt: Lost, text: str, found: Lint) -> None:
    if attempt.truncated:
        if text[attempt.start : attempt.end] not in ("[", "[_"):
            found.counts["truncated"] += 1
            found.add(Severity.ERROR, "truncated", "the text ends inside an annotation", attempt.start, attempt.end)
    else:
        found.counts["lost"] += 1
        found.add(Severity.ERROR, "lost", "an annotation begins here, and none can be read", attempt.start, attempt.end)


def _format(attempt: LenientAnnotation, text: str, found: Lint) -> None:
    if not attempt.defects:
        found.counts["well-formed"] += 1
        return
    found.counts["recoverable"] += 1
    defects = sorted(attempt.defects, key=lambda defect: defect.value)
    (precisely,) = diagnostics(text, [attempt])
    message = "; ".join(MEANING[defect] for defect in defects) + f" ({precisely.message})"
    found.add(Severity.ERROR, precisely.codes, message, attempt.start, attempt.end, precisely.suggestion)


def _value(attempt: LenientAnnotation, text: str, found: Lint) -> None:
    start, end, value = attempt.start, attempt.end, attempt.value
    if value is None:
        return
    if not value.strip():
        if attempt.defects == frozenset():
            found.add(Severity.WARNING, "empty-value", "the value is empty", start, end)
        return
    if _STAT.fullmatch(value.strip(" .")):
        found.add(Severity.WARNING, "placeholder-value", f"the value is the word {value!r} instead of a statistic", start, end)
    elif not _DIGIT.search(value) and not _NUMBER_WORD.search(value) and value.isascii():
        found.add(Severity.WARNING, "no-number", f"the value {value!r} holds no number", start, end)
    before = text[start - 1 : start] if start else ""
    if before and before in CURRENCY and not set(CURRENCY) & set(value):
        found.add(
            Severity.WARNING, "unit-outside", f"{before!r} stands before the annotation and not in its value", start - 1, start
        )
    scale = _SCALE_AFTER.match(text, end)
    if scale:
        inside = scale[1].lower() in value.lower()
        code, what = ("repeated-outside", "stands in the value too") if inside else ("unit-outside", "is not in its value")
        found.add(Severity.WARNING, code, f"{scale[1]!r} after the annotation {what}", *scale.span(1))
        return
    last, following = _LAST_WORD.search(value[-40:]), _WORD_AFTER.match(text, end, end + 40)
    if last and following and last[1].lower() == following[1].lower():
        message = f"{following[1]!r} after the annotation stands in the value too"
        found.add(Severity.WARNING, "repeated-outside", message, *following.span(1))


def _query(attempt: LenientAnnotation, found: Lint) -> None:
    query, start, end = attempt.query, attempt.start, attempt.end
    if query != query.strip() or (attempt.value is not None and attempt.value != attempt.value.strip() != ""):
        found.add(Severity.NOTE, "padded", "white space at an end of the query or the value", start, end)
    if not query.isascii():
        return
    words = query.split()
    if len(words) < _SHORTEST_QUERY:
        message = f"the query {query!r} is too short to name a metric and a place"
        found.add(Severity.WARNING, "short-query", message, start, end)
    elif not _PLACE_WORD.search(query) and not any(word[:1].isupper() for word in words[1:]):
        found.add(Severity.NOTE, "no-place", "the query seems to name no place", start, end)


def _repeated(attempt: LenientAnnotation, values: dict[str, tuple[str, int]], found: Lint) -> None:
    if attempt.value is None:
        return
    value, count = values.setdefault(attempt.query, (attempt.value, 0))
    values[attempt.query] = value, count + 1
    if value != attempt.value:
        message = f"the same query has the value {value!r} above and {attempt.value!r} here"
        found.add(Severity.WARNING, "contradiction", message, attempt.start, attempt.end)
    elif count:
        found.add(Severity.NOTE, "duplicate", "the same query with the same value stands above", attempt.start, attempt.end)


def _between(text: str, covered: list[tuple[int, int]], found: Lint) -> None:
    """The text outside annotations and tags: words, bare markers, and numbers that were not annotated."""
    limit = text.find(FOOTNOTES)
    at = 0
    for start, end in [*covered, (len(text), len(text))]:
        if at < start:
            found.counts["words"] += len(text[at:start].split())
            closed = at
            for marker in _MARKER.finditer(text, at, start):
                found.counts["lost"] += 1
                found.add(Severity.ERROR, "lost", "a marker stands here, and no annotation can be read", *marker.span())
                _numbers(text, closed, marker.start(), limit, found)
                rest = REST_OF_LINE.match(text, marker.end(), start)
                closed = rest.end() if rest else marker.end()
            _numbers(text, closed, start, limit, found)
        at = max(at, end)


def _numbers(text: str, start: int, end: int, limit: int, found: Lint) -> None:
    for span in numbers(text, start, end if limit < 0 else min(end, limit)):
        found.counts["not annotated"] += 1
        found.add(Severity.WARNING, "not-annotated", f"{text[slice(*span)]!r} has no annotation", *span)


def fix(text: str) -> str:
    """The answer with everything repaired that has one repair; what is left is for a person."""
    try:
        attempts = lenient.recover(text)
    except ValueError:
        return text
    pieces: list[str] = []
    wanted: list[tuple[str, str]] = []
    at = 0
    for attempt in attempts:
        written = text[attempt.start : attempt.end]
        pair = repaired(attempt, text)
        if pair:
            wanted.append(pair)
            if attempt.defects or pair != (attempt.query, attempt.value):
                written = serialise_annotation(*pair)
        pieces += [text[at : attempt.start], written]
        at = attempt.end
    fixed = "".join([*pieces, text[at:]])
    # Next to an opener that could not be repaired, a repair might read as something else. Then nothing is touched.
    return fixed if [(query, value) for query, value, _, _ in strict.find_annotations(fixed)] == wanted else text


def ratios(counts: Counter[str]) -> dict[str, float | None]:
    """Shares of what was attempted, and how densely answers are annotated."""
    read = counts["well-formed"] + counts["recoverable"]
    attempted = read + counts["lost"] + counts["truncated"]

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    return {
        "well-formed, of annotations begun": share(counts["well-formed"], attempted),
        "readable, of annotations begun": share(read, attempted),
        "well-formed documents": share(counts["well-formed documents"], counts["documents"]),
        "annotations per 100 words": share(100 * read, counts["words"]),
        "annotated, of numbers that should be": share(read, read + counts["not annotated"]),
    }


def forgiven(text: str, found: Lint) -> Lint:
    """Errors about annotations that the official reader extracts as well are warnings, and so are lone surrogates."""
    official = {start for _, _, start, _ in strict.find_annotations(text, strict.OFFICIAL)}
    return found.forgive(lambda finding: finding.start in official or finding.codes == ("lone-surrogate",))


_COLUMNS = ("documents", "well-formed", "recoverable", "lost", "truncated", "not annotated")
LINTER = Linter("rig", lint, fix, _COLUMNS, ratios, forgiven)
