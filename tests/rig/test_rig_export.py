"""The exported grammars say what the reference says, in engines that nobody of us wrote; those that are absent are named."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.rig.harness.text import time_limit
from impls.rig import export
from reference import rig
from tests.rig.engines import MEMBERS, READERS, Engine, read_by_reference

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "docs" / "rig-grammars.md"
BUILT = {engine: functools.cache(engine.build) for engine in MEMBERS + READERS}

members = pytest.mark.parametrize("engine", [e for e in MEMBERS if e.installed], ids=lambda e: e.name)
readers = pytest.mark.parametrize("engine", [e for e in READERS if e.installed], ids=lambda e: e.name)

GOOD = rig.serialise_annotation("q", "5")
PIECES = [rig.OPEN, rig.ARROW, rig.CLOSE, '"', "[", "[__DC__(", "q", "  ", "\n"]
SHORT = tuple("".join(sequence) for length in range(5) for sequence in itertools.product(PIECES, repeat=length))
"""Every sequence of up to four pieces: an annotation takes at least four, so these hold it and every way to miss it by one."""

pieces = st.sampled_from(
    [*PIECES, "_", "[__", "[__DC_", "__DC__(", "5%", "\\", "\x7f", "\x00", "\u0085", "\u00a0", "\u2028", "é"]
)
strings = st.lists(st.sampled_from(["q", "5%", " ", "[__DC__(", ") --> ", "\n", "\u3000", "\U0001f600"]), max_size=3)
marks = st.tuples(strings.map("".join), strings.map("".join)).map(lambda pair: rig.OPEN + rig.ARROW.join(pair) + rig.CLOSE)
documents = st.lists(st.one_of(pieces, marks, st.characters(exclude_categories=["Cs"])), max_size=10).map("".join)


@functools.cache
def well_formed_short() -> list[str]:
    return [text for text in SHORT if rig.is_well_formed(text)]


@functools.cache
def short_readings() -> list[Any]:
    return [read_by_reference(text) for text in SHORT]


def test_engines_that_are_absent_are_listed() -> None:
    for engine in MEMBERS + READERS:
        if not engine.installed:
            warnings.warn(f"not run: the exported grammars in {engine.name}; to run it: {engine.get}", stacklevel=1)
    assert {engine.name for engine in MEMBERS if engine.installed} >= {"re"}


@members
def test_every_short_sequence_of_pieces_is_well_formed_where_the_reference_says_so(engine: Engine) -> None:
    member = BUILT[engine]()
    assert [text for text in SHORT if member(text)] == well_formed_short()


@members
def test_generated_documents_are_well_formed_where_the_reference_says_so(engine: Engine) -> None:
    member = BUILT[engine]()

    @given(documents)
    @settings(max_examples=150, deadline=None)
    def agrees(text: str) -> None:
        assert member(text) == rig.is_well_formed(text)

    agrees()


@readers
def test_every_short_sequence_of_pieces_is_read_as_the_reference_reads_it(engine: Engine) -> None:
    read = BUILT[engine]()
    assert [[tuple(found) for found in read(text)] for text in SHORT] == short_readings()


@readers
def test_generated_documents_are_read_as_the_reference_reads_them(engine: Engine) -> None:
    read = BUILT[engine]()

    @given(documents)
    @settings(max_examples=150, deadline=None)
    def agrees(text: str) -> None:
        assert [tuple(found) for found in read(text)] == read_by_reference(text)

    agrees()


class Automaton:
    """The smallest automaton of the exported pattern, in letters that each stand for all that it treats alike."""

    def __init__(self, fsm: Any) -> None:
        self._fsm = fsm = fsm.reduce()
        self._numbers = {letter if isinstance(letter, str) else "é": number for letter, number in fsm.alphabet.items()}
        self.letters = list({number: letter for letter, number in self._numbers.items()}.values())
        self.reached = {fsm.initial: ""}
        for state in (queue := [fsm.initial]):
            for letter in self.letters:
                following = self.after(state, letter)
                if following is not None and following not in self.reached:
                    self.reached[following] = self.reached[state] + letter
                    queue.append(following)

    def after(self, state: int | None, text: str) -> int | None:
        """Where the text leads from a state; None is where nothing is accepted any more."""
        for letter in text:
            state = self._fsm.map.get(state, {}).get(self._numbers[letter])
        return state

    def accepts(self, state: int | None, text: str) -> bool:
        """Whether the text leads from the state to a good end."""
        return self.after(state, text) in self._fsm.finals

    def endings(self) -> list[str]:
        """Texts that tell every two states apart."""
        found = [""]
        while True:
            groups: dict[tuple[bool, ...], list[int]] = {}
            for state in self.reached:
                groups.setdefault(tuple(self.accepts(state, ending) for ending in found), []).append(state)
            if len(groups) == len(self.reached):
                return found
            candidates = (letter + ending for letter in self.letters for ending in found)
            found.append(next(c for c in candidates for g in groups.values() if len({self.accepts(s, c) for s in g}) > 1))


def test_no_reader_with_as_many_states_differs() -> None:
    # Every state is reached by some text, and every two are told apart by some ending. All endings after every state and after
    # every step from it decide equality for good, unless the reference takes more states than this automaton (Chow's method).
    for engine in (e for e in MEMBERS if e.installed and e.name == "interegular"):
        automaton = Automaton(BUILT[engine]().__self__)
        assert len(automaton.reached) >= len(rig.OPEN + rig.ARROW + rig.CLOSE)
        steps = ["", *automaton.letters]
        for (state, access), step, ending in itertools.product(automaton.reached.items(), steps, automaton.endings()):
            assert automaton.accepts(state, step + ending) == rig.is_well_formed(access + step + ending)


@pytest.mark.parametrize("engine", [e for e in MEMBERS if e.installed and not e.short], ids=lambda e: e.name)
@pytest.mark.parametrize(
    "family", ["[", "[__DC__(", rig.OPEN, rig.OPEN + "a" + rig.ARROW, rig.OPEN + " " * 20_000, GOOD, "[_["]
)
def test_hostile_documents_are_decided(engine: Engine, family: str) -> None:
    member = BUILT[engine]()
    # Forty thousand characters: linear engines take milliseconds, and anything that backtracks over them would not come back.
    text = family * (40_000 // len(family))
    with time_limit(30):
        assert member(text) == rig.is_well_formed(text)
        assert member(text + '"') == rig.is_well_formed(text + '"')


def test_the_patterns_look_neither_ahead_nor_back() -> None:
    for wide in export.WIDE:
        for pattern in (export.annotation_pattern(wide), export.well_formed_pattern(wide)):
            assert not re.search(r"\(\?(?!:)|\\[1-9]|[*+?}][+?]", pattern)


def test_the_grammars_follow_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ARROW", '") => "')
    for name, (_, make) in export.NOTATIONS.items():
        assert "=>" in make(), name
        assert "-->" not in make(), name


def test_the_documentation_lists_what_is_generated() -> None:
    stated = FILE.read_text(encoding="utf-8").split("<!-- generated by python -m impls.rig.export markdown -->\n", 1)[1]
    assert stated.strip() == export.markdown().strip()


def test_one_notation_is_printed() -> None:
    command = [sys.executable, "-m", "impls.rig.export", "gbnf"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8")
    assert (done.stdout, done.stderr) == (export.gbnf(), "")
