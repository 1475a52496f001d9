"""Requirements on the published vectors (conformance/rig/vectors): all of one rule are one case."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import Plain, TextCase, equal_lists, in_chunks
from conformance.rig import vectors
from conformance.rig.harness.subject import RigSubject
from conformance.rig.requirements.comparisons import REQUIREMENTS, refuse_other_profiles
from reference.rig.resolved import ResolvedTag, tags, write_tag


@dataclass(frozen=True)
class VectorsOfRule(TextCase):
    """All vectors of one rule that need the same of a parser."""

    rule: str
    id: str = "all-vectors"


@functools.cache
def vectors_of(case: VectorsOfRule) -> tuple[vectors.Vector, ...]:
    """The vectors of a case."""
    return tuple(vector for vector in vectors.load() if vector.rule == case.rule)


def vectors_hold(subject: RigSubject, case: VectorsOfRule, dtype: str) -> Iterator[Comparison]:
    """Each vector of the rule; the first that fails is the one that is named."""
    of_strict = bool(case.needs)
    if of_strict:
        refuse_other_profiles(subject)
    wrong = 0
    for vector in vectors_of(case):
        got, expected = vectors.run_vector(subject, vector, subject.profile.name)
        if got != expected:
            wrong += 1
            yield equal(f"vector {vector.id}", got, expected, vector.bug)
    yield equal("vectors that fail", wrong, 0)


def _rules() -> dict[str, str]:
    """The feature that the vectors of each rule need."""
    return {vector.rule: vectors.FEATURE_OF.get(vector.kind, "") for vector in vectors.load() if vector.kind != "recover"}


for _rule, _feature in _rules().items():
    _case = VectorsOfRule(_rule, quick=_rule == "RIG-60", needs=frozenset({_feature} - {""}))
    if _rule == "RIG-60":
        REQUIREMENTS.add(
            _rule,
            Level.READING,
            "A reader of resolved tags reads the tags of a text, each in its one way.",
            source="grammar of the resolved form",
            catches="ending at the first ')', or at the last ')]' of a line",
            cases=[_case],
        )(vectors_hold)
    else:
        REQUIREMENTS.check(_rule, [_case])(vectors_hold)


@functools.cache
def _mixed_tags() -> tuple[str, tuple[tuple[ResolvedTag, int, int], ...]]:
    """A text with a tag of every number, footnote, mark and value together, and what the reference reads in it."""
    numbers, footnotes, marks = (1, 9, 10, 99, 100, 101, 12345, 999_999_999), (None, 1, 9, 10, 99, 100, 12345), (False, True)
    values = (
        (None, None),
        ("5 %", None),
        (None, "6"),
        ("5", "6"),
        ("(a) [1]", "b|c [2]*"),
        ("a (b) [3", "(c) [d"),
        ("\u5317 \U0001f600", "\u200b#1("),
    )
    texts = itertools.cycle((" ", "", "\n", "\u00e9\U0001f600", "[__DC__#1(", ")] "))
    text = ""
    for number, footnote, differs, (served, model) in itertools.product(numbers, footnotes, marks, values):
        if (served is None and (footnote or differs)) or (differs and footnote is None):
            continue  # what stands with a served value, or with its footnote
        with contextlib.suppress(ValueError):
            text += next(texts) + write_tag(ResolvedTag(number, served, footnote, differs, model))
    return text, tuple(tags(text))


@REQUIREMENTS.check("RIG-60", [Plain("mixed-tags", quick=True, needs=frozenset({"tags"}))])
def mixed_tags_are_read(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Numbers of one digit and many, with and without a footnote, a mark and either value: each with the others."""
    refuse_other_profiles(subject)
    text, known = _mixed_tags()
    expected = [(t.number, t.served, t.footnote, t.differs, t.model, start, end) for t, start, end in known]
    yield equal_lists("tags", subject.tags(text), expected, text)


_RECOVER = frozenset({"recover"})


@REQUIREMENTS.add(
    "RIG-57",
    Level.READING,
    "A lenient reader recovers what was meant, with its query, its value and its span, and nothing else.",
    source="specification, section 5",
    catches="a variant that is not known, or a region that has no end",
    cases=[VectorsOfRule("RIG-57", quick=True, needs=_RECOVER)],
)
def what_was_meant_is_recovered(subject: RigSubject, case: VectorsOfRule, dtype: str) -> Iterator[Comparison]:
    """Query, value and span of every vector; diagnostics apart."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        found, wanted = vectors.run_vector(subject, vector, subject.profile.name)
        got, expected = ([item[:4] for item in items] for items in (found, wanted))
        if got != expected or vector is vectors_of(case)[-1]:
            yield equal(f"vector {vector.id}", got, expected, vector.bug)


@REQUIREMENTS.add(
    "RIG-58",
    Level.READING,
    "A lenient reader names what was wrong with an annotation by number, exactly.",
    source="specification, section 5",
    catches="diagnostics that are missing or made up",
    cases=[VectorsOfRule("RIG-57", quick=True, needs=_RECOVER)],
)
def what_was_wrong_is_named(subject: RigSubject, case: VectorsOfRule, dtype: str) -> Iterator[Comparison]:
    """The diagnostics of every annotation that was found where the vector has one."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        found, wanted = vectors.run_vector(subject, vector, subject.profile.name)
        codes = {item[2:4]: item[4] for item in wanted}
        got = [item[4] for item in found if item[2:4] in codes]
        expected = [codes[item[2:4]] for item in found if item[2:4] in codes]
        if got != expected or vector is vectors_of(case)[-1]:
            yield equal(f"diagnostics of vector {vector.id}", got, expected, vector.text)


@REQUIREMENTS.add(
    "RIG-59",
    Level.INTERFACE,
    "A lenient reader in chunks recovers the same as from the whole document, and hands out all text.",
    source="specification, section 5",
    catches="regions that end with a chunk",
    cases=[VectorsOfRule("RIG-57", quick=True, needs=frozenset({"recover_stream"}))],
)
def chunks_change_nothing_that_is_recovered(subject: RigSubject, case: VectorsOfRule, dtype: str) -> Iterator[Comparison]:
    """Every vector in chunks of 1 and 7 code points: the same annotations, and all text between them."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        text = vector.text
        wanted = [(i["query"], i["value"], *i["code_points"], tuple(i["diagnostics"])) for i in vector.data["lenient"]]
        # Four thousand characters one at a time would say no more than forty do.
        for size in (1, 7) if len(text) < 200 else (64,):
            reader = subject.recover_stream()
            items = [i for chunk in in_chunks(text, size) for i in reader.feed(chunk)] + reader.close()
            found = [i for i in items if not isinstance(i, str)]
            whole = "".join(item if isinstance(item, str) else text[item[2] : item[3]] for item in items)
            if (found, whole) != (wanted, text) or vector is vectors_of(case)[-1]:
                yield equal(f"vector {vector.id}", found, wanted, f"chunks of {size}")
                yield equal("the text", whole, text, f"chunks of {size}")
