"""The first screen: who conforms, who does not and by which rule, and which of the conforming ones is fastest."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.verdict import Verdict
from reports.anchors import finding, link
from reports.markup import code, plain, table
from reports.merging import Evidence, System
from reports.numbers import count, listing, percent, ratio, share
from reports.standing import Standing, Status, fastest, main_workload, requirement_named, standings

SHOWN_REQUIREMENTS = 4
"""So many failed rules are spelled out per implementation; the findings hold the rest."""


def summary(evidence: Evidence) -> str:
    """A table with one row per system, then a few lines on each."""
    if not evidence.systems:
        return "The records name no system, so there is nothing to sum up."
    parts = [_overview(evidence)]
    parts += [_system(evidence, system) for system in evidence.systems if evidence.implementations_of(system.name)]
    return "\n\n".join(parts)


def _overview(evidence: Evidence) -> str:
    rows = []
    for system in evidence.systems:
        rows_of_system = standings(evidence, system.name)
        by_status = [sum(row.status is status for row in rows_of_system) for status in Status]
        rows.append(
            [
                f"**{plain(system.title)}**",
                *(f"{number or '-'}" for number in by_status),
                _fastest_short(evidence, system, rows_of_system),
                _coverage(rows_of_system),
            ]
        )
    headers = ["System", "Conform", "Do not conform", "Crash", "Not judged", "Fastest that conforms", "Coverage"]
    return table(headers, rows, "lrrrrlr")


def _coverage(rows: Iterable[Standing]) -> str:
    items = list(rows)
    return share(sum(row.judged_cases for row in items), sum(row.all_cases for row in items))


def _fastest_short(evidence: Evidence, system: System, rows: list[Standing]) -> str:
    main = main_workload(evidence, system.name)
    first, _ = fastest(rows, main)
    if first is None or first.speed is None:
        return "not measured"
    name = code(_slug(first.implementation))
    return f"{name} (baseline)" if first.is_baseline else f"{name} {ratio(first.speed)}"


def _system(evidence: Evidence, system: System) -> str:
    rows = standings(evidence, system.name)
    paper = f" ({plain(system.paper)})" if system.paper else ""
    lines = [f"### {plain(system.title)}{paper}", ""]
    conforming = [row for row in rows if row.status is Status.CONFORMS]
    judged = [row for row in rows if row.status is not Status.NOT_JUDGED]
    if conforming:
        names = listing(_name(row) + _gaps(row) for row in conforming)
        lines.append(f"- **Conform** ({len(conforming)} of {len(judged)} judged): {names}.")
    elif judged:
        lines.append(f"- **Conform:** none of the {len(judged)} judged.")
    for status, words in ((Status.FAILS, "Do not conform"), (Status.CRASHES, "Crash")):
        found = [row for row in rows if row.status is status]
        if found:
            lines.append(f"- **{words}** ({len(found)} of {len(judged)} judged):")
            lines += [f"  - {_name(row)}: {_why(evidence, row)}" for row in found]
    absent = [row for row in rows if row.status is Status.NOT_JUDGED]
    if absent:
        lines.append(f"- **Not judged** ({len(absent)}): {listing(_name(row) for row in absent)}; the league table says why.")
    lines.append(f"- **Fastest that conforms:** {_fastest_long(evidence, system, rows)}")
    return "\n".join(lines)


def _name(row: Standing) -> str:
    version = f" {plain(row.implementation.version)}" if row.implementation.version else ""
    return f"{code(row.implementation.slug)}{version}"


def _gaps(row: Standing) -> str:
    if row.judged_cases >= row.all_cases:
        return ""
    return f" ({percent(row.judged_cases / row.all_cases)} judged)"


def _why(evidence: Evidence, row: Standing) -> str:
    system = row.implementation.system
    # Failures first: they are wrong values, and a crash at least does not go unnoticed.
    ids = [*row.failing, *(id_ for id_ in row.crashing if id_ not in row.failing)]
    if row.counts[Verdict.PASS] == row.counts[Verdict.FAIL] == 0:
        return f"in every judged case, of {count(len(ids), 'requirement')}."
    words = []
    for id_ in ids[:SHOWN_REQUIREMENTS]:
        statement = plain(requirement_named(evidence, system, id_).statement).rstrip(".")
        crash = " (crashes)" if row.failing and id_ not in row.failing else ""
        place = link(plain(id_), finding(row.implementation.name, id_))
        words.append(f"{place}{crash}, “{statement}”")
    rest = len(ids) - SHOWN_REQUIREMENTS
    more = f"; and {count(rest, 'requirement')} more" if rest > 0 else ""
    return f"{'; '.join(words)}{more}."


def _fastest_long(evidence: Evidence, system: System, rows: list[Standing]) -> str:
    main = main_workload(evidence, system.name)
    if main is None:
        return "no speed was measured in these runs."
    first, level = fastest(rows, main)
    if first is None or first.speed is None:
        return f"no conforming implementation was measured on {code(main.workload)}."
    where = f"on {code(main.workload)} ({_place(main.device, main.dtype)}, run {main.run})"
    name = code(_slug(first.implementation))
    if first.is_baseline:
        text = f"{name}, the baseline itself, {where}"
    else:
        shown = ratio(first.speed, first.ratio_low, first.ratio_high)
        text = f"{name}, {shown} the speed of {code(_slug(main.baseline))} {where}"
    if level:
        text += f"; {listing(code(_slug(other.implementation)) for other in level)} cannot be told apart from it"
    if main.again is not None and main.again.noisy and main.again.ratio is not None:
        text += f"; the run was noisy, the baseline beside itself {ratio(main.again.ratio)}"
    return text + "."


def _place(device: str, dtype: str) -> str:
    return ", ".join(plain(part) for part in (device, dtype) if part)


def _slug(name: str) -> str:
    return name.partition("/")[2] or name


def headline(evidence: Evidence) -> str:
    """One line under the title: how much was judged, by what."""
    verdicts = sum(j.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.ERROR) for j in evidence.judgements)
    unusable = sum(len(source.header.get("plug_failures") or []) for source in evidence.sources)
    plugs = f" {count(unusable, 'plug')} could not be used: see the environment of its run." if unusable else ""
    return (
        f"Suite {plain(evidence.suite)}: {count(verdicts, 'verdict')} on {count(len(evidence.requirements), 'requirement')} "
        f"for {count(len(evidence.implementations), 'implementation')} of {count(len(evidence.systems), 'system')}, "
        f"from {count(len(evidence.sources), 'run')}.{plugs}"
    )
