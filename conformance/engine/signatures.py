"""Read the parameters by which a class or a function is called, through ``*args, **kwargs`` to the base class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def parameters_of(called: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters by name. TypeError or ValueError where there is no signature, as of `inspect.signature`.

    A constructor that takes ``**kwargs`` hands them on to the next class's: its parameters follow, and so on until one takes
    no more. ``**kwargs`` of the last stays: then any name is accepted.
    """
    found = dict(inspect.signature(called).parameters)
    if not inspect.isclass(called):
        return found
    for base in called.__mro__:
        constructor = base.__dict__.get("__init__")
        if not inspect.isfunction(constructor):
            continue
        if constructor is not called.__init__ and not _takes_more(found):
            break
        handed_on = dict(inspect.signature(constructor).parameters)
        handed_on.pop(next(iter(handed_on), ""), None)  # self
        # What a class names itself goes before what its base calls the same; the base says what else there is.
        named = {name: each for name, each in found.items() if each.kind not in _MORE}
        found = {**named, **{name: each for name, each in handed_on.items() if name not in named}}
    return found


_MORE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _takes_more(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(each.kind is each.VAR_KEYWORD for each in parameters.values())
