"""The threat model lists all attacks, each with the outcome that its test holds it to."""

from __future__ import annotations

from tests.attacks.attacking import HERE, NO_ATTACK, attacks
from tools.threat_model import DOCUMENT, KINDS, with_table


def test_the_document_lists_the_attacks_as_they_are() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_table(document) == document, "run: python -m tools.threat_model"


def test_no_attack_is_left_out() -> None:
    files = {path for path in HERE.rglob("*/*.py") if path.stem not in NO_ATTACK and path.parent != HERE}
    listed = {each.path for kind in KINDS for each in attacks(kind)}
    assert listed == files
    assert all(each.tries.endswith(".") for kind in KINDS for each in attacks(kind))
