"""The optimizer's 8-bit moments by the CUDA kernel, executed without a GPU, beside those of the host's C++."""

from __future__ import annotations

import pytest
import torch

from conformance.ptx import cuda_launches
from impls.ademamix import AdEMAMix
from impls.ademamix.backends import cuda

COUNTS = (4096, 5000, 4096 + 256)
"""Whole blocks of 256, and a last one of 136: what stands behind the end is 0, and its logarithm infinite."""


def states(backend: str, dtype: torch.dtype, count: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The parameter and its moments after three steps; some gradients are 0, one is infinite."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(count, generator=generator).to(dtype))
    torch.manual_seed(5)  # of the random keys
    rounding = {"stochastic_rounding": dtype == torch.bfloat16}
    optimizer = AdEMAMix([weight], lr=0.01, state_dtype="8bit", backend=backend, t_alpha=10, t_beta3=10, **rounding)
    for step in range(3):
        scales = 10.0 ** torch.randint(-6, 3, (count,), generator=generator)
        gradient = torch.randn(count, generator=generator) * scales
        gradient[: count // 2 : 7] = 0.0
        if step == 2:
            gradient[3] = torch.inf
        weight.grad = gradient.to(dtype)
        optimizer.step()
    return weight.detach(), {name: held for name, held in optimizer.state[weight].items() if torch.is_tensor(held)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", COUNTS)
def test_a_device_that_approximates_roots_has_the_codes_of_the_host(
    dtype: torch.dtype, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstacle = cuda_launches.Executed().obstacle()
    if obstacle is not None:
        print(f"not run: {obstacle}")
        return
    expected, held = states("cpu", dtype, count)
    monkeypatch.setattr(cuda, "STAND_IN", cuda_launches.Executed())
    found, moments = states("cuda", dtype, count)
    codes = [name for name in held if name.endswith("codes")]
    assert len(codes) == 3
    for name in codes:
        apart = (moments[name].int() - held[name].int()).abs()
        # Scales differ in their last bit, which moves an element across a threshold of its own once in some thousand.
        assert apart.max() <= 1, name
        assert (apart > 0).sum() <= count // 256, name
    assert torch.isfinite(found).all()
    assert (found != expected).sum() <= (count if dtype == torch.float32 else count // 256)
