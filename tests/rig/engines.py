"""The exported grammars, each in an engine that somebody else wrote. Nothing is imported until an engine is asked for."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from impls.rig import export
from reference.rig import RigProfile, to_code_points
from reference.rig import parser as reference_parser
from reference.rig.grammar import STRICT

Member = Callable[[str], bool]
Reader = Callable[[str], list[tuple[str, str, int, int]]]


@dataclass(frozen=True)
class Engine:
    """``build()`` gives the function; ``requires`` is the module (or the program) that it needs, ``get`` how to get it."""

    name: str
    build: Callable[[], Any]
    requires: str = ""
    get: str = ""
    short: bool = False
    """Whether it gives up on long texts."""

    @property
    def installed(self) -> bool:
        """Whether it can be asked here."""
        if self.requires == "node":
            return shutil.which("node") is not None
        return not self.requires or importlib.util.find_spec(self.requires) is not None


def _re() -> Member:
    pattern = re.compile(export.well_formed_pattern())
    return lambda text: pattern.fullmatch(text) is not None


def _regex() -> Member:
    import regex

    pattern = regex.compile(export.well_formed_pattern())
    return lambda text: pattern.fullmatch(text) is not None


def _re2() -> Member:
    import re2

    pattern = re2.compile(export.well_formed_pattern("braces"))
    return lambda text: pattern.fullmatch(text) is not None


def _interegular() -> Member:
    import interegular

    return interegular.parse_pattern(export.well_formed_pattern("raw")).to_fsm().accepts


def _lark() -> Member:
    import lark

    parser = lark.Lark(export.lark_well_formed(), parser="lalr", lexer="basic")

    def member(text: str) -> bool:
        try:
            parser.parse(text)
        except lark.exceptions.UnexpectedInput:
            return False
        return True

    return member


def _llguidance(grammar: Callable[[Any], str]) -> Callable[[], Member]:
    def build() -> Member:
        import llguidance

        class Bytes:
            """A vocabulary of single bytes: the engine's own view of text, with no tokenizer in between."""

            eos_token_id, bos_token_id = 256, None
            tokens = (*(bytes([value]) for value in range(256)), b"<eos>")
            special_token_ids = (256,)

            def __call__(self, text: bytes) -> list[int]:
                return list(text)

        tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()), slices=[])
        matcher = llguidance.LLMatcher(tokenizer, grammar(llguidance), log_level=0)
        assert not matcher.get_error(), matcher.get_error()

        def member(text: str) -> bool:
            fresh = matcher.deep_copy()
            tokens = list(text.encode())
            return fresh.try_consume_tokens(tokens) == len(tokens) and fresh.is_accepting()

        return member

    return build


def _gbnf_by_llguidance(module: Any) -> str:
    from llguidance.gbnf_to_lark import gbnf_to_lark

    # The converter writes "\\u85", where the regular expressions that it writes for take four digits or braces.
    converted = re.sub(r"\\u([0-9a-f]{2})(?![0-9a-f])", r"\\u{\1}", gbnf_to_lark(export.gbnf()))
    return str(module.LLMatcher.grammar_from_lark(converted))


def _xgrammar(grammar: Callable[[], str]) -> Callable[[], Member]:
    def build() -> Member:
        import xgrammar

        tokens = [*(bytes([value]) for value in range(256)), b"<eos>"]
        information = xgrammar.TokenizerInfo(tokens, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[256])
        compiled = xgrammar.GrammarCompiler(information, max_threads=1).compile_grammar(grammar())

        def member(text: str) -> bool:
            matcher = xgrammar.GrammarMatcher(compiled)
            return all(matcher.accept_token(byte) for byte in text.encode()) and matcher.accept_token(256)

        return member

    return build


_GBNF = re.compile(
    r'(?P<literal>"(?:\\.|[^"\\])*")|(?P<class>\[(?:\\.|[^\]\\])*\])(?P<star>\*?)|(?P<rule>\w+)|(?P<bar>\|)|\s+'
)


GbnfRules = dict[str, list[list[tuple[str, Any]]]]
GbnfPlace = tuple[str, int, int]
"""Rule, alternative, and place in it."""


def _gbnf_rules(grammar: str) -> GbnfRules:
    """The alternatives of each rule: a rule's name, one character, or any number of a class."""
    rules: GbnfRules = {}
    for line in grammar.splitlines():
        name, _, body = line.partition(" ::= ")
        alternatives = rules.setdefault(name, [[]])
        at = 0
        while at < len(body):
            token = _GBNF.match(body, at)
            assert token, body[at:]
            at = token.end()
            if token["bar"]:
                alternatives.append([])
            elif token["rule"]:
                alternatives[-1].append(("rule", token["rule"]))
            elif token["literal"]:
                written = token["literal"][1:-1].replace('\\"', '"')
                alternatives[-1] += [("one", re.compile(re.escape(character))) for character in written]
            elif token["class"]:
                alternatives[-1].append(("any" if token["star"] else "one", re.compile(token["class"])))
    return rules


def _gbnf_closure(rules: GbnfRules, places: list[GbnfPlace]) -> set[GbnfPlace]:
    """The places that are reached without reading a character."""
    reached: set[GbnfPlace] = set()
    while places:
        place = name, alternative, at = places.pop()
        if place in reached:
            continue
        reached.add(place)
        rest = rules[name][alternative][at:]
        if rest and rest[0][0] == "rule":
            assert len(rest) == 1
            places += [(rest[0][1], number, 0) for number in range(len(rules[rest[0][1]]))]
        elif rest and rest[0][0] == "any":
            places.append((name, alternative, at + 1))
    return reached


def _gbnf_by_hand() -> Member:
    """An automaton whose states are places in rules. A rule stands last in its alternative, so nothing returns."""
    rules = _gbnf_rules(export.gbnf())

    def member(text: str) -> bool:
        places = _gbnf_closure(rules, [("root", 0, 0)])
        for character in text:
            following = []
            for name, alternative, at in places:
                kind, what = (rules[name][alternative] + [("end", None)])[at]
                if kind in ("one", "any") and what.match(character):
                    following.append((name, alternative, at + (kind == "one")))
            places = _gbnf_closure(rules, following)
        return any(at == len(rules[name][alternative]) for name, alternative, at in places)

    return member


def _node(script: str) -> Callable[[str], Any]:
    """A function of one text, computed by a JavaScript expression of ``text`` in a process that stays."""
    program = (
        "require('readline').createInterface({input: process.stdin}).on('line', line => {"
        f"const text = JSON.parse(line); console.log(JSON.stringify({script}))}})"
    )
    process = subprocess.Popen(["node", "-e", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(text: str) -> Any:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(text) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    return ask


def _node_member() -> Member:
    return _node(f"/^(?:{export.well_formed_pattern()})$/u.test(text)")


def _found(finditer: Callable[[str], Any]) -> Reader:
    return lambda text: [(match[1], match[2], match.start(), match.end()) for match in finditer(text)]


def _read_re() -> Reader:
    return _found(re.compile(export.annotation_pattern()).finditer)


def _read_regex() -> Reader:
    import regex

    return _found(regex.compile(export.annotation_pattern()).finditer)


def _read_re2() -> Reader:
    import re2

    return _found(re2.compile(export.annotation_pattern("braces")).finditer)


def _read_lark() -> Reader:
    import lark

    parser = lark.Lark(export.lark_reader(), parser="lalr", lexer="basic")

    def read(text: str) -> list[tuple[str, str, int, int]]:
        tokens = [token for token in parser.parse(text).children if isinstance(token, lark.Token)]
        assert "".join(tokens) == text
        found = [token for token in tokens if token.type == "ANNOTATION"]
        pieces = [(token.split('"'), token.start_pos or 0) for token in found]
        return [
            (query, value, at, at + len(token)) for token, ((_, query, _, value, *_), at) in zip(found, pieces, strict=True)
        ]

    return read


def _read_node() -> Reader:
    ask = _node(
        f"[...text.matchAll(/{export.annotation_pattern()}/gu)].map(m => [m[1], m[2], m.index, m.index + m[0].length])"
    )

    def read(text: str) -> list[tuple[str, str, int, int]]:
        found = ask(text)
        offsets = iter(to_code_points(text, [offset for item in found for offset in item[2:]], "utf16"))
        return [(query, value, next(offsets), next(offsets)) for query, value, _, _ in found]

    return read


XGRAMMAR = ("xgrammar", "python -m pip install xgrammar")
LLGUIDANCE = ("llguidance", "python -m pip install llguidance")
MEMBERS = (
    Engine("re", _re),
    Engine("regex", _regex, "regex", "python -m pip install regex"),
    Engine("re2", _re2, "re2", "python -m pip install google-re2"),
    Engine("interegular", _interegular, "interegular", "python -m pip install interegular"),
    Engine("lark", _lark, "lark", "python -m pip install lark"),
    Engine(
        "llguidance-regex", _llguidance(lambda m: m.LLMatcher.grammar_from_regex(export.well_formed_pattern())), *LLGUIDANCE
    ),
    Engine("llguidance-lark", _llguidance(lambda m: m.LLMatcher.grammar_from_lark(export.lark_well_formed())), *LLGUIDANCE),
    # Its parser keeps all that a rule at the end of another began, so the recursion that llama.cpp asks for fills its limit.
    Engine("llguidance-gbnf", _llguidance(_gbnf_by_llguidance), *LLGUIDANCE, short=True),
    Engine("gbnf-by-hand", _gbnf_by_hand),
    Engine("xgrammar", _xgrammar(lambda: export.xgrammar()), *XGRAMMAR),
    Engine("xgrammar-gbnf", _xgrammar(lambda: export.gbnf()), *XGRAMMAR, short=True),
    Engine("node", _node_member, "node", "install Node.js"),
)
"""Each says whether a text is well formed."""

READERS = (
    Engine("re", _read_re),
    Engine("regex", _read_regex, "regex", "python -m pip install regex"),
    Engine("re2", _read_re2, "re2", "python -m pip install google-re2"),
    Engine("lark", _read_lark, "lark", "python -m pip install lark"),
    Engine("node", _read_node, "node", "install Node.js"),
)
"""Each reads the annotations of a text, as (query, value, start, end)."""


def read_by_reference(text: str, profile: RigProfile = STRICT) -> list[tuple[str, str, int, int]]:
    """What all of them must give."""
    return [(a.query, a.value, a.span.start, a.span.end) for a in reference_parser.annotations(text, profile)]
