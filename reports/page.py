"""The whole page: sections in a fixed order, plots beside it, nothing of the clock or the machine that renders it."""

from __future__ import annotations

from reports import bug_chart, plots
from reports.badges import badges
from reports.chart_data import chart
from reports.merging import Evidence
from reports.sections import bugs, charts, findings, league, matrix, provenance, speed, summary
from reports.web import page as web

SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock; changes made here are lost when it is rendered again. -->"
"""The page's first line: only a page that begins with it is ever overwritten."""


def render(evidence: Evidence) -> dict[str, bytes]:
    """Every file of the report by its relative path; without index.html where the library for it is not installed."""
    files: dict[str, bytes] = {}
    drawn = []
    for system in evidence.systems:
        data = chart(evidence, system)
        if data is not None:
            path = f"plots/{_file_name(system.name)}.svg"
            files[path] = plots.draw(data)
            drawn.append((data, path))
    bug_charts = {}
    for system in evidence.systems:
        grid = bug_chart.bug_chart(evidence, system)
        if grid is not None:
            path = f"plots/{_file_name(system.name)}-bugs.svg"
            files[path] = bug_chart.draw(grid)
            bug_charts[system.name] = (grid, path)
    sections = [
        ("Summary", summary.summary(evidence)),
        ("League tables", league.league(evidence)),
        ("Margin and speed", charts.charts(drawn)),
        ("Requirements", matrix.matrix(evidence)),
        ("Findings", findings.findings(evidence)),
        ("Speed", speed.speed(evidence)),
        ("Planted bugs", bugs.bugs(evidence, bug_charts)),
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
        drawings = {path: content for path, content in files.items() if path.startswith("plots/")}
        files["index.html"] = web.page(summary.headline(evidence), sections, drawings)
    files |= badges(evidence)
    return files


def _file_name(system: str) -> str:
    """A system's name as a file name that no record can lead out of the folder."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in system) or "system"
