"""Make functions of sigmoid attention that are right, and put together by chance: `made` gives another one for every seed.

What varies: formulas, the order of sums and how work is divided, within what the declared numerical class allows; how
gradients are made; names, layout and results of the call; what it offers, and what it refuses.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHOICES: dict[str, tuple[str, ...]] = {
    "class": ("", "", "", "", "fused-tanh", "prescaled", "materialised"),
    "precision": ("float32", "float32", "float64"),
    "layout": ("BHND", "BHND", "BNHD"),
    "result": ("tensor", "tensor", "tuple", "list"),
    "inputs": ("q k v", "query key value", "queries keys values"),
    "scale": ("scale", "scale", "softmax_scale", "sm_scale", "absent"),
    "bias": ("bias", "bias", "bias", "logit_bias", "sigmoid_bias", "absent"),
    "causal": ("causal", "causal", "is_causal", "is_causal", "always", "absent"),
    "window": ("window", "window_size", "window_size", "absent"),
    "key_lengths": ("key_lengths", "seqlens_k", "seq_lens_k", "absent"),
    "alibi_slopes": ("alibi_slopes", "alibi_slopes", "absent"),
    "cu_seqlens_q": ("cu_seqlens_q", "cu_seqlens_q", "absent"),
    "packed": ("one by one", "masked"),
    "further": ("nothing", "nothing", "**kwargs that are refused", "a flag"),
    "object": ("function", "function", "instance", "module", "partial"),
    "activation": ("sigmoid", "exp", "expit", "branches", "complement"),
    "product": ("matmul", "einsum", "bmm", "halves", "columns"),
    "pieces": ("whole", "queries", "keys", "keys backward", "keys in any order", "both", "head by head"),
    "bias is": ("added", "a column"),
    "scale is in": ("the scores", "q", "k", "both"),
    "mask": ("before", "after", "multiplied"),
    "backward": ("autograd", "autograd", "written", "written"),
    "weights": ("kept", "stored"),
    "shared heads": ("repeated", "repeated", "expanded", "indexed", "indexed", "refused"),
    "refuses": (*["nothing"] * 8, "other lengths", "other value dims", "odd head dims", "strides", "all"),
}  # fmt: skip
"""What varies; a value that stands there twice is taken twice as often."""

_BLOCK = 48
_NONE = {"scale": None, "bias": 0.0, "causal": False}
_ARGUMENTS = ("scale", "bias", "causal", "window", "key_lengths", "alibi_slopes", "cu_seqlens_q")
_MADE: dict[int, tuple[Any, dict[str, str]]] = {}


def made(seed: int) -> tuple[Any, dict[str, str]]:
    """The function of that seed, and the choices that it was made by."""
    if seed not in _MADE:
        rng = random.Random(seed)
        choices = {name: rng.choice(values) for name, values in CHOICES.items()}
        _MADE[seed] = _called(HonestAttention(choices)), choices
    return _MADE[seed]


def __getattr__(name: str) -> Any:
    """``honest12`` is the function of seed 12, so that it can be plugged in by name."""
    if name.startswith("honest") and name.removeprefix("honest").isdigit():
        return made(int(name.removeprefix("honest")))[0]
    raise AttributeError(name)


def _called(attention: HonestAttention) -> Any:
    """The plug: with the signature, and of the kind, that the choices ask for."""
    choices = attention.choices
    inputs = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in choices["inputs"].split()]
    keywords = [
        inspect.Parameter(attention.name_of(option), inspect.Parameter.KEYWORD_ONLY, default=_NONE.get(option))
        for option in (*_ARGUMENTS, "cu_seqlens_k")
        if attention.name_of(option) not in ("absent", "always")
    ]
    if choices["further"] == "a flag":
        keywords.append(inspect.Parameter("deterministic", inspect.Parameter.KEYWORD_ONLY, default=False))
    rest = [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)] if "kwargs" in choices["further"] else []
    signature = inspect.Signature([*inputs, *keywords, *rest])

    def function(*tensors: Tensor, **given: Any) -> Any:
        return attention.answer(signature.bind(*tensors, **given).arguments)

    function.__signature__ = signature  # type: ignore[attr-defined]
    kinds: dict[str, Any] = {
        "function": lambda: function,
        "instance": lambda: _Instance(function, signature),
        "module": lambda: _module(function, signature),
        "partial": lambda: functools.partial(function),
    }
    plug = kinds[choices["object"]]()
    if choices["class"]:
        plug.gaugeblock = {"numerical_class": choices["class"]}
    return plug


class _Instance:
    def __init__(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        self._function, self.__signature__ = function, signature

    def __call__(self, *tensors: Tensor, **given: Any) -> Any:
        return self._function(*tensors, **given)


def _module(function: Callable[..., Any], signature: inspect.Signature) -> torch.nn.Module:
    def forward(self: torch.nn.Module, *tensors: Tensor, **given: Any) -> Any:
        return function(*tensors, **given)

    own = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    first = [parameter.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for parameter in signature.parameters.values()]
    own[0] = own[0].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kept = [each.replace(kind=old.kind) for each, old in zip(first, signature.parameters.values(), strict=True)]
    forward.__signature__ = inspect.Signature([*own, *kept])  # type: ignore[attr-defined]
    module: torch.nn.Module = type("HonestModule", (torch.nn.Module,), {"forward": forward})()
    return module


class _Mask(NamedTuple):
    """What hides keys, and where: what is not asked for is None."""

    causal: bool
    window: tuple[int, int] | None
    lengths: Tensor | None
    edges_q: Tensor | None
    """Where packed sequences begin, if they are masked and not computed one by one."""
    edges_k: Tensor | None


class HonestAttention:
    """Sigmoid attention by its choices."""

    def __init__(self, choices: dict[str, str]) -> None:
        self.choices = choices
        strict = choices["class"] in ("", "fused-tanh")
        # Sums of parts, and other formulas, would be stored in 16 bits where all is: the class does not say so.
        self.pieces = choices["pieces"] if choices["class"] != "materialised" else "whole"
        self.activation = {"fused-tanh": "tanh", "materialised": "sigmoid"}.get(choices["class"], choices["activation"])
        self.product_by = choices["product"] if choices["class"] != "materialised" else "matmul"
        self.written = choices["backward"] == "written" and strict
        if self.activation == "exp" and not self.written:
            self.activation = "sigmoid"  # its derivative by autograd is 0 times infinity where a score is far below 0
        self.bias_column = choices["bias is"] == "a column" and choices["class"] != "materialised"
        self.scaled = choices["scale is in"] if choices["class"] != "materialised" else "the scores"

    def name_of(self, option: str) -> str:
        """What it calls an option; ``absent`` where it has none."""
        return "cu_seqlens_k" if option == "cu_seqlens_k" and self.choices["cu_seqlens_q"] != "absent" else self.choices.get(
            option, "absent"
        )  # fmt: skip

    def answer(self, given: dict[str, Any]) -> Any:
        """What the function returns."""
        if given.get("kwargs"):
            raise TypeError(f"found {', '.join(given['kwargs'])}, which it does not know")
        q, k, v = (given[name] for name in self.choices["inputs"].split())
        options = {option: given.get(self.name_of(option), _NONE.get(option)) for option in (*_ARGUMENTS, "cu_seqlens_k")}
        options["causal"] = options["causal"] or self.choices["causal"] == "always"
        if self.choices["layout"] == "BNHD":
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        self._refuse(q, k, v, options)
        out = self._of_sequences(q, k, v, options) if options["cu_seqlens_q"] is not None else self._attend(q, k, v, options)
        out = out.transpose(1, 2) if self.choices["layout"] == "BNHD" else out
        return {"tensor": out, "tuple": (out, None), "list": [out, 0.0]}[self.choices["result"]]

    def _refuse(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> None:
        wrong = {
            "other lengths": q.shape[2] != k.shape[2],
            "other value dims": q.shape[3] != v.shape[3],
            "odd head dims": bool(q.shape[3] & (q.shape[3] - 1)) or q.shape[3] < 16,
            "strides": any(x.stride(-1) != 1 for x in (q, k, v)),
        }
        what = self.choices["refuses"]
        if wrong.get(what) or (what == "all" and any(wrong.values())):
            raise NotImplementedError(f"does not take {what}")
        if self.choices["shared heads"] == "refused" and q.shape[1] != k.shape[1]:
            raise NotImplementedError("as many heads of queries as of keys, please")

    # --- Packed sequences ---------------------------------------------------------------------------------------------------

    def _of_sequences(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        edges_q = options["cu_seqlens_q"]
        edges_k = edges_q if options["cu_seqlens_k"] is None else options["cu_seqlens_k"]
        if self.choices["packed"] == "masked" and options["alibi_slopes"] is None:
            return self._attend(q, k, v, {**options, "cu_seqlens_q": edges_q, "cu_seqlens_k": edges_k})
        parts = []
        pairs = zip(itertools.pairwise(edges_q.tolist()), itertools.pairwise(edges_k.tolist()), strict=True)
        for row, (one, other) in enumerate(pairs):
            mine, theirs = slice(*one), slice(*other)
            slopes = options["alibi_slopes"]
            slopes = slopes[row : row + 1] if slopes is not None and slopes.ndim == 2 else slopes
            each = {**options, "cu_seqlens_q": None, "cu_seqlens_k": None, "alibi_slopes": slopes}
            parts.append(self._attend(q[:, :, mine], k[:, :, theirs], v[:, :, theirs], each))
        return torch.cat(parts, dim=2)

    # --- One call -----------------------------------------------------------------------------------------------------------

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        dtype, scale = q.dtype, q.shape[-1] ** -0.5 if options["scale"] is None else options["scale"]
        wide = self._wide(dtype)
        mask = _Mask(*(options[name] for name in ("causal", "window", "key_lengths", "cu_seqlens_q", "cu_seqlens_k")))
        bias = options["bias"]
        bias = bias.to(wide) if torch.is_tensor(bias) else torch.tensor(bias, dtype=wide, device=q.device)
        slopes = options["alibi_slopes"]
        slopes = slopes.to(wide) if slopes is not None else None
        if self.choices["class"] == "prescaled":
            q, k = self._prescaled(q, k, scale)
            scale = 1.0
        k, v = (self._shared(x, q.shape[1]) for x in (k, v))
        q, k, v = (x.to(wide) for x in (q, k, v))
        if self.written:
            out: Tensor = _Written.apply(self, dtype, scale, mask, q, k, v, bias, slopes)  # type: ignore[no-untyped-call]
        else:
            out = self._forward(q, k, v, bias, slopes, scale, mask, dtype)
        return out.to(dtype)

    def _wide(self, dtype: torch.dtype) -> torch.dtype:
        if self.choices["class"] == "materialised":
            return dtype
        least = torch.float64 if self.choices["precision"] == "float64" else torch.float32
        return torch.promote_types(dtype, least)

    def _prescaled(self, q: Tensor, k: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        root = abs(scale) ** 0.5
        if self.scaled in ("both", "the scores"):
            return q * root, k * (root if scale >= 0 else -root)
        return (q * scale, k) if self.scaled == "q" else (q, k * scale)

    def _shared(self, x: Tensor, heads: int) -> Tensor:
        """Key heads for every query head."""
        group = heads // x.shape[1]
        if group == 1:
            return x
        how = self.choices["shared heads"]
        if how == "expanded":
            return x.unsqueeze(2).expand(-1, -1, group, -1, -1).flatten(1, 2)
        if how == "indexed":
            return x[:, torch.arange(heads, device=x.device) // group]
        return x.repeat_interleave(group, dim=1)

    def pieces_of(self, nq: int, nk: int) -> Iterator[tuple[slice, slice]]:
        """Rows and columns that are computed together. Those of the same rows follow each other."""
        rows = [slice(i, min(i + _BLOCK, nq)) for i in range(0, nq, _BLOCK)] or [slice(0, 0)]
        columns = [slice(j, min(j + _BLOCK, nk)) for j in range(0, nk, _BLOCK)] or [slice(0, 0)]
        if self.pieces == "keys backward":
            columns.reverse()
        if self.pieces == "keys in any order":
            random.Random(nk).shuffle(columns)
        rows = rows if self.pieces in ("queries", "both") else [slice(0, nq)]
        columns = columns if "keys" in self.pieces or self.pieces == "both" else [slice(0, nk)]
        yield from itertools.product(rows, columns)

    def _forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, slopes: Tensor | None, scale: float, mask: _Mask,
                 dtype: torch.dtype) -> Tensor:  # fmt: skip
        if self.pieces == "head by head" and q.shape[1] > 1:
            of = [slopes[..., h : h + 1] if slopes is not None else None for h in range(q.shape[1])]
            one = (slice(h, h + 1) for h in range(q.shape[1]))
            return torch.cat(
                [self._forward(q[:, h], k[:, h], v[:, h], bias, of[h.start], scale, mask, dtype) for h in one], dim=1
            )
        sums: dict[int, Tensor] = {}
        for rows, columns in self.pieces_of(q.shape[2], k.shape[2]):
            p = self.weights(q, k, bias, slopes, scale, mask, rows, columns)
            if self.choices["weights"] == "stored":
                p = p + (p.to(dtype).to(p.dtype) - p).detach()
            part = self.product(p, v[:, :, columns])
            sums[rows.start] = sums[rows.start] + part if rows.start in sums else part
        return torch.cat(list(sums.values()), dim=2)

    def weights(self, q: Tensor, k: Tensor, bias: Tensor, slopes: Tensor | None, scale: float, mask: _Mask, rows: slice,
                columns: slice) -> Tensor:  # fmt: skip
        """Of some queries to some keys."""
        x, y = q[:, :, rows], k[:, :, columns]
        root = abs(scale) ** 0.5
        if self.scaled == "q":
            x = x * scale
        elif self.scaled == "k":
            y = y * scale
        elif self.scaled == "both":
            x, y = x * root, y * (root if scale >= 0 else -root)
        if self.bias_column and self.scaled != "the scores":
            x = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
            y = torch.cat([y, bias.reshape(()).to(y.dtype).expand_as(y[..., :1])], dim=-1)
            scores = self.product(x, y.transpose(-1, -2))
        else:
            scores = self.product(x, y.transpose(-1, -2))
            scores = (scores * scale if self.scaled == "the scores" else scores) + bias.reshape(())
        if slopes is not None:
            scores = scores - slopes[..., None, None] * self.offset(q, k, rows, columns).abs()
        hidden = self.hidden(q, k, mask, rows, columns)
        if self.choices["mask"] == "before":
            return self.activate(scores.masked_fill(hidden, -torch.inf))
        p = self.activate(scores)
        return p.masked_fill(hidden, 0) if self.choices["mask"] == "after" else p * ~hidden

    def offset(self, q: Tensor, k: Tensor, rows: slice, columns: slice) -> Tensor:
        """Key position less query position."""
        queries, keys = (torch.arange(part.start, part.stop, device=q.device) for part in (rows, columns))
        return keys - queries[:, None] - (k.shape[2] - q.shape[2])

    def hidden(self, q: Tensor, k: Tensor, mask: _Mask, rows: slice, columns: slice) -> Tensor:
        """True where a key is masked; its shape broadcasts over batch and heads."""
        queries, keys = (torch.arange(part.start, part.stop, device=q.device) for part in (rows, columns))
        offset = self.offset(q, k, rows, columns)
        hidden = torch.zeros_like(offset, dtype=torch.bool)
        if mask.edges_q is not None and mask.edges_k is not None:
            edges_q, edges_k = mask.edges_q.long(), mask.edges_k.long()
            # Of several that begin at one place the last holds it: those before it are empty.
            mine, theirs = (torch.searchsorted(e, at, right=True) - 1 for e, at in ((edges_q, queries), (edges_k, keys)))
            hidden = mine[:, None] != theirs
            offset = (keys - edges_k[theirs.clamp(max=len(edges_k) - 2) + 1]) - (
                queries - edges_q[mine.clamp(max=len(edges_q) - 2) + 1]
            )[:, None]
        left, right = mask.window or (-1, -1)
        hidden = hidden | (offset > 0) if mask.causal else hidden
        hidden = hidden | (offset < -left) if left >= 0 else hidden
        hidden = hidden | (offset > right) if right >= 0 else hidden
        if mask.lengths is not None:
            return hidden | (keys >= mask.lengths[:, None, None, None])
        return hidden

    def activate(self, x: Tensor) -> Tensor:
        """The sigmoid, by one of its formulas."""
        formulas: dict[str, Any] = {
            "sigmoid": torch.sigmoid,
            "tanh": lambda x: 0.5 * (1 + torch.tanh(x / 2)),
            "exp": lambda x: 1 / (1 + torch.exp(-x)),
            "expit": torch.special.expit,
            "branches": _branches,
            "complement": lambda x: torch.where(x > 0, 1 - torch.sigmoid(-x), torch.sigmoid(x)),
        }
        activated: Tensor = formulas[self.activation](x)
        return activated

    def product(self, x: Tensor, y: Tensor) -> Tensor:
        """``x @ y``, its sums in some order."""
        if self.product_by == "einsum":
            return torch.einsum("bhij,bhjk->bhik", x, y)
        if self.product_by == "bmm":
            return torch.bmm(x.flatten(0, 1), y.flatten(0, 1)).view(*x.shape[:3], y.shape[3])
        if self.product_by == "halves" and x.shape[3] > 1:
            middle = x.shape[3] // 2
            return x[..., :middle] @ y[:, :, :middle] + x[..., middle:] @ y[:, :, middle:]
        if self.product_by == "columns" and 0 < x.shape[3] <= 16:
            return functools.reduce(torch.add, (x[..., i : i + 1] * y[:, :, i : i + 1] for i in range(x.shape[3])))
        return x @ y


def _branches(x: Tensor) -> Tensor:
    """Each side by the exponential that cannot overflow; the other side's argument is made harmless for its gradient."""
    positive = x >= 0
    small = torch.exp(torch.where(positive, -x, x))
    return torch.where(positive, 1 / (1 + small), small / (1 + small))


class _Written(torch.autograd.Function):
    """The same with a backward pass by hand: by recomputation, in the same pieces."""

    @staticmethod
    def forward(ctx: Any, attention: HonestAttention, dtype: torch.dtype, scale: float, mask: _Mask, q: Tensor, k: Tensor,
                v: Tensor, bias: Tensor, slopes: Tensor | None) -> Tensor:  # fmt: skip
        ctx.save_for_backward(q, k, v, bias, slopes)
        ctx.given = attention, dtype, scale, mask
        return attention._forward(q, k, v, bias, slopes, scale, mask, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        (q, k, v, bias, slopes), (attention, dtype, scale, mask) = ctx.saved_tensors, ctx.given
        dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
        dbias = torch.zeros_like(bias)
        dslopes = None if slopes is None else torch.zeros_like(slopes)
        for rows, columns in attention.pieces_of(q.shape[2], k.shape[2]):
            p = attention.weights(q, k, bias, slopes, scale, mask, rows, columns)
            g, x, y = grad[:, :, rows], q[:, :, rows], k[:, :, columns]
            stored = p.to(dtype).to(p.dtype) if attention.choices["weights"] == "stored" else p
            dv[:, :, columns] += attention.product(stored.mT, g)
            ds = attention.product(g, v[:, :, columns].mT) * (p * (1 - p))
            dq[:, :, rows] += attention.product(ds, y) * scale
            dk[:, :, columns] += attention.product(ds.mT, x) * scale
            dbias += ds.sum().reshape(bias.shape)
            if dslopes is not None:
                each = -(ds * attention.offset(q, k, rows, columns).abs()).sum((2, 3))
                dslopes += each if dslopes.ndim == 2 else each.sum(0)
        return None, None, None, None, dq, dk, dv, dbias, dslopes
