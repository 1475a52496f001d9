"""Every page of the report, with plots. It does not depend on the clock or machine that renders it."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.records.schema import SystemRecord
from reports import markdown
from reports.anchors import implementation_page, system_page
from reports.badges import badges
from reports.charts.gallery import Gallery, gallery
from reports.document import FRONT, Document, Inline, Link, Section, Strong, page
from reports.evidence import Evidence
from reports.ranking import fair, ranking
from reports.report_index import WriteUp
from reports.sections import (
    bugs,
    choice,
    claims,
    curves,
    findings,
    implementation,
    matrix,
    provenance,
    rankings,
    releases,
    speed,
)
from reports.web import page as web

SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock; changes made here are lost when it is rendered again. -->"
"""The first line of a Markdown page: only a page that begins with it is ever overwritten."""


def render(evidence: Evidence, written: Sequence[WriteUp] = ()) -> dict[str, bytes]:
    """Every file of the report by its relative path. ``written`` are texts on findings that lie beside the report."""
    evidence = fair(evidence)
    plots = gallery(evidence)
    files = {**plots.files, **badges(evidence)}
    for document in documents(evidence, plots, written):
        files[f"{document.path}.md"] = f"{SIGNATURE}\n\n{markdown.render(document)}".encode()
        path = "index" if document.path == FRONT else document.path
        files[f"{path}.html"] = web.render(document, plots.files).encode()
    return files


def documents(evidence: Evidence, plots: Gallery, written: Sequence[WriteUp]) -> list[Document]:
    """The first page, a page for each system and each implementation, and those that hold for all."""
    listed = [system for system in evidence.systems if evidence.implementations_of(system.name)]
    links = [Link("Overview", page(FRONT))]
    links += [Link(f"{system.title}: ranking", page(system_page(system.name))) for system in listed]
    links += [Link(title, page(f"pages/{name}")) for title, name in SHARED.items()]

    cut_short = [source.name for source in evidence.sources if not source.digest]
    warning = f"A part of the results: the run of {', '.join(cut_short)} was cut short. What is missing was not tested."

    def made(title: str, path: str, lead: Inline, sections: Sequence[Section]) -> Document:
        return Document(title, (Strong(warning), " ", lead) if cut_short else lead, sections, path, links)

    first = [choice.choice(evidence, system, written) for system in listed]
    shared = {
        "Findings": (findings.INTRODUCTION, findings.findings(evidence, written)),
        "Fixed in": (releases.INTRODUCTION, releases.releases(evidence)),
        "Paper claims": (claims.INTRODUCTION, [*claims.claims(evidence, plots), *curves.curves(evidence, plots)]),
        "The suite": (bugs.LEGEND, bugs.bugs(evidence)),
        "Runs and words": (provenance.headline(evidence), provenance.sections(evidence)),
    }
    return [
        made("Conformance report", FRONT, provenance.headline(evidence), first or [Section("Summary", [choice.NOTHING])]),
        *(made(system.title, system_page(system.name), *_system(evidence, system, plots)) for system in listed),
        *(made(title, f"pages/{SHARED[title]}", *body) for title, body in shared.items()),
        *(
            made(
                row.implementation.name,
                implementation_page(row.implementation.name),
                *implementation.page_of(evidence, row, written),
            )
            for system in evidence.systems
            for row in ranking(evidence, system.name)
        ),
    ]


SHARED = {
    "Findings": "findings",
    "Fixed in": "releases",
    "Paper claims": "claims",
    "The suite": "suite",
    "Runs and words": "runs",
}
"""The pages that are not about one system, with their file names."""


def _system(evidence: Evidence, system: SystemRecord, plots: Gallery) -> tuple[Inline, list[Section]]:
    lead = f"{system.title} ({system.paper}): every implementation with its margin, its speed and each requirement."
    return lead, [
        Section("Ranking", rankings.ranking_of(evidence, system, plots)),
        Section("Requirements", matrix.requirements(evidence, system)),
        Section("Speed", speed.speed(evidence, system, plots)),
    ]
