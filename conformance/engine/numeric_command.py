"""Call a program in any language as an implementation of a numeric system.

A request is one line of JSON with ``"bytes": N``, and N bytes of safetensors behind its line end; so is an answer. What a
program offers it says itself, when it is asked to ``describe``. gaugeblock/vectors/SPECIFICATION.md describes every request.
"""

from __future__ import annotations

import functools
import math
import os
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from conformance.engine.child import MOST_SILENCES
from conformance.engine.command import Command, CommandError
from conformance.engine.tensor_bytes import CODES, Array, read, written
from conformance.engine.time_limit import NoAnswer, TimeLimitExceeded
from impls.implementation import PlugError, Unsupported

SETTING = "GAUGEBLOCK_CALL_SECONDS"

Expected = Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]]
"""The arrays of an answer: by name their shape, and the dtypes that they may have."""

_EXAMPLE = '{"id": 1, "dtypes": ["float32"], "features": ["backward"]}'
_LISTS = ("dtypes", "features")
_DECLARED = (*_LISTS, "numerical_class", "summary", "documentation")


class NumericCommand:
    """One program, started at the first request; ``features`` are those that it declares.

    Where its process had to be ended three times in a row it is not asked again.
    """

    def __init__(self, target: str, system: str, features: Collection[str] = ()) -> None:
        self.features = frozenset(features)
        words = shlex.split(target.removeprefix("cmd:"))
        self._command = Command(words, float(os.environ.get(SETTING) or 300.0), SETTING)
        self._system = system
        self._silences = 0

    def close(self) -> None:
        """End the process, if there is one."""
        self._command.close()

    def describe(self) -> dict[str, Any]:
        """What the program says that it offers, as fields of an `Implementation`. PlugError where it says no such thing."""
        try:
            answer, _ = self.exchange("describe", {}, b"")
            return _declared(answer)
        except (CommandError, Unsupported, NoAnswer, TimeLimitExceeded) as error:
            raise PlugError(
                f"asked what it offers of {self._system}, the program gave no answer that can be used: {error}; expected a "
                f'line like {_EXAMPLE} for "op": "describe"; SPECIFICATION.md of `gaugeblock vectors export` has the rest'
            ) from None

    def call(
        self,
        operation: str,
        request: Mapping[str, Any],
        arrays: Iterable[tuple[str, Array, str]],
        expected: Expected,
        *,
        goes_on: bool = False,
    ) -> dict[str, Array]:
        """The arrays of the answer. CommandError where they are not what was expected; other errors as of `exchange`."""
        _, data = self.exchange(operation, request, written(arrays), goes_on=goes_on)
        try:
            return _checked(data, expected)
        except CommandError:
            self.close()  # whatever state it is in now, the next request must not see it
            raise

    def exchange(
        self, operation: str, request: Mapping[str, Any], arrays: bytes, *, goes_on: bool = False
    ) -> tuple[dict[str, Any], bytes]:
        """The line of the answer, and its safetensors. See `Command.ask_with_arrays` for errors, and for ``goes_on``."""
        if self._silences >= MOST_SILENCES:
            raise CommandError(f"not asked, since its process had to be ended {self._silences} times in a row")
        _refuse_infinite(request)
        try:
            answer, data = self._command.ask_with_arrays(
                {"system": self._system, "op": operation, **request}, arrays, goes_on=goes_on
            )
        except (TimeLimitExceeded, NoAnswer):
            self._silences += 1
            raise
        self._silences = 0
        if "unsupported" in answer:
            raise Unsupported(str(answer["unsupported"]))
        if "error" in answer:
            raise CommandError(f"answered the error {answer['error']!r}")
        return answer, data


@functools.cache
def described(target: str, system: str) -> Mapping[str, Any]:
    """What a program says that it offers; asked once. PlugError where it says no such thing."""
    program = NumericCommand(target, system)
    try:
        return program.describe()
    finally:
        program.close()


def _declared(answer: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in answer.items() if name not in ("id", "bytes")}
    if wrong := sorted(set(found) - set(_DECLARED)):
        raise CommandError(f"it declares {', '.join(wrong)}, and may declare {', '.join(_DECLARED)}")
    for name, value in found.items():
        is_list = isinstance(value, list) and all(isinstance(word, str) for word in value)
        if not (is_list if name in _LISTS else isinstance(value, str)):
            raise CommandError(
                f"it declares {value!r} as {name}, expected {'a list of strings' if name in _LISTS else 'a string'}"
            )
    if not found.get("dtypes"):
        raise CommandError(f"it declares no dtypes, expected some of {', '.join(CODES)}")
    if "features" in found:
        found["features"] = frozenset(found["features"])
    return {**found, "dtypes": tuple(found["dtypes"])}


def _checked(data: bytes, expected: Expected) -> dict[str, Array]:
    try:
        arrays = read(data) if data or expected else {}
    except ValueError as error:
        raise CommandError(str(error)) from None
    for name, (shape, dtypes) in expected.items():
        if name not in arrays:
            raise CommandError(f"its answer has no array {name!r}; it has: {', '.join(sorted(arrays)) or 'none'}")
        found = arrays[name]
        if found.values.shape != shape:
            raise CommandError(f"its array {name!r} has the shape {list(found.values.shape)}, expected {list(shape)}")
        if found.dtype not in dtypes:
            codes = " or ".join(CODES[dtype] for dtype in dtypes)
            raise CommandError(f"its array {name!r} is {CODES[found.dtype]}, expected {codes}")
    return {name: arrays[name].values for name in expected}


def _refuse_infinite(value: Any, name: str = "the request") -> None:
    """Unsupported where a number is not finite, for which JSON has no word."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _refuse_infinite(each, key)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _refuse_infinite(each, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Unsupported(f"{name} is {value}, for which JSON has no word")
