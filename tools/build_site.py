"""Make what the documentation site has besides docs/. MkDocs calls these functions while it builds (``hooks`` in mkdocs.yml).

- Files of the repository that a page links to become part of the site, so that no link leads out of it.
- ``<!-- requirements: SYSTEM -->`` becomes every requirement of that system, from its declaration.
- The pages of the API are made from docstrings, which are read and not executed.
- Formulas become MathML, which browsers show without a script.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from latex2mathml.converter import convert

from conformance.engine.mutation import mutants_of
from conformance.engine.requirement import Requirement
from conformance.engine.selection import requirements_of
from impls.systems import System, system_named

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
API = ("ademamix", "sigmoid_attention", "rig", "rag", "testing", "implementation")
CODE = r"^```.*?^```$|(?P<ticks>`+)[^`].*?(?P=ticks)"
LINK = re.compile(rf"{CODE}|(?P<before>\]\(|^\[[^\]\n]+\]: )(?P<target>[^)\s]+)", re.MULTILINE | re.DOTALL)
"""A link, or code, in which there are none."""
SOURCES = {".cpp": r'^#include "([^"]+)"', ".h": r'^#include "([^"]+)"', ".rs": r"^mod (\w+);"}
"""How a source file names those beside it that it cannot be compiled without."""
MARKER = re.compile(r"^<!-- requirements: (\w+) -->$", re.MULTILINE)
COMMENT = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)
"""A comment ahead of the heading, with which MkDocs would not see the page's title."""
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the API and every file of the repository that a page links to."""
    from mkdocs.structure.files import File

    for module in API:
        content = f"# gaugeblock.{module}\n\n::: gaugeblock.{module}\n"
        files.append(File.generated(config, f"api/{module}.md", content=content))
    for path in linked(sorted((ROOT / "docs").rglob("*.md"))):
        files.append(File.generated(config, uri_of(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write out the requirements, and turn links between files of the repository into links between pages."""
    if page.file.src_uri.startswith("reports/"):
        page.meta["search"] = {"boost": 1e-4}  # a search finds what is explained before what was counted
    markdown = COMMENT.sub("", markdown)
    markdown = MARKER.sub(lambda found: requirements(system_named(found[1])), markdown)
    source = Path(page.file.abs_src_path) if page.file.abs_src_path else None
    return with_links(markdown, source, page.file.src_uri) if source else markdown


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML."""
    return FORMULA.sub(mathml, content)


def mathml(found: re.Match[str]) -> str:
    """A formula as MathML; ``found`` is what the Markdown extension made of it."""
    return convert(unescape(found[2]), display="block" if found[1] == "div" else "inline")


def target_of(link: str, source: Path) -> Path | None:
    """The file of the repository that a link leads to; None for addresses and for places in the same page."""
    if re.match(r"\w+:|#", link):
        return None
    target = (source.parent / link.partition("#")[0]).resolve()
    if target.is_dir():
        target = target / "README.md"
    # A published report is there as web pages too, which read better.
    pages = target.with_name("index.html")
    return pages if target.name == "README.md" and pages.is_file() else target


def linked(pages: list[Path]) -> Iterator[Path]:
    """Every file outside docs/ that these pages link to, directly or by way of one another."""
    seen, waiting = set(pages), list(pages)
    while waiting:
        source = waiting.pop()
        if source.suffix == ".html":  # a report, whose pages link to each other
            targets: list[Path | None] = [*source.parent.rglob("*.html")]
        elif source.suffix == ".md":
            text = source.read_text(encoding="utf-8")
            targets = [target_of(found["target"], source) for found in LINK.finditer(text) if found["target"]]
        elif source.suffix in SOURCES:
            targets = included(source)
        else:
            continue
        for target in sorted({target for target in targets if target is not None} - seen):
            if target.is_file() and target.is_relative_to(ROOT) and target != ROOT / "README.md":
                seen.add(target)
                waiting.append(target)
                if not target.is_relative_to(ROOT / "docs"):
                    yield target


def included(source: Path) -> list[Path | None]:
    """The files beside a source file that it is compiled with."""
    names = re.findall(SOURCES[source.suffix], source.read_text(encoding="utf-8"), re.MULTILINE)
    return [source.with_name(f"{name}.rs" if source.suffix == ".rs" else name) for name in names]


def uri_of(path: Path) -> str:
    """The path of a file's page in the site. README.md is the same as the first page."""
    inside = path.relative_to(ROOT).as_posix()
    return "index.md" if inside == "README.md" else inside.removeprefix("docs/")


def with_links(markdown: str, source: Path, uri: str) -> str:
    """A page with its links as they are in the site."""

    def link(found: re.Match[str]) -> str:
        target = target_of(found["target"], source) if found["target"] else None
        if target is None or not target.is_relative_to(ROOT):
            return found[0]
        _, mark, place = found["target"].partition("#")
        return f"{found['before']}{posixpath.relpath(uri_of(target), posixpath.dirname(uri))}{mark}{place}"

    return LINK.sub(link, markdown)


def requirements(system: System) -> str:
    """Every requirement of a system, by family, as Markdown."""
    family: Callable[[Requirement], str] = lambda requirement: requirement.family  # noqa: E731
    ordered = sorted(requirements_of(system.name).values(), key=family)
    return "\n\n".join(
        "\n\n".join([f"### {name}", *(one(system, requirement) for requirement in members)])
        for name, members in groupby(ordered, family)
    )


def one(system: System, requirement: Requirement) -> str:
    """A requirement, with the bug that it catches and the planted ones, as Markdown."""
    bugs = [mutant.name for mutant in mutants_of(system.name) if requirement.id in mutant.killed_by]
    lines = [
        f"#### {requirement.id}\n",
        f"**{plain(requirement.statement)}**\n",
        f"- *{requirement.level.value}*, from {plain(f'{system.paper}, {requirement.source}')}",
        f"- catches: {plain(requirement.catches)}",
    ]
    return "\n".join([*lines, *([f"- mutants: {', '.join(f'`{bug}`' for bug in bugs)}"] if bugs else [])])


def plain(text: str) -> str:
    """A text with nothing in it that Markdown reads as its own."""
    return re.sub(r"([\\`*_\[\]$|#])", r"\\\1", escape(text, quote=False))
