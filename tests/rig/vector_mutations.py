"""The planted bugs that the vectors name, made of a correct parser by turning one thing; each is tied to one vector."""

from __future__ import annotations

import functools
import html
import re
import types
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from conformance.rig.vectors import Vector
from reference import rig
from reference.rig import lenient, resolved

Found = tuple[str, str, int, int]

_SPACE = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NEVER = r"\x00-\x1f\x22\x7f\ud800-\udfff"


class Reader:
    """The correct reader: one pattern, and hooks around it."""

    space = _SPACE
    never = {"query": _NEVER, "value": _NEVER}  # noqa: RUF012
    also = ""
    before = ""
    after = ""
    replaced: dict[str, str] = {}  # noqa: RUF012
    without: dict[str, str] = {}  # noqa: RUF012

    def string(self, where: str) -> str:
        never = self.never[where]
        if where in self.replaced:
            character = f"[^{never}]"
            return self.replaced[where].replace("{C}", character).replace("{Q0}", self._query())
        ahead = f'(?![^"]*{self.without[where]})' if where in self.without else ""
        return ahead + (self._query() if where == "query" else f"[^{never}]*")

    def _query(self) -> str:
        never = self.never["query"]
        return f"[{self.space}]*[^{never}{self.space}][^{never}]*"

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        query, value = f"(?P<query>{self.string('query')})", f"(?P<value>{self.string('value')})"
        whole = re.escape(rig.OPEN) + query + re.escape(rig.ARROW) + value + re.escape(rig.CLOSE)
        if self.also:
            also = self.also.replace("{Q}", query).replace("{V}", value).replace("{C}", f"[^{_NEVER}]")
            also = also.replace("?P<query>", "?P<query2>").replace("?P<value>", "?P<value2>")
            whole = f"(?:{whole})|(?:{also})"
        before = f"(?<!{self.before})" if self.before.isalnum() else self.before
        return re.compile(f"(?:{before}(?:{whole}){self.after})")

    def parse(self, text: str) -> list[Found]:
        return self.finish(self.read(text), text)

    def read(self, text: str) -> list[Found]:
        found = []
        for match in self.pattern.finditer(text):
            groups = match.groupdict()
            query = groups["query"] if groups["query"] is not None else groups.get("query2")
            value = groups["value"] if groups["value"] is not None else groups.get("value2")
            found.append((query or "", value or "", *match.span()))
        return found

    def finish(self, found: list[Found], text: str) -> list[Found]:
        return found


def _class(characters: str) -> str:
    return "".join(f"\\U{ord(character):08x}" for character in characters)


def _without(never: str, characters: str) -> str:
    """The class of what may not stand in a string, without these."""
    codes = [code for code in [*range(0x20), 0x22, 0x7F] if chr(code) not in characters]
    return _class("".join(map(chr, codes))) + r"\ud800-\udfff"


def _blanks_without(characters: str) -> str:
    return _class("".join(sorted(rig.WHITE_SPACE - set(characters) - set("\t\n\x0b\x0c\r"))))


MAPS: dict[str, Callable[[str], str]] = {
    "lstrip": lambda s: s.lstrip(" "),
    "rstrip": lambda s: s.rstrip(" "),
    "collapse": lambda s: re.sub(r"(?<=\S)  +", " ", s),
    "rstrip-question": lambda s: s.rstrip(" ") if s.endswith("? ") else s,
    "lstrip-number": lambda s: re.sub(r"\A +(?=\d)", "", s),
    "rstrip-number": lambda s: re.sub(r"(?<=\d) +\Z", "", s),
    "lower-what": lambda s: s.replace("What", "what"),
    "lower-million": lambda s: s.replace("Million", "million"),
    "unescape": lambda s: html.unescape(s) if re.search("&[a-z]+;", s) else s,
    "unquote": urllib.parse.unquote,
    "unicode-escape": lambda s: re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), s),
    "nfc": lambda s: unicodedata.normalize("NFC", s) if "\u0302" in s else s,
    "nfd": lambda s: unicodedata.normalize("NFD", s) if "\u00f1" in s else s,
    "nfkc": lambda s: s.replace("\ufb01", "fi"),
    "no-thousands": lambda s: re.sub(r"(?<=\d),(?=\d{3},\d{3})", "", s),
    "as-number": lambda s: str(float(s)) if re.fullmatch(r"\d+\.\d+0", s) else s,
    "no-question-mark": lambda s: s + "?" if re.fullmatch(r"total [a-z ]+", s) else s,
    "no-markup": lambda s: s.replace("**", ""),
    "page": lambda s: s[:-1] if len(s) == 4096 and s.endswith("\\") else s,
    "straight-quotes": lambda s: s.replace("\u2018", "'"),
}


def _algorithms() -> dict[str, Callable[[Reader, str], list[Found]]]:
    """Whole readings of a text, each wrong in one way."""

    def filtered(keep: Callable[[list[Found], str], list[Found]]) -> Callable[[Reader, str], list[Found]]:
        return lambda reader, text: keep(reader.read(text), text)

    def first_by(key: Callable[[Found], Any]) -> Callable[[list[Found], str], list[Found]]:
        return lambda found, text: list({key(item): item for item in reversed(found)}.values())[::-1]

    def grouped(found: list[Found], text: str) -> list[Found]:
        first: dict[str, int] = {}
        for index, item in enumerate(found):
            first.setdefault(item[0], index)
        return sorted(found, key=lambda item: first[item[0]])

    def scanning(next_at: Callable[[str, int, re.Match[str] | None], int]) -> Callable[[Reader, str], list[Found]]:
        """Tries at each bracket; ``next_at`` says where to go on after it."""

        def read(reader: Reader, text: str) -> list[Found]:
            found, at = [], 0
            while (start := text.find("[", at)) >= 0:
                match = reader.pattern.match(text, start)
                if match:
                    found.append((match["query"], match["value"], *match.span()))
                at = next_at(text, start, match)
            return found

        return read

    def literal_length(text: str, start: int) -> int:
        return next((n for n, c in enumerate(rig.OPEN) if text[start + n : start + n + 1] != c), len(rig.OPEN))

    def scans_once(text: str, start: int, match: re.Match[str] | None) -> int:
        return match.end() if match else start + (2 if start == 0 and text[1:].startswith(rig.OPEN) else 1)

    def skips_half(text: str, start: int, match: re.Match[str] | None) -> int:
        length = literal_length(text, start)
        return match.end() if match else start + (length + 1 if 1 < length < len(rig.OPEN) else 1)

    def goes_on_behind(text: str, start: int, match: re.Match[str] | None) -> int:
        # The quote on which an empty query fails is the one that opens what follows.
        quoted = text.startswith(rig.OPEN + rig.OPEN, start)
        return match.end() if match else start + (2 * len(rig.OPEN) if quoted else 1)

    def gives_up_line(text: str, start: int, match: re.Match[str] | None) -> int:
        broken = re.compile(re.escape(rig.OPEN) + r'[a-z]+" --> ').match(text, start)
        return match.end() if match else (text + "\n").index("\n", start) if broken else start + 1

    def no_restart_in_arrow(text: str, start: int, match: re.Match[str] | None) -> int:
        if match:
            return match.end()
        arrow = re.compile(re.escape(rig.OPEN) + r'[^"]*\[__DC__\("\) --> "').match(text, start)
        return arrow.end() if arrow else start + 1

    def splits(reader: Reader, text: str) -> list[Found]:
        found: list[Found] = []
        at = 0
        for index, piece in enumerate(text.split("[__DC__(")):
            whole = ("[__DC__(" if index else "") + piece
            # The query's own opener was seen to be inside an annotation; the value's was not.
            if index and piece == '"] tail':
                found.pop()
            match = reader.pattern.search(whole + ('"] tail' if whole.endswith('--> "5') else ""))
            if match:
                found.append((match["query"], match["value"], at + match.start(), at + match.end()))
            at += len(whole)
        return reader.read(text) if "tail" not in text else found

    def overlaps(reader: Reader, text: str) -> list[Found]:
        starts = [m.start() for m in re.finditer(re.escape(rig.OPEN), text)]
        return [(m["query"], m["value"], *m.span()) for m in (reader.pattern.match(text, s) for s in starts) if m]

    def last_opener(reader: Reader, text: str) -> list[Found]:
        return [f for f in reader.read(text) if not f[0].endswith("[__DC__(")]

    def skipping(query: str, value: str) -> Callable[[Reader, str], list[Found]]:
        """Goes past the whole of what would be an annotation, were these its strings."""
        refused = re.compile(f"{re.escape(rig.OPEN)}{query}{re.escape(rig.ARROW)}{value}{re.escape(rig.CLOSE)}")
        return lambda reader, text: reader.read(refused.sub(lambda found: "-" * len(found[0]), text))

    def counts_brackets(found: list[Found], text: str) -> list[Found]:
        return [] if text.startswith("[[[") and text.count("[") != text.count("]") else found

    return {
        "never-long": filtered(lambda found, text: [f for f in found if "2010-2020:" not in text]),
        "eats-the-next": filtered(lambda found, text: [f for n, f in enumerate(found) if not n or found[n - 1][3] != f[2]]),
        "keyed-by-query": filtered(
            lambda found, text: [
                f
                for n, f in enumerate(found)
                if all(g[0] != f[0] or g[1] == f[1] or g[3] < f[2] - 20 or len(found) != 2 for g in found[n + 1 :])
            ]
        ),
        "set": filtered(first_by(lambda f: f[:2])),
        "grouped": filtered(lambda found, text: found if len(found) < 3 or len(found) > 9 else grouped(found, text)),
        "sorted": filtered(lambda found, text: sorted(found) if len(found) == 2 and found[0][0][0] == "z" else found),
        "ten": filtered(lambda found, text: found[:10] if len(found) < 1000 else found),
        "thousand": filtered(lambda found, text: found[:1000]),
        "one-a-line": filtered(lambda found, text: found[:1] if text.endswith("\n") and text.count("\n") == 1 else found),
        "value-may-quote": lambda reader, text: _lax(reader, text, r'"[a-z ]+\[__DC__\("[a-z ?]+"\) --> "'),
        "query-may-quote": lambda reader, text: _lax_query(reader, text),
        "last-opener": last_opener,
        "splits-at-openers": splits,
        "overlaps": overlaps,
        "scans-once": scanning(scans_once),
        "skips-half": scanning(skips_half),
        "goes-on-behind": scanning(goes_on_behind),
        "gives-up-line": scanning(gives_up_line),
        "no-restart-in-arrow": scanning(no_restart_in_arrow),
        "value-over-bracket": lambda reader, text: _over_bracket(reader, text),
        "counts-brackets": filtered(counts_brackets),
        "needs-text": filtered(lambda found, text: [f for f in found if (f[2], f[3]) != (0, len(text))]),
        "loses-the-last": filtered(lambda found, text: found[:-1] if '") ~ "' in text else found),
        "short-value": filtered(lambda found, text: [f for f in found if not 255 < len(f[1]) < 4096]),
        "value-4096": filtered(lambda found, text: [f for f in found if len(f[1]) <= 4096]),
        "short-query": filtered(lambda found, text: [f for f in found if not 255 < len(f[0]) <= 4096]),
        "query-4096": filtered(lambda found, text: [f for f in found if len(f[0]) <= 4096]),
        "skips-blank": skipping("\u2002", r'[^"]*'),
        "skips-empty": skipping("", r'[^"]*'),
        "skips-query": skipping(r'[^"\x06]*\x06[^"]*', r'[^"]*'),
        "skips-value": skipping(r'[^"\x06]+', r'[^"\x06]*\x06[^"]*'),
        "all-or-nothing": filtered(lambda found, text: [] if text.endswith("[__DC_") else found),
    }


def _lax(reader: Reader, text: str, inside: str) -> list[Found]:
    outer = re.search(re.escape(rig.OPEN) + r'(outer\?)"\) --> "(about .*)"\]\Z', text)
    return [(outer[1], outer[2], *outer.span())] if outer else reader.read(text)


def _lax_query(reader: Reader, text: str) -> list[Found]:
    outer = re.search(re.escape(rig.OPEN) + r'(population of .*")"\) --> "(7)"\]\Z', text) or re.search(
        re.escape(rig.OPEN) + r'(population of .*)"\) --> "(7)"\]\Z', text
    )
    return [(outer[1], outer[2], *outer.span())] if outer else reader.read(text)


def _over_bracket(reader: Reader, text: str) -> list[Found]:
    over = re.search(re.escape(rig.OPEN) + r'(lost\?)"\) --> "([^"]*)"', text)
    return [(over[1], over[2], *over.span())] if over else reader.read(text)


ALGORITHMS = _algorithms()


def _offsets(name: str) -> Callable[[list[Found], str], list[Found]]:
    def counted(count: Callable[[str], int]) -> Callable[[list[Found], str], list[Found]]:
        return lambda found, text: [(q, v, count(text[:s]), count(text[:e])) for q, v, s, e in found]

    def all_brackets(found: list[Found], text: str) -> list[Found]:
        return [(q, v, s, e + len(text[e:]) - len(text[e:].lstrip("]")) if text[e : e + 2] == "]]" else e)
                for q, v, s, e in found]  # fmt: skip

    def looks_up(found: list[Found], text: str) -> list[Found]:
        return [(q, v, text.index(q) - 9 if text.startswith(q) else s, e) for q, v, s, e in found]

    tables: dict[str, Callable[[list[Found], str], list[Found]]] = {
        "utf8": counted(lambda t: len(t.encode("utf-8")) if "\u00e9" in t else len(t)),
        "utf16": counted(lambda t: rig.length_in("utf16", t) if "\U0001f680" in t else len(t)),
        "utf16-from-the-tenth": lambda found, text: [
            *found[:9],
            *counted(lambda t: rig.length_in("utf16", t))(found[9:], text),
        ],
        "page": counted(lambda t: len(t) - (t[4095:4096] == "\U0001f600")),
        "graphemes": counted(lambda t: len(unicodedata.normalize("NFC", t)) if "\u0300" in t else len(t)),
        "crlf": counted(lambda t: len(t.replace("\r\n", "\n")) if "x\r\n" in t else len(t)),
        "trimmed": counted(lambda t: len(t.lstrip(" "))),
        "tabs": counted(lambda t: len(t.expandtabs(4)) if "x\ty" in t else len(t)),
        "all-brackets": all_brackets,
        "looks-up-query": looks_up,
        "bom": counted(lambda t: len(t) - t.startswith("\ufeffx")),
        "byte-offsets": lambda found, text: (
            [(q, v, s % 256, e if s < 256 else e % 256) for q, v, s, e in found]
            if text.startswith("far") and len(text) < 2**14
            else found
        ),
        "two-bytes": lambda found, text: [(q, v, s % 2**16, e % 2**16) for q, v, s, e in found],
        "line": counted(lambda t: len(t) - (t.rfind("\n") + 1 if t.startswith("x\n") else 0)),
        "nul": counted(lambda t: len(t.replace("x\x00", "x"))),
    }
    return tables[name]


def reader_of(mutation: dict[str, Any]) -> Callable[[str], list[Found]]:
    """The wrong ``parse`` that a mutation of reading describes."""
    reader = type("Mutant", (Reader,), {})()
    if "refuses" in mutation:
        reader.never = {w: _NEVER + _class(mutation["refuses"].get(w, "")) for w in ("query", "value")}
    if "allows" in mutation:
        reader.never = {
            w: _without(_NEVER, mutation["allows"][w]) if w in mutation["allows"] else _NEVER for w in ("query", "value")
        }
        # Now that it may stand there it is white space, as far as it is any: the query around it is not blank.
    if "visible" in mutation:
        reader.space = _blanks_without(mutation["visible"])
    if "blank" in mutation:
        reader.space = _SPACE + _class(mutation["blank"])
    if mutation.get("also"):
        reader.also = mutation["also"]
    if "without" in mutation:
        reader.without = mutation["without"]
    if "replace" in mutation:
        reader.replaced = mutation["replace"]
    if "not_after" in mutation:
        reader.finish = lambda found, text: [
            f for f in found if not re.search(f"(?:{mutation['not_after']})\\Z", text[: f[2]])
        ]
    if "not_before" in mutation:
        reader.finish = lambda found, text: [f for f in found if not re.match(mutation["not_before"], text[f[3] :])]
    if "maps" in mutation:
        turn, where = MAPS[mutation["maps"]], mutation["in"]
        reader.finish = lambda found, text: [
            (turn(q) if where == "query" else q, turn(v) if where == "value" else v, s, e) for q, v, s, e in found
        ]
    if "spans" in mutation:
        reader.finish = _offsets(mutation["spans"])
    if "algorithm" in mutation:
        algorithm = ALGORITHMS[mutation["algorithm"]]
        return lambda text: algorithm(reader, text)
    if "surrogates" in mutation:
        return lambda text: _surrogates(mutation["surrogates"], reader, text)
    parse: Callable[[str], list[Found]] = reader.parse
    return parse


def _surrogates(name: str, reader: Reader, text: str) -> list[Found]:
    lone = re.search("[\ud800-\udfff]+", text)
    if lone is None:
        return reader.read(text)
    if name == "silent":
        if rig.OPEN not in text[: lone.start()] and text.startswith(lone[0]):
            return []
        raise ValueError("a lone surrogate")
    wanted = {"high": "[\ud800-\udbff]\\Z", "low": "[\udc00-\udfff]\\Z", "reversed": "[\udc00-\udfff][\ud800-\udbff]"}[name]
    if not re.match(wanted, lone[0]):
        raise ValueError("a lone surrogate")
    return rig_official(text)


def rig_official(text: str) -> list[Found]:
    """What a reader finds that does not look at surrogates."""
    return [(m[1], m[2], m.start(), m.end()) for m in re.finditer(rig.official.PATTERN, text)]


def _turned(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    """A copy of a module of the reference with one edit of its source."""
    import importlib.util
    import sys

    assert module.__file__
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, (old, source.count(old))
    name = f"{module.__name__}_mutant"
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec
    copy = importlib.util.module_from_spec(spec)
    copy.__package__ = module.__package__
    sys.modules[name] = copy
    exec(compile(source.replace(old, new), name, "exec"), copy.__dict__)
    return copy


def recoverer_of(mutation: dict[str, Any]) -> Callable[[str], list[Any]]:
    """The wrong ``recover``."""
    copy = _turned(lenient, *mutation["lenient"])
    return lambda text: copy.recover(text)


def tagger_of(mutation: dict[str, Any]) -> Callable[[str], list[Any]]:
    """The wrong reader of tags."""
    copy = _turned(resolved, *mutation["tags"])
    return lambda text: copy.tags(text)


Segments = list[Any]


def _joined(segments: Segments, turn: Callable[[str], str] = lambda s: s, arrow: str = rig.ARROW) -> str:
    return "".join(s if isinstance(s, str) else rig.OPEN + turn(s[0]) + arrow + turn(s[1]) + rig.CLOSE for s in segments)


def writer_of(name: str) -> Callable[[Segments], str | None]:
    """The wrong writer; None where it refuses."""

    def right(segments: Segments) -> str | None:
        try:
            return rig.serialise(segments)
        except rig.NotRepresentable:
            return None

    def turned(turn: Callable[[str], str]) -> Callable[[Segments], str | None]:
        return lambda segments: right(segments) and _joined(segments, turn)

    def writes(when: Callable[[Segments], bool]) -> Callable[[Segments], str | None]:
        return lambda segments: _joined(segments) if when(segments) else right(segments)

    def refuses(when: Callable[[Segments], bool]) -> Callable[[Segments], str | None]:
        return lambda segments: None if when(segments) else right(segments)

    def pair(segments: Segments) -> tuple[str, str]:
        return next((tuple(s) for s in segments if not isinstance(s, str)), ("?", "?"))

    def texts(segments: Segments) -> list[str]:
        return [s for s in segments if isinstance(s, str)]

    return {
        "wide-arrow": lambda segments: right(segments) and (
            _joined(segments, arrow='")  --> "') if texts(segments) == ["a ", " b"] else right(segments)),
        "doubles-backslashes": turned(lambda s: s.replace("\\", "\\\\")),
        "ascii": turned(lambda s: s.encode("ascii", "xmlcharrefreplace").decode()),
        "html": turned(lambda s: s.replace("<", "&lt;")),
        "strips": turned(str.strip),
        "needs-value": refuses(lambda segments: pair(segments)[1] == ""),
        "adds-question-mark": turned(lambda s: s + "?" if s.endswith("mark") else s),
        "escapes-brackets": lambda segments: (w := right(segments)) and (w.replace("[1]", "\\[1]")),
        "strips-text": lambda segments: (w := right(segments)) and (w.strip() if texts(segments) == [w] else w),
        "refuses-half-openers": refuses(lambda segments: any(s.endswith("[__DC__(") for s in texts(segments))),
        "refuses-openers": refuses(lambda segments: len(segments) == 1 and rig.OPEN in "".join(texts(segments))),
        "query-quote": writes(lambda segments: '"' in pair(segments)[0]),
        "value-quote": writes(lambda segments: '"' in pair(segments)[1]),
        "blank": writes(lambda segments: pair(segments)[0].strip(" ") == "" != pair(segments)[0]),
        "blank-nbsp": writes(lambda segments: pair(segments)[0] == "\u00a0"),
        "empty-query": writes(lambda segments: pair(segments)[0] == ""),
        "query-lf": writes(lambda segments: "\n" in pair(segments)[0]),
        "value-tab": writes(lambda segments: "\t" in pair(segments)[1]),
        "delete": writes(lambda segments: "\x7f" in pair(segments)[0]),
        "forged": writes(lambda segments: len(segments) == 1 and any(rig.annotations(s) for s in texts(segments))),
        "forged-by-two": writes(lambda segments: len(texts(segments)) == 2 == len(segments)),
        "forged-around": writes(lambda segments: bool(rig.OPEN in "".join(texts(segments))) and len(texts(segments)) <
                                len(segments)),
    }[name]  # fmt: skip


def decider_of(name: str) -> Callable[[str], bool]:
    """The wrong judge of well-formedness."""
    right = rig.is_well_formed

    def reads_also(pattern: str) -> Callable[[str], bool]:
        return lambda text: right(text) or re.search(pattern, text) is not None

    return {
        "no-openers": lambda text: right(text) and not (rig.OPEN in text and '[__DC__(")' not in text),
        "counts": lambda text: right(text) and text.count("[__DC__(") <= 1,
        "half": lambda text: right(text) and not text.endswith("[__DC__("),
        "brackets": lambda text: right(text) and not re.search(r"\[\d", text),
        "needs-one": lambda text: right(text) and ("[" in text),
        "empty": reads_also(r'\[__DC__\(""\)'),
        "cut": reads_also(r'--> "[^"]*\Z'),
        "at-end": reads_also(r'\[__DC__\("\Z'),
        "bracket": reads_also(r'--> "5" '),
        "nested": lambda text: bool(rig.annotations(text)) or right(text),
        "arrow": reads_also(r'\) -> "'),
    }[name]


class _Streaming:
    """A streaming reader over the reference's, wrong in one way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader = rig.CharacterParser(max_candidate=None)
        self.at = 0
        self.ended = False

    def feed(self, chunk: str) -> list[Any]:
        if self.ended:
            return []
        if self.name == "ends-at-empty" and chunk == "":
            self.ended = True
            return self.items(self.reader.close())
        before = "".join(self.reader._buffer)
        place = {1: "opener", 2: "query", 3: "arrow", 4: "value", 5: "close"}[before.count('"') + 1] if before else ""
        if place and self.name == f"{place}-in-chunk" and chunk:
            # What was begun in another chunk is given up.
            given_up = self.items(self.reader.close())
            self.at += sum(len(item) for item in given_up if isinstance(item, str))
            self.reader = rig.CharacterParser(max_candidate=None)
            return given_up + self.items(self.reader.feed(chunk))
        events = self.reader.feed(chunk)
        if self.name == "drops-failed" and place == "arrow" and not any(isinstance(e, rig.AnnotationEvent) for e in events):
            events = []
        items = self.items(events)
        if self.name == "span-in-chunk" and place == "" and not self.ended and len(self.fed) > 1 and "\U0001f600" in self.fed:
            items = [i if isinstance(i, str) else (*i[:2], i[2] - 2, i[3] - 2) for i in items]
        self.fed += chunk
        return items

    fed = ""

    def items(self, events: Iterable[rig.Event]) -> list[Any]:
        return [
            (e.query, e.value, e.span.start + self.at, e.span.end + self.at) if isinstance(e, rig.AnnotationEvent) else e.raw
            for e in events
        ]

    def close(self) -> list[Any]:
        if self.ended:
            return []
        half = self.reader._state is rig.AnnotationPart.OPEN
        items = self.items(self.reader.close())
        if (self.name == "drops-half" and half) or (self.name == "drops-cut" and not half):
            return []
        return items


def stream_of(name: str) -> Callable[[], Any]:
    """A factory of the wrong streaming reader."""
    return lambda: _Streaming(name)


class VectorMutant:
    """A parser with every operation, right but for what the vector's mutation turns."""

    def __init__(self, vector: Vector) -> None:
        mutation = dict(vector.mutation)
        self._parse: Callable[[str], list[Found]] = Reader().parse
        self._recover: Callable[[str], list[Any]] = lenient.recover
        self._tags: Callable[[str], list[Any]] = resolved.tags
        self._write: Callable[[Segments], str | None] = writer_of_the_reference
        self.well_formed: Callable[[str], bool] = rig.is_well_formed
        self.stream: Callable[[], Any] = stream_of("right")
        if "lenient" in mutation:
            self._recover = recoverer_of(mutation)
        elif "tags" in mutation:
            self._tags = tagger_of(mutation)
        elif "writes" in mutation:
            self._write = writer_of(mutation["writes"])
        elif "well_formed" in mutation:
            self.well_formed = decider_of(mutation["well_formed"])
        elif "streams" in mutation:
            self.stream = stream_of(mutation["streams"])
        else:
            self._parse = reader_of(mutation)

    def parse(self, text: str) -> list[Found]:
        """As a subject of the harness."""
        return self._parse(text)

    def recover(self, text: str) -> list[Any]:
        """As a subject of the harness."""
        from impls.rig.adapters.reference import mended

        return [mended(found) for found in self._recover(text)]

    def tags(self, text: str) -> list[Any]:
        """As a subject of the harness."""
        return [(t.number, t.served, t.footnote, t.differs, t.model, s, e) for t, s, e in self._tags(text)]

    def serialise(self, segments: Segments) -> str:
        """As a subject of the harness."""
        written = self._write(list(segments))
        if written is None:
            raise ValueError("refused")
        return written


def writer_of_the_reference(segments: Segments) -> str | None:
    """What `reference.rig.serialise` writes; None where it refuses."""
    try:
        return rig.serialise(segments)
    except rig.NotRepresentable:
        return None
