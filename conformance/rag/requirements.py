"""The rules of RAG. Sources: the paper (page 9, appendix B), the official code (llm-tools df971f8), decisions of the grammar.

"Grammar" is `reference.rag.grammar`. Where the official profile differs from the strict one, the statement says both.
"""

from __future__ import annotations

from conformance.engine.requirement import Level, Requirement

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "RAG-01",
        Level.DEFINITION,
        "Each line of an answer is a query.",
        "p. 9: one per line",
        "a reader that does not read lines",
    ),
    Requirement(
        "RAG-02", Level.DEFINITION, "An empty answer has no query.", "App. B: an empty response", "returning one empty query"
    ),
    Requirement(
        "RAG-03", Level.DEFINITION, "Lines may end in CR LF.", "grammar: eol; rag.py:79 (strip)", "leaving the CR on the query"
    ),
    Requirement("RAG-04", Level.DEFINITION, "The last line needs no end.", "rag.py:79", "dropping what no line feed ends"),
    Requirement(
        "RAG-05", Level.DEFINITION, "Blank lines are no queries.", "rag.py:79 (if q.strip())", "returning empty queries"
    ),
    Requirement(
        "RAG-06",
        Level.DEFINITION,
        "White space around a query is not part of it.",
        "rag.py:79 (strip)",
        "trimming nothing, ASCII alone, or invisible characters that are no white space",
    ),
    Requirement(
        "RAG-07",
        Level.DEFINITION,
        "A strict reader keeps the order.",
        "grammar: list",
        "the official reader's set, whose order is random",
    ),
    Requirement("RAG-08", Level.DEFINITION, "A query is returned once.", "rag.py:80 (set)", "asking the same question twice"),
    Requirement(
        "RAG-09",
        Level.DEFINITION,
        "Queries that differ in any character are different.",
        "rag.py:80 (set)",
        "folding case, white space or composition when looking for repeats",
    ),
    Requirement(
        "RAG-10",
        Level.DEFINITION,
        "At most 25 queries are returned: the first ones; in the official profile any.",
        "App. B; rag.py:80",
        "no limit, or another one",
    ),
    Requirement(
        "RAG-11",
        Level.DEFINITION,
        "What is left out does not count towards the 25.",
        "grammar: list",
        "cutting to 25 lines first",
    ),
    Requirement(
        "RAG-12",
        Level.DEFINITION,
        "A line with a bullet is no query; the official profile returns it with its bullet.",
        "p. 9: without any numbering or bullet",
        "returning bullets, or mending what was asked for without them",
    ),
    Requirement(
        "RAG-13",
        Level.DEFINITION,
        "A numbered line is no query; the official profile returns it with its number.",
        "p. 9: without any numbering or bullet",
        "returning numbers, or mending what was asked for without them",
    ),
    Requirement(
        "RAG-14",
        Level.DEFINITION,
        "A number or sign that belongs to the question is no list marker.",
        "grammar: list-marker",
        "taking '2.5 million' or '-5' for a marker",
    ),
    Requirement(
        "RAG-15",
        Level.DEFINITION,
        "U+0085, U+2028 and U+2029 end no line.",
        "grammar: eol; rag.py:79",
        "splitting lines as Unicode does",
    ),
    Requirement(
        "RAG-16",
        Level.DEFINITION,
        "A line with a control character inside is no query; the official profile returns it. None ends a line.",
        "grammar: query",
        "splitting at, or passing on, tabs, carriage returns and form feeds",
    ),
    Requirement(
        "RAG-17",
        Level.DEFINITION,
        "A query is given as it came.",
        "rag.py:79",
        "mending case, quotes, markup or the question mark",
    ),
    Requirement(
        "RAG-18",
        Level.DEFINITION,
        "A reader remembers nothing between two answers.",
        "the declared interface",
        "results that are kept",
    ),
    Requirement(
        "RAG-19", Level.DEFINITION, "Nothing is too long.", "grammar is regular", "trims that backtrack, and limits on lines"
    ),
    Requirement(
        "RAG-20",
        Level.DEFINITION,
        "No query holds a lone surrogate; the official profile takes it.",
        "grammar: Unicode scalar values",
        "passing on what no UTF-8 can carry",
    ),
    Requirement(
        "RAG-21",
        Level.DEFINITION,
        "On generated answers the queries are those of the grammar.",
        "grammar",
        "a mistake that nobody thought of",
    ),
)
