"""Calibrate the statistical check by counting how often it fails honest variants, and how often it catches mutants.

``python -m tools.attention_calibration --seeds 200`` runs the statistical requirements on every honest variant whose class is
modelled and on every mutant (a planted bug) that one of them must catch, on fresh data for each seed. The limits follow from
the rate of false alarms alone (reference.sigmoid_attention.FALSE_ALARM); this tool does not change them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from conformance.engine.mutation import Mutant, mutants_of
from conformance.sigmoid_attention.requirements import REQUIREMENTS
from reference.sigmoid_attention import FALSE_ALARM, is_modelled

MODELLED = ("SIG-44", "SIG-45", "SIG-46")


@dataclass
class Tally:
    """The results of one variant: at how many seeds it left a limit, and the largest share of a limit that it reached."""

    mutant: Mutant
    seeds: int = 0
    condemned: int = 0
    statistics: int = 0
    largest: float = 0.0
    by_requirement: dict[str, int] = field(default_factory=dict)


def subjects() -> Iterator[Mutant]:
    """Honest variants that are modelled, then the mutants that the statistical check must catch."""
    known = mutants_of("sigmoid_attention")
    yield from (m for m in known if m.honest and is_modelled(m.subject().numerical_class))
    yield from (m for m in known if set(m.killed_by) & set(MODELLED))


def calibrate(seeds: int, first: int = 1000) -> list[Tally]:
    """Run every variant at every seed, in each case and dtype of the statistical requirements."""
    tallies = [(Tally(mutant), mutant.subject()) for mutant in subjects()]
    checks = [check for check in REQUIREMENTS.checks if check.requirement in MODELLED]
    for seed in range(first, first + seeds):
        worst: list[dict[str, float]] = [dict.fromkeys(MODELLED, 0.0) for _ in tallies]
        for check in checks:
            for case in check.cases:
                drawn = replace(case, seed=seed)
                for dtype in case.dtypes:
                    # Subjects are the innermost loop: the error model of a case is computed once for all of them.
                    for (tally, subject), found in zip(tallies, worst, strict=True):
                        margins = [c.margin for c in check.run(subject, drawn, dtype)]
                        tally.statistics += len(margins)
                        found[check.requirement] = max([found[check.requirement], *margins])
        for (tally, _), found in zip(tallies, worst, strict=True):
            tally.seeds += 1
            tally.condemned += max(found.values()) > 1
            tally.largest = max(tally.largest, *found.values())
            for requirement, margin in found.items():
                tally.by_requirement[requirement] = tally.by_requirement.get(requirement, 0) + (margin > 1)
    return [tally for tally, _ in tallies]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.attention_calibration", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="fresh data sets for each subject. Default: 200")
    tallies = calibrate(parser.parse_args(arguments).seeds)
    print(f"{'variant':<32} condemned   largest share of a limit   by requirement")
    for tally in tallies:
        shares = ", ".join(f"{name} {count}" for name, count in tally.by_requirement.items() if count)
        kind = "honest" if tally.mutant.honest else "bug"
        print(f"{tally.mutant.name:<32} {tally.condemned:>4}/{tally.seeds:<6} {tally.largest:>10.3g}   {kind}   {shares}")
    honest = [tally for tally in tallies if tally.mutant.honest]
    number, alarms = sum(tally.statistics for tally in honest), sum(tally.condemned for tally in honest)
    # With none seen in N, the rate is below 3/N (95 %): the rule of three.
    print(f"{alarms} false alarms in {number} statistics of {len(honest)} honest variants; promised: {FALSE_ALARM:g} each")
    print(f"none seen would bound the rate by {3 / number:.1g} (95 %)" if not alarms else "")
    caught = min((tally.condemned / tally.seeds for tally in tallies if not tally.mutant.honest), default=math.nan)
    print(f"the least caught mutant is caught at {100 * caught:.0f} % of the seeds")
    return 1 if alarms else 0


if __name__ == "__main__":
    raise SystemExit(main())
