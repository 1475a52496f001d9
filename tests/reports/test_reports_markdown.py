"""Nothing that a record says can act as Markdown or HTML, or break the table it stands in."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.document import LONGEST, Code, CodeBlock, Table
from reports.markdown import NOTHING, WIDEST_PADDED, blocks, inline

ATTACKS = [
    "a | b || c",
    "x\n\n# heading\n",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![tracker](https://example.org/x.png)",
    "[click](javascript:alert(1))",
    "`code` ``` fence ```",
    "**bold** _emphasis_ __strong__ ~~gone~~",
    "www.example.org and https://example.org",
    "&lt;b&gt; &#60;",
    "back\\slash \\| pipe",
    "$x$ and $`x`$",
    "@somebody",
    "right\u202eleft \x1b[31mred\x00 \u2028 line",
    "\ud800 lone",
    "| :-- |",
    "--> <!--",
    "`|",
]
texts = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(st.characters(exclude_categories=()), max_size=60),
    st.text("`|\\<>&*_[]()!\n ", max_size=30),
)


@settings(deadline=None)
@given(texts)
def test_running_text_holds_no_markup(text: str) -> None:
    out = inline(text)
    without_references = re.sub(r"&(#\d+|nbsp);", "", out.replace(f"&#64;{NOTHING}", ""))
    assert not set(without_references) & set("\n\r\\`*[]<>|~&$@")
    assert "://" not in out
    assert "www." not in out.lower()
    assert not re.search(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", without_references)
    out.encode("utf-8")


@settings(deadline=None)
@given(texts)
def test_monospace_is_one_span_and_holds_no_pipe(text: str) -> None:
    out = inline(Code(text))
    assert "|" not in out
    assert "\n" not in out
    if out.startswith("`"):
        assert out.count("`") == 2
        assert out.endswith("`")
        assert "\\" not in out
    elif out != "-":
        inner = out.removeprefix("<code>").removesuffix("</code>")
        assert len(inner) == len(out) - len("<code></code>")
        assert not set(re.sub(r"&#\d+;", "", inner.replace(f"&#64;{NOTHING}", ""))) & set("`<>&*[]\\|")
    out.encode("utf-8")


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_nothing_is_lost(text: str) -> None:
    assert html.unescape(inline(text).replace(NOTHING, "")) == re.sub(r" +", " ", text)


@settings(deadline=None)
@given(texts)
def test_a_command_cannot_leave_its_fence(text: str) -> None:
    lines = blocks([CodeBlock(text)]).split("\n")
    fence = lines[0].removesuffix("sh")
    assert set(fence) == {"`"}
    assert lines[-1] == fence
    assert not any(fence in line for line in lines[1:-1])


def test_what_is_harmless_stays_readable() -> None:
    assert inline("sigmoid_attention, beta1^t (alpha=0)!") == "sigmoid_attention, beta1^t (alpha=0)!"
    assert inline(Code("ademamix/numpy")) == "`ademamix/numpy`"
    assert inline("line one\n  line two") == "line one line two"
    assert inline(Code("a\nb")) == "<code>a&#92;nb</code>"
    assert inline("a@b.org") == f"a&#64;{NOTHING}b.org"
    assert inline(Code("")) == "-"
    assert len(inline(Code("x" * 2 * LONGEST))) < 2 * LONGEST


def test_a_table_keeps_its_columns_whatever_the_cells_say() -> None:
    rows = [[Code(attack), attack] for attack in ATTACKS]
    lines = blocks([Table(["a", "b"], rows)]).split("\n")
    assert len(lines) == len(ATTACKS) + 2
    assert {line.count("|") for line in lines} == {3}


def test_a_wide_table_is_not_padded() -> None:
    narrow = blocks([Table(["a", "b"], [["x", "1"], ["longer", "2"]], "lr")])
    assert narrow.split("\n")[2] == "| x      |   1 |"
    wide = blocks([Table(["a", "b"], [["x", "1"], ["y" * 2 * WIDEST_PADDED, "2"]], "lr")])
    assert wide.split("\n")[1:3] == ["| :-- | --: |", "| x | 1 |"]


def test_a_table_refuses_rows_of_another_width() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        Table(["a", "b"], [["1"]])
