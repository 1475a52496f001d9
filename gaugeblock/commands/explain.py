"""``gaugeblock explain ID``: a requirement, the bugs that it catches, and how to reproduce a failure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from conformance.engine.mutation import mutants_of
from conformance.engine.requirement import Requirement
from conformance.engine.selection import checks_of, is_thorough, requirements_of
from gaugeblock.commands.parser import OneLineParser
from gaugeblock.installation import CHECKOUT, CannotRun
from impls.systems import SYSTEMS, System

LEVELS = {
    "definition": "what the paper defines; decides whether an implementation computes it",
    "interface": "what the host promises its users; decides whether it is a drop-in",
    "robustness": "extreme values and sizes, repeated calls, clear refusals",
    "reading": "the paper is silent or contradicts itself; never decides a verdict",
}
INDENT = 14


def main(arguments: Sequence[str]) -> int:
    """Print what is known of each requirement that is named."""
    parser = OneLineParser(prog="gaugeblock explain", description="Explain requirements.")
    parser.add_argument("ids", nargs="+", metavar="ID", help="such as ADM-09; all of a system: ADM")
    for name in parser.parse_args(arguments).ids:
        print("\n\n".join(explanation(system, requirement) for system, requirement in found(name.upper())))
    return 0


def found(name: str) -> list[tuple[System, Requirement]]:
    """The requirements of that id, or of that prefix. CannotRun names the known ids."""
    for system in SYSTEMS:
        if name.partition("-")[0] == system.requirement_prefix:
            known = requirements_of(system.name)
            chosen = [known[name]] if name in known else [] if "-" in name else [*known.values()]
            if chosen:
                return [(system, requirement) for requirement in chosen]
            raise CannotRun(f"found {name}, expected one of {', '.join(known)}")
    prefixes = ", ".join(f"{system.requirement_prefix} ({system.title})" for system in SYSTEMS)
    raise CannotRun(f"found {name}, expected the id of a requirement, such as ADM-09; the systems are {prefixes}")


def explanation(system: System, requirement: Requirement) -> str:
    """A screen of text."""
    cases = [case for check in checks_of(system.name) if check.requirement == requirement.id for case in check.cases]
    names = [f"{case.id} (thorough)" if is_thorough(case) else case.id for case in cases]
    bugs = [f"{m.name}: {m.sentence}" for m in mutants_of(system.name) if requirement.id in m.killed_by]
    rows = [
        ("level", f"{requirement.level.value}: {LEVELS[requirement.level.value]}"),
        ("source", f"{system.paper}, {requirement.source}"),
        ("catches", requirement.catches),
        ("case" if len(names) == 1 else f"{len(names)} cases", ", ".join(names)),
        *[("mutant" if number == 0 else "", bug) for number, bug in enumerate(bugs)],
        ("reproduce", f"gaugeblock check SPEC -k {requirement.id}"),
        ("site", f"specification/{system.name}.html#{requirement.id.lower()}{'  (make docs)' if CHECKOUT else ''}"),
    ]
    return "\n".join([f"{requirement.id}: {requirement.statement}", *(row(*pair) for pair in rows)])


def row(name: str, text: str) -> str:
    """A name and its text, the text in lines below each other."""
    return textwrap.fill(f"{name:<{INDENT - 2}}{text}", 110, initial_indent="  ", subsequent_indent=" " * INDENT)
