"""The published reports, one line each, from their own records; what has not been measured is said as plainly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reports.markup import plain, table
from reports.merging import Evidence, load
from reports.numbers import count, listing
from reports.sections.summary import days, devices, machine_names, verdict_words

SIGNATURE = (
    "<!-- Rendered by `python -m reports shelf` of Gaugeblock; changes made here are lost when it is rendered again. -->"
)
FINDINGS = "findings"
"""The folder of write-ups, beside the folders of the reports."""
MACHINE_CODE = "sass"
"""The folder of what was read from compiled kernels, likewise."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.md")


@dataclass(frozen=True)
class WriteUp:
    """A text on one finding, written by hand: its title, and where it is as a report's page links to it."""

    title: str
    path: str


def write_ups(report: Path) -> tuple[WriteUp, ...]:
    """Those that lie in ``findings/`` beside the report's folder; none where there is no such folder."""
    return tuple(WriteUp(title, f"../{FINDINGS}/{name}") for name, title in _titles(report.parent / FINDINGS))


def _titles(folder: Path) -> list[tuple[str, str]]:
    found = []
    for file in sorted(folder.glob("*.md")):
        if file.name != "README.md" and _FILE_NAME.fullmatch(file.name) and file.is_file():
            lines = file.read_text(encoding="utf-8").split("\n")
            title = next((line[2:].strip() for line in lines if line.startswith("# ")), file.stem)
            found.append((file.name, title))
    return found


def shelf(folder: Path) -> str:
    """The page of a folder whose subfolders hold reports with their records."""
    reports = {path.name: load(sorted(path.glob("*.jsonl"))) for path in sorted(folder.iterdir()) if any(path.glob("*.jsonl"))}
    rows = [[f"[{plain(name)}]({name}/README.md)", *_row(evidence)] for name, evidence in reports.items()]
    parts = [SIGNATURE, "# Published reports"]
    parts.append(
        "Each folder holds a report as Markdown (`README.md`) and as one HTML file (`index.html`), with the records that both "
        "were rendered from: `python -m reports FOLDER/*.jsonl -o OUT` gives the same bytes."
    )
    if rows:
        parts.append(table(["Report", "Date", "Judged", "Machine", "Devices"], rows))
    if not any("cuda" in _devices(evidence) for evidence in reports.values()):
        parts.append(
            "**Nothing has been measured on a GPU yet.** A report from an H200 will stand here once there is one; `make gpu` "
            "on such a machine writes its records."
        )
    if (folder / FINDINGS / "README.md").is_file():
        parts.append(
            f"What was found in published implementations is [written up]({FINDINGS}/README.md), each with its evidence."
        )
    if (folder / MACHINE_CODE / "README.md").is_file():
        parts.append(
            f"What sigmoid attention's GPU kernels come to in machine code is [tabulated]({MACHINE_CODE}/README.md): compiled "
            "for sm_90a, not run."
        )
    return "\n\n".join(parts) + "\n"


def _row(evidence: Evidence) -> list[str]:
    found = days(evidence)
    return [
        plain(" to ".join(dict.fromkeys((found[0], found[-1])))) if found else "-",
        f"{verdict_words(evidence)} ({count(len(evidence.sources), 'run')})",
        "; ".join(machine_names(evidence)),
        plain(listing(sorted(_devices(evidence)))),
    ]


def _devices(evidence: Evidence) -> set[str]:
    return {device for source in evidence.sources for device in devices(source)}
