"""The published census is what its records give."""

from __future__ import annotations

from pathlib import Path

from reports.census import render

CENSUS = Path(__file__).resolve().parents[2] / "reports" / "published" / "census"


def test_the_published_census_is_that_of_its_records() -> None:
    page = (CENSUS / "README.md").read_text(encoding="utf-8")
    assert page == render(CENSUS / "records"), "run python -m reports.census reports/published/census/records"
    (authors,) = [line for line in page.splitlines() if line.startswith("| `apple/ml-ademamix` pytorch/")]
    assert "as the code published with the paper" in authors
