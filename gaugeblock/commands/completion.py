"""``gaugeblock completion SHELL``: complete subcommands, options and the names of implementations."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Sequence

from gaugeblock.command import SUBCOMMANDS
from gaugeblock.command import main as main_command
from gaugeblock.commands.parser import OneLineParser

SCRIPTS = {
    "bash": "complete -o default -o nospace -C 'gaugeblock completion words' gaugeblock",
    # Not by bashcompinit, which strips the spaces that end a word.
    "zsh": """(( $+functions[compdef] )) || { autoload -U compinit && compinit; }
_gaugeblock() {
  local -a found=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" gaugeblock completion words)}")
  if [[ -n "$found" ]]; then compadd -Q -S '' -a found; else _files; fi
}
compdef _gaugeblock gaugeblock""",
    # fish ends a word with a space itself, and would escape ours.
    "fish": "complete -c gaugeblock -a '(env COMP_LINE=(commandline -cp) gaugeblock completion words | string trim --right)'",
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
        known = options_of(before[1 : 3 if before[1] == "lint" else 2])
    else:
        known = [f"{name} " for name in arguments_of(before[1], first=len(before) == 2)]
    return [word for word in known if word.startswith(last)]


def options_of(words: Sequence[str]) -> list[str]:
    """The options of a subcommand, from its help."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()):
        main_command([*words, "--help"])
    found = re.findall(r"^  (?:-\w(?: [A-Z]+)?, )?(--[\w-]+)( [A-Z{])?", printed.getvalue(), re.MULTILINE)
    return sorted({f"{option}=" if value else f"{option} " for option, value in found} | {"--help "})


def arguments_of(name: str, *, first: bool) -> list[str]:
    """What may stand behind a subcommand; ``first`` says whether it is its first argument."""
    if name in ("check", "bench", "ci", "list"):
        return implementations()
    if name == "explain":
        return requirements()
    if name == "grammar":
        from impls.rig.export import NOTATIONS

        return [*NOTATIONS]
    return {"completion": [*SCRIPTS], "lint": ["rig", "rag"], "vectors": ["export", "rig"]}.get(name, []) if first else []


def implementations() -> list[str]:
    """The names of the listed implementations, and what stands for several."""
    from conformance.engine.discovery import listed

    return [*(implementation.name for implementation in listed()), "built-in", "installed", "peers"]


def requirements() -> list[str]:
    """The ids of all requirements, read without importing a framework."""
    from conformance.engine.selection import requirements_of
    from impls.systems import SYSTEM_NAMES

    return [id_ for name in SYSTEM_NAMES for id_ in requirements_of(name)]
