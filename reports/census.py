"""The page of a census: ``python -m reports.census DIR`` renders README.md beside DIR, which ``gaugeblock census`` wrote."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conformance.records import io
from conformance.records.schema import JUDGED, RED, VerdictRecord

AUTHORS = frozenset({"epsilon-in-logarithm", "half-life-of-the-authors"})
"""Mutants that do what the code published with the paper does."""

INTRODUCTION = """<!-- Rendered by `python -m reports.census` of Gaugeblock; changes made here are lost. -->

# Census

Public implementations, each at a named commit, in the order of the table of `gaugeblock census`. The cases are those of the
definition, which is what the paper says, in a quick run in float32. A wrong answer resembles a mutant (a planted bug) of the
suite. Files that are the same to the byte are one family and are judged once. Where one of these was mended, or a verdict is
wrong, please say so.

| Implementation | Commit | Cases met | What differs |
| :-- | :-- | :-- | :-- |
"""


def render(folder: Path) -> str:
    """The page, as Markdown."""
    rows = json.loads((folder / "census.json").read_text(encoding="utf-8"))
    verdicts = dict(pair for path in sorted(folder.glob("*.jsonl")) for pair in verdicts_of(io.read(path)))
    judged = {row["sha256"]: verdicts[bare] for row in rows if (bare := row["spec"].partition("=")[2]) in verdicts}
    return INTRODUCTION + "".join(f"| {' | '.join(cells(row, judged))} |\n" for row in rows)


def verdicts_of(run: io.Run) -> Iterator[tuple[str, list[VerdictRecord]]]:
    """The judged test cases of each implementation by its address in the folder of checkouts."""
    names = {each.selector.rpartition("=")[2]: each.name for each in reversed(run.header.implementations)}
    for address, name in names.items():
        yield address, [v for v in run.of(VerdictRecord) if v.implementation == name and v.verdict in JUDGED]


def cells(row: dict[str, Any], judged: dict[str, list[VerdictRecord]]) -> tuple[str, str, str, str]:
    """One line of the table."""
    about = f"`{row['repository']}` {row['path']}:{row['object']}"
    about += f" (names `{row['names_source']}` as its source)" if row["names_source"] else ""
    about += f" (the same file as {', '.join(f'`{name}`' for name in row['same_as'])})" if row["same_as"] else ""
    commit = row["commit"][:10] or "-"
    found = judged.get(row["sha256"], [])
    if row["not_run"] or not found:
        return about, commit, "not run", row["not_run"] or "not judged in this run"
    red = [verdict for verdict in found if verdict.verdict in RED]
    return about, commit, f"{len(found) - len(red)} of {len(found)}", likeliest(red)


def likeliest(red: Sequence[VerdictRecord]) -> str:
    """What most failures resemble, in one clause; "nothing" without any."""
    if not red:
        return "nothing"
    if all(AUTHORS & set(each.candidates) for each in red):
        return f"{len(red)} as the code published with the paper: 1e-8 inside the logarithm of beta3's warm-up"
    (name, number), *_ = Counter(each.candidates[0] if each.candidates else "" for each in red).most_common()
    return f"{number} of {len(red)} as the mutant `{name}`" if name else "differs in a way that no mutant has"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place.parent / "README.md").write_text(render(place), encoding="utf-8")
