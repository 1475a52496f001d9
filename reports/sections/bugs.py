"""The suite judged by planted bugs: which requirement catches which, what survives, and how often it cries wolf."""

from __future__ import annotations

from collections.abc import Sequence

from reports.markup import code, plain, table
from reports.merging import Evidence, Killed, System
from reports.numbers import count, listing, margin, share

COLUMNS = 14
"""So many requirements stand side by side before the table is split."""

LEGEND = (
    "● caught by the requirement that is meant to catch it; ○ caught by another as well; **✗** meant to be caught here but "
    "was not; · looked at and not caught; empty where it was not looked at."
)


def bugs(evidence: Evidence) -> str:
    """Rates, the matrix, the survivors and the false alarms of each system."""
    if not evidence.mutants:
        return "None of these runs judged the suite by its planted bugs."
    parts = [LEGEND]
    for system in evidence.systems:
        of_system = [killed for killed in evidence.mutants if killed.system == system.name]
        parts.append(f"### Planted bugs: {plain(system.title)}")
        parts.append(_system(evidence, system, of_system) if of_system else "None of these runs planted bugs in this system.")
    return "\n\n".join(parts)


def _system(evidence: Evidence, system: System, mutants: Sequence[Killed]) -> str:
    honest = [killed for killed in mutants if killed.honest]
    planted = [killed for killed in mutants if not killed.honest]
    equivalent = [killed for killed in planted if killed.verdict == "equivalent"]
    real = [killed for killed in planted if killed.verdict != "equivalent"]
    dead = [killed for killed in real if killed.verdict == "killed"]
    alarms = [killed for killed in honest if killed.verdict == "false alarm"]
    lines = [f"- Planted bugs caught: {share(len(dead), len(real)) if real else 'none was planted'}."]
    if equivalent:
        lines.append(f"- Left out of that rate: {count(len(equivalent), 'variant')} proven equivalent to a correct one.")
    rate = share(len(alarms), len(honest)) if honest else "no honest variant was put"
    lines.append(f"- False alarms over honest variants: {rate}.")
    idle = _idle(evidence, system, real)
    if idle:
        lines.append(f"- Requirements that caught no planted bug: {listing(plain(id_) for id_ in idle)}.")
    parts = ["\n".join(lines)]
    ids = _columns(evidence, system, mutants)
    if real:
        parts += [_matrix(real, ids[i : i + COLUMNS]) for i in range(0, len(ids), COLUMNS)]
    survivors = [[_name(k), plain(k.sentence), _ids(k.expected_killers)] for k in real if k.verdict != "killed"]
    if survivors:
        parts.append("Survivors:\n\n" + table(["Bug", "What is wrong", "Meant to be caught by"], survivors))
    if equivalent:
        proofs = [[_name(k), plain(k.sentence), plain(k.equivalent)] for k in equivalent]
        parts.append("Equivalent variants:\n\n" + table(["Variant", "What differs", "Why no test can tell"], proofs))
    if alarms:
        rows = [[_name(k), plain(k.sentence), _killers(k)] for k in alarms]
        parts.append("False alarms:\n\n" + table(["Honest variant", "What differs", "Turned red"], rows))
    if dead:
        rows = [[_name(k), plain(k.sentence), _killers(k)] for k in dead]
        caught = table(["Bug", "What is wrong", "Caught by"], rows)
        parts.append(f"What was planted, and the margins by which it was caught:\n\n{caught}")
    return "\n\n".join(parts)


def _columns(evidence: Evidence, system: System, mutants: Sequence[Killed]) -> list[str]:
    known = [requirement.id for requirement in evidence.requirements_of(system.name)]
    seen = {id_ for killed in mutants for id_ in (*killed.checked, *killed.killers, *killed.expected_killers)}
    return [*(id_ for id_ in known if id_ in seen), *sorted(seen - set(known))]


def _idle(evidence: Evidence, system: System, planted: Sequence[Killed]) -> list[str]:
    busy = {id_ for killed in planted for id_ in killed.killers}
    checked = {id_ for killed in planted for id_ in killed.checked}
    return [id_ for id_ in _columns(evidence, system, planted) if id_ in checked - busy]


def _matrix(mutants: Sequence[Killed], ids: Sequence[str]) -> str:
    rows = [[_name(killed), *(_cell(killed, id_) for id_ in ids)] for killed in mutants]
    return table(["Bug", *(plain(id_) for id_ in ids)], rows, "l" + "c" * len(ids))


def _cell(killed: Killed, id_: str) -> str:
    expected = id_ in killed.expected_killers
    if id_ in killed.killers:
        return "●" if expected else "○"
    if expected:
        return "**✗**"
    return "·" if id_ in killed.checked else ""


def _name(killed: Killed) -> str:
    return code(killed.mutant.removeprefix(f"{killed.system}/"))


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(plain(id_) for id_ in ids) or "-"


def _killers(killed: Killed) -> str:
    words = []
    for id_, value in killed.killers.items():
        shown = value if isinstance(value, str) else margin(value)
        words.append(f"**{plain(id_)}** ({shown})" if id_ in killed.expected_killers else f"{plain(id_)} ({shown})")
    return ", ".join(words) or "-"
