"""The whole page: sections in a fixed order, plots beside it, nothing of the clock or the machine that renders it."""

from __future__ import annotations

from collections.abc import Sequence

from reports.badges import badges
from reports.gallery import gallery
from reports.merging import Evidence
from reports.report_index import WriteUp
from reports.sections import bugs, charts, claims, curves, findings, matrix, provenance, rankings, speed, summary
from reports.web import page as web

SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock; changes made here are lost when it is rendered again. -->"
"""The page's first line: only a page that begins with it is ever overwritten."""


def render(evidence: Evidence, written: Sequence[WriteUp] = ()) -> dict[str, bytes]:
    """Every file of the report by its relative path; without index.html where the library for it is not installed.

    ``written`` are texts on findings that lie beside the report, to which it links.
    """
    hung = gallery(evidence)
    files = dict(hung.files)
    sections = [
        ("Summary", summary.summary(evidence)),
        ("League tables", rankings.rankings(evidence)),
        ("Margin and speed", charts.charts(hung.margins)),
        ("Paper claims", claims.claims(evidence, hung)),
        ("Accuracy against length", curves.curves(evidence, hung)),
        ("Speed", speed.speed(evidence, hung)),
        ("Requirements", matrix.matrix(evidence)),
        ("Findings", findings.findings(evidence, written)),
        ("Planted bugs", bugs.bugs(evidence, hung.bugs)),
        ("What the words mean", provenance.meanings(evidence)),
        ("Environment", provenance.environment(evidence)),
        ("How to reproduce", provenance.reproduction(evidence)),
        ("Record files", provenance.record_files(evidence)),
    ]
    contents = " · ".join(f"[{title}](#{title.lower().replace(' ', '-')})" for title, _ in sections)
    parts = [SIGNATURE, "# Conformance report", summary.headline(evidence), contents]
    parts += [f"## {title}\n\n{body}" for title, body in sections]
    files["README.md"] = ("\n\n".join(parts) + "\n").encode("utf-8")
    if web.available():
        files["index.html"] = web.page(
            summary.headline(evidence), sections, hung.files, frozenset(text.path for text in written)
        )
    files |= badges(evidence)
    return files
