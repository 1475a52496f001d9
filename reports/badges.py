"""One small picture per implementation with its status in words; the colour repeats the words."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from conformance.records.schema import SystemRecord
from reports.anchors import file_name
from reports.charts.font import drawable, text_width
from reports.charts.style import BLUE, INK, QUIET
from reports.charts.svg import SIGNATURE
from reports.evidence import Evidence
from reports.numbers import count, margin, percent
from reports.ranking import STATUS_WORDS, RankingRow, Status, ranking

GROUNDS = {Status.CONFORMS: BLUE, Status.FAILS: "#a84300", Status.CRASHES: INK, Status.NOT_JUDGED: QUIET}
"""Background colours on which white text of this size is readable."""
LABEL_GROUND = "#3d444d"
HEIGHT, SIZE, PAD, BASELINE = 20, 11, 7, 14
FONT = "Verdana, 'DejaVu Sans', Geneva, sans-serif"
LONGEST = 40


def badges(evidence: Evidence) -> dict[str, bytes]:
    """A badge for every implementation that the records list, by relative path."""
    files: dict[str, bytes] = {}
    for system in evidence.systems:
        for row in ranking(evidence, system.name):
            path = f"badges/{file_name(system.name)}/{file_name(row.implementation.slug)}.svg"
            files[path] = draw(system.title, words(row), GROUNDS[row.status], _description(system, row))
    return files


def words(row: RankingRow) -> str:
    """The right half: ``conforms 0.216, 61.0 % judged``, ``fails ADM-09 and 2 more``, ``crashes ADM-42``, ``not judged``."""
    if row.status is Status.CONFORMS:
        partly = f", {percent(row.judged_cases / row.all_cases)} judged" if row.judged_cases < row.all_cases else ""
        return f"conforms {margin(row.ranked_margin)}{partly}" if row.ranked_margin else f"conforms exactly{partly}"
    if row.status is Status.NOT_JUDGED:
        return STATUS_WORDS[row.status]
    ids = row.failing if row.status is Status.FAILS else row.crashing
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return f"{'fails' if row.status is Status.FAILS else 'crashes'} {drawable(ids[0], LONGEST // 2)}{more}"


def _description(system: SystemRecord, row: RankingRow) -> str:
    """The badge in full, for a screen reader and a tooltip."""
    version = f" {row.implementation.version}" if row.implementation.version else ""
    text = f"{row.implementation.name}{version} on {system.title}: {STATUS_WORDS[row.status]}"
    if row.status is Status.CONFORMS and row.ranked is not None:
        dtype = f" in {row.ranked.dtype}" if row.ranked.dtype else ""
        text += f", worst margin {margin(row.ranked.margin)}{dtype} (up to 1 passes)"
    ids = sorted({*row.failing, *row.crashing})
    if ids:
        text += f" to {count(len(ids), 'requirement')}: {', '.join(ids)}" if row.failing else f" in {', '.join(ids)}"
    return text


def draw(label: str, value: str, ground: str, description: str) -> bytes:
    """Two texts on two backgrounds. Their widths come from a known font and are fixed, so that any font of the reader fits."""
    left, right = drawable(label, LONGEST), drawable(value, LONGEST)
    left_text, right_text = (round(text_width(text, SIZE)) for text in (left, right))
    left_width, right_width = left_text + 2 * PAD, right_text + 2 * PAD
    width = left_width + right_width
    title = drawable(description, 10 * LONGEST)
    return f"""\
{SIGNATURE}
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" role="img" aria-label={quoteattr(title)}>
<title>{escape(title)}</title>
<path fill="{LABEL_GROUND}" d="M3 0h{left_width - 3}v{HEIGHT}H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z"/>
<path fill="{ground}" d="M{left_width} 0h{right_width - 3}a3 3 0 0 1 3 3v{HEIGHT - 6}a3 3 0 0 1-3 3H{left_width}z"/>
<g fill="#ffffff" font-family="{FONT}" font-size="{SIZE}" aria-hidden="true">
<text x="{PAD}" y="{BASELINE}" textLength="{left_text}">{escape(left)}</text>
<text x="{left_width + PAD}" y="{BASELINE}" textLength="{right_text}">{escape(right)}</text>
</g>
</svg>
""".encode()
