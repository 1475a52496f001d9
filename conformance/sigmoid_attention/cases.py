"""The cases of sigmoid attention, with the reference's result and bounds for each; nothing is computed until asked."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from conformance.engine.interactions import Combination
from conformance.engine.kept import kept
from conformance.sigmoid_attention.harness.problem import MOST_SCORES, REPEATED, AttentionProblem, as_it_lies, part_of
from impls.sigmoid_attention.options import AttentionOptions
from reference.rounding import FLOAT32, format_of
from reference.sigmoid_attention import (
    Gradients,
    Product,
    backward,
    backward_bounds,
    forward,
    forward_bound,
    log_length_bias,
    packed_backward,
    packed_backward_bounds,
    packed_forward,
    packed_forward_bound,
    products,
    visible,
)

Array = npt.NDArray[np.float64]
Drawn = tuple[Array, Array, Array]

ALL_DTYPES = ("float64", "float32", "float16", "bfloat16")
LOW = ("float16", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class AttentionCase:
    """One shape with its options. ``data`` names how q, k and v are drawn, see `_DATA`."""

    id: str
    quick: bool = False
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16")
    batch: int = 1
    heads: int = 2
    kv_heads: int = 2
    nq: int = 20
    nk: int = 20
    d: int = 16
    dv: int = 16
    bias: float = 0.0
    scale: float | None = None
    causal: bool = False
    window: tuple[int, int] | None = None
    alibi: bool = False
    slope: float = 0.7
    """The first head's; the n-th has an n-th of it."""
    slopes_by_row: bool = False
    """Other slopes for each batch row, or for each packed sequence."""
    key_lengths: tuple[int, ...] | None = None
    sequences: tuple[tuple[int, int], ...] = ()
    """Queries and keys of each packed sequence; their sums are nq and nk."""
    layout: str = "contiguous"
    grad_layout: str = "contiguous"
    data: str = "normal"
    backward: bool = False
    wanted: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    seed: int = 0
    thorough: bool = False
    interpreted: Literal["always", "thorough", "never"] = "always"
    """When Triton's interpreter runs it, which takes some milliseconds for each program of a grid."""
    context: str = ""
    """Where the function is called, one of harness/torch_contexts.py; "another call" is solving another problem in between."""
    combination: Combination | None = None
    """The row of a covering array that the case was made of."""

    @property
    def needs(self) -> frozenset[str]:
        """The feature words of conformance/sigmoid_attention/harness/subject.py that follow from the case."""
        conditions = {
            "backward": self.backward,
            "bias": self.bias != 0,
            "bias_gradient": "bias" in self.wanted,
            "scale": self.scale is not None,
            "causal": self.causal,
            "rectangular": any(nq != nk for nq, nk in self.sequences or ((self.nq, self.nk),)),
            "window": self.window is not None,
            "alibi": self.alibi,
            "slope_gradient": "alibi_slopes" in self.wanted,
            "gqa": self.kv_heads != self.heads,
            "key_lengths": self.key_lengths is not None,
            "value_dim": self.dv != self.d,
            # A matrix unit takes 16 at a time.
            "odd_head_dim": any(dim < 16 or dim & (dim - 1) for dim in (self.d, self.dv)),
            "strides": self.layout != "contiguous",
            "unaligned": "unaligned" in (self.layout, self.grad_layout),
            "packed": bool(self.sequences),
            "long": self.nq * self.nk > MOST_SCORES,
        }
        return frozenset(word for word, condition in conditions.items() if condition)

    def again(self, seed: int) -> AttentionCase:
        """The same shape and options with other numbers: other slopes and key lengths too."""
        lengths = self.key_lengths and tuple(self.key_lengths[(row + seed) % self.batch] for row in range(self.batch))
        return replace(self, seed=seed, slope=self.slope / (1 + seed), key_lengths=lengths)


@kept
def problem(case: AttentionCase, dtype: str) -> AttentionProblem:
    """The case's inputs, exact in ``dtype``."""
    rng = np.random.default_rng([zlib.crc32(case.id.encode()), case.seed])
    q, k, v = (format_of(dtype).round(x) for x in _draw(case, rng))
    q, k, v = (as_it_lies(x, part_of(case.layout, name)) for name, x in zip("qkv", (q, k, v), strict=True))
    grad = as_it_lies(rng.normal(size=(case.batch, case.heads, case.nq, case.dv)), case.grad_layout)
    if case.grad_layout == "expanded":
        grad = np.full_like(grad, 1.0)
    if case.data.startswith("positive"):
        grad = np.abs(grad)
    if case.data == "one-large-gradient":
        grad = 0.015 * np.abs(grad)
        grad[:, :, 0] = 400
    edges: list[Any] = [tuple(np.cumsum([0, *lengths]).tolist()) for lengths in zip(*case.sequences, strict=True)]
    options = AttentionOptions(
        bias=case.bias,
        scale=case.scale,
        causal=case.causal,
        window=case.window,
        alibi_slopes=FLOAT32.round(_slopes(case)) if case.alibi else None,
        key_lengths=case.key_lengths,
        cu_seqlens_q=edges[0] if edges else None,
        cu_seqlens_k=edges[1] if edges else None,
    )
    return AttentionProblem(
        q=q,
        k=k,
        v=v,
        grad=format_of(dtype).round(grad),
        dtype=dtype,
        options=options,
        layout=case.layout,
        grad_layout=case.grad_layout,
        wanted=case.wanted,
        frozen=case.frozen,
    )


def _slopes(case: AttentionCase) -> Array:
    by_head = case.slope / np.arange(1, case.heads + 1)
    return by_head / np.arange(1, (len(case.sequences) or case.batch) + 1)[:, None] if case.slopes_by_row else by_head


def _draw(case: AttentionCase, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    q = rng.normal(size=(case.batch, case.heads, case.nq, case.d))
    k = rng.normal(size=(case.batch, case.kv_heads, case.nk, case.d))
    v = rng.normal(size=(case.batch, case.kv_heads, case.nk, case.dv))
    if case.data not in _DATA:
        raise ValueError(f"unknown data {case.data!r}; expected one of {', '.join(_DATA)}")
    return _DATA[case.data](case, q, k, v)


def _one_large(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    """Every later key adds less than half a bfloat16 step of the sum so far."""
    v = 0.015 * np.abs(v)
    v[:, :, 0] = 400
    return q, np.abs(k) if case.backward else k, v


def _near(score: float) -> Callable[[AttentionCase, Array, Array, Array], Drawn]:
    """Every score near this one."""

    def draw(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
        sign = math.copysign(1, score)
        return 1 + 0.1 * q, sign * (4 * abs(score) / case.d**0.5 / case.d**0.5 + 0.25 * k), np.abs(v)

    return draw


def _extreme(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    """Scores of exactly these sizes in every row."""
    ladder = np.array([-1e4, -800, -104, -89, -88, -60, -20, -8, 8, 20, 60, 88, 89, 104, 800, 1e4])
    q, k = np.zeros_like(q), np.zeros_like(k)
    q[..., 0] = case.d**0.5
    k[..., 0] = np.resize(ladder, case.nk)
    return q, k, v


def _hidden(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    """Masked keys and values are large."""
    v[:, :, -2:] *= 8e3
    k[:, :, -2:] *= 8
    return q, k, v


def _padding(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    """Keys and values beyond the key lengths are large."""
    for row, length in enumerate(case.key_lengths or ()):
        k[row, :, length:] *= 20
        v[row, :, length:] *= 500
    return q, k, v


def _positive_padding(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    return _padding(case, q, k, np.abs(v))


def _extreme_queries(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
    """The same scores, from the queries: one for each row."""
    turned = replace(case, nq=case.nk, nk=case.nq)
    k, q, v = _extreme(turned, k, q, v)
    return q, k, v


def _with(value: float, *, key: bool, channels: slice = slice(None)) -> Callable[[AttentionCase, Array, Array, Array], Drawn]:
    """One query, or one key, with a NaN or an infinity."""

    def draw(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
        (k[0, 0, case.nk - 3] if key else q[0, 0, 3])[channels] = value
        return q, k, v

    return draw


def _unseen_is(value: float) -> Callable[[AttentionCase, Array, Array, Array], Drawn]:
    """Keys and values that no query sees hold a NaN or infinities, of both signs."""

    def draw(case: AttentionCase, q: Array, k: Array, v: Array) -> Drawn:
        hidden = np.broadcast_to(unseen(case)[1][:, None, :], k.shape[:3])
        k[hidden], v[hidden] = value, -value
        return q, k, v

    return draw


_DATA: dict[str, Callable[[AttentionCase, Array, Array, Array], Drawn]] = {
    "normal": lambda case, q, k, v: (q, k, v),
    "zero-query": lambda case, q, k, v: (np.zeros_like(q), k, v),
    "same": lambda case, q, k, v: (q, q, q),
    "q is k": lambda case, q, k, v: (q, q, v),
    "k is v": lambda case, q, k, v: (q, k, k),
    "steep": lambda case, q, k, v: (q, 6 * k, v),  # many scores beyond 10, either way
    # Nothing cancels, so the relative accuracy of a sum is that of its terms.
    "positive": lambda case, q, k, v: (q, k, np.abs(v)),
    "one-large": _one_large,
    "one-large-gradient": lambda case, q, k, v: (np.abs(q), k, np.abs(v)),  # the same for sums over queries
    "deep": _near(-8.0),
    "saturated": _near(8.0),
    "extreme": _extreme,
    "extreme-queries": _extreme_queries,
    # Products reach beyond 65,504, scores do not: the case has a scale.
    "large": lambda case, q, k, v: (200 * q, 200 * k, v),
    "hidden": _hidden,
    "padding": _padding,
    "positive-padding": _positive_padding,
    "nan-query": _with(np.nan, key=False),
    "nan-key": _with(np.nan, key=True),
    "inf-query": _with(np.inf, key=False, channels=slice(1)),  # its scores are infinite, of either sign
    "unseen-nan": _unseen_is(np.nan),
    "unseen-inf": _unseen_is(np.inf),
    "inf-key": _with(np.inf, key=True, channels=slice(1)),
}
"""How q, k and v are changed after they were drawn from the normal distribution."""


@kept
def expected_output(case: AttentionCase, dtype: str) -> Array:
    """The reference's output."""
    p = problem(case, dtype)
    compute = packed_forward if case.sequences else forward
    return np.asarray(compute(p.q, p.k, p.v, **p.reference_options()), dtype=np.float64)


@kept
def output_bound(case: AttentionCase, dtype: str, numerical_class: str) -> Array:
    """How far the output may be off. No claim (inf) is made where a NaN input reaches."""
    p = problem(case, dtype)
    compute = packed_forward_bound if case.sequences else forward_bound
    bound = compute(p.q, p.k, p.v, dtype=dtype, numerical_class=numerical_class, **p.reference_options())
    return np.where(np.isnan(expected_output(case, dtype)), np.inf, bound)


@kept
def expected_gradients(case: AttentionCase, dtype: str) -> Gradients:
    """The reference's gradients."""
    p = problem(case, dtype)
    compute = packed_backward if case.sequences else backward
    return compute(p.q, p.k, p.v, p.grad, **p.reference_options())


@kept
def gradient_bounds(case: AttentionCase, dtype: str, numerical_class: str) -> Gradients:
    """How far the gradients may be off."""
    p = problem(case, dtype)
    compute = packed_backward_bounds if case.sequences else backward_bounds
    return compute(p.q, p.k, p.v, p.grad, dtype=dtype, numerical_class=numerical_class, **p.reference_options())


@kept
def random_products(case: AttentionCase, dtype: str, numerical_class: str) -> dict[str, Product]:
    """What is known of the errors of output and gradients on random data."""
    p = problem(case, dtype)
    return products(p.q, p.k, p.v, p.grad, dtype=dtype, numerical_class=numerical_class, **p.reference_options())


def without_hidden(case: AttentionCase) -> AttentionCase:
    """The same case with ordinary numbers where no query sees them."""
    return replace(case, data="normal")


def unseen(case: AttentionCase) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which queries see no key (batch or 1, Nq), and which keys no query sees (batch or 1, Nk).

    Of packed sequences it knows those that are empty on one side, and no masks within them.
    """
    seen = visible(case.nq, case.nk, causal=case.causal, window=case.window, key_lengths=case.key_lengths)[:, 0]
    if case.sequences:
        row_of, column_of = (
            np.repeat(np.arange(len(case.sequences)), lengths) for lengths in zip(*case.sequences, strict=True)
        )
        seen = (row_of[:, None] == column_of)[None]
    return np.logical_not(np.any(seen, axis=2)), np.logical_not(np.any(seen, axis=1))


def siblings(case: AttentionCase) -> tuple[AttentionCase, ...]:
    """Calls that share something with a case and not all, for what is kept from one call to the next by too little."""
    plain = replace(
        case,
        causal=False,
        window=None,
        alibi=False,
        key_lengths=None,
        sequences=(),
        wanted=(),
        backward=False,
        layout="contiguous",
    )
    return (
        replace(plain, nq=case.nq + 1, nk=case.nk + 1, d=2 * case.d, dv=2 * case.dv, kv_heads=case.heads),
        replace(plain, bias=0.5),
        replace(plain, causal=True),
        replace(plain, window=(1, 1), scale=0.7),
        replace(plain, nq=case.nq + 70, nk=case.nk + 70, causal=case.causal, alibi=case.alibi),
        replace(case.again(1), backward=False, wanted=()),
    )


@kept
def one_argument_changed(case: AttentionCase, dtype: str) -> dict[str, AttentionProblem]:
    """Problems that differ from the case's in one argument, for what is kept by some of the arguments while another changes.

    All that is the same is the same array. An option changes where the case has it, in place where it is an array.
    """
    own, other, longer = problem(case, dtype), problem(case.again(1), dtype), problem(_longer(case), dtype)
    o, in_place = own.options, case.context != REPEATED[0]
    arrays = {"alibi_slopes": other.options.alibi_slopes, "key_lengths": case.again(1).key_lengths}
    numbers = {
        "bias": o.bias - 0.75 if o.bias else None,
        "scale": -o.scale if o.scale else None,
        "causal": False if o.causal else None,
        "window": (o.window[0] + 2, o.window[1]) if o.window else None,
    }
    options = arrays if in_place and not case.wanted else arrays | numbers
    found = {name: replace(own, **{name: getattr(other, name)}) for name in ("q", "k", "v")}
    found |= {name: replace(own, options=replace(o, **{name: x})) for name, x in options.items() if x is not None}
    if case.sequences:
        moved: dict[str, Any] = {name: _moved(edges) for name, edges in vars(o).items() if name.startswith("cu_")}
        found["edges"] = replace(own, options=replace(o, **moved))
    elif not in_place:
        found["length"] = longer
    if case.backward:
        found["incoming gradient"] = replace(own, grad=other.grad)
    return found


@kept
def in_exact_options(case: AttentionCase, dtype: str) -> AttentionProblem:
    """The case's problem with a bias, a scale and slopes that ``dtype`` holds exactly."""
    own = problem(case, dtype)
    given = {name: getattr(own.options, name) for name in ("bias", "scale", "alibi_slopes")}
    exact: dict[str, Any] = {
        name: format_of(dtype).round(np.asarray(x, dtype=np.float64)) for name, x in given.items() if x is not None
    }
    exact = {name: x if x.ndim else float(x) for name, x in exact.items()}
    return replace(own, options=replace(own.options, **exact))


@kept
def expected_of(given: AttentionProblem, backward_too: bool, numerical_class: str) -> dict[str, tuple[Array, Array]]:
    """The reference's output of a problem, "output", and the gradients; each with its bound."""
    options, inputs = given.reference_options(), (given.q, given.k, given.v)
    rounding: dict[str, Any] = {"dtype": given.dtype, "numerical_class": numerical_class, **options}
    packed = given.options.cu_seqlens_q is not None
    out = (packed_forward if packed else forward)(*inputs, **options)
    found = {"output": (out, (packed_forward_bound if packed else forward_bound)(*inputs, **rounding))}
    if backward_too:
        gradients = (packed_backward if packed else backward)(*inputs, given.grad, **options)
        bounds = (packed_backward_bounds if packed else backward_bounds)(*inputs, given.grad, **rounding)
        found |= {name: (getattr(gradients, name), getattr(bounds, name)) for name in (*given.differentiated, *given.wanted)}
    return found


def _longer(case: AttentionCase) -> AttentionCase:
    """With three queries and keys more."""
    return replace(case, nq=case.nq + 3, nk=case.nk + 3, sequences=())


def _moved(edges: tuple[int, ...]) -> tuple[int, ...]:
    """Edges of packed sequences whose inner ones come a place earlier."""
    return (*edges[:1], *(edge - 1 for edge in edges[1:-1]), *edges[-1:])


LOG_2048 = log_length_bias(2048)
LOG_65536 = log_length_bias(65536)

Case = AttentionCase

DEFINITION = (
    Case(id="square", quick=True, dtypes=ALL_DTYPES, batch=2),
    Case(id="cross", dtypes=("float32",), nq=9, nk=40),  # where a product of narrower operands shows
)
DEFAULT_SCALE = (Case(id="head-dim-64", quick=True, d=64, dv=64), Case(id="value-dim-differs", d=64, dv=16))
GIVEN_SCALE = (
    Case(id="third", quick=True, scale=0.33),
    Case(id="negative", scale=-0.5),
    Case(id="zero", scale=0.0),
    # scores near -9.6, where a scale rounded to the input dtype shows
    Case(id="deep", dtypes=LOW, nq=16, nk=4, scale=0.3, data="deep"),
    Case(id="negative-gradients", scale=-0.5, backward=True),
    Case(id="zero-gradients", scale=0.0, nq=8, nk=8, backward=True),
)
BIAS = (
    Case(id="negative", quick=True, bias=-3.0),
    Case(id="positive", bias=1.5),
    Case(id="log-length", bias=log_length_bias(20), d=64, dv=64),
    Case(id="causal", bias=log_length_bias(20), causal=True),
)
SMALL_WEIGHTS = (
    Case(id="n-65536", quick=True, nq=8, nk=64, bias=LOG_65536, data="positive"),
    Case(id="n-2048", bias=LOG_2048, data="positive"),
)
EXTREME = (
    Case(id="ladder", quick=True, nq=4, nk=16, data="extreme"),
    # Not dQ: it multiplies keys of 1e4 with the last bit of a weight of 1.
    Case(id="ladder-gradients", nq=4, nk=16, data="extreme", frozen=("q",), backward=True),
)
EXTREME_QUERIES = (Case(id="ladder-of-queries", nq=16, nk=4, data="extreme-queries", frozen=("k",), backward=True),)
SCORE_PRECISION = (
    Case(id="scores-near-minus-8", quick=True, dtypes=LOW, nq=16, nk=4, data="deep"),
    Case(id="products-beyond-65504", dtypes=("float16",), nq=8, nk=16, scale=1e-5, data="large"),
)
MANY_KEYS = (
    Case(id="one-large", quick=True, heads=1, kv_heads=1, nq=4, nk=2048, data="one-large"),
    Case(id="2048-keys", heads=1, kv_heads=1, nq=4, nk=2048, data="positive"),
    Case(id="8200-keys", heads=1, kv_heads=1, nq=4, nk=8200, data="positive"),
)
TAILS = (
    Case(id="67x67", quick=True, nq=67, nk=67),
    Case(id="17x131", nq=17, nk=131),
    Case(id="129x33", nq=129, nk=33),
    Case(id="causal-100x100", nq=100, nk=100, causal=True),
)
HEAD_DIMS = (
    Case(id="dim-128", nq=9, nk=20, d=128, dv=128, backward=True),
    Case(id="dim-256", nq=6, d=256, dv=256, backward=True),
    Case(id="dim-17-gradients", d=17, dv=17, nq=9, backward=True),
    Case(id="dim-40", quick=True, d=40, dv=40),
    Case(id="dim-59", d=59, dv=59),
    Case(id="dim-96", d=96, dv=96),
    Case(id="dim-1", d=1, dv=1),
    Case(id="dim-160", d=160, dv=160),
    Case(id="dim-40-gradients", d=40, dv=40, backward=True),
)
VALUE_DIMS = (
    Case(id="wider", quick=True, d=16, dv=32),
    Case(id="narrower", d=32, dv=16),
    Case(id="wider-gradients", d=16, dv=32, backward=True),
    Case(id="narrower-gradients", d=32, dv=16, backward=True),
)
SINGLE = (
    Case(id="one-by-one", quick=True, nq=1, nk=1),
    Case(id="one-query", nq=1, nk=37),
    Case(id="one-key", nq=37, nk=1),
    Case(id="one-by-one-causal", nq=1, nk=1, causal=True),
    Case(id="one-query-gradients", nq=1, nk=37, backward=True),
    Case(id="one-key-gradients", nq=37, nk=1, backward=True),
    # What a separate path for decoding may leave out.
    Case(id="one-query-window", nq=1, nk=150, window=(40, -1)),
    Case(id="one-query-alibi", nq=1, nk=150, alibi=True, slope=0.05),
    Case(id="one-query-lengths", batch=2, nq=1, nk=150, key_lengths=(150, 70), data="padding"),
)
INDEPENDENCE = (
    Case(id="three-by-three", quick=True, batch=3, heads=3, kv_heads=3, nq=6, nk=6),
    Case(id="five-by-nine", batch=5, heads=9, kv_heads=9, nq=3, nk=3),
    Case(id="two-by-nine-gradients", batch=2, heads=9, kv_heads=9, nq=3, nk=3, backward=True),
)
# Lengths of 300 span three blocks of 128: the ends of a loop over blocks depend on the mask.
CAUSAL = (
    Case(id="square", quick=True, causal=True),
    Case(id="two-blocks", nq=80, nk=80, causal=True),
    Case(id="three-blocks", heads=1, kv_heads=1, nq=300, nk=300, causal=True),
    # For kernels that take head dims of 64 and 128 alone.
    Case(id="head-dim-64", heads=1, kv_heads=1, nq=150, nk=150, d=64, dv=64, causal=True),
)
CAUSAL_ALIGNMENT = (
    Case(id="more-keys", quick=True, nq=9, nk=30, causal=True),
    Case(id="decode", nq=1, nk=37, causal=True),
    Case(id="two-blocks", nq=33, nk=100, causal=True),
    Case(id="head-dim-64", nq=33, nk=100, d=64, dv=64, causal=True),
    Case(id="more-queries", nq=30, nk=9, causal=True),
)
MASKED = (
    Case(id="large-values-hidden", quick=True, dtypes=("float32", "bfloat16"), causal=True, data="hidden"),
    Case(id="large-values-hidden-half", dtypes=("float16",), causal=True, data="hidden"),
    Case(id="large-bias", causal=True, bias=6.0),
)
WINDOW = (
    Case(id="both", quick=True, window=(3, 2)),
    Case(id="left-only", window=(4, -1)),
    Case(id="right-only", window=(-1, 3)),
    Case(id="itself", window=(0, 0)),
    Case(id="wider-than-the-length", nq=12, nk=12, window=(64, 2)),
    Case(id="three-blocks", heads=1, kv_heads=1, nq=300, nk=300, window=(40, 25)),
)
# each side ends with a block, of whatever size
WINDOW_OF_BLOCKS = tuple(
    Case(
        id=f"{block}-either-way", heads=1, kv_heads=1, nq=block + 10, nk=block + 10, window=(block, block), backward=True,
        dtypes=(("float32", "bfloat16", "float16")[index % 3],),
    )
    for index, block in enumerate((8, 16, 32, 48, 64, 96, 128))
)  # fmt: skip
WINDOW_ALIGNMENT = (
    Case(id="more-keys", quick=True, nq=9, nk=30, window=(4, 2)),
    Case(id="causal", window=(5, 3), causal=True),
    Case(id="causal-more-keys", nq=9, nk=30, window=(6, -1), causal=True),
    Case(id="more-queries", nq=30, nk=9, window=(4, 2)),
)
ALIBI = (
    Case(id="square", quick=True, alibi=True),
    Case(id="causal", alibi=True, causal=True),
    Case(id="three-blocks", nq=300, nk=300, alibi=True, slope=0.05),
    Case(id="long-distances", dtypes=("float32",), nq=4, nk=600, alibi=True, slope=0.01),
)
ALIBI_ALIGNMENT = (Case(id="more-keys", quick=True, nq=9, nk=30, alibi=True), Case(id="more-queries", nq=30, nk=9, alibi=True))
SHARED_HEADS = (
    Case(id="six-over-two", quick=True, batch=2, heads=6, kv_heads=2, nq=8, nk=8),
    Case(id="four-over-one", heads=4, kv_heads=1, nq=8, nk=8),
    Case(id="six-over-two-gradients", heads=6, kv_heads=2, nq=8, nk=8, backward=True),
    Case(id="one-query", heads=6, nq=1, nk=37),
    Case(id="causal", heads=4, nq=8, nk=8, causal=True),
    Case(id="window", heads=4, nq=8, nk=8, window=(3, 1)),
    Case(id="alibi", heads=4, nq=8, nk=8, alibi=True),
    Case(id="key-lengths", batch=2, heads=4, nq=8, nk=8, key_lengths=(8, 3), data="padding"),
)
KEY_LENGTHS = (
    Case(id="ragged", quick=True, batch=3, key_lengths=(20, 7, 13), data="padding"),
    Case(id="block-multiple", batch=2, nk=128, nq=5, key_lengths=(64, 65), data="padding"),
)
NO_KEYS = (
    Case(id="more-queries-causal", quick=True, nq=30, nk=9, causal=True),
    Case(id="whole-blocks", nq=150, nk=5, causal=True),
    Case(id="length-0", batch=3, key_lengths=(0, 20, 0)),
)
NAN = (
    Case(id="query", quick=True, data="nan-query"),
    Case(id="infinite-query", nq=8, nk=8, data="inf-query"),
)
UNSEEN_BY_SOME = (
    Case(id="key-causal", data="nan-key", causal=True),
    Case(id="infinite-key-causal", nq=8, nk=8, data="inf-key", causal=True),
)
STRIDES = (
    Case(id="transposed", quick=True, batch=2, heads=3, kv_heads=3, layout="transposed"),
    Case(id="padded", batch=2, heads=3, kv_heads=3, layout="padded"),
    Case(id="padded-gradients", batch=2, layout="padded", backward=True),
    Case(id="mixed", quick=True, batch=2, layout="mixed"),
    Case(id="mixed-gradients", batch=2, layout="mixed", grad_layout="padded", backward=True),
)
UNCHANGED = (
    Case(id="forward", quick=True, scale=0.3),
    Case(id="forward-padded", layout="padded", nq=17),
    Case(id="backward", backward=True),
    Case(id="slopes", alibi=True),
    Case(id="lengths", batch=3, key_lengths=(20, 7, 13), data="padding"),
)
RESULT_DTYPES = (Case(id="forward", quick=True), Case(id="backward", backward=True))
OWN_INPUTS = (
    Case(id="three-calls", quick=True, nq=12, nk=12),
    Case(id="three-calls-causal", nq=12, nk=12, causal=True),
    Case(id="three-calls-alibi", nq=12, nk=12, alibi=True),
    Case(id="three-calls-lengths", batch=2, nq=12, nk=12, key_lengths=(12, 5), data="padding"),
)
_REPEATED_OPTIONS: dict[str, dict[str, Any]] = {
    "masks": {"causal": True, "window": (3, 1), "scale": 0.6, "bias": -1.25, "kv_heads": 1},
    "lengths": {"batch": 2, "key_lengths": (7, 4)},
    "packed": {"sequences": ((3, 3), (4, 4)), "bias": -1.0},
    "slopes": {"alibi": True, "batch": 2, "slopes_by_row": True, "bias": -1.5, "data": "positive"},
}
REPEATED_CALLS = tuple(
    Case(
        id=f"{way.replace(' ', '-')}-{name}{'-gradients' if backward else ''}", nq=7, nk=7, context=way, backward=backward,
        dtypes=(("float32", "float16", "bfloat16")[number % 3],), interpreted="thorough" if number or backward else "always",
        wanted=("bias", "alibi_slopes") if name == "slopes" and backward else (), quick=number == 0, **options,
    )
    for backward in (False, True)
    for number, (way, (name, options)) in enumerate(itertools.product(REPEATED, _REPEATED_OPTIONS.items()))
    if not (backward and way == "viewed again")
)  # fmt: skip
IN_ONE_MEMORY = tuple(
    Case(
        id=f"one-memory-{name}", dtypes=("float32", "bfloat16"), context="one memory", nq=9, nk=9, batch=2, backward=backward,
        bias=-1.0, **options,
    )
    for name, backward, options in (
        ("causal", False, {"causal": True}),
        ("lengths", True, {"key_lengths": (9, 5)}),
        ("slopes", True, {"alibi": True, "data": "positive", "wanted": ("alibi_slopes",)}),
    )
)  # fmt: skip
# One query for each row, as a server decodes: forward alone, with everything that masks.
_ONE: dict[str, Any] = {"heads": 4, "kv_heads": 1, "bias": -1.0, "causal": True}
DECODING = (
    Case(id="decode-window", batch=2, nq=1, nk=70, window=(6, 0), **_ONE),
    Case(id="decode-window-slopes", nq=1, nk=70, window=(40, 0), alibi=True, slope=0.05, **_ONE),
    Case(id="decode-packed-window", nq=4, nk=80, window=(6, 0), sequences=((1, 33), (1, 5), (1, 1), (1, 41)), **_ONE),
)
# Scores near -10, where the rounding of an option to bfloat16 is ten times that of a weight. From slopes they get there by
# distance, and the farthest keys count most.
_AUTOCAST_OPTIONS: dict[str, dict[str, Any]] = {
    "bias": {"bias": -9.72, "data": "positive"},
    "scale": {"scale": 0.3, "data": "deep"},
    "slopes": {"alibi": True, "slope": -1.37, "bias": -13.0, "data": "positive"},
    "bias-asked": {"bias": -9.72, "data": "positive", "wanted": ("bias",)},
    "slopes-asked": {"alibi": True, "slope": -1.37, "bias": -13.0, "data": "positive", "wanted": ("alibi_slopes",)},
}
AUTOCAST_OPTIONS = tuple(
    Case(
        id=f"{name}{'-mixed' if context == 'autocast' else ''}", dtypes=("bfloat16",), nq=10, nk=10, context=context,
        quick=name == "bias", backward=bool(options.get("wanted")), **options,
    )
    for name, options in _AUTOCAST_OPTIONS.items()
    for context in ("autocast", "autocast of 16 bits")
)  # fmt: skip
# Of a sum of thousands of gradients all roundings together are less than one of the sum, unless that happens to need none.
AUTOCAST_SUMS = tuple(
    replace(case, id=f"sum-{seed}-of-{case.id}", nq=48, nk=56, seed=seed, quick=False)
    for case in AUTOCAST_OPTIONS if case.wanted and case.context != "autocast"
    for seed in range(3 if case.wanted == ("bias",) else 1)
)  # fmt: skip
SAME_BITS = (
    Case(id="two-calls", quick=True, dtypes=("float32",), nk=150, nq=70),
    Case(id="two-calls-in-16-bits", dtypes=LOW, nk=150, nq=70),
)

GRADIENTS = (
    Case(id="head-dim-64", backward=True, heads=1, kv_heads=1, nq=20, nk=70, d=64, dv=64, bias=-1.0),
    Case(id="square", quick=True, dtypes=ALL_DTYPES, backward=True),
    Case(id="cross", backward=True, nq=9, nk=40),
)
GRADIENT_OPTIONS = (
    Case(id="causal", quick=True, backward=True, causal=True),
    Case(id="bias", backward=True, bias=log_length_bias(20)),
    Case(id="scale", backward=True, scale=0.6),
    Case(id="causal-more-keys", backward=True, causal=True, nq=9, nk=30),
    Case(id="window", backward=True, window=(3, 2)),
    Case(id="alibi", backward=True, alibi=True),
    Case(id="alibi-causal-more-keys", backward=True, alibi=True, causal=True, nq=9, nk=30),
    Case(id="key-lengths", backward=True, batch=3, key_lengths=(20, 7, 13), data="padding"),
    Case(id="window-more-queries", backward=True, nq=30, nk=9, window=(4, 2)),
    Case(id="causal-more-queries", backward=True, heads=1, kv_heads=1, nq=150, nk=70, causal=True),
    Case(id="causal-three-blocks", backward=True, heads=1, kv_heads=1, nq=300, nk=300, causal=True),
    Case(id="window-three-blocks", backward=True, heads=1, kv_heads=1, nq=300, nk=300, window=(40, 25)),
    Case(id="alibi-two-blocks", backward=True, heads=1, kv_heads=1, nq=150, nk=150, alibi=True, slope=0.05),
)
# One key head for all, so that the sum is tested for any order of heads.
SHARED_HEAD_GRADIENTS = (
    Case(id="four-over-one", quick=True, backward=True, heads=4, kv_heads=1, nq=8, nk=8),
    Case(id="three-over-one", backward=True, heads=3, kv_heads=1, nq=20, nk=9),
    Case(id="two-rows", backward=True, batch=2, heads=4, kv_heads=1, nq=8, nk=8),
)
UNREACHED = (
    Case(id="more-queries-causal", quick=True, backward=True, nq=30, nk=9, causal=True),
    Case(id="window", backward=True, nq=5, nk=30, window=(3, 0)),
    Case(id="key-lengths", backward=True, batch=2, key_lengths=(0, 9), data="padding"),
)
BIAS_GRADIENT = (
    Case(id="plain", quick=True, backward=True, wanted=("bias",)),
    Case(id="causal", backward=True, causal=True, wanted=("bias",)),
    Case(id="two-rows-three-blocks", backward=True, batch=2, nq=300, nk=20, bias=-1.5, data="positive", wanted=("bias",)),
    Case(id="shared-heads", backward=True, heads=4, kv_heads=1, nq=8, nk=8, bias=-1.5, wanted=("bias",)),
    Case(id="two-blocks-of-keys", backward=True, heads=1, kv_heads=1, nq=9, nk=150, data="positive", wanted=("bias",)),
    Case(id="window", backward=True, window=(3, 2), wanted=("bias",)),
    Case(id="key-lengths", backward=True, batch=2, key_lengths=(20, 7), data="padding", wanted=("bias",)),
)
# packed sequences of one query, as a server decodes them, beside a longer one
OPTIONS_OF_SINGLE_QUERIES = (
    Case(
        id="packed-single-queries", backward=True, nq=11, nk=24, sequences=((1, 5), (9, 9), (1, 10)), bias=-1.0, alibi=True,
        slope=0.1, data="positive", wanted=("bias", "alibi_slopes"),
    ),
)  # fmt: skip
SLOPE_GRADIENT = (
    Case(id="plain", quick=True, backward=True, alibi=True, heads=3, kv_heads=3, wanted=("alibi_slopes",)),
    Case(id="causal", backward=True, alibi=True, causal=True, wanted=("alibi_slopes",)),
    Case(
        id="two-rows-three-blocks", backward=True, batch=2, nq=300, nk=20, alibi=True, slope=0.05, data="positive",
        wanted=("alibi_slopes",),
    ),
    Case(id="more-keys", backward=True, nq=9, nk=30, alibi=True, wanted=("alibi_slopes",)),
    Case(
        id="two-blocks-of-keys", backward=True, heads=1, kv_heads=1, nq=9, nk=150, alibi=True, slope=0.05, data="positive",
        wanted=("alibi_slopes",),
    ),
    Case(id="shared-heads", backward=True, heads=4, kv_heads=1, nq=8, nk=8, alibi=True, wanted=("alibi_slopes",)),
)  # fmt: skip
SATURATED_GRADIENTS = (Case(id="scores-near-8", quick=True, dtypes=LOW, backward=True, nq=8, nk=8, data="saturated"),)
GRADIENT_STRIDES = (
    Case(id="expanded", quick=True, backward=True, grad_layout="expanded"),
    Case(id="transposed", backward=True, batch=2, heads=3, kv_heads=3, grad_layout="transposed"),
    Case(id="padded", backward=True, grad_layout="padded"),
)
GRADIENT_TAILS = (
    Case(id="67x67", quick=True, backward=True, nq=67, nk=67),
    Case(id="17x131", backward=True, nq=17, nk=131),
    Case(id="129x33", backward=True, nq=129, nk=33),
    Case(id="20x300", backward=True, heads=1, kv_heads=1, nk=300),
)
MANY_GRADIENT_TERMS = (
    Case(id="keys", quick=True, backward=True, heads=1, kv_heads=1, nq=4, nk=1024, data="one-large"),
    Case(id="queries", backward=True, heads=1, kv_heads=1, nq=1024, nk=4, data="one-large-gradient"),
)
RECORDED = (
    Case(id="plain", quick=True, backward=True),
    Case(id="bias", backward=True, bias=-2.0),
    Case(id="causal", backward=True, nq=9, nk=30, causal=True),
    Case(id="window", backward=True, window=(3, 2)),
    Case(id="alibi", backward=True, alibi=True),
    Case(id="key-lengths", backward=True, batch=3, key_lengths=(20, 7, 13), data="padding"),
)
KEPT = (Case(id="forward", quick=True, nq=12, nk=12), Case(id="backward", nq=12, nk=12, causal=True, bias=-1.0, backward=True))

# No 16-bit format holds 1/sqrt(28) or log 333: what rounds them errs by most of half a step.
RANDOM = (
    Case(id="output", quick=True, dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3)),
    Case(id="small-weights", dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(333)),
    Case(id="gradients", dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3), backward=True),
)
# Nothing cancels here, so what always errs to one side shows as a mean.
RANDOM_POSITIVE = (
    Case(id="output", quick=True, dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3), data="positive"),
    Case(id="gradients", dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3), data="positive", backward=True),
)
# Their sum grows with every term. A kernel may keep score gradients in the input dtype, but not the sum.
RANDOM_SUMS = (
    Case(
        id="bias-gradient", quick=True, dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3), data="positive",
        backward=True, wanted=("bias",),
    ),
    Case(
        id="slope-gradient", quick=True, dtypes=LOW, nq=48, nk=56, d=28, dv=16, bias=log_length_bias(3), data="positive",
        alibi=True, slope=0.02, backward=True, wanted=("alibi_slopes",),
    ),
)  # fmt: skip
# Sixteen blocks of 64: a sum that is rounded after each of them spreads four times as far.
RANDOM_LONG = (
    Case(id="many-keys", dtypes=LOW, heads=1, kv_heads=1, nq=24, nk=1024, bias=log_length_bias(3), backward=True),
    Case(id="many-queries", dtypes=LOW, heads=1, kv_heads=1, nq=1024, nk=24, bias=log_length_bias(3), backward=True),
    Case(id="many-keys-output", dtypes=LOW, heads=1, kv_heads=1, nq=24, nk=1024, bias=log_length_bias(3)),
)
PACKED = (
    Case(id="three", quick=True, nq=30, nk=30, sequences=((5, 5), (18, 18), (7, 7))),
    Case(id="empty-one", nq=23, nk=23, sequences=((5, 5), (0, 0), (18, 18))),
    Case(id="causal", nq=100, nk=100, causal=True, sequences=((66, 66), (1, 1), (33, 33))),
    Case(id="causal-more-keys", nq=17, nk=47, causal=True, sequences=((5, 20), (8, 8), (4, 19))),
    Case(id="window", nq=30, nk=30, window=(3, 2), sequences=((20, 20), (10, 10))),
    Case(id="alibi", nq=17, nk=47, alibi=True, sequences=((5, 20), (8, 8), (4, 19))),
    Case(id="shared-heads", heads=4, nq=30, nk=30, sequences=((20, 20), (10, 10))),
    Case(id="transposed", nq=30, nk=30, layout="transposed", sequences=((20, 20), (10, 10))),
)
PACKED_GRADIENTS = (
    Case(id="three", quick=True, backward=True, nq=30, nk=30, sequences=((5, 5), (18, 18), (7, 7))),
    Case(id="causal-more-keys", backward=True, nq=17, nk=47, causal=True, sequences=((5, 20), (8, 8), (4, 19))),
    Case(id="shared-heads", backward=True, heads=4, nq=30, nk=30, sequences=((20, 20), (10, 10))),
    Case(id="empty-one", backward=True, nq=13, nk=13, sequences=((5, 5), (0, 0), (8, 8))),
    Case(id="window", backward=True, nq=30, nk=30, window=(3, 2), sequences=((20, 20), (10, 10))),
    Case(
        id="bias-and-slopes", backward=True, nq=17, nk=47, bias=-1.5, alibi=True, slope=0.1,
        sequences=((5, 20), (8, 8), (4, 19)), wanted=("bias", "alibi_slopes"),
    ),
)  # fmt: skip
_SHARED: dict[str, Any] = {"kv_heads": 1, "backward": True}
# Key lengths go with neither masks nor slopes here: whether they move positions is open (reference, masks.visible).
TOGETHER = (
    Case(id="causal", quick=True, nq=12, nk=12, scale=0.6, bias=-1.5, causal=True, backward=True),
    Case(id="causal-shared-heads", nq=9, nk=12, dv=32, scale=0.6, causal=True, **_SHARED),
    Case(id="window", nq=9, nk=30, scale=0.6, bias=-1.5, causal=True, window=(6, 1), **_SHARED),
    Case(id="window-shared-heads", nq=30, nk=9, window=(4, 2), **_SHARED),
    Case(id="alibi", nq=9, nk=30, scale=0.6, bias=-1.5, alibi=True, window=(12, 4), **_SHARED),
    Case(
        id="gradients", batch=2, nq=12, nk=9, dv=32, scale=0.6, bias=-1.5, causal=True, window=(5, -1), alibi=True,
        slope=0.3, wanted=("bias", "alibi_slopes"), **_SHARED,
    ),
    Case(
        id="key-lengths", batch=2, nq=9, nk=12, dv=32, scale=0.6, bias=-1.5, key_lengths=(12, 5),
        data="positive-padding", wanted=("bias",), **_SHARED,
    ),
    Case(
        id="packed", nq=24, nk=31, scale=0.6, bias=-1.5, causal=True, window=(4, 1),
        sequences=((5, 9), (8, 8), (8, 11), (3, 3)), **_SHARED,
    ),
    Case(
        id="packed-slopes", nq=16, nk=20, dv=32, bias=-1.5, alibi=True, slopes_by_row=True, wanted=("bias", "alibi_slopes"),
        sequences=((5, 9), (0, 0), (8, 8), (3, 3)), **_SHARED,
    ),
)  # fmt: skip
SLOPES_BY_ROW = (
    Case(id="forward", quick=True, batch=3, nq=6, nk=9, alibi=True, slopes_by_row=True),
    Case(
        id="gradients", batch=3, nq=6, nk=9, alibi=True, slopes_by_row=True, backward=True, wanted=("alibi_slopes",)
    ),
)  # fmt: skip
FROZEN = (
    Case(id="query", quick=True, nq=8, nk=8, frozen=("q",), backward=True),
    Case(id="query-alone-asks", nq=8, nk=8, bias=-1.0, causal=True, frozen=("k", "v"), backward=True),
    Case(id="key-alone-asks", nq=8, nk=8, bias=-1.0, causal=True, frozen=("q", "v"), backward=True),
    Case(id="value-alone-asks", nq=8, nk=8, frozen=("q", "k"), backward=True),
    Case(id="bias-alone-asks", nq=8, nk=8, frozen=("q", "k", "v"), wanted=("bias",), backward=True),
)
UNALIGNED = (
    Case(id="forward", quick=True, batch=2, layout="unaligned"),
    Case(id="backward", layout="unaligned", grad_layout="unaligned", backward=True),
)
WIDE = ("float32", "bfloat16")
_LONG: dict[str, Any] = {"heads": 1, "kv_heads": 1, "thorough": True}
LONG = (
    Case(id="keys", dtypes=WIDE, nq=3, nk=65536, bias=LOG_65536, data="positive", **_LONG),
    Case(id="keys-causal", dtypes=("float16",), nq=3, nk=65536, bias=LOG_65536, causal=True, data="positive", **_LONG),
    Case(id="keys-gradients", dtypes=WIDE, nq=3, nk=65536, bias=LOG_65536, backward=True, **_LONG),
    Case(id="queries-gradients", dtypes=WIDE, nq=65536, nk=3, bias=LOG_65536, backward=True, **_LONG),
)
# Compared with the reference at some queries and keys, or at all of them where queries are 0. In bfloat16 alone, which no
# interpreter runs: it would take hours.
_SQUARE: dict[str, Any] = {"dtypes": ("bfloat16",), "nq": 65536, "nk": 65536, "bias": LOG_65536, "backward": True, **_LONG}
LONG_SQUARE = (
    Case(id="square-causal", causal=True, **_SQUARE),
    Case(id="square-window", causal=True, window=(1000, -1), **_SQUARE),
)
LONG_UNIFORM = (Case(id="square-of-zero-queries", causal=True, data="zero-query", **_SQUARE),)
FAR = (Case(id="keys", dtypes=LOW, layout="far", heads=1, kv_heads=1, nq=4, nk=18, thorough=True),)
_DIFFERENTIATED: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True, "bias": -1.0, "scale": 0.6},
    "window": {"window": (3, 1), "d": 8, "dv": 24},
}
BEYOND_FIRST = tuple(
    Case(id=f"{name}-{kind}", quick=name == "causal", dtypes=("float32",), nq=9, nk=9, backward=kind == "second", **options)
    for kind in ("second", "forward-mode")
    for name, options in _DIFFERENTIATED.items()
)
UNSEEN = (
    Case(id="nan-beyond-lengths", quick=True, batch=3, nq=9, nk=70, key_lengths=(70, 33, 5), data="unseen-nan", backward=True),
    Case(id="infinity-beyond-lengths", batch=2, nq=3, nk=20, key_lengths=(7, 13), data="unseen-inf"),
    Case(id="nan-beyond-lengths-shared-heads", batch=2, heads=4, nq=5, nk=70, key_lengths=(64, 3), data="unseen-nan"),
    Case(id="nan-before-windows", nq=9, nk=80, window=(5, -1), data="unseen-nan", backward=True),
    Case(id="infinity-before-windows", heads=3, kv_heads=1, nq=1, nk=70, causal=True, window=(6, 0), data="unseen-inf"),
    Case(
        id="infinity-beyond-lengths-gradients",
        batch=2,
        nq=9,
        nk=70,
        key_lengths=(64, 3),
        bias=-1.0,
        data="unseen-inf",
        backward=True,
        wanted=("bias",),
    ),
    Case(id="nan-without-queries", nq=20, nk=60, sequences=((0, 33), (20, 20), (0, 7)), data="unseen-nan", backward=True),
)
PACKED_WITHOUT_QUERIES = (
    Case(id="keys-without-queries", nq=20, nk=60, bias=-1.0, sequences=((0, 33), (15, 9), (5, 11), (0, 7)), backward=True),
)
# More rows and heads than some grids have places.
MANY_ROWS = (
    Case(id="65537-rows", dtypes=("float32",), batch=65537, heads=1, kv_heads=1, nq=1, nk=2, interpreted="never"),
    Case(id="65550-heads", dtypes=("float32",), batch=2, heads=32775, kv_heads=32775, nq=1, nk=2, interpreted="never"),
    Case(id="shared-65538-heads", dtypes=("float32",), heads=65538, kv_heads=2, nq=1, nk=2, interpreted="never"),
)
