"""Nodes of a cluster on this machine: one has another version, one is lost, one is slow; run by test_fleet.py.

The run is refused while the node with another version is there. Each node finds its checkout in its own home.
Arguments: the file that the slow plug touches once it runs, a folder for the homes, then those of
``python -m conformance.runners.ray_cluster``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

from conformance.runners.ray_cluster.worker import FOLDERS

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENT = (
    "from conformance.runners.ray_cluster import __main__ as program, cluster; cluster.LOOK_S = 600.0; "
    "raise SystemExit(program.main())"
)
"""The command, which waits for every node's answer, however slowly a busy machine starts them."""


def home_of(folder: Path, version: str) -> dict[str, str]:
    """The variables of a node: its home has this checkout, or one with another version."""
    home = folder / version
    home.mkdir()
    if version == "this":
        (home / "checkout").symlink_to(ROOT)
    else:
        for name in FOLDERS:
            shutil.copytree(ROOT / name, home / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))
        with (home / "checkout" / "impls" / "systems.py").open("a") as file:
            file.write("# of another version\n")
    return {"HOME": str(home)}


def slow(folder: Path) -> dict[str, str]:
    """Further variables of a node on which every start of Python takes a second more."""
    started = f"open({str(folder / 'started')!r}, 'a').close()"
    (folder / "sitecustomize.py").write_text(f"import time\n\n{started}\ntime.sleep(1)\n")
    return {"PYTHONPATH": str(folder)}


def main(touched: Path, homes: Path, arguments: list[str]) -> int:
    this, other = home_of(homes, "this"), home_of(homes, "other")
    # The head only leads: what runs shards can be lost.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    first, stale = cluster.add_node(num_cpus=1, env_vars=this), cluster.add_node(num_cpus=1, env_vars=other)
    command = [
        sys.executable,
        "-c",
        PATIENT,
        "--address",
        cluster.address,
        "--checkout",
        "~/checkout",
        *arguments,
    ]
    refused = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    print(f"refused with {refused.returncode}: {refused.stderr}", flush=True)
    cluster.remove_node(stale)
    fleet = subprocess.Popen(command, cwd=ROOT)
    while fleet.poll() is None and not touched.exists():
        time.sleep(0.05)
    if fleet.poll() is None:
        cluster.add_node(num_cpus=2, env_vars=this | slow(homes))
        cluster.remove_node(first, allow_graceful=False)
        print("a node was lost", flush=True)
    code = fleet.wait()
    cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's own
    return code


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
