"""Requirements on a call: nothing is remembered, nothing is too long, every document is finished, generated ones are read."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import GeneratedTexts, Plain, equal_lists, generated
from conformance.rig.cases import GENERATED, HOSTILE, HostileDocument, Mark, Q, R, read_by_reference
from conformance.rig.harness.subject import RigSubject
from conformance.rig.harness.text import TimeLimitExceeded
from conformance.rig.requirements.comparisons import REQUIREMENTS, pairs


@REQUIREMENTS.add(
    "RIG-40",
    Level.ROBUSTNESS,
    "A parser remembers nothing between two documents.",
    source="the declared interface",
    catches="results that are kept or shared",
    cases=[Plain("again", quick=True), Plain("after-a-cut"), Plain("own-list"), Plain("two-at-once", quick=True)],
)
def nothing_is_remembered(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """The same document twice, with another between."""
    text = f"x {Q.text} y {R.text}"
    if case.id == "two-at-once":
        begun, meanwhile = subject.begin_and_parse(text, R.text)
        yield equal("annotations of the first, of which one was taken before", pairs(begun), [("q1?", "5"), ("q2?", "6")])
        yield equal("annotations of the second", pairs(meanwhile), [("q2?", "6")])
        return
    between = {"again": R.text, "after-a-cut": 'a [__DC__("q', "own-list": Q.text}[case.id]
    first = subject.parse(text)
    kept = list(first)
    subject.parse(between)
    yield equal("annotations of the second reading", subject.parse(text), kept)
    yield equal("the first answer, afterwards", first, kept)
    yield equal("annotations", pairs(first), [("q1?", "5"), ("q2?", "6")])


@REQUIREMENTS.add(
    "RIG-41",
    Level.ROBUSTNESS,
    "Nothing is too long.",
    source="grammar",
    catches="limits on strings, and recursion over annotations",
    cases=[Plain("value", quick=True), Plain("query"), Plain("text"), Plain("annotations")],
)
def nothing_is_too_long(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Strings and documents of hundreds of thousands of characters."""
    long = "ab c" * 50_000
    expected = {
        "value": [Mark("q1?", long)],
        "query": [Mark(long, "5")],
        "text": [Q, R],
        "annotations": [Mark(f"q{n}?", str(n)) for n in range(4_000)],
    }[case.id]
    separator = long if case.id == "text" else " "
    text = separator.join(mark.text for mark in expected)
    yield equal_lists("annotations", pairs(subject.parse(text)), [(mark.query, mark.value) for mark in expected])


@REQUIREMENTS.add(
    "RIG-42",
    Level.ROBUSTNESS,
    "Every document is finished, hostile ones of 200 000 characters too.",
    source="grammar is regular",
    catches="patterns that backtrack, and restarts that re-read",
    cases=HOSTILE,
)
def hostile_documents_are_finished(subject: RigSubject, case: HostileDocument, dtype: str) -> Iterator[Comparison]:
    """Documents that make a backtracking parser hang. There is no assertion on time but the limit of any answer."""
    try:
        found = subject.parse(case.text)
    except TimeLimitExceeded as limit:
        yield equal("an answer", str(limit), f"an answer on {len(case.text)} characters")
        return
    yield equal_lists("annotations", pairs(found), read_by_reference(case.text, subject.profile.name), case.text)


@REQUIREMENTS.add(
    "RIG-43",
    Level.READING,
    "No annotation holds a lone surrogate; the official profile takes it.",
    source="grammar: Unicode scalar values",
    catches="passing on what no UTF-8 can carry",
    cases=[Plain("high", quick=True), Plain("low"), Plain("reversed-pair"), Plain("in-value")],
)
def lone_surrogates_are_no_text(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Refusing the document is right, and so is finding no annotation in it; the official profile takes them."""
    lone = {"high": "\ud800", "low": "\udfff", "reversed-pair": "\udc00\ud800", "in-value": "\udabc"}[case.id]
    mark = Mark("q1?", lone) if case.id == "in-value" else Mark(f"q{lone}", "5")
    try:
        found = pairs(subject.parse(mark.text))
    except ValueError:
        found = []
    expected = [] if subject.profile.name == "strict" else [(mark.query, mark.value)]
    yield equal("annotations with a lone surrogate", found, expected)


# A reading, because generated documents depend on every decision of the grammar, readings too.
@REQUIREMENTS.add(
    "RIG-44",
    Level.READING,
    "On generated documents the annotations are those of the grammar.",
    source="grammar",
    catches="a mistake that nobody thought of",
    cases=GENERATED,
)
def generated_documents_agree_with_the_reference(
    subject: RigSubject, case: GeneratedTexts, dtype: str
) -> Iterator[Comparison]:
    """Compare with the reference on generated documents."""
    for text in generated(case):
        yield equal_lists("annotations", pairs(subject.parse(text)), read_by_reference(text, subject.profile.name), text)
