"""Write the table of attacks into docs/threat-model.md, from the files of `tests/attacks`.

``python -m tools.threat_model`` does it.
"""

from __future__ import annotations

from pathlib import Path

from tests.attacks.attacking import attacks

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/threat-model.md"
BEGIN = "<!-- Written by `python -m tools.threat_model` from tests/attacks; changes made here are lost. -->"
END = "<!-- End of the attacks. -->"
KINDS = {
    "verdicts": "For a better verdict",
    "verdicts/alone": "By a declaration that lies",
    "speeds": "For a better speed",
    "speeds_apart": "For a better speed, from a process of its own",
    "speeds_baseline": "For a slower baseline, whose process is another",
    "crashes": "To crash, hang or starve",
    "crashes/asking": "To starve the suite by what is asked of it",
    "crashes/alone": "On the suite's own processes",
    "records": "On the records, while a run goes on",
    "programs": "By a program that is tested with `cmd:`",
    "numeric_programs": "By a numeric program that is tested with `cmd:`",
    "readers": "On who reads the output",
    "fleet": "By a node of a fleet, in the records that it sends",
    "files": "By a record file from somebody else",
}
"""The folders of `tests/attacks`, in the order of the document, and what each is headed by."""


def table() -> str:
    """All attacks, a table for each kind."""
    found = {kind: attacks(kind) for kind in KINDS}
    lines = [f"There are {sum(map(len, found.values()))}.", ""]
    for kind, title in KINDS.items():
        lines += [f"### {title}", "", "| attack | what it tries | outcome |", "|---|---|---|"]
        lines += [f"| `{each.name}` | {_cell(each.tries)} | {_cell(each.outcome)} |" for each in found[kind]]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def with_table(document: str) -> str:
    """The document with today's table between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
