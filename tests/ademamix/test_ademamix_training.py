"""Around the step: the switch from AdamW, loss scaling, options of the wrong type, lazy parameters, `torch.compile`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from impls.ademamix.optimizer import AdEMAMix
from impls.triton_support import choose_interpreter

choose_interpreter()


def _parameters(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(6, 7, generator=generator, dtype=torch.float64).to(dtype)) for _ in range(3)]


def _give(parameters: list[torch.nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)


# --- From AdamW ------------------------------------------------------------------------------------------------------------

SETTINGS: list[dict[str, Any]] = [
    {},
    {"lr": 0.03},
    {"lr": torch.tensor(0.03, dtype=torch.float64)},
    {"betas": (0.5, 0.7)},
    {"betas": (0.0, 0.9)},
    {"eps": 0.1},
    {"weight_decay": 0.3},
    {"weight_decay": 0.0},
    {"maximize": True, "weight_decay": 0.2},
    {"capturable": True, "lr": torch.tensor(0.03, dtype=torch.float64)},
    {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2, "maximize": True},
]


def _adamw(parameters: list[torch.nn.Parameter], settings: dict[str, Any], kind: Any = torch.optim.AdamW) -> Any:
    groups = [
        {"params": [("a", parameters[0])]},
        {
            "params": [("b", parameters[1]), ("c", parameters[2])],
            "lr": 0.05,
            "betas": (0.6, 0.8),
            "eps": 0.01,
            "weight_decay": 0.0,
        },
    ]
    return kind(groups, **settings)


def _trained(settings: dict[str, Any], scheduled: bool) -> tuple[list[torch.nn.Parameter], Any]:
    parameters = _parameters()
    own = {name: value.clone() if torch.is_tensor(value) else value for name, value in settings.items()}
    adamw = _adamw(parameters, own)
    scheduler = torch.optim.lr_scheduler.LinearLR(adamw, 0.5, total_iters=20) if scheduled else None
    for step in range(3):
        _give(parameters, step)
        adamw.step()
        if scheduler is not None:
            scheduler.step()
    return parameters, adamw


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("scheduled", [False, True])
def test_without_the_slow_moment_the_steps_after_the_switch_are_those_of_adamw(
    settings: dict[str, Any], scheduled: bool
) -> None:
    if settings.get("capturable") and not torch.cuda.is_available():
        settings = {**settings, "capturable": False}  # torch's own needs a device
    (ours, old), (its, adamw) = (_trained(settings, scheduled) for _ in range(2))
    switched = AdEMAMix.from_adamw(old, alpha=0.0, backend="foreach")
    for group, before in zip(switched.param_groups, adamw.param_groups, strict=True):
        for name in ("lr", "eps", "weight_decay", "maximize", "param_names", "initial_lr"):
            assert group.get(name) == before.get(name), name
        assert group["betas"] == (*before["betas"], 0.9999)
    for step in range(3, 6):
        for parameters, optimizer in ((its, adamw), (ours, switched)):
            _give(parameters, step)
            optimizer.step()
        for a, b in zip(ours, its, strict=True):
            # a few roundings in each of the steps
            away = (a.detach() - b.detach()).abs() / b.detach().abs().clamp(min=1e-3)
            assert float(away.max()) < 64 * torch.finfo(torch.float64).eps


def test_groups_that_join_after_the_switch_have_the_defaults_of_adamw() -> None:
    adamw = _adamw(_parameters(), {"lr": 0.03, "eps": 1e-3, "weight_decay": 0.2, "maximize": True})
    switched = AdEMAMix.from_adamw(adamw)
    for optimizer in (adamw, switched):
        optimizer.add_param_group({"params": [("later", torch.nn.Parameter(torch.ones(2)))]})
    for name in ("lr", "eps", "weight_decay", "maximize"):
        assert switched.param_groups[-1][name] == adamw.param_groups[-1][name]


def test_what_is_given_overrides_what_adamw_had() -> None:
    parameters = _parameters()
    adamw = _adamw(parameters, {"weight_decay": 0.2, "eps": 0.5})
    torch.optim.lr_scheduler.LinearLR(adamw, 0.5, total_iters=20)
    given = {"lr": 0.25, "betas": (0.7, 0.8, 0.9), "eps": 1e-4, "weight_decay": 0.125, "maximize": True, "t_alpha": 9}
    switched = AdEMAMix.from_adamw(adamw, **given)
    for group in switched.param_groups:
        assert {name: group[name] for name in given} == given
        assert "initial_lr" not in group  # else a scheduler would go back to AdamW's
    assert {name: switched.defaults[name] for name in given} == given


def test_what_is_not_adamw_is_refused() -> None:
    parameters = _parameters()
    with pytest.raises(ValueError, match=r"Adam with weight_decay=0\.1, expected AdamW"):
        AdEMAMix.from_adamw(torch.optim.Adam(parameters, weight_decay=0.1))
    with pytest.raises(ValueError, match="amsgrad=True, expected False"):
        AdEMAMix.from_adamw(torch.optim.AdamW(parameters, amsgrad=True))
    with pytest.raises(TypeError, match=r"got SGD, expected torch\.optim\.AdamW"):
        AdEMAMix.from_adamw(torch.optim.SGD(parameters))
    # what steps as AdamW does is AdamW
    assert AdEMAMix.from_adamw(torch.optim.Adam(parameters)).param_groups[0]["weight_decay"] == 0
    decoupled = torch.optim.Adam(parameters, weight_decay=0.1, decoupled_weight_decay=True)
    assert AdEMAMix.from_adamw(decoupled).param_groups[0]["weight_decay"] == 0.1


def test_a_state_of_adamw_that_its_parameter_has_outgrown_is_refused() -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    adamw = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(1)
    adamw.step()
    parameter.grad = None
    parameter.data = torch.ones(5)
    with pytest.raises(ValueError, match=r"in AdamW: 'exp_avg_fast' has shape \(1,\), expected the parameter's, \(5,\)"):
        AdEMAMix.from_adamw(adamw)


# --- Loss scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capturable", [False, True])
def test_a_step_that_was_skipped_is_seen_unless_the_kernel_alone_knows(capturable: bool) -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = AdEMAMix([parameter], lr=0.5, backend="eager", capturable=capturable)
    assert optimizer._step_supports_amp_scaling is capturable
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    calls: list[int] = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    for gradient in (4.0, float("inf"), 4.0):
        parameter.grad = torch.full((3,), gradient)
        scaler.scale(torch.zeros(()))
        scaler.step(optimizer)
        scaler.update()
    assert len(calls) == (3 if capturable else 2)
    assert int(optimizer.state[parameter]["t"]) == 2


# --- Options and parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"t_alpha": "10"}, "t_alpha = '10', expected None or a number of steps >= 0"),
        ({"t_beta3": [10]}, r"t_beta3 = \[10\], expected None or a number of steps"),
        ({"betas": 0.9}, r"betas = 0\.9, expected three"),
        ({"betas": None}, "betas = None, expected three"),
        ({"betas": "0.9"}, r"betas = '0\.9', expected three"),
        ({"betas": (0.9, "0.999", 0.9999)}, r"beta2 = '0\.999', expected a number"),
        ({"betas": (0.9, 0.999, float("nan"))}, "beta3 = nan"),
        ({"lr": "1e-3"}, "lr = '1e-3', expected a number >= 0"),
        ({"lr": torch.ones(2)}, r"lr = tensor\(\[1., 1.\]\), expected a number"),
        ({"lr": None}, "lr = None, expected a number"),
        ({"alpha": 1j}, "alpha = 1j, expected a number"),
        ({"eps": None}, "eps = None"),
        ({"weight_decay": "0"}, "weight_decay = '0'"),
        ({"state_dtype": ["8bit"]}, r"state_dtype = \['8bit'\], expected"),
        ({"backend": "fastest"}, "backend = 'fastest', expected"),
    ],
    ids=str,
)
def test_a_bad_option_is_said_before_bad_parameters(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdEMAMix(None, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        AdEMAMix([torch.nn.Parameter(torch.zeros(2))], **wrong)


@pytest.mark.parametrize("backend", ["auto", "eager", "foreach", "cpu", "triton"])
def test_lazy_parameters_are_taken_as_adamw_takes_them(backend: str) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.LazyLinear(70), torch.nn.Linear(70, 1))
    optimizer = AdEMAMix(model.parameters(), lr=0.1, backend=backend, state_dtype="float32")
    optimizer.describe()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    before = [p.detach().clone() for p in model[1].parameters()]
    model(torch.ones(2, 64)).sum().backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model[1].parameters(), strict=True))
    assert optimizer.state[model[0].weight]["exp_avg_slow"].shape == (70, 64)


def test_a_lazy_parameter_that_turns_out_complex_is_refused() -> None:
    parameter = torch.nn.UninitializedParameter(dtype=torch.complex64)
    optimizer = AdEMAMix([parameter])
    parameter.materialize((3,))
    parameter.grad = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(RuntimeError, match="real parameters only"):
        optimizer.step()


# --- torch.compile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "state_dtype"),
    [("eager", "float32"), ("foreach", "float32"), ("cpu", "float32"), ("eager", "8bit"), ("cpu", "8bit")],
)
def test_a_compiled_step_is_compiled_no_further_after_the_first(backend: str, state_dtype: str) -> None:
    plain, parameters = _parameters(torch.float32), _parameters(torch.float32)
    options = {"t_alpha": 20, "t_beta3": 20, "weight_decay": 0.1, "backend": backend, "state_dtype": state_dtype}
    optimizer, expected = AdEMAMix(parameters, **options), AdEMAMix(plain, **options)
    torch._dynamo.reset()
    counters.clear()
    step = torch.compile(optimizer.step, backend="eager")
    frames = []
    for number in range(12):
        for each in (optimizer, expected):
            each.param_groups[0]["lr"] = 0.1 / (number + 1)
        _give(parameters, number)
        _give(plain, number)
        step()
        expected.step()
        frames.append(counters["frames"]["total"])
    assert len(set(frames[1:])) == 1, frames
    assert not counters["recompiles"]
    assert all(torch.equal(a, b) for a, b in zip(parameters, plain, strict=True))
