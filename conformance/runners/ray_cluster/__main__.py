"""``python -m conformance.runners.ray_cluster --address ADDRESS``: one run of the suite over all machines of a Ray cluster.

Exit codes as pytest's: 0 when all passed, 1 when something failed or was lost, 4 for arguments that cannot be used, 5 when
there was nothing to do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.benchmark import environment
from conformance.engine.selection import requirements_of
from conformance.records import header
from conformance.records.fields import RecordError
from conformance.records.schema import OptionsRecord, ShardsRecord, VerdictRecord
from conformance.records.verdict_table import verdict_table
from conformance.runners.ray_cluster.shards import Plan, plan_shards
from impls.implementation import in_one_line
from impls.systems import SYSTEM_NAMES

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PASSED, FAILED, USAGE, NOTHING = 0, 1, 4, 5


Maker = Callable[..., argparse.ArgumentParser]
"""Makes the parser of the command line."""

EXAMPLE = """example, on this machine alone:
  %(prog)s --address local --impl 'sigmoid_attention/*' --quick

See docs/fleet.md."""


def command_line(made: Maker = argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = made(
        prog="python -m conformance.runners.ray_cluster",
        description="Spread a run of the suite over a Ray cluster, and merge what comes back into one record file.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--address", default="local", help="local (a cluster on this machine), auto, HOST:PORT or ray://HOST:PORT"
    )
    parser.add_argument("--impl", action="append", default=[], metavar="SPEC", help="as for pytest; repeatable")
    parser.add_argument("--device", action="append", default=[], choices=["cpu", "cuda"], help="repeatable. Default: cpu")
    parser.add_argument("--dtype", action="append", default=[], help="as for pytest; repeatable")
    parser.add_argument("--quick", action="store_true", help="a small share of cases and workloads")
    parser.add_argument("--thorough", action="store_true", help="also the cases that take long")
    parser.add_argument("--benchmark", "--benchmark-only", action="store_true", help="measure speed instead of testing")
    parser.add_argument("--records", type=Path, default=Path("fleet.jsonl"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--attempts", type=int, default=3, help="how often a shard is run before it is given up; default: 3")
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="for one attempt; default: 3600")
    parser.add_argument(
        "--patience", type=float, default=120, metavar="SECONDS", help="for a node that can run a shard; default: 120"
    )
    parser.add_argument(
        "--checkout",
        default="",
        metavar="PATH",
        help="where every node has this checkout, ~ being its own home; default: send it",
    )
    return parser


def parse(arguments: Sequence[str] | None = None, made: Maker = argparse.ArgumentParser) -> Plan:
    """The plan that a command line asks for."""
    parser = command_line(made)
    options = parser.parse_args(arguments)
    if options.quick and options.thorough:
        parser.error("found both --quick and --thorough; expected one of them, or neither")
    if options.attempts < 1:
        parser.error(f"found --attempts {options.attempts}; expected 1 or more")
    return Plan(
        address=options.address,
        specs=tuple(options.impl),
        devices=tuple(dict.fromkeys(options.device)) or ("cpu",),
        dtypes=tuple(options.dtype),
        quick=options.quick,
        thorough=options.thorough,
        benchmark=options.benchmark,
        records=options.records,
        attempts=options.attempts,
        timeout_s=options.timeout,
        patience_s=options.patience,
        checkout=options.checkout,
    )


def main(arguments: Sequence[str] | None = None, made: Maker = argparse.ArgumentParser) -> int:
    """The exit code. Without any argument it says what it could be given: a whole run is not what somebody tries it with."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        command_line(made).print_help(sys.stderr)
        return USAGE
    plan = parse(words, made)
    try:
        from conformance.runners.ray_cluster import cluster
    except ImportError as error:
        if error.name != "ray":
            raise
        print(
            "python -m conformance.runners.ray_cluster: needs Ray: python -m pip install -c constraints.txt '.[fleet]'",
            file=sys.stderr,
        )
        return USAGE
    try:
        return run(plan)
    except (cluster.FleetError, RecordError) as error:
        print(f"python -m conformance.runners.ray_cluster: {error}", file=sys.stderr)
        return USAGE


def run(plan: Plan) -> int:
    """List, plan, run, merge, and say how it went."""
    from conformance.runners.ray_cluster import cluster, merge

    began = header.Began()
    listing = list_selection(plan.specs)
    for failure in listing["failures"]:
        _say(f"ERROR: --impl {in_one_line(failure['spec'])}: {failure['message']}")
    shards = plan_shards(plan, listing["implementations"])
    if not shards:
        _say("nothing to do")
        return FAILED if listing["failures"] else NOTHING
    _say(f"{len(shards)} shard{'s' * (len(shards) != 1)}")
    done = cluster.run_shards(plan, shards, _say)
    lost, lost_bugs = cluster.kinds(done)
    bad = lost or lost_bugs or listing["failures"] or any(each.run and each.run.footer.exit == FAILED for each in done)
    code = FAILED if bad else PASSED
    footer = replace(began.footer(code), fleet=ShardsRecord(shards=len(shards), lost=len(lost) + len(lost_bugs)))
    own = None
    if not any(each.run for each in done):
        own = header.header(began, environment.suite_version(), environment.describe(with_gpu=False), OptionsRecord())
    try:
        written = merge.merge(plan, listing, done, footer, began.at, own)
    except OSError as error:
        raise RecordError(f"--records {plan.records}: not written: {error}") from error
    found = [record for each in done for record in each.records]
    levels = {id_: rule.level for system in SYSTEM_NAMES for id_, rule in requirements_of(system).items()}
    for row in verdict_table((record for record in found if isinstance(record, VerdictRecord)), levels):
        _say(row)
    for each in lost + lost_bugs:
        _say(f"LOST: {each.shard.title}: {each.problem}")
    _say(f"records: {' '.join(map(str, written))}; render them with: python -m reports {' '.join(map(str, written))} -o DIR")
    return code


def list_selection(specs: Sequence[str]) -> dict[str, Any]:
    """The implementations that the specs select, listed in another process, since that imports third-party code."""
    with tempfile.TemporaryDirectory(prefix="gaugeblock-") as folder:
        target = Path(folder, "listing.json")
        command = [sys.executable, "-m", "conformance.runners.ray_cluster.listing", str(target), *specs]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if not target.is_file():
            raise RecordError(f"the implementations could not be listed: {in_one_line(done.stderr[-1000:])}")
        found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        return found


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
