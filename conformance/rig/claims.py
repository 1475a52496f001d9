"""The paper's claim about the answer that a person is shown, measured on what the published reader does to a text.

The paper's other figures are about trained models and human raters, which a suite of formats cannot measure.
"""

from __future__ import annotations

import random

from conformance.studies.claims import Claim, Finding
from conformance.studies.study import Axes, Effort, Series
from reference.rig import official

SEED = 20240913
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Shares of annotations without their closing bracket, which the published reader does not need."""


def _document(annotations: int, unclosed: float, source: random.Random) -> str:
    """Sentences with one annotation each. Each query occurs once, so that what is left of it can be found."""
    without = set(source.sample(range(annotations), round(unclosed * annotations)))
    words = []
    for place in range(annotations):
        close = "" if place in without else "]"
        words.append(
            f'Place {place} has [__DC__("what is the population of place {place}?") --> "{source.randrange(10**6)}"{close}'
        )
    return ". ".join(words) + "."


def _queries_are_replaced(effort: Effort) -> Finding:
    annotations = 200 if effort.quick else 2000
    source = random.Random(SEED)
    left, asked = [], []
    for share in SHARES:
        text = _document(annotations, share, source)
        answer = official.rewrite(text, lambda number, _query, value: f"[__DC__#{number}({number} [{number}] || {value})]")
        queries = list(official.calls(text))
        asked.append(len(queries))
        left.append(sum(f'("{query}")' in answer for query in queries))
        effort.say(f"{share:.0%} without the closing bracket: {left[-1]} of {asked[-1]} queries left")
    gone = [100 * (1 - rest / all_) for rest, all_ in zip(left, asked, strict=True)]
    closed, unclosed = gone[0], gone[-1]
    return Finding(
        measured=closed if closed == unclosed else f"{closed:g} % where it is closed, {unclosed:g} % where it is not",
        verdict="holds" if min(gone) == 100 else "does not hold",
        message=(
            f"Of {asked[0]} annotations with their closing bracket {asked[0] - left[0]} are replaced, of {asked[-1]} without "
            f"it {asked[-1] - left[-1]}: the published reader extracts and looks up both, but rewrites only whole literals."
        ),
        series=(Series("queries replaced", [100 * share for share in SHARES], gone),),
        axes=Axes("annotations without their closing bracket, %", "queries replaced in the answer, %"),
        settings={
            "annotations": annotations,
            "seed": SEED,
            "reader": "the published one, llm-tools df971f8, as restated here",
        },
    )


CLAIMS = (
    Claim(
        id="RIG-C1", system="rig",
        statement="In the answer the query of each annotation is removed, and both values stand in its place.",
        source="arXiv:2409.13741, page 8", expected=100, unit="%", run=_queries_are_replaced, quick=True,
    ),
)  # fmt: skip
