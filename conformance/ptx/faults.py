"""What an executed kernel did wrong, and what the interpreter cannot execute."""

from __future__ import annotations

from impls.implementation import NotRun


class KernelFault(Exception):
    """A kernel did what no kernel may: an access out of bounds, a race, a deadlock. The message names place and lane."""


class UnknownInstruction(NotRun):
    """The kernel uses something that the interpreter does not know, so nothing can be said about it."""
