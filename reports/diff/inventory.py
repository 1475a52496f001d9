"""Say which implementations, requirements, packages and mutants are new, gone or changed."""

from __future__ import annotations

from conformance.records.schema import MutantRecord
from reports.diff.change import Change, shown, some
from reports.evidence import Evidence
from reports.numbers import count


def implementations(old: Evidence, new: Evidence) -> list[Change]:
    before = {implementation.name: implementation for implementation in old.implementations}
    after = {implementation.name: implementation for implementation in new.implementations}
    changes = [Change(f"{shown(name)}: new") for name in after if name not in before]
    changes += [Change(f"{shown(name)}: gone") for name in before if name not in after]
    for name in (name for name in after if name in before):
        for word, was, is_ in (
            ("version", before[name].version, after[name].version),
            ("numerical class", before[name].numerical_class or "strict", after[name].numerical_class or "strict"),
        ):
            if was != is_:
                changes.append(Change(f"{shown(name)}: {word} {shown(was or 'unknown')} → {shown(is_ or 'unknown')}"))
    return changes


def requirements(old: Evidence, new: Evidence) -> list[Change]:
    before = {(r.system, r.id): r for r in old.requirements}
    after = {(r.system, r.id): r for r in new.requirements}
    changes = [Change(f"{shown(r.id)}: new, “{shown(r.statement)}”") for key, r in after.items() if key not in before]
    changes += [Change(f"{shown(r.id)}: gone, “{shown(r.statement)}”") for key, r in before.items() if key not in after]
    changes += [
        Change(f"{shown(r.id)}: reads “{shown(r.statement)}”, before “{shown(before[key].statement)}”")
        for key, r in after.items()
        if key in before and before[key].statement != r.statement
    ]
    return changes


def packages(old: Evidence, new: Evidence) -> list[Change]:
    """Versions of what the implementations run on."""
    before, after = _packages(old), _packages(new)
    changes = []
    for name in sorted(before.keys() | after.keys()):
        was, is_ = (some(sorted(side[name])) if name in side else "absent" for side in (before, after))
        if was != is_:
            changes.append(Change(f"{shown(name)}: {was} → {is_}"))
    return changes


def _packages(evidence: Evidence) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for source in evidence.sources:
        environment = source.header.environment
        for name, version in environment.packages.items():
            found.setdefault(name, set()).add(shown(version))
        if environment.python:
            found.setdefault("Python", set()).add(shown(environment.python))
    return found


def mutants(old: Evidence, new: Evidence) -> tuple[list[Change], int]:
    """Mutants that are newly caught or no longer caught; and how many both runs tested."""
    before = {(killed.system, killed.mutant): killed for killed in old.mutants}
    after = {(killed.system, killed.mutant): killed for killed in new.mutants}
    # A run without any mutant was not asked to test the suite itself.
    if not before or not after:
        return [], 0
    changes = [
        Change(f"{shown(name)}: new, {shown(killed.verdict)}")
        for (_, name), killed in after.items()
        if (_, name) not in before
    ]
    changes += [Change(f"{shown(name)}: gone") for (_, name) in before if (_, name) not in after]
    shared = [key for key in after if key in before]
    for key in shared:
        changes += _mutant(before[key], after[key])
    return changes, len(shared)


def _mutant(before: MutantRecord, after: MutantRecord) -> list[Change]:
    name = shown(after.mutant)
    skipped = [id_ for id_ in before.checked if id_ not in after.checked]
    if before.verdict != after.verdict:
        worse = (before.verdict, after.verdict) in (("killed", "survived"), ("honest", "false alarm"))
        text = f"{name} ({shown(after.sentence).rstrip('.')}): {shown(before.verdict)} → {shown(after.verdict)}"
        if after.verdict == "survived" and skipped:
            # Fewer requirements may simply not look for this bug.
            return [Change(f"{text}; it was tested on {count(len(skipped), 'requirement')} fewer")]
        return [Change(text, worse=worse)]
    missed = [id_ for id_ in before.killers if id_ not in after.killers and id_ in after.checked]
    if missed and not after.honest:
        return [Change(f"{name}: no longer caught by {some([shown(id_) for id_ in missed])}")]
    return []
