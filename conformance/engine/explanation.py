"""Explain a failed verdict on the terminal."""

from __future__ import annotations

import math

from conformance.engine.interactions import rows_of
from conformance.engine.selection import requirements_of
from conformance.records.schema import Verdict, VerdictRecord
from impls.systems import system_named


def explain(result: VerdictRecord) -> str:
    """A failure in words: the requirement, the worst place, the likeliest reason, and how to reproduce it."""
    requirement = requirements_of(result.system)[result.requirement]
    rows = [
        ("implementation", result.implementation),
        ("case", " ".join(part for part in (result.case, result.dtype, result.device) if part)),
    ]
    row = rows_of(result.system).get(result.case)
    rows += [("its values", str(row))] if row else []
    if result.verdict is Verdict.FAIL:
        margin = result.margin if result.margin is not None else math.nan
        rows += [
            ("quantity", result.quantity),
            ("worst at", result.worst or "-"),
            ("got", result.got),
            ("expected", result.expected),
            ("bound", result.bound),
            ("margin", f"{margin:.3g} (|error| / bound; passes up to 1)"),
            ("resembles", result.resembles or "no planted bug"),
        ]
    else:
        rows.append(("error", result.message))
    rows += [("catches", requirement.catches), ("reproduce", result.reproduce)]
    width = max(len(name) for name, _ in rows)
    head = (
        f"{result.verdict.value.upper()} {requirement.id}: {requirement.statement} "
        f"[{system_named(result.system).paper}, {requirement.source}]"
    )
    return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in rows)])
