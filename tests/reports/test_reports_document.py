"""A document is written out the same twice, and only what is made as markup is markup."""

from __future__ import annotations

import pytest

from reports.document import BulletList, Code, Link, Number, Section, Strong, Table, inline, joined, readable, series
from reports.markdown import blocks
from reports.web.html import HtmlRenderer


def test_a_template_takes_as_many_parts_as_it_has_places() -> None:
    assert readable(inline("{} is {}.", Code("torch"), Strong("fast"))) == "torch is fast."
    for parts in ([], ["a", "b"]):
        with pytest.raises(ValueError, match="zip"):
            inline("{} is fast", *parts)


def test_parts_are_joined_as_strings_are() -> None:
    assert readable(joined(", ", ["a", Code("b"), "c"])) == "a, b, c"
    assert [readable(series("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize("text", ["[x](y)", "a_b", "`1`", "1 | 2", "<b>", "1\n2"])
def test_a_number_holds_no_markup(text: str) -> None:
    with pytest.raises(ValueError, match="expected numbers"):
        Number(text)


@pytest.mark.parametrize("text", ["- a", "+ a", "1. a", "12) a", "---", "==="])
def test_a_paragraph_that_looks_like_a_list_stays_a_paragraph(text: str) -> None:
    mark = next(character for character in text if not character.isdecimal())
    assert blocks([text]) == text.replace(mark, f"&#{ord(mark)};", 1)
    assert HtmlRenderer({}).blocks([text]) == f"<p>{text}</p>\n"
    assert blocks([BulletList([text])]).startswith("- " + text[: text.index(mark)] + "&#")


def test_markup_that_spans_two_texts_is_none() -> None:
    assert blocks([("http:", "//e.org")]) == "http&#58;//e.org"


def test_a_list_belongs_to_the_item_before_it() -> None:
    body = [BulletList(["a", BulletList(["b", "c"]), "d"])]
    assert blocks(body) == "- a\n  - b\n  - c\n- d"
    inner = "<ul>\n<li>b</li>\n<li>c</li>\n</ul>\n"
    assert HtmlRenderer({}).blocks(body) == f"<ul>\n<li>a\n{inner}</li>\n<li>d</li>\n</ul>\n"


def test_sections_are_found_by_their_titles_and_their_further_places() -> None:
    body = [Section("One thing", [Section("One thing", ["text"])], ["old-name"])]
    assert blocks(body) == '<a id="old-name"></a>\n\n## One thing\n\n### One thing\n\ntext'
    renderer = HtmlRenderer({})
    page = renderer.blocks(body)
    assert [heading.id for heading in renderer.headings] == ["one-thing", "one-thing-2"]
    assert '<a id="old-name"></a><h2 id="one-thing">One thing' in page


def test_a_link_leads_where_it_says_in_both() -> None:
    link = Link(("see ", Code("a|b")), "#place")
    assert blocks([link]) == "[see <code>a&#124;b</code>](#place)"
    assert HtmlRenderer({}).blocks([link]) == '<p><a href="#place">see <code>a|b</code></a></p>\n'


def test_a_table_names_its_rows_and_columns() -> None:
    page = HtmlRenderer({}).blocks([Table(["Name", "x", "y"], [["a", "2.00", "-"]], "lrr")])
    assert '<th scope="row">a</th>\n<td class="number">2.00</td>\n<td class="number absent">-</td>' in page
