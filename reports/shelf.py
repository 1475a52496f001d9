"""The published reports, one line each, from their own records; what has not been measured is said as plainly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.markup import plain, table
from reports.merging import Evidence, load
from reports.numbers import count, listing
from reports.sections.summary import machines, verdict

SIGNATURE = (
    "<!-- Rendered by `python -m reports shelf` of Gaugeblock; changes made here are lost when it is rendered again. -->"
)
FINDINGS = "findings"
"""The folder of write-ups, beside the folders of the reports."""
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
    return "\n\n".join(parts) + "\n"


def _row(evidence: Evidence) -> list[str]:
    days = sorted({str(source.header.get("started", ""))[:10] for source in evidence.sources})
    runs = count(len(evidence.sources), "run")
    return [
        plain(" to ".join(dict.fromkeys((days[0], days[-1])))),
        f"{verdict(evidence).strip('*')} ({runs})",
        machines(evidence).partition(": ")[2].partition(". **")[0].rstrip("."),
        plain(listing(sorted(_devices(evidence)))),
    ]


def _devices(evidence: Evidence) -> set[str]:
    found: set[str] = set()
    for source in evidence.sources:
        options = source.header.get("options")
        devices = options.get("device") if isinstance(options, Mapping) else None
        found |= {str(device) for device in devices} if isinstance(devices, list) and devices else {"cpu"}
    return found
