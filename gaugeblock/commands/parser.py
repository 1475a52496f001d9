"""An argument parser whose errors are one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn


class OneLineParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` without the usage before an error."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def one_line(prog: str) -> Callable[..., argparse.ArgumentParser]:
    """What makes such a parser of this name, for a module that would make another where it is run by itself."""

    def make(**keywords: Any) -> OneLineParser:
        return OneLineParser(**{**keywords, "prog": prog})

    return make
