"""The linter of annotated answers names what is wrong where it is, counts it once, and repairs only what has one repair."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.linting.findings import Severity
from conformance.rig.harness.text import time_limit
from conformance.rig.lint import LINTER, fix, lint
from conformance.rig.unannotated import numbers
from reference import rig
from reference.rig.lenient import recover

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = '[__DC__("what was q in Paris?") --> "5%"]'


def found(text: str) -> list[tuple[str, str]]:
    return [(" ".join(f.codes), text[f.start : f.end]) for f in lint(text).findings]


@pytest.mark.parametrize(("text", "expected"), [
    (rig.EXAMPLE, []),
    (GOOD, []),
    ("", []),
    ("no statistics here", []),
    ("x [__DC__('what was q in Paris?') -> '5%'] y", [("D4 D5", "[__DC__('what was q in Paris?') -> '5%']")]),
    ("x [__DC__(what was q in Paris?) --> 5] y", [("lost", "__DC__")]),
    ('x [__DC__("what was q in Paris? and\n\n on', [("lost", '[__DC__("')]),
    ('x [__DC__("what was', [("truncated", '[__DC__("')]),
    ('x [__DC__("what was\n', [("truncated", '[__DC__("')]),
    ("x [__DC", [("truncated", "[__DC")]),
    ("x [__DC__(“what was", [("truncated", "[__DC__(“")]),
    ("x [", []),
    ("x [_\n", []),
    ("grew by 12% and **3.5 million** people", [("not-annotated", "12%"), ("not-annotated", "3.5 million")]),
    (GOOD.replace("5%", ""), [("empty-value", GOOD.replace("5%", ""))]),
    (GOOD.replace("5%", "stat"), [("placeholder-value", GOOD.replace("5%", "stat"))]),
    (GOOD.replace("5%", "many"), [("no-number", GOOD.replace("5%", "many"))]),
    (GOOD.replace("5%", "two thirds"), []),
    (GOOD.replace("5%", "五"), []),
    (GOOD.replace("5%", "١٠٥ مليون"), []),
    ("$" + GOOD.replace("%", ""), [("unit-outside", "$")]),
    ("$" + GOOD.replace("5%", "$5"), []),
    (GOOD.replace("%", "") + " million", [("unit-outside", "million")]),
    (GOOD.replace("%", "") + "%", [("unit-outside", "%")]),
    (GOOD + "%", [("repeated-outside", "%")]),
    (GOOD.replace("5%", "70,000 people") + " people.", [("repeated-outside", "people")]),
    (GOOD.replace("5%", "70,000") + " people.", []),
    (GOOD.replace("what was q in Paris?", "gdp?"), [("short-query", GOOD.replace("what was q in Paris?", "gdp?"))]),
    (GOOD.replace("in Paris", "last year"), [("no-place", GOOD.replace("in Paris", "last year"))]),
    (GOOD.replace("what was q in Paris?", "سكان مصر؟"), []),
    (GOOD.replace("in Paris", "Paris"), []),
    (GOOD.replace("5%", " 5%"), [("padded", GOOD.replace("5%", " 5%"))]),
    (GOOD + " and " + GOOD, [("duplicate", GOOD)]),
    (GOOD + " and " + GOOD.replace("5%", "6%"), [("contradiction", GOOD.replace("5%", "6%"))]),
    ("[__DC__#1(5 [1] || 6)] and\n#### FOOTNOTES ####\n[1] - Per x, value was 5 in 2020.", []),
    ("a\ud800b", [("lone-surrogate", "\ud800")]),
])  # fmt: skip
def test_what_is_wrong_is_named_where_it_is(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("founded in 1760 and the 10th largest by area", []),
    ("from 2010-2020, in the 1990s, on May 5, 2020, 5 May 2020, May 2021, 2020-05-06, 5/6/2020 and at 10:30 or 5 pm", []),
    ("1. first\n2) second\n- 3. third\n## 4. fourth\n**5. fifth**", []),
    ("see [1], #3, No. 4, Table 5, section 2.1 and https://x.org/a-123", []),
    ("COVID-19, G20, A4, US-101, 5G", []),
    ("aged 18 to 24, a 65-year-old, top 10, ranked 3, level 2", []),
    ("1,234,567 people, $5, €3.50, 12 %", ["1,234,567", "$5", "€3.50", "12 %"]),
    ("7 percent, 3 thousand", ["7 percent", "3 thousand"]),
    ("2000 million people in 2000", ["2000 million"]),
    ("about 2020.5 units, 1500 and 3000", ["2020.5", "3000"]),
    ("12.5% of 40, or 13.", ["12.5%", "40", "13"]),
    ("between $5-7 million and 10 \u2013 12.5 %, open 24/7", ["$5-7 million", "10 \u2013 12.5 %"]),
    ("1 in 5, 1 in every 100, 3 out of 4; 1 in 2020", ["1 in 5", "1 in every 100", "3 out of 4", "1"]),
    ("ZIP 94086, ZIP code 94087, call 408-555-0123", []),
    ("in 2020 Q3 and 2021H1, one of the 3 largest; 3 large ones", ["3"]),
])  # fmt: skip
def test_numbers_that_should_be_annotated_are_told_from_dates_and_ranks(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in numbers(text, 0, len(text))] == expected


pieces = st.sampled_from([
    rig.OPEN, rig.ARROW, rig.CLOSE, GOOD, '"', "'", "“", "”", "[", "]", "$", "__DC__(", "[DC(", ")", " --> ", " -> ",
    "what is q", "5", " ",
    "\n", "\n\n", "\x00", "&quot;", '\\"', "__DC__", "[__DC__#1(", ")]", "12% of", "\ud800", "#### FOOTNOTES ####",
])  # fmt: skip
documents = st.lists(pieces, max_size=20).map("".join)


@given(documents)
@settings(max_examples=300, deadline=None)
def test_everything_is_counted_once_and_every_finding_lies_in_the_text(text: str) -> None:
    result = lint(text)
    clean = text.replace("\ud800", "\ufffd").rstrip()
    assert result.counts["well-formed"] == len(rig.annotations(clean))
    assert result.counts["well-formed"] + result.counts["recoverable"] == len(recover(clean))
    assert result.counts["recoverable"] == sum(any(c[0] == "D" and c[1:].isdigit() for c in f.codes) for f in result.findings)
    for name in ("lost", "truncated"):
        assert result.counts[name] == sum(f.codes == (name,) for f in result.findings)
    assert result.counts["not annotated"] == sum(f.codes == ("not-annotated",) for f in result.findings)
    assert result.counts["truncated"] <= 1
    for finding in result.findings:
        assert 0 <= finding.start < finding.end <= len(text)
    errors = any(f.severity is Severity.ERROR for f in result.findings if f.codes != ("lone-surrogate",))
    assert result.counts["well-formed documents"] == (not errors)


@given(documents)
@settings(max_examples=300, deadline=None)
def test_a_repair_is_final_and_loses_nothing(text: str) -> None:
    fixed = fix(text)
    assert fix(fixed) == fixed
    if "\ud800" in text:
        assert fixed == text
        return
    before, after = recover(text), recover(fixed)
    assert len(after) == len(before)
    assert sum(not r.defects for r in after) >= sum(not r.defects for r in before)

    def outside(document: str, annotations: list[rig.lenient.RecoveredAnnotation]) -> list[str]:
        edges = [0, *(edge for r in annotations for edge in (r.start, r.end)), len(document)]
        return [document[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]

    assert outside(fixed, after) == outside(text, before)


@pytest.mark.parametrize(("text", "fixed"), [
    (GOOD, GOOD),
    ("[DC('what was q in Paris?') → '5%'", "[DC('what was q in Paris?') → '5%'".replace("[DC('", rig.OPEN).replace(
        "') → '", rig.ARROW).removesuffix("'") + rig.CLOSE),
    ('x $__DC__("q in Paris?") --> "$5"] y', 'x [__DC__("q in Paris?") --> "$5"] y'),
    ('x $__DC__("q in Paris?") --> "5"] y', 'x $__DC__("q in Paris?") --> "5"] y'),
    ('[__DC__("q\nin Paris?") --> "5 \r\n %"]', '[__DC__("q in Paris?") --> "5 %"]'),
    ('[__DC__("q\x00?") --> "5"]', '[__DC__("q\x00?") --> "5"]'),
    ('[__DC__("the "homeless" of SF?") --> "5 \\"approx\\""]', '[__DC__("the “homeless” of SF?") --> "5 “approx”"]'),
    ('[__DC__("12" screens?") --> "5"]', '[__DC__("12" screens?") --> "5"]'),
    ('[__DC__("q?") --> "5" y', '[__DC__("q?") --> "5"] y'),
    ('[__DC__("q?") --> "5" million] y', '[__DC__("q?") --> "5" million] y'),
    ('[__DC__("q?") --> "5]', '[__DC__("q?") --> "5"]'),
    ('[__DC__("q?") --> "5 [1]', '[__DC__("q?") --> "5 [1]'),
    ('[__DC__("a") --> "[DC(“] b?”) --> "5"]', '[__DC__("a") --> "[DC(“] b?”) --> "5"]'),
    ('[__DC__("q?") --> "5' + " people" * 9 + "]", '[__DC__("q?") --> "5' + " people" * 9 + "]"),
    ('[__DC__("q?") --> 5]', '[__DC__("q?") --> "5"]'),
    ('[__DC__("q?")]', '[__DC__("q?")]'),
    ('[__DC__(" q? ") --> " 5 "]', '[__DC__("q?") --> "5"]'),
    ('[__DC__("what was', '[__DC__("what was'),
])  # fmt: skip
def test_only_what_has_one_repair_is_repaired(text: str, fixed: str) -> None:
    assert fix(text) == fixed


@pytest.mark.parametrize("family", [
    "[", "[__DC__('", '[__DC__("a") --> "', '[__DC__("a" ', "__DC__", "12", "12,", "1 ", "a1-", "aaaa", "[__DC__#1(5",
    "May 1, ", "\n1. ", '[__DC__("a b c") --> "5"]', "$", "no. ", "http://x",
    "1-", " years ", "[__DC__('a') --> 'b'", "\ud800",
])  # fmt: skip
def test_hostile_documents_are_linted(family: str) -> None:
    text = family * (100_000 // len(family))
    with time_limit(30):
        lint(text)
        fix(text)


def test_shares_are_of_what_was_begun() -> None:
    text = f"{GOOD} and [__DC__('q in Rome?') --> '5'] and 12% [__DC__(x) and [__DC__(\"what"
    figures = LINTER.ratios(lint(text).counts)
    assert figures["well-formed, of annotations begun"] == 1 / 4
    assert figures["readable, of annotations begun"] == 2 / 4
    assert figures["annotated, of numbers that should be"] == 2 / 3
    assert figures["well-formed documents"] == 0
    assert figures["annotations per 100 words"] == 200 / (3 + 2 + 2)
    assert set(LINTER.ratios(lint("").counts).values()) == {None, 1.0}


def test_the_room_itself_stays_light() -> None:
    code = (
        "import sys, conformance.rig, conformance.rag\n"
        "print(sorted(m for m in sys.modules if m.startswith(('conformance.', 'reference'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['conformance.rag', 'conformance.rig']"
