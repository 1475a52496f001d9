"""The whole report: sections in a fixed order, with plots. It does not depend on the clock or machine that renders it."""

from __future__ import annotations

from collections.abc import Sequence

from reports import markdown
from reports.badges import badges
from reports.charts.gallery import gallery
from reports.document import Document, Section
from reports.evidence import Evidence
from reports.report_index import WriteUp
from reports.sections import bugs, charts, claims, curves, findings, matrix, provenance, rankings, speed, summary
from reports.web import page as web

SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock; changes made here are lost when it is rendered again. -->"
"""The first line of README.md: only a page that begins with it is ever overwritten."""


def render(evidence: Evidence, written: Sequence[WriteUp] = ()) -> dict[str, bytes]:
    """Every file of the report by its relative path. ``written`` are texts on findings that lie beside the report."""
    plots = gallery(evidence)
    sections = [
        Section("Summary", summary.summary(evidence)),
        Section("Ranking", rankings.rankings(evidence), ["league-tables"]),
        Section("Margin and speed", charts.charts(plots.margins)),
        Section("Paper claims", claims.claims(evidence, plots)),
        Section("Accuracy against length", curves.curves(evidence, plots)),
        Section("Speed", speed.speed(evidence, plots)),
        Section("Requirements", matrix.matrix(evidence)),
        Section("Findings", findings.findings(evidence, written)),
        Section("Mutants", bugs.bugs(evidence, plots.mutants), ["planted-bugs"]),
        Section("What the words mean", provenance.meanings()),
        Section("Environment", provenance.environment(evidence)),
        Section("How to reproduce", provenance.reproduction(evidence)),
        Section("Record files", provenance.record_files(evidence)),
    ]
    document = Document("Conformance report", summary.headline(evidence), sections)
    return {
        **plots.files,
        "README.md": f"{SIGNATURE}\n\n{markdown.render(document)}".encode(),
        "index.html": web.render(document, plots.files).encode(),
        **badges(evidence),
    }
