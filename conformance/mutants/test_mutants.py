"""Every planted bug is caught by the requirements that exist to catch it, and no honest variant is accused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.mutants import Mutant, Trial, put_to_trial


def test_trial(mutant: Mutant, keep_trial: Callable[[Trial], None], pytestconfig: pytest.Config) -> None:
    trial = put_to_trial(mutant, every_dtype=pytestconfig.getoption("--thorough"))
    if trial.missed:
        trial = put_to_trial(mutant)  # some show in one dtype alone
    keep_trial(trial)
    if mutant.honest and trial.killers:
        pytest.fail(f"FALSE ALARM: {mutant.name} is correct ({mutant.sentence}) yet fails {trial.killers}", pytrace=False)
    if trial.missed:
        pytest.fail(
            f"SURVIVED: {mutant.name} ({mutant.sentence}) must be caught by {', '.join(trial.missed)}; "
            f"caught by {', '.join(trial.killers) or 'nothing'}",
            pytrace=False,
        )
