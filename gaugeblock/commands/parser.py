"""An argument parser whose errors are one line, and whose help fits 80 columns."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn


class NarrowHelp(argparse.HelpFormatter):
    """As argparse lays help out, in at most 80 columns and with little indentation."""

    def __init__(self, prog: str, **_: Any) -> None:
        super().__init__(prog, max_help_position=21, width=min(shutil.get_terminal_size().columns, 80))


class NarrowText(NarrowHelp):
    """The same, for descriptions whose lines are kept where they are short enough."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(line if len(line) <= width else textwrap.fill(line, width) for line in lines)


class OneLineParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` without the usage before an error."""

    def __init__(self, **keywords: Any) -> None:
        keeps_lines = keywords.pop("formatter_class", None) is argparse.RawDescriptionHelpFormatter
        super().__init__(**keywords, formatter_class=NarrowText if keeps_lines else NarrowHelp)

    def format_help(self) -> str:
        """The help; the usage names each option only where that is short."""
        if self.usage is None and len(self.format_usage().splitlines()) > 3:
            words = (action.metavar or action.dest.upper() for action in self._actions if not action.option_strings)
            self.usage = " ".join(["%(prog)s", "[OPTIONS]", *(f"[{word} ...]" for word in words)])
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def one_line(prog: str) -> Callable[..., argparse.ArgumentParser]:
    """What makes such a parser of this name, for a module that would make another where it is run by itself."""

    def make(**keywords: Any) -> OneLineParser:
        return OneLineParser(**{**keywords, "prog": prog})

    return make
