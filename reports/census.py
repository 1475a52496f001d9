"""The pages of a census: ``python -m reports.census DIR`` renders them beside DIR, which ``gaugeblock census`` wrote."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conformance.records import io
from conformance.records.schema import JUDGED, RED, VerdictRecord
from reports import declared

AUTHORS = frozenset({"epsilon-in-logarithm", "half-life-of-the-authors"})
"""Mutants that do what the code published with the paper does."""

SIGNATURE = "<!-- Rendered by `python -m reports.census` of Gaugeblock; changes made here are lost. -->\n\n"

INTRODUCTION = """# Census

Public implementations, each at a named commit, in the order of the table of `gaugeblock census`. The cases are those of
the definition, which is what the paper says, in a quick run; a case that needs what an implementation does not offer is not
counted. A wrong answer resembles a mutant (a planted bug) of the suite. Files that are the same to the byte are one family
and are judged once. Each has a page with its verdict and what repeats it. What differs was found by a second formula too,
written apart in float64, unless a page says otherwise. Where one of these was mended, or a verdict is wrong, please say so.
"""

SYSTEMS = {"ademamix": "AdEMAMix", "sigmoid_attention": "Sigmoid attention", "rig": "RIG", "rag": "RAG"}
HEAD = "| Implementation | Commit | Cases met | What differs |\n| :-- | :-- | :-- | :-- |\n"
NOTHING_ELSE = "as the code published with the paper: 1e-8 inside the logarithm of beta3's warm-up"

Row = dict[str, Any]
Verdicts = dict[str, list[VerdictRecord]]


def render(folder: Path) -> str:
    """The page that lists all, as Markdown."""
    return pages(folder)["README.md"]


def pages(folder: Path) -> dict[str, str]:
    """Every page by its name: README.md, and one of each judged file."""
    rows: list[Row] = json.loads((folder / "census.json").read_text(encoding="utf-8"))
    runs = [io.read(path) for path in sorted(folder.glob("*.jsonl"))]
    by_address: Verdicts = dict(pair for run in runs for pair in verdicts_of(run))
    judged = {key(row): found for row in rows if (found := by_address.get(row["spec"].partition("=")[2]))}
    families = families_of(rows)
    parts = [SIGNATURE + INTRODUCTION, summary(families, judged)]
    for system, title in SYSTEMS.items():
        lines = [f"| {' | '.join(cells(family, judged))} |\n" for family in families if family[0]["system"] == system]
        parts.append(f"## {title}\n\n{HEAD}{''.join(lines)}" if lines else "")
    known = [family for family in families if key(family[0]) in judged]
    one_each = {f"{slug(family[0])}.md": page(family, judged[key(family[0])]) for family in known}
    return {"README.md": "\n".join(filter(None, parts)), **one_each}


def key(row: Row) -> str:
    """The same of copies."""
    return f"{row['sha256'] or row['repository'] + row['path']}:{row['object']}"


def slug(row: Row) -> str:
    """The name of a page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{row['repository']}-{row['path'].removesuffix('.py')}-{row['object']}")


def families_of(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows, those of one file's copies together, in the order of their first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def verdicts_of(run: io.Run) -> Iterator[tuple[str, list[VerdictRecord]]]:
    """The judged test cases of each implementation by its address in the folder of checkouts."""
    names = {each.selector.rpartition("=")[2]: each.name for each in reversed(run.header.implementations)}
    for address, name in names.items():
        yield address, [v for v in run.of(VerdictRecord) if v.implementation == name and v.verdict in JUDGED]


def red_of(found: Sequence[VerdictRecord]) -> list[VerdictRecord]:
    return [verdict for verdict in found if verdict.verdict in RED]


def is_as_authors(red: Sequence[VerdictRecord]) -> bool:
    """Whether every failure is what the code published with the paper does."""
    return bool(red) and all(AUTHORS & set(each.candidates) for each in red)


def summary(families: Sequence[Sequence[Row]], judged: Verdicts) -> str:
    """How many there are of what."""
    kinds: Counter[str] = Counter()
    for family in families:
        found = judged.get(key(family[0]))
        red = red_of(found or [])
        kind = "listed" if found is None else "meet" if not red else "authors" if is_as_authors(red) else "differ"
        kinds[kind] += len(family)
    return (
        f"Of {sum(kinds.values())} implementations, {kinds['meet']} meet every case judged, {kinds['authors']} differ only as "
        f"the code published with the paper does, {kinds['differ']} differ otherwise, and {kinds['listed']} are listed with "
        "the reason why they were not run here.\n"
    )


def cells(family: Sequence[Row], judged: Verdicts) -> tuple[str, str, str, str]:
    """One line of the table."""
    row = family[0]
    about = "<br>".join(f"`{each['repository']}`" for each in family) + f"<br>{row['path']}:{row['object']}"
    about += f"<br>names `{row['names_source']}` as its source" if row["names_source"] else ""
    about += f"<br>{row['remark']}" if row["remark"] else ""
    commits = "<br>".join(each["commit"][:10] or "-" for each in family)
    found = judged.get(key(row), [])
    if row["not_run"] or not found:
        reason = row["not_run"] or "not judged in this run"
        return about, commits, "not run", f"[{reason}](../cpu/pages/{row['report']}.md)" if row.get("report") else reason
    red = red_of(found)
    return about, commits, f"[{len(found) - len(red)} of {len(found)}]({slug(row)}.md)", clause(row, red)


def clause(row: Row, red: Sequence[VerdictRecord]) -> str:
    """What differs, in one clause."""
    if not red:
        return "nothing"
    if is_as_authors(red):
        return f"{len(red)} {NOTHING_ELSE}"
    return str(row["differs"]) or likeliest(red) or f"{len(red)} in a way that no mutant has"


def likeliest(red: Sequence[VerdictRecord]) -> str:
    """What most failures resemble, and the mutant's sentence; "" where that is no mutant."""
    (name, number), *_ = Counter(each.candidates[0] if each.candidates else "" for each in red).most_common()
    if not name:
        return ""
    words = next(each.resembles for each in red if each.candidates and each.candidates[0] == name)
    sentence = words.partition("; or ")[0].partition(": ")[2].removesuffix(".")
    return f"{number} of {len(red)} as the mutant `{name}`: {sentence.replace('|', chr(92) + '|').replace('*', chr(92) + '*')}"


def page(family: Sequence[Row], found: Sequence[VerdictRecord]) -> str:
    """The page of one file: what it is, its verdict, what repeats it, and what each failed requirement says."""
    row, red = family[0], red_of(found)
    where = "\n".join(f"- `{each['repository']}` at commit `{each['commit']}`" for each in family)
    copies = "\nThe file is the same to the byte in all of these.\n" if len(family) > 1 else ""
    source = f"\nIt names `{row['names_source']}` as its source.\n" if row["names_source"] else ""
    remark = f"\n{row['remark']}\n" if row["remark"] else ""
    about = f"`{row['path']}`, object `{row['object']}`, SHA-256 `{row['sha256']}`\n\n{where}\n{copies}{source}{remark}"
    met = f"{len(found) - len(red)} of {len(found)} judged cases of the definition are met."
    verdict = f"{met} What differs: {clause(row, red).removesuffix('.')}."
    command = f"gaugeblock census FOLDER {row['repository']}/{row['path']} --quick --level definition"
    repeat = f"With a checkout of that commit at FOLDER/{row['repository'].replace('/', '+')}:\n\n```text\n{command}\n```\n"
    return (
        f"{SIGNATURE}# {row['repository']}: {row['object']}\n\n[All implementations](README.md)\n\n{about}\n"
        f"## Verdict\n\n{verdict}\n\n{failures(red)}## Reproduction\n\n{repeat}"
    )


def failures(red: Sequence[VerdictRecord]) -> str:
    """A table of the failed cases; "" without any."""
    if not red:
        return ""
    lines = []
    for each in red:
        rule = declared.by_id(each.requirement)
        says = rule.statement if rule else ""
        why = each.resembles or each.message
        values = [f"{each.requirement}: {says}", f"{each.case} {each.dtype}", each.got, each.expected, why]
        lines.append(f"| {' | '.join(plain(value) for value in values)} |\n")
    return f"| Requirement | Case | Found | Expected | Resembles |\n| :-- | :-- | :-- | :-- | :-- |\n{''.join(lines)}\n"


def plain(text: str) -> str:
    """A cell of a table: one line, no mark of Markdown."""
    return re.sub(r"([\\|*_<>`\[\]])", r"\\\1", " ".join(text.split()))[:400] or "-"


def write(folder: Path) -> None:
    """Write the pages beside the folder of records."""
    for name, text in pages(folder).items():
        (folder.parent / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
