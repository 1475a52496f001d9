"""How the error grows with the length, or whatever else was followed: a plot, and the numbers behind it."""

from __future__ import annotations

from conformance.records.schema import CurveRecord
from reports.charts.gallery import Gallery
from reports.document import Block, Code, Details, Inline, Section, Table, inline
from reports.evidence import Evidence, natural
from reports.numbers import significant
from reports.ranking import short_name

INTRODUCTION = (
    "How far implementations are off as the work grows, each measured against the float64 reference on the same inputs. "
    "These are measured errors, not verdicts: what an honest implementation may be off by grows as well, and "
    "that is what the requirements judge."
)
COMMAND = "python -m conformance.studies.curves --records=FILE"
MOST_COLUMNS = 9


def curves(evidence: Evidence, gallery: Gallery) -> list[Section]:
    """A plot per curve, device and dtype."""
    if not evidence.curves:
        said = inline("None of these runs followed the error along a length ({} does).", Code(COMMAND))
        return [Section("Accuracy against length", [said])]
    parts: list[Section] = []
    for system in evidence.systems:
        body: list[Block] = []
        for picture, traces in gallery.curves.get(system.name, []):
            place = ", ".join(filter(None, (traces[0].title, traces[0].dtype, traces[0].device)))
            body += [picture, Details(f"The numbers: {place}", _numbers(traces))]
        absent = [trace for trace in evidence.curves if trace.system == system.name and trace.verdict != "measured"]
        if absent:
            rows: list[list[Inline]] = [
                [Code(short_name(t.implementation)), t.title, t.verdict, t.message or "-"] for t in absent
            ]
            body.append(Details("Not followed", [Table(["Implementation", "Curve", "Outcome", "Reason"], rows)]))
        parts += [Section(f"Accuracy: {system.title}", [INTRODUCTION, *body])] if body else []
    return parts


def _numbers(traces: list[CurveRecord]) -> list[Block]:
    xs = sorted({x for trace in traces for x in trace.line.x})
    shown = xs[:: -(-len(xs) // MOST_COLUMNS)]
    shown += [] if shown[-1] == xs[-1] else xs[-1:]
    rows: list[list[Inline]] = []
    for trace in traces:
        at = dict(zip(trace.line.x, trace.line.y, strict=True))
        rows.append([Code(short_name(trace.implementation)), *(significant(at[x]) if x in at else "-" for x in shown)])
    headers = ["Implementation", *(f"{x:.0f}" if x == round(x) and abs(x) < 1e7 else significant(x) for x in shown)]
    settings = sorted({f"{key} {value}" for trace in traces for key, value in trace.settings.items()}, key=natural)
    said = f"{traces[0].axes.y} at {traces[0].axes.x}:"
    parts: list[Block] = [said[:1].upper() + said[1:], Table(headers, rows, "l" + "r" * len(shown))]
    return [*parts, f"Settings: {', '.join(settings)}."] if settings else parts
