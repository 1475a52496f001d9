"""Find out what a function of torch tensors does not say: its layout, what it returns, whether it always masks."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from conformance.engine.comparison import compare
from conformance.engine.harness import connect
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from impls.implementation import Implementation

# No two sizes are equal, so that a layout shows.
_PLAIN = AttentionCase(id="probe", batch=2, heads=3, kv_heads=3, nq=5, nk=5, d=16, dv=16)
_WAYS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"layout": "BNHD"}, "its tensors are (batch, length, heads, head dim)"),
    ({"result": "first"}, "it returns several things, of which the first is judged"),
    ({"causal": "always"}, "it always masks causally, and is judged on causal cases alone"),
)


def probe(implementation: Implementation, declared: Collection[str]) -> Implementation:
    """The implementation with the settings under which it computes what is expected, where it does so under any.

    Ways are tried from none to all together, and the first under which a plain call is right is taken. A wrong function is
    wrong in all: then nothing changes but that the first of several results is taken. Settings that are declared stay.
    """
    ways = [way for way in _WAYS if not way[0].keys() & implementation.settings.keys()]
    for count in range(len(ways) + 1):
        for chosen in itertools.combinations(ways, count):
            settings = dict(implementation.settings) | {key: value for each, _ in chosen for key, value in each.items()}
            if _is_right(implementation, settings):
                return _with(implementation, chosen)
    return _with(implementation, tuple(way for way in ways if "result" in way[0] and _returns_several(implementation)))


def _with(implementation: Implementation, ways: tuple[tuple[dict[str, Any], str], ...]) -> Implementation:
    settings = dict(implementation.settings)
    for each, _ in ways:
        settings |= each
    return replace(implementation, settings=settings, found=(*implementation.found, *(sentence for _, sentence in ways)))


def _is_right(implementation: Implementation, settings: dict[str, Any]) -> bool:
    case = replace(_PLAIN, causal="causal" in settings)
    for dtype in ("float32", "bfloat16"):
        try:
            got = _subject(implementation, settings).forward(cases.problem(case, dtype)).output
            bound = cases.output_bound(case, dtype, implementation.numerical_class)
            if compare("output", got, cases.expected_output(case, dtype), bound).passed:
                return True
        except Exception:
            continue  # what it does not take, and what it takes wrongly, shows when it is judged
    return False


def _returns_several(implementation: Implementation) -> bool:
    try:
        _subject(implementation, {**implementation.settings, "result": "first"}).forward(cases.problem(_PLAIN, "float32"))
    except Exception:
        return False
    try:
        _subject(implementation, dict(implementation.settings)).forward(cases.problem(_PLAIN, "float32"))
    except TypeError:
        return True
    return False


def _subject(implementation: Implementation, settings: dict[str, Any]) -> AttentionSubject:
    found: AttentionSubject = connect(
        replace(implementation, settings=settings), "cpu" if "cpu" in implementation.devices else "cuda"
    )
    return found
