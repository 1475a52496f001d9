"""The pages of a census: ``python -m reports.census DIR`` renders them beside DIR, which ``gaugeblock census`` wrote."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.records import io
from conformance.records.schema import JUDGED, RED, Level, VerdictRecord
from reports import census_charts, census_reproduction, census_words, declared
from reports.census_training import STEPS

AUTHORS = frozenset({"epsilon-in-logarithm", "half-life-of-the-authors"})
"""Mutants that do what the code published with the paper does."""

SIGNATURE = "<!-- Rendered by `python -m reports.census` of Gaugeblock; changes made here are lost. -->\n\n"

INTRODUCTION = """# Census

Public implementations, each at a named commit, in the order of the table of `gaugeblock census`, judged in quick runs. The
level *definition* is what the paper says, and it alone decides what differs. The level *interface* is what a host such as
torch.optim promises; a - stands where it was not judged. Cases of the interface compare values too, so that what differs from
the paper fails many of them as well. They were judged by the suite alone: no second formula confirms a failure there. A
case that needs what an implementation does not offer is not counted, and later runs have more cases. A wrong answer resembles
a mutant (a planted bug) of the suite. Released packages have the verdict of [the published report](../cpu/README.md). Files
that are the same to the byte are judged once. Each has a page with its verdict, a reproduction, and what would mend it.
*Since* is the day of the file's first commit at its path. How many people use each was not recorded, and none was reported to
its maintainer, unless its page says so. Where one of these was mended, or a verdict is wrong, please say so.
"""

SYSTEMS = {"ademamix": "AdEMAMix", "sigmoid_attention": "Sigmoid attention", "rig": "RIG", "rag": "RAG"}
HEAD = "| Implementation | Commit | Since | Definition | Interface | What differs |\n| :-- | :-- | :-- | :-- | :-- | :-- |\n"
RELEASES = "../cpu/pages/{}.md"
NOTHING_ELSE = "as the code published with the paper: 1e-8 inside the logarithm of beta3's warm-up"

Row = dict[str, Any]
Verdicts = dict[str, list[VerdictRecord]]
Curves = dict[str, Any]
Distances = dict[str, dict[str, float | str]]


def render(folder: Path) -> str:
    """The page that lists all, as Markdown."""
    return pages(folder)["README.md"]


def pages(folder: Path) -> dict[str, str]:
    """Every page by its name: README.md, and one of each file judged here."""
    rows = read(folder / "census.json", [])
    apart: Distances = read(folder / "reproductions.json", {})
    runs = [io.read(path) for path in sorted(folder.glob("*.jsonl"))]
    here = by_key(rows, verdicts_of(runs))
    families = families_of(rows)
    report = folder.parent.parent / "cpu/conformance.jsonl"
    judged = {**here, **releases(report, rows)}
    hosts = by_key(rows, verdicts_of(runs, Level.INTERFACE)) | releases(report, rows, Level.INTERFACE)
    parts = [SIGNATURE + INTRODUCTION, summary(families, judged), pictures(read(folder / "training.json", {}))]
    for system, title in SYSTEMS.items():
        lines = [f"| {' | '.join(cells(family, judged, hosts))} |\n" for family in families if family[0]["system"] == system]
        parts.append(f"## {title}\n\n{HEAD}{''.join(lines)}" if lines else "")
    findings = described(folder.parent.parent / "findings")
    parts += [promises(families, judged, hosts), findings, descent(rows, judged)]
    known = [family for family in families if key(family[0]) in here]
    one_each = {
        f"{slug(family[0])}.md": page(family, here[key(family[0])], hosts.get(key(family[0]), []), apart) for family in known
    }
    return {"README.md": "\n".join(filter(None, parts)), **one_each}


def read(path: Path, without: Any) -> Any:
    """The content of a file of JSON; ``without`` it, that."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else without


def by_key(rows: Sequence[Row], by_address: Verdicts) -> Verdicts:
    """The verdicts by the key of their row, not by an address."""
    return {key(row): found for row in rows if (found := by_address.get(row["spec"].partition("=")[2]))}


def releases(records: Path, rows: Sequence[Row], level: Level = Level.DEFINITION) -> Verdicts:
    """The verdicts at ``level`` of the published report on the rows that are released packages."""
    wanted = {row["report"].replace(".", "/", 1): row for row in rows if row.get("package")}
    run = io.read(records)
    versions = {each.name: each.version for each in run.header.implementations}
    found: Verdicts = {}
    for verdict in run.of(VerdictRecord):
        if verdict.implementation in wanted and is_counted(verdict, level):
            found.setdefault(key(wanted[verdict.implementation]), []).append(verdict)
    for name, row in wanted.items():
        row["version"] = versions.get(name) or ""
    return found


def is_counted(verdict: VerdictRecord, level: Level) -> bool:
    """Whether it judges what is of this level; a requirement that is no longer known counts as one of the definition."""
    rule = declared.by_id(verdict.requirement)
    return verdict.verdict in JUDGED and (rule.level if rule else Level.DEFINITION) == level


def pictures(training: Curves) -> str:
    """The charts, and what the training runs gave."""
    shown = ["differences", *(["training"] if training else [])]
    parts = [f"![{census_charts.TITLES[name]}](plots/{name}.svg)\n" for name in shown]
    lines = [
        f"| {name} | {'yes' if curve['warm-up'] else 'no'} | {curve['losses'][-1]:.3f} | {curve['apart'][-1]:.1e} |\n"
        for name, curve in training.items()
        if isinstance(curve, dict) and "apart" in curve
    ]
    if training:
        ends = [f"{training[name]['losses'][-1]:.3f}" for name in ("paper", "paper without warm-ups")]
        parts.append(
            f"A small character model was trained with some that differ, for {STEPS} steps in float64; `gaugeblock census "
            f"FOLDER --train` repeats it. The paper's optimizer ends at a loss of {ends[0]} with warm-ups as long as the run, "
            f"and of {ends[1]} without; a lower loss in so short a run is no merit. The distance is the largest difference "
            "of a parameter from the paper's run, as a part of the largest way that one went.\n\n"
            "| Implementation | Warm-ups | Loss at the end | Distance at the end |\n| :-- | :-- | :-- | :-- |\n"
            + "".join(lines)
        )
    return "\n".join(parts)


def descent(rows: Sequence[Row], judged: Verdicts) -> str:
    """Which files descend from which: those with the same code, and those that name their source."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.get("code_sha256") or key(row), []).append(row)
    lines = []
    for group in groups.values():
        others = [f"`{each['repository']}`" for each in group[1:]]
        if others:
            verdict = judged.get(key(group[0]))
            lines.append(
                f"- `{group[0]['repository']}`, {group[0]['object']}: {', '.join(others)} "
                f"{'have' if len(others) > 1 else 'has'} the same code"
                + (f". What differs: {clause(group[0], red_of(verdict)).removesuffix('.')}.\n" if verdict else ".\n")
            )
    words = "Files whose code is the same without layout, comments and documentation, so that one finding is that of all.\n"
    return f"## Families\n\n{words}\n{''.join(lines)}" if lines else ""


def key(row: Row) -> str:
    """The same of copies."""
    return f"{row['sha256'] or row['repository'] + row['path']}:{row['object']}"


def slug(row: Row) -> str:
    """The name of a page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{row['repository']}-{row['path'].removesuffix('.py')}-{row['object']}")


def charts(folder: Path) -> dict[str, bytes]:
    """Each chart by its name: what goes wrong most, and training runs where there are records of some."""
    rows = read(folder / "census.json", [])
    judged = by_key(rows, verdicts_of([io.read(path) for path in sorted(folder.glob("*.jsonl"))]))
    judged |= releases(folder.parent.parent / "cpu/conformance.jsonl", rows)
    kinds: Counter[str] = Counter()
    for row in rows:
        red = red_of(judged.get(key(row), []))
        if red:
            kinds[census_charts.KINDS.get(likeliest_name(red), "something of its own")] += 1
    drawn = {"differences": census_charts.differences(kinds)}
    training = read(folder / "training.json", {})
    return {**drawn, "training": census_charts.training(training)} if training else drawn


def families_of(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows, those of one file's copies together, in the order of their first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def verdicts_of(runs: Sequence[io.Run], level: Level = Level.DEFINITION) -> Verdicts:
    """The counted verdicts at ``level`` on each implementation by its address among checkouts; of one case the last."""
    found: dict[str, dict[tuple[str, ...], VerdictRecord]] = {}
    for run in runs:
        addresses = {each.name: each.selector.rpartition("=")[2] for each in run.header.implementations}
        for verdict in run.of(VerdictRecord):
            if verdict.implementation in addresses and is_counted(verdict, level):
                case = (verdict.requirement, verdict.case, verdict.dtype, verdict.device)
                found.setdefault(addresses[verdict.implementation], {})[case] = verdict
    return {address: list(verdicts.values()) for address, verdicts in found.items()}


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
        "the reason why they were not run.\n"
    )


def met(found: Sequence[VerdictRecord]) -> str:
    """How many cases were met of those judged; "-" where none was."""
    return f"{len(found) - len(red_of(found))} of {len(found)}" if found else "-"


def cells(family: Sequence[Row], judged: Verdicts, hosts: Verdicts) -> tuple[str, ...]:
    """One line of the table."""
    row = family[0]
    about = "<br>".join(f"`{each['repository']}`" for each in family) + f"<br>{row['path']}:{row['object']}"
    about += f"<br>names `{row['names_source']}` as its source" if row["names_source"] else ""
    about += f"<br>{row['remark']}" if row["remark"] else ""
    commits = "<br>".join(each["commit"][:10] or "-" for each in family)
    days = "<br>".join(each.get("since") or "-" for each in family)
    found = judged.get(key(row), [])
    red = red_of(found)
    host = met(hosts.get(key(row), []))
    if found and row.get("package"):
        return (
            about,
            f"{row['package']} {row['version']}",
            days,
            f"[{met(found)}]({RELEASES.format(row['report'])})",
            host,
            clause(row, red),
        )
    if row["not_run"] or not found:
        reason = row["not_run"] or "not judged in this run"
        return (
            about,
            commits,
            days,
            "not run",
            "-",
            f"[{reason}]({RELEASES.format(row['report'])})" if row.get("report") else reason,
        )
    return about, commits, days, f"[{met(found)}]({slug(row)}.md)", host, clause(row, red)


def clause(row: Row, red: Sequence[VerdictRecord]) -> str:
    """What differs, in one clause."""
    if not red:
        return "nothing"
    if is_as_authors(red):
        return f"{len(red)} {NOTHING_ELSE}"
    return str(row["differs"]) or likeliest(red) or f"{len(red)} in a way that no mutant has"


def likeliest_name(red: Sequence[VerdictRecord]) -> str:
    """The mutant that most failures resemble; "" where none resembles one."""
    return next((name for name, _ in Counter(each.candidates[0] for each in red if each.candidates).most_common()), "")


def likeliest(red: Sequence[VerdictRecord]) -> str:
    """What most failures resemble, and the mutant's sentence; "" where that is no mutant."""
    (name, number), *_ = Counter(each.candidates[0] if each.candidates else "" for each in red).most_common()
    if not name:
        return ""
    words = next(each.resembles for each in red if each.candidates and each.candidates[0] == name)
    sentence = words.partition("; or ")[0].partition(": ")[2].removesuffix(".")
    return f"{number} of {len(red)} as the mutant `{name}`: {sentence.replace('|', chr(92) + '|').replace('*', chr(92) + '*')}"


def promises(families: Sequence[Sequence[Row]], judged: Verdicts, hosts: Verdicts) -> str:
    """What meets the definition and fails a promise of its host, by requirement; "" without any."""
    failed: dict[str, list[str]] = {}
    for family in families:
        red = red_of(judged.get(key(family[0]), []))
        if not red or is_as_authors(red):
            for each in sorted({verdict.requirement for verdict in red_of(hosts.get(key(family[0]), []))}):
                failed.setdefault(each, []).append(f"`{family[0]['repository']}`")
    lines = [f"| {each}: {statement(each)} | {', '.join(failed[each])} |\n" for each in sorted(failed)]
    words = (
        "Requirements of the interface that are not met by implementations that meet the definition, or differ from it as\n"
        "the published code does, so that no other difference from the paper is what shows. Those of released packages are\n"
        "described below with a reproduction. On the others the suite alone says so, the cause is not settled, and a way of\n"
        "rounding that was not declared may be it.\n"
    )
    return f"## Interface\n\n{words}\n| Requirement | Not met by |\n| :-- | :-- |\n{''.join(lines)}" if lines else ""


def described(folder: Path) -> str:
    """The published findings, by the requirement that finds each."""
    lines = []
    for file in sorted(folder.glob("*-*.md")):
        text = file.read_text(encoding="utf-8")
        rules = re.search(r"^- Rules: (.+)$", text, re.MULTILINE)
        if rules:
            title = text.partition("\n")[0].removeprefix("# ")
            lines.append((rules[1], f"| {rules[1]} | [{title}](../findings/{file.name}) |\n"))
    words = "What was described of released packages, by the requirements that find it, each with a reproduction without us.\n"
    table = "".join(line for _, line in sorted(lines))
    return f"## Findings by requirement\n\n{words}\n| Requirement | Finding |\n| :-- | :-- |\n{table}"


def statement(requirement: str) -> str:
    """What a requirement says; "" of one that is no longer known."""
    rule = declared.by_id(requirement)
    return plain(rule.statement) if rule else ""


def page(family: Sequence[Row], found: Sequence[VerdictRecord], host: Sequence[VerdictRecord], apart: Distances) -> str:
    """The page of one file: what it is, its verdict, what repeats it, what would mend it, and what may be answered."""
    row, red = family[0], red_of(found)
    where = "\n".join(
        f"- `{each['repository']}` at commit `{each['commit']}`, since {each['since'] or '-'}" for each in family
    )
    copies = "\nThe file is the same to the byte in all of these.\n" if len(family) > 1 else ""
    source = f"\nIt names `{row['names_source']}` as its source.\n" if row["names_source"] else ""
    remark = f"\n{row['remark']}\n" if row["remark"] else ""
    about = f"`{row['path']}`, object `{row['object']}`, SHA-256 `{row['sha256']}`\n\n{where}\n{copies}{source}{remark}"
    verdict = f"{met(found)} judged cases of the definition are met. What differs: {clause(row, red).removesuffix('.')}."
    return (
        f"{SIGNATURE}# {row['repository']}: {row['object']}\n\n[All implementations](README.md)\n\n{about}\n"
        f"## Verdict\n\n{verdict}\n\n{failures(red)}{advice(row, red)}{interface(host)}{reproduction(row, red, apart)}"
    )


def interface(host: Sequence[VerdictRecord]) -> str:
    """What the host promises; "" where it was not judged."""
    words = "A failure may be that of the definition, which shows in these values too. No second formula was run on them.\n\n"
    red = red_of(host)
    says = f"{met(host)} judged cases of what the host promises are met.{' ' + words if red else chr(10) * 2}"
    return f"## Interface\n\n{says}{failures(red)}" if host else ""


def advice(row: Row, red: Sequence[VerdictRecord]) -> str:
    """What would mend it, what may be answered, and whether it was reported; "" where nothing differs."""
    if not red:
        return ""
    name = likeliest_name(red)
    mend = row.get("mend") or census_words.MEND.get(name, "Compute what the requirements above say.")
    answer = row.get("answer") or census_words.ANSWER.get(name, census_words.UNKNOWN)
    reported = row.get("reported") or "Not reported."
    return f"**What would mend it.** {mend}\n\n**What may rightly be answered.** {answer}\n\n**Reported.** {reported}\n\n"


def reproduction(row: Row, red: Sequence[VerdictRecord], apart: Distances) -> str:
    """What repeats the verdict: a script without the suite where there is one, and the suite's command."""
    command = f"gaugeblock census FOLDER {row['repository']}/{row['path']} --quick --level definition"
    place = row["repository"].replace("/", "+")
    parts = [f"## Reproduction\n\nWith a checkout of that commit at FOLDER/{place}:\n\n```text\n{command}\n```\n"]
    name = f"{row['repository']}/{row['path']}:{row['object']}"
    texts, far = census_reproduction.scripts(row), apart.get(name, {})
    differing = [each for each in texts if not agrees(far.get(each, 0.0))]
    if texts:
        shown = differing[0] if differing and red else next(iter(texts))
        lines = "".join(f"| {each} | {distance(far.get(each, '-'))} |\n" for each in texts)
        parts.append(
            f"\nWithout the suite, in FOLDER, with the setting *{shown}*:\n\n```text\n{texts[shown]}```\n\n"
            "How far both are apart after its twelve steps, as a part of the path, in each setting:\n\n"
            f"| Setting | Distance |\n| :-- | :-- |\n{lines}"
        )
    elif red:
        parts.append("\nA second formula was written for this one by hand; it has no script here.\n")
    return "".join(parts)


def agrees(value: float | str) -> bool:
    return not isinstance(value, str) and value <= census_reproduction.AGREES


def distance(value: float | str) -> str:
    """A distance in a table."""
    return plain(value) if isinstance(value, str) else "0" if value == 0 else f"{value:.1e}"


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
    """Write the charts and the pages beside the folder of records, and remove pages of what is no longer there."""
    (folder.parent / "plots").mkdir(exist_ok=True)
    for name, content in charts(folder).items():
        (folder.parent / "plots" / f"{name}.svg").write_bytes(content)
    written = pages(folder)
    for stale in set(folder.parent.glob("*.md")) - {folder.parent / name for name in written}:
        stale.unlink()
    for name, text in written.items():
        (folder.parent / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
