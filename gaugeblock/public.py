"""Give public objects their public address."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gaugeblock.installation import CHECKOUT


def refuse_others() -> None:
    """ImportError where a checkout would import somebody else's ``impls``. (A wheel has no such name.)"""
    spec = find_spec("impls") if CHECKOUT is not None else None
    if CHECKOUT is not None and (spec is None or not Path(str(spec.origin)).is_relative_to(CHECKOUT)):
        found = spec.origin if spec is not None else "none"
        raise ImportError(
            f"found the package impls at {found}, expected that of {CHECKOUT}, the checkout that gaugeblock is imported from; "
            "install gaugeblock without -e to use it beside packages of these names"
        )


refuse_others()


def publish(namespace: MutableMapping[str, Any]) -> None:
    """Set ``__module__`` of every class and function in a module's ``__all__`` to that module.

    Pickles and ``torch.save`` then name ``gaugeblock.rig.Annotation``, which can be imported from a wheel and in a checkout
    alike; where the class is defined may change.
    """
    for name in namespace["__all__"]:
        found = namespace[name]
        if isinstance(found, type) or hasattr(found, "__code__"):
            found.__module__ = namespace["__name__"]
