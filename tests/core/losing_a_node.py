"""A cluster of several processes on this machine that loses a node while a shard runs on it; run by test_fleet.py.

Arguments: the file that the slow plug touches once it runs, then those of ``python -m conformance.runners.ray_cluster``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parent.parent.parent


def main(touched: Path, arguments: list[str]) -> int:
    # The head only leads: what runs shards can be lost.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    first = cluster.add_node(num_cpus=1)
    command = [
        sys.executable,
        "-m",
        "conformance.runners.ray_cluster",
        "--address",
        cluster.address,
        "--checkout",
        str(ROOT),
        *arguments,
    ]
    fleet = subprocess.Popen(command, cwd=ROOT)
    while fleet.poll() is None and not touched.exists():
        time.sleep(0.05)
    if fleet.poll() is None:
        cluster.add_node(num_cpus=2)
        cluster.remove_node(first, allow_graceful=False)
        print("a node was lost", flush=True)
    code = fleet.wait()
    cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's own
    return code


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
