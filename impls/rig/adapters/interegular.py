"""The exported regular expression as a finite automaton by interegular: it says what is well formed and reads nothing."""

from __future__ import annotations

import functools
from typing import Any

import interegular

from impls.rig import export


class Interegular:
    """The exported regular expression as a finite automaton by interegular: it decides, and neither reads nor constrains."""

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        return bool(_automaton().accepts(text))


@functools.cache
def _automaton() -> Any:
    return interegular.parse_pattern(export.well_formed_pattern("raw")).to_fsm()
