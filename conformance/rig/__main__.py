"""``python -m conformance.rig lint FILE...`` lints model outputs; ``python -m conformance.rig vectors`` prints the vectors."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from conformance.linting.command import run
from conformance.rig.lint import LINTER


def vectors(arguments: Sequence[str]) -> int:
    """Print the vectors as lines of JSON, each with its kind; with ``--spans FILE`` fill in the spans of an edited file."""
    from conformance.rig.vectors import load, respanned

    if arguments[:1] == ["--spans"] and len(arguments) == 2:
        sys.stdout.write(respanned(arguments[1]))
    elif arguments:
        print("usage: python -m conformance.rig vectors [--spans FILE]", file=sys.stderr)
        return 2
    else:
        for vector in load():
            print(json.dumps({"kind": vector.kind, **vector.data}))
    return 0


if __name__ == "__main__":
    sys.exit(vectors(sys.argv[2:]) if sys.argv[1:2] == ["vectors"] else run(LINTER, sys.argv[1:]))
