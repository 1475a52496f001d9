"""The command ``gaugeblock``: find the subcommand, run it, and say in one line what went wrong."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaugeblock.installation import CHECKOUT, SUITE_EXTRA, CannotRun, need

BAD_INPUT, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Subcommand:
    """One subcommand. ``target`` is ``module:function``, which takes the arguments and returns the exit code."""

    name: str
    usage: str
    summary: str
    target: str
    needs_suite: bool = True
    """Whether it needs the extra ``suite``; the others need only Python."""


SUBCOMMANDS = {
    each.name: each
    for each in (
        Subcommand("check", "SPEC...", "test implementations; say what is wrong and why", "suite:check"),
        Subcommand("bench", "SPEC...", "measure speed, where the answers are right", "suite:bench"),
        Subcommand("ci", "SPEC... [-o DIR]", "check in CI: report, badges, annotations", "ci:main"),
        Subcommand("list", "[SPEC...]", "list the implementations that are known here", "suite:list_all"),
        Subcommand("explain", "ID", "a requirement: statement, source, the bug it catches", "explain:main"),
        Subcommand("report", "RECORDS... -o DIR", "make pages of the records of runs", "reports:report"),
        Subcommand("diff", "A B", "say what changed between two runs", "reports:diff"),
        Subcommand("claims", "[CLAIM...]", "measure what the papers claim", "studies:claims"),
        Subcommand("curves", "[CURVE...]", "follow errors along a length", "studies:curves"),
        Subcommand("vectors", "export DIR | rig", "test vectors for any language", "vectors:main"),
        Subcommand("lint", "rig|rag FILE...", "find faults in what a model wrote", "texts:lint", needs_suite=False),
        Subcommand("inspect", "SPEC|FILE.cu", "read the machine code of GPU kernels", "inspect:main", needs_suite=False),
        Subcommand("grammar", "NOTATION", "print the grammar of RIG for an engine", "texts:grammar", needs_suite=False),
        Subcommand("gpu", "-o DIR", "everything that needs a GPU, into one folder", "runners:gpu"),
        Subcommand("fleet", "--address A", "spread a run over a Ray cluster", "runners:fleet"),
        Subcommand("doctor", "", "say what is missing here, and how to get it", "doctor:main", needs_suite=False),
        Subcommand("completion", "SHELL", "complete words in bash, zsh or fish", "completion:main", needs_suite=False),
    )
}

EXAMPLES = """examples:
  gaugeblock check path/to/file.py:MyAdEMAMix --quick --records=mine.jsonl
  gaugeblock check 'cmd:./my-rig-parser' -n auto --xfails=known-failures.txt
  gaugeblock report mine.jsonl -o my-report

exit codes: 0 as it should be, 1 a finding, 2 bad input; all of them: docs/command.md"""


def help_text() -> str:
    """The first screen."""
    width = max(len(f"{each.name} {each.usage}") for each in SUBCOMMANDS.values())
    rows = [f"  {f'{each.name} {each.usage}':<{width}}  {each.summary}" for each in SUBCOMMANDS.values()]
    return "\n".join(["usage: gaugeblock COMMAND ...  (gaugeblock COMMAND --help says more)", "", *rows, "", EXAMPLES])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if words else BAD_INPUT
    if words[0] in ("-V", "--version"):
        from gaugeblock.installation import version

        print(f"gaugeblock {version()}")
        return 0
    try:
        return run(words[0], words[1:])
    except BrokenPipeError:  # the reader has gone away
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (the interpreter flushes it when it ends)
        return 0
    except (CannotRun, ImportError, OSError) as error:
        print(f"gaugeblock {words[0]}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def run(name: str, arguments: Sequence[str]) -> int:
    """Run one subcommand. CannotRun where there is none of that name, ImportError where it needs what is not installed."""
    if name not in SUBCOMMANDS:
        import difflib

        near = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
        raise CannotRun(f"no such command{f'; did you mean {near[0]}?' if near else ''} See gaugeblock --help")
    subcommand = SUBCOMMANDS[name]
    for module in SUITE_EXTRA if subcommand.needs_suite else ():
        need(module, by="it", extra="suite")
    # What a user names is looked for in the working folder; in a checkout our own folders come before theirs.
    sys.path[:0] = [str(folder) for folder in (CHECKOUT, Path.cwd()) if folder]
    module, _, function = subcommand.target.partition(":")
    handler: Callable[[Sequence[str]], int] = getattr(importlib.import_module(f"gaugeblock.commands.{module}"), function)
    return handler(arguments)
