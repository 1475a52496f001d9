"""Each HTML page says what the Markdown one says, leads from red cells to findings, and lets no record act."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from conformance.records.schema import Verdict
from reports.charts.style import CARD
from reports.merge import load
from reports.page import render
from reports.sections.matrix import Sign
from reports.web.cells import WORST, kind, sort_key
from reports.web.figures import COLOURS, inline
from reports.web.page import FOLDER, SIGNATURE
from tests.reports import records_for_tests as made
from tests.reports.test_reports_page import EVIL, evil_records, records_of

VOID = {"meta", "link", "path", "use", "rect"}
ELEMENTS = {
    *("html", "head", "meta", "title", "link", "style", "body", "script", "nav", "main", "header", "section", "div", "span"),
    *("h1", "h2", "h3", "h4", "p", "ul", "li", "a", "strong", "em", "code", "pre"),
    *(
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "g",
        "defs",
        "clippath",
        "path",
        "use",
        "rect",
    ),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "rel", "href", "id", "class", "role", "tabindex", "scope"),
    *("aria-label", "aria-hidden", "data-key", "style", "viewbox", "width", "height", "d", "x", "y", "transform", "clip-path"),
}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, *tags: str) -> list[Node]:
        return [node for node in self.walk() if node.tag in tags]

    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def ancestors(self) -> Iterator[Node]:
        if self.parent is not None:
            yield self.parent
            yield from self.parent.ancestors()


class Tree(HTMLParser):
    """Refuses what is not nested well: every element is closed by its own end tag."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Node("", {})
        self.comments: list[str] = []
        self.feed(text)
        self.close()
        assert self.at is self.root, f"<{self.at.tag}> is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice"
        node = Node(tag, {key: value or "" for key, value in attrs}, self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(f"<!--{data}-->")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("records")
    return render(load(records_of(folder)))


@pytest.fixture(scope="module")
def trees(files: dict[str, bytes]) -> dict[str, Tree]:
    return trees_of(files)


def trees_of(files: dict[str, bytes]) -> dict[str, Tree]:
    """The HTML pages by their paths."""
    return {path: Tree(text.decode()) for path, text in files.items() if path.endswith(".html")}


def ids_of(tree: Tree) -> list[str]:
    return [node.attributes["id"] for node in tree.root.walk() if "id" in node.attributes]


def assert_tame(trees: dict[str, Tree], others: Collection[str] = ()) -> None:
    """Nothing but our own elements and attributes; nothing that fetches, acts or leads away from pages and ``others``."""
    for path, tree in trees.items():
        assert_page_is_tame(tree)
        for node in tree.root.all("a"):
            target, _, place = node.attributes.get("href", "").partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            assert there in trees or there in others, (path, target)
            assert not place or place in ids_of(trees[there]), (path, target, place)


def assert_page_is_tame(tree: Tree) -> None:
    assert tree.comments == [SIGNATURE]
    nodes = [node for node in tree.root.walk() if node.tag]
    assert {node.tag for node in nodes} <= ELEMENTS
    assert {name for node in nodes for name in node.attributes} <= ATTRIBUTES
    ids = ids_of(tree)
    assert len(ids) == len(set(ids))
    for node in nodes:
        target = node.attributes.get("href", "")
        assert node.tag == "a" or target in ("", "data:,") or (target[0] == "#" and target[1:] in ids), target
        assert not re.search(r"url\((?!#)|//|expression|@import", node.attributes.get("style", ""))
    (script,) = tree.root.all("script")
    (policy,) = [n.attributes["content"] for n in nodes if n.attributes.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    (style,) = tree.root.all("style")
    assert not re.search(r"url\(|@import|//", style.text)


def test_it_fetches_nothing_and_runs_its_own_script_only(trees: dict[str, Tree], files: dict[str, bytes]) -> None:
    assert_tame(trees, files)


def test_the_first_page_is_light(files: dict[str, bytes], trees: dict[str, Tree]) -> None:
    assert len(files["index.html"]) < 1_500_000
    assert len([node for node in trees["index.html"].root.walk() if node.tag]) < 15_000
    assert max(len(text) for path, text in files.items() if path.endswith(".md")) < 300_000


def test_hostile_records_stay_text(tmp_path: Path) -> None:
    body, header = evil_records()
    files = render(load([made.write(tmp_path / "evil.jsonl", body, **header)]))
    evil = trees_of(files)
    assert_tame(evil, files)
    text = "".join(page.root.text for page in evil.values())
    assert "\x1b" not in text
    assert "\u202e" not in text
    # It is not left out either: what it says is shown as it is.
    assert "<img src=x>`" in text
    assert "[x](http://e.org)**b**" in text


@pytest.mark.parametrize(
    "text",
    [
        '<a id="finding.a.b.C">',
        "<details><summary>x</summary>",
        "</details>",
        "<code>",
        "</code>",
        "<!-- -->",
        "</a></section></main>",
        '"><script>x</script>',
        EVIL,
    ],
)
def test_not_even_our_own_tags_can_be_had(tmp_path: Path, text: str) -> None:
    body = [
        made.result(
            "ademamix/torch", "ADM-01", text, text, 0.4, verdict=Verdict.FAIL, margin=2.0, reproduce=text, message=text
        ),
        made.result(f"ademamix/{text}", "ADM-01", "d8-t1", "float32", 0.4, verdict=Verdict.FAIL, margin=2.0),
        made.measurement("ademamix/torch", 1.0, workload=text, description=text),
    ]
    files = render(load([made.write(tmp_path / "run.jsonl", body)]))
    pages = trees_of(files)
    assert_tame(pages, files)
    frames = [node for page in pages.values() for node in page.root.all("section") if "finding" in node.classes()]
    assert len(frames) == 2


def test_each_page_says_what_the_markdown_says(files: dict[str, bytes], trees: dict[str, Tree]) -> None:
    for path, tree in trees.items():
        same = path.replace("index.html", "README.md").replace(".html", ".md")
        assert_says_the_same(files[same].decode(), tree)


def assert_says_the_same(page: str, tree: Tree) -> None:
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    rows = [line for line in outside.split("\n") if line.startswith("|") and not re.match(r"\|[ :|-]+\|$", line)]
    assert len(tree.root.all("tr")) == len(rows)
    assert len(tree.root.all("th", "td")) == sum(row.count("|") - 1 for row in rows)
    titles = re.findall(r"^(#+) ", outside, flags=re.MULTILINE)
    assert [f"h{len(marks)}" for marks in titles] == [node.tag for node in tree.root.all("h1", "h2", "h3", "h4")]
    commands = re.findall(r"^```\w+\n(.*?)\n```$", page, flags=re.DOTALL | re.MULTILINE)
    assert [node.text for node in tree.root.all("pre")] == commands
    assert [node.text for node in tree.root.all("summary")] == re.findall(r"<summary>(.*)</summary>", page)
    assert [link.text for link in tree.root.all("nav")[0].all("a")][:2] == ["Overview", "AdEMAMix: ranking"]
    assert len(tree.root.all("li")) - len(tree.root.all("nav")[0].all("li")) == len(
        re.findall(r"^ *- ", outside, re.MULTILINE)
    )


def test_every_red_cell_leads_to_its_finding_with_the_command(trees: dict[str, Tree]) -> None:
    frames = {
        place.attributes["id"]: node
        for tree in trees.values()
        for node in tree.root.walk()
        if "finding" in node.classes()
        for place in node.walk()
        if "id" in place.attributes
    }
    systems = [trees[f"pages/{system['name']}.html"] for system in made.SYSTEMS]
    cells = [cell for tree in systems for cell in tree.root.all("td") if re.match(r"FAIL |ERROR\b", cell.text)]
    assert len(cells) == len(made.FAILURES) + len(made.ERRORS)
    for cell in cells:
        assert cell.classes() & {"bad", "crash"}
        (link,) = cell.all("a")
        frame = frames[link.attributes["href"].partition("#")[2]]
        assert cell.parent is not None
        row = cell.parent.all("th")[0]
        assert row.text in frame.all("h3")[0].text
        assert len(frame.all("pre")) == 1
        assert row.text in frame.all("pre")[0].text


def test_those_who_cannot_see_it_are_told(trees: dict[str, Tree]) -> None:
    for tree in trees.values():
        assert_those_who_cannot_see_are_told(tree.root)
    # A chart is drawn on one page, and no page lacks its own.
    assert sum(len(tree.root.all("svg")) for tree in trees.values()) == len(made.SYSTEMS) + 5


def assert_those_who_cannot_see_are_told(root: Node) -> None:
    assert root.all("html")[0].attributes["lang"] == "en"
    for header in root.all("th"):
        assert header.attributes["scope"] in ("row", "col")
        assert header.text.strip()
    for table in root.all("table"):
        assert table.parent is not None
        assert table.parent.attributes["role"] == "region"
        assert table.parent.attributes["aria-label"].startswith("Table: ")
    for drawing in root.all("svg"):
        assert drawing.attributes["aria-hidden"] == "true"
        assert drawing.parent is not None
        assert drawing.parent.attributes["role"] == "img"
        assert len(drawing.parent.attributes["aria-label"]) > 40
    levels = [int(node.tag[1]) for node in root.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    # What the script adds is not there without it: no button that would do nothing.
    assert not root.all("button")


def themes() -> list[dict[str, str]]:
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    light, dark = (dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks)
    assert set(light) == set(dark)
    return [light, dark]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


TEXT_CONTRAST, MARK_CONTRAST = 4.5, 3.0
"""What WCAG 2 asks (AA) of text and of graphics."""
ON_GROUNDS = {
    ("--ink", TEXT_CONTRAST): (
        "--ground",
        "--raised",
        "--card",
        "--target",
        "--crash-ground",
        "--pass-ground",
        "--fail-ground",
    ),
    ("--quiet", TEXT_CONTRAST): ("--ground", "--raised", "--card", "--target"),
    ("--blue", TEXT_CONTRAST): ("--ground", "--raised", "--target", "--good-ground"),
    ("--red", TEXT_CONTRAST): ("--bad-ground", "--fail-ground"),
    ("--orange", TEXT_CONTRAST): ("--orange-ground",),
    ("--violet", TEXT_CONTRAST): ("--violet-ground",),
    ("--blue-mark", MARK_CONTRAST): ("--card", "--pass-ground", "--fail-ground"),
    ("--red-mark", MARK_CONTRAST): ("--card", "--pass-ground", "--fail-ground", "--ground"),
    ("--green-mark", MARK_CONTRAST): ("--card", "--pass-ground"),
    ("--purple-mark", MARK_CONTRAST): ("--card", "--pass-ground"),
    ("--ochre-mark", MARK_CONTRAST): ("--card", "--pass-ground"),
}


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_what_is_written_stands_out_from_its_ground(theme: dict[str, str]) -> None:
    for (ink, least), grounds in ON_GROUNDS.items():
        for ground in grounds:
            brighter, darker = sorted((luminance(theme[ink]), luminance(theme[ground])), reverse=True)
            assert (brighter + 0.05) / (darker + 0.05) >= least, (ink, ground)


def test_plots_take_the_colours_of_the_page_and_ids_of_their_own(files: dict[str, bytes]) -> None:
    drawing = inline(files["plots/ademamix.svg"], "one.")
    assert not [colour for colour in COLOURS if colour.lower() in drawing.lower()]
    assert f"fill: var({COLOURS[CARD]})" in drawing
    used = set(re.findall(r"var\((--[a-z-]+)\)", drawing))
    assert used <= set(themes()[0])
    ids = re.findall(r' id="([^"]*)"', drawing)
    assert all(id_.startswith("one.") for id_ in ids)
    assert set(re.findall(r'href="#([^"]*)"', drawing)) | set(re.findall(r"url\(#([^)]*)\)", drawing)) <= set(ids)
    assert "<style" not in drawing
    assert "<!--" not in drawing
    assert "metadata" not in drawing


SIGNS = {
    Sign.RIGHT: "good",
    Sign.DEFINITION: "bad",
    Sign.AUTHORS: "authors",
    Sign.INTERFACE: "interface",
    Sign.ROBUSTNESS: "robustness",
    Sign.READING: "reading",
    **dict.fromkeys((Sign.PARTLY, Sign.INCONCLUSIVE, Sign.NOTHING), "absent"),
}
"""A colour of its own for each level of trouble; what proves nothing is never green."""
KEYS = [
    ("FAIL 1.30e4 †", 1.3e4, "bad"),
    ("FAIL inf", float("inf"), "bad"),
    ("ERROR †", WORST, "crash"),
    ("0.0512 †", 0.0512, ""),
    ("8.17e-4", 8.17e-4, ""),
    ("2.99× [1.86, 3.55]", 2.99, ""),
    ("72.4 % (869/1200)", 72.4, ""),
    ("1 (baseline)", 1.0, ""),
    ("[79.8 µs, 81.3 µs]", 79.8e-6, ""),
    ("1.24 Gparameters/s", 1.24e9, ""),
    ("810 parameters/s", 810.0, ""),
    ("1.51 ms", 1.51e-3, ""),
    ("60.2 s", 60.2, ""),
    ("unsup.", None, "absent"),
    ("-", None, "absent"),
    ("computes the paper", None, "good"),
    ("differs from the paper", None, "bad"),
    ("differs from the paper, as the authors' code", None, "authors"),
    *((sign.value, None, kind) for sign, kind in SIGNS.items()),
    ("crashes", None, "crash"),
]


@pytest.mark.parametrize(("text", "number", "meant"), KEYS)
def test_a_cell_sorts_by_the_number_that_it_shows(text: str, number: float | None, meant: str) -> None:
    assert kind(text) == meant
    if text != "crashes":
        assert sort_key(text) == number


def test_every_column_of_numbers_can_be_sorted(trees: dict[str, Tree]) -> None:
    for table in [table for tree in trees.values() for table in tree.root.all("table")]:
        if "sortable" in table.classes():
            for cell in table.all("td"):
                if "number" in cell.classes() and "absent" not in cell.classes():
                    assert "data-key" in cell.attributes, cell.text
