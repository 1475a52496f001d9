"""The command ``gaugeblock``: find the subcommand, run it, and say in one line what went wrong."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaugeblock.installation import CHECKOUT, SUITE_EXTRA, CannotRun, need

BAD_INPUT, INTERRUPTED = 2, 130


SUITE_CODES = """exit codes: 0 nothing failed that was not expected, 1 something failed,
2 interrupted or a wrong argument, 3 a fault of the suite, 4 an option or file
that cannot be used, 5 nothing was judged"""
OTHER_CODES = "exit codes: 0 done, 1 a finding, 2 bad input or not installed, 130 interrupted"

GPU_CODES = "exit codes: 0 each step ended, 1 one failed or was cut off, 2 bad input, no GPU"

CENSUS_CODES = """exit codes: 0 judged, whatever the verdicts, 2 bad input or interrupted,
3 a fault of the suite, 5 nothing could be judged"""


@dataclass(frozen=True)
class Subcommand:
    """One subcommand. ``target`` is ``module:function``, which takes the arguments and returns the exit code."""

    name: str
    usage: str
    summary: str
    target: str
    examples: str
    """Words after the name, one example a line."""
    codes: str = OTHER_CODES
    needs_suite: bool = True
    """Whether it needs the extra ``suite``; the others need only Python."""

    @property
    def epilogue(self) -> str:
        """What stands below its help."""
        return "\n".join(["examples:", *(f"  gaugeblock {self.name} {line}".rstrip() for line in self.examples.split("\n"))])


SUBCOMMANDS = {
    each.name: each
    for each in (
        Subcommand(
            "check", "SPEC...", "test implementations; say what is wrong and why", "suite:check",
            "mykernels.sigmoid:attention --quick\n'cmd:./my-rig-parser' -n auto\npath/to/file.py:MyAdEMAMix -k ADM-09 -- -vv",
            SUITE_CODES,
        ),
        Subcommand(
            "bench", "SPEC...", "measure speed, where the answers are right", "suite:bench",
            "triton torch-eager --quick --records=speed.jsonl", SUITE_CODES,
        ),
        Subcommand(
            "ci", "SPEC... [-o DIR]", "check in CI: report, badges, annotations", "ci:main",
            "mypackage.optim:AdEMAMix --xfails=known-failures.txt -o report", SUITE_CODES,
        ),
        Subcommand(
            "census", "FOLDER [WORD...]", "judge public implementations in checkouts", "census:main",
            "checkouts --list\ncheckouts apple epfml -o results --level definition", CENSUS_CODES,
        ),
        Subcommand(
            "list", "[SPEC...]", "list the implementations that are known here", "suite:list_all", "\n'ademamix/*'\ninstalled"
        ),
        Subcommand("explain", "ID", "a requirement: statement, source, the bug it catches", "explain:main", "ADM-09\nRIG"),
        Subcommand(
            "report", "RECORDS... -o DIR", "make pages of the records of runs", "reports:report",
            "mine.jsonl speed.jsonl -o my-report",
        ),
        Subcommand("diff", "A B", "say what changed between two runs", "reports:diff", "before.jsonl after.jsonl"),
        Subcommand("claims", "[CLAIM...]", "measure what the papers claim", "studies:claims", "--list\nademamix --quick"),
        Subcommand("curves", "[CURVE...]", "follow errors along a length", "studies:curves", "--list\nademamix --quick"),
        Subcommand(
            "vectors", "export DIR | rig", "test vectors for any language", "vectors:main",
            "export vectors\nexport vectors --class sigmoid_attention=tensor-core\nrig --flat utf16",
        ),
        Subcommand(
            "lint", "rig|rag FILE...", "find faults in what a model wrote", "texts:lint",
            "rig answers.txt\nrag outputs.jsonl --field output --format json", needs_suite=False,
        ),
        Subcommand(
            "inspect", "SPEC|FILE.cu", "read the machine code of GPU kernels", "inspect:main",
            "add.py:add --with 'x=*fp32 out=*fp32 n=i32 BLOCK=1024'\nmykernels.attention:example --arch sm_80 --arch sm_90a\n"
            "kernels.cu:add --threads 128 --json", needs_suite=False,
        ),
        Subcommand(
            "grammar", "NOTATION", "print the grammar of RIG for an engine", "texts:grammar", "gbnf > rig.gbnf",
            needs_suite=False,
        ),
        Subcommand(
            "gpu", "[PART] -o DIR", "everything that needs a GPU, in three parts", "runners:gpu",
            "conformance -o results\ntuning -o results\npublished -o results\nconformance -o results --rehearse", GPU_CODES,
        ),
        Subcommand(
            "fleet", "--address A", "spread a run over a Ray cluster", "runners:fleet", "--address local --quick", SUITE_CODES
        ),
        Subcommand(
            "doctor", "", "say what is missing here, and how to get it", "doctor:main", "", needs_suite=False
        ),
        Subcommand(
            "completion", "SHELL", "complete words in bash, zsh or fish", "completion:main",
            "bash >> ~/.bashrc\nzsh >> ~/.zshrc\nfish > ~/.config/fish/completions/gaugeblock.fish", needs_suite=False,
        ),
    )
}  # fmt: skip

EXAMPLES = """examples:
  gaugeblock check path/to/file.py:MyAdEMAMix --quick --records=mine.jsonl
  gaugeblock check 'cmd:./my-rig-parser' -n auto --xfails=known-failures.txt
  gaugeblock report mine.jsonl -o my-report

exit codes: 0 as it should be, 1 a finding, 2 bad input; `gaugeblock COMMAND
--help` has those of a command, docs/command.md all"""


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
    if not {"-h", "--help"} & set(arguments[: arguments.index("--")] if "--" in arguments else arguments):
        return handler(arguments)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        handler(arguments)
    own = printed.getvalue().rstrip()
    print("\n\n".join([own, subcommand.epilogue, *([] if "exit " in own.lower() else [subcommand.codes])]))
    return 0
