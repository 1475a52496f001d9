"""What a node of a fleet sends in the place of its shard's records, made by a file of `fleet/`, has the outcome that it names.

``attack(records)`` gives the bytes that it sends. ``lost``: the shard is run again, elsewhere; ``refused``: the run ends.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.records import io
from conformance.records.fields import RecordError
from conformance.runners.ray_cluster.shards import JUDGE, Plan, Shard, unfit
from tests.attacks.attacking import HERE, NOT_PREVENTED, attacks, check
from tests.attacks.test_files import forged

NODES = {each.name: each for each in attacks("fleet")}
SHARD = Shard(JUDGE, "rig", "cpu", (), "rig/honest.parse", selector="x")
CASE = "RIG-34-end"


@pytest.fixture(scope="module")
def shard_records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The records of the shard, as a node that runs all of it would have them."""
    folder = tmp_path_factory.mktemp("shard")
    check([f"rig={HERE}/verdicts/honest.py:parse"], folder, CASE)
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    records[0]["options"]["keyword"] = ""
    return records


def outcome(sent: bytes, own: io.Run) -> str:
    """What comes of it, as `cluster` collects it and `merge` puts it beside the shards of others."""
    try:
        run = io.parse(SHARD.title, sent.decode())
    except RecordError as error:
        return f"lost: {error}"
    if reason := unfit(SHARD, Plan(), run):
        return f"lost: {reason}"
    try:
        io.refuse_other_suites([("its shard", run), ("another shard", own)])
    except RecordError as error:
        return f"refused: {error}"
    return NOT_PREVENTED


@pytest.mark.parametrize("name", NODES)
def test_a_node_gets_nothing_merged_but_its_own_shard(
    name: str, shard_records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seal: Any = importlib.import_module("tests.attacks.files.honest")
    own = io.parse("own", seal.sealed(shard_records).decode())
    assert outcome(seal.sealed(shard_records), own) == NOT_PREVENTED  # nothing to prevent
    monkeypatch.syspath_prepend(str(HERE / "files"))
    assert outcome(forged(NODES[name], shard_records, monkeypatch), own).startswith(NODES[name].outcome)
