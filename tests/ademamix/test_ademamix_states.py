"""States and parameters that disagree: refused in one clear error, or brought together, before any address is taken."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from impls.ademamix import states
from impls.ademamix.optimizer import AdEMAMix
from impls.triton_support import choose_interpreter

choose_interpreter()

BACKENDS = ("eager", "foreach", "cpu", "triton", "cuda-host")
STATES = ("float32", "bfloat16", "8bit")
KINDS = pytest.mark.parametrize(
    ("backend", "state_dtype"), [(b, s) for b in BACKENDS for s in STATES if (b, s) != ("foreach", "8bit")]
)
SHAPE = (8, 16, 8, 8)


def _parameter(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def _step(optimizer: AdEMAMix, seed: int) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            generator = torch.Generator().manual_seed(seed)
            # Scaled differently along each dimension: blocks in another order would have other scales.
            g = torch.randn(parameter.shape, generator=generator)
            for dimension, size in enumerate(parameter.shape):
                g *= torch.logspace(0, 1, size).reshape([-1 if d == dimension else 1 for d in range(g.ndim)])
            parameter.grad = torch.empty_like(parameter).copy_(g)
    optimizer.step()


def _kept(optimizer: AdEMAMix, name: str) -> torch.Tensor:
    """A moment of the last parameter as it is kept: values, or codes."""
    state = optimizer.state[optimizer.param_groups[-1]["params"][-1]]
    kept: torch.Tensor = state[states.CODED[name] if states.is_quantised(state) else name]
    return kept


def _optimizer(parameter: torch.nn.Parameter, backend: str, state_dtype: str, **options: Any) -> AdEMAMix:
    return AdEMAMix([parameter], lr=1e-2, backend=backend, state_dtype=state_dtype, **options)


# --- Shapes ----------------------------------------------------------------------------------------------------------------

REPLACED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "grown": lambda p: p.repeat(40, 1),
    "shrunk": lambda p: p[:50].clone(),
    "transposed": lambda p: p.T.contiguous(),
    "of another rank": lambda p: p.reshape(-1).clone(),
}


@KINDS
@pytest.mark.parametrize("change", list(REPLACED))
def test_a_parameter_of_another_shape_than_its_state_is_refused_and_nothing_moves(
    backend: str, state_dtype: str, change: str
) -> None:
    parameter, other = _parameter((100, 50)), _parameter((100, 50), 1)
    optimizer = AdEMAMix([("first", other), ("w", parameter)], lr=1e-2, backend=backend, state_dtype=state_dtype)
    _step(optimizer, 1)
    parameter.grad = None
    parameter.data = REPLACED[change](parameter.data)
    before = [p.detach().clone() for p in (other, parameter)]
    refusal = r"parameter 1 \(w\).*'exp_avg_fast(_codes)?' has shape \(100, 50\), expected the parameter's"
    with pytest.raises(ValueError, match=refusal):
        _step(optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, (other, parameter), strict=True))
    assert [optimizer.state[p]["t"] for p in (other, parameter)] == [1, 1]
    del optimizer.state[parameter]
    _step(optimizer, 3)
    assert _kept(optimizer, "exp_avg_slow").shape == parameter.shape


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_of_the_parameter_before_it_was_replaced_is_refused(backend: str) -> None:
    parameter = _parameter((100, 50))
    optimizer = _optimizer(parameter, backend, "float32")
    parameter.grad = torch.ones(100, 50)
    parameter.data = parameter.data.repeat(40, 1)
    with pytest.raises(ValueError, match=r"gradient of parameter 0 .* has shape \(100, 50\).*\(4000, 50\).*set it to None"):
        optimizer.step()


@KINDS
@pytest.mark.parametrize("name", ["exp_avg_fast", "exp_avg_slow", "exp_avg_sq"])
def test_each_moment_is_looked_at(backend: str, name: str, state_dtype: str) -> None:
    parameter = _parameter((100, 50))
    optimizer = _optimizer(parameter, backend, state_dtype)
    _step(optimizer, 1)
    state = optimizer.state[parameter]
    kept = states.CODED[name] if state_dtype == "8bit" else name
    state[kept] = state[kept][:50].clone()
    with pytest.raises(ValueError, match=rf"'{kept}' has shape \(50, 50\)"):
        _step(optimizer, 2)
    if state_dtype == "8bit":
        state[kept] = torch.zeros(100, 50, dtype=torch.uint8)
        state[f"{name}_scale"] = state[f"{name}_scale"][:-1].clone()
        with pytest.raises(ValueError, match=rf"'{kept}' has scales of shape \(19,\), expected \(20,\)"):
            _step(optimizer, 3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["exp_avg_fast", "exp_avg_slow", "exp_avg_sq"])
@pytest.mark.parametrize(
    "change",
    [lambda m: m.double(), lambda m: m.bfloat16(), lambda m: m.T.contiguous().T, lambda m: torch.stack([m, m], -1)[..., 0]],
    ids=["wider", "narrower", "transposed in memory", "with gaps"],
)
def test_a_moment_in_another_format_or_order_is_brought_back(backend: str, name: str, change: Any) -> None:
    parameter, plain = _parameter((100, 50)), _parameter((100, 50))
    optimizer, expected = _optimizer(parameter, backend, "float32"), _optimizer(plain, backend, "float32")
    for each in (optimizer, expected):
        _step(each, 1)
    moment = optimizer.state[parameter][name]
    optimizer.state[parameter][name] = changed = change(moment)
    expected.state[plain][name] = changed.float().contiguous()
    for each in (optimizer, expected):
        _step(each, 2)
    assert torch.equal(parameter, plain)
    assert optimizer.state[parameter][name].is_contiguous()


@KINDS
def test_a_state_of_another_shape_is_refused_at_load_and_nothing_is_loaded(backend: str, state_dtype: str) -> None:
    small, large = _parameter((100, 50)), _parameter((4000, 100))
    saved = _optimizer(small, backend, state_dtype)
    _step(saved, 1)
    optimizer = _optimizer(large, backend, state_dtype)
    _step(optimizer, 1)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"loaded state of parameter 0 .*\(100, 50\), expected .*\(4000, 100\); load a check"):
        optimizer.load_state_dict(saved.state_dict())
    names = states.CODED.values() if state_dtype == "8bit" else states.SIGNED
    assert all(torch.equal(before["state"][0][name], optimizer.state[large][name]) for name in names)


# --- Layout ----------------------------------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "channels last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "transposed": lambda t: t.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
}
"""Each keeps the values and the shape."""


def _way(parameter: torch.nn.Parameter, expected: torch.Tensor, start: torch.Tensor) -> float:
    """The distance from what is expected, relative to the way made."""
    return float((parameter.detach() - expected).norm() / (expected - start).norm())


@KINDS
@pytest.mark.parametrize("before", list(LAYOUTS))
@pytest.mark.parametrize("after", list(LAYOUTS))
@pytest.mark.parametrize("when", ["in place", "at load", "in a file without strides"])
def test_a_model_laid_out_anew_goes_on_as_the_other_does(
    backend: str, state_dtype: str, before: str, after: str, when: str
) -> None:
    if backend in ("triton", "cuda-host") and when == "at load":
        return  # as the others, and slow
    reference, parameter = _parameter(), _parameter()
    parameter.data = LAYOUTS[before](parameter.data)
    exact = AdEMAMix([reference], lr=1e-2, backend="eager")
    optimizer = _optimizer(parameter, backend, state_dtype)
    for each in (exact, optimizer):
        for step in range(3):
            _step(each, step)
    if when == "in place":
        parameter.data = LAYOUTS[after](parameter.data)
    else:
        saved = optimizer.state_dict()
        if when != "at load":
            plain = {key: v.contiguous() if torch.is_tensor(v) else v for key, v in saved["state"][0].items()}
            saved = {**saved, "state": {0: plain}}
        parameter = torch.nn.Parameter(LAYOUTS[after](parameter.detach().clone()))
        optimizer = _optimizer(parameter, backend, state_dtype)
        optimizer.load_state_dict(saved)
    start = reference.detach().clone()
    distance = parameter.detach() - start
    _step(exact, 3)
    _step(optimizer, 3)
    # Wrong scales make half of the way; what 8 bits lose in a step is a hundredth of it, and bfloat16 less.
    assert _way(parameter, reference.detach() + distance, start + distance) < {"float32": 1e-4}.get(state_dtype, 0.05)
    assert _kept(optimizer, "exp_avg_slow").stride() == parameter.stride()


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_eight_bits_through_a_file_without_strides_lose_nothing(backend: str, layout: str) -> None:
    parameter = torch.nn.Parameter(LAYOUTS[layout](_parameter().detach()))
    optimizer = _optimizer(parameter, backend, "8bit")
    for step in range(3):
        _step(optimizer, step)
    other = torch.nn.Parameter(LAYOUTS[layout](parameter.detach().clone()))
    again = _optimizer(other, backend, "8bit")
    saved = optimizer.state_dict()
    plain = {key: v.contiguous() if torch.is_tensor(v) else v for key, v in saved["state"][0].items()}
    again.load_state_dict({**saved, "state": {0: plain}})
    for step in range(3, 6):
        _step(optimizer, step)
        _step(again, step)
    assert torch.equal(parameter, other)


def test_codes_that_were_laid_out_anew_by_hand_with_their_model_keep_their_scales() -> None:
    """As tools do that take every tensor of a model and its optimizer to another format."""
    reference, parameter = _parameter(), torch.nn.Parameter(LAYOUTS["channels last"](_parameter().detach()))
    exact = AdEMAMix([reference], lr=1e-2, backend="eager")
    optimizer = AdEMAMix([parameter], lr=1e-2, backend="eager", state_dtype="8bit")
    for step in range(3):
        _step(exact, step)
        _step(optimizer, step)
    parameter.data = parameter.data.contiguous()
    state = optimizer.state[parameter]
    state.update({name: state[name].contiguous() for name in states.CODED.values()})
    start = reference.detach().clone()
    distance = parameter.detach() - start
    _step(exact, 3)
    _step(optimizer, 3)
    assert _way(parameter, reference.detach() + distance, start + distance) < 0.05


# --- State dicts -----------------------------------------------------------------------------------------------------------


def _trained(**options: Any) -> tuple[torch.nn.Parameter, AdEMAMix]:
    parameter = _parameter((100, 50))
    optimizer = AdEMAMix([parameter], backend="eager", **options)
    for step in range(2):
        _step(optimizer, step)
    return parameter, optimizer


@pytest.mark.parametrize("state_dtype", STATES)
@pytest.mark.parametrize("key", ["lr", "betas", "alpha", "t_alpha", "maximize", "state_dtype", "stochastic_rounding"])
def test_an_option_that_a_checkpoint_lacks_keeps_its_value_here(state_dtype: str, key: str) -> None:
    _, optimizer = _trained(state_dtype=state_dtype, alpha=3.0, t_alpha=7.0)
    saved = copy.deepcopy(optimizer.state_dict())
    del saved["param_groups"][0][key]
    parameter = _parameter((100, 50))
    other = AdEMAMix([parameter], backend="eager", state_dtype=state_dtype, alpha=3.0, t_alpha=7.0)
    other.load_state_dict(saved)
    assert other.param_groups[0][key] == optimizer.param_groups[0][key]
    _step(other, 3)


@pytest.mark.parametrize("stepped", [True, False])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam])
def test_a_state_dict_of_adamw_is_refused_with_the_way_to_switch(kind: Any, stepped: bool) -> None:
    parameter = _parameter((100, 50))
    adamw = kind([parameter])
    if stepped:
        parameter.grad = torch.ones_like(parameter)
        adamw.step()
    with pytest.raises(ValueError, match=r"is Adam's or AdamW's, expected AdEMAMix's: load it .*from_adamw"):
        AdEMAMix([parameter]).load_state_dict(adamw.state_dict())


@pytest.mark.parametrize("name", ["exp_avg_slow", "exp_avg_sq", "t", "t_switch"])
def test_a_state_that_lacks_something_is_refused_by_name(name: str) -> None:
    _, optimizer = _trained()
    saved = copy.deepcopy(optimizer.state_dict())
    del saved["state"][0][name]
    with pytest.raises(ValueError, match=rf"loaded state of parameter 0 .* has no '{name}'; found"):
        AdEMAMix([_parameter((100, 50))]).load_state_dict(saved)
    with pytest.raises(ValueError, match="group 0 of the state dict: alpha = -1"):
        optimizer.load_state_dict({**saved, "param_groups": [{**saved["param_groups"][0], "alpha": -1}]})


def test_hooks_of_state_dicts_see_and_change_what_is_saved_and_loaded() -> None:
    _, optimizer = _trained(state_dtype="bfloat16")
    calls: list[str] = []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("before saving"))

    def renamed(o: Any, saved: dict[str, Any]) -> dict[str, Any]:
        calls.append("saved")
        return {"groups": saved["param_groups"], "moments": saved["state"]}

    optimizer.register_state_dict_post_hook(renamed)
    saved: Any = optimizer.state_dict()
    assert set(saved) == {"groups", "moments"}
    parameter = _parameter((100, 50))
    other = AdEMAMix([parameter], backend="eager")

    def back(o: Any, given: Any) -> Any:
        state = {n: {**s, "exp_avg_slow": s["exp_avg_slow"] * 2} for n, s in given["moments"].items()}
        return {"param_groups": given["groups"], "state": state}

    def loaded(o: Any) -> None:
        calls.append("loaded")
        o.state[parameter]["exp_avg_sq"] = o.state[parameter]["exp_avg_sq"] * 4

    other.register_load_state_dict_pre_hook(back)
    other.register_load_state_dict_post_hook(loaded)
    other.load_state_dict(saved)
    assert calls == ["before saving", "saved", "loaded"]
    for name, factor in (("exp_avg_fast", 1), ("exp_avg_slow", 2), ("exp_avg_sq", 4)):
        got = other.state[parameter][name]
        assert got.dtype == torch.bfloat16
        assert torch.equal(got, saved["moments"][0][name] * factor)
    assert not other._optimizer_state_dict_post_hooks
    assert len(other._optimizer_load_state_dict_pre_hooks) == 1


def test_a_checkpoint_from_before_the_order_of_blocks_was_kept_is_read_by_its_strides() -> None:
    parameter = torch.nn.Parameter(LAYOUTS["channels last"](_parameter().detach()))
    optimizer = AdEMAMix([parameter], backend="eager", state_dtype="8bit")
    _step(optimizer, 0)
    buffer = io.BytesIO()
    saved = optimizer.state_dict()
    torch.save({**saved, "state": {0: {k: v for k, v in saved["state"][0].items() if k != states.ORDER}}}, buffer)
    buffer.seek(0)
    other = AdEMAMix([torch.nn.Parameter(parameter.detach().clone())], backend="eager")
    other.load_state_dict(torch.load(buffer))
    _step(optimizer, 1)
    _step(other, 1)
    assert torch.equal(other.param_groups[0]["params"][0], parameter)


def test_eight_bits_under_the_names_of_wide_moments_are_read_as_what_they_are() -> None:
    """As checkpoints had them before codes had names of their own, with the order of blocks as a number."""
    parameter, optimizer = _trained(state_dtype="8bit")
    saved = copy.deepcopy(optimizer.state_dict())
    state = saved["state"][0]
    for name, coded in states.CODED.items():
        state[name] = state.pop(coded)
    state[states.ORDER] = optimizer.state[parameter][states.ORDER]
    other = AdEMAMix([_parameter((100, 50))], backend="eager", state_dtype="8bit")
    other.load_state_dict(saved)
    expected, got = (states.wide(o.state[o.param_groups[0]["params"][0]]) for o in (optimizer, other))
    assert all(torch.equal(got[name], expected[name]) for name in states.SIGNED)


def test_a_run_is_resumed_with_another_warm_up_length() -> None:
    """As docs/ademamix.md says: load, then set. The clock goes on, and the schedules follow the new length."""
    parameter, optimizer = _trained(t_alpha=100.0, t_beta3=100.0)
    plain = torch.nn.Parameter(parameter.detach().clone())
    longer, written = (AdEMAMix([p], backend="eager", t_alpha=100.0, t_beta3=100.0) for p in (plain, parameter))
    saved = copy.deepcopy(optimizer.state_dict())
    longer.load_state_dict(saved)
    for group in longer.param_groups:
        group["t_alpha"] = group["t_beta3"] = 5.0
    saved["param_groups"][0].update(t_alpha=5.0, t_beta3=5.0)
    written.load_state_dict(saved)
    before = parameter.detach().clone()
    for each in (longer, written):
        _step(each, 7)
    assert torch.equal(parameter, plain)
    other = torch.nn.Parameter(before)
    unchanged = AdEMAMix([other], backend="eager", t_alpha=1.0)
    unchanged.load_state_dict(optimizer.state_dict())
    _step(unchanged, 7)
    assert not torch.equal(other, plain)  # the length of the checkpoint, which is not that of the constructor


@pytest.mark.parametrize(("clock", "value"), [("t", -1), ("t_switch", -1), ("t_switch", 3), ("t", "two")])
def test_a_clock_that_no_run_has_is_refused_at_load(clock: str, value: Any) -> None:
    """One of -1 was a division by zero in the next step."""
    _, optimizer = _trained()
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][0][clock] = value
    with pytest.raises(ValueError, match=r"loaded state of parameter 0 of its group: has (t = |clocks )"):
        optimizer.load_state_dict(saved)
