"""List the published reports, one line each, from their own records, and say what has not been measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reports import markdown
from reports.document import Block, Code, Inline, Link, Strong, Table, inline
from reports.evidence import Evidence
from reports.merge import load
from reports.numbers import count, listing
from reports.sections.summary import days, devices, machine_names, verdict

SIGNATURE = (
    "<!-- Rendered by `python -m reports index` of Gaugeblock; changes made here are lost when it is rendered again. -->"
)
FINDINGS = "findings"
"""The folder of write-ups, beside the folders of the reports."""
MACHINE_CODE = "sass"
"""The folder of what was read from compiled kernels, likewise."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.md")


@dataclass(frozen=True)
class WriteUp:
    """A text on one finding, written by hand: its title, and the link to it from a report's page."""

    title: str
    path: str


def write_ups(report: Path) -> tuple[WriteUp, ...]:
    """Those that lie in ``findings/`` beside the report's folder; none where there is no such folder."""
    found = []
    for file in sorted((report.parent / FINDINGS).glob("*.md")):
        if file.name != "README.md" and _FILE_NAME.fullmatch(file.name) and file.is_file():
            lines = file.read_text(encoding="utf-8").split("\n")
            title = next((line[2:].strip() for line in lines if line.startswith("# ")), file.stem)
            found.append(WriteUp(title, f"../{FINDINGS}/{file.name}"))
    return tuple(found)


def report_index(folder: Path) -> str:
    """The Markdown page of a folder whose subfolders hold reports with their records."""
    reports = {path.name: load(sorted(path.glob("*.jsonl"))) for path in sorted(folder.iterdir()) if any(path.glob("*.jsonl"))}
    parts: list[Block] = [
        inline(
            "Each folder holds a report as Markdown ({}) and as one HTML file ({}), with the records that both "
            "were rendered from: {} gives the same bytes.",
            *(Code("README.md"), Code("index.html"), Code("python -m reports FOLDER/*.jsonl -o OUT")),
        )
    ]
    if reports:
        rows = [[Link(name, f"{name}/README.md"), *_row(evidence)] for name, evidence in reports.items()]
        parts.append(Table(["Report", "Date", "Judged", "Machine", "Devices"], rows))
    if not any("cuda" in _devices(evidence) for evidence in reports.values()):
        parts.append(
            inline(
                "{} A report from an H200 will stand here once there is one; {} on such a machine writes its records.",
                *(Strong("Nothing has been measured on a GPU yet."), Code("make gpu")),
            )
        )
    if (folder / FINDINGS / "README.md").is_file():
        link = Link("written up", f"{FINDINGS}/README.md")
        parts.append(inline("What was found in published implementations is {}, each with its evidence.", link))
    if (folder / MACHINE_CODE / "README.md").is_file():
        link = Link("tabulated", f"{MACHINE_CODE}/README.md")
        template = "What sigmoid attention's GPU kernels come to in machine code is {}: compiled for sm_90a, not run."
        parts.append(inline(template, link))
    return f"{SIGNATURE}\n\n# Published reports\n\n{markdown.blocks(parts)}\n"


def _row(evidence: Evidence) -> list[Inline]:
    found = days(evidence)
    return [
        " to ".join(dict.fromkeys((found[0], found[-1]))) if found else "-",
        f"{verdict(evidence)} ({count(len(evidence.sources), 'run')})",
        "; ".join(machine_names(evidence)),
        listing(sorted(_devices(evidence))),
    ]


def _devices(evidence: Evidence) -> set[str]:
    return {device for source in evidence.sources for device in devices(source)}
