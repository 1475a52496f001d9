"""The specification and the suite say the same: every rule has its id and its test, every example the reference's reading."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
from pathlib import Path

import pytest

from conformance.engine.selection import checks_of, requirements_of
from reference import rag, rig
from reference.rig import lenient, official, resolved
from reference.rig.lenient import RigDefect

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "docs" / "rig-specification.md"
DOCUMENT = FILE.read_text(encoding="utf-8")

RULE = re.compile(r"^- \*\*((?:RIG|RAG|SPEC)-\d+)\.\*\* (.*(?:\n  .*)*)", re.MULTILINE)
TEST = re.compile(r"\(\[(\w+)\]\[(\w+)\]\)$")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINKS = dict(re.findall(r"^\[(\w+)\]: (\S+)$", DOCUMENT, re.MULTILINE))
RULES = RULE.findall(DOCUMENT)
BLOCKS = BLOCK.findall(DOCUMENT)
NUMBER_OF = {defect: f"D{defect.value}" for defect in RigDefect}
REQUIREMENTS = {id_ for system in ("rig", "rag") for id_ in requirements_of(system)}


def rows(first_cell: str) -> list[list[str]]:
    """The cells of the table whose header begins with ``first_cell``, without their code marks; a dash is an empty string."""
    after = DOCUMENT.split(f"\n| {first_cell} |", 1)[1].split("\n\n", 1)[0]
    lines = after.split("\n")[2:]
    assert lines
    cells = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return [[cell.strip("`").replace("\\|", "|") for cell in row] for row in cells]


def examples(kind: str) -> list[tuple[str, dict[str, object]]]:
    found = []
    for (mark, text), (after, expected) in itertools.pairwise(BLOCKS):
        if mark == kind:
            assert after == "json", f"no expectation follows {text!r}"
            found.append((text.removesuffix("\n"), json.loads(expected)))
    assert found
    return found


def test_every_requirement_stands_in_the_document_once_and_no_other() -> None:
    ids = [id_ for id_, _ in RULES]
    assert len(set(ids)) == len(ids)
    assert {id_ for id_ in ids if not id_.startswith("SPEC")} == REQUIREMENTS
    own = [id_ for id_ in ids if id_.startswith("SPEC")]
    assert sorted(own) == [f"SPEC-{n:02}" for n in range(1, len(own) + 1)]


def test_every_id_that_is_mentioned_exists() -> None:
    assert set(re.findall(r"\b(?:RIG|RAG|SPEC)-\d+\b", DOCUMENT)) == {id_ for id_, _ in RULES}


@pytest.mark.parametrize(("id_", "sentence"), RULES, ids=[id_ for id_, _ in RULES])
def test_a_rule_is_normative_and_names_a_test_that_exists(id_: str, sentence: str) -> None:
    assert re.search(r"\b(?:MUST|SHOULD|MAY)\b", sentence)
    named = TEST.search(sentence)
    assert named, f"{id_} names no test"
    name, link = named.groups()
    file = (FILE.parent / LINKS[link]).resolve()
    functions = {node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}
    assert name in functions, f"{id_} names {name}, which is not in {file.name}"
    if id_ in REQUIREMENTS:
        system = id_.partition("-")[0].lower()
        assert name in {check.run.__name__ for check in checks_of(system) if check.requirement == id_}


def test_no_rule_stands_without_an_id() -> None:
    rest = BLOCK.sub("", RULE.sub("", DOCUMENT))
    wrong = [line for line in rest.splitlines() if re.search(r"\b(?:MUST|SHOULD|MAY|SHALL|REQUIRED|RECOMMENDED)\b", line)]
    assert len(wrong) == 1
    assert wrong[0].startswith("The words MUST")


def test_every_link_leads_somewhere() -> None:
    assert set(re.findall(r"\]\[(\w+)\]", DOCUMENT)) == set(LINKS)
    for target in LINKS.values():
        assert (FILE.parent / target).resolve().is_file(), target


@pytest.mark.parametrize(("text", "expected"), examples("rig"))
def test_the_examples_of_annotations_hold(text: str, expected: dict[str, object]) -> None:
    def reading(profile: rig.RigProfile) -> list[list[object]]:
        return [[a.query, a.value, a.span.start, a.span.end] for a in rig.annotations(text, profile)]

    assert reading(rig.STRICT) == expected["strict"]
    assert rig.is_well_formed(text) == expected["well_formed"]
    assert reading(rig.OFFICIAL) == (expected["strict"] if expected["official"] == "same" else expected["official"])
    if "lenient" in expected:
        found = [[r.query, r.value, sorted(map(NUMBER_OF.get, r.defects), key=str)] for r in lenient.recover(text)]
        assert found == expected["lenient"]


def test_the_first_example_is_the_formats_own() -> None:
    assert examples("rig")[0][0] == rig.EXAMPLE


@pytest.mark.parametrize(("text", "expected"), examples("rag"))
def test_the_examples_of_lists_hold(text: str, expected: dict[str, object]) -> None:
    read = rag.parse(text)
    assert list(read.queries) == expected["strict"]
    assert [[v.line, v.defect.value] for v in read.violations] == expected["violations"]
    assert sorted(rag.official.candidates(text)) == expected["official"]


@pytest.mark.parametrize("module", [rig.grammar, rag.grammar, resolved], ids=["rig", "rag", "resolved"])
def test_the_grammars_are_those_of_the_reference(module: object) -> None:
    stated = inspect.getdoc(module)
    assert stated
    grammar = re.search(r"::\n\n((?:    .*\n)+)", stated)
    assert grammar
    assert inspect.cleandoc(grammar[1]).strip() in [text.strip() for mark, text in BLOCKS if mark == "abnf"]


def test_white_space_is_listed_as_the_reference_has_it() -> None:
    listed = re.search(r"^White_Space is.*", DOCUMENT, re.MULTILINE)
    assert listed
    characters = set()
    for first, last in re.findall(r"U\+([0-9A-F]{4})(?:-([0-9A-F]{4}))?", listed[0]):
        characters |= set(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    assert characters == rig.WHITE_SPACE


def test_the_official_pattern_is_quoted() -> None:
    assert official.PATTERN in [text.strip() for _, text in BLOCKS]


def test_the_table_of_diagnostics_holds() -> None:
    table = rows("| diagnostic")
    assert [row[0] for row in table] == [NUMBER_OF[defect] for defect in RigDefect]
    for number, name, *cells in table:
        text, query, value, numbers = (cell.replace("␊", "\n") for cell in cells)
        assert RigDefect[name.replace("-", "_").upper()].value == int(number[1:])
        (found,) = lenient.recover(text)
        assert (found.query, found.value) == (query, None if value == "—" else value)
        assert {NUMBER_OF[defect] for defect in found.defects} == set(numbers.split())
        assert number in numbers.split()
        assert rig.annotations(text) == []


def test_the_table_of_tags_holds() -> None:
    for text, *cells in rows("tag"):
        served, footnote, differs, model = (None if cell == "—" else cell for cell in cells)
        ((found, start, end),) = resolved.tags(text)
        assert (start, end) == (0, len(text))
        assert (found.served, found.model, found.differs) == (served, model, differs == "yes")
        assert found.footnote == (footnote and int(footnote))


def test_the_table_of_forms_holds() -> None:
    table = rows("class")
    assert [(name, form) for name, form, _ in table] == [(t.name, t.value) for t in rag.Template]
    for name, _, query in table:
        assert rag.template_of(query) is rag.Template[name]


def test_text_order_numbers_differ_from_the_official_ones() -> None:
    text = "".join(rig.serialise_annotation(query, "5") for query in "aba")
    official_order = re.findall(r"\d", official.rewrite(text, lambda number, query, value: str(number)))
    in_text_order = [str(n) for n, _ in enumerate(rig.annotations(text), start=1)]
    assert (official_order, in_text_order) == (["1", "3", "2"], ["1", "2", "3"])
