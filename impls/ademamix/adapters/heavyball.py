"""HeavyBall with its global compilation switched off: the same arithmetic, without a minute of compiling per shape."""

from __future__ import annotations


def start() -> None:
    """Set HeavyBall's own switch; its code paths read it at every call."""
    import heavyball

    heavyball.utils.compile_mode = None
