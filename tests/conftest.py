"""Make the tests independent of how they are started, of how fast the machine is, and of each other.

No test of ours may leave torch's settings changed. Hypothesis draws without a clock, and the same examples every time where CI
runs. A shell starts background jobs with SIGINT ignored, which every child would inherit; tests of Ctrl+C need it as it
usually is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.torch_settings import changed, torch_settings

settings.register_profile(
    "gaugeblock", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gaugeblock")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def torch_stays_as_it_was() -> Iterator[None]:
    """Fail a test that leaves torch's settings changed."""
    before = torch_settings()
    yield
    assert changed(before) == []
