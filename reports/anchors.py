"""Findings and badges can be pointed at: names made of record strings, which no such string can bend."""

from __future__ import annotations

import hashlib
import re

PREFIX = "finding"
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST_DIGITS = 12


def finding(implementation: str, requirement: str) -> str:
    """The name of one finding, such as ``finding.ademamix.optax.ADM-06``.

    Dots stand between the parts and nowhere else, so that no heading's own anchor and no other finding's has the same name.
    A part that holds anything unusual is told from others like it by a digest.
    """
    return ".".join([PREFIX, *(_part(part) for part in (*implementation.split("/", 1), requirement))])


def link(text: str, name: str) -> str:
    """Markdown for a link to a place on the same page. ``text`` must already be markup."""
    return f"[{text}](#{name})"


def mark(name: str) -> str:
    """The place that a link leads to: an empty element, which shows nothing."""
    return f'<a id="{name}"></a>'


def file_name(text: str) -> str:
    """A record string as a file name that leads out of no folder and is no other string's."""
    return _part(text)


def _part(text: str) -> str:
    if _SAFE.fullmatch(text):
        return text
    cleaned = "".join(character if _SAFE.fullmatch(character) else "-" for character in text)
    return f"{cleaned[:40]}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_DIGITS]}"
