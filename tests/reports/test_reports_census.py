"""The published census is what its records give."""

from __future__ import annotations

import json
import re
from pathlib import Path

from conformance.records import io
from conformance.records.schema import RED, Level, VerdictRecord
from reports import declared
from reports.census import charts, pages

CENSUS = Path(__file__).resolve().parents[2] / "reports" / "published" / "census"


def test_the_published_census_is_that_of_its_records() -> None:
    rendered = pages(CENSUS / "records")
    published = {file.name: file.read_text(encoding="utf-8") for file in CENSUS.glob("*.md")}
    assert published == rendered, "run python -m reports.census reports/published/census/records"
    (authors,) = [line for line in rendered["README.md"].splitlines() if line.startswith("| `apple/ml-ademamix`<br>pytorch/")]
    assert "as the code published with the paper" in authors


def test_each_line_links_to_a_page_that_says_how_to_repeat_it() -> None:
    rendered = pages(CENSUS / "records")
    named = set(re.findall(r"\[\d+ of \d+\]\((?!\.\./)([^)]+)\)", rendered["README.md"]))
    assert named == set(rendered) - {"README.md"}
    assert "plots/differences.svg" in rendered["README.md"]
    assert all("gaugeblock census FOLDER" in rendered[name] for name in named)
    reports = re.findall(r"\]\((\.\./cpu/[^)]+)\)", rendered["README.md"])
    assert reports
    assert all((CENSUS / report).is_file() for report in reports)


def test_a_page_says_what_would_mend_it_and_repeats_it_without_the_suite() -> None:
    text = pages(CENSUS / "records")["nanowell-AdEMAMix-Optimizer-Pytorch-AdEMAMix-AdEMAMix.md"]
    assert "**What would mend it.** Divide the fast EMA alone" in text
    assert "**What may rightly be answered.**" in text
    assert "**Reported.** Not reported." in text
    assert "optimizer = theirs.AdEMAMix(" in text
    assert re.search(r"\| plain \| 1\.7e-02 \|", text)
    right = pages(CENSUS / "records")["apple-ml-ademamix-optax-ademamix-ademamix.md"]
    assert "mend" not in right


def test_the_published_charts_are_those_of_the_records() -> None:
    drawn = charts(CENSUS / "records")
    assert {file.stem for file in (CENSUS / "plots").glob("*.svg")} == set(drawn)
    assert b"implementations" in drawn["differences"]


def test_released_packages_have_the_verdict_of_the_published_report() -> None:
    page = pages(CENSUS / "records")["README.md"]
    (line,) = [line for line in page.splitlines() if "HomebrewML/HeavyBall" in line]
    assert re.search(r"heavyball \d+\.\d+\.\d+ ", line)
    assert re.search(r"\[\d+ of \d+\]\(\.\./cpu/pages/ademamix\.heavyball\.md\)", line)


def test_copies_are_one_line_and_counted_each() -> None:
    page = pages(CENSUS / "records")["README.md"]
    table = page.partition("## Families")[0]
    assert sum("`epfml/llm-baselines`" in line for line in table.splitlines()) == 1
    assert "`epfml/llm-optimizer-benchmark`<br>`epfml/llm-baselines`" in page
    rows = json.loads((CENSUS / "records" / "census.json").read_text(encoding="utf-8"))
    assert f"Of {len(rows)} implementations" in page
    assert "`claverru/RSNA-lumbar`" in page.partition("## Families")[2]


def test_the_interface_has_a_column_of_its_own() -> None:
    rendered = pages(CENSUS / "records")
    run = io.read(CENSUS / "records" / "interface-1.jsonl")
    assert {rule.level for each in run.of(VerdictRecord) if (rule := declared.by_id(each.requirement))} == {Level.INTERFACE}
    (line,) = [line for line in rendered["README.md"].splitlines() if "`swiss-ai/Megatron-LM`<br>" in line]
    assert line.split(" | ")[4] == "51 of 51"
    text = rendered["nanowell-AdEMAMix-Optimizer-Pytorch-AdEMAMix-AdEMAMix.md"]
    assert "11 of 49 judged cases of what the host promises are met." in text
    assert "No second formula was run on them." in text


def test_a_failed_promise_is_listed_by_requirement_where_the_definition_is_met() -> None:
    section = pages(CENSUS / "records")["README.md"].partition("## Interface\n")[2].partition("\n## ")[0]
    run = io.read(CENSUS / "records" / "interface-1.jsonl")
    named = {each.requirement for each in run.of(VerdictRecord) if each.verdict in RED and "simulator" in each.implementation}
    assert named
    assert all(f"| {each}: " in section for each in named)
    assert "nanowell" not in section


def test_findings_are_listed_by_requirement() -> None:
    section = pages(CENSUS / "records")["README.md"].partition("## Findings by requirement")[2]
    for requirement, finding in (("ADM-73", "zij-beta3-below-beta1"), ("ADM-71", "heavyball-copied")):
        assert re.search(rf"\| {requirement}[^|]* \| \[[^]]+\]\(\.\./findings/{finding}\.md\) \|", section)


def test_what_was_not_run_has_a_reason() -> None:
    table = pages(CENSUS / "records")["README.md"].partition("## Families")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if " | not run | " in line]
    assert lines
    assert all(len(line) == 6 and line[-1].strip() for line in lines)
    assert "not judged in this run" not in table
