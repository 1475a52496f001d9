"""How Hypothesis draws: without a clock, since machines are slow at times, and the same examples every time where CI runs."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "gaugeblock", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gaugeblock")
