"""Make safe names of findings and files from record strings."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def finding(implementation: str, requirement: str) -> str:
    """The name of one finding, such as ``finding.ademamix.optax.ADM-06``.

    Dots separate the parts and occur nowhere else, so that no heading and no other finding has the same name.
    """
    return ".".join(["finding", *(file_name(part) for part in (*implementation.split("/", 1), requirement))])


def file_name(text: str) -> str:
    """A record string as a file name that stays in its folder and that no other string has.

    A string that is empty or holds anything unusual gets a digest.
    """
    if text and not _UNSAFE.search(text):
        return text
    return f"{_UNSAFE.sub('-', text)[:40]}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
