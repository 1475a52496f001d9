"""What implementations of sigmoid attention branch on, combined so that every two values meet in some case.

Four arrays. `DEFINITION` combines what the paper itself defines: sizes, bias, causal masks, gradients. `INTERACTIONS`
combines options; its factor ``without`` leaves some out, so that an implementation that lacks them is ruled out of some rows
only. `READINGS` adds what the paper leaves open, ALiBi and masks of unequal lengths. `CONTEXTS` combines where the function is
called with the options of the call. Sizes lie on both sides of usual blocks, and are small enough for Triton's interpreter.

After a change write the kept combinations anew: ``python -m conformance.sigmoid_attention.interactions``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations, write
from conformance.sigmoid_attention.cases import AttentionCase
from reference.sigmoid_attention import log_length_bias


@dataclass(frozen=True)
class Part(Interactions):
    """One of the further arrays of the system, kept in a file of its own."""

    name: str = ""

    @property
    def file(self) -> Path:
        """Beside the main array's."""
        return Path(__file__).with_name(f"interactions-{self.name}.tsv")


_KEYS = Factor("keys", ("as many", "more", "fewer"))
_DIMS = Factor("head dims", ("16/16", "64/64", "40/40", "16/32", "32/16"))
_ALIGNED = Constraint(
    ("causal", "keys"), lambda causal, keys: causal == "no" or keys == "as many", "the paper has no mask for other lengths"
)


def _is_small(batch: int, heads: Any, length: int) -> bool:
    """Few blocks of 64 queries and 64 keys."""
    return batch * int(str(heads).partition("/")[0]) * (1 + (length - 1) // 64) ** 2 <= 16


_SMALL = Constraint(("batch", "heads", "length"), _is_small, "small cases")

DEFINITION = Part(
    "sigmoid_attention",
    name="definition",
    factors=(
        Factor("batch", (1, 2, 3)),
        Factor("heads", (1, 2, 5, 33)),
        Factor("length", (1, 15, 33, 64, 65, 130)),
        _KEYS,
        _DIMS,
        Factor("causal", ("no", "yes")),
        Factor("bias", ("0", "-log n", "1.5", "-13", "13")),
    ),
    constraints=(
        _ALIGNED,
        Constraint(
            ("batch", "heads", "length"),
            lambda *sizes: _is_small(*sizes) if sizes[1] < 33 else sizes[0] == 1 and sizes[2] < 33,
            "small cases",
        ),
    ),
)

_LACKED = {"window": "window", "rows": "rows", "shared heads": "heads"}
_USUAL = ("none", "1/1", "2/2")


_PACKED_ROW = Constraint(("rows", "batch"), lambda rows, batch: "packed" not in rows or batch == 1, "packed is one row")
_PACKED_LENGTH = Constraint(("rows", "length"), lambda rows, length: "packed" not in rows or length > 1, "something to pack")
_LENGTHS_OPEN = Constraint(
    ("rows", "causal", "window"),
    lambda rows, causal, window: rows not in ("lengths", "block lengths") or (causal, window) == ("no", "none"),
    "whether key lengths move positions is open",
)

INTERACTIONS = Interactions(
    "sigmoid_attention",
    factors=(
        Factor("batch", (1, 2, 3)),
        Factor("heads", ("1/1", "2/2", "3/1", "10/2", "8/1", "16/1")),
        Factor("length", (1, 17, 33, 64, 65, 130)),
        _KEYS,
        _DIMS,
        Factor("causal", ("no", "yes")),
        Factor("window", ("none", "left", "right", "both", "block")),
        Factor("rows", ("none", "lengths", "full lengths", "block lengths", "one packed", "packed", "packed with empty")),
        Factor("bias", ("0", "-2", "-13", "13", "-2, asked")),
        Factor("scale", ("default", "0.3", "-0.5", "0")),
        Factor("layout", ("contiguous", "transposed", "padded", "mixed", "unaligned", "broadcast")),
        Factor("gradient layout", ("contiguous", "transposed", "padded", "expanded", "turned")),
        Factor("asked", ("output", "all", "k and v", "q and v", "q and k")),
        Factor("without", (*_LACKED, "all of them")),
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
        _SMALL,
        _PACKED_ROW,
        _PACKED_LENGTH,
        _ALIGNED,
        Constraint(("window", "keys"), lambda window, keys: window == "none" or keys == "as many", "READINGS has the others"),
        _LENGTHS_OPEN,
        Constraint(("layout", "batch"), lambda layout, batch: layout != "broadcast" or batch > 1, "rows to share"),
        Constraint(
            ("asked", "gradient layout"),
            lambda asked, layout: asked != "output" or layout == "contiguous",
            "no gradient is handed over",
        ),
        Constraint(("asked", "bias"), lambda asked, bias: asked == "all" or "asked" not in bias, "asked with all others"),
        Constraint(("asked", "bias"), lambda asked, bias: bias != "13" or asked == "output", "its gradients are too small"),
    ),
)

READINGS = Part(
    "sigmoid_attention",
    name="readings",
    factors=(
        Factor("batch", (1, 2, 3)),
        Factor("heads", ("1/1", "3/1", "10/2")),
        Factor("length", (1, 17, 65)),
        _KEYS,
        Factor("head dims", ("16/16", "40/40", "16/32")),
        Factor("causal", ("no", "yes")),
        Factor("window", ("none", "left", "both")),
        Factor("rows", ("none", "full lengths", "packed", "packed with empty")),
        Factor("alibi", ("none", "by head", "negative", "by row", "by head, asked", "by row, asked")),
        Factor("bias", ("-2", "-2, asked")),
        Factor("scale", ("default", "-0.5")),
        Factor("asked", ("output", "all", "q and k")),
    ),
    constraints=(
        _SMALL,
        _PACKED_ROW,
        _PACKED_LENGTH,
        Constraint(("asked", "alibi"), lambda asked, alibi: asked == "all" or "asked" not in alibi, "asked with all others"),
        Constraint(("asked", "bias"), lambda asked, bias: asked == "all" or "asked" not in bias, "asked with all others"),
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
_ASKED = {"inference": "output", "backward twice": "all", "two calls": "all"}
CONTEXTS = Part(
    "sigmoid_attention",
    name="contexts",
    factors=(
        Factor(
            "context",
            ("another call", "inference", "autocast", "checkpoint", "backward twice", "two calls", "vmap", "thread",
             "same tensor"),
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
            lambda context, options: {"vmap": options in ("none", "causal", "window and shared heads"),
                                      "same tensor": options != "window and shared heads"}.get(context, True),
            "options that have a row for each batch row, and key heads of their own",
        ),
        Constraint(
            ("asked", "gradient layout"), lambda asked, layout: asked == "all" or layout == "contiguous", "none is handed over"
        ),
        Constraint(("asked", "options"), lambda asked, options: asked == "all" or options != _SLOPES_AND_BIAS, "asked"),
    ),
)  # fmt: skip


PARTS = (DEFINITION, INTERACTIONS, READINGS, CONTEXTS)


def definition_cases() -> tuple[AttentionCase, ...]:
    """Of what the paper defines."""
    return tuple(_numbered(_definition_case(each), number) for number, each in enumerate(combinations(DEFINITION)))


def option_cases() -> tuple[AttentionCase, ...]:
    """Of options together."""
    return tuple(_numbered(_option_case(each), number) for number, each in enumerate(combinations(INTERACTIONS)))


def reading_cases() -> tuple[AttentionCase, ...]:
    """Of options together with what the paper leaves open."""
    return tuple(_numbered(_option_case(each), number) for number, each in enumerate(combinations(READINGS)))


def context_cases() -> tuple[AttentionCase, ...]:
    """Of where a call stands. Autocast computes in bfloat16."""
    return tuple(_numbered(_context_case(each), number) for number, each in enumerate(combinations(CONTEXTS)))


def _numbered(case: dict[str, Any], number: int) -> AttentionCase:
    """Every eighth is quick. Each runs in one dtype, which take turns."""
    dtype = ("float32", "bfloat16", "float32", "float16")[number % 4]
    return AttentionCase(**{"quick": number % 8 == 0, "dtypes": (dtype,), **case})


def _lengths(length: int, keys: str) -> dict[str, int]:
    return {"nq": length, "nk": {"as many": length, "more": length + 37, "fewer": max(1, length // 2)}[keys]}


def _dims(dims: str) -> dict[str, int]:
    d, dv = dims.split("/")
    return {"d": int(d), "dv": int(dv)}


def _definition_case(row: Combination) -> dict[str, Any]:
    lengths = _lengths(row["length"], row["keys"])
    bias = log_length_bias(lengths["nk"]) if row["bias"] == "-log n" else float(row["bias"])
    return {
        "id": row.id, "combination": row, "batch": row["batch"], "heads": row["heads"], "kv_heads": row["heads"],
        "causal": row["causal"] == "yes", "bias": bias,
        "backward": row["bias"] != "13",  # its gradients are too small to see
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
        "scale": None if row["scale"] == "default" else float(row["scale"]),
        "window": {"none": None, "left": (5, -1), "right": (-1, 5), "both": (7, 2), "block": (64, 0)}[row["window"]],
        "alibi": alibi != "none", "slope": -0.05 if alibi == "negative" else 0.2, "slopes_by_row": "row" in alibi,
        "layout": row.values.get("layout", "contiguous"), "grad_layout": row.values.get("gradient layout", "contiguous"),
        "backward": asked != "output",
        "frozen": tuple(name for name in "qkv" if name not in asked) if " and " in asked else (),
        "wanted": ("bias",) * bool(bias_asked) + ("alibi_slopes",) * ("asked" in alibi),
        "data": "positive" if bias_asked or "asked" in alibi else "normal",  # a sum over everything in which nothing cancels
        **lengths, **_dims(row["head dims"]), **_rows(row["rows"], row["batch"], **lengths),
    }  # fmt: skip


def _rows(kind: str, batch: int, nq: int, nk: int) -> dict[str, Any]:
    """Key lengths or packed sequences of a call with so many queries and keys."""
    if "lengths" in kind:
        whole = {"lengths": (nk // 2 + 1, nk, nk // 3), "full lengths": (nk,) * 3, "block lengths": (min(64, nk), nk // 2, nk)}
        return {"key_lengths": whole[kind][:batch]}
    if kind == "none":
        return {}
    cuts = {"one packed": (), "packed": (0.5, 0.7), "packed with empty": (0.0, 0.4, 0.4)}[kind]

    def parts(total: int) -> list[int]:
        edges = [0, *(int(cut * total) for cut in cuts), total]
        return [stop - start for start, stop in itertools.pairwise(edges)]

    return {"sequences": tuple(zip(parts(nq), parts(nk), strict=True))}


def _context_case(row: Combination) -> dict[str, Any]:
    n, batch, options, context = row["length"], row["batch"], row["options"], row["context"]
    given: dict[str, dict[str, Any]] = {
        "none": {},
        "causal": {"causal": True, "bias": -1.5},
        "window and shared heads": {"window": (4, 1), "kv_heads": 1, "bias": -1.0},
        "lengths": {"key_lengths": (n - 2, n)[:batch], "bias": -1.0},
        "packed": {"sequences": ((n - 3, n - 3), (3, 3)), "causal": True},
        _SLOPES_AND_BIAS: {"alibi": True, "slope": 0.1, "bias": -1.0, "wanted": ("bias", "alibi_slopes")},
    }
    return {
        "id": row.id, "combination": row, "context": context, "batch": batch, "nq": n, "nk": n, "layout": row["layout"],
        "grad_layout": row["gradient layout"], "backward": row["asked"] == "all", **given[options],
        **({"dtypes": ("bfloat16",)} if context == "autocast" else {}),
        **({"dtypes": ("float32",), "data": "same"} if context == "same tensor" else {}),
    }  # fmt: skip


if __name__ == "__main__":
    for part in PARTS:
        print(write(part))
