"""One small picture per implementation with its status in words; the colour repeats the words."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from conformance.records.schema import Level, SystemRecord
from reports.anchors import file_name
from reports.charts.font import drawable, text_width
from reports.charts.style import BLUE, INK, QUIET
from reports.charts.svg import SIGNATURE
from reports.evidence import Evidence
from reports.numbers import margin, percent
from reports.ranking import RIGHT, STATUS_WORDS, RankingRow, Status, ranking

GROUNDS = {
    Status.RIGHT: BLUE,
    Status.BESIDE: BLUE,
    Status.WRONG: "#a84300",
    Status.CRASHES: INK,
    Status.PARTLY: QUIET,
    Status.NOT_JUDGED: QUIET,
}
"""Background colours on which white text of this size is readable."""
LABEL_GROUND = "#3d444d"
HEIGHT, SIZE, PAD, BASELINE = 20, 11, 7, 14
FONT = "Verdana, 'DejaVu Sans', Geneva, sans-serif"
LONGEST = 60


def badges(evidence: Evidence) -> dict[str, bytes]:
    """A badge for every implementation that the records list, by relative path."""
    files: dict[str, bytes] = {}
    for system in evidence.systems:
        for row in ranking(evidence, system.name):
            path = f"badges/{file_name(system.name)}/{file_name(row.implementation.slug)}.svg"
            files[path] = draw(system.title, words(row), GROUNDS[row.status], _description(system, row))
    return files


def words(row: RankingRow) -> str:
    """The right half: ``computes the paper 0.216``, ``differs: ADM-09 and 2 more``, ``crashes: ADM-42``, ``not judged``.

    One that computes the paper, but breaks a promise of its host, says at how many requirements: ``..., interface: 2``.
    """
    if row.status in RIGHT:
        return ", ".join([_right(row), *(f"{v.level.value}: {len(v.broken)}" for v in row.levels if v.decides and v.red)])
    ids = row.at(Level.DEFINITION).broken
    if not ids:
        return f"{row.words}, {percent(row.share)}" if row.share and row.status is Status.PARTLY else row.words
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    verb = "as the authors" if row.as_authors else "crashes" if row.status is Status.CRASHES else "differs"
    return f"{verb}: {drawable(ids[0], LONGEST // 2)}{more}"


def _right(row: RankingRow) -> str:
    if not row.is_ranked:
        return STATUS_WORDS[row.status]
    return f"computes the paper {margin(row.margin)}" if row.margin else "computes the paper exactly"


def _description(system: SystemRecord, row: RankingRow) -> str:
    """The badge in full, for a screen reader and a tooltip."""
    version = f" {row.implementation.version}" if row.implementation.version else ""
    text = f"{row.implementation.name}{version} on {system.title}: {row.words}"
    if row.is_ranked:
        dtype = f" in {row.dtype}" if row.dtype else ""
        text += (
            f", worst margin {margin(row.margin)}{dtype} (up to 1 passes), {percent(row.share)} of the definition judged there"
        )
    told = [f"{verdict.level.value} {', '.join(verdict.broken)}" for verdict in row.levels if verdict.broken]
    return f"{text}. Not met: {'; '.join(told)}." if told else f"{text}."


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
