"""Describe an implementation that the suite should test, where what is found by looking at it does not fit.

    from gaugeblock.implementation import Implementation

See "When the defaults do not fit" in docs/plugging-in.md. It needs nothing but Python.
"""

from __future__ import annotations

from gaugeblock.public import publish
from impls.implementation import Implementation, NotRun, Origin, Unsupported

__all__ = ["Implementation", "NotRun", "Origin", "Unsupported"]

publish(globals())
