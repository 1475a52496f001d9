"""How the error grows with the length, or whatever else was followed: a plot, and the numbers behind it."""

from __future__ import annotations

from reports.gallery import Gallery
from reports.markup import code, fold, plain, table
from reports.merging import Evidence, System
from reports.numbers import significant
from reports.studied import Trace, natural

INTRODUCTION = (
    "How far implementations are off as the work grows, each measured against the float64 reference on the same inputs. "
    "These are measured errors, not verdicts: what an honest implementation may be off by grows as well, and "
    "that is what the requirements judge."
)
MOST_COLUMNS = 9


def curves(evidence: Evidence, gallery: Gallery) -> str:
    """A plot per curve, device and dtype."""
    if not evidence.traces:
        return (
            "None of these runs followed the error along a length "
            "(`python -m conformance.studies.curves --records=FILE` does)."
        )
    parts = [INTRODUCTION]
    for system in evidence.systems:
        pictures = gallery.curves.get(system.name, [])
        absent = [trace for trace in evidence.traces if trace.system == system.name and trace.verdict != "measured"]
        if not pictures and not absent:
            continue
        parts.append(f"### Accuracy: {plain(system.title)}")
        for picture, traces in pictures:
            parts.append(picture.markdown)
            parts.append(fold(f"The numbers: {plain(_place(traces[0]))}", _numbers(traces, system)))
        if absent:
            rows = [[code(_slug(t, system)), plain(t.title), plain(t.verdict), plain(t.message) or "-"] for t in absent]
            parts.append(fold("Not followed", table(["Implementation", "Curve", "Outcome", "Reason"], rows)))
    return "\n\n".join(parts)


def _numbers(traces: list[Trace], system: System) -> str:
    xs = sorted({x for trace in traces for x in trace.line.x})
    step = -(-len(xs) // MOST_COLUMNS)
    shown = xs[::step] if xs[::step][-1] == xs[-1] else [*xs[::step], xs[-1]]
    rows = []
    for trace in traces:
        at = dict(zip(trace.line.x, trace.line.y, strict=True))
        rows.append([code(_slug(trace, system)), *(significant(at[x]) if x in at else "-" for x in shown)])
    first = traces[0]
    headers = ["Implementation", *(f"{x:.0f}" if x == round(x) and abs(x) < 1e7 else significant(x) for x in shown)]
    settings = sorted({f"{key} {value}" for trace in traces for key, value in trace.settings.items()}, key=natural)
    said = f"{plain(first.axes.y)} at {plain(first.axes.x)}:"
    parts = [said[:1].upper() + said[1:], table(headers, rows, "l" + "r" * len(shown))]
    if settings:
        parts.append(f"Settings: {', '.join(plain(setting) for setting in settings)}.")
    return "\n\n".join(parts)


def _place(trace: Trace) -> str:
    return ", ".join(part for part in (trace.title, trace.dtype, trace.device) if part)


def _slug(trace: Trace, system: System) -> str:
    return trace.implementation.removeprefix(f"{system.name}/")
