"""Make the tests independent of how they are started, and of how fast the machine is.

Hypothesis draws without a clock, and the same examples every time where CI runs. A shell starts background jobs with SIGINT
ignored, which every child would inherit; tests of Ctrl+C need it as it usually is.
"""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "gaugeblock", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gaugeblock")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
