"""Load and step the C++ optimizer with states drawn at random, right and wrong ones; a test runs it under AddressSanitizer.

python fuzz_states.py FIRST_SEED COUNT prints how many rounds were stepped and how many refused. A round must end in finite
parameters, or in ValueError, RuntimeError or TypeError. Reading or writing out of bounds ends the process.
"""

from __future__ import annotations

import copy
import functools
import random
import sys
from typing import Any

import torch

from impls.ademamix import build, states
from impls.ademamix.optimizer import AdEMAMix

SHAPES = ((), (0,), (1,), (5,), (255,), (257,), (3, 4), (64, 64), (17, 241), (4097,), (2, 3, 4, 5), (70, 61))
DTYPES = (torch.float32, torch.float32, torch.bfloat16, torch.float16, torch.float64)
FORMATS = ("float32", "bfloat16", "8bit")


def _laid_out(values: torch.Tensor, chance: random.Random) -> torch.Tensor:
    kind = chance.randrange(5)
    if kind == 1 and values.ndim > 1:
        return values.mT.contiguous().mT
    if kind == 2 and values.ndim:
        return torch.stack([values, values], -1)[..., 0]
    if kind == 3 and values.ndim:
        return values.flip(0)[::1]
    return values.clone()


def _parameters(chance: random.Random) -> list[torch.nn.Parameter]:
    dtype = chance.choice(DTYPES)
    shapes = [chance.choice(SHAPES) for _ in range(chance.randint(1, 5))]
    return [torch.nn.Parameter(_laid_out(torch.randn(shape, dtype=dtype), chance)) for shape in shapes]


def _spoilt(saved: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A state dict with one thing changed: a shape, a dtype, a layout, a scale, a clock, a key."""
    saved = copy.deepcopy(saved)
    numbers = [number for number, state in saved["state"].items() if state]
    if not numbers:
        return saved
    state = saved["state"][chance.choice(numbers)]
    name = chance.choice(sorted(state))
    value = state[name]
    changes: list[Any] = [lambda: state.pop(name), lambda: state.update({name: None}), lambda: state.update({name: "text"})]
    if torch.is_tensor(value):
        changes += [
            lambda: state.update({name: value.reshape(-1)[: value.numel() // 2].clone()}),
            lambda: state.update({name: torch.cat([value.reshape(-1)] * 2)}),
            lambda: state.update({name: value.reshape(-1)}),
            lambda: state.update({name: value.mT if value.ndim > 1 else value.reshape(-1)[:0]}),
            lambda: state.update({name: value.to(chance.choice((torch.uint8, torch.float64, torch.int64, torch.bfloat16)))}),
            lambda: state.update({name: _laid_out(value, chance)}),
        ]
    else:
        changes += [lambda: state.update({name: -1}), lambda: state.update({name: 2**62})]
    chance.choice(changes)()
    return saved


def _step(optimizer: AdEMAMix, chance: random.Random) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            grad = _laid_out(torch.randn(parameter.shape, dtype=parameter.dtype), chance)
            parameter.grad = None if chance.randrange(8) == 0 else grad
    optimizer.step()


def _disturbed(optimizer: AdEMAMix, chance: random.Random) -> None:
    """Change a parameter, or a state, behind the optimizer's back."""
    parameter = chance.choice(optimizer.param_groups[0]["params"])
    parameter.grad = None
    state = optimizer.state[parameter]
    kind = chance.randrange(6)
    if kind == 0:
        parameter.data = torch.randn(chance.choice(SHAPES), dtype=parameter.dtype)
    elif kind == 1:
        parameter.data = _laid_out(parameter.data, chance)
    elif kind == 2:
        parameter.data = parameter.data.to(chance.choice(DTYPES))
    elif kind == 3:
        optimizer.param_groups[0]["state_dtype"] = chance.choice(FORMATS)
    elif state:
        name = chance.choice([key for key in state if torch.is_tensor(state[key])])
        state[name] = state[name].reshape(-1)[:-1].clone() if kind == 4 else _laid_out(state[name], chance)


def call(seed: int) -> bool:
    """Whether all of a round was stepped."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1 + seed % 3)
    options: dict[str, Any] = {"state_dtype": chance.choice(FORMATS), "betas": (chance.choice((0.0, 0.9)), 0.99, 0.999)}
    parameters = _parameters(chance)
    if parameters[0].dtype is torch.float64:
        options["state_dtype"] = "float32"
    optimizer = AdEMAMix(parameters, lr=1e-3, backend="cpu", stochastic_rounding=bool(chance.randrange(2)), **options)
    try:
        for _ in range(2):
            _step(optimizer, chance)
        saved = optimizer.state_dict()
        wrong = chance.randrange(3)
        optimizer.load_state_dict(_spoilt(saved, chance) if wrong == 0 else saved)
        if wrong == 1:
            _disturbed(optimizer, chance)
        for _ in range(2):
            _step(optimizer, chance)
    except (ValueError, RuntimeError, TypeError):
        return False
    for parameter in parameters:
        if not wrong and not parameter.isfinite().all():
            continue  # a clock of 2**62, or codes for moments: wrong, but inside the memory
        assert wrong == 0 or bool(parameter.isfinite().all()), f"seed {seed}: a number that was never written"
    return True


def main(first: int, count: int) -> None:
    """Print what happened."""
    stepped = sum(call(seed) for seed in range(first, first + count))
    print(f"{stepped} stepped, {count - stepped} refused")


def sanitise() -> None:
    """Have the library compiled with AddressSanitizer."""
    plain = build.library
    build.library = functools.partial(plain, flags=("-fsanitize=address", "-fno-omit-frame-pointer"))


if __name__ == "__main__":
    if "--sanitised" in sys.argv:
        sanitise()
    if "--unchecked" in sys.argv:  # to see that what leads out of bounds is found
        states.fits = lambda *given: True
    main(int(sys.argv[1]), int(sys.argv[2]))
