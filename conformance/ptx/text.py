"""Parse PTX text into kernels: instructions with their operands, registers, parameters, and variables in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from conformance.ptx.faults import UnknownInstruction

WIDTHS = {"pred": 1, "b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4,
          "s32": 4, "f32": 4, "f16x2": 4, "bf16x2": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "b128": 16}  # fmt: skip
"""Bytes of each type."""


@dataclass(frozen=True)
class Address:
    """``[base + offset]``, and for tensors the coordinates: ``[base, {x, y}]``."""

    base: str
    offset: int = 0
    coordinates: tuple[str, ...] = ()


Operand = str | Address | tuple[str, ...]
"""A register, number or name; an address; or a vector in braces."""


@dataclass(frozen=True)
class PtxInstruction:
    """One instruction, with the line of the text that it begins on."""

    line: int
    guard: str
    """The predicate register that decides whether it is executed; empty without one."""
    negated: bool
    parts: tuple[str, ...]
    """The opcode, split at its dots."""
    operands: tuple[Operand, ...]
    text: str
    source: str = ""
    """The line of the source that it was made of, ``kernel.cu:12`` for instance, where the PTX says it."""

    @property
    def place(self) -> str:
        """Where it is, in words."""
        file, _, line = self.source.rpartition(":")
        own = f"line {self.line} of the PTX"
        return f"line {line} of {file} ({own})" if file else own

    @property
    def opcode(self) -> str:
        """With its dots."""
        return ".".join(self.parts)


@dataclass(frozen=True)
class Variable:
    """Memory that a name stands for. ``size`` 0: as much as the launch gives."""

    name: str
    space: str
    size: int
    align: int
    initial: bytes = b""


@dataclass
class PtxKernel:
    """One entry point."""

    name: str
    parameters: list[Variable] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    """The type of each register by its name."""
    variables: list[Variable] = field(default_factory=list)
    instructions: list[PtxInstruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The labels that a branch by number chooses from, by the table's own label."""
    threads: int = 0
    """Threads of a block where the text requires a number, else 0."""


def parse(ptx: str) -> dict[str, PtxKernel]:
    """The kernels of a text by their names. UnknownInstruction where it has functions that are called."""
    text = _without_comments(ptx.rstrip("\0"))
    sources = _sources(ptx)
    kernels: dict[str, PtxKernel] = {}
    shared: list[Variable] = []
    at = 0
    for match in re.finditer(r"\.(entry|func)\b", text):
        if match.start() < at:
            continue
        shared += _variables(text[at : match.start()])
        opening = text.index("{", _closing(text, text.index("(", match.end()), "()"))
        closing = _closing(text, opening, "{}")
        if match[1] == "entry":
            kernel = _kernel(
                text[match.end() : opening], text[opening + 1 : closing], text.count("\n", 0, opening) + 1, sources
            )
            kernels[kernel.name] = kernel
        at = closing + 1
    shared += _variables(text[at:])
    for kernel in kernels.values():
        kernel.variables[:0] = shared
    return kernels


def _without_comments(text: str) -> str:
    """Without comments and debugging directives, every line still in its place."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*|^[ \t]*\.(loc|file)\b[^\n]*", "", text, flags=re.MULTILINE)
    return re.sub(r"\.section[^{}]*\{[^{}]*\}", lambda m: "\n" * m[0].count("\n"), text)


def _closing(text: str, opening: int, pair: str) -> int:
    depth = 0
    for match in re.finditer("[" + re.escape(pair) + "]", text[opening:]):
        depth += 1 if match[0] == pair[0] else -1
        if not depth:
            return opening + match.start()
    raise ValueError(f"found no {pair[1]!r} for the {pair[0]!r} in line {text.count(chr(10), 0, opening) + 1} of the PTX")


_VARIABLE = re.compile(
    r"\.(shared|global|const|local|param)\b((?:\s+\.\w+(?:\s+\d+)?)*)\s+([\w$.%]+)\s*(?:\[(\d*)\])?\s*(?:=\s*(\{[^}]*\}|[^;]+))?"
)


def _variables(text: str) -> list[Variable]:
    return [_variable(match) for match in _VARIABLE.finditer(text)]


def _variable(match: re.Match[str]) -> Variable:
    space, directives, name, length, initial = match.groups()
    align = re.search(r"\.align\s+(\d+)", directives)
    kinds = [word for word in re.findall(r"\.(\w+)", directives) if word in WIDTHS]
    width = WIDTHS[kinds[0]] if kinds else 1
    size = width if length is None else width * int(length or 0)
    return Variable(name, space, size, int(align[1]) if align else width, _initial(initial, width))


def _initial(text: str | None, width: int) -> bytes:
    words = re.findall(r"-?\w+", text or "")
    try:
        return b"".join((int(word, 0) % (1 << (8 * width))).to_bytes(width, "little") for word in words)
    except ValueError:
        return b""


def _sources(ptx: str) -> list[str]:
    """For each line the line of the source that it was made of, as the directives before it say; "" where none does."""
    files: dict[str, str] = {}
    found, here = [], ""
    for line in ptx.split("\n"):
        if named := re.match(r'\s*\.file\s+(\d+)\s+"([^"]*)"', line):
            files[named[1]] = named[2].replace("\\", "/").rsplit("/", 1)[-1]
        elif at := re.match(r"\s*\.loc\s+(\d+)\s+(\d+)", line):
            here = f"{at[1]}:{at[2]}"
        elif ".entry" in line:
            here = ""
        found.append(here)
    return [f"{files.get(n, 'the source')}:{line}" if line else "" for n, _, line in (each.partition(":") for each in found)]


def _kernel(head: str, body: str, line: int, sources: Sequence[str]) -> PtxKernel:
    name = head.split("(")[0].split()[0]
    opening = head.index("(")
    closing = _closing(head, opening, "()")
    threads = re.search(r"\.reqntid\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", head[closing:])
    kernel = PtxKernel(name, _variables(head[opening:closing]))
    if threads:
        kernel.threads = int(threads[1]) * int(threads[2] or 1) * int(threads[3] or 1)
    _Body(kernel, sources).read(body, line)
    return kernel


class _Body:
    """Reads the statements of a kernel, whose blocks in braces have registers and labels of their own."""

    def __init__(self, kernel: PtxKernel, sources: Sequence[str]) -> None:
        self.kernel, self.sources = kernel, sources
        self.scopes: list[tuple[int, dict[str, str]]] = [(0, {})]
        self.number = 0
        self.label = ""
        self.branches: list[tuple[int, tuple[int, ...]]] = []

    def read(self, body: str, line: int) -> None:
        for number, statement in _statements(body, line):
            if statement == "{":
                self.number += 1
                self.scopes.append((self.number, {}))
            elif statement == "}":
                self.scopes.pop()
            elif statement.endswith(":"):
                self.label = statement[:-1]
                self.kernel.labels[f"{self.label}@{self.scopes[-1][0]}"] = len(self.kernel.instructions)
            elif statement.startswith("."):
                self._directive(statement)
            else:
                self._instruction(statement, number)
        self._resolve()

    def _directive(self, statement: str) -> None:
        if statement.startswith(".reg"):
            kind, names = re.match(r"\.reg\s+\.(\w+)\s+(.*)", statement, re.DOTALL).groups()  # type: ignore[union-attr]
            for name in re.split(r"\s*,\s*", names.strip()):
                family = re.match(r"(.*)<(\d+)>$", name)
                for own in [f"{family[1]}{i}" for i in range(int(family[2]))] if family else [name]:
                    self._declare(own, kind)
        elif statement.startswith(".branchtargets"):
            scope = self.scopes[-1][0]
            names = statement.removeprefix(".branchtargets").split(",")
            self.kernel.tables[self.label] = tuple(f"{name.strip()}@{scope}" for name in names)
        else:
            self.kernel.variables += _variables(statement)

    def _declare(self, name: str, kind: str) -> None:
        number, names = self.scopes[-1]
        names[name] = f"{name}@{number}" if number else name
        self.kernel.registers[names[name]] = kind

    def _named(self, word: str) -> str:
        for _, names in reversed(self.scopes):
            if word in names:
                return names[word]
        return word

    def _instruction(self, statement: str, line: int) -> None:
        match = re.match(r"(?:@(!?)\s*([\w%$.]+)\s+)?([\w.:]+)\s*(.*)$", statement, re.DOTALL)
        if match is None:
            raise UnknownInstruction(f"the PTX interpreter cannot read line {line}: {statement[:80]}")
        negated, guard, opcode, rest = match.groups()
        operands = tuple(self._operand(word) for word in _split(rest))
        parts = tuple(opcode.replace("::", ":").split("."))
        if parts[0] == "bra":
            self.branches.append((len(self.kernel.instructions), tuple(number for number, _ in reversed(self.scopes))))
        guard = self._named(guard) if guard else ""
        text = " ".join(statement.split())
        self.kernel.instructions.append(
            PtxInstruction(line, guard, bool(negated), parts, operands, text, self.sources[line - 1])
        )

    def _operand(self, word: str) -> Operand:
        if word.startswith("{"):
            return tuple(self._named(part.strip()) for part in word[1:-1].split(",") if part.strip())
        if word.startswith("["):
            inner = word[1:-1].strip()
            plain, _, rest = inner.partition(",")
            base, offset = re.match(r"([\w%$.]+)\s*(?:\+?\s*(-?\s*\w+))?$", plain.strip()).groups()  # type: ignore[union-attr]
            coordinates = tuple(self._named(part) for part in re.findall(r"[\w%$.-]+", rest))
            return Address(self._named(base), int((offset or "0").replace(" ", ""), 0), coordinates)
        if "|" in word:
            return tuple(self._named(part.strip()) for part in word.split("|"))
        return f"!{self._named(word[1:].strip())}" if word.startswith("!") else self._named(word)

    def _resolve(self) -> None:
        """Have each branch name the label of the innermost block that has one of that name."""
        for index, scopes in self.branches:
            instruction = self.kernel.instructions[index]
            (target,) = instruction.operands
            found = next((name for number in scopes if (name := f"{target}@{number}") in self.kernel.labels), "")
            if not found:
                raise ValueError(f"line {instruction.line} of the PTX branches to {target}, which is no label")
            self.kernel.instructions[index] = replace(instruction, operands=(found,))


def _statements(body: str, line: int) -> Iterator[tuple[int, str]]:
    """Each statement with its line: a brace, a label with its colon, or what ends with a semicolon, without it."""
    at = 0
    while True:
        skipped = re.match(r"\s*", body[at:])
        at += skipped.end() if skipped else 0
        if at >= len(body):
            return
        number = line + body.count("\n", 0, at)
        if body[at] in "{}":
            end, statement = at + 1, body[at]
        elif label := _LABEL.match(body, at):
            end, statement = label.end(), label[1] + ":"
        else:
            end = body.find(";", at)
            end = len(body) if end < 0 else end
            statement = body[at:end].strip()
            end += 1
        if statement:
            yield number, statement
        at = end


_LABEL = re.compile(r"([\w$%.]+)\s*:(?!:)")


def _split(text: str) -> list[str]:
    """Operands: what commas divide outside of braces and brackets."""
    found = re.findall(r"\{[^}]*\}|\[(?:[^\[\]{}]|\{[^}]*\})*\]|[^,\s][^,{\[]*", text)
    return [word.strip() for word in found if word.strip()]
