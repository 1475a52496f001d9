"""The published census is what its records give."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reports.census import pages

CENSUS = Path(__file__).resolve().parents[2] / "reports" / "published" / "census"


def test_the_published_census_is_that_of_its_records() -> None:
    rendered = pages(CENSUS / "records")
    published = {file.name: file.read_text(encoding="utf-8") for file in CENSUS.glob("*.md")}
    assert published == rendered, "run python -m reports.census reports/published/census/records"
    (authors,) = [line for line in rendered["README.md"].splitlines() if line.startswith("| `apple/ml-ademamix`<br>pytorch/")]
    assert "as the code published with the paper" in authors


def test_each_line_links_to_a_page_that_says_how_to_repeat_it() -> None:
    rendered = pages(CENSUS / "records")
    named = set(re.findall(r"\[\d+ of \d+\]\(([^)]+)\)", rendered["README.md"]))
    assert named == set(rendered) - {"README.md"}
    assert all("gaugeblock census FOLDER" in rendered[name] for name in named)
    reports = re.findall(r"\]\((\.\./cpu/[^)]+)\)", rendered["README.md"])
    assert reports
    assert all((CENSUS / report).is_file() for report in reports)


def test_copies_are_one_line_and_counted_each() -> None:
    page = pages(CENSUS / "records")["README.md"]
    assert sum("`epfml/llm-baselines`" in line for line in page.splitlines()) == 1
    assert "`epfml/llm-optimizer-benchmark`<br>`epfml/llm-baselines`" in page
    rows = json.loads((CENSUS / "records" / "census.json").read_text(encoding="utf-8"))
    assert f"Of {len(rows)} implementations" in page
