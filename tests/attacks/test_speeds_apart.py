"""Each attack on the measurement of speed from a process of its own, a file of `speeds_apart/`, has the outcome that it names.

``attack`` or ``Attack`` is what a user would plug in. OUTCOME is how what the suite says begins; ``timed whole``: it is right,
and nothing of what it does is left out of its time; ``seen``: it is right, and a warning tells what it did.
"""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Iterator

import pytest

from conformance.benchmark import affinity, interference
from conformance.benchmark.apart import ApartProcess
from conformance.benchmark.measurement import WrongAnswer, _verified
from conformance.benchmark.workload import Prepared
from conformance.engine import child
from conformance.engine.child import ChildEndedError
from conformance.engine.remote_subject import Isolated
from conformance.engine.time_limit import NoAnswer, TimeLimitExceeded
from impls.implementation import Implementation, Origin, Unsupported
from tests.attacks.attacking import HERE, NOT_PREVENTED, Attack, attacks

ATTACKS = {each.name: each for each in attacks("speeds_apart")}
BASELINE = {each.name: each for each in attacks("speeds_baseline")}
SAMPLES, CALLS = 4, 2
SLEPT_S = 0.05
"""Each call of `stopped_clocks` sleeps so long."""
SYSTEMS = {
    "sigmoid_attention": ("torch", "fwd-full-B1-H4-N256-D64-float32"),
    "ademamix": ("torch-optimizer", "float32-1e5"),
    "rig": ("function", "typical-64k"),
}


@pytest.fixture(scope="module")
def isolated() -> Iterator[Isolated]:
    """One thread each: pools of threads spin for a while after their work, however honest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        processes = Isolated()
        yield processes
        processes.close()


def prepared(isolated: Isolated, file: str, attribute: str, system: str, folder: str = "speeds_apart") -> Prepared:
    protocol, name = SYSTEMS[system]
    target = f"{HERE}/{folder}/{file}.py:{attribute}"
    # Declared, not tried out: that would use up the calls in which an attack does its work.
    implementation = Implementation(
        name=f"{system}/{file}", system=system, target=target, summary="", protocol=protocol, origin=Origin("path"),
        spec=f"{system}={target}", requires=() if system == "rig" else ("torch",),
    )  # fmt: skip
    isolated.keep_apart([implementation])
    workloads = importlib.import_module(f"conformance.{system}.workloads")
    (workload,) = (each for each in workloads.WORKLOADS if each.id == name)
    made: Prepared = workloads.prepare(implementation, workload, "cpu")
    return made


def measured(made: Prepared) -> float:
    """Seconds of all timed calls, in the order in which a measurement goes on; its errors."""
    assert made.process is not None
    assert made.request is not None
    made.process.settle()
    made.run()
    _verified(made)
    seconds = 0.0
    for number in range(SAMPLES):
        if made.renew is not None:
            made.renew(number)
        request = made.request(CALLS)
        made.run()
        seconds += request.send()
    _verified(made, timed=True)
    _verified(made)
    return seconds


def outcome(made: Prepared) -> str:
    try:
        measured(made)
    except (WrongAnswer, Unsupported, ChildEndedError, TimeLimitExceeded) as found:
        return f"{type(found).__name__}: {found}"
    process = process_of(made)
    interference.rest(processes=[process])
    if interference.others_running(process.tasks):
        return "seen: its threads go on"
    return seen(process, "its") or "timed whole"


def process_of(made: Prepared) -> ApartProcess:
    assert made.process is not None
    return made.process


def seen(process: ApartProcess, whose: str) -> str:
    """What is warned of how a process is scheduled."""
    return "".join(f"seen: {each}" for each in affinity.changes(process.pid, whose, tuple(sorted(os.sched_getaffinity(0)))))


def system_of(attack: Attack) -> tuple[str, str]:
    """The system that an attack belongs to, and the name of what is plugged in."""
    tree = ast.parse(attack.path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Attack":
            return "ademamix", "Attack"
        if isinstance(node, ast.FunctionDef) and node.name == "attack":
            return ("rig" if [a.arg for a in node.args.args] == ["text"] else "sigmoid_attention"), "attack"
    raise ValueError(f"{attack.path}: no attack")


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_from_a_process_of_its_own_gets_no_speed(
    name: str, isolated: Isolated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAUGEBLOCK_CALL_SECONDS", "3" if name == "endless_call" else "300")
    system, attribute = system_of(ATTACKS[name])
    made = prepared(isolated, name, attribute, system)
    found = outcome(made)
    if NOT_PREVENTED in ATTACKS[name].outcome:
        assert found == "timed whole"
    elif len(os.sched_getaffinity(0)) > 1 or name != "other_cpus":
        assert found.startswith(ATTACKS[name].outcome)


@pytest.mark.parametrize("name", BASELINE)
def test_a_baseline_that_is_slowed_from_another_process_makes_nobody_faster(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_IDLE_S", 5.0)  # no process but a stopped one neither computes nor waits for a processor
    isolated = Isolated()  # whose processes are the two sides, and no others
    try:
        baseline = prepared(isolated, "honest", "parse", "rig")
        baseline.run()
        prepared(isolated, name, "attack", "rig", "speeds_baseline").run()
        try:
            measured(baseline)
            found = seen(process_of(baseline), "the baseline's")
        except NoAnswer as error:
            found = f"NoAnswer: {error}"
        assert found.startswith(BASELINE[name].outcome)
    finally:
        isolated.close()


@pytest.mark.parametrize(
    ("system", "attribute"), [("sigmoid_attention", "attention"), ("ademamix", "Optimizer"), ("rig", "parse")]
)
def test_what_does_its_work_in_a_process_of_its_own_is_timed(system: str, attribute: str, isolated: Isolated) -> None:
    assert outcome(prepared(isolated, "honest", attribute, system)) == "timed whole"


def test_a_clock_that_is_stopped_there_goes_on_here(isolated: Isolated) -> None:
    assert measured(prepared(isolated, "stopped_clocks", "attack", "sigmoid_attention")) >= SAMPLES * CALLS * SLEPT_S


def test_an_exchange_makes_no_call(isolated: Isolated) -> None:
    """What is subtracted holds the same message and none of the work: answers become those to other inputs."""
    for system, attribute in (("sigmoid_attention", "attention"), ("ademamix", "Optimizer"), ("rig", "parse")):
        made = prepared(isolated, "honest", attribute, system)
        assert made.exchange is not None
        made.run()
        assert made.exchange(CALLS).send() > 0
        if system == "sigmoid_attention":
            with pytest.raises(WrongAnswer):
                _verified(made, timed=True)
            made.run()
        _verified(made, timed=True)
        _verified(made)
