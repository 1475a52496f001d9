"""List the published reports, one line each, from their own records, and say what has not been measured."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from conformance.records.schema import Level
from reports import declared, markdown
from reports.document import Block, Code, Inline, Link, Strong, Table, inline
from reports.evidence import Evidence
from reports.merge import load
from reports.numbers import count, listing
from reports.sections.provenance import days, devices, machine_names, verdict

SIGNATURE = (
    "<!-- Rendered by `python -m reports index` of Gaugeblock; changes made here are lost when it is rendered again. -->"
)
FINDINGS = "findings"
"""The folder of write-ups, beside the folders of the reports."""
CENSUS = "census"
"""The folder of what public repositories compute, likewise."""
MACHINE_CODE = "sass"
"""The folder of what was read from compiled kernels, likewise."""
ABOUT: tuple[Block, ...] = (
    "What was found in published implementations, one file each: what a source says, what the package does instead, a few "
    "lines that show it and need nothing of ours, and what would fix it. Each can be sent to its authors as it stands. "
    "Our tests run every one whose version is installed, or lies in a folder of its own, and compare what it prints.",
    'In a file, "Judged as" names implementations of the reports, "Rules" what is broken, and "Follows from it" rules that '
    "fail for the same reason alone: their cases need what is broken.",
)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.md")


_ID = re.compile(r"\b[A-Z]{3}-\d+")
_NAME = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class WriteUp:
    """A text on one finding, written by hand: its title, the link to it from a report, and what its first lines say."""

    title: str
    path: str
    found: str = ""
    """Package and version, such as ```heavyball` 2.3.1, fixed in 3.0.0``."""
    names: tuple[str, ...] = ()
    """The implementations that it is about, as patterns of a shell."""
    rules: str = ""
    follows: str = ""
    reported: str = ""

    @property
    def short(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def package(self) -> str:
        return next(iter(_NAME.findall(self.found)), "-")

    @property
    def version(self) -> str:
        return self.found.partition("` ")[2].partition(",")[0] or "-"

    @property
    def status(self) -> str:
        """``found in 2.3.1, fixed in 3.0.0, not reported yet``."""
        fixed = re.search(r"fixed in ([\w.]+)", self.found)
        parts = [f"found in {self.version}", *([fixed.group()] if fixed else [])]
        return ", ".join([*parts, f"reported: {self.reported}" if self.reported else "not reported yet"])

    @property
    def level(self) -> str:
        """The level of the first rule that is broken."""
        levels = [each.level.value for id_ in _ID.findall(self.rules) if (each := declared.by_id(id_)) and each.level]
        return levels[0] if levels else "-"

    @property
    def sentence(self) -> str:
        """The title without the name of the package before it."""
        return self.title.partition(": ")[2] or self.title

    def tells(self, slug: str, requirement: str, first: bool = False) -> bool:
        """Whether it explains why that implementation does not meet that requirement; ``first``: not what only follows."""
        ids = _ID.findall(self.rules if first else f"{self.rules} {self.follows}")
        about = requirement in ids or "every other" in self.rules
        return about and any(fnmatch.fnmatchcase(slug, pattern) for pattern in self.names)


def write_ups(report: Path) -> tuple[WriteUp, ...]:
    """Those that lie in ``findings/`` beside the report's folder; none where there is no such folder."""
    return tuple(
        _read(file)
        for file in sorted((report.parent / FINDINGS).glob("*.md"))
        if file.name != "README.md" and _FILE_NAME.fullmatch(file.name) and file.is_file()
    )


def _read(file: Path) -> WriteUp:
    text = file.read_text(encoding="utf-8")
    title = re.search(r"^# (.*)", text, re.MULTILINE)
    said = dict(re.findall(r"^- ([A-Z][a-z ]+): (.*)$", text, re.MULTILINE))
    return WriteUp(
        title.group(1).strip() if title else file.stem,
        f"../{FINDINGS}/{file.name}",
        said.get("Found in", ""),
        tuple(_NAME.findall(said.get("Judged as", ""))),
        said.get("Rules", ""),
        said.get("Follows from it", ""),
        said.get("Reported", ""),
    )


def lines_of(texts: Sequence[WriteUp]) -> list[list[Inline]]:
    """Level, package, version, title with its link, and status of each, the definition's first."""
    order = {level.value: place for place, level in enumerate(Level)}
    return [
        [text.level, Code(text.package), text.version, Link(text.title, text.path), text.status]
        for text in sorted(texts, key=lambda text: (order.get(text.level, len(order)), text.package, text.path))
    ]


def findings_index(folder: Path) -> str:
    """The Markdown page that lists the texts of ``folder/findings``."""
    texts = [replace(text, path=PurePosixPath(text.path).name) for text in write_ups(folder / "report")]
    parts = [*ABOUT, Table(["Level", "Package", "Version", "What was found", "Status"], lines_of(texts))]
    return f"{SIGNATURE}\n\n# Findings\n\n{markdown.blocks(parts)}\n"


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
    if (folder / CENSUS / "README.md").is_file():
        link = Link("a census", f"{CENSUS}/README.md")
        parts.append(inline("What the code of public repositories computes, each at a named commit, is {}.", link))
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
