r"""The strict grammar in the notations that other engines read, all made from `impls.rig.grammar` and from nothing else.

- `annotation_pattern` is one annotation: two groups, no look-around. Its leftmost matches are the annotations of a text.
- `well_formed_pattern` is all well-formed documents: what a constrained decoder should be able to produce, no more, no less.
- `gbnf` is the same language for llama.cpp and whoever else reads its notation.
- `xgrammar` is the same language for xgrammar, with repetitions in the place of recursion.
- `lark_reader` splits any text into annotations and the rest, with Lark.
- `lark_well_formed` is well-formedness again, with named parts, in what Lark and llguidance both understand.

``python -m impls.rig.export NAME`` prints one of them.

Well-formedness is regular without look-around, because "[" stands in the opener once, at its beginning. While the opener is
looked for, all there is to remember is how much of it has been read, and another "[" begins again with one character read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from impls.rig.grammar import ARROW, CLOSE, FORBIDDEN, OPEN, WHITE_SPACE

_BLANKS = "".join(sorted(set(WHITE_SPACE) - set(FORBIDDEN)))


def _ranges(characters: Iterable[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in sorted(map(ord, characters)):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def _escaped(code: int, wide: str) -> str:
    """One character of a class; ``wide`` is how the notation writes a character beyond ASCII."""
    if code > 0x7F:
        return wide.format(code, chr(code))
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\{chr(code)}" if chr(code) in "[]^-\\" else chr(code)


def _class(characters: Iterable[str], wide: str, negated: bool = False) -> str:
    parts = []
    for first, last in _ranges(characters):
        between = {0: "", 1: ""}.get(last - first, "-")
        parts.append(_escaped(first, wide) + (between + _escaped(last, wide) if last > first else ""))
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _classes(wide: str) -> tuple[str, str, str]:
    """The classes of white space in a string, of any other character in it, and of every character in it."""
    visible = _class(FORBIDDEN + _BLANKS, wide, negated=True)
    return _class(_BLANKS, wide), visible, _class(FORBIDDEN, wide, negated=True)


WIDE = {"u": "\\u{:04x}", "braces": "\\x{{{:x}}}", "raw": "{1}"}
"""How characters beyond ASCII are written: ``\\u2028`` (Python, JavaScript, Rust), ``\\x{2028}`` (RE2, PCRE, Rust), bare."""


def annotation_pattern(wide: str = "u", groups: bool = True) -> str:
    """One annotation. Group 1 is the query and group 2 the value."""
    style = WIDE[wide]
    blank, visible, string = _classes(style)
    query, value = f"{blank}*{visible}{string}*", f"{string}*"
    if groups:
        query, value = f"({query})", f"({value})"
    return _literal(OPEN) + query + _literal(ARROW) + value + _literal(CLOSE)


def _literal(text: str) -> str:
    """Not `re.escape`, which also escapes what is no operator anywhere; some engines refuse that."""
    return "".join(f"\\{character}" if character in "\\[](){}.*+?|^$" else character for character in text)


def _parts(wide: str = "u") -> dict[str, str]:
    """The pieces that a well-formed document is made of, by the names that they have in `lark_well_formed`."""
    style = WIDE[wide]
    body, last = OPEN[1:-1], OPEN[-1]
    prefixes = "|".join(_literal(body[:length]) for length in range(len(body), 0, -1))
    broken = "|".join(
        _literal(body[:length]) + _class(OPEN[0] + (body + last)[length], style, negated=True)
        for length in range(len(OPEN) - 1)
    )
    return {
        "PLAIN": _class(OPEN[0], style, negated=True),
        "BEGUN": rf"\[(?:(?:{prefixes})?\[)*",
        "BROKEN": f"(?:{broken})",
        "REST": annotation_pattern(wide, groups=False).removeprefix(r"\["),
        "TAIL": f"(?:{prefixes})?",
    }


def well_formed_pattern(wide: str = "u") -> str:
    """All well-formed documents, to be matched against the whole of a text."""
    part = _parts(wide)
    return f"(?:{part['PLAIN']}|{part['BEGUN']}(?:{part['BROKEN']}|{part['REST']}))*(?:{part['BEGUN']}{part['TAIL']})?"


def lark_well_formed() -> str:
    """Well-formed documents as one terminal with named parts. Both Lark and llguidance read it.

    It is one terminal on purpose: where text and annotations are terminals of their own, two texts side by side can spell an
    opener between them.
    """
    lines = [f"{name}: /{pattern}/" for name, pattern in _parts().items() if name != "TAIL"]
    tail = _parts()["TAIL"].removesuffix("?")
    return "\n".join([
        "start: DOCUMENT?",
        "DOCUMENT: (PLAIN | BEGUN BROKEN | BEGUN REST)+ (BEGUN TAIL?)? | BEGUN TAIL?",
        *lines,
        f"TAIL: /{tail}/",
        "",
    ])  # fmt: skip


def lark_reader() -> str:
    """Reads any text with Lark (LALR, basic lexer): ANNOTATION tokens are the annotations, TEXT tokens are all the rest.

    A token's ``start_pos`` and ``end_pos`` are its span; cut at the quotes, part two is the query and part four the value.
    """
    bracket = _literal(OPEN[0])
    return "\n".join([
        "start: (ANNOTATION | TEXT)*",
        f"ANNOTATION.1: /{annotation_pattern(groups=False)}/",
        f"TEXT: /{_class(OPEN[0], WIDE['u'], negated=True)}+|{bracket}/",
        "",
    ])  # fmt: skip


def gbnf() -> str:
    """Well-formed documents in llama.cpp's notation: a rule for each length of opener read, then the annotation."""
    style = WIDE["u"]
    blank, visible, string = _classes(style)
    rules = ["root ::= s0", f's0 ::= "" | {_class(OPEN[0], style, negated=True)} s0 | {_quoted(OPEN[0])} s1']
    for length in range(1, len(OPEN)):
        following = f"s{length + 1}" if length + 1 < len(OPEN) else "annotation"
        other = _class(OPEN[0] + OPEN[length], style, negated=True)
        rules.append(f's{length} ::= "" | {_quoted(OPEN[length])} {following} | {_quoted(OPEN[0])} s1 | {other} s0')
    rules.append(f"annotation ::= {blank}* {visible} {string}* {_quoted(ARROW)} {string}* {_quoted(CLOSE)} s0")
    return "\n".join(rules) + "\n"


def xgrammar() -> str:
    """Well-formed documents in xgrammar's EBNF: repetitions where llama.cpp's notation would recurse."""
    style = WIDE["u"]
    blank, visible, string = _classes(style)
    body, last = OPEN[1:-1], OPEN[-1]
    begun = " | ".join(_quoted(body[:length]) for length in range(len(body), 0, -1))
    broken = " | ".join(
        (f"{_quoted(body[:length])} " if length else "") + _class(OPEN[0] + (body + last)[length], style, negated=True)
        for length in range(len(OPEN) - 1)
    )
    return "\n".join([
        "root ::= (plain | begun (broken | annotation))* (begun half?)?",
        f"plain ::= {_class(OPEN[0], style, negated=True)}",
        f"begun ::= {_quoted(OPEN[0])} (half? {_quoted(OPEN[0])})*",
        f"half ::= {begun}",
        f"broken ::= {broken}",
        f"annotation ::= {_quoted(OPEN[1:])} {blank}* {visible} {string}* {_quoted(ARROW)} {string}* {_quoted(CLOSE)}",
        "",
    ])  # fmt: skip


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


NOTATIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "annotation": ("One annotation, a regular expression", lambda: annotation_pattern() + "\n"),
    "annotation-re2": ("The same for RE2, Go and PCRE", lambda: annotation_pattern("braces") + "\n"),
    "well-formed": ("Well-formed documents, a regular expression", lambda: well_formed_pattern() + "\n"),
    "well-formed-re2": ("The same for RE2, Go and PCRE", lambda: well_formed_pattern("braces") + "\n"),
    "gbnf": ("Well-formed documents for llama.cpp", gbnf),
    "xgrammar": ("Well-formed documents for xgrammar", xgrammar),
    "lark-reader": ("Any text, read with Lark", lark_reader),
    "lark": ("Well-formed documents for Lark and llguidance", lark_well_formed),
}
"""What can be printed, each with a heading."""


def markdown() -> str:
    """All of them, as the documentation lists them."""
    return "\n".join(f"### `{name}`: {title}\n\n```text\n{make()}```\n" for name, (title, make) in NOTATIONS.items())


def main(arguments: list[str] | None = None, made: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> None:
    """Print one notation, or all of them as Markdown. ``made`` makes the parser of the command line."""
    parser = made(prog="python -m impls.rig.export", description="The strict grammar of RIG, elsewhere.")
    parser.add_argument("name", metavar="NOTATION", choices=[*NOTATIONS, "markdown"], help=", ".join([*NOTATIONS, "markdown"]))
    name = parser.parse_args(arguments).name
    print(markdown() if name == "markdown" else NOTATIONS[name][1](), end="")


if __name__ == "__main__":
    main()
