"""The published census is what its records give."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
