"""Random configurations of all options: every CPU backend within the reference's bounds, forward and backward."""

from __future__ import annotations

import random

import pytest

from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.requirements.comparisons import results
from impls.sigmoid_attention import native, torch_blocked
from impls.sigmoid_attention.api import sigmoid_attention

BACKENDS = ("eager", "blocked", "native")
CONFIGURATIONS = 240


def drawn(seed: int) -> AttentionCase:
    """A configuration in which every option is on or off by chance; some lengths are 1, of packed ones 0."""
    chance = random.Random(seed)
    kv_heads = chance.choice((1, 1, 2, 3))
    batch, sequences = chance.choice((1, 1, 2)), ()
    nq, nk = (chance.choice((1, chance.randint(2, 40), chance.randint(2, 40), chance.randint(40, 90))) for _ in range(2))
    if chance.random() < 0.25:
        batch = 1
        others = ((chance.randint(0, 40), chance.randint(0, 40)) for _ in range(chance.randint(0, 4)))
        sequences = (*others, (chance.randint(1, 40), chance.randint(1, 40)))
        nq, nk = (sum(lengths) for lengths in zip(*sequences, strict=True))
    alibi, tensor_bias = chance.random() < 0.4, chance.random() < 0.4
    lengths = None
    if not sequences and chance.random() < 0.3:
        lengths = tuple(chance.randint(0, nk) for _ in range(batch))
    window = None
    if chance.random() < 0.3:
        window = tuple(chance.choice((-1, 0, chance.randint(1, 150))) for _ in range(2))
    return AttentionCase(
        id=f"drawn-{seed}",
        batch=batch,
        heads=kv_heads * chance.choice((1, 1, 2)),
        kv_heads=kv_heads,
        nq=nq,
        nk=nk,
        d=chance.choice((1, 3, 8, 16, 17, 33)),
        dv=chance.choice((1, 5, 8, 16, 40)),
        bias=chance.choice((0.0, -1.0, -3.5, 0.5)),
        scale=chance.choice((None, None, 0.3, 0.0, -0.5)),
        causal=chance.random() < 0.4,
        window=window,  # type: ignore[arg-type]
        alibi=alibi,
        slopes_by_row=alibi and chance.random() < 0.5,
        key_lengths=lengths,
        sequences=sequences,
        layout=chance.choice(("contiguous", "contiguous", "transposed")),
        wanted=("bias",) * tensor_bias + ("alibi_slopes",) * (alibi and chance.random() < 0.6),
        backward=True,
    )


def failures(backend: str, case: AttentionCase, dtype: str) -> list[str]:
    subject = TorchSubject(sigmoid_attention, "cpu", "", {"arguments": {"backend": backend}})
    found = list(results(subject, case, dtype))
    return [comparison.quantity for comparison in found if not comparison.passed]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small inputs are split in every way that large ones are."""
    monkeypatch.setattr(torch_blocked, "QUERIES", 48)
    monkeypatch.setattr(torch_blocked, "QUERIES_MASKED", (32, 32))
    monkeypatch.setattr(torch_blocked, "KEYS", 17)
    monkeypatch.setattr(torch_blocked, "MOST_SCORES", 2000)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_is_within_the_bounds_whatever_the_options(backend: str) -> None:
    assert backend != "native" or native.obstacle() is None, "this test needs a C++ compiler"
    wrong: list[str] = []
    for seed in range(CONFIGURATIONS):
        case, dtype = drawn(seed), cases.ALL_DTYPES[seed % 4]
        if backend == "native" and dtype == "float64":
            dtype = "float32"
        try:
            found = failures(backend, case, dtype)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            wrong.append(f"{found} of {case} in {dtype}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("flags", [("-DMULTIPLIES_PAIRS",), ("-DMULTIPLIES_PAIRS", "-DMULTIPLIES_UNITS")], ids=" ".join)
def test_products_of_bfloat16s_are_within_the_bounds_whatever_the_options(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "FLAGS", flags)
    assert native.obstacle() is None, "this test needs a C++ compiler"
    wrong = [(found, seed) for seed in range(CONFIGURATIONS // 3) if (found := failures("native", drawn(seed), "bfloat16"))]
    assert not wrong


@pytest.mark.parametrize("shape", [(1, 8, 512, 64), (1, 5, 512, 16), (2, 9, 600, 8), (1, 1, 40, 8)])
def test_plain_torch_takes_ordinary_sizes(shape: tuple[int, int, int, int]) -> None:
    batch, heads, length, dim = shape
    case = AttentionCase(
        id="ordinary",
        batch=batch,
        heads=heads,
        kv_heads=heads,
        nq=length,
        nk=length,
        d=dim,
        dv=dim,
        bias=-4.0,
        sequences=() if length > 40 else ((13, 13), (27, 27)),
        backward=True,
    )
    for backend in ("blocked", "eager"):
        assert failures(backend, case, "float32") == []
