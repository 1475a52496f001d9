"""The rules of RIG. Sources: the paper's appendix A, the official code (llm-tools df971f8), and decisions of the grammar.

"Grammar" is `reference.rig.grammar`, which gives the reason of each decision. Where the official profile differs from the
strict one, the statement says both.
"""

from __future__ import annotations

from conformance.requirement import Requirement

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "RIG-01",
        "The description's example holds one annotation, with its query and its value.",
        "App. A; the format's description",
        "a parser that does not read the format at all",
    ),
    Requirement(
        "RIG-02",
        "A text without an annotation has none.",
        "App. A",
        "a parser that takes parts of the format, or footnotes and links, for annotations",
    ),
    Requirement(
        "RIG-03", "Annotations are found in the order of the text.", "rig.py:105", "greedy strings that run to the last quote"
    ),
    Requirement(
        "RIG-04",
        "Annotations with nothing between them are all found.",
        "grammar: document",
        "swallowing the character after an annotation",
    ),
    Requirement(
        "RIG-05",
        "A query that occurs twice with different values gives two annotations.",
        "LLM_JUDGE_PROMPT: duplicates are fine",
        "results kept in a mapping by query",
    ),
    Requirement(
        "RIG-06",
        "Identical annotations are all kept.",
        "LLM_JUDGE_PROMPT: duplicates are fine",
        "results kept in a set",
    ),
    Requirement("RIG-07", "A value may be empty.", "rig.py:26 (*)", "asking for at least one character of value"),
    Requirement("RIG-08", "A query may not be empty.", "rig.py:26 (+)", "taking an empty query"),
    Requirement(
        "RIG-09",
        "A query of spaces alone is no query; the official profile takes it.",
        "grammar: qblack",
        "asking for a character where a visible one is needed",
    ),
    Requirement(
        "RIG-10",
        "Queries and values are given verbatim, with their spaces.",
        "grammar: query, value",
        "stripping or collapsing white space",
    ),
    Requirement(
        "RIG-11",
        "A value may hold brackets, parentheses, bars and arrows.",
        "grammar: qchar",
        "ending the value at the first ']' or ')]'",
    ),
    Requirement(
        "RIG-12",
        "A query may hold brackets, parentheses, arrows, dollars and apostrophes.",
        "grammar: qchar; App. A ($1.90 a day)",
        "ending the query at the first ')' or refusing '['",
    ),
    Requirement(
        "RIG-13",
        "The closing bracket is required; the official profile reads an annotation without it.",
        "rig.py:26 (?) against rig.py:149",
        "an optional bracket, which leaves raw markup behind when annotations are replaced",
    ),
    Requirement(
        "RIG-14",
        "White space is exact: one U+0020 on each side of the arrow, none anywhere else.",
        "rig.py:26",
        "allowing any white space between the parts",
    ),
    Requirement(
        "RIG-15", "The arrow is '-->' and the ')' before it is required.", "rig.py:26", "accepting look-alikes of the arrow"
    ),
    Requirement("RIG-16", "The marker is case-sensitive.", "rig.py:26", "matching without regard to case"),
    Requirement(
        "RIG-17",
        "The opener is '[__DC__(' exactly: what Markdown or a model made of it is text.",
        "rig.py:26; App. A, the second manual rewrite",
        "an opener without its bracket or its underscores",
    ),
    Requirement("RIG-18", "Only U+0022 delimits strings.", "rig.py:26", "accepting single or typographic quotation marks"),
    Requirement(
        "RIG-19",
        "There is no escape: a backslash is a character, and the quote after it ends the string.",
        "rig.py:26",
        "honouring backslash escapes, which the official reader would cut",
    ),
    Requirement(
        "RIG-20",
        "A line break inside a string makes it no annotation; the official profile takes it.",
        "grammar: qchar (C0)",
        "strings that run over line ends",
    ),
    Requirement(
        "RIG-21",
        "Any other control character inside a string makes it no annotation; the official profile takes it.",
        "grammar: qchar (C0 and DEL)",
        "forbidding line feeds only",
    ),
    Requirement(
        "RIG-22",
        "U+0085, U+2028, U+2029, U+00A0, the C1 range and everything above are ordinary characters.",
        "grammar: qchar",
        "splitting lines where Unicode or Python does, or taking ASCII only",
    ),
    Requirement(
        "RIG-23",
        "A blank query is told by the Unicode property White_Space; the official profile takes it.",
        "grammar: qblack",
        "a trim that knows only ASCII, or one that trims U+FEFF as JavaScript's does",
    ),
    Requirement(
        "RIG-24",
        "Characters are given as they came, in any script.",
        "grammar: qchar",
        "normalising, folding or dropping characters",
    ),
    Requirement(
        "RIG-25",
        "An annotation inside a value is found, and not the one around it; the official profile reads up to its quote.",
        "grammar: value",
        "a value that may hold quotes",
    ),
    Requirement(
        "RIG-26",
        "An annotation inside a query is found, and not the one around it.",
        "grammar: query",
        "giving up the text of a failed candidate",
    ),
    Requirement(
        "RIG-27",
        "An opener inside a string begins nothing where the annotation around it is whole: the leftmost wins.",
        "grammar: document",
        "splitting at openers first",
    ),
    Requirement(
        "RIG-28",
        "The beginning of an opener before an annotation is text.",
        "grammar: document",
        "forgetting a bracket that may begin the next opener",
    ),
    Requirement(
        "RIG-29",
        "After a failed candidate the reading goes on inside it.",
        "grammar: document",
        "skipping the whole candidate, and the annotation that begins in it",
    ),
    Requirement(
        "RIG-30",
        "What is cut off at the end of the input is no annotation, and those before it stay.",
        "huggingface_api.py: MAX_NEW_TOKENS",
        "failing on, or making up the end of, a truncated answer",
    ),
    Requirement(
        "RIG-31",
        "Resolved tags and footnotes are no annotations.",
        "rig.py:126 to 165",
        "reading '[__DC__#1(...)]' as an annotation",
    ),
    Requirement(
        "RIG-32",
        "Markdown, HTML and JSON around an annotation mean nothing.",
        "App. A (annotations in bold); grammar",
        "skipping code, links or escaped brackets",
    ),
    Requirement(
        "RIG-33",
        "Line ends and control characters outside annotations mean nothing.",
        "grammar: text",
        "reading line by line, or only where a line begins with an annotation",
    ),
    Requirement(
        "RIG-34",
        "A span reaches from the opening bracket to past the closing one.",
        "grammar: annotation",
        "spans of the query, or inclusive ends",
    ),
    Requirement(
        "RIG-35",
        "Spans count code points (or the declared unit) where the text is not ASCII.",
        "the declared interface",
        "offsets in bytes that are not declared",
    ),
    Requirement(
        "RIG-36",
        "Spans count code points (or the declared unit) beyond the basic multilingual plane.",
        "the declared interface",
        "offsets in UTF-16 units that are not declared",
    ),
    Requirement(
        "RIG-37",
        "A span holds the annotation's own bracket and no other.",
        "grammar: close; rig.py:26 (?)",
        "taking every bracket that follows",
    ),
    Requirement(
        "RIG-38",
        "Equal annotations have different spans.",
        "the declared interface",
        "looking each annotation up in the text again",
    ),
    Requirement(
        "RIG-39",
        "Spans are counted in the text as given.",
        "the declared interface",
        "converting line ends or trimming the text first",
    ),
    Requirement(
        "RIG-40",
        "A parser remembers nothing between two documents.",
        "the declared interface",
        "results that are kept or shared",
    ),
    Requirement("RIG-41", "Nothing is too long.", "grammar", "limits on strings, and recursion over annotations"),
    Requirement(
        "RIG-42",
        "Every document is finished, hostile ones of 200 000 characters too.",
        "grammar is regular",
        "patterns that backtrack, and restarts that re-read",
    ),
    Requirement(
        "RIG-43",
        "No annotation holds a lone surrogate; the official profile takes it.",
        "grammar: Unicode scalar values",
        "passing on what no UTF-8 can carry",
    ),
    Requirement(
        "RIG-44",
        "On generated documents the annotations are those of the grammar.",
        "grammar",
        "a mistake that nobody thought of",
    ),
    Requirement(
        "RIG-45",
        "A streaming reader finds the same annotations in chunks of any size.",
        "grammar; streaming",
        "matching inside each chunk alone",
    ),
    Requirement(
        "RIG-46",
        "A streaming reader hands out all text, once and in order.",
        "grammar; streaming",
        "text lost where a chunk ends or a candidate fails",
    ),
    Requirement(
        "RIG-47",
        "A streaming reader holds back a live candidate only.",
        "grammar; streaming",
        "waiting for the end of the line, or of the document",
    ),
    Requirement(
        "RIG-48",
        "At the end a streaming reader hands out what is unfinished as text.",
        "grammar; streaming",
        "dropping a truncated annotation",
    ),
    Requirement(
        "RIG-49",
        "A streaming reader's spans count from the beginning of the document.",
        "grammar; streaming",
        "spans in the chunk",
    ),
    Requirement(
        "RIG-50",
        "A writer writes the exact literal, escaping nothing.",
        "rig.py:149",
        "escaping, normalising or trimming what is written",
    ),
    Requirement(
        "RIG-51",
        "Writing what was read gives the document back.",
        "grammar",
        "refusing or changing text that only resembles an annotation",
    ),
    Requirement(
        "RIG-52",
        "A writer refuses U+0022 in a query or a value.",
        "grammar: no escape",
        "writing a backslash before it, which the official reader cuts",
    ),
    Requirement("RIG-53", "A writer refuses a blank query.", "grammar: qblack", "writing what no reader reads"),
    Requirement(
        "RIG-54",
        "A writer refuses control characters in a query or a value.",
        "grammar: qchar",
        "writing what no reader reads",
    ),
    Requirement(
        "RIG-55",
        "A writer refuses text that would read as an annotation, alone or with its neighbours.",
        "grammar",
        "statistics forged by quoted text",
    ),
    Requirement(
        "RIG-56",
        "A document is well formed if and only if every opener in it opens an annotation or stands in one.",
        "grammar",
        "calling everything well formed that can be read",
    ),
)
