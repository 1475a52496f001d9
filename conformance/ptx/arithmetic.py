"""What the instructions compute that have registers alone: one table by opcode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ptx import numbers
from conformance.ptx.lanes import Compiler, Lanes, Run
from conformance.ptx.numbers import DTYPES, FLOATS, UNSIGNED, Array
from conformance.ptx.text import WIDTHS, PtxInstruction

Function = Callable[..., Array]


def _elementwise(c: Compiler, i: PtxInstruction, kinds: tuple[str, ...], result: str, function: Function) -> Run:
    readers = [c.read(operand, kind) for operand, kind in zip(i.operands[1:], kinds, strict=True)]
    put = c.write(i.operands[0], result)
    if len(readers) == 2:
        first, second = readers
        return lambda x: put(x, function(first(x), second(x)))
    return lambda x: put(x, function(*(read(x) for read in readers)))


# --- Floating point ----------------------------------------------------------------------------------------------------------


def _flushing(function: Function) -> Function:
    return lambda *given: numbers.flush(function(*(numbers.flush(a) for a in given)))


def _saturating(function: Function) -> Function:
    return lambda *given: np.nan_to_num(np.clip(function(*given), 0, 1), nan=0.0).astype(given[0].dtype)


def _keeping_nan(function: Function) -> Function:
    return lambda a, b: np.where(np.isnan(a) | np.isnan(b), np.float32(np.nan).astype(a.dtype), function(a, b))


def _exact(function: Callable[..., Any]) -> Function:
    """Of float64, rounded once to the operand's type."""
    return lambda *given: np.asarray(function(*(a.astype(np.float64) for a in given))).astype(given[0].dtype)


_FLOAT: dict[str, Function] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "abs": np.abs,
    "min": numbers.smallest, "max": numbers.largest, "sqrt": np.sqrt, "rcp": lambda a: a.dtype.type(1) / a,
    "copysign": lambda a, b: np.copysign(b, a),
}  # fmt: skip
_TRANSCENDENTAL: dict[str, Callable[..., Any]] = {
    "rcp": lambda a: 1 / a, "sqrt": np.sqrt, "rsqrt": lambda a: 1 / np.sqrt(a), "ex2": np.exp2, "div": np.divide,
    "tanh": np.tanh, "lg2": np.log2, "sin": np.sin, "cos": np.cos,
}  # fmt: skip


def _approximate(base: str) -> Function:
    function = _TRANSCENDENTAL[base]

    return lambda *given: numbers.approximated(base, function(*(a.astype(np.float64) for a in given)), given[-1])


def _float_function(c: Compiler, i: PtxInstruction) -> Function:
    base, kind = i.parts[0], i.parts[-1]
    if "approx" in i.parts or "full" in i.parts:
        function = _approximate(base)
    elif base in ("fma", "mad"):
        function = numbers.fma if kind == "f32" else _exact(lambda a, b, d: a * b + d)
    elif base in _FLOAT and not {"rz", "rm", "rp"} & set(i.parts):
        function = _FLOAT[base]
    else:
        raise c.unknown(i)
    if "NaN" in i.parts:
        function = _keeping_nan(function)
    if "ftz" in i.parts and kind == "f32":
        function = _flushing(function)
    if "sat" in i.parts:
        function = _saturating(function)
    return function


def _float(c: Compiler, i: PtxInstruction) -> Run:
    kind = i.parts[-1]
    return _elementwise(c, i, (kind,) * (len(i.operands) - 1), kind, _float_function(c, i))


def _bfloat16(c: Compiler, i: PtxInstruction) -> Run:
    """Of bfloat16: as float32, rounded to it."""
    single = replace(i, parts=(*i.parts[:-1], "f32"))
    function = _float_function(c, single)

    def compute(*words: Array) -> Array:
        return numbers.narrow_bfloat16(function(*(numbers.widen_bfloat16(w) for w in words)))

    return _elementwise(c, i, ("bf16",) * (len(i.operands) - 1), "bf16", compute)


def _pairs(c: Compiler, i: PtxInstruction) -> Run:
    """Of two halves of a word, each for itself."""
    half = i.parts[-1].removesuffix("x2")
    own = replace(i, parts=(*i.parts[:-1], "f32" if half == "bf16" else half))
    function = _float_function(c, own) if half in FLOATS else _integer_function(c, own)

    def on_half(words: list[Array]) -> Array:
        if half == "bf16":
            return numbers.narrow_bfloat16(function(*(numbers.widen_bfloat16(w) for w in words)))
        return np.asarray(function(*(w.view(DTYPES[half]) for w in words))).view(np.uint16)

    def compute(*words: Array) -> Array:
        low = on_half([(w & np.uint32(0xFFFF)).astype(np.uint16) for w in words])
        high = on_half([(w >> np.uint32(16)).astype(np.uint16) for w in words])
        return low.astype(np.uint32) | (high.astype(np.uint32) << np.uint32(16))

    return _elementwise(c, i, ("b32",) * (len(i.operands) - 1), "b32", compute)


# --- Integers ----------------------------------------------------------------------------------------------------------------


def _divided(a: Array, b: Array) -> Array:
    """Towards zero; by zero, all bits are one."""
    safe = np.where(b == 0, b.dtype.type(1), b)
    quotient = a // safe
    if a.dtype.kind == "i":
        quotient = quotient + ((a % safe != 0) & ((a < 0) != (safe < 0))).astype(a.dtype)
    return np.where(b == 0, ~a.dtype.type(0), quotient).astype(a.dtype)


def _bits(function: Callable[[int, int], int]) -> Function:
    """Of each number, one by one: for instructions that are rare."""

    def compute(a: Array) -> Array:
        width = 8 * a.dtype.itemsize
        values = np.asarray(a).astype(UNSIGNED[a.dtype.itemsize], copy=False)
        found = [function(int(v), width) for v in values.reshape(-1)]
        return np.array(found, dtype=object).astype(np.uint64).reshape(values.shape)

    return compute


_INTEGER: dict[str, Function] = {
    "add": np.add, "sub": np.subtract, "neg": np.negative, "abs": np.abs, "min": np.minimum, "max": np.maximum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert, "div": _divided,
    "rem": lambda a, b: a - _divided(a, b) * b,
}  # fmt: skip
_COUNTS: dict[str, Callable[[int, int], int]] = {
    "popc": lambda v, w: v.bit_count(),
    "clz": lambda v, w: w - v.bit_length(),
    "brev": lambda v, w: int(f"{v:0{w}b}"[::-1], 2),
}


def _integer_function(c: Compiler, i: PtxInstruction) -> Function:
    if i.parts[0] not in _INTEGER or {"cc", "sat"} & set(i.parts):
        raise c.unknown(i)
    function = _INTEGER[i.parts[0]]
    if "relu" in i.parts:
        return lambda *given: np.maximum(function(*given), 0)
    return function


def _integer(c: Compiler, i: PtxInstruction) -> Run:
    kind = i.parts[-1]
    return _elementwise(c, i, (kind,) * (len(i.operands) - 1), kind, _integer_function(c, i))


def _product(c: Compiler, i: PtxInstruction) -> Run:
    """mul and mad of integers: the lower half, the upper half, or all of the product."""
    kind, wide = i.parts[-1], "wide" in i.parts
    outcome = f"{kind[0]}{8 * WIDTHS[kind] * 2}" if wide else kind
    target = DTYPES[outcome]

    def compute(a: Array, b: Array, *added: Array) -> Array:
        if wide:
            product = a.astype(target) * b.astype(target)
        else:
            product = numbers.high_product(a, b) if "hi" in i.parts else a * b
        result: Array = product + added[0] if added else product
        return result

    return _elementwise(c, i, (kind, kind, outcome)[: len(i.operands) - 1], outcome, compute)


def _counted(c: Compiler, i: PtxInstruction) -> Run:
    kind = i.parts[-1]
    function = _bits(_COUNTS[i.parts[0]])
    result = kind if i.parts[0] == "brev" else "u32"
    return _elementwise(c, i, (kind,), result, lambda a: function(a).astype(DTYPES[result]))


def _shift(c: Compiler, i: PtxInstruction) -> Run:
    left, kind = i.parts[0] == "shl", i.parts[-1]
    return _elementwise(c, i, (kind, "u32"), kind, lambda a, n: numbers.shifted(a, n, left))


def _funnel(c: Compiler, i: PtxInstruction) -> Run:
    """Of two words shifted as one (shf)."""

    def compute(a: Array, b: Array, n: Array) -> Array:
        by = (np.minimum(n, 32) if "clamp" in i.parts else n & np.uint32(31)).astype(np.uint64)
        both = (b.astype(np.uint64) << np.uint64(32)) | a.astype(np.uint64)
        moved = (both << by) >> np.uint64(32) if "l" in i.parts else both >> by
        return moved.astype(np.uint32)

    return _elementwise(c, i, ("b32", "b32", "u32"), "b32", compute)


# --- Choosing, comparing, moving, converting ---------------------------------------------------------------------------------

_ORDERED: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip


def _compared(operator: str, kind: str) -> Function:
    own = _ORDERED.get(operator)
    if kind not in FLOATS:
        return own  # type: ignore[return-value]
    if operator in ("num", "nan"):
        return lambda a, b: (np.isnan(a) | np.isnan(b)) ^ (operator == "num")
    if own is not None:
        return lambda a, b: own(a, b) & ~(np.isnan(a) | np.isnan(b))
    plain = _ORDERED[operator[:-1]]
    return lambda a, b: plain(a, b) | np.isnan(a) | np.isnan(b)


_JOINED: dict[str, Callable[[Array, Array], Array]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _setp(c: Compiler, i: PtxInstruction) -> Run:
    kind, target = i.parts[-1], i.operands[0]
    compare = _compared(i.parts[1], kind)
    if kind == "bf16":
        plain, widen = _compared(i.parts[1], "f32"), numbers.widen_bfloat16
        compare = lambda a, b: plain(widen(a), widen(b))  # noqa: E731
    first, second = c.read(i.operands[1], kind), c.read(i.operands[2], kind)
    join = next((_JOINED[part] for part in i.parts if part in _JOINED), None)
    third = c.read(i.operands[3], "pred") if join is not None else None
    targets = target if isinstance(target, tuple) else (target,)
    puts = [c.write(name, "pred") for name in targets]

    def run(x: Lanes) -> None:
        found = compare(first(x), second(x))
        also = third(x) if third is not None else None
        for put, result in zip(puts, (found, ~np.asarray(found)), strict=False):
            put(x, result if join is None or also is None else join(result, also))

    return run


def _selp(c: Compiler, i: PtxInstruction) -> Run:
    kind = i.parts[-1]
    return _elementwise(c, i, (kind, kind, "pred"), kind, _chosen)


def _chosen(a: Array, b: Array, first: Array) -> Array:
    return np.asarray(np.where(first, a, b))


def _mov(c: Compiler, i: PtxInstruction) -> Run:
    kind, (target, source) = i.parts[-1], i.operands
    if isinstance(target, tuple):
        part = f"b{8 * WIDTHS[kind] // len(target)}"
        puts, read = [c.write(name, part) for name in target], c.read(source, kind)

        def unpack(x: Lanes) -> None:
            words = read(x)
            for number, put in enumerate(puts):
                put(x, (words >> words.dtype.type(8 * WIDTHS[part] * number)).astype(DTYPES[part]))

        return unpack
    if isinstance(source, tuple):
        part = f"b{8 * WIDTHS[kind] // len(source)}"
        readers, put = [c.read(name, part) for name in source], c.write(target, kind)
        whole = DTYPES[kind]

        def pack(x: Lanes) -> None:
            words = [read(x).astype(whole) << whole(8 * WIDTHS[part] * n) for n, read in enumerate(readers)]
            put(x, np.bitwise_or.reduce(np.broadcast_arrays(*words)))

        return pack
    return _elementwise(c, i, (kind,), kind, lambda a: a)


def _cvt(c: Compiler, i: PtxInstruction) -> Run:
    source, target = i.parts[-1], i.parts[-2]
    if target.endswith("x2"):
        return _packed(c, i, target.removesuffix("x2"))
    modes = {part for part in i.parts[1:-2] if part != "ftz"}
    if target in FLOATS and modes & {"rz", "rm", "rp"} and (source not in FLOATS or WIDTHS[source] > WIDTHS[target]):
        raise c.unknown(i)
    if target == "tf32":
        return _elementwise(c, i, ("b32",), "b32", lambda a: (a + np.uint32(0x1000)) & np.uint32(0xFFFFE000))
    return _elementwise(c, i, (source,), target, lambda a: _converted(a, source, target, modes, "ftz" in i.parts))


def _converted(a: Array, source: str, target: str, modes: set[str], ftz: bool) -> Array:
    rounding = next((mode for mode in ("rni", "rzi", "rmi", "rpi") if mode in modes), "")
    if source == "bf16":
        a = numbers.widen_bfloat16(a)
    if ftz and a.dtype == np.float32:
        a = numbers.flush(a)
    if target in FLOATS:
        if rounding:
            a = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[rounding](a)
        if "sat" in modes:
            a = np.nan_to_num(np.clip(a, 0, 1), nan=0.0)
        return numbers.narrow_bfloat16(a.astype(np.float32)) if target == "bf16" else a.astype(DTYPES[target])
    if source in FLOATS:
        return numbers.to_integer(a, target, rounding or "rzi")
    if "sat" in modes:
        limits = np.iinfo(DTYPES[target])
        a = np.clip(a, max(limits.min, np.iinfo(a.dtype).min), min(limits.max, np.iinfo(a.dtype).max))
    return a.astype(DTYPES[target])


def _packed(c: Compiler, i: PtxInstruction, half: str) -> Run:
    """Two float32 numbers rounded into the halves of a word; the first becomes the upper one."""
    if half not in ("f16", "bf16") or {"rz", "relu"} & set(i.parts):
        raise c.unknown(i)

    def narrow(a: Array) -> Array:
        return numbers.narrow_bfloat16(a) if half == "bf16" else np.asarray(a.astype(np.float16)).view(np.uint16)

    def compute(high: Array, low: Array) -> Array:
        found: Array = narrow(low).astype(np.uint32) | (narrow(high).astype(np.uint32) << np.uint32(16))
        return found

    return _elementwise(c, i, ("f32", "f32"), "b32", compute)


def _lop3(c: Compiler, i: PtxInstruction) -> Run:
    table = int(str(i.operands[4]), 0)
    own = replace(i, operands=i.operands[:4])
    return _elementwise(c, own, ("b32",) * 3, "b32", lambda a, b, d: numbers.logic(a, b, d, table))


def _by_type(c: Compiler, i: PtxInstruction) -> Run:
    """What integers and floating-point numbers share the name of."""
    kind = i.parts[-1]
    if kind.endswith("x2"):
        return _pairs(c, i)
    if kind == "bf16":
        return _bfloat16(c, i)
    if kind in FLOATS:
        return _float(c, i)
    if i.parts[0] in ("mul", "mad"):
        return _product(c, i)
    return _integer(c, i)


def _table(
    *names: str, compile_as: Callable[[Compiler, PtxInstruction], Run]
) -> dict[str, Callable[[Compiler, PtxInstruction], Run]]:
    return dict.fromkeys(names, compile_as)


def _of(*kinds: str, result: str, function: Function) -> Callable[[Compiler, PtxInstruction], Run]:
    """With types that the opcode's last part stands for where they are empty."""

    def compile_as(c: Compiler, i: PtxInstruction) -> Run:
        own = i.parts[-1]
        return _elementwise(c, i, tuple(kind or own for kind in kinds), result or own, function)

    return compile_as


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    **_table(
        "add", "sub", "mul", "mad", "fma", "div", "rem", "neg", "abs", "min", "max", "and", "or", "xor", "not", "sqrt", "rcp",
        "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", "copysign",
        compile_as=_by_type,
    ),
    **_table("popc", "clz", "brev", compile_as=_counted),
    **_table("shl", "shr", compile_as=_shift),
    "shf": _funnel,
    "setp": _setp,
    "selp": _selp,
    "mov": _mov,
    "cvt": _cvt,
    "lop3": _lop3,
    "prmt": _of("b32", "b32", "b32", result="b32", function=numbers.permuted),
    "bfe": _of("", "u32", "u32", result="", function=numbers.extracted),
    "bfi": _of("", "", "u32", "u32", result="", function=numbers.inserted),
    "cvta": _of("u64", result="u64", function=lambda a: a),
}  # fmt: skip
