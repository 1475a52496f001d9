"""Requirements on what is read from documents that are written by hand: annotations and their spans."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import equal_lists
from conformance.rig.cases import SPANS, VECTORS, RigCase, marks
from conformance.rig.harness.subject import RigSubject
from conformance.rig.requirements.comparisons import REQUIREMENTS, pairs


def annotations_are_found(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """The queries and values of a hand-written document."""
    expected = pairs(marks(case.segments(subject.profile.name)))
    yield equal_lists("annotations", pairs(subject.parse(case.text)), expected, case.text)


def spans_are_found(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """The spans of a hand-written document."""
    expected = [found[2:] for found in marks(case.segments(subject.profile.name))]
    yield equal_lists("spans", [found[2:] for found in subject.parse(case.text)], expected, case.text)


_ANNOTATIONS = (
    ("RIG-01", Level.DEFINITION, "The description's example holds one annotation, with its query and its value.",
     "App. A; the format's description", "a parser that does not read the format at all"),
    ("RIG-02", Level.DEFINITION, "A text without an annotation has none.",
     "App. A", "a parser that takes parts of the format, or footnotes and links, for annotations"),
    ("RIG-03", Level.DEFINITION, "Annotations are found in the order of the text.",
     "rig.py:105", "greedy strings that run to the last quote"),
    ("RIG-04", Level.DEFINITION, "Annotations with nothing between them are all found.",
     "grammar: document", "swallowing the character after an annotation"),
    ("RIG-05", Level.DEFINITION, "A query that occurs twice with different values gives two annotations.",
     "LLM_JUDGE_PROMPT: duplicates are fine", "results kept in a mapping by query"),
    ("RIG-06", Level.DEFINITION, "Identical annotations are all kept.",
     "LLM_JUDGE_PROMPT: duplicates are fine", "results kept in a set"),
    ("RIG-07", Level.DEFINITION, "A value may be empty.", "rig.py:26 (*)", "asking for at least one character of value"),
    ("RIG-08", Level.DEFINITION, "A query may not be empty.", "rig.py:26 (+)", "taking an empty query"),
    ("RIG-09", Level.READING, "A query of spaces alone is no query; the official profile takes it.",
     "grammar: qblack", "asking for a character where a visible one is needed"),
    ("RIG-10", Level.DEFINITION, "Queries and values are given verbatim, with their spaces.",
     "grammar: query, value", "stripping or collapsing white space"),
    ("RIG-11", Level.DEFINITION, "A value may hold brackets, parentheses, bars and arrows.",
     "grammar: qchar", "ending the value at the first ']' or ')]'"),
    ("RIG-12", Level.DEFINITION, "A query may hold brackets, parentheses, arrows, dollars and apostrophes.",
     "grammar: qchar; App. A ($1.90 a day)", "ending the query at the first ')' or refusing '['"),
    ("RIG-13", Level.READING, "The closing bracket is required; the official profile reads an annotation without it.",
     "rig.py:26 (?) against rig.py:149", "an optional bracket, which leaves raw markup behind when annotations are replaced"),
    ("RIG-14", Level.DEFINITION, "White space is exact: one U+0020 on each side of the arrow, none anywhere else.",
     "rig.py:26", "allowing any white space between the parts"),
    ("RIG-15", Level.DEFINITION, "The arrow is '-->' and the ')' before it is required.",
     "rig.py:26", "accepting look-alikes of the arrow"),
    ("RIG-16", Level.DEFINITION, "The marker is case-sensitive.", "rig.py:26", "matching without regard to case"),
    ("RIG-17", Level.DEFINITION, "The opener is '[__DC__(' exactly: what Markdown or a model made of it is text.",
     "rig.py:26; App. A, the second manual rewrite", "an opener without its bracket or its underscores"),
    ("RIG-18", Level.DEFINITION, "Only U+0022 delimits strings.",
     "rig.py:26", "accepting single or typographic quotation marks"),
    ("RIG-19", Level.DEFINITION, "There is no escape: a backslash is a character, and the quote after it ends the string.",
     "rig.py:26", "honouring backslash escapes, which the official reader would cut"),
    ("RIG-20", Level.READING, "A line break inside a string makes it no annotation; the official profile takes it.",
     "grammar: qchar (C0)", "strings that run over line ends"),
    ("RIG-21", Level.READING,
     "Any other control character inside a string makes it no annotation; the official profile takes it.",
     "grammar: qchar (C0 and DEL)", "forbidding line feeds only"),
    ("RIG-22", Level.DEFINITION, "U+0085, U+2028, U+2029, U+00A0, the C1 range and everything above are ordinary characters.",
     "grammar: qchar", "splitting lines where Unicode or Python does, or taking ASCII only"),
    ("RIG-23", Level.READING, "A blank query is told by the Unicode property White_Space; the official profile takes it.",
     "grammar: qblack", "a trim that knows only ASCII, or one that trims U+FEFF as JavaScript's does"),
    ("RIG-24", Level.DEFINITION, "Characters are given as they came, in any script.",
     "grammar: qchar", "normalising, folding or dropping characters"),
    ("RIG-25", Level.READING,
     "An annotation inside a value is found, and not the one around it; the official profile reads up to its quote.",
     "grammar: value", "a value that may hold quotes"),
    ("RIG-26", Level.DEFINITION, "An annotation inside a query is found, and not the one around it.",
     "grammar: query", "giving up the text of a failed candidate"),
    ("RIG-27", Level.DEFINITION,
     "An opener inside a string begins nothing where the annotation around it is whole: the leftmost wins.",
     "grammar: document", "splitting at openers first"),
    ("RIG-28", Level.DEFINITION, "The beginning of an opener before an annotation is text.",
     "grammar: document", "forgetting a bracket that may begin the next opener"),
    ("RIG-29", Level.DEFINITION, "After a failed candidate the reading goes on inside it.",
     "grammar: document", "skipping the whole candidate, and the annotation that begins in it"),
    ("RIG-30", Level.DEFINITION, "What is cut off at the end of the input is no annotation, and those before it stay.",
     "huggingface_api.py: MAX_NEW_TOKENS", "failing on, or making up the end of, a truncated answer"),
    ("RIG-31", Level.DEFINITION, "Resolved tags and footnotes are no annotations.",
     "rig.py:126 to 165", "reading '[__DC__#1(...)]' as an annotation"),
    ("RIG-32", Level.DEFINITION, "Markdown, HTML and JSON around an annotation mean nothing.",
     "App. A (annotations in bold); grammar", "skipping code, links or escaped brackets"),
    ("RIG-33", Level.DEFINITION, "Line ends and control characters outside annotations mean nothing.",
     "grammar: text", "reading line by line, or only where a line begins with an annotation"),)  # fmt: skip
_SPANS = (
    ("RIG-34", Level.INTERFACE, "A span reaches from the opening bracket to past the closing one.",
     "grammar: annotation", "spans of the query, or inclusive ends"),
    ("RIG-35", Level.INTERFACE, "Spans count code points (or the declared unit) where the text is not ASCII.",
     "the declared interface", "offsets in bytes that are not declared"),
    ("RIG-36", Level.INTERFACE, "Spans count code points (or the declared unit) beyond the basic multilingual plane.",
     "the declared interface", "offsets in UTF-16 units that are not declared"),
    ("RIG-37", Level.INTERFACE, "A span holds the annotation's own bracket and no other.",
     "grammar: close; rig.py:26 (?)", "taking every bracket that follows"),
    ("RIG-38", Level.INTERFACE, "Equal annotations have different spans.",
     "the declared interface", "looking each annotation up in the text again"),
    ("RIG-39", Level.INTERFACE, "Spans are counted in the text as given.",
     "the declared interface", "converting line ends or trimming the text first"),)  # fmt: skip
"""Id, level, statement, source and the bug to catch; the cases stand under the id in `conformance.rig.cases`."""

for _table, _cases, _check in ((_ANNOTATIONS, VECTORS, annotations_are_found), (_SPANS, SPANS, spans_are_found)):
    for _id, _level, _statement, _source, _catches in _table:
        REQUIREMENTS.add(_id, _level, _statement, source=_source, catches=_catches, cases=_cases[_id])(_check)
