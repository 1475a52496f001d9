"""Run shards on a Ray cluster, as many at once as fit; run a shard again if its machine was lost.

Ray itself retries nothing. A lost shard is submitted again as a new task, so that every attempt is counted and reported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from conformance.records import io as records
from conformance.records.fields import Record, RecordError
from conformance.runners.ray_cluster.merge import Done
from conformance.runners.ray_cluster.shards import MEASURE, MUTANTS, Plan, Shard, records_without, unfit
from conformance.runners.ray_cluster.worker import OTHER_CHECKOUT, USAGE, digest
from impls.implementation import in_one_line

ROOT = Path(__file__).resolve().parent.parent.parent.parent
RESULTS = (0, 1, 5)
"""pytest's exit codes for all passed, some failed, and nothing to do: each of them is a result."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
LOOK_S = 8.0
"""So many seconds are waited for all nodes to say whether they have this checkout."""
REACH_S = 5.0
"""Within so many seconds, something must answer at the cluster's address."""
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client of HTTP/2, which gRPC and so Ray speaks, begins: the preface and an empty frame of settings (RFC 9113, 3.4)."""
HEAD_BYTES, SETTINGS = 9, 4
"""The bytes of a frame's head, and the kind of the frame that a server must send first."""
NOT_SENT = [".git", ".venv", "reports/published", "reports/latest", "**/__pycache__", ".mypy_cache", ".hypothesis"]


class FleetError(RuntimeError):
    """The run cannot go on. The message says why, and what to do."""


@dataclass
class _Attempt:
    shard: Shard
    number: int
    node: str = ""
    """The node that it must run on; only timings on a CPU have one."""


def run_shards(plan: Plan, shards: Sequence[Shard], say: Callable[[str], None]) -> list[Done]:
    """Run every shard on the cluster at ``plan.address``; one that cannot be finished gets records that say so."""
    _connect(plan.address, plan.checkout)
    try:
        return _Fleet(plan, shards, say).run()
    finally:
        ray.shutdown()


def _connect(address: str, checkout: str) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical", "configure_logging": True}
    if address == "local":
        # A new cluster, although another may run on this machine.
        ray.init(address="local", include_dashboard=False, **settings)
        return
    _reach(address)
    if not checkout:
        settings["runtime_env"] = {"working_dir": str(ROOT), "excludes": NOT_SENT}
    try:
        ray.init(address=address, **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise FleetError(
            f"no cluster at {address!r}: {in_one_line(str(error))}; expected 'local', 'auto', HOST:PORT or ray://HOST:PORT"
        ) from error


def _reach(address: str) -> None:
    """FleetError where nothing at HOST:PORT answers as Ray would; Ray itself would try for minutes."""
    is_client = address.startswith("ray://")
    if is_client and importlib.util.find_spec("grpc") is None:
        raise FleetError(
            f"{address!r} needs Ray's client: python -m pip install -c constraints.txt 'ray[client]'; or give HOST:PORT of a "
            "cluster that this machine is part of"
        )
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # auto, or a word that Ray refuses at once
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S) as connection:
            # Behind TLS nobody answers what is not encrypted.
            found = "" if os.environ.get("RAY_USE_TLS") == "1" else _no_server_of_ray(connection)
    except (OSError, ValueError, OverflowError) as error:
        found = in_one_line(str(error))
    if found:
        raise FleetError(f"no cluster at {address!r}: {found}; expected 'local', 'auto', HOST:PORT or ray://HOST:PORT")


def _no_server_of_ray(connection: socket.socket) -> str:
    """Why what listens there does not speak Ray's protocol; empty where it does."""
    head, end = b"", time.monotonic() + REACH_S
    with contextlib.suppress(OSError):  # it says no more, or closes
        connection.sendall(HELLO)
        while len(head) < HEAD_BYTES and time.monotonic() < end and (received := connection.recv(HEAD_BYTES - len(head))):
            head += received
    if len(head) == HEAD_BYTES and head[3] == SETTINGS:
        return ""
    said = f"answers {head!r}" if head else "does not answer"
    return f"something listens there, but it is no server of Ray: it {said}"


class _Fleet:
    """The state of one run."""

    def __init__(self, plan: Plan, shards: Sequence[Shard], say: Callable[[str], None]) -> None:
        self.plan = plan
        self.waiting = deque(_Attempt(shard, 1) for shard in shards)
        self.running: dict[Any, _Attempt] = {}
        self.done: list[Done] = []
        self.total = len(shards)
        self.say = say
        self.impossible_since: dict[Shard, float] = {}
        root = plan.checkout or (str(ROOT) if plan.address == "local" else "")
        threads = {name: os.environ[name] for name in THREADS if name in os.environ}
        timeout, expected = plan.timeout_s, digest(str(ROOT))

        # Defined here, so that Ray sends them by value: a node must be told where the checkout is before it can import it.
        def place_here() -> str:
            import os
            import sys

            place = os.path.expanduser(root) or os.getcwd()
            if place not in sys.path:
                sys.path.insert(0, place)
            return place

        def task(arguments: tuple[str, ...]) -> dict[str, Any]:
            place = place_here()
            from conformance.runners.ray_cluster.worker import run_shard

            return run_shard(place, arguments, timeout, threads, expected)

        def look() -> str:
            place = place_here()
            from conformance.runners.ray_cluster.worker import stale

            return stale(place, expected)

        self.task = ray.remote(max_retries=0)(task)
        self.look = ray.remote(max_retries=0, num_cpus=0)(look)

    def check_nodes(self) -> None:
        """FleetError where a node has another checkout. One that does not answer in time is asked again by its first shard."""
        nodes = {
            self.look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(): node
            for node in _alive()
            if node["Resources"].get("CPU", 0) >= 1
        }
        for reference in ray.wait(list(nodes), num_returns=len(nodes), timeout=LOOK_S)[0] if nodes else []:
            try:
                said = ray.get(reference)
            except RayError as error:
                said = f"{OTHER_CHECKOUT} cannot be looked at: {_cause(error)}"
            if said:
                raise FleetError(f"node {nodes[reference]['NodeManagerAddress']}: {in_one_line(said)}")

    def run(self) -> list[Done]:
        self.check_nodes()
        while self.waiting or self.running:
            self._submit()
            ready = ray.wait(list(self.running), timeout=0.5)[0] if self.running else []
            for reference in ready:
                self._collect(reference)
            if not ready:
                self._give_up()
                if not self.running:
                    time.sleep(0.2)
        return self.done

    def _submit(self) -> None:
        """Submit everything, which Ray queues; but only one timing on a CPU at a time per node."""
        kept: deque[_Attempt] = deque()
        while self.waiting:
            attempt = self.waiting.popleft()
            demand = self._demand(attempt)
            if demand is None:
                kept.append(attempt)
            else:
                self.running[self.task.options(**demand).remote(attempt.shard.arguments)] = attempt
        self.waiting = kept

    def _demand(self, attempt: _Attempt) -> dict[str, Any] | None:
        """The resources that an attempt needs; None where it must wait for a node without timings."""
        shard = attempt.shard
        if shard.device == "cuda":
            return {"num_cpus": 1, "num_gpus": 1}
        if shard.kind != MEASURE:
            return {"num_cpus": 1}
        busy = {other.node for other in self.running.values()}
        for node in _alive():
            cores = node["Resources"].get("CPU", 0)
            if cores >= 1 and node["NodeID"] not in busy:
                attempt.node = node["NodeID"]
                return {"num_cpus": cores, "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)}
        return None

    def _collect(self, reference: Any) -> None:
        attempt = self.running.pop(reference)
        try:
            result = ray.get(reference)
        except RayError as error:
            self._lost(attempt, _cause(error))
            return
        if result["code"] == USAGE:
            said = in_one_line(result["tail"])
            if said.startswith(OTHER_CHECKOUT):
                raise FleetError(f"{attempt.shard.title}: {said}")
            raise FleetError(f"{attempt.shard.title}: pytest refused its arguments: {said}")
        if result["code"] not in RESULTS or result["text"] is None:
            self._lost(attempt, f"pytest ended with {result['code']} and left no records: {result['tail'][-300:]}")
            return
        try:
            run = records.parse(attempt.shard.title, result["text"])
        except RecordError as error:
            self._lost(attempt, str(error))
            return
        if reason := unfit(attempt.shard, self.plan, run):
            self._lost(attempt, reason)
            return
        self._finish(Done(attempt.shard, run), f"{_counts(run.records)} in {result['seconds']:.1f} s")

    def _lost(self, attempt: _Attempt, reason: str) -> None:
        """Submit it again, or give it up after as many attempts as the plan allows."""
        shard, reason = attempt.shard, in_one_line(reason)
        if attempt.number < self.plan.attempts:
            self.say(f"{shard.title}: lost ({reason}); attempt {attempt.number + 1} of {self.plan.attempts}")
            self.waiting.append(_Attempt(shard, attempt.number + 1))
            return
        message = f"the process that was running it was lost in each of {attempt.number} attempts: {reason}"
        self._finish(Done(shard, None, tuple(records_without(shard, self.plan, "error", message)), message), message)

    def _give_up(self) -> None:
        """Give up shards that no living node could run, after the plan's patience."""
        nodes = [node["Resources"] for node in _alive()]
        for reference, attempt in [*self.running.items(), *((None, waiting) for waiting in self.waiting)]:
            wanted = "GPU" if attempt.shard.device == "cuda" else "CPU"
            if any(resources.get(wanted, 0) >= 1 for resources in nodes):
                self.impossible_since.pop(attempt.shard, None)
                continue
            since = self.impossible_since.setdefault(attempt.shard, time.monotonic())
            if time.monotonic() - since < self.plan.patience_s:
                continue
            if reference is not None:
                ray.cancel(reference, force=True)
                del self.running[reference]
            else:
                self.waiting.remove(attempt)
            message = f"no node of the cluster offered a {wanted} within {self.plan.patience_s:g} s"
            self._finish(
                Done(attempt.shard, None, tuple(records_without(attempt.shard, self.plan, "not run", message)), message),
                message,
            )

    def _finish(self, done: Done, words: str) -> None:
        self.done.append(done)
        self.say(f"[{len(self.done)}/{self.total}] {done.shard.title}: {words}")


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _cause(error: BaseException) -> str:
    """The first line of the message; Ray's messages are pages long."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _counts(found: Sequence[Record]) -> str:
    counted = Counter(str(getattr(record, "verdict", "")) for record in found)
    return ", ".join(f"{number} {verdict}" for verdict, number in counted.most_common()) or "nothing"


def kinds(done: Sequence[Done]) -> tuple[list[Done], list[Done]]:
    """The shards that no machine finished: those of implementations, and those of mutants."""
    lost = [each for each in done if each.run is None]
    return [each for each in lost if each.shard.kind != MUTANTS], [each for each in lost if each.shard.kind == MUTANTS]
