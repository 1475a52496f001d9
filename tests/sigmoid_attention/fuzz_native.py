"""Call the C++ backend with arguments drawn at random, right and wrong ones; a test runs it under AddressSanitizer.

python fuzz_native.py FIRST_SEED COUNT prints how many calls were answered and how many refused. A call must be answered with
finite numbers of the right shape, or refused by TypeError or ValueError. Reading or writing out of bounds ends the process.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import torch

from impls.sigmoid_attention import native
from impls.sigmoid_attention.api import sigmoid_attention

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class Arguments:
    """Draws the arguments of one call; each is wrong in some way once in ``one_in`` times."""

    def __init__(self, seed: int, one_in: int = 12) -> None:
        self._chance = random.Random(seed)
        self._one_in = one_in
        torch.manual_seed(seed)

    def draw(self) -> tuple[list[torch.Tensor], dict[str, Any]]:
        pick = self._chance.choice
        batch, key_heads, group = pick((1, 1, 2, 3)), pick((1, 2, 3)), pick((1, 1, 2, 5))
        nq, nk = (pick((0, 1, 2, self._chance.randint(3, 70), self._chance.randint(60, 400))) for _ in range(2))
        d, dv = pick((1, 2, 7, 8, 16, 33, 64)), pick((1, 3, 8, 16, 40, 64))
        given: dict[str, Any] = {"causal": pick((False, True)), "scale": pick((None, 0.3, -0.5, 0.0))}
        if pick((0, 0, 1)):
            batch = 1
            given |= self._edges(nq, nk)
        elif pick((0, 1)):
            given["key_lengths"] = self._lengths(batch, nk)
        if pick((0, 1)):
            given["window"] = tuple(pick((-1, 0, 1, 5, 63, 64, 10**9, 2**31, 2**40, self._wrong(0, -2))) for _ in range(2))
        rows = len(given["cu_seqlens_q"]) - 1 if "cu_seqlens_q" in given and given["cu_seqlens_q"].ndim == 1 else batch
        heads = key_heads * group
        if pick((0, 1)):
            shape: tuple[int, ...] = pick(((heads,), (max(rows, 0), heads)))
            given["alibi_slopes"] = self._slopes(self._wrong(shape, pick(((heads + 1,), (1,), (0,), (rows + 1, heads)))))
        given["bias"] = pick((0.0, -3.0, torch.tensor(-1.0), self._wrong(torch.tensor([0.5]), torch.zeros(pick((0, 2, 4))))))
        shapes = [(batch, heads, nq, d), (batch, key_heads, nk, d), (batch, key_heads, nk, dv)]
        return [self._tensor(self._wrong(shape, self._other(shape)), pick(DTYPES[:2])) for shape in shapes], given

    def _wrong(self, right: Any, wrong: Any) -> Any:
        return wrong if self._chance.randrange(self._one_in) == 0 else right

    def _other(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        changed = list(shape)
        changed[self._chance.randrange(4)] += self._chance.choice((-1, 1, 3))
        return tuple(max(0, size) for size in changed)

    def _lengths(self, batch: int, nk: int) -> torch.Tensor:
        count = self._wrong(batch, self._chance.choice((0, batch + 1, 7)))
        far = self._chance.choice((-1, nk + 1, 10**6, -(2**31)))
        lengths = [self._wrong(self._chance.randint(0, nk), far) for _ in range(count)]
        values = torch.tensor(lengths, dtype=self._wrong(self._chance.choice((torch.int32, torch.int64)), torch.float32))
        return values.repeat_interleave(2)[::2] if self._chance.randrange(2) else values

    def _edges(self, nq: int, nk: int) -> dict[str, Any]:
        count = self._chance.randint(1, 4)

        def edges(total: int, count: int) -> torch.Tensor:
            inner = sorted(self._chance.randint(0, total) for _ in range(count - 1))
            found = [0, *inner, total]
            place = self._chance.randrange(len(found))
            found[place] = self._wrong(found[place], self._chance.choice((-1, total + 1, 10**6, found[0] - 5)))
            return torch.tensor(found, dtype=self._chance.choice((torch.int32, torch.int64)))

        return {"cu_seqlens_q": edges(nq, count), "cu_seqlens_k": edges(nk, self._wrong(count, count + 1))}

    def _slopes(self, shape: tuple[int, ...]) -> torch.Tensor:
        slopes = torch.rand(shape) - 0.2
        return slopes.to(self._chance.choice((torch.float32, torch.float64, torch.float16)))

    def _tensor(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """In one of several layouts, each in memory of exactly its own size."""
        kind = self._chance.randrange(6)
        if kind == 1:
            return torch.randn([shape[i] for i in (0, 2, 1, 3)]).to(dtype).transpose(1, 2)
        if kind == 2:
            return torch.randn([shape[i] for i in (0, 1, 3, 2)]).to(dtype).transpose(2, 3)
        if kind == 3 and shape[0]:
            return torch.randn((1, *shape[1:])).to(dtype).expand(shape)
        if kind == 4:
            return torch.randn((*shape[:3], 2 * shape[3] + 1)).to(dtype)[..., 1 : 1 + shape[3]]
        if kind == 5 and shape[2]:
            return torch.randn(shape).to(dtype).flip(2)[:, :, :: self._chance.choice((1, 2))]
        return torch.randn(shape).to(dtype)


def call(seed: int) -> bool:
    """Whether the call was answered. One dtype is given to all three inputs most of the time."""
    arguments = Arguments(seed)
    (q, k, v), given = arguments.draw()
    if seed % 12:
        q, k, v = (x.to(DTYPES[seed % 3]) for x in (q, k, v))
    torch.set_num_threads(1 + seed % 3)
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    for name in ("bias", "alibi_slopes"):
        if seed % 2 and isinstance(given.get(name), torch.Tensor):
            given[name].requires_grad_()
            leaves.append(given[name])
    try:
        out = sigmoid_attention(*leaves[:3], backend="native", **given)
    except (TypeError, ValueError):
        return False
    expected = (*q.shape[:3], v.shape[3])
    grad = arguments._tensor(expected, out.dtype)
    grad = grad if grad.shape == out.shape else torch.ones(()).to(out.dtype).expand(out.shape)
    found = [out, *torch.autograd.grad(out, leaves, grad)]
    if [x.shape for x in found] != [expected, *(x.shape for x in leaves)] or not all(x.isfinite().all() for x in found):
        raise AssertionError(f"seed {seed}: a wrong shape, or a number that was never written")
    return True


def main(first: int, count: int) -> None:
    """Print what happened."""
    if fault := native.obstacle():
        raise fault
    torch.use_deterministic_algorithms(True, warn_only=True)  # fills new memory with NaN
    answered = sum(call(seed) for seed in range(first, first + count))
    print(f"{answered} answered, {count - answered} refused")


if __name__ == "__main__":
    if "--sanitised" in sys.argv:
        # bfloat16 in matrix units; the other dtypes as floats.
        native.FLAGS = ("-fsanitize=address", "-fno-omit-frame-pointer", "-DMULTIPLIES_PAIRS", "-DMULTIPLIES_UNITS")
    main(int(sys.argv[1]), int(sys.argv[2]))
