"""The documentation site: it builds without a warning, is complete, and needs no network."""

from __future__ import annotations

import html
import logging
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from conformance.engine.selection import requirements_of
from gaugeblock import ademamix, implementation, rag, rig, sigmoid_attention, testing
from impls.systems import SYSTEM_NAMES
from tools.build_site import with_links

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link to nowhere, or a page of docs/ outside the navigation, is an error."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        warnings: list[str] = []
        logger = logging.getLogger("mkdocs")
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: warnings.append(record.getMessage())
        logger.addHandler(handler)
        try:
            build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
        finally:
            logger.removeHandler(handler)
    assert warnings == []
    return folder


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_every_requirement_has_a_place(site: Path, system: str) -> None:
    shown = html.unescape(page(site, f"specification/{system}.html"))
    for id_, requirement in requirements_of(system).items():
        assert f'<h4 id="{id_.lower()}">' in shown
        assert requirement.statement in shown
        assert requirement.catches in shown


def test_formulas_are_rendered_without_a_script(site: Path) -> None:
    for name in ("specification/ademamix.html", "specification/sigmoid_attention.html", "bounds.html"):
        assert page(site, name).count("<math") > 5
        assert "arithmatex" not in page(site, name)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = [file for file in site.rglob("*.html") if "reports" not in file.parts]
    assert len(pages) > 30
    for file in pages:
        text = file.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]* rel=\"(?:stylesheet|preconnect|preload|icon)\"[^>]* href=\"([^\"]+)\"", text)
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], file
        assert not re.search(r'class="mermaid', text), "the theme would fetch what draws it"


def test_a_site_opened_as_a_file_has_what_search_needs(site: Path) -> None:
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")
    assert '<script src="iframe-worker.js">' in page(site, "index.html")
    assert (site / "iframe-worker.js").is_file()


def test_a_published_page_has_its_heading_for_a_title(site: Path) -> None:
    assert "<title>The kernels' machine code" in html.unescape(page(site, "reports/published/sass/index.html"))


@pytest.mark.parametrize("module", [ademamix, implementation, rag, rig, sigmoid_attention, testing], ids=lambda m: m.__name__)
def test_every_public_name_is_in_the_api(site: Path, module: object) -> None:
    name = module.__name__
    shown = page(site, f"api/{name.partition('.')[2]}.html")
    for public in module.__all__:
        assert f'id="{name}.{public}"' in shown


def test_links_between_files_become_links_between_pages() -> None:
    source = ROOT / "docs" / "ci.md"
    text = "[a](../SECURITY.md) [b](command.md#exit-codes) [c](https://x.y) `[d](../e.md)`\n[e]: ../impls/systems.py\n"
    wanted = "[a](SECURITY.md) [b](command.md#exit-codes) [c](https://x.y) `[d](../e.md)`\n[e]: impls/systems.py\n"
    assert with_links(text, source, "ci.md") == wanted
    assert with_links("[r](../reports/published/cpu/README.md)", source, "ci.md") == "[r](reports/published/cpu/index.html)"
    assert with_links("[h](../README.md)", source, "ci.md") == "[h](index.md)"


@pytest.mark.parametrize("name", ["examples/numeric_vectors.cpp", "examples/rust/src/main.rs"])
def test_a_source_file_comes_with_what_it_is_compiled_with(site: Path, name: str) -> None:
    waiting, seen = [site / name], 0
    while waiting:
        source = waiting.pop()
        text = source.read_text(encoding="utf-8")
        waiting += [source.with_name(beside) for beside in re.findall(r'^#include "(.+)"$', text, re.MULTILINE)]
        waiting += [source.with_name(f"{module}.rs") for module in re.findall(r"^mod (\w+);$", text, re.MULTILINE)]
        seen += 1
    assert seen >= 3


def test_an_example_of_the_site_has_its_scripts(site: Path) -> None:
    for readme in sorted((ROOT / "examples").glob("*/README.md")):
        folder = site / "examples" / readme.parent.name
        for script in readme.parent.glob("*.py") if folder.is_dir() else ():
            assert (folder / script.name).is_file(), script


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "quickstart").glob("*.md")), ids=lambda path: path.stem)
def test_a_quick_start_says_what_its_placeholders_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = re.search(r"^(?:git clone|.*git\+).*REPOSITORY", text, re.MULTILINE)
    said = re.search(r"^`REPOSITORY` is the (https )?address", text, re.MULTILINE)
    assert used
    assert said
    assert said.start() < used.start()
