"""Markdown of our own sections becomes HTML in which a record's string is never more than text.

The sections escape what records say as numeric references, which CommonMark never takes for markup. Here nothing else
may pass either: of raw HTML only the few tags that we write ourselves, of links only those within the page and the few that
the caller names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from reports.anchors import PREFIX, mark
from reports.web.tables import kind, sort_key

OUR_TAGS = re.compile(rf'</?code>|<a id="{PREFIX}\.[A-Za-z0-9_.-]+">|</a>')
COMMENT = "<!-- -->"
_PLACE = re.compile(rf'<a id="({PREFIX}\.[A-Za-z0-9_.-]+)">')
_WIDTH = re.compile(r'<svg[^>]* width="([0-9.]+)"')
NARROW = 560
"""Points up to which a plot is drawn for a narrow screen, and shown there whole."""
FEWEST_SORTABLE_ROWS = 3
LONGEST_UNBROKEN, LONGEST_UNBROKEN_NAME = 40, 12
"""Characters of a cell up to which it stays on one line; of a row's name on a narrow screen."""


@dataclass(frozen=True)
class Heading:
    level: int
    id: str
    text: str


@dataclass
class Converter:
    """Converts section after section of one page, so that no two headings of it share an id."""

    plots: Mapping[str, str]
    """The ``svg`` element of each image by the path that the Markdown names."""
    links: frozenset[str] = frozenset()
    """The only places outside the page that it may lead to."""
    headings: list[Heading] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    _section: str = ""
    """The heading that the next table stands under."""

    def __post_init__(self) -> None:
        from markdown_it import MarkdownIt
        from markdown_it.renderer import RendererHTML

        parser = MarkdownIt("commonmark", {"html": True}).enable("table")
        # What our sections never write could only come from elsewhere.
        parser.disable(["html_block", "autolink", "reference", "lheading", "code", "blockquote", "hr"])
        parser.validateLink = lambda url: url.startswith("#") or url in self.plots or url in self.links  # type: ignore[method-assign]
        renderer = RendererHTML(parser)
        for name in (
            "html_inline",
            "image",
            "heading_close",
            "table_open",
            "table_close",
            "fence",
            "finding_open",
            "finding_close",
            "fold_open",
            "fold_title",
            "fold_close",
        ):
            renderer.rules[name] = getattr(self, f"_{name}")
        self._parser, self._renderer = parser, renderer

    def html(self, markdown: str) -> str:
        """The HTML of one section; its headings are added to ``headings``."""
        tokens = list(self._with_findings(list(_with_folds(self._parser.parse(markdown)))))
        finding = ""
        for index, token in enumerate(tokens):
            if token.type == "finding_open":
                finding = token.meta["places"][0]
            elif token.type == "heading_open":
                self._section = self._name_heading(token, tokens[index + 1], finding)
                finding = ""
            elif token.type == "table_open":
                token.meta["label"] = self._section
                _prepare_table(tokens, index)
        return self._renderer.render(tokens, self._parser.options, {})

    def _with_findings(self, tokens: Sequence[Any]) -> Iterator[Any]:
        """The same tokens with a frame around each finding: from a heading with a finding's place to the next heading."""
        from markdown_it.token import Token

        open_ = False
        for index, token in enumerate(tokens):
            if token.type == "heading_open":
                if open_:
                    yield Token("finding_close", "", 0)
                places = _places(tokens[index + 1])
                open_ = bool(places)
                if open_:
                    # The places move to the frame, so that a link leads to its top and not to the heading's last word.
                    yield Token("finding_open", "", 0, meta={"places": places})
                    inline = tokens[index + 1]
                    inline.children = [
                        child for child in inline.children if child.type != "html_inline" or not _is_place(child)
                    ]
            yield token
        if open_:
            yield Token("finding_close", "", 0)

    def _name_heading(self, token: Any, inline: Any, finding: str) -> str:
        text = _text(inline)
        id_ = finding
        if not id_:
            base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "section"
            # A counter could run into a name of its own: tried until it is free.
            names = chain([base], (f"{base}-{number}" for number in count(2)))
            id_ = next(name for name in names if name not in self._taken)
            self._taken.add(id_)
            token.attrSet("id", id_)
        inline.meta["place"] = id_
        self.headings.append(Heading(int(token.tag[1:]), id_, text))
        return text

    @staticmethod
    def _fold_open(*_: Any) -> str:
        return "<details>"

    @staticmethod
    def _fold_title(tokens: Sequence[Any], index: int, *_: Any) -> str:
        return f"<summary>{html.escape(_text(tokens[index]), quote=False)}</summary>\n"

    @staticmethod
    def _fold_close(*_: Any) -> str:
        return "</details>\n"

    @staticmethod
    def _finding_open(tokens: Sequence[Any], index: int, *_: Any) -> str:
        first, *others = tokens[index].meta["places"]
        return f'<section class="finding" id="{first}">{"".join(mark(place) for place in others)}\n'

    @staticmethod
    def _finding_close(*_: Any) -> str:
        return "</section>\n"

    def _heading_close(self, tokens: Sequence[Any], index: int, *_: Any) -> str:
        place = tokens[index - 1].meta["place"]
        label = html.escape(f"Link to {_text(tokens[index - 1])}")
        return f' <a class="here" href="#{place}" aria-label="{label}">#</a></{tokens[index].tag}>\n'

    @staticmethod
    def _html_inline(tokens: Sequence[Any], index: int, *_: Any) -> str:
        content: str = tokens[index].content
        if content == COMMENT:
            return ""
        return content if OUR_TAGS.fullmatch(content) else html.escape(content)

    def _image(self, tokens: Sequence[Any], index: int, *_: Any) -> str:
        token = tokens[index]
        words = html.escape(_text(token))
        drawing = self.plots[str(token.attrs["src"])]
        width = _WIDTH.search(drawing)
        narrow = " narrow" if width is not None and float(width.group(1)) <= NARROW else ""
        return f'<span class="plot{narrow}" role="img" aria-label="{words}" tabindex="0">{drawing}</span>'

    @staticmethod
    def _fence(tokens: Sequence[Any], index: int, *_: Any) -> str:
        body = html.escape(tokens[index].content.rstrip("\n"), quote=False)
        return f'<div class="command"><pre><code>{body}</code></pre></div>\n'

    @staticmethod
    def _table_open(tokens: Sequence[Any], index: int, *_: Any) -> str:
        token = tokens[index]
        label = html.escape(f"Table: {token.meta['label']}")
        classes = " ".join(token.meta["classes"])
        return f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table class="{classes}">\n'

    @staticmethod
    def _table_close(*_: Any) -> str:
        return "</table></div>\n"


def _with_folds(tokens: Sequence[Any]) -> Iterator[Any]:
    """The same tokens with `markup.fold`'s two paragraphs of tags as what they are: the beginning and the end of a part.

    Only tags count, which no record string can hold: its ``<`` comes here as a reference, and so as text.
    """
    from markdown_it.token import Token

    open_ = skip = 0
    for index, token in enumerate(tokens):
        if skip:
            skip -= 1
            continue
        tags = _tags(tokens[index + 1]) if token.type == "paragraph_open" else []
        if tags == ["<details>", "<summary>", "</summary>"]:
            yield Token("fold_open", "", 0)
            yield Token("fold_title", "", 0, children=tokens[index + 1].children)
            open_, skip = open_ + 1, 2
        elif tags == ["</details>"] and open_:
            yield Token("fold_close", "", 0)
            open_, skip = open_ - 1, 2
        else:
            yield token
    for _ in range(open_):
        yield Token("fold_close", "", 0)


def _tags(inline: Any) -> list[str]:
    return [child.content for child in inline.children or () if child.type == "html_inline" and child.content != COMMENT]


def _places(inline: Any) -> list[str]:
    """The names of the findings that a heading is of; only a tag counts, not a text that looks like one."""
    tags = (_PLACE.fullmatch(child.content) for child in inline.children or () if child.type == "html_inline")
    return [found.group(1) for found in tags if found]


def _is_place(tag: Any) -> bool:
    return tag.content == "</a>" or _PLACE.fullmatch(tag.content) is not None


def _text(inline: Any) -> str:
    """The text of an inline token as a reader sees it."""
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline")).strip()


def _prepare_table(tokens: Sequence[Any], start: int) -> None:
    """Headers for columns and rows, classes for verdicts, keys to sort by."""
    rows: list[list[int]] = []
    index = start
    while tokens[index].type != "table_close":
        if tokens[index].type == "tr_open":
            rows.append([])
        elif tokens[index].type in ("th_open", "td_open"):
            rows[-1].append(index)
        index += 1
    # A table of two columns is a list of facts: its rows have names, its columns have none.
    facts = len(rows[0]) == 2
    sortable = not facts and len(rows) > FEWEST_SORTABLE_ROWS
    tokens[start].meta["classes"] = ["facts"] if facts else ["sortable"] if sortable else ["plain"]
    for number, cells in enumerate(rows):
        for column, at in enumerate(cells):
            cell, inline = tokens[at], tokens[at + 1]
            numeric = "right" in str(cell.attrs.get("style", ""))
            text = _text(inline)
            cell.attrs = {}
            names_row = column == 0 and (facts or number > 0)
            names_column = number == 0 and not facts
            cell.tag = tokens[at + 2].tag = "th" if names_row or names_column else "td"
            if names_row or names_column:
                cell.attrSet("scope", "row" if names_row else "col")
            classes = ["number"] if numeric else []
            if number > 0 and not names_row:
                meant = kind(text, _text(tokens[rows[0][column] + 1]))
                classes += [meant] if meant else []
                key = sort_key(text) if numeric and sortable else None
                if key is not None:
                    cell.attrSet("data-key", "Infinity" if key == float("inf") else repr(key))
            elif names_row and not facts and len(text) > LONGEST_UNBROKEN_NAME:
                classes.append("name")
            if len(text) > LONGEST_UNBROKEN and not numeric:
                classes.append("long")
            if classes:
                cell.attrSet("class", " ".join(classes))
