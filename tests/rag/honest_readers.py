"""Make readers of RAG answers that are right, put together by chance: `made` gives another one for every seed."""

from __future__ import annotations

import io
import itertools
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from impls.rig.grammar import WHITE_SPACE, refuse_surrogates

CHOICES: dict[str, tuple[str, ...]] = {
    "profile": ("strict", "strict", "official"),
    "lines": ("split", "find", "pattern", "file", "characters"),
    "trims": ("strip", "pattern", "characters"),
    "markers": ("pattern", "by hand"),
    "controls": ("pattern", "set", "ord"),
    "repeats": ("dict", "list", "set"),
    "limit": ("while reading", "at the end"),
    "order": ("as it came", "sorted"),
    "surrogates": ("refused", "left out"),
    "answer": ("list", "tuple", "iterator", "generator", "deque", "mapping", "object"),
    "kind": ("function", "instance", "class"),
    "string": ("str", "subclass"),
}
"""What varies; a value that stands there twice is taken twice as often."""

_MADE: dict[int, tuple[Any, dict[str, str]]] = {}
_MARKER = re.compile(rf"(?:[-*+\u2022]|\(?[0-9]{{1,2}}\)|[0-9]{{1,2}}\.)(?:[{WHITE_SPACE}].*)?", re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Question(str):
    """A query that knows that it is one."""


def made(seed: int) -> tuple[Any, dict[str, str]]:
    """The plug of that seed, and the choices that it was made by."""
    if seed not in _MADE:
        rng = random.Random(seed)
        choices = {name: rng.choice(values) for name, values in CHOICES.items()}
        reader = HonestReader(choices)

        def parse(text: str) -> Any:
            return reader.parse(text)

        kinds: dict[str, Any] = {
            "function": lambda: parse,
            "instance": lambda: SimpleNamespace(parse=parse),
            "class": lambda: type("Honest", (), {"parse": staticmethod(parse)}),
        }
        plug = kinds[choices["kind"]]()
        if choices["profile"] == "official":
            plug.gaugeblock = {"numerical_class": "official"}
        _MADE[seed] = plug, choices
    return _MADE[seed]


def __getattr__(name: str) -> Any:
    """``honest12`` is the plug of seed 12, so that it can be plugged in by name."""
    if name.startswith("honest") and name.removeprefix("honest").isdigit():
        return made(int(name.removeprefix("honest")))[0]
    raise AttributeError(name)


class HonestReader:
    """RAG by its choices."""

    def __init__(self, choices: dict[str, str]) -> None:
        self.choices = choices
        self.official = choices["profile"] == "official"

    def parse(self, text: str) -> Any:
        """The queries, in the shape that the choices ask for."""
        if not self.official and self.choices["surrogates"] == "refused":
            refuse_surrogates(text)
        found = self._distinct(text)
        if self.official and self.choices["order"] == "sorted":
            found = sorted(found)
        queries = [Question(query) if self.choices["string"] == "subclass" else query for query in found]
        shapes: dict[str, Any] = {
            "list": lambda: queries,
            "tuple": lambda: tuple(queries),
            "iterator": lambda: iter(queries),
            "generator": lambda: (query for query in queries),
            "deque": lambda: deque(queries),
            "mapping": lambda: {"queries": queries, "more": 1},
            "object": lambda: SimpleNamespace(queries=queries),
        }
        return shapes[self.choices["answer"]]()

    def _distinct(self, text: str) -> list[str]:
        kept = (query for line in self._lines(text) if (query := self._trimmed(line)) and self._is_query(query))
        if self.choices["repeats"] == "dict" and self.choices["limit"] == "at the end":
            return list(dict.fromkeys(kept))[:25]
        seen: Any = set() if self.choices["repeats"] == "set" else []
        add = seen.add if self.choices["repeats"] == "set" else seen.append
        found: list[str] = []
        for query in kept:
            if query not in seen:
                found.append(query)
                add(query)
            if len(found) == 25:
                break
        return found

    def _lines(self, text: str) -> Iterable[str]:
        ways: dict[str, Callable[[str], Iterable[str]]] = {
            "split": lambda text: text.split("\n"),
            "find": _by_searches,
            "pattern": lambda text: (match[0] for match in re.finditer("[^\n]+", text)),
            "file": lambda text: io.StringIO(text, newline="\n"),
            "characters": lambda text: (
                "".join(line) for is_end, line in itertools.groupby(text, lambda each: each == "\n") if not is_end
            ),
        }
        return ways[self.choices["lines"]](text)

    def _trimmed(self, line: str) -> str:
        # The official reader takes Python's word for what white space is, which adds U+001C to U+001F.
        space = WHITE_SPACE + "\x1c\x1d\x1e\x1f" * self.official
        if self.choices["trims"] == "strip":
            return line.strip(space)
        if self.choices["trims"] == "pattern":
            begun = re.sub(f"^[{space}]+", "", line)
            return begun[: len(begun) - next((i for i, each in enumerate(reversed(begun)) if each not in space), len(begun))]
        first, last = 0, len(line)
        while first < last and line[first] in space:
            first += 1
        while last > first and line[last - 1] in space:
            last -= 1
        return line[first:last]

    def _is_query(self, query: str) -> bool:
        if self.official:
            return True
        surrogate = self.choices["surrogates"] == "left out" and re.search("[\ud800-\udfff]", query)
        return not surrogate and not self._has_control(query) and not self._is_listed(query)

    def _has_control(self, query: str) -> bool:
        how = self.choices["controls"]
        if how == "pattern":
            return bool(_CONTROL.search(query))
        if how == "set":
            return not {*map(chr, range(32)), "\x7f"}.isdisjoint(query)
        return any(ord(each) < 32 or ord(each) == 127 for each in query)

    def _is_listed(self, query: str) -> bool:
        if self.choices["markers"] == "pattern":
            return bool(_MARKER.fullmatch(query))
        marker = next((query[:i] for i, each in enumerate(query[:5]) if each in WHITE_SPACE), query)
        if marker in ("-", "*", "+", "\u2022"):
            return True
        opened, end = marker[:1] == "(", marker[-1:]
        digits = marker[opened:-1]
        return 0 < len(digits) < 3 and set(digits) <= set("0123456789") and (end == ")" or (end == "." and not opened))


def _by_searches(text: str) -> Iterator[str]:
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]
