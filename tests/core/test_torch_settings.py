"""A test that leaves torch's settings changed is told, whichever setting it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.torch_settings import changed, of_a_fresh_torch, torch_settings

CHANGES: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "default dtype": (torch.set_default_dtype, torch.float64, torch.float32),
    "deterministic algorithms": (torch.use_deterministic_algorithms, True, False),
    "gradients": (torch.set_grad_enabled, False, True),
    "subnormal numbers": (torch.set_flush_denormal, True, False),
    "anomaly detection": (torch.autograd.set_detect_anomaly, True, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_that_was_changed_is_named(name: str) -> None:
    change, to, back = CHANGES[name]
    before = torch_settings()
    change(to)
    try:
        found = changed(before)
    finally:
        change(back)
    assert [line.partition(":")[0] for line in found] == [name]
    assert changed(before) == []


def test_the_settings_of_a_fresh_torch_are_known() -> None:
    now = torch_settings()
    assert now is not None
    assert {name: now[name] for name in of_a_fresh_torch()} == of_a_fresh_torch()
