"""The suite tested by mutants: which requirement catches which planted bug, what survives, and which alarms are false."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.records.schema import MutantRecord, SystemRecord
from reports.document import Block, BulletList, Code, Details, Inline, Section, Strong, Table, joined
from reports.evidence import Evidence
from reports.numbers import count, listing, margin, share

SHOWN_OTHERS = 4
"""So many requirements are named that catch a bug besides the one that is meant to; the records hold all."""

LEGEND = (
    "The suite tested by mutants: bugs planted in correct implementations. In the tables the requirement that is meant to "
    "catch a bug is bold, with the margin by which it did."
)


def bugs(evidence: Evidence) -> list[Section]:
    """Rates, survivors and false alarms of each system, and how many pairs of factors its cases test together."""
    sections = []
    for system in evidence.systems:
        mutants = [killed for killed in evidence.mutants if killed.system == system.name]
        body: list[Block] = ["None of these runs tested the suite by mutants of this system."]
        if mutants:
            body = _system(evidence, system, mutants)
        sections.append(Section(f"The suite: {system.title}", [*_interactions(evidence, system), *body]))
    return sections


def _interactions(evidence: Evidence, system: SystemRecord) -> list[Block]:
    """Which pairs of factor values the cases test together, of the run that covers most."""
    told = (each for source in evidence.sources for each in source.header.interactions if each.system == system.name)
    most = max(told, key=lambda each: each.covered, default=None)
    if most is None:
        return []
    rows: list[list[Inline]] = [[factor, listing(values)] for factor, values in sorted(most.factors.items())]
    said = f"{share(most.covered, most.possible)} of the possible pairs, in {count(most.combinations, 'combination')}"
    triples = f"Of factors that are tested three at a time: {share(most.triples, most.possible_triples)} of the triples."
    return [
        f"Pairs of factor values that are tested together in some case: {said}.",
        *([triples] if most.possible_triples else []),
        *([Details("The factors and their values", [Table(["Factor", "Values"], rows)])] if rows else []),
    ]


def _system(evidence: Evidence, system: SystemRecord, mutants: Sequence[MutantRecord]) -> list[Block]:
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


def planted(evidence: Evidence, system: SystemRecord) -> list[MutantRecord]:
    """The mutants that the suite must catch: neither honest nor equivalent variants."""
    of_system = (mutant for mutant in evidence.mutants if mutant.system == system.name)
    return [mutant for mutant in of_system if not mutant.honest and mutant.verdict != "equivalent"]


def columns(evidence: Evidence, system: SystemRecord, mutants: Sequence[MutantRecord]) -> list[str]:
    """The requirements that were tested on the mutants, in the order of the suite."""
    known = [requirement.id for requirement in evidence.requirements_of(system.name)]
    seen = {id_ for mutant in mutants for id_ in (*mutant.checked, *mutant.killers, *mutant.expected_killers)}
    return [*(id_ for id_ in known if id_ in seen), *sorted(seen - set(known))]


def idle(ids: Sequence[str], mutants: Sequence[MutantRecord]) -> list[str]:
    """The requirements that were tested on the mutants and caught none."""
    checked = {id_ for mutant in mutants for id_ in mutant.checked}
    return [id_ for id_ in ids if id_ in checked and not any(id_ in mutant.killers for mutant in mutants)]


def short_name(mutant: MutantRecord) -> str:
    """The mutant's name without its system."""
    return mutant.mutant.removeprefix(f"{mutant.system}/")
