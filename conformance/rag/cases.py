"""Answers written by hand with the queries that a reader must return; only generated ones ask the reference."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.engine.text_comparison import TextCase, generated_cases, group
from impls.implementation import Unsupported


@dataclass(frozen=True)
class RagCase(TextCase):
    """One answer. ``strict`` is what a strict reader returns, in order; ``official`` is every query of the official one.

    None: the rule is not one of that profile.
    """

    id: str
    text: str
    strict: tuple[str, ...] | None
    official: frozenset[str] | None

    def expected(self, profile: str) -> tuple[str, ...] | frozenset[str]:
        """What the profile of that name reads; Unsupported where the rule does not concern it."""
        answer = self.strict if profile == "strict" else self.official
        if answer is None:
            other = "strict" if profile == "official" else "official"
            raise Unsupported(f"a rule of the {other} profile; this reader declares {profile}")
        return answer


def both(name: str, text: str, *queries: str) -> RagCase:
    """An answer in which both profiles find the same queries."""
    return RagCase(name, text, queries, frozenset(queries))


def differ(name: str, text: str, strict: tuple[str, ...], official: tuple[str, ...]) -> RagCase:
    """An answer that the two profiles read differently."""
    return RagCase(name, text, strict, frozenset(official))


def strict_only(name: str, text: str, *queries: str) -> RagCase:
    """An answer about a rule that the official profile has no word on."""
    return RagCase(name, text, queries, None)


POPULATION = "What is the population of Sunnyvale, CA?"
FEMALES = "What is the percentage of females in Sunnyvale, CA?"
AGE = "How has the median age changed over time in Sunnyvale, CA?"
NUMBERED = tuple(f"What is q{n} in Paris?" for n in range(40))

_WHITE_SPACE = "\t\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""White_Space but for U+000A, which ends a line."""

_CONTROLS = "".join(map(chr, (*range(0x0A), *range(0x0B, 0x20), 0x7F)))


def lines(name: str, *queries: str) -> RagCase:
    """Lines that are queries as they stand, in both profiles."""
    return both(name, "\n".join(queries), *queries)


def ruled_out(name: str, *others: str) -> RagCase:
    """Lines that only the official reader returns, before one that both do."""
    return differ(name, "\n".join((*others, FEMALES)), (FEMALES,), (*others, FEMALES))


VECTORS: dict[str, tuple[RagCase, ...]] = {
    "RAG-01": group(
        both("example", f"{POPULATION}\n{FEMALES}\n{AGE}\n", POPULATION, FEMALES, AGE),
        both("one", POPULATION, POPULATION),
    ),
    "RAG-02": group(both("empty", ""), both("line-feed", "\n"), both("blank", " \n\t\n\u00a0\n\n")),
    "RAG-03": group(
        both("crlf", f"{POPULATION}\r\n{FEMALES}\r\n", POPULATION, FEMALES),
        both("many", f"{POPULATION}\r\n" * 99 + f"{FEMALES}\r\n", POPULATION, FEMALES),
        both("mixed", f"{POPULATION}\r\n{FEMALES}\n{AGE}\r\n", POPULATION, FEMALES, AGE),
    ),
    "RAG-04": group(
        both("unterminated", f"{POPULATION}\n{FEMALES}", POPULATION, FEMALES),
        both("cut", f"{POPULATION}\nWhat is the perc", POPULATION, "What is the perc"),
    ),
    "RAG-05": group(
        both("between", f"{POPULATION}\n\n{FEMALES}\n\n\n{AGE}\n", POPULATION, FEMALES, AGE),
        both("leading", f"\n\n{POPULATION}\n", POPULATION),
        both("white-space-lines", f"{POPULATION}\n \t \n\r\n{FEMALES}\n", POPULATION, FEMALES),
    ),
    "RAG-06": group(
        both("spaces", f"  {POPULATION}  \n\t{FEMALES}\n", POPULATION, FEMALES),
        both("unicode-space", f"\u00a0{POPULATION}\u3000\n\u2028{FEMALES}\x85\n", POPULATION, FEMALES),
        both(
            "each-white-space", "".join(f"{space}q{n}?{space}\n" for n, space in enumerate(_WHITE_SPACE)),
            *(f"q{n}?" for n in range(len(_WHITE_SPACE))),
        ),
        both("byte-order-mark-is-none", f"\ufeff{POPULATION}\n", f"\ufeff{POPULATION}"),
        both("zero-width-is-none", f"{POPULATION}\u200b\n", f"{POPULATION}\u200b"),
    ),
    "RAG-08": group(
        differ("repeated", f"{POPULATION}\n{FEMALES}\n{POPULATION}\n", (POPULATION, FEMALES), (POPULATION, FEMALES)),
        both("after-trimming", f"{POPULATION}\n {POPULATION}\r\n", POPULATION),
    ),
    "RAG-09": group(
        both("case", "Is it a?\nis it a?\nIS IT A?\n", "Is it a?", "is it a?", "IS IT A?"),
        both("inner-space", "a b?\na  b?\n", "a b?", "a  b?"),
        both("composition", "caf\u00e9?\ncafe\u0301?\n", "caf\u00e9?", "cafe\u0301?"),
        lines("case-late", *NUMBERED[:24], NUMBERED[0].upper()),
        both("full-stop", "a\na.\na?\n", "a", "a.", "a?"),
    ),
    "RAG-10": group(
        RagCase("30-queries", "\n".join(NUMBERED[:30]), NUMBERED[:25], frozenset(NUMBERED[:30])),
        RagCase("26-queries", "\n".join(NUMBERED[:26]) + "\n", NUMBERED[:25], frozenset(NUMBERED[:26])),
        both("25-queries", "\n".join(NUMBERED[:25]), *NUMBERED[:25]),
    ),
    "RAG-11": group(
        strict_only("repeats", "\n".join(n for n in NUMBERED[:25] for _ in range(2)), *NUMBERED[:25]),
        strict_only("blank-lines", "\n\n".join(NUMBERED[:25]), *NUMBERED[:25]),
        strict_only("left-out", "- a\n" * 25 + "\n".join(NUMBERED[:25]), *NUMBERED[:25]),
    ),
    "RAG-12": group(
        differ("dash", f"- {POPULATION}\n{FEMALES}\n", (FEMALES,), (f"- {POPULATION}", FEMALES)),
        differ("star", f"* {POPULATION}\n+ {AGE}\n{FEMALES}", (FEMALES,), (f"* {POPULATION}", f"+ {AGE}", FEMALES)),
        differ("bullet", f"  \u2022\u00a0{POPULATION}\n{FEMALES}", (FEMALES,), (f"\u2022\u00a0{POPULATION}", FEMALES)),
        ruled_out("each", "- a", "* b", "+ c", "\u2022 d", "*", "+", "\u2022", "-\u00a0e", "- - f", "*\u3000g"),
        differ("bare-dash", f"-\n{FEMALES}", (FEMALES,), ("-", FEMALES)),
    ),
    "RAG-13": group(
        differ("dot", f"1. {POPULATION}\n{FEMALES}\n", (FEMALES,), (f"1. {POPULATION}", FEMALES)),
        differ("two-digits", f"12) {POPULATION}\n{FEMALES}", (FEMALES,), (f"12) {POPULATION}", FEMALES)),
        ruled_out("one-digit", "1. a", "1) b", "(1) c", "0. d", "9)\u00a0e", "(0)\u3000f", "1.", "1)", "(1)"),
        ruled_out("two-digits-each", "12. a", "12) b", "(12) c", "00. d", "99)\u00a0e", "12.", "12)", "(12)"),
        ruled_out(
            "every-space",
            *(f"{marker}{space}a{n}?" for n, space in enumerate(_WHITE_SPACE[4:])
              for marker in ("1.", "12)", "(3)", "(12)", "-")),
        ),
        differ("parentheses", f"(3) {POPULATION}\n{FEMALES}", (FEMALES,), (f"(3) {POPULATION}", FEMALES)),
    ),
    "RAG-14": group(
        both("quantity", "5 largest cities?\n2.5 million where?\n", "5 largest cities?", "2.5 million where?"),
        both("year", "2020. Then what?\n1990) and after?\n", "2020. Then what?", "1990) and after?"),
        both("tight-dash", "-5 degrees where?\n*bold* where?\n", "-5 degrees where?", "*bold* where?"),
        lines("three-digits", "100. a?", "100) b?", "(100) c?", "001. d?"),
        lines("tight", "1.a?", "1)b?", "(1)c?", "\u2022d?", "+5% e?", "--f?", "1.\u200bg?"),
        lines("other-marks", "1: a?", "[1] b?", "(1 c?", "1] d?", "(1. e?", "1 f?", "#1 g?", "1, h?", "1.) i?", "{1} j?"),
        lines("other-digits", "\u0661. a?", "\uff11. b?", "\u0661) c?", "(\u0661) d?", "\u2460 e?", "1\uff0e f?"),
        lines("other-bullets", "\u2013 a?", "\u2014 b?", "\u00b7 c?", "\u25e6 d?", "\u2023 e?", "\u25aa f?", "\u25cf g?"),
        lines("other-headings", "# a?", "> b?", "| c?", "~ d?", "= e?", "Q1. f?", "A. g?", "IV. h?", "** i?"),
        both("letter", "a) first?\n(i) second?\nNo. 1?\n", "a) first?", "(i) second?", "No. 1?"),
    ),
    "RAG-15": group(
        both("line-separator", "a\u2028b?\nc\u2029d?\n", "a\u2028b?", "c\u2029d?"),
        both("next-line", "a\x85b?\n", "a\x85b?"),
    ),
    "RAG-16": group(
        differ("tab", "a\tb?\nc?\n", ("c?",), ("a\tb?", "c?")),
        differ("carriage-return", "a?\rb?\nc?\n", ("c?",), ("a?\rb?", "c?")),
        differ("vertical-tab-form-feed", "a\x0bb?\na\x0cb?\nc?", ("c?",), ("a\x0bb?", "a\x0cb?", "c?")),
        differ("nul-delete", "a\x00?\nb\x7f?\nc?", ("c?",), ("a\x00?", "b\x7f?", "c?")),
        ruled_out("each", *(f"a{control}?" for control in _CONTROLS)),
        differ(
            "information-separators-outside", "\x1ca?\nb?\x1d\n\x1e\n \x1f \nc?", ("c?",), ("a?", "b?", "c?"),
        ),
        differ("file-separator", "a\x1cb?\nc?", ("c?",), ("a\x1cb?", "c?")),
    ),
    "RAG-17": group(
        both("no-question-mark", "Population of Paris\nWHAT? Ever!\n", "Population of Paris", "WHAT? Ever!"),
        both("quotes-and-markup", "\"What is x?\"\n**What is y?**\n'z?'\n", '"What is x?"', "**What is y?**", "'z?'"),
        both("commas", "a, b, c?\nd; e?\n", "a, b, c?", "d; e?"),
        both("unicode", "سكان مصر؟\n\U0001f4c8 e\u0301?\n", "سكان مصر؟", "\U0001f4c8 e\u0301?"),
        both("empty-bracket", "[]\n", "[]"),
        lines("preamble", "Here are the questions:", "```", "a?,", "https://x.org/?a=b", "---", "...", "```text", "No."),
        lines("escapes-of-others", "AT&amp;T?", "a%20b+c?", "\\n?", "`d`?", "<b>e</b>?", "\\u0041 {x} ${x}?"),
        both("json", '["a?", "b?"]', '["a?", "b?"]'),
        both("json-object", '{"queries": ["a?"]}', '{"queries": ["a?"]}'),
    ),
}  # fmt: skip
"""Cases by requirement, except those about order and about what no hand wrote."""

ORDER: tuple[RagCase, ...] = group(
    strict_only("descending", "z?\ny?\nx?\nm?\na?\n", "z?", "y?", "x?", "m?", "a?"),
    strict_only("first-of-equal-ones", "b?\na?\nb?\nc?\na?\n", "b?", "a?", "c?"),
    strict_only("many", "\n".join(reversed(NUMBERED[:25])), *reversed(NUMBERED[:25])),
)


_PIECES = (
    "a?", "b?", "What is x in y?", "\n", "\n", "\n", "\r\n", "\r", " ", "\t", "- ", "1. ", "(2) ", "\x00", "\u2028", "\x85",
    "é",
)  # fmt: skip

GENERATED = generated_cases(_PIECES, 40)
