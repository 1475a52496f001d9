"""``python -m conformance.rig lint FILE...`` lints model outputs; ``python -m conformance.rig vectors`` prints the vectors."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from conformance.linting.command import run
from conformance.rig.lint import LINTER


def vectors(arguments: Sequence[str]) -> int:
    """Print the vectors as lines of JSON, each with its kind.

    ``--flat [UNIT]`` prints them in lines that need no reader of JSON; ``--spans FILE`` fills in the spans of an edited file.
    """
    from conformance.rig.vectors import load, respanned
    from conformance.rig.vectors.flat import UNITS, flat

    if not arguments:
        sys.stdout.writelines(json.dumps({"kind": vector.kind, **vector.data}) + "\n" for vector in load())
    elif arguments[0] == "--flat" and (len(arguments) == 1 or (len(arguments) == 2 and arguments[1] in UNITS)):
        sys.stdout.writelines(line + "\n" for line in flat(load(), *arguments[1:]))
    elif arguments[0] == "--spans" and len(arguments) == 2:
        sys.stdout.write(respanned(arguments[1]))
    else:
        print(f"usage: python -m conformance.rig vectors [--flat [{'|'.join(UNITS)}] | --spans FILE]", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(vectors(sys.argv[2:]) if sys.argv[1:2] == ["vectors"] else run(LINTER, sys.argv[1:]))
