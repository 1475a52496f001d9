"""The parameters of a constructor are followed through **kwargs to its base classes."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.engine.signatures import parameters_of


class Base:
    def __init__(self, params: Any, alpha: float = 5.0, eps: float = 1e-8) -> None: ...


class Silent(Base):
    pass


class HandsOn(Base):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class Twice(HandsOn):
    def __init__(self, params: Any, *args: Any, alpha: float = 8.0, extra: int = 0, **kwargs: Any) -> None:
        super().__init__(params, *args, alpha=alpha, **kwargs)


class Closed(Base):
    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params)


class Open(Closed):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Endless:
    def __init__(self, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("called", "names"),
    [
        (Base, ["params", "alpha", "eps"]),
        (Silent, ["params", "alpha", "eps"]),
        (HandsOn, ["params", "alpha", "eps"]),
        (Twice, ["params", "alpha", "extra", "eps"]),
        (Closed, ["params", "lr"]),
        (Open, ["params", "lr"]),
        (Endless, ["kwargs"]),
        (parameters_of, ["called"]),
    ],
)
def test_parameters_are_followed_to_the_base(called: Any, names: list[str]) -> None:
    assert list(parameters_of(called)) == names


def test_the_default_of_the_outer_class_counts() -> None:
    assert parameters_of(Twice)["alpha"].default == 8.0
    assert parameters_of(HandsOn)["alpha"].default == 5.0
