"""``gaugeblock check`` on kernels of others with ``--device ptx``: one right, one with a bug, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "first-kernel"


def test_a_triton_kernel_is_checked_without_a_gpu(tmp_path: Path) -> None:
    if find_spec("triton") is None:
        print("not run: it needs triton")
        return
    records = tmp_path / "records.jsonl"
    command = [
        *(sys.executable, "-m", "gaugeblock", "check", "kernel.py:attention", "kernel_wrong.py:attention", "--device=ptx"),
        *("--quick", f"--records={records}", "--", "-k", "SIG-02"),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found = [json.loads(line) for line in records.read_text().splitlines() if '"record":"verdict"' in line]
    judged = {(each["implementation"], each["verdict"], each["device"]) for each in found if each["verdict"] != "unsupported"}
    assert judged == {
        ("sigmoid_attention/kernel.attention", "pass", "ptx"), ("sigmoid_attention/kernel_wrong.attention", "fail", "ptx"),
    }, done.stdout  # fmt: skip
    assert "inverse-dim-scale" in done.stdout
