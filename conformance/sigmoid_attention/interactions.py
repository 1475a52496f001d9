"""What implementations of sigmoid attention branch on, combined so that every two values meet in some case.

Six arrays. `DEFINITION` combines what the paper itself defines: sizes, bias, causal masks, gradients. `OPTIONS`
combines options; its factor ``without`` leaves some out, so that an implementation that lacks them is ruled out of some rows
only. `MEMORY` combines how arguments lie in memory, and which of them ask for gradients, with a few of everything.
`READINGS` adds what the paper leaves open, ALiBi and masks of unequal lengths. `CONTEXTS` combines where the function is
called with the options of the call. `THREES` has every three values of the smallest factors, for ``--thorough``. Sizes lie on
both sides of usual blocks. What Triton's interpreter would take seconds for it leaves to ``--thorough``.

After a change write the kept combinations anew: ``python -m conformance.engine.interactions sigmoid_attention``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import ONE_TENSOR
from reference.sigmoid_attention import log_length_bias

_KEYS = Factor("keys", ("as many", "more", "fewer", "beyond 1024"))
_KEYS_OR_QUERIES = Factor("keys", (*_KEYS.values, "queries beyond 1024"))
_DIMS = Factor("head dims", ("16/16", "64/64", "40/40", "16/32", "32/16", "128/128", "80/80", "33/33"))
_DTYPE = Factor("dtype", ("float32", "bfloat16", "float16"))
_ALIGNED = Constraint(
    ("causal", "keys"), lambda causal, keys: causal == "no" or keys == "as many", "the paper has no mask for other lengths"
)


def _heads(heads: Any) -> int:
    return int(str(heads).partition("/")[0])


def _blocks(length: int) -> int:
    """Of 64 queries and 64 keys, in a square."""
    return int((1 + (length - 1) // 64) ** 2)


_SMALL = (
    Constraint(
        ("heads", "length"),
        lambda heads, length: length < 34 if _heads(heads) > 32 else _heads(heads) * _blocks(length) <= 16,
        "small cases",
    ),
    Constraint(("batch", "heads"), lambda batch, heads: batch == 1 or _heads(heads) <= 8, "small cases"),
    Constraint(("batch", "length"), lambda batch, length: batch * _blocks(length) <= 16, "small cases"),
    Constraint(("heads", "keys"), lambda heads, keys: _heads(heads) <= 3 or "1024" not in keys, "small cases"),
    Constraint(("batch", "keys"), lambda batch, keys: batch <= 2 or "1024" not in keys, "small cases"),
    Constraint(("length", "keys"), lambda length, keys: length < 34 or "1024" not in keys, "small cases"),
)


def _is_slow(heads: int, batch: int, nq: int, nk: int, **others: Any) -> bool:
    """Whether an interpreter takes seconds: many blocks of 64 queries and 64 keys."""
    return batch * heads * (1 + (nq - 1) // 64) * (1 + (nk - 1) // 64) > 20


_SEVERAL_QUERIES = (
    *(
        Constraint(
            (mask, "length", "keys"),
            lambda given, length, keys: given in ("no", "none") or length > 1 or keys != "as many",
            "of one query and one key a mask hides nothing",
        )
        for mask in ("causal", "window")
    ),
    Constraint(
        ("window", "length"),
        lambda window, length: length > {"half blocks": 32, "block": 64}.get(window, 0),
        "the window ends within the sequence",
    ),
)


DEFINITION = Interactions(
    "sigmoid_attention",
    name="definition",
    factors=(
        Factor("batch", (1, 2, 3)),
        Factor("heads", (1, 2, 5, 40)),
        Factor("length", (1, 15, 33, 64, 65, 130)),
        _KEYS_OR_QUERIES,
        _DIMS,
        Factor("causal", ("no", "yes")),
        Factor("bias", ("0", "-log n", "1.5", "4", "-13", "13", "-25", "25")),
        Factor("data", ("normal", "steep")),
        _DTYPE,
        Factor("asked", ("output", "all")),
    ),
    constraints=(
        _ALIGNED,
        _SEVERAL_QUERIES[0],
        *_SMALL,
        Constraint(("bias", "asked"), lambda bias, asked: bias not in ("13", "25") or asked == "output", "too small to see"),
        Constraint(("bias", "dtype"), lambda bias, dtype: bias != "-25" or dtype != "float16", "weights below its smallest"),
        Constraint(
            ("bias", "data"), lambda bias, data: float(bias.replace("-log n", "-7")) > -8 or data == "normal", "the same"
        ),
    ),
)

_LACKED = {"window": "window", "rows": "rows", "shared heads": "heads"}
_USUAL = ("none", "1/1", "2/2")
_PACKED = ("one packed", "packed", "packed with empty", "many packed", "packed, last empty", "no queries last")


_PACKED_ROW = Constraint(("rows", "batch"), lambda rows, batch: rows not in _PACKED or batch == 1, "packed is one row")
_PACKED_LENGTH = Constraint(
    ("rows", "length"), lambda rows, length: length > {"many packed": 60}.get(rows, int(rows in _PACKED)), "something to pack"
)
_LENGTHS_OPEN = tuple(
    Constraint(
        ("rows", mask),
        lambda rows, given: "lengths" not in rows or rows == "full lengths" or given in ("no", "none"),
        "whether key lengths move positions is open",
    )
    for mask in ("causal", "window")
)
_ONE_ROW: dict[str, Callable[[Any], bool]] = {
    "batch": lambda batch: batch == 1,
    "rows": lambda rows: rows in _PACKED,
}
_SHARED_ROWS = tuple(
    Constraint(
        (layout, factor),
        lambda layout, value, is_one=is_one: "broadcast" not in layout or not is_one(value),
        "several batch rows to share",
    )
    for factor, is_one in _ONE_ROW.items()
    for layout in ("layout", "gradient layout")
)
_OPTION_ASKED = Constraint(
    ("asked", "bias"),
    lambda asked, bias: "asked" not in bias or asked in ("all", "options"),
    "asked with all others, or alone",
)

OPTIONS = Interactions(
    "sigmoid_attention",
    # What constraints tie comes first, what none ties last: it is chosen in this order, and chosen again where nothing fits.
    factors=(
        Factor("without", (*_LACKED, "all of them")),
        Factor("rows", ("none", "lengths", "block lengths", "half block lengths", *_PACKED[1:-1])),
        Factor("window", ("none", "left", "right", "both", "block", "half blocks", "itself")),
        Factor("causal", ("no", "yes")),
        _KEYS,
        Factor("heads", ("1/1", "2/2", "3/1", "10/2", "8/1", "16/1", "36/4")),
        Factor("batch", (1, 2, 3)),
        Factor("length", (1, 17, 33, 64, 65, 130)),
        Factor("bias", ("0", "-2", "4", "-13", "13", "-2, asked")),
        Factor("asked", ("output", "all", "options")),
        Factor("head dims", ("16/16", "64/64", "40/40", "16/32", "32/16", "128/128", "33/33")),
        Factor("scale", ("default", "0.3", "1.5", "-0.5", "0")),
        _DTYPE,
    ),
    constraints=(
        *(
            Constraint(
                ("without", factor),
                lambda without, value, option=option: without not in (option, "all of them") or value in _USUAL,
                "an implementation that lacks an option is ruled out of some rows only",
            )
            for option, factor in _LACKED.items()
        ),
        *_SMALL,
        _PACKED_ROW,
        _PACKED_LENGTH,
        _ALIGNED,
        Constraint(("window", "keys"), lambda window, keys: window == "none" or keys == "as many", "READINGS has the others"),
        *_SEVERAL_QUERIES,
        *_LENGTHS_OPEN,
        _OPTION_ASKED,
        Constraint(("asked", "bias"), lambda asked, bias: asked != "options" or "asked" in bias, "something is asked"),
        Constraint(("asked", "bias"), lambda asked, bias: bias != "13" or asked == "output", "its gradients are too small"),
    ),
)

MEMORY = Interactions(
    "sigmoid_attention",
    name="memory",
    factors=(
        Factor(
            "layout",
            (
                "contiguous",
                "transposed",
                "padded",
                "mixed",
                "unaligned",
                "broadcast",
                "one key head",
                "broadcast values",
                "one query head",
                "turned values",
            ),
        ),
        Factor("gradient layout", ("contiguous", "transposed", "padded", "expanded", "turned", "broadcast", "one row")),
        Factor("batch", (1, 2)),
        Factor("heads", ("2/2", "6/2")),
        Factor("length", (1, 16, 17, 65)),
        Factor("keys", ("as many", "more", "fewer")),
        Factor("head dims", ("16/16", "40/40", "16/32", "128/128")),
        Factor("causal", ("no", "yes")),
        Factor("window", ("none", "both")),
        Factor("rows", ("none", "lengths", "one packed", "packed")),
        Factor("bias", ("0", "-2", "-2, asked")),
        Factor("asked", ("output", "all", "k and v", "q and v", "q and k", "q alone", "k alone", "v alone")),
        _DTYPE,
    ),
    constraints=(
        *_SMALL[:1],
        _PACKED_ROW,
        _PACKED_LENGTH,
        _ALIGNED,
        Constraint(("window", "keys"), lambda window, keys: window == "none" or keys == "as many", "READINGS has the others"),
        *_SEVERAL_QUERIES,
        *_LENGTHS_OPEN,
        *_SHARED_ROWS,
        _OPTION_ASKED,
        Constraint(
            ("asked", "gradient layout"),
            lambda asked, layout: asked != "output" or layout == "contiguous",
            "no gradient is handed over",
        ),
    ),
)

READINGS = Interactions(
    "sigmoid_attention",
    name="readings",
    factors=(
        Factor("batch", (1, 2, 3)),
        Factor("heads", ("1/1", "3/1", "10/2", "36/4")),
        Factor("length", (1, 17, 65)),
        _KEYS_OR_QUERIES,
        Factor("head dims", ("16/16", "40/40", "16/32")),
        Factor("causal", ("no", "yes")),
        Factor("window", ("none", "left", "both", "half blocks")),
        Factor("rows", ("none", "full lengths", "lengths", "packed", "packed with empty", "many packed", "no queries last")),
        Factor("alibi", ("none", "by head", "negative", "by row", "by head, asked", "by row, asked")),
        Factor("bias", ("-2", "-2, asked")),
        Factor("scale", ("default", "-0.5")),
        Factor("asked", ("output", "all", "options")),
        _DTYPE,
    ),
    # What is masked depends on these at once.
    together=(("causal", "keys", "length"), ("window", "keys", "length")),
    constraints=(
        *_SMALL,
        _PACKED_ROW,
        _PACKED_LENGTH,
        *_SEVERAL_QUERIES,
        Constraint(
            ("alibi", "batch", "rows"),
            lambda alibi, batch, rows: "row" not in alibi or batch > 1 or rows in _PACKED,
            "rows to have slopes of their own",
        ),
        replace(_OPTION_ASKED, names=("asked", "alibi")),
        _OPTION_ASKED,
        Constraint(
            ("asked", "bias", "alibi"),
            lambda asked, bias, alibi: asked != "options" or "asked" in bias + alibi,
            "something is asked",
        ),
        Constraint(
            ("alibi", "keys", "causal", "window"),
            lambda alibi, keys, causal, window: (
                alibi != "none" or (keys != "as many" and (causal == "yes" or window != "none"))
            ),
            "something that is left open",
        ),
    ),
)

_SLOPES_AND_BIAS = "slopes and bias, asked"
_ASKED = {
    "inference": "output", "nothing asked": "output", "backward twice": "all", "two calls": "all", "backward()": "all",
    "reentrant checkpoint": "all", "vjp": "all",
}  # fmt: skip
_BY_ROW = ("none", "causal", "window and shared heads")
_SUITED = {
    "vmap": _BY_ROW, "vjp": (*_BY_ROW, "lengths", "packed"),
    "same tensor": ("none", "causal", "lengths", "packed", _SLOPES_AND_BIAS),
    "q is k": ("none", "causal", "lengths", "packed", _SLOPES_AND_BIAS),
}  # fmt: skip
CONTEXTS = Interactions(
    "sigmoid_attention",
    name="contexts",
    factors=(
        Factor(
            "context",
            ("another call", "inference", "autocast", "checkpoint", "backward twice", "two calls", "vmap", "thread",
             "same tensor", "q is k", "k is v", "nothing asked", "reentrant checkpoint", "backward()", "vjp", "other sizes"),
        ),
        Factor("options", ("none", "causal", "window and shared heads", "lengths", "packed", _SLOPES_AND_BIAS)),
        Factor("batch", (1, 2)),
        Factor("length", (5, 33, 66)),
        Factor("layout", ("contiguous", "transposed", "broadcast")),
        Factor("gradient layout", ("contiguous", "expanded", "turned")),
        Factor("asked", ("output", "all")),
    ),
    constraints=(
        Constraint(("options", "batch"), lambda options, batch: options != "packed" or batch == 1, "packed is one row"),
        Constraint(("layout", "batch"), lambda layout, batch: layout != "broadcast" or batch > 1, "rows to share"),
        Constraint(
            ("context", "asked"),
            lambda context, asked: asked == _ASKED.get(context, asked),
            "what the context is about",
        ),
        Constraint(
            ("context", "options"),
            lambda context, options: options in _SUITED.get(context, (options,)),
            "no options that have a row for each batch row, that no gradient is asked for, or key heads of their own",
        ),
        Constraint(
            ("asked", "gradient layout"), lambda asked, layout: asked == "all" or layout == "contiguous", "none is handed over"
        ),
        Constraint(("asked", "options"), lambda asked, options: asked == "all" or options != _SLOPES_AND_BIAS, "asked"),
    ),
)  # fmt: skip

_THREE_FACTORS = (
    Factor("rows", ("none", "lengths", "packed")),
    Factor("window", ("none", "left", "both", "half blocks")),
    Factor("causal", ("no", "yes")),
    Factor("keys", ("as many", "more", "fewer")),
    Factor("heads", ("2/2", "3/1", "10/2")),
    Factor("batch", (1, 2)),
    Factor("length", (1, 17, 65)),
    Factor("bias", ("-2", "4", "-2, asked")),
    Factor("asked", ("output", "all")),
    Factor("head dims", ("16/16", "40/40", "16/32", "64/64")),
    Factor("layout", ("contiguous", "transposed", "padded")),
)
THREES = Interactions(
    "sigmoid_attention",
    name="threes",
    factors=(*_THREE_FACTORS, _DTYPE),
    together=(tuple(factor.name for factor in _THREE_FACTORS),),
    constraints=(
        _PACKED_ROW,
        _PACKED_LENGTH,
        _ALIGNED,
        Constraint(("window", "keys"), lambda window, keys: window == "none" or keys == "as many", "READINGS has the others"),
        *_SEVERAL_QUERIES,
        *_LENGTHS_OPEN,
        _OPTION_ASKED,
    ),
)
"""Every three values of the smallest factors, under ``--thorough`` alone."""

INTERACTIONS = (DEFINITION, OPTIONS, MEMORY, READINGS, CONTEXTS, THREES)


def rows(part: Interactions) -> tuple[Combination, ...]:
    """The combinations of an array, with all gradients asked for wherever that loses no pair.

    Every two values of other factors then meet where all gradients are checked, but for few; and each value still meets each
    way to ask for less.
    """
    kept = list(combinations(part))
    counts = Counter(pair for each in kept for pair in each.pairs)
    # First those that alone hold the most pairs.
    order = sorted(range(len(kept)), key=lambda number: -sum(counts[pair] == 1 for pair in kept[number].pairs))
    for number in order:
        each, asking = kept[number], _asking_all(kept[number])
        lost = each.pairs - asking.pairs
        if lost and _is_possible(part, asking) and all(counts[pair] > 1 for pair in lost):
            counts.subtract(lost)
            kept[number] = asking
    return tuple(kept)


def _asking_all(row: Combination) -> Combination:
    labels = tuple((name, "all" if name == "asked" else label) for name, label in row.labels)
    return Combination(labels, {**row.values, "asked": dict(labels)["asked"]})


def _is_possible(part: Interactions, row: Combination) -> bool:
    return all(constraint.holds(*(row[name] for name in constraint.names)) for constraint in part.constraints)


def definition_cases() -> tuple[AttentionCase, ...]:
    """Of what the paper defines."""
    return tuple(_numbered(_definition_case(each), number) for number, each in enumerate(rows(DEFINITION)))


def option_cases() -> tuple[AttentionCase, ...]:
    """Of options together, then of how the arguments of a call lie in memory; then of any three of the smallest factors."""
    both = (*rows(OPTIONS), *rows(MEMORY))
    threes = (_option_case(each) | {"thorough": True, "quick": False} for each in combinations(THREES))
    return (
        *(_numbered(_option_case(each), number) for number, each in enumerate(both)),
        *(_numbered(each, number) for number, each in enumerate(threes)),
    )


def reading_cases() -> tuple[AttentionCase, ...]:
    """Of options together with what the paper leaves open."""
    return tuple(_numbered(_option_case(each), number) for number, each in enumerate(rows(READINGS)))


def context_cases() -> tuple[AttentionCase, ...]:
    """Of where a call stands. Autocast computes in bfloat16. Compiling takes long, and stands beside the array."""
    compiled: dict[str, Any] = {
        "dtypes": ("float32",), "context": "compiled", "backward": True, "interpreted": "thorough", "nq": 17, "nk": 17,
        "bias": -1.0,
    }  # fmt: skip
    return (
        *(_numbered(_context_case(each), number) for number, each in enumerate(combinations(CONTEXTS))),
        AttentionCase(id="compiled-causal", causal=True, **compiled),
        AttentionCase(id="compiled-window-shared-heads", window=(4, 1), kv_heads=1, **compiled),
    )


def _numbered(case: dict[str, Any], number: int) -> AttentionCase:
    """Every eighth is quick. Each runs in one dtype, which take turns where none is given."""
    dtype = ("float32", "bfloat16", "float32", "float16")[number % 4]
    interpreted = "thorough" if _is_slow(**{"heads": 2, **case}) else "always"
    return AttentionCase(**{"quick": number % 8 == 0, "dtypes": (dtype,), "interpreted": interpreted, **case})


def _dtypes(dtype: str) -> tuple[str, ...]:
    """Where it is float32 in float64 as well, which many do not take."""
    return ("float32", "float64") if dtype == "float32" else (dtype,)


def _lengths(length: int, keys: str) -> dict[str, int]:
    if keys == "queries beyond 1024":
        return {"nq": 1100, "nk": length}
    counts = {"as many": length, "more": length + 37, "fewer": max(1, length // 2), "beyond 1024": 1100}
    return {"nq": length, "nk": counts[keys]}


def _dims(dims: str) -> dict[str, int]:
    d, dv = dims.split("/")
    return {"d": int(d), "dv": int(dv)}


def _definition_case(row: Combination) -> dict[str, Any]:
    lengths = _lengths(row["length"], row["keys"])
    bias = log_length_bias(lengths["nk"]) if row["bias"] == "-log n" else float(row["bias"])
    return {
        "id": row.id, "combination": row, "batch": row["batch"], "heads": row["heads"], "kv_heads": row["heads"],
        "causal": row["causal"] == "yes", "bias": bias,
        "backward": row["asked"] == "all", "data": row["data"], "dtypes": _dtypes(row["dtype"]),
        **lengths, **_dims(row["head dims"]),
    }  # fmt: skip


def _option_case(row: Combination) -> dict[str, Any]:
    heads, kv_heads = (int(count) for count in row["heads"].split("/"))
    lengths = _lengths(row["length"], row["keys"])
    bias, _, bias_asked = row["bias"].partition(", ")
    asked, alibi = row["asked"], row.values.get("alibi", "none")
    return {
        "id": row.id, "combination": row, "batch": row["batch"], "heads": heads, "kv_heads": kv_heads,
        "causal": row["causal"] == "yes", "bias": float(bias),
        "scale": None if row.values.get("scale", "default") == "default" else float(row["scale"]),
        "window": {"none": None, "left": (5, -1), "right": (-1, 5), "both": (7, 2), "block": (64, 0),
                   "half blocks": (32, 16), "itself": (0, 0)}[row["window"]],
        "alibi": alibi != "none", "slope": -0.05 if alibi == "negative" else 0.2, "slopes_by_row": "row" in alibi,
        "layout": row.values.get("layout", "contiguous"), "grad_layout": row.values.get("gradient layout", "contiguous"),
        "backward": asked != "output",
        "frozen": () if asked in ("output", "all") else tuple(name for name in "qkv" if name not in asked.split()),
        "wanted": ("bias",) * bool(bias_asked) + ("alibi_slopes",) * ("asked" in alibi),
        "data": "positive" if bias_asked or "asked" in alibi else "normal",  # a sum over everything in which nothing cancels
        "dtypes": (row["dtype"],) if "without" in row.values else _dtypes(row["dtype"]),
        **lengths, **_dims(row["head dims"]), **_rows(row["rows"], row["batch"], **lengths),
    }  # fmt: skip


def _rows(kind: str, batch: int, nq: int, nk: int) -> dict[str, Any]:
    """Key lengths or packed sequences of a call with so many queries and keys."""
    if "lengths" in kind:
        whole = {
            "lengths": (nk // 2 + 1, nk, nk // 3),
            "full lengths": (nk,) * 3,
            "block lengths": (min(64, nk), nk // 2, nk),
            "half block lengths": (nk // 32 * 32, nk // 16 * 16, nk // 48 * 48),
        }
        return {"key_lengths": whole[kind][:batch]}
    if kind == "none":
        return {}
    cuts = {
        "one packed": (), "packed": (0.5, 0.7), "packed with empty": (0.0, 0.4, 0.4), "packed, last empty": (0.6, 1.0),
        "many packed": tuple(place / 21 for place in range(1, 21)), "no queries last": (0.6, 1.0),
    }[kind]  # fmt: skip
    of_keys = (0.3, 0.6) if kind == "no queries last" else cuts

    def parts(total: int, cuts: tuple[float, ...]) -> list[int]:
        edges = [0, *(int(cut * total) for cut in cuts), total]
        return [stop - start for start, stop in itertools.pairwise(edges)]

    return {"sequences": tuple(zip(parts(nq, cuts), parts(nk, of_keys), strict=True))}


def _context_case(row: Combination) -> dict[str, Any]:
    n, batch, options, context = row["length"], row["batch"], row["options"], row["context"]
    given: dict[str, dict[str, Any]] = {
        "none": {},
        "causal": {"causal": True, "bias": -1.5},
        "window and shared heads": {"window": (4, 1), "kv_heads": 1, "bias": -1.0},
        "lengths": {"key_lengths": (n - 2, n)[:batch], "bias": -1.0},
        "packed": {"sequences": ((n - 3, n - 3), (3, 3)), "causal": True},
        _SLOPES_AND_BIAS: {"alibi": True, "slope": 0.1, "bias": -1.0, "wanted": ("bias", "alibi_slopes"), "data": "positive"},
    }
    return {
        "id": row.id, "combination": row, "context": context, "batch": batch, "nq": n, "nk": n, "layout": row["layout"],
        "grad_layout": row["gradient layout"], "backward": row["asked"] == "all", **given[options],
        **({"dtypes": ("bfloat16",)} if context == "autocast" else {}),
        **({"dtypes": ("float32",), "data": "same" if context == "same tensor" else context} if context in ONE_TENSOR else {}),
    }  # fmt: skip
