"""Documents written by hand as the pieces that a parser must find in them, so that no parser is needed to know the answer.

A case is a sequence of segments: strings are text, a `Mark` is an annotation. The document is their concatenation, the
expected annotations with their spans are the marks, and the reference is not asked. Where the official profile reads the
same document differently, a second segmentation says so. Only for `GENERATED` and `HostileDocument` is the reference asked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from conformance.engine.text_comparison import TextCase, generated_cases, group
from impls.implementation import Unsupported
from reference import rig


@dataclass(frozen=True)
class Mark:
    """An annotation that must be found. ``raw`` is its text where that is not the canonical literal."""

    query: str
    value: str
    raw: str = ""

    @property
    def text(self) -> str:
        """Its text in the document."""
        return self.raw or f'[__DC__("{self.query}") --> "{self.value}"]'


Segments = tuple[str | Mark, ...]
Found = tuple[str, str, int, int]


def written(segments: Segments) -> str:
    """The document that the segments make."""
    return "".join(segment if isinstance(segment, str) else segment.text for segment in segments)


def marks(segments: Segments) -> list[Found]:
    """Its annotations, with their spans in code points."""
    found, at = [], 0
    for segment in segments:
        length = len(segment if isinstance(segment, str) else segment.text)
        if isinstance(segment, Mark):
            found.append((segment.query, segment.value, at, at + length))
        at += length
    return found


@dataclass(frozen=True)
class RigCase(TextCase):
    """One document. A profile whose segments are None is not asked: the rule is not one of that profile."""

    id: str
    strict: Segments
    official: Segments | None

    def __post_init__(self) -> None:
        if self.official is not None and written(self.official) != written(self.strict):
            raise ValueError(f"case {self.id}: the two profiles are given different documents")

    @property
    def text(self) -> str:
        """The document."""
        return written(self.strict)

    def segments(self, profile: str) -> Segments:
        """What the profile of that name finds; Unsupported where the rule does not concern it."""
        segments = self.strict if profile == "strict" else self.official
        if segments is None:
            raise Unsupported(f"a rule of the strict profile; this parser declares {profile}")
        return segments


def both(name: str, *segments: str | Mark) -> RigCase:
    """A document that both profiles read alike."""
    return RigCase(name, segments, segments)


def differ(name: str, strict: Segments, official: Segments) -> RigCase:
    """A document that the two profiles read differently."""
    return RigCase(name, strict, official)


def strict_only(name: str, *segments: str | Mark) -> RigCase:
    """A document about a rule that the official profile has no word on."""
    return RigCase(name, segments, None)


def streaming(*cases: RigCase) -> tuple[RigCase, ...]:
    """The cases of one requirement on a reader in chunks."""
    return group(*(replace(case, needs=frozenset({"stream"})) for case in cases))


def not_in_strict(name: str, query: str, value: str) -> RigCase:
    """One annotation in the official profile, nothing but text in the strict one."""
    mark = Mark(query, value)
    return differ(name, ("a ", mark.text, " z"), ("a ", mark, " z"))


Q, R = Mark("q1?", "5"), Mark("q2?", "6")
UNCLOSED = Mark("q1?", "5", '[__DC__("q1?") --> "5"')
"""`Q` without its bracket, as the official profile reads it."""

_OPENER, _ARROW = range(8), range(13, 19)
"""Where the opener up to its parenthesis, and ``) --> `` between the quotes, stand in ``Q.text``."""

_WHITE_SPACE = " \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""White_Space but for its control characters."""

_CONTROLS = "".join(map(chr, range(0x20))) + "\x7f"
_GRAPHIC = "".join(map(chr, range(0x21, 0x7F)))


def _every(where: Iterable[int], *edits: Callable[[str], str]) -> str:
    """``Q.text`` again and again, each time with one of its characters turned by one of the edits."""
    text = Q.text
    return " ".join(text[:at] + edit(text[at]) + text[at + 1 :] for edit in edits for at in where)


def _with(inserted: str) -> Callable[[str], str]:
    """The edit that puts something after a character."""
    return lambda character: character + inserted


def _gone(character: str) -> str:
    return ""


def _twice(character: str) -> str:
    return 2 * character


def _not_in_strict_each(name: str, *pieces: Mark) -> RigCase:
    """Annotations of the official profile, none of the strict one, in one document."""
    return differ(name, ("".join(mark.text for mark in pieces),), pieces)


VECTORS: dict[str, tuple[RigCase, ...]] = {
    "RIG-01": group(
        both(
            "example", "**2010-2020:** The female population in Sunnyvale has been steadily increasing, reaching a ",
            Mark("what was the percentage of females in Sunnyvale, CA in 2020?", "51.6%"), " majority",
        ),
        both("whole-document", Mark("q1?", "39 million")),
    ),
    "RIG-02": group(
        both("prose", "Sunnyvale [1] (see below) has \"many\" --> [people](http://x)."),
        both("empty"),
        both("marker-words", "__DC__ [__DC__] DC(\"q\") [__DC__(q) --> v]"),
        both("parts-apart", '"] and ") --> " and [__DC__( and "]'),
    ),
    "RIG-03": group(
        both("one-line", "x ", Q, " y ", R, " z"),
        both("three-lines", Q, "\n", R, "\n\n", Mark("q3?", "7"), "\n"),
    ),
    "RIG-04": group(both("two", Q, R), both("four", Q, R, Mark("q3?", "7"), Mark("q4?", ""))),
    "RIG-05": group(both("interleaved", Mark("a?", "1"), " ", Mark("b?", "2"), " ", Mark("a?", "3"))),
    "RIG-06": group(both("identical", Q, " .. ", Q), both("identical-adjacent", Q, Q, Q)),
    "RIG-07": group(both("empty-value", "x ", Mark("q1?", ""), " y")),
    "RIG-08": group(
        both("empty-query", 'x [__DC__("") --> "5"] y'),
        both("empty-both", '[__DC__("") --> ""]'),
    ),
    "RIG-09": group(not_in_strict("spaces", "   ", "5"), not_in_strict("one-space", " ", "")),
    "RIG-10": group(
        both("spaces-inside", Mark(" q1? ", " 5 ")),
        both("runs-of-spaces", Mark("q  1?", "5   %")),
        both("blank-value", Mark("q1?", "  ")),
    ),
    "RIG-11": group(
        both("tag-end", Mark("q1?", "5)] tail")),
        both("separator", Mark("q1?", "5 || 6")),
        both("footnote", Mark("q1?", "5 [1]")),
        both("arrow", Mark("q1?", "5 --> 6")),
        both("arrow-tail", Mark("q1?", ") --> ")),
        both("closed-twice", Q, "]"),
    ),
    "RIG-12": group(
        both("brackets", Mark("pop of [Paris] (TX)?", "5")),
        both("dollar-apostrophe", Mark("Côte d'Ivoire's share under $1.90 a day?", "5")),
        both("arrow", Mark("q --> r) --> s", "5")),
        both("bracket-end", Mark("q]", "5")),
        both("opener-start", Mark("[__DC__(q", "5")),
    ),
    "RIG-13": group(
        differ(
            "missing-mid", ('x [__DC__("q1?") --> "5" y',), ("x ", UNCLOSED, " y"),
        ),
        differ("missing-at-end", ('x [__DC__("q1?") --> "5"',), ("x ", UNCLOSED)),
        differ(
            "unit-before-bracket", ('[__DC__("q1?") --> "5" million]',), (UNCLOSED, " million]"),
        ),
        differ(
            "other-bracket", ('[__DC__("q1?") --> "5") [__DC__("q1?") --> "5"} [__DC__("q1?") --> "5">',),
            tuple(part for end in (") ", "} ", ">") for part in (UNCLOSED, end)),
        ),
        differ(
            "missing-before-next", ('[__DC__("q1?") --> "5"', R), (UNCLOSED, R),
        ),
    ),
    "RIG-14": group(
        both("arrow-tight", '[__DC__("q1?")-->"5"]'),
        both("arrow-two-spaces", '[__DC__("q1?")  --> "5"] [__DC__("q1?") -->  "5"]'),
        both("arrow-nbsp", '[__DC__("q1?")\u00a0-->\u00a0"5"]'),
        both("arrow-newline", '[__DC__("q1?") -->\n"5"]'),
        both("arrow-tab", '[__DC__("q1?")\t--> "5"]'),
        both("bracket-space", '[ __DC__("q1?") --> "5"]'),
        both("parenthesis-space", '[__DC__( "q1?" ) --> "5"] [__DC__ ("q1?") --> "5"]'),
        *(
            both(f"{name}-anywhere", _every((*_OPENER, 12, *_ARROW), _with(space)))
            for name, space in (("space", " "), ("line-feed", "\n"), ("tab", "\t"), ("no-break-space", "\u00a0"))
        ),
        both("arrow-half-tight", _every((14, 18), _gone)),
        differ("close-newline", ('[__DC__("q1?") --> "5"\n]',), (UNCLOSED, "\n]")),
        differ("close-space", ('[__DC__("q1?") --> "5" ]',), (UNCLOSED, " ]")),
    ),
    "RIG-15": group(
        both("short-arrow", '[__DC__("q1?") -> "5"]'),
        both("long-arrow", '[__DC__("q1?") ---> "5"] [__DC__("q1?") -->> "5"]'),
        both("double-arrow", '[__DC__("q1?") => "5"] [__DC__("q1?") ==> "5"]'),
        both("unicode-arrow", '[__DC__("q1?") \u2192 "5"] [__DC__("q1?") \u2013> "5"]'),
        both("html-arrow", '[__DC__("q1?") --&gt; "5"]'),
        both("no-arrow", '[__DC__("q1?")] [__DC__("q1?") "5"]'),
        both("edited", _every((13, 15, 16, 17), _gone, _twice, _with("-"), _with("x"), _with(":"), lambda _: ":")),
        both("no-parenthesis", '[__DC__("q1?" --> "5"]'),
    ),
    "RIG-16": group(
        both("lower", '[__dc__("q1?") --> "5"]'),
        both("mixed", '[__Dc__("q1?") --> "5"] [__dC__("q1?") --> "5"]'),
    ),
    "RIG-17": group(
        both("bold-eaten", '[DC("q1?") --> "5"] [**DC**("q1?") --> "5"]'),
        both("markdown-escaped", '[\\_\\_DC\\_\\_("q1?") --> "5"]'),
        both(
            "currency-for-bracket", "* **San Francisco, CA:** ",
            '$__DC__("what was the average household income of San Francisco in 2021?") --> "$127,909"]',
        ),
        both("other-brackets", '(__DC__("q1?") --> "5") {__DC__("q1?") --> "5"} \uff3b__DC__("q1?") --> "5"]'),
        both("one-underscore", '[_DC_("q1?") --> "5"] [___DC___("q1?") --> "5"]'),
        both("edited", _every(_OPENER[1:], _gone, _twice, lambda _: "*", lambda _: " ")),
        both("word-inside", _every(_OPENER, _with("x"), _with(":"), _with("\\"), _with("\u200b"))),
        both("word-before", '[x__DC__("q1?") --> "5"]'),
    ),
    "RIG-18": group(
        both("single", "[__DC__('q1?') --> '5']"),
        both("curly", "[__DC__(\u201cq1?\u201d) --> \u201c5\u201d]"),
        both("entity", "[__DC__(&quot;q1?&quot;) --> &quot;5&quot;]"),
        both("full-width", "[__DC__(\uff02q1?\uff02) --> \uff025\uff02]"),
        both("none", "[__DC__(q1?) --> 5]"),
        both("unquoted-value", '[__DC__("q1?") --> 5]'),
        both("inside", Mark("the \u201chomeless\u201d of 'SF'?", "\u20185\u2019")),
    ),
    "RIG-19": group(
        both("value-ends-in-backslash", Mark("q1?", "5\\")),
        both("escaped-in-query", '[__DC__("how many \\"homeless\\" in SF?") --> "5"]'),
        differ(
            "escaped-in-value", ('[__DC__("q1?") --> "5 \\"approx\\""]',),
            (Mark("q1?", "5 \\", '[__DC__("q1?") --> "5 \\"'), 'approx\\""]'),
        ),
        both("letters-after-backslash", Mark("C:\\new\\temp?", "\\u0035\\x35")),
        both("query-ends-in-backslash", Mark("q1?\\", "5")),
        both("doubled-quotes", '[__DC__("how many ""homeless"" in SF?") --> "5"]'),
    ),
    "RIG-20": group(
        not_in_strict("newline-in-query", "q\n1?", "5"),
        not_in_strict("newline-in-value", "q1?", "5\n6"),
        not_in_strict("carriage-return", "q1?", "5\r"),
        not_in_strict("crlf", "q\r\n1?", "5"),
    ),
    "RIG-21": group(
        not_in_strict("tab", "q\t1?", "5"),
        not_in_strict("nul", "q\x001?", "5"),
        not_in_strict("delete", "q1?", "5\x7f"),
        not_in_strict("escape", "q1?", "\x1b[1m5"),
        not_in_strict("unit-separator", "q\x1f1?", "5"),
        not_in_strict("form-feed", "q1?", "5\x0c"),
        not_in_strict("control-before-next", "q\x08", "5"),
        _not_in_strict_each("each-in-query", *(Mark(f"q{control}1?", "5") for control in _CONTROLS)),
        _not_in_strict_each("each-in-value", *(Mark("q1?", f"5{control}") for control in _CONTROLS)),
    ),
    "RIG-22": group(
        both("line-separator", Mark("q\u20281?", "5\u2028")),
        both("paragraph-separator", Mark("q\u20291?", "5")),
        both("next-line", Mark("q\x851?", "5\x856")),
        both("no-break-space", Mark("q\u00a01?", "5\u00a0%")),
        both("c1", Mark("q\x801?", "\x9f5")),
        both("byte-order-mark", "\ufeff", Mark("q\ufeff1?", "5")),
        both("replacement", Mark("q\ufffd1?", "\uffff5")),
        both("last", Mark("q\U0010ffff", "5")),
        both("beside-surrogates", Mark("\ud7ff\ue000?", "\ue000\ud7ff")),
        both("private-and-noncharacters", Mark("\uf8ff\ufdd0\ufffe?", "\U0001fffe\U000e0001\U000e01ef\U000f0000")),
        both("tilde-and-neighbours", Mark("!#~", "[]()\\")),
    ),
    "RIG-23": group(
        not_in_strict("no-break-space", "\u00a0", "5"),
        not_in_strict("ideographic-space", "\u3000 \u2003", "5"),
        not_in_strict("separators", "\u2028\u2029\x85", "5"),
        not_in_strict("ogham", "\u1680\u205f\u202f", "5"),
        _not_in_strict_each("each-alone", *(Mark(space, "5") for space in _WHITE_SPACE)),
        both("zero-width-space", Mark("\u200b", "5")),
        both("byte-order-mark", Mark("\ufeff", "5")),
        both("mongolian-vowel-separator", Mark("\u180e", "5")),
        both("word-joiner", Mark("\u2060", "5")),
    ),
    "RIG-24": group(
        both("right-to-left", Mark("سكان مصر؟", "١٠٥ مليون")),
        both("composed-and-not", Mark("caf\u00e9 cafe\u0301", "e\u0301\u00e9")),
        both(
            "emoji", "\U0001f4c8 ",
            Mark("\U0001f468\u200d\U0001f469\u200d\U0001f467 in \U0001f1eb\U0001f1f7?", "5\ufe0f\u20e3"),
        ),
        both("compatibility", Mark("\ufb01nance m\u00b2 \u2126", "\uff15\u00bd")),
        both("cases", Mark("Straße İstanbul ǅ", "ſ")),
        both("invisible", Mark("q\u00ad\u200d1?\ufe0e", "\u200e5\u2069")),
        both("ascii", Mark(_GRAPHIC.replace('"', ""), _GRAPHIC[::-1].replace('"', ""))),
        both("amount", Mark("q1.", "$1,234,567."), " ", Mark("`q1?`", "*+5,0*"), " ", Mark("*q1?*", "`-5'")),
        both("escapes-of-others", Mark("AT&amp;T &#39;%20+%% {x} ${x} <b>?", "<i>5</i> &lt; 6 %25%% **7** __8__")),
        both("no-number", Mark("what is the statistic?", "statistics vary"), " ", Mark("stat", "none")),
    ),
    "RIG-25": group(
        differ(
            "in-value", ('[__DC__("q1?") --> "about ', R, '"]'),
            (Mark("q1?", "about [__DC__(", '[__DC__("q1?") --> "about [__DC__("'), 'q2?") --> "6"]"]'),
        ),
        differ(
            "missing-quote", ('x [__DC__("q1?") --> "5] and ', R, " z"),
            ("x ", Mark("q1?", "5] and [__DC__(", '[__DC__("q1?") --> "5] and [__DC__("'), 'q2?") --> "6"] z'),
        ),
    ),
    "RIG-26": group(
        both("in-query", '[__DC__("pop of ', R, '") --> "7"]'),
        both("thrice", '[__DC__("a [__DC__("b ', R, '") --> "7"]") --> "8"]'),
        both("missing-quote-in-query", '[__DC__("q1?) --> ', R),
    ),
    "RIG-27": group(
        both("query-ends-in-opener", Mark("a[__DC__(", "5")),
        both("value-ends-in-opener", Mark("q1?", "5[__DC__("), " tail"),
        both("query-is-opener", Mark("[__DC__(", "5")),
        both("both-end-in-opener", Mark("a[__DC__(", "b[__DC__("), R),
        both("rest-of-annotation-after", Mark("a?", "b[__DC__("), ' x?") --> "5"] ', R),
    ),
    "RIG-28": group(
        both("bracket", "[", Q),
        both("brackets", "[[[[", Q, "]]]]"),
        both("marker", "[__DC__", Q),
        both("marker-parenthesis", "[__DC__(", Q),
        both("every-prefix", "[", "[_", "[__", "[__D", "[__DC", "[__DC_", "[__DC__", "[__DC__(", Q),
        both("no-bracket", '__DC__("', Q),
    ),
    "RIG-29": group(
        both("after-query", '[__DC__("x") ', R),
        both("after-quote", '[__DC__("x" ', R),
        both("after-arrow", '[__DC__("x") --> ', R),
        both("after-empty-query", '[__DC__("', R),
        both("after-two-empty", '[__DC__("[__DC__("', R),
        differ("after-value", ('[__DC__("x") --> "5" ', R), (Mark("x", "5", '[__DC__("x") --> "5"'), " ", R)),
        both("after-line-break", '[__DC__("x\n', R),
        both("after-empty-query-with-opener-as-value", '[__DC__("") --> "', Mark("] x?", "5")),
        *(
            differ(
                f"after-{name}", (f'[__DC__("{query}") --> "{before}', Mark("] x?", "5")),
                (Mark(query, f"{before}[__DC__("), ' x?") --> "5"]'),
            )
            for name, query, before in (
                ("blank-query", " ", ""),
                ("control-in-query", "a\t", ""),
                ("control-in-value", "a", "\n"),
            )
        ),
        differ(
            "arrow-as-query", ('[__DC__("a', Mark(") --> ", "5")),
            (Mark("a[__DC__(", ") --> ", '[__DC__("a[__DC__(") --> ") --> "'), '5"]'),
        ),
    ),
    "RIG-30": group(
        both("in-query", Q, " and [__DC__(\"what was the popu"),
        both("in-opener", Q, " and [__DC"),
        both("after-bracket", Q, " and ["),
        both("after-opener", Q, ' and [__DC__("'),
        both("in-arrow", Q, ' and [__DC__("q2?") --'),
        both("before-value", Q, ' and [__DC__("q2?") --> '),
        both("in-value", Q, ' and [__DC__("q2?") --> "39 mil'),
        both("at-value", Q, ' and [__DC__("q2?") --> "'),
    ),
    "RIG-31": group(
        both("resolved", "[__DC__#1(5 u [1] || 6)]"),
        both("resolved-bare", "[__DC__#1($1.8 trillion)] and ", Q),
        both("resolved-quoted", '[__DC__#1("q1?") --> "5"]'),
        both("footnote", "\n#### FOOTNOTES ####\n[1] - Per Census, value was 5 in 2020. See more at http://x ", Q),
    ),
    "RIG-32": group(
        both("code-fence", "```\n", Q, "\n```"),
        both("code-span", "`", Q, "`"),
        both("table", "| Paris | ", Mark("q1?", "5 | 6"), " |\n|---|---|\n| Rome | ", R, " |"),
        both("link", "[", Q, "](http://x)"),
        both("bold", "**", Q, " people** _", R, "_"),
        both("comment", "<!-- ", Q, " -->"),
        both("backslash", "\\", Q),
        both("indented", "    ", Q, "\n> ", R, "\n# ", Mark("q3?", "7")),
        both("json", '{"a": "', Q, '"}'),
        both("dollar", "$", Q, " million"),
        both("every-neighbour", *(part for character in _GRAPHIC for part in (character, Q, character))),
        both("mathematics", "$$", Q, "$$ \\(", R, "\\)"),
        both("html", "<code>", Q, "</code> <pre>", R, "</pre>"),
    ),
    "RIG-33": group(
        both("crlf", "a\r\n", Q, "\r\n", R, "\r\n"),
        both("line-feeds-only", "\n\n\n", Q, "\n"),
        both("carriage-returns", "\r", Q, "\r", R),
        both("line-separators", "\u2028", Q, "\u2029\x85", R, "\x0c"),
        both("controls-between", "\x00", Q, "\t\x7f\x1b", R, "\x08"),
    ),
}  # fmt: skip
"""Cases that ask for the queries and values, in order."""

SPANS: dict[str, tuple[RigCase, ...]] = {
    "RIG-34": group(
        both("middle", "x ", Q, " y"),
        both("whole", Q),
        both("end", "x", R),
        both("two", "ab ", Q, " cd ", R, " ef"),
        both("far", "ab c" * 50_000, Q, " ", R),
    ),
    "RIG-35": group(
        both("accent-before", "\u00e9\u00e9 ", Q),
        both("ideographs-inside", "x ", Mark("\u6f22\u5b57?", "\u4e94"), " y ", R),
        both("combining", "e\u0301 ", Mark("e\u0301", "\u0665"), R),
        both("byte-order-mark", "\ufeff", Q),
    ),
    "RIG-36": group(
        both("emoji-before", "\U0001f4c8 ", Q),
        both("emoji-inside", Mark("\U0001f600?", "\U0001f601"), R),
        both("last-code-point", "\U0010ffff", Q, "\U00010000", R),
    ),
    "RIG-37": group(
        both("second-bracket-outside", Q, "]]"),
        differ("no-bracket", ('x [__DC__("q1?") --> "5" ', R), ("x ", UNCLOSED, " ", R)),
        both("brackets-before", "[[", Q, "]"),
    ),
    "RIG-38": group(
        both("twice", "x ", Q, " y ", Q, " z ", Q),
        both("said-before", "q1? 5 ", Q, R),
        both("value-in-query", Mark("5", "5"), Mark("5", "5")),
    ),
    "RIG-39": group(
        both("crlf", "a\r\nb\r\n", Q, "\r\n", R),
        both("controls", "\x00\t\x7f", Q, "\x1b", R),
        both("separators", "\u2028\u2029\x85\x0c", Q, "\r", R),
        both("spaces", "   ", Q, "  \n  ", R, "   "),
    ),
}  # fmt: skip
"""Cases that ask for the spans as well."""

STREAMS: tuple[RigCase, ...] = streaming(
    both("example", *VECTORS["RIG-01"][0].strict),
    both("adjacent", Q, R, Q),
    both("prefixes", "[", "[_", "[__DC__", "[__DC__(", Q, "[", R, "["),
    *(case for case in VECTORS["RIG-25"] + VECTORS["RIG-29"]),
    both("unicode", "\U0001f4c8e\u0301 ", Mark("\U0001f600\u2028?", "\u0665"), " \r\n ", R),
)

UNFINISHED: tuple[RigCase, ...] = streaming(
    *VECTORS["RIG-30"],
    both("plain", "nothing here"),
    both("nothing"),
    differ("no-bracket", ('a [__DC__("q1?") --> "5"',), ("a ", UNCLOSED)),
)

PROSE: tuple[RigCase, ...] = streaming(
    both("no-brackets", "The population of Sunnyvale has been growing for ten years."),
    both("brackets", "a [1] [b](c) [[d]] [_e_] [__f__] [__DC] [__DC__] [__DC__(x)] z"),
    both("quotes", 'say "q") --> "v"] and "w" and __DC__("x") twice'),
    both("annotations", "a ", Q, " b ", R, Q, "\n[", R, "."),
    both("failed", '[__DC__("x") then [__DC__("") then [__DC__("y" --> and more text after it, without an end'),
)


@dataclass(frozen=True)
class SegmentsToWrite(TextCase):
    """Segments to write: with the document that says them, or with none where they must be refused."""

    id: str
    segments: tuple[rig.Segment, ...]
    document: str | None
    needs: frozenset[str] = field(default=frozenset({"serialise"}), kw_only=True)


def writes(name: str, document: str, *segments: rig.Segment) -> SegmentsToWrite:
    """Segments that can be written."""
    return SegmentsToWrite(name, segments, document)


def refuses(name: str, *segments: rig.Segment) -> SegmentsToWrite:
    """Segments that no document says."""
    return SegmentsToWrite(name, segments, None)


SERIALISING: dict[str, tuple[SegmentsToWrite, ...]] = {
    "RIG-50": group(
        writes("one", 'a [__DC__("q1?") --> "5"] b', "a ", ("q1?", "5"), " b"),
        writes("adjacent", '[__DC__("q1?") --> "5"][__DC__("q1?") --> ""]', ("q1?", "5"), ("q1?", "")),
        writes("verbatim", '[__DC__(" caf\u00e9\u2028\\ ") --> " <b>&amp;\' "]', (" caf\u00e9\u2028\\ ", " <b>&amp;' ")),
        writes("nothing", ""),
        writes("text-only", "a [1] \n b", "a [1] \n", " b"),
        writes("opener-in-query", '[__DC__("a[__DC__(") --> "5"]', ("a[__DC__(", "5")),
    ),
    "RIG-52": group(
        refuses("in-value", ("q1?", '5 "approx"')),
        refuses("in-query", ('how many "homeless"?', "5")),
        refuses("after-backslash", ("q1?", '5\\"')),
    ),
    "RIG-53": group(
        refuses("empty", ("", "5")), refuses("space", ("  ", "5")), refuses("no-break-space", ("\u00a0\u3000", "5"))
    ),
    "RIG-54": group(
        refuses("line-break-in-query", ("q\n1?", "5")),
        refuses("tab-in-value", ("q1?", "5\t%")),
        refuses("delete", ("q1?", "\x7f")),
        refuses("carriage-return-in-query", ("q\r1?", "5")),
        refuses("nul-in-value", ("q1?", "5\x00")),
    ),
    "RIG-55": group(
        refuses("whole", 'a [__DC__("q1?") --> "5"] b'),
        refuses("split", "[__DC__", '("q1?") --> "5"]'),
        refuses("around", '[__DC__("q1?") --> "5', '"]'),
        refuses("swallowing", '[__DC__("x', (") --> ", "]5")),
    ),
    "RIG-43": (
        refuses("written-in-query", ("q\ud800", "5")),
        refuses("written-in-value", ("q1?", "\udfff")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class WellFormednessCase(TextCase):
    """Documents that are well formed, or that are not."""

    id: str
    documents: tuple[str, ...]
    well_formed: bool
    quick: bool = field(default=True, kw_only=True)
    needs: frozenset[str] = field(default=frozenset({"well_formed"}), kw_only=True)


WELL_FORMED = (
    WellFormednessCase("well-formed", ("", "plain", Q.text, "[[__DC__(" + R.text, Mark("a[__DC__(", "").text), True),
    WellFormednessCase("around", (f'[__DC__({Q.text}"', f'[__{R.text}DC__("x'), True),
    WellFormednessCase("begun", ("[", "[__DC__", "x [__DC__("), True),
    WellFormednessCase("cut-short", ('[__DC__("', Q.text + ' [__DC__("q', 'x [__DC__("q") --> "5'), False),
    WellFormednessCase("broken", ('[__DC__("") --> "5"]', 'x [__DC__("q") --> "5" y', '[__DC__("a\n") --> "5"]'), False),
    WellFormednessCase("nested", ('[__DC__("a ' + R.text + '") --> "5"]',), False),
)  # fmt: skip


_PIECES = (
    rig.OPEN, rig.OPEN, rig.ARROW, rig.ARROW, rig.CLOSE, rig.CLOSE, '"', "[", "]", ")", "(", " ", "a", "5%", "\\", "\n",
    "\x85", "[__DC__(", ") --> ", " --> ", '__DC__("', "\U0001f600", "é",
)  # fmt: skip


@functools.lru_cache(maxsize=4096)
def read_by_reference(text: str, profile: str) -> list[tuple[str, str]]:
    """What the reference reads."""
    return [(a.query, a.value) for a in rig.annotations(text, rig.PROFILES[profile])]


GENERATED = generated_cases(_PIECES, 24)


@dataclass(frozen=True)
class HostileDocument(TextCase):
    """200 000 characters made of one piece that a backtracking or restarting parser re-reads again and again."""

    id: str
    piece: str
    length: int = 200_000

    @property
    def text(self) -> str:
        """The document."""
        return self.piece * (self.length // len(self.piece))


HOSTILE = (
    HostileDocument("arrows", '[__DC__("a") --> "', 20_000, quick=True),
    HostileDocument("arrows-long", '[__DC__("a") --> "'),
    HostileDocument("openers", '[__DC__("'),
    HostileDocument("nested-openers", '[__DC__("a[__DC__(") --> ") --> "'),
    HostileDocument("spaces", '[__DC__("' + " " * 30_000),
)
