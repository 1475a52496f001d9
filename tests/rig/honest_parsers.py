"""Make parsers, readers in chunks, writers and resolvers of RIG that are right, put together by chance: one for every seed.

What varies: how annotations are found, in what shape they are returned, in which unit offsets count, what is offered and under
which name; how text is handed out and put together; how a resolver asks, writes and takes apart what would be read as markup.
"""

from __future__ import annotations

import random
import re
import urllib.parse
from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from impls.rig.grammar import ARROW, CLOSE, FORBIDDEN, OPEN, QUERY, STRING, WHITE_SPACE, refuse_surrogates
from impls.rig.lenient import LenientAnnotation, attempts

CHOICES: dict[str, tuple[str, ...]] = {
    "profile": ("strict", "strict", "official"),
    "finds by": ("pattern", "named groups", "searches", "pieces between quotes", "characters", "search from the end"),
    "surrogates": ("refused", "not found"),
    "item": (
        "tuple", "list", "mapping", "object", "span tuple", "span range", "span slice", "three", "other order",
        "further fields",
    ),
    "answer": ("list", "tuple", "iterator", "generator", "deque", "mapping", "object"),
    "offsets": ("code points", "code points", "utf8", "utf16"),
    "kind": ("function", "instance", "class", "module"),
    "streams": ("", "stream", "stream"),
    "stream answers": ("list", "tuple", "iterator"),
    "texts": ("joined", "by characters", "as they come"),
    "writes": ("", "serialise", "serialize"),
    "writer checks": ("what it reads back", "each string and what it reads back"),
    "tells": ("", "well_formed", "is_well_formed"),
    "resolves": ("", "resolve"),
    "asks": ("in order", "backward", "sorted", "when needed"),
    "addresses": ("", "quote", "quote_plus", "urlencode"),
    "put together": ("joined", "added up", "replaced from the end"),
    "takes apart by": ("a space", "another sign", "a character that joins words"),
    "without a source": ("Data Commons", "an unknown source"),
    "marks": ("never", "other text", "5 %"),
    "resolved": ("text", "object"),
}  # fmt: skip
"""What varies; a value that stands there twice is taken twice as often."""

Found = tuple[str, str, int, int]
_MADE: dict[int, tuple[Any, dict[str, str]]] = {}
_OTHER_ORDER = namedtuple("_OTHER_ORDER", "end start value query")
_HEADING = "#### FOOTNOTES ####"


def made(seed: int) -> tuple[Any, dict[str, str]]:
    """The plug of that seed, and the choices that it was made by."""
    if seed not in _MADE:
        rng = random.Random(seed)
        choices = {name: rng.choice(values) for name, values in CHOICES.items()}
        _MADE[seed] = _plugged(HonestParser(choices)), choices
    return _MADE[seed]


def __getattr__(name: str) -> Any:
    """``honest12`` is the plug of seed 12, so that it can be plugged in by name."""
    if name.startswith("honest") and name.removeprefix("honest").isdigit():
        return made(int(name.removeprefix("honest")))[0]
    raise AttributeError(name)


def _plugged(parser: HonestParser) -> Any:
    choices = parser.choices
    offered: dict[str, Any] = {"parse": parser.parse}
    offered |= {"stream": lambda: HonestStream(parser)} if choices["streams"] else {}
    strict = choices["profile"] == "strict"
    offered |= {choices["writes"]: parser.write} if choices["writes"] and strict else {}
    offered |= {choices["tells"]: parser.is_whole} if choices["tells"] and strict else {}
    offered |= {"resolve": parser.resolve} if choices["resolves"] and strict else {}
    offered |= {"address": parser.address} if choices["addresses"] else {}

    def parse(text: str) -> Any:
        return parser.parse(text)

    kinds: dict[str, Any] = {
        "function": lambda: parse,
        "instance": lambda: SimpleNamespace(**offered),
        "class": lambda: type("Honest", (), {name: staticmethod(each) for name, each in offered.items()}),
        "module": lambda: SimpleNamespace(**offered, __name__="honest"),
    }
    plug = kinds[choices["kind"]]()
    if not strict:
        plug.gaugeblock = {"numerical_class": "official"}
    return plug


class HonestParser:
    """RIG by its choices."""

    def __init__(self, choices: dict[str, str]) -> None:
        self.choices = choices
        self.official = choices["profile"] == "official"
        query, string = ('[^"]+', '[^"]*') if self.official else (QUERY, STRING)
        bracket = "?" if self.official else ""
        self._pattern = re.compile(
            f"{re.escape(OPEN)}(?P<q>{query}){re.escape(ARROW)}(?P<v>{string}){re.escape(CLOSE)}{bracket}"
        )
        self._apart = {"a space": " ", "another sign": " ;", "a character that joins words": "\u2060"}[
            choices["takes apart by"]
        ]

    def parse(self, text: str) -> Any:
        """The annotations, in the shape that the choices ask for."""
        found = [self._item(text, each) for each in self.found(text)]
        shapes: dict[str, Any] = {
            "list": lambda: found,
            "tuple": lambda: tuple(found),
            "iterator": lambda: iter(found),
            "generator": lambda: (self._item(text, each) for each in self.found(text)),
            "deque": lambda: deque(found),
            "mapping": lambda: {"annotations": found, "text": text},
            "object": lambda: SimpleNamespace(annotations=found),
        }
        return shapes[self.choices["answer"]]()

    def _item(self, text: str, found: Found) -> Any:
        query, value = found[:2]
        codec, width = {"utf8": ("utf-8", 1), "utf16": ("utf-16-le", 2)}.get(self.choices["offsets"], ("", 1))
        start, end = (len(text[:at].encode(codec, "surrogatepass")) // width if codec else at for at in found[2:])
        shapes: dict[str, Any] = {
            "tuple": lambda: (query, value, start, end),
            "list": lambda: [query, value, start, end],
            "mapping": lambda: {"query": query, "value": value, "start": start, "end": end},
            "object": lambda: SimpleNamespace(query=query, value=value, start=start, end=end),
            "span tuple": lambda: {"query": query, "value": value, "span": (start, end)},
            "span range": lambda: SimpleNamespace(query=query, value=value, span=range(start, end)),
            "span slice": lambda: {"query": query, "value": value, "span": slice(start, end)},
            "three": lambda: (query, value, (start, end)),
            "other order": lambda: _OTHER_ORDER(end, start, value, query),
            "further fields": lambda: {"query": query, "value": value, "start": start, "end": end, "raw": "x", "line": 1},
        }
        return shapes[self.choices["item"]]()

    # --- Finding ------------------------------------------------------------------------------------------------------------

    def found(self, text: str) -> list[Found]:
        """The annotations, in code points. ValueError for a lone surrogate in the strict profile, where that is its way."""
        if not self.official:
            try:
                refuse_surrogates(text)
            except ValueError:
                if self.choices["surrogates"] == "refused":
                    raise
        ways: dict[str, Callable[[str], Iterator[Found]]] = {
            "pattern": lambda text: ((m[1], m[2], *m.span()) for m in self._pattern.finditer(text)),
            "named groups": self._by_groups,
            "searches": self._by_searches,
            "pieces between quotes": self._by_quotes,
            "characters": self._by_characters,
            "search from the end": self._by_candidates,
        }
        found = ways[self.choices["finds by"]](text)
        return [each for each in found if self.official or not re.search("[\ud800-\udfff]", each[0] + each[1])]

    def _by_groups(self, text: str) -> Iterator[Found]:
        at = 0
        while match := self._pattern.search(text, at):
            yield match["q"], match["v"], match.start(), match.end()
            at = match.end()

    def _are_strings(self, query: str, value: str) -> bool:
        if self.official:
            return bool(query)
        return not set(FORBIDDEN) & {*query, *value} and not WHITE_SPACE_ALONE.fullmatch(query)

    def _by_searches(self, text: str) -> Iterator[Found]:
        start = text.find(OPEN)
        while start >= 0:
            found = self._at(text, start)
            if found:
                yield found
            start = text.find(OPEN, found[3] if found else start + len(OPEN))

    def _at(self, text: str, start: int) -> Found | None:
        begin = start + len(OPEN)
        end_of_query = text.find('"', begin)
        if end_of_query < 0 or not text.startswith(ARROW, end_of_query):
            return None
        middle = end_of_query + len(ARROW)
        end = text.find('"', middle)
        query, value = text[begin:end_of_query], text[middle:end]
        closed = text.startswith("]", end + 1)
        if end < 0 or not (closed or self.official) or not self._are_strings(query, value):
            return None
        return query, value, start, end + 1 + closed

    def _by_candidates(self, text: str) -> Iterator[Found]:
        """Every annotation that begins anywhere, from the last to the first; then those that begin in no other."""
        starts = [match.start() for match in re.finditer(re.escape(OPEN), text)]
        every = [found for start in reversed(starts) if (found := self._at(text, start))]
        at = 0
        for found in reversed(every):
            if found[2] >= at:
                yield found
                at = found[3]

    def _by_quotes(self, text: str) -> Iterator[Found]:
        pieces, places, at = text.split('"'), [], 0
        for piece in pieces:
            places.append(at)
            at += len(piece) + 1
        number = 0
        while number + 4 < len(pieces):
            before, query, arrow, value, behind = pieces[number : number + 5]
            closed = behind.startswith("]")
            whole = before.endswith(OPEN[:-1]) and arrow == ARROW[1:-1] and (closed or self.official)
            if whole and self._are_strings(query, value):
                yield query, value, places[number + 1] - len(OPEN), places[number + 4] + closed
                number += 4
            else:
                number += 1

    def _by_characters(self, text: str) -> Iterator[Found]:
        stream = CharacterStream(self)
        for item in [*stream.feed(text), *stream.close()]:
            if not isinstance(item, str):
                yield item

    # --- Writing ------------------------------------------------------------------------------------------------------------

    def write(self, segments: Any) -> str:
        """The document of these segments; ValueError where it would read otherwise."""
        document, wanted = "", []
        for segment in segments:
            start = len(document)
            if isinstance(segment, str):
                document += segment
                continue
            query, value = segment
            if "each string" in self.choices["writer checks"] and ('"' in query + value or not query.strip(WHITE_SPACE)):
                raise ValueError("found a quote or a blank query")
            document += f"{OPEN}{query}{ARROW}{value}{CLOSE}"
            wanted.append((query, value, start, len(document)))
        refuse_surrogates(document)
        if self.found(document) != wanted:
            raise ValueError("would read as something else")
        return document

    def is_whole(self, text: str) -> bool:
        """Whether every opener opens an annotation or stands in one."""
        at = 0
        for _, _, start, end in self.found(text):
            if OPEN in text[at:start]:
                return False
            at = end
        return OPEN not in text[at:]

    def address(self, query: str) -> str:
        """Where a query is fetched from."""
        ways = {
            "quote": lambda: "q=" + urllib.parse.quote(query, safe=""),
            "quote_plus": lambda: "q=" + urllib.parse.quote_plus(query),
            "urlencode": lambda: urllib.parse.urlencode({"hl": "en", "q": query}),
        }
        return f"https://example.org/explore?{ways[self.choices['addresses']]()}"

    # --- Resolving ----------------------------------------------------------------------------------------------------------

    def resolve(self, text: str, fetch: Callable[[str], Any]) -> Any:
        """The resolved text: what a lenient reader reads is resolved."""
        refuse_surrogates(text)
        pieces = self._pieces(text)
        queries = list(dict.fromkeys(piece.query for piece in pieces if not isinstance(piece, str)))
        order = {"backward": queries[::-1], "sorted": sorted(queries)}.get(self.choices["asks"], queries)
        answers = {query: self._answer(fetch, query) for query in order}
        notes = {query: number for number, query in enumerate((q for q in queries if answers[q]), start=1)}
        tags = iter(range(1, len(pieces) + 1))
        out = [
            self._outside(piece) if isinstance(piece, str)
            else f"[__DC__#{next(tags)}({self._tag(piece, answers[piece.query], notes.get(piece.query))})]"
            for piece in pieces
        ]  # fmt: skip
        body = self._put(out)
        lines = [self._note(number, query, answers[query]) for query, number in notes.items()]
        resolved = f"{body}\n\n{_HEADING}\n" + "\n".join(lines) if lines else body
        return SimpleNamespace(text=resolved) if self.choices["resolved"] == "object" else resolved

    def _put(self, pieces: list[str]) -> str:
        if self.choices["put together"] == "joined":
            return "".join(pieces)
        if self.choices["put together"] == "added up":
            body = ""
            for piece in pieces:
                body += piece
            return body
        template = "\0" * len(pieces)
        for number, piece in reversed(list(enumerate(pieces))):
            template = template[:number] + piece + template[number + 1 :]
        return template

    def _pieces(self, text: str) -> list[str | LenientAnnotation]:
        """Texts, joined where only an opener stood between them, and annotations."""
        pieces: list[str | LenientAnnotation] = [""]
        at = 0

        def add(raw: str) -> None:
            last = pieces[-1]
            pieces[-1:] = [last + raw] if isinstance(last, str) else [last, raw]

        for attempt in attempts(text):
            add(text[at : attempt.start])
            at = attempt.end
            if isinstance(attempt, LenientAnnotation):
                pieces.append(attempt)
            elif (raw := text[attempt.start : at]) != OPEN and OPEN.startswith(raw):
                add(raw)
            elif attempt.truncated:
                at = len(text)
        add(text[at:])
        return pieces

    def _answer(self, fetch: Callable[[str], Any], query: str) -> dict[str, str] | None:
        """What was found: texts; None where there is nothing that can be shown."""
        try:
            given = fetch(query)
        except Exception:
            return None
        if not isinstance(given, dict) or not _is_value(given.get("value")):
            return None
        answer = {
            name: "" if given.get(name) is None else str(given[name]) for name in ("value", "unit", "source", "date", "url")
        }
        return answer if self._safe(answer["value"]) else None

    def _safe(self, text: str) -> str:
        """A text in which no reader of tags stops."""
        text = re.sub(r"[\x00-\x1f\x7f]+", " ", text).replace(_HEADING, "#### FOOTNOTES: ####").strip()
        text = text.replace(")]", f"){self._apart}]").replace("[__DC__", f"[{self._apart}__DC__")
        return re.sub(r"\|(?=\|)", f"|{self._apart}", text).strip("| ")

    def _outside(self, text: str) -> str:
        text = re.sub(r"\[(?=__DC__[(#])", "[ ", text.replace(OPEN, ""))
        return text.replace(_HEADING, "#### FOOTNOTES: ####")

    def _served(self, answer: dict[str, str]) -> str:
        return self._safe(f"{answer['value']} {answer['unit']}".strip())

    def _tag(self, found: LenientAnnotation, answer: dict[str, str] | None, note: int | None) -> str:
        model = self._safe(found.value or "")
        if answer is None:
            return f"|| {model}" if model else "--- || ---"
        served = self._served(answer)
        differs = {"never": False, "other text": served != model, "5 %": _is_far(served, model)}[self.choices["marks"]]
        return f"{served} [{note}]{'*' if differs and model else ''} ||{' ' + model if model else ''}"

    def _note(self, number: int, query: str, answer: dict[str, str] | None) -> str:
        assert answer
        source = self._safe(answer["source"]) or self.choices["without a source"]
        when = f" in {date}" if (date := self._safe(answer["date"])) else ""
        url = (
            urllib.parse.quote(answer["url"].strip(), ":/?#@!$&'()*+,;=%")
            or f"https://example.org/?{urllib.parse.quote(query)}"
        )
        return f"[{number}] - Per {source}, value was {self._served(answer)}{when}. See more at {url}"


WHITE_SPACE_ALONE = re.compile(f"[{WHITE_SPACE}]*")


def _is_value(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and value == value


def _is_far(served: str, model: str) -> bool:
    try:
        a, b = float(served.split()[0]), float(model.replace(",", ""))
    except ValueError:
        return False
    return abs(a - b) > max(abs(a), abs(b)) / 20


class CharacterStream:
    """One character after the other; what fails is read again from its second character."""

    def __init__(self, parser: HonestParser) -> None:
        self._parser = parser
        self._literals = {0: OPEN, 2: ARROW, 4: CLOSE}
        self._begin(0)

    def _begin(self, at: int) -> None:
        self._held: list[str] = []
        self._phase, self._index, self._at = 0, 0, at
        self._strings: list[list[str]] = [[], []]

    def feed(self, chunk: str) -> list[str | Found]:
        """What became certain: texts of one or several characters, and annotations."""
        items: list[str | Found] = []
        waiting = deque(chunk)
        while waiting:
            items += self._step(waiting.popleft(), waiting)
        return items

    def close(self) -> list[str | Found]:
        """What was held back."""
        items: list[str | Found] = []
        if self._is_closed_but_for_the_bracket():
            items.append(self._annotation())
        while self._held:
            waiting = self._give_up(items)
            while waiting:
                items += self._step(waiting.popleft(), waiting)
            if self._is_closed_but_for_the_bracket():
                items.append(self._annotation())
        return items

    def _is_closed_but_for_the_bracket(self) -> bool:
        return self._parser.official and self._phase == 4 and self._index == 1

    def _annotation(self) -> Found:
        end = self._at + len(self._held)
        found = ("".join(self._strings[0]), "".join(self._strings[1]), self._at, end)
        self._begin(end)
        return found

    def _give_up(self, items: list[str | Found]) -> deque[str]:
        """Hand out what is no annotation, up to where the next may begin; what must be read again."""
        held = self._held
        next_one = next((i for i, character in enumerate(held) if i and character == OPEN[0]), len(held))
        items.append("".join(held[:next_one]))
        self._begin(self._at + next_one)
        return deque(held[next_one:])

    def _step(self, character: str, waiting: deque[str]) -> list[str | Found]:
        items: list[str | Found] = []
        if self._is_closed_but_for_the_bracket() and character != "]":
            items.append(self._annotation())
        self._held.append(character)
        if not self._fits(character):
            waiting.extendleft(reversed(self._give_up(items)))
        elif self._phase == 5:
            items.append(self._annotation())
        return items

    def _fits(self, character: str) -> bool:
        if self._phase in self._literals:
            literal = self._literals[self._phase]
            if character != literal[self._index]:
                return False
            self._index += 1
            if self._index == len(literal):
                self._phase, self._index = self._phase + 1, 0
            return True
        string = self._strings[self._phase // 2]
        if character != '"':
            string.append(character)
            return self._parser.official or character not in FORBIDDEN
        self._phase, self._index = self._phase + 1, 1
        blank = WHITE_SPACE_ALONE.fullmatch("".join(string)) if not self._parser.official else not string
        return self._phase != 2 or not blank


class HonestStream:
    """A reader in chunks, whose answers have the shape that the choices ask for."""

    def __init__(self, parser: HonestParser) -> None:
        self._parser, self._stream, self._text = parser, CharacterStream(parser), ""

    def feed(self, chunk: str) -> Any:
        """What became certain with this chunk."""
        if not self._parser.official:
            refuse_surrogates(chunk)
        self._text += chunk
        return self._shaped(self._stream.feed(chunk))

    def close(self) -> Any:
        """What was held back."""
        return self._shaped(self._stream.close())

    def _shaped(self, items: list[str | Found]) -> Any:
        how = self._parser.choices["texts"]
        shaped: list[Any] = []
        for item in items:
            if not isinstance(item, str):
                shaped.append(self._parser._item(self._text, item))
            elif how == "by characters":
                shaped += item
            elif how == "joined" and shaped and isinstance(shaped[-1], str):
                shaped[-1] += item
            else:
                shaped.append(item)
        kinds: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "iterator": iter}
        return kinds[self._parser.choices["stream answers"]](shaped)
