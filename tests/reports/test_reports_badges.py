"""A badge says the status of an implementation in words, whatever its name holds."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance.records.schema import Verdict
from reports.badges import GROUNDS, LABEL_GROUND, badges, draw
from reports.charts.svg import SIGNATURE
from reports.merge import load
from tests.reports import records_for_tests as made
from tests.reports.test_reports_page import EVIL, evil_records
from tests.reports.test_reports_web import TEXT_CONTRAST, luminance

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def title(svg: bytes) -> str:
    found = ElementTree.fromstring(svg).find(f"{SVG}title")
    assert found is not None
    return found.text or ""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return badges(load([made.write(tmp_path_factory.mktemp("records") / "a.jsonl")]))


WORDS = {
    "ademamix/numpy": "computes the paper 0.0995",
    "ademamix/torch": "computes the paper 0.317",
    "rig/regex": "computes the paper exactly",
    "ademamix/heavyball": "differs: ADM-01",
    "ademamix/optax": "differs: ADM-06 and 1 more",
    "ademamix/bitsandbytes-32bit": "crashes: ADM-07",
    "ademamix/apple": "not judged",
}


@pytest.mark.parametrize("name", WORDS)
def test_a_badge_says(name: str, drawn: dict[str, bytes]) -> None:
    titles = {system["name"]: system["title"] for system in made.SYSTEMS}
    assert texts(drawn[f"badges/{name}.svg"]) == [titles[name.split("/")[0]], WORDS[name]]


def test_it_says_more_to_those_who_hear_it(drawn: dict[str, bytes]) -> None:
    assert title(drawn["badges/ademamix/numpy.svg"]) == (
        "ademamix/numpy on AdEMAMix: computes the paper, worst margin 0.0995 in float32 (up to 1 passes), "
        "100 % of the definition judged there."
    )
    assert title(drawn["badges/ademamix/optax.svg"]) == (
        "ademamix/optax 0.2.8 on AdEMAMix: differs from the paper. Not met: definition ADM-06, ADM-07."
    )
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.attrib["aria-label"] == title(svg)
        assert root.attrib["role"] == "img"


def test_a_margin_is_of_the_ranking_dtype_or_not_told(tmp_path: Path) -> None:
    others = [made.result(f"ademamix/{name}", "ADM-01", "d8-t1", "float32", 0.4) for name in ("numpy", "torch")]
    alone = made.result("ademamix/triton", "ADM-01", "d8-t1", "bfloat16", 0.4, margin=0.75)
    found = badges(load([made.write(tmp_path / "a.jsonl", [*others, alone])]))
    assert texts(found["badges/ademamix/triton.svg"])[1] == "computes the paper"
    assert "in float32 (up to 1 passes)" in title(found["badges/ademamix/torch.svg"])


@pytest.mark.parametrize(
    ("requirement", "resembles", "said"),
    [
        ("ADM-46", "", "computes the paper 0.250, interface: 1"),
        ("ADM-42", "", "computes the paper 0.250"),
        ("ADM-18", "ademamix/x: 1e-8, as the authors' code does.", "as the authors: ADM-18"),
    ],
)
def test_a_badge_knows_levels(tmp_path: Path, requirement: str, resembles: str, said: str) -> None:
    listed = [
        {"system": "ademamix", "id": id_, "level": level, "family": "One", "statement": "Rule.", "source": "", "catches": ""}
        for id_, level in (("ADM-01", "definition"), ("ADM-18", "definition"), ("ADM-42", "reading"), ("ADM-46", "interface"))
    ]
    body = [
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4, margin=0.25),
        made.result(
            *("ademamix/torch", requirement, "d8-t1", "float32", 0.4), verdict=Verdict.FAIL, margin=2.0, resembles=resembles
        ),
    ]
    found = badges(load([made.write(tmp_path / "a.jsonl", body, requirements=listed)]))
    assert texts(found["badges/ademamix/torch.svg"])[1] == said


def test_every_implementation_has_one_and_the_same_records_the_same(tmp_path: Path, drawn: dict[str, bytes]) -> None:
    assert set(drawn) == {f"badges/{name}.svg" for name, *_ in made.IMPLEMENTATIONS}
    assert badges(load([made.write(tmp_path / "a.jsonl")])) == drawn
    assert all(svg.startswith(SIGNATURE.encode()) for svg in drawn.values())


def test_both_grounds_hold_their_words(drawn: dict[str, bytes]) -> None:
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        left, right = root.iter(f"{SVG}text")
        edge = int(left.attrib["x"]) + int(left.attrib["textLength"])
        assert edge < int(right.attrib["x"])
        assert int(right.attrib["x"]) + int(right.attrib["textLength"]) < int(root.attrib["width"])


def test_white_words_stand_out() -> None:
    for ground in (LABEL_GROUND, *GROUNDS.values()):
        assert 1.05 / (luminance(ground) + 0.05) >= TEXT_CONTRAST


@pytest.mark.parametrize("text", [EVIL, '"/><script>x</script>', "a&b", "\ufffe\x00", "", " ", "漢字" * 99, "]]>", "<!--"])
def test_a_hostile_name_is_text(text: str) -> None:
    svg = draw(text, text, GROUNDS[0], text)  # type: ignore[index]
    root = ElementTree.fromstring(svg)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "path", "g", "text"}
    assert b"\x1b" not in svg


def test_no_name_leads_out_of_its_folder_or_onto_another(tmp_path: Path) -> None:
    names = [f"ademamix/{slug}" for slug in ("../../x", "..", ".", "a/b", "a-b", "a.b", "a b", "", "~", "con:", EVIL)]
    body = [made.result(name, "ADM-01", "d8-t1", "float32", 0.4, verdict=Verdict.PASS) for name in names]
    found = badges(
        load([made.write(tmp_path / "r.jsonl", body, implementations=[made.implementation(name) for name in names])])
    )
    assert len(found) == len(names)
    for path in found:
        folder, system, file = path.split("/")
        assert (folder, system) == ("badges", "ademamix")
        assert ".." not in file
        assert file.endswith(".svg")


def test_hostile_records_are_drawn(tmp_path: Path) -> None:
    body, header = evil_records()
    for svg in badges(load([made.write(tmp_path / "evil.jsonl", body, **header)])).values():
        ElementTree.fromstring(svg)
