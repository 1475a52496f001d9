"""``gaugeblock completion SHELL``: complete subcommands, options and the names of implementations."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Sequence

from gaugeblock.command import SUBCOMMANDS
from gaugeblock.commands.parser import OneLineParser

SCRIPTS = {
    "bash": "complete -o default -o nospace -C 'gaugeblock completion words' gaugeblock",
    "zsh": "autoload -U +X bashcompinit && bashcompinit\n"
    "complete -o default -o nospace -C 'gaugeblock completion words' gaugeblock",
    "fish": "complete -c gaugeblock -a '(env COMP_LINE=(commandline -cp) gaugeblock completion words)'",
}


def main(arguments: Sequence[str]) -> int:
    """Print the script for a shell; or, as the script asks, the words that may stand at the end of COMP_LINE."""
    if arguments[:1] == ["words"]:
        print("\n".join(candidates(os.environ.get("COMP_LINE", ""))))
        return 0
    parser = OneLineParser(
        prog="gaugeblock completion",
        description='Print a script that completes words. In bash: eval "$(gaugeblock completion bash)"',
    )
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(arguments).shell])
    return 0


def candidates(line: str) -> list[str]:
    """What may stand in the place of the last word of a command line, which may be empty."""
    try:
        words = shlex.split(line)
    except ValueError:
        return []  # inside quotes
    last = "" if line.endswith(" ") or not words else words[-1]
    before = words if not last else words[:-1]
    if len(before) <= 1:
        known = [f"{name} " for name in SUBCOMMANDS]
    elif last.startswith("-"):
        known = options_of(before[1])
    elif before[1] in ("check", "bench", "ci", "list"):
        known = [f"{name} " for name in implementations()]
    elif before[1] == "explain":
        known = [f"{name} " for name in requirements()]
    else:
        known = []
    return [word for word in known if word.startswith(last)]


def options_of(name: str) -> list[str]:
    """The options of ``check``, ``bench`` and ``ci``."""
    if name not in ("check", "bench", "ci"):
        return ["--help "]
    with contextlib.suppress(ImportError):
        from gaugeblock.commands.suite import check_options

        text = check_options(name, "").format_help()
        return sorted(
            {f"{option}=" if value else f"{option} " for option, value in re.findall(r"^  (--[\w-]+)( [A-Z{])?", text, re.M)}
        )
    return []


def implementations() -> list[str]:
    """The names of the listed implementations, and what stands for several."""
    from conformance.engine.discovery import listed

    return [*(implementation.name for implementation in listed()), "built-in", "installed", "peers"]


def requirements() -> list[str]:
    """The ids of all requirements, read without importing a framework."""
    from conformance.engine.selection import requirements_of
    from impls.systems import SYSTEM_NAMES

    return [id_ for name in SYSTEM_NAMES for id_ in requirements_of(name)]
