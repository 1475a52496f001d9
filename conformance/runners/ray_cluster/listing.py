"""Write what a run would test to a JSON file, in a process of its own, since listing a plug imports third-party code."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from conformance.engine.discovery import select
from conformance.records.header import described


def main(target: str, *specs: str) -> int:
    """Write the selection of these ``--impl`` arguments."""
    selection = select(specs)
    found = {
        "implementations": [
            {**described(implementation).to_json(), "name_alone": implementation.name_alone}
            for implementation in selection.implementations
        ],
        "failures": [asdict(failure) for failure in selection.failures],
    }
    Path(target).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
