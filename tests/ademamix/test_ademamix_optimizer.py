"""The optimizer is one to train with: groups, states, scaling, graphs, and the same step whatever computes it."""

from __future__ import annotations

import copy
import ctypes
import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from impls.ademamix import build, quantised, states
from impls.ademamix import stochastic_rounding as stochastic
from impls.ademamix.backends import BACKENDS, Kind, UnsupportedByBackend, choose
from impls.ademamix.optimizer import AdEMAMix
from impls.ademamix.scalars import key_at
from impls.compiler import BackendUnavailable
from impls.triton_support import choose_interpreter

choose_interpreter()

SHAPES = ((), (0,), (3,), (70, 70), (5000,), (2, 3, 4))
HYPER = {"lr": 0.01, "t_alpha": 4, "t_beta3": 4, "weight_decay": 0.1}
OTHERS = ("foreach", "triton", "cuda-host", "cpu")


def _parameters(dtype: torch.dtype = torch.float32, shapes: Any = SHAPES) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    made = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    # one whose last axis lies outermost in memory, and one with gaps
    laid = [t.mT.contiguous().mT if t.ndim == 2 else torch.stack([t, t], -1)[..., 0] if t.ndim == 3 else t for t in made]
    return [torch.nn.Parameter(t) for t in laid]


def _give(parameters: list[torch.nn.Parameter], seed: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in parameters:
        p.grad = (torch.randn(p.shape, generator=generator) * scale).to(p.dtype)


def _run(backend: str, dtype: torch.dtype = torch.float32, steps: int = 4, shapes: Any = SHAPES, **options: Any) -> Any:
    parameters = _parameters(dtype, shapes)
    half = len(parameters) // 2
    groups = [{"params": parameters[:half]}, {"params": parameters[half:], "alpha": 2.0}]
    optimizer = AdEMAMix(groups, **HYPER, backend=backend, **options)
    for step in range(steps):
        _give(parameters, step)
        optimizer.step()
    return [p.detach().clone() for p in parameters], optimizer


def _away(left: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    """The share of elements that differ by more than the order of operations explains; in 16 bits, that differ at all."""
    off, count = 0.0, 0
    for a, b in zip(left, right, strict=True):
        exact = a.dtype in (torch.bfloat16, torch.float16)
        allowed = 0.0 if exact else 64 * torch.finfo(a.dtype).eps * (a.double().abs() + 1e-3)
        off += float(((a.double() - b.double()).abs() > allowed).sum())
        count += a.numel()
    return off / count


# --- Every backend makes the same step -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"betas": (0.0, 0.999, 0.9999)},
        {"maximize": True},
        {"state_dtype": torch.bfloat16},
        {"state_dtype": "8bit"},
        {"stochastic_rounding": True},
        {"state_dtype": "bfloat16", "stochastic_rounding": True, "seed": 7},
        {"state_dtype": "8bit", "stochastic_rounding": True, "betas": (0.0, 0.999, 0.9999)},
        {"capturable": True},
        {"capturable": True, "state_dtype": "8bit", "stochastic_rounding": True},
    ],
    ids=lambda options: "-".join(str(v).replace("torch.", "") for v in options.values()) or "plain",
)
def test_backends_agree_with_the_eager_one(backend: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
    try:
        got, _ = _run(backend, dtype, **options)
    except (UnsupportedByBackend, BackendUnavailable):
        return
    # A tie is broken otherwise now and then; a narrow moment that is one place further moves a few elements visibly.
    assert _away(_run("eager", dtype, **options)[0], got) <= (
        0.01 if "state_dtype" in options else 0.0 if dtype == torch.float32 else 0.001
    )


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name not in ("cuda", "compiled")])
def test_a_hundred_tensors_are_stepped_each_by_its_own_gradient_and_clock(backend: str) -> None:
    shapes = [(n % 7 + 1,) for n in range(100)]
    parameters, alone = _parameters(shapes=shapes), _parameters(shapes=shapes)
    together = AdEMAMix(parameters, **HYPER, backend=backend)
    single = [AdEMAMix([p], **HYPER, backend="eager") for p in alone]
    for step in range(3):
        _give(parameters, step)
        _give(alone, step)
        for number in range(step, 100, 3):
            parameters[number].grad = alone[number].grad = None
        together.step()
        for optimizer in single:
            optimizer.step()
    assert _away([p.detach() for p in alone], [p.detach() for p in parameters]) == 0


@pytest.mark.parametrize("backend", ["triton", "cpu", "cuda-host"])
def test_memory_that_is_not_aligned_is_stepped_too(backend: str) -> None:
    memory = torch.arange(3000.0) / 3000
    views = [torch.nn.Parameter(memory[start : start + 1030].clone()[1:]) for start in (0, 7, 900)]
    copies = [torch.nn.Parameter(v.detach().clone()) for v in views]
    optimizer, eager = AdEMAMix(views, **HYPER, backend=backend), AdEMAMix(copies, **HYPER, backend="eager")
    _give(views, 3)
    _give(copies, 3)
    for p in views:
        p.grad = torch.cat([torch.zeros(1), p.grad])[1:]
        assert p.data_ptr() % 16
    optimizer.step()
    eager.step()
    assert _away([p.detach() for p in copies], [p.detach() for p in views]) == 0


# --- What a training asks of an optimizer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": -1.0},
        {"betas": (0.9, 0.999)},
        {"betas": (0.9, 0.999, 1.0)},
        {"alpha": -1.0},
        {"eps": -1.0},
        {"weight_decay": -0.1},
        {"t_alpha": -1},
        {"t_beta3": float("nan")},
        {"state_dtype": "4bit"},
    ],
)
def test_impossible_hyperparameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match="beta" if name == "betas" else name):
        AdEMAMix([torch.nn.Parameter(torch.zeros(2))], **wrong)
    optimizer = AdEMAMix([torch.nn.Parameter(torch.zeros(2))])
    with pytest.raises(ValueError, match="beta" if name == "betas" else name):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))], **wrong})
    assert len(optimizer.param_groups) == 1


def test_backends_are_known_by_name_and_gaps_are_said() -> None:
    with pytest.raises(ValueError, match="expected 'auto' or one of 'eager'"):
        AdEMAMix([torch.nn.Parameter(torch.zeros(2))], backend="fastest")
    with pytest.raises(UnsupportedByBackend, match="float64 parameters would not"):
        AdEMAMix([torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))], backend="triton")
    with pytest.raises(UnsupportedByBackend, match="CUDA devices, these are on cpu"):
        AdEMAMix([torch.nn.Parameter(torch.zeros(2))], backend="cuda")
    with pytest.raises(UnsupportedByBackend, match="8-bit"):
        AdEMAMix([torch.nn.Parameter(torch.zeros(4096))], backend="foreach", state_dtype="8bit")


def test_auto_says_what_it_took_and_what_stood_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from impls.ademamix.backends import cpu

    optimizer = AdEMAMix([torch.nn.Parameter(torch.zeros(2))])
    assert "torch.float32 parameters on cpu, float32 states: " in optimizer.describe()
    monkeypatch.setattr(cpu, "obstacle", lambda kind: BackendUnavailable("needs a compiler"))
    kind = Kind("cpu", torch.float32, "float32", True, False, False)
    assert choose("auto", kind) == ("foreach", "not cpu: needs a compiler")
    name, reason = choose("auto", kind._replace(states="8bit"))
    assert name == "eager"
    assert "not foreach: torch has no multi-tensor functions for 8-bit" in reason
    with pytest.raises(BackendUnavailable, match="needs a compiler"):
        choose("cpu", kind)


def test_without_beta1_two_moments_are_kept_and_closures_are_called() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = AdEMAMix([parameter], betas=(0.0, 0.999, 0.9999))
    parameter.grad = torch.ones(3)
    assert optimizer.step(lambda: 7.0) == 7.0
    assert set(optimizer.state[parameter]) == {"exp_avg_slow", "exp_avg_sq", "t", "t_switch"}


def test_sparse_gradients_and_complex_parameters_are_refused() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match="dense gradients only"):
        AdEMAMix([parameter]).step()
    with pytest.raises(RuntimeError, match="view_as_real"):
        AdEMAMix([torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))])


@pytest.mark.parametrize(
    "options", [{}, {"state_dtype": "bfloat16"}, {"state_dtype": "8bit"}, {"capturable": True}, {"stochastic_rounding": True}]
)
@pytest.mark.parametrize("copied", ["state_dict", "pickle", "deepcopy"])
def test_a_run_that_was_saved_goes_on_as_if_it_had_not_been(options: dict[str, Any], copied: str) -> None:
    parameters = _parameters(torch.bfloat16)
    optimizer = AdEMAMix(parameters, **HYPER, backend="eager", **options)
    for step in range(3):
        _give(parameters, step)
        optimizer.step()
    if copied == "state_dict":
        others = [torch.nn.Parameter(p.detach().clone()) for p in parameters]
        other = AdEMAMix(others, backend="eager", capturable=options.get("capturable", False))
        buffer = io.BytesIO()
        torch.save(optimizer.state_dict(), buffer)
        buffer.seek(0)
        other.load_state_dict(torch.load(buffer))
    else:
        other = pickle.loads(pickle.dumps(optimizer)) if copied == "pickle" else copy.deepcopy(optimizer)
        others = other.param_groups[0]["params"]
        assert other.backend == "eager"
    names = states.CODED.values() if options.get("state_dtype") == "8bit" else states.SIGNED
    for name in names:
        old, new = optimizer.state[parameters[4]][name], other.state[others[4]][name]
        assert new.dtype == old.dtype
        assert torch.equal(new, old)
        assert new is not old
    for step in range(3, 5):
        for run in (parameters, others):
            _give(run, step)
        optimizer.step()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(parameters, others, strict=True))


def test_grad_scaler_unscales_and_skips_without_touching_gradients_or_clocks() -> None:
    for capturable in (False, True):
        parameters, plain = _parameters(), _parameters()
        optimizer = AdEMAMix(parameters, **HYPER, backend="eager", capturable=capturable)
        expected = AdEMAMix(plain, **HYPER, backend="eager", capturable=capturable)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for step in range(4):
            _give(parameters, step, 1024.0 if step != 1 else float("inf"))
            scaler.scale(torch.zeros(()))
            scale = scaler.get_scale()
            if step > 1:
                _give(parameters, step, scale)
            scaler.step(optimizer)
            scaler.update()
            if step != 1:
                _give(plain, step)
                expected.step()
        assert int(optimizer.state[parameters[2]]["t"]) == 3
        assert _away([p.detach() for p in plain], [p.detach() for p in parameters]) == 0


def test_capturable_clocks_and_rates_are_tensors_on_the_device() -> None:
    parameter, plain = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    rate = torch.tensor(0.5)
    optimizer = AdEMAMix([parameter], lr=rate, t_alpha=3, t_beta3=3, capturable=True, backend="foreach")
    expected = AdEMAMix([plain], lr=0.5, t_alpha=3, t_beta3=3, backend="foreach")
    for step in range(5):
        parameter.grad = plain.grad = torch.full((5,), step + 1.0)
        rate.fill_(0.5 / (step + 1))
        expected.param_groups[0]["lr"] = 0.5 / (step + 1)
        optimizer.step()
        expected.step()
    clock = optimizer.state[parameter]["t"]
    assert clock.dtype == torch.int64
    assert int(clock) == 5
    assert _away([plain.detach()], [parameter.detach()]) == 0


def test_compiled_steps_compile_once_for_all_steps_and_sizes() -> None:
    parameters = [torch.nn.Parameter(torch.ones(size)) for size in (4, 300)]
    optimizer = AdEMAMix(parameters, t_alpha=9, t_beta3=9, backend="compiled")
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    torch.compiler.set_stance("fail_on_recompile")
    try:
        for step in range(4):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
        other = torch.nn.Parameter(torch.ones(17, 3))
        other.grad = torch.ones_like(other)
        AdEMAMix([other], alpha=1.0, backend="compiled").step()
    finally:
        torch.compiler.set_stance("default")


def test_from_adamw_quantises_what_it_takes_over() -> None:
    parameter = torch.nn.Parameter(torch.randn(5000))
    adamw = torch.optim.AdamW([parameter])
    for step in range(3):
        _give([parameter], step)
        adamw.step()
    optimizer = AdEMAMix.from_adamw(adamw, state_dtype="8bit", backend="eager")
    state = optimizer.state[parameter]
    assert (state["t"], state["t_switch"]) == (3, 3)
    old, squared = adamw.state[parameter]["exp_avg"], adamw.state[parameter]["exp_avg_sq"]
    root = quantised.decode_root(state["exp_avg_sq_codes"], state["exp_avg_sq_scale"])
    read = quantised.decode_ratio(state["exp_avg_fast_codes"], state["exp_avg_fast_scale"], root)
    # Half a gap at the upper end: of cubes of 255 codes, and of squares of 127.
    assert 0 < float((root - squared.sqrt()).abs().max()) < 1.5 / 255 * float(squared.max().sqrt())
    assert 0 < float(((read - old) / root).abs().max()) < 1 / 127 * float((old / root).abs().max())
    _give([parameter], 9)
    optimizer.step()


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_states_follow_a_model_that_is_cast_and_options_that_change(backend: str) -> None:
    """Else a backend would take the memory of one format for another's, or read behind its end."""
    parameter = torch.nn.Parameter(torch.ones(5000))
    try:
        optimizer = AdEMAMix([parameter], lr=1e-3, backend=backend)
    except BackendUnavailable:
        return
    (group,) = optimizer.param_groups
    changes: list[Any] = [
        lambda: group.update(state_dtype="bfloat16"),
        lambda: group.update(state_dtype="8bit"),
        lambda: group.update(betas=(0.0, 0.999, 0.9999)),
        lambda: group.update(betas=(0.9, 0.999, 0.9999), state_dtype="float32"),
        lambda: setattr(parameter, "data", parameter.data.double()),
        lambda: setattr(parameter, "data", parameter.data.bfloat16()),
    ]
    for step, change in enumerate(changes):
        _give([parameter], step)
        optimizer.step()
        parameter.grad = None
        change()
    _give([parameter], 9)
    optimizer.step()
    assert optimizer.state[parameter]["exp_avg_slow"].dtype == torch.float32
    assert optimizer.state[parameter]["t"] == 7
    # Each step is of about the rate; nothing was flung away, and nothing stood still.
    assert 1e-3 < float((parameter.detach().float() - 1).abs().max()) < 7 * 10 * 1e-3


def test_examples_of_the_page_run_as_they_stand() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "ademamix.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 1))
        names: dict[str, Any] = {"model": model}
        exec(example, names)
        for _ in range(3):
            names["optimizer"].zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            names["optimizer"].step()


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1e-2, total_steps=30),
        lambda o: torch.optim.lr_scheduler.CyclicLR(o, 1e-3, 1e-2),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20),
        lambda o: torch.optim.swa_utils.SWALR(o, swa_lr=1e-3),
    ],
    ids=["one-cycle", "cyclic", "cosine", "swa"],
)
def test_schedulers_of_torch_move_rates_and_betas_of_a_model_that_learns(schedule: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.GELU(), torch.nn.LayerNorm(64), torch.nn.Linear(64, 1))
    inputs = torch.randn(64, 8)
    wanted = inputs[:, :1].sin()
    optimizer = AdEMAMix(model.named_parameters(), lr=1e-2)
    scheduler = schedule(optimizer)
    losses = []
    for _ in range(20):
        optimizer.zero_grad(set_to_none=False)
        loss = (model(inputs) - wanted).pow(2).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert len(optimizer.param_groups[0]["betas"]) == 3


# --- Low precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stochastic_rounding_takes_a_neighbour_and_is_right_on_average(dtype: torch.dtype) -> None:
    random = stochastic.draw(torch.tensor(key_at((3, 5), 2)), 200_000, torch.device("cpu"))[0]
    for value in (1.0003, -0.1, 3e-6, -2.7e-7):
        x = torch.full((200_000,), value)
        got = stochastic.rounded(x, dtype, random).double()
        below, above = sorted({float(g) for g in got.unique()})
        assert below < float(x[0]) < above
        assert torch.nextafter(torch.tensor(below, dtype=dtype), torch.tensor(torch.inf, dtype=dtype)) == above
        share = (float(x[0]) - below) / (above - below)
        # five standard deviations of a share that was drawn so often
        assert abs(float((got == above).double().mean()) - share) < 5 * (share * (1 - share) / 200_000) ** 0.5 + 2.0**-12
    exact = torch.tensor([0.0, -0.0, 1.0, torch.inf, -torch.inf, torch.nan, 2.0**-14, -(2.0**-24)])
    assert torch.equal(stochastic.rounded(exact, dtype, random[:8]).isnan(), exact.isnan())
    kept = stochastic.rounded(exact, dtype, random[:8])[[0, 1, 2, 3, 4, 6]].float()
    assert torch.equal(kept, exact[[0, 1, 2, 3, 4, 6]])


def test_stochastic_rounding_moves_what_rounding_to_nearest_leaves_stuck() -> None:
    moved = {}
    for stochastic_rounding in (False, True):
        parameter = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
        optimizer = AdEMAMix([parameter], lr=1e-4, stochastic_rounding=stochastic_rounding, backend="eager")
        for _ in range(10):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        moved[stochastic_rounding] = float(parameter.detach().double().mean()) - 1
    assert moved[False] == 0
    # Each of the ten steps goes down by one spacing with the probability that makes its mean right; six deviations of that.
    spacing, draws = 2.0**-8, 10 * 4096
    deviation = spacing * math.sqrt(1e-4 / spacing * draws) / 4096
    assert abs(moved[True] + 1e-3) <= 6 * deviation


def test_eight_bits_take_a_neighbour_and_are_right_on_average() -> None:
    count = 256 * 800
    bits, more = stochastic.draw(torch.tensor(key_at((3, 5), 2)), count, torch.device("cpu"))
    of_root, of_slow = quantised.thresholds(bits, more)
    codes, scale = torch.empty(count, dtype=torch.uint8), torch.empty(count // 256)
    cubes, squares = torch.arange(256).double() ** 3 / 255**3, torch.arange(128).double() ** 2 / 127**2
    for share in (0.9, 0.3, 0.01, 3e-5):
        values = torch.full((count,), share)
        values[::256] = 1.0  # of which the scale is made
        middle = torch.arange(count) % 256 != 0
        root = quantised.encode_root(values * values, codes, scale, of_root).double()
        quantised.encode_ratio(-values, torch.ones(count), codes, scale, of_slow)
        ratio = quantised.decode_ratio(codes, scale, torch.ones(count)).double()
        for got, powers, sign in ((root, cubes, 1), (ratio, squares, -1)):
            below, above = sorted({round(abs(float(g)), 12) for g in got[middle].unique()})
            place = int(torch.searchsorted(powers, share))
            rounding = 2.0**-20  # of a few float32 operations, and far below any gap here but the smallest
            assert abs(below - float(powers[place - 1])) <= rounding * below
            assert abs(above - float(powers[place])) <= rounding * above
            chance = (share - below) / (above - below)
            deviation = (above - below) * (chance * (1 - chance) / count) ** 0.5
            assert abs(float(got[middle].mean()) - sign * share) < 6 * deviation + rounding * share
            assert (got[~middle] - sign).abs().max() < rounding


def test_codes_are_the_same_in_every_language() -> None:
    values = torch.cat([torch.linspace(0, 1, 4096), torch.logspace(-12, 0, 4096)])
    try:
        library = build.library("host.cpp")
    except BackendUnavailable:
        return
    for name, steps, other in (("root", 255.0**3, quantised.encode_root), ("ratio", 127.0**2, quantised.encode_ratio)):
        function = getattr(library, f"ademamix_{name}_code")
        function.argtypes = [ctypes.c_float, ctypes.c_float]
        values[255::256] = 1.0  # every block has the same scale
        codes, scale = torch.empty(8192, dtype=torch.uint8), torch.empty(32)
        if name == "root":
            other(values * values, codes, scale)
            shares = (values * values).sqrt()
        else:
            other(values, torch.ones(8192), codes, scale)
            shares = values
        inverse = torch.tensor(1.0) / scale[0]
        assert [function(float(s * inverse), 0.5) for s in shares] == codes.tolist(), (name, steps)


def test_second_moment_that_is_small_beside_its_neighbours_never_becomes_zero() -> None:
    """The first moments of a small gradient would be divided by nothing but eps, and the parameter flung away."""
    for backend in ("eager", "cpu", "triton", "cuda-host"):
        parameter = torch.nn.Parameter(torch.zeros(4096))
        try:
            optimizer = AdEMAMix([parameter], state_dtype="8bit", backend=backend, lr=1.0, alpha=0.0)
        except BackendUnavailable:
            continue
        parameter.grad = torch.full((4096,), 1e-7)
        parameter.grad[::256] = 1e3
        for _ in range(3):
            optimizer.step()
        assert float(parameter.detach().abs().max()) < 4, backend


def test_small_tensors_are_not_quantised_and_a_bad_gradient_spoils_no_block() -> None:
    for backend in ("eager", "cpu", "triton", "cuda-host"):
        small, large = torch.nn.Parameter(torch.ones(4095)), torch.nn.Parameter(torch.ones(4096))
        try:
            optimizer = AdEMAMix([small, large], state_dtype="8bit", backend=backend)
        except BackendUnavailable:
            continue
        _give([small, large], 1)
        optimizer.step()
        assert optimizer.state[small]["exp_avg_sq"].dtype == torch.float32
        assert optimizer.state[large]["exp_avg_sq_codes"].dtype == torch.uint8
        codes = optimizer.state[large]["exp_avg_fast_codes"][7].clone()
        before = large.detach().clone()
        _give([small, large], 2)
        for bad, value in ((7, float("nan")), (8, float("inf")), (9, 1e30)):
            large.grad[bad] = value  # type: ignore[index]
        optimizer.step()
        assert torch.equal(large.detach()[7:10], before[7:10]), backend
        assert int((large.detach() != before).sum()) > 4080, backend  # one may chance to stay
        assert abs(int(optimizer.state[large]["exp_avg_fast_codes"][7]) - int(codes)) < 20, backend
        assert bool(optimizer.state[large]["exp_avg_sq_scale"].isfinite().all())
