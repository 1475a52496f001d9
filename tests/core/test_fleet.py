"""A run that was spread over a cluster, and lost a node on the way, says verdict by verdict what one process says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.records import io as records
from conformance.records.fields import RecordError
from conformance.records.io import Run
from conformance.records.schema import FooterRecord, HeaderRecord, MeasurementRecord, ShardsRecord, VerdictRecord
from conformance.runners.ray_cluster import __main__ as command
from conformance.runners.ray_cluster import cluster
from conformance.runners.ray_cluster.merge import Done, merge
from conformance.runners.ray_cluster.shards import JUDGE, MEASURE, MUTANTS, Plan, Shard, plan_shards, records_without
from conformance.runners.ray_cluster.worker import FOLDERS, digest, run_shard
from impls.systems import SYSTEMS
from tests.reports import records_for_tests as made

ROOT = Path(__file__).resolve().parent.parent.parent

# Both plugs behave where no worker of a cluster is among the processes that they descend from.
ANCESTOR = """
import os
import signal
import time
from pathlib import Path
from reference import rag

def worker_of_the_cluster():
    pid = os.getppid()
    while pid > 1:
        if b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
"""

SLOW = """
TOUCHED = Path(__file__).with_name("touched")

def parse(text):
    if worker_of_the_cluster() and not TOUCHED.exists():
        TOUCHED.touch()
        time.sleep(86400)
    return list(rag.parse(text).queries)
"""

DEADLY = """
def parse(text):
    if worker := worker_of_the_cluster():
        os.kill(worker, signal.SIGKILL)
        time.sleep(86400)
    return list(rag.parse(text).queries)
"""


def environment() -> dict[str, str]:
    """This process may be a worker of pytest-xdist; those that it starts are not."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # The published reader keeps some of a set, which the seed of the hashes chooses.
    return {**own, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


@pytest.mark.timeout(3600)  # only what would never end is ended
def test_neither_a_lost_nor_a_slow_node_changes_a_verdict_and_a_deadly_shard_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    slow, deadly = tmp_path / "one" / "reader.py", tmp_path / "two" / "reader.py"
    slow.write_text(ANCESTOR + SLOW, encoding="utf-8")
    deadly.write_text(ANCESTOR + DEADLY, encoding="utf-8")
    specs = [f"--impl=rag={slow}:parse", f"--impl=rag={deadly}:parse", "--impl=rag/reference", "--quick"]
    fleet, alone = tmp_path / "fleet.jsonl", tmp_path / "alone.jsonl"

    homes = tmp_path / "homes"
    homes.mkdir()
    spread = subprocess.run(
        [
            sys.executable, "-m", "tests.core.losing_a_node", str(slow.with_name("touched")), str(homes),
            *specs, "--attempts=2", "--records", str(fleet),
        ],
        cwd=ROOT, env={**environment(), "GAUGEBLOCK_TEXT_SECONDS": "86400"}, capture_output=True, text=True,
    )  # fmt: skip
    said = spread.stdout + spread.stderr
    (refused,) = re.findall(r"^refused with 4: .*", said, re.MULTILINE)
    assert "its checkout at " in refused, said
    assert f"{homes}/other/checkout on " in refused, said
    assert "has other files than the one that leads the run; update it" in refused, said
    assert "a node was lost" in said, said
    assert (homes / "started").exists(), "no program ran on the slow node"
    assert "rag/one.reader.parse on cpu: lost (" in said
    assert "attempt 2 of 2" in said
    assert spread.returncode == 1, said

    single = subprocess.run(
        [sys.executable, "-m", "pytest", "conformance", "-q", "-p", "no:cacheprovider", *specs, f"--records={alone}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert single.returncode == 0, single.stdout
    whole = records.read(alone)
    # One file, but for a checkout in which somebody commits while this runs.
    runs = [records.read(file) for file in sorted(tmp_path.glob("fleet*.jsonl"))]
    merged = {records.dump(line.to_json()): line for run in runs for line in run.of(VerdictRecord)}

    # Two plugs of one name are told apart by their folders as they are beside each other, though each shard had its own alone.
    killer = "rag/two.reader.parse"
    expected = {records.dump(line.to_json()): line for line in whole.of(VerdictRecord) if line.implementation != killer}
    assert {text: line for text, line in merged.items() if line.implementation != killer} == expected
    assert {line.implementation for line in expected.values()} == {"rag/one.reader.parse", "rag/reference"}
    errors = [line for line in merged.values() if line.implementation == killer]
    instead = [line for line in whole.of(VerdictRecord) if line.implementation == killer]
    assert {line.verdict for line in errors} == {"error"}
    assert all("was lost in each of 2 attempts" in line.message for line in errors)
    assert {line.reproduce for line in errors} == {line.reproduce for line in instead}
    assert len(errors) == len(instead) > 0

    for run in runs:
        for word in ("suite", "systems", "requirements", "cases", "options", "plug_failures"):
            assert getattr(run.header, word) == getattr(whole.header, word), word
        assert [row.name for row in run.header.implementations] == [row.name for row in whole.header.implementations]
        assert run.footer.fleet == ShardsRecord(shards=3, lost=1)


def rows(*names: str) -> list[dict[str, Any]]:
    return [made.implementation(name) for name in names]


def test_the_plan_is_one_shard_for_each_implementation_and_device() -> None:
    plan = Plan(specs=("x",), devices=("cpu", "cuda"), dtypes=("float32",), quick=True)
    shards = plan_shards(plan, rows("ademamix/torch", "rig/regex"))
    assert [(shard.kind, shard.name, shard.device) for shard in shards] == [
        (JUDGE, name, device) for name in ("ademamix/torch", "rig/regex") for device in ("cpu", "cuda")
    ]
    assert shards[1].arguments == (
        "conformance/ademamix/test_ademamix.py", "-n1", "--impl=ademamix/torch", "--device=cuda", "--dtype=float32", "--quick",
    )  # fmt: skip
    (timed, _) = plan_shards(replace(plan, benchmark=True, devices=("cpu",)), rows("ademamix/torch", "rig/regex"))
    # Workers would only disturb what is timed.
    assert timed.arguments[:2] == ("conformance/ademamix/bench_ademamix.py", "--benchmark-only")
    assert "-n1" not in timed.arguments


@pytest.mark.parametrize(
    ("specs", "quick", "planted"), [((), False, True), (("built-in",), False, True), ((), True, False), (("x",), False, False)]
)
def test_bugs_are_planted_where_one_process_would_plant_them(specs: tuple[str, ...], quick: bool, planted: bool) -> None:
    shards = [shard for shard in plan_shards(Plan(specs=specs, quick=quick), rows("rig/regex")) if shard.kind == MUTANTS]
    assert [shard.system for shard in shards] == [system.name for system in SYSTEMS] * planted


def judged(name: str, folder: Path, lines: list[dict[str, Any]], kind: str = JUDGE, alone: str = "", **header: Any) -> Done:
    path = made.write(folder / f"{name.replace('/', '-')}.jsonl", lines, **{"implementations": rows(alone or name), **header})
    return Done(Shard(kind, name.split("/")[0], "cpu", (), name, alone), records.read(path))


def verdict(name: str, case: str = "a") -> dict[str, Any]:
    return made.result(name, "RIG-01", case, "", 0.0)


def merged(tmp_path: Path, done: list[Done], names: list[str]) -> list[Run]:
    plan = Plan(records=tmp_path / "out" / "run.jsonl", specs=("rig/*",))
    listing = {"implementations": [{**row, "name_alone": ""} for row in rows(*names)], "failures": []}
    return [
        records.read(path)
        for path in merge(plan, listing, done, FooterRecord(exit=0), made.STARTED, HeaderRecord(suite="0.1.0"))
    ]


def test_shards_of_one_kind_of_machine_become_one_file_in_any_order(tmp_path: Path) -> None:
    names = ["rig/a", "rig/b"]
    done = [judged(name, tmp_path, [verdict(name)]) for name in names]
    (run,) = merged(tmp_path, done, names)
    assert [line.implementation for line in run.of(VerdictRecord)] == names
    assert [row.name for row in run.header.implementations] == names
    assert (run.header.options.impl, run.header.started) == (("rig/*",), made.STARTED)
    assert merged(tmp_path, done[::-1], names) == [run]


def test_another_machine_has_a_file_of_its_own(tmp_path: Path) -> None:
    other = {**made.header()["environment"], "cpu": "Another CPU"}
    done = [judged("rig/a", tmp_path, [verdict("rig/a")]), judged("rig/b", tmp_path, [verdict("rig/b")], environment=other)]
    runs = merged(tmp_path, done, ["rig/a", "rig/b"])
    assert [Path(run.path).name for run in runs] == ["run.jsonl", "run-2.jsonl"]
    assert {run.header.environment.cpu for run in runs} == {"Another CPU", "A CPU | of some make"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"suite": "0.2.0"}, r"rig/b on cpu: was written by suite 0\.2\.0, but rig/a on cpu by suite 0\.1\.0"),
        ({"cases": {"rig": 9}}, "rig/b on cpu: its suite has 9 cases for rig"),
        (
            {"requirements": [{**made.header()["requirements"][0], "statement": "No."}]},
            "rig/b on cpu: its requirement ADM-01 reads differently in rig/a on cpu",
        ),
    ],
    ids=["suite", "cases", "text"],
)
def test_a_node_with_another_checkout_is_refused(tmp_path: Path, header: dict[str, Any], reason: str) -> None:
    done = [
        judged("rig/a", tmp_path, [verdict("rig/a")], cases={"rig": 8}),
        judged("rig/b", tmp_path, [verdict("rig/b")], **{"cases": {"rig": 8}, **header}),
    ]
    with pytest.raises(RecordError, match=reason):
        merged(tmp_path, done, ["rig/a", "rig/b"])


def test_a_shard_that_was_merged_already_is_refused(tmp_path: Path) -> None:
    done = judged("rig/a", tmp_path, [verdict("rig/a")])
    with pytest.raises(RecordError, match=r"rig/a on cpu: rig/a RIG-01 a cpu was tested by rig/a on cpu already"):
        merged(tmp_path, [done, done], ["rig/a"])


def test_a_plug_has_the_name_that_it_has_beside_the_others(tmp_path: Path) -> None:
    done = [judged("rig/x-2", tmp_path, [verdict("rig/x")], alone="rig/x")]
    (run,) = merged(tmp_path, done, ["rig/x-2"])
    assert [line.implementation for line in run.of(VerdictRecord)] == ["rig/x-2"]
    assert [row.name for row in run.header.implementations] == ["rig/x-2"]


def test_of_the_pairs_of_a_baseline_the_noisiest_stands(tmp_path: Path) -> None:
    def timed(name: str, low: float, high: float) -> Done:
        pair = made.measurement("ademamix/torch", 1.0, aa=True, ratio_low=low, ratio_high=high)
        return judged(name, tmp_path, [pair, made.measurement(name, 2.0)], kind=MEASURE)

    done = [timed("ademamix/numpy", 0.99, 1.01), timed("ademamix/triton", 0.8, 1.0), timed("ademamix/optax", 0.9, 1.1)]
    (run,) = merged(tmp_path, done, ["ademamix/numpy", "ademamix/triton", "ademamix/optax"])
    assert [line.ratio_low for line in run.of(MeasurementRecord) if line.again] == [0.8]
    assert len(run.records) == 4


def test_what_a_lost_shard_would_have_said_is_recorded_in_its_stead(tmp_path: Path) -> None:
    plan = Plan(quick=True)
    for kind in (JUDGE, MEASURE):
        shard = Shard(kind, "rag", "cpu", (), "rag/mine", selector="mine.py:parse")
        lines = tuple(records_without(shard, plan, "error", "lost"))
        assert lines
        said = [line.to_json() for line in lines]
        assert {(line["implementation"], line["verdict"], line["message"]) for line in said} == {("rag/mine", "error", "lost")}
        (run,) = merged(tmp_path, [Done(shard, None, lines, "lost"), judged("rag/b", tmp_path, [])], ["rag/mine", "rag/b"])
        assert len(run.records) == len(lines)
    assert list(records_without(Shard(MUTANTS, "rag", "cpu", ()), plan, "error", "lost")) == []


def test_a_shard_that_never_ends_is_ended(tmp_path: Path) -> None:
    plug = tmp_path / "reader.py"
    # A day for each answer; the time limit of a text is raised, so that it does not end the answer.
    plug.write_text("import time\n\ndef parse(text):\n    time.sleep(86400)\n", encoding="utf-8")
    variables = {"GAUGEBLOCK_TEXT_SECONDS": "86400"}
    result = run_shard(str(ROOT), ["conformance/rag", "--quick", f"--impl=rag={plug}:parse"], 4.0, variables)
    assert (result["text"], result["tail"]) == (None, "it was not done after 4 s")


def test_a_checkout_with_other_files_runs_no_shard(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("x = 1\n")
    own = digest(str(tmp_path))
    assert own == digest(str(tmp_path))
    assert digest(str(tmp_path / "nothing")) == ""
    (tmp_path / "impls" / "code.py").write_text("x = 2\n")
    assert digest(str(tmp_path)) != own
    result = run_shard(str(tmp_path), [], 4.0, {}, own)
    assert (result["text"], result["code"]) == (None, 4)
    assert result["tail"].startswith(f"its checkout at {tmp_path} on ")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9", "no cluster at '127.0.0.1:9'"),
        ("127.0.0.1:port", "no cluster at '127.0.0.1:port'"),
        ("no-such-host.invalid:6379", "no cluster at 'no-such-host.invalid:6379'"),
        ("ray://127.0.0.1:10001", "needs Ray's client"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(cluster.ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    with pytest.raises(cluster.FleetError, match=re.escape(words)) as raised:
        cluster._connect(address, "")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-a", b"HTTP/1.1 400 Bad Request\r\n", bytes((0, 0, 0, 7, 0, 0, 0, 0, 0))])
@pytest.mark.parametrize("stays", [True, False])
def test_what_listens_and_is_no_cluster_is_told_at_once(answer: bytes, stays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    # Only what never comes is not waited for long: this machine may be busy.
    monkeypatch.setattr(cluster, "REACH_S", 0.2 if stays and len(answer) < cluster.HEAD_BYTES else 600.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def serve() -> None:
            connection = server.accept()[0]
            connection.sendall(answer)
            if stays:
                connections.append(connection)
            else:
                connection.close()

        waiting = threading.Thread(target=serve)
        waiting.start()
        with pytest.raises(cluster.FleetError, match="something listens there, but it is no server of Ray: it ") as raised:
            cluster._connect(f"127.0.0.1:{server.getsockname()[1]}", "")
        waiting.join()
        for connection in connections:
            connection.close()
    assert ("does not answer" in str(raised.value)) == (not answer)


def test_arguments_that_cannot_be_used_end_before_a_cluster_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--quick", "--thorough"], "both --quick and --thorough"),
        (["--attempts", "0"], "--attempts 0"),
    ):
        with pytest.raises(SystemExit):
            command.parse(arguments)
        assert words in capsys.readouterr().err
