"""The suite tested by mutants: which requirement catches which planted bug, what survives, and which alarms are false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.records.schema import MutantRecord, SystemRecord
from reports.charts.mutants import columns, idle, planted, short_name
from reports.document import Block, BulletList, Code, Details, Figure, Inline, Section, Strong, Table, joined
from reports.evidence import Evidence
from reports.numbers import count, listing, margin, share

SHOWN_OTHERS = 4
"""So many requirements are named that catch a bug besides the one that is meant to; the chart shows all."""

LEGEND = (
    "The suite tested by mutants: bugs planted in correct implementations. In the charts a full dot is a bug caught by the "
    "requirement that is meant to catch it, a hollow one by another as well, a red cross one that was missed; a requirement "
    "in red caught none. In the tables the requirement that is meant to catch a bug is bold, with the margin by which it did."
)


def bugs(evidence: Evidence, drawn: Mapping[str, Figure]) -> list[Section]:
    """Rates, the chart (``drawn``: by system), survivors and false alarms of each system."""
    sections = []
    for system in evidence.systems:
        mutants = [killed for killed in evidence.mutants if killed.system == system.name]
        body: list[Block] = ["None of these runs tested the suite by mutants of this system."]
        if mutants:
            body = _system(evidence, system, mutants, drawn.get(system.name))
        sections.append(Section(f"Mutants: {system.title}", body))
    return sections


def _system(evidence: Evidence, system: SystemRecord, mutants: Sequence[MutantRecord], drawn: Figure | None) -> list[Block]:
    honest = [killed for killed in mutants if killed.honest]
    equivalent = [killed for killed in mutants if not killed.honest and killed.verdict == "equivalent"]
    real = planted(evidence, system)
    dead = [killed for killed in real if killed.verdict == "killed"]
    alarms = [killed for killed in honest if killed.verdict == "false alarm"]
    lines = [f"Planted bugs caught: {share(len(dead), len(real)) if real else 'none was planted'}."]
    if equivalent:
        lines.append(f"Left out of that rate: {count(len(equivalent), 'variant')} proven equivalent to a correct one.")
    lines.append(f"False alarms over honest variants: {share(len(alarms), len(honest)) if honest else 'none was tested'}.")
    unused = idle(columns(evidence, system, real), real)
    lines += [f"Requirements that caught no planted bug: {listing(unused)}."] if unused else []
    parts: list[Block] = [BulletList(lines)]
    if drawn is not None:
        parts.append(Details("Chart: which requirement caught which bug", [drawn]))
    missed = [(k, ", ".join(k.expected_killers) or "-") for k in real if k.verdict != "killed"]
    if missed:
        parts += ["Survivors:", _table("Bug", "What is wrong", "Meant to be caught by", missed)]
    if equivalent:
        proofs = _table("Variant", "What differs", "Why no test can tell", [(k, k.equivalent) for k in equivalent])
        parts.append(Details("Equivalent variants", [proofs]))
    if alarms:
        parts += ["False alarms:", _table("Honest variant", "What differs", "Turned red", [(k, _killers(k)) for k in alarms])]
    if dead:
        caught = _table("Bug", "What is wrong", "Caught by", [(k, _killers(k)) for k in dead])
        parts.append(Details("What was planted, and the margins by which it was caught", [caught]))
    return parts


def _table(name: str, sentence: str, told: str, rows: Sequence[tuple[MutantRecord, Inline]]) -> Table:
    return Table([name, sentence, told], [[Code(short_name(killed)), killed.sentence, words] for killed, words in rows])


def _killers(killed: MutantRecord) -> Inline:
    shown = {id_: value if isinstance(value, str) else margin(value) for id_, value in killed.killers.items()}
    meant = [id_ for id_ in killed.expected_killers if id_ in shown]
    others = [id_ for id_ in shown if id_ not in meant]
    words: list[Inline] = [(Strong(id_), f" ({shown[id_]})") for id_ in meant]
    words += [f"{id_} ({shown[id_]})" for id_ in others[:SHOWN_OTHERS]]
    if len(others) > SHOWN_OTHERS:
        words.append(f"{len(others) - SHOWN_OTHERS} more")
    words += [("not by ", Strong(id_)) for id_ in killed.expected_killers if id_ not in killed.killers]
    return joined(", ", words) or "-"
