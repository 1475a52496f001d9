"""One command does everything that needs the device, from a bare checkout with whatever Python the machine has.

``python -m conformance.gpu -o FOLDER`` judges on CUDA, measures on CUDA, and writes records, report and a log of each step
into FOLDER. Nothing is installed. A step that fails does not stop the next; the exit status says whether all went well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERDICTS = (0, 1)
"""pytest's exit codes for "all passed" and "some implementation failed": both are results."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-results"), help="folder for records, report and logs")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], default="cuda", help="cpu rehearses the same steps without a device"
    )
    parser.add_argument("--impl", action="append", default=[], metavar="SPEC", help="what to judge, as for pytest; repeatable")
    parser.add_argument("--quick", action="store_true", help="a small share of cases and workloads")
    options = parser.parse_args(arguments)
    output: Path = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if options.device == "cuda" and (fault := _device_fault()):
        print(f"make gpu: {fault}", file=sys.stderr)
        return 2
    common = ["--device", options.device, "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    common += [word for spec in options.impl for word in ("--impl", spec)] + (["--quick"] if options.quick else [])
    verdicts, speed = output / "conformance.jsonl", output / "speed.jsonl"
    fine = _step("conformance", ["-m", "pytest", "conformance", *common, "--records", str(verdicts)], output)
    fine &= _step("speed", ["-m", "pytest", "--benchmark-only", *common, "--records", str(speed)], output)
    records = [str(file) for file in (verdicts, speed) if file.is_file()]
    fine &= bool(records) and _step("report", ["-m", "reports", *records, "-o", str(output / "report")], output)
    print(f"records, report and logs are in {options.output}")
    return 0 if fine else 1


def _device_fault() -> str:
    try:
        import torch
    except ImportError:
        return "found no torch in this Python; run it with the Python that has it (make gpu PYTHON=...)"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device here; run it on a machine that has one, or rehearse with --device cpu"
    return ""


def _step(name: str, command: list[str], output: Path) -> bool:
    """Run one step, its output shown and kept in ``NAME.log``; True where it gave results."""
    started = time.monotonic()
    print(f"== {name}", flush=True)
    with (output / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            print(line, end="", flush=True)
        code = process.wait()
    print(f"== {name}: exit {code} after {time.monotonic() - started:.0f} s", flush=True)
    return code in VERDICTS


if __name__ == "__main__":
    raise SystemExit(main())
