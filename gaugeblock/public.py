"""Give public objects their public address."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any


def publish(namespace: MutableMapping[str, Any]) -> None:
    """Set ``__module__`` of every class and function in a module's ``__all__`` to that module.

    Pickles and ``torch.save`` then name ``gaugeblock.rig.Annotation``, which can be imported from a wheel and in a checkout
    alike; where the class is defined may change.
    """
    for name in namespace["__all__"]:
        found = namespace[name]
        if isinstance(found, type) or hasattr(found, "__code__"):
            found.__module__ = namespace["__name__"]
