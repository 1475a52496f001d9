"""The suite judged by planted bugs: which requirement catches which, what survives, and how often it cries wolf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.bug_chart import BugChart, columns, idle, planted, short_name
from reports.markup import code, fold, plain, table
from reports.merging import Evidence, Killed, System
from reports.numbers import count, listing, margin, share

SHOWN_OTHERS = 4
"""So many requirements are named that catch a bug besides the one that is meant to; the chart shows all."""

LEGEND = (
    "The suite judged by bugs planted in correct implementations. In the charts a full dot is a bug caught by the requirement "
    "that is meant to catch it, a hollow one by another as well, a red cross one that was missed; a requirement in red caught "
    "none. In the tables the requirement that is meant to catch a bug is bold, with the margin by which it did."
)


def bugs(evidence: Evidence, drawn: Mapping[str, tuple[BugChart, str]]) -> str:
    """Rates, the chart (``drawn``: by system, with the path of its file), survivors and false alarms of each system."""
    if not evidence.mutants:
        return "None of these runs judged the suite by its planted bugs."
    parts = [LEGEND]
    for system in evidence.systems:
        of_system = [killed for killed in evidence.mutants if killed.system == system.name]
        parts.append(f"### Planted bugs: {plain(system.title)}")
        if of_system:
            parts.append(_system(evidence, system, of_system, drawn.get(system.name)))
        else:
            parts.append("None of these runs planted bugs in this system.")
    return "\n\n".join(parts)


def _system(evidence: Evidence, system: System, mutants: Sequence[Killed], drawn: tuple[BugChart, str] | None) -> str:
    honest = [killed for killed in mutants if killed.honest]
    equivalent = [killed for killed in mutants if not killed.honest and killed.verdict == "equivalent"]
    real = planted(evidence, system)
    dead = [killed for killed in real if killed.verdict == "killed"]
    alarms = [killed for killed in honest if killed.verdict == "false alarm"]
    lines = [f"- Planted bugs caught: {share(len(dead), len(real)) if real else 'none was planted'}."]
    if equivalent:
        lines.append(f"- Left out of that rate: {count(len(equivalent), 'variant')} proven equivalent to a correct one.")
    rate = share(len(alarms), len(honest)) if honest else "no honest variant was put"
    lines.append(f"- False alarms over honest variants: {rate}.")
    unused = idle(columns(evidence, system, real), real)
    if unused:
        lines.append(f"- Requirements that caught no planted bug: {listing(plain(id_) for id_ in unused)}.")
    parts = ["\n".join(lines)]
    if drawn is not None:
        picture = f"![{plain(drawn[0].description)}]({drawn[1]})"
        parts.append(fold("Chart: which requirement caught which bug", picture))
    survivors = [[_name(k), plain(k.sentence), _ids(k.expected_killers)] for k in real if k.verdict != "killed"]
    if survivors:
        parts.append("Survivors:\n\n" + table(["Bug", "What is wrong", "Meant to be caught by"], survivors))
    if equivalent:
        proofs = [[_name(k), plain(k.sentence), plain(k.equivalent)] for k in equivalent]
        parts.append(fold("Equivalent variants", table(["Variant", "What differs", "Why no test can tell"], proofs)))
    if alarms:
        rows = [[_name(k), plain(k.sentence), _killers(k)] for k in alarms]
        parts.append("False alarms:\n\n" + table(["Honest variant", "What differs", "Turned red"], rows))
    if dead:
        rows = [[_name(k), plain(k.sentence), _killers(k)] for k in dead]
        caught = table(["Bug", "What is wrong", "Caught by"], rows)
        parts.append(fold("What was planted, and the margins by which it was caught", caught))
    return "\n\n".join(parts)


def _name(killed: Killed) -> str:
    return code(short_name(killed))


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(plain(id_) for id_ in ids) or "-"


def _killers(killed: Killed) -> str:
    shown = {id_: value if isinstance(value, str) else margin(value) for id_, value in killed.killers.items()}
    meant = [id_ for id_ in killed.expected_killers if id_ in shown]
    others = [id_ for id_ in shown if id_ not in meant]
    words = [f"**{plain(id_)}** ({shown[id_]})" for id_ in meant]
    words += [f"{plain(id_)} ({shown[id_]})" for id_ in others[:SHOWN_OTHERS]]
    if len(others) > SHOWN_OTHERS:
        words.append(f"{len(others) - SHOWN_OTHERS} more")
    missed = [f"not by **{plain(id_)}**" for id_ in killed.expected_killers if id_ not in killed.killers]
    return ", ".join([*words, *missed]) or "-"
