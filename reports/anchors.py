"""Make safe names of findings, files and pages from record strings."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 60
"""Characters of a name: a file's may have 255, with those of its system and its extension."""


def finding(implementation: str, requirement: str) -> str:
    """The name of one finding, such as ``finding.ademamix.optax.ADM-06``.

    Dots separate the parts and occur nowhere else, so that no heading and no other finding has the same name.
    """
    return ".".join(["finding", *_parts(implementation), file_name(requirement)])


def implementation_page(implementation: str) -> str:
    """The path of an implementation's page, such as ``pages/ademamix.optax``."""
    return f"pages/{'.'.join(_parts(implementation))}"


def system_page(system: str) -> str:
    """The path of a system's page, such as ``pages/ademamix``."""
    return f"pages/{file_name(system)}"


def file_name(text: str) -> str:
    """A record string as a file name that stays in its folder and that no other string has.

    A string that is empty, long or holds anything unusual gets a digest.
    """
    if text and len(text) <= _LONGEST and not _UNSAFE.search(text):
        return text
    return f"{_UNSAFE.sub('-', text)[:40]}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _parts(implementation: str) -> list[str]:
    return [file_name(part) for part in implementation.split("/", 1)]
