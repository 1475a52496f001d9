"""The Triton kernel: the arithmetic of csrc/ademamix_step.h, chunk by chunk of a list of tensors.

float32, the common case, calls no function of its own on the way: the interpreter takes a millisecond for each call.
"""

# mypy: disable-error-code=no-redef
# Constants of the compiler are declared in each branch of a choice that it makes itself.

from __future__ import annotations

from typing import Any

from impls._triton import load_triton

triton: Any = load_triton()
tl: Any = triton.language

_MIXED_1 = tl.constexpr(0x85EBCA6B)
_MIXED_2 = tl.constexpr(0xC2B2AE35)
_GOLDEN = tl.constexpr(0x9E3779B9)


@triton.jit
def _mixed(x):  # type: ignore[no-untyped-def]
    x = x ^ (x >> 16)
    x = x * tl.full([], _MIXED_1, tl.uint32)
    x = x ^ (x >> 13)
    x = x * tl.full([], _MIXED_2, tl.uint32)
    return x ^ (x >> 16)


@triton.jit
def _widened(x, FORMAT: tl.constexpr):  # type: ignore[no-untyped-def]
    if FORMAT == "bfloat16":
        return (x.to(tl.uint16, bitcast=True).to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    elif FORMAT == "float16":
        return x.to(tl.float16, bitcast=True).to(tl.float32)
    else:
        return x


@triton.jit
def _narrowed(x, random, FORMAT: tl.constexpr, STOCHASTIC: tl.constexpr):  # type: ignore[no-untyped-def]
    """The bits of x in its format, rounded once."""
    if FORMAT == "float32":
        return x
    elif FORMAT == "bfloat16":
        bits = x.to(tl.uint32, bitcast=True)
        if STOCHASTIC:
            rounding = random & 0xFFFF
        else:
            rounding = ((bits >> 16) & 1) + 0x7FFF
        finite = (bits + rounding) >> 16
        special = (bits >> 16) | tl.where((bits & 0x7FFFFF) != 0, 0x40, 0).to(tl.uint32)
        word = tl.where((bits & 0x7F800000) == 0x7F800000, special, finite)
        return word.to(tl.uint16).to(tl.int16, bitcast=True)
    else:
        if STOCHASTIC:
            bits = x.to(tl.uint32, bitcast=True)
            magnitude = bits & 0x7FFFFFFF
            size = magnitude.to(tl.float32, bitcast=True)
            dice = (random >> 8).to(tl.int32).to(tl.float32) * 5.9604644775390625e-08
            shifted = tl.minimum(size, 1.0) * 16777216.0 + dice
            below = shifted.to(tl.int32).to(tl.uint32)
            normal = (magnitude + (random & 0x1FFF) - 0x38000000) >> 13
            finite = tl.where(magnitude < 0x38800000, below, normal)
            finite = tl.where(finite > 0x7C00, 0x7C00, finite)
            special = tl.where(magnitude > 0x7F800000, 0x7E00, 0x7C00).to(tl.uint32)
            word = tl.where(magnitude >= 0x7F800000, special, finite) | ((bits >> 16) & 0x8000)
            return word.to(tl.uint16).to(tl.int16, bitcast=True)
        else:
            return x.to(tl.float16).to(tl.int16, bitcast=True)


@triton.jit
def _power_of_ten(decade):  # type: ignore[no-untyped-def]
    p = tl.where(decade >= 1, 1e-5, 1e-6)
    p = tl.where(decade >= 2, 1e-4, p)
    p = tl.where(decade >= 3, 1e-3, p)
    p = tl.where(decade >= 4, 1e-2, p)
    p = tl.where(decade >= 5, 1e-1, p)
    return tl.where(decade >= 6, 1.0, p).to(tl.float32)


@triton.jit
def _decoded(code, SIGNED: tl.constexpr):  # type: ignore[no-untyped-def]
    if SIGNED:
        index = code.to(tl.int32) - 127
        size = tl.abs(index)
        ordinal = size
        last: tl.constexpr = 128
        bias: tl.constexpr = 127
    else:
        index = code.to(tl.int32)
        size = index
        ordinal = size + 1
        last: tl.constexpr = 255
        bias: tl.constexpr = 128
    bits = ordinal.to(tl.float32).to(tl.uint32, bitcast=True)
    fraction = ((bits & 0x7FFFFF) | 0x3F800000).to(tl.float32, bitcast=True) - 1.0
    half_cell = (0x7E800000 - (bits & 0x7F800000)).to(tl.uint32).to(tl.float32, bitcast=True)
    decade = (bits >> 23).to(tl.int32) - bias
    value = _power_of_ten(decade) * (0.1 + 0.9 * (fraction + half_cell))
    value = tl.where(size == 0, 0.0, value)
    value = tl.where(size == last, 1.0, value)
    return tl.where(index < 0, -value, value)


@triton.jit
def _encoded(x, SIGNED: tl.constexpr):  # type: ignore[no-untyped-def]
    a = tl.abs(x)
    first: tl.constexpr = 1.0 if SIGNED else 2.0
    cells = tl.where(a >= 1e-6 * (1.0 + 1.8 / (2.0 * first)), 2.0 * first, first)
    per_unit = tl.where(a >= 1e-6 * (1.0 + 1.8 / (2.0 * first)), 2.0 * first / 0.9 * 1e5, first / 0.9 * 1e6)
    cells = tl.where(a >= 1e-5 * (1.0 + 1.8 / (4.0 * first)), 4.0 * first, cells)
    per_unit = tl.where(a >= 1e-5 * (1.0 + 1.8 / (4.0 * first)), 4.0 * first / 0.9 * 1e4, per_unit)
    cells = tl.where(a >= 1e-4 * (1.0 + 1.8 / (8.0 * first)), 8.0 * first, cells)
    per_unit = tl.where(a >= 1e-4 * (1.0 + 1.8 / (8.0 * first)), 8.0 * first / 0.9 * 1e3, per_unit)
    cells = tl.where(a >= 1e-3 * (1.0 + 1.8 / (16.0 * first)), 16.0 * first, cells)
    per_unit = tl.where(a >= 1e-3 * (1.0 + 1.8 / (16.0 * first)), 16.0 * first / 0.9 * 1e2, per_unit)
    cells = tl.where(a >= 1e-2 * (1.0 + 1.8 / (32.0 * first)), 32.0 * first, cells)
    per_unit = tl.where(a >= 1e-2 * (1.0 + 1.8 / (32.0 * first)), 32.0 * first / 0.9 * 1e1, per_unit)
    cells = tl.where(a >= 1e-1 * (1.0 + 1.8 / (64.0 * first)), 64.0 * first, cells).to(tl.float32)
    per_unit = tl.where(a >= 1e-1 * (1.0 + 1.8 / (64.0 * first)), 64.0 * first / 0.9, per_unit).to(tl.float32)
    place = tl.minimum(a * per_unit + cells * (8.0 / 9.0), 2.0 * cells - 1.0)
    if SIGNED:
        size = place.to(tl.int32)
        size = tl.where(a < 2.75e-7, 0, size)
        size = tl.where(a >= 1.0 - 0.225 / 64.0, tl.where(x < 0, 127, 128), size)
        return tl.where(x < 0, 127 - size, 127 + size).to(tl.uint8)
    else:
        size = place.to(tl.int32) - 1
        size = tl.where(a < 1.625e-7, 0, size)
        return tl.where(a >= 1.0 - 0.225 / 128.0, 255, size).to(tl.uint8)


@triton.jit
def _load_moment(moments, scales, at, block, inside, block_inside, STATE: tl.constexpr, SIGNED: tl.constexpr):  # type: ignore[no-untyped-def]
    if STATE == "8bit":
        scale = tl.load(scales + block, mask=block_inside, other=0.0)
        zero: tl.constexpr = 127 if SIGNED else 0
        return _decoded(tl.load(moments + at, mask=inside, other=zero), SIGNED) * scale[:, None]
    elif STATE == "bfloat16":
        return _widened(tl.load(moments + at, mask=inside, other=0), "bfloat16")
    else:
        return tl.load(moments + at, mask=inside, other=0.0)


@triton.jit
def _store_moment(  # type: ignore[no-untyped-def]
    moments,
    scales,
    at,
    block,
    inside,
    block_inside,
    value,
    random,
    STATE: tl.constexpr,
    STOCHASTIC: tl.constexpr,
    SIGNED: tl.constexpr,
):
    if STATE == "8bit":
        largest = tl.max(tl.where(inside, tl.abs(value), 0.0), axis=1)
        usable = largest >= 1.1754943508222875e-38
        inverse = tl.where(usable, 1.0 / tl.where(usable, largest, 1.0), 0.0)
        tl.store(moments + at, _encoded(value * inverse[:, None], SIGNED), mask=inside)
        tl.store(scales + block, tl.where(usable, largest, 0.0), mask=block_inside)
    else:
        tl.store(moments + at, _narrowed(value, random, STATE, STOCHASTIC), mask=inside)


@triton.jit
def _step_chunk(  # type: ignore[no-untyped-def]
    addresses,
    row,
    key,
    first,
    count,
    PARAMETER: tl.constexpr,
    STATE: tl.constexpr,
    HAS_FAST: tl.constexpr,
    STOCHASTIC: tl.constexpr,
    ALIGNED: tl.constexpr,
    WHOLE: tl.constexpr,
    CHUNK: tl.constexpr,
):
    if PARAMETER == "float32":
        element: tl.constexpr = tl.float32
    else:
        element: tl.constexpr = tl.int16
    if STATE == "float32":
        moment: tl.constexpr = tl.float32
    elif STATE == "bfloat16":
        moment: tl.constexpr = tl.int16
    else:
        moment: tl.constexpr = tl.uint8
    theta_at = tl.load(addresses).to(tl.pointer_type(element)) + first
    g_at = tl.load(addresses + 1).to(tl.pointer_type(element)) + first
    m1_at = tl.load(addresses + 2).to(tl.pointer_type(moment)) + first
    m2_at = tl.load(addresses + 3).to(tl.pointer_type(moment)) + first
    nu_at = tl.load(addresses + 4).to(tl.pointer_type(moment)) + first
    m1_scale = tl.load(addresses + 5).to(tl.pointer_type(tl.float32)) + first // 256
    m2_scale = tl.load(addresses + 6).to(tl.pointer_type(tl.float32)) + first // 256
    nu_scale = tl.load(addresses + 7).to(tl.pointer_type(tl.float32)) + first // 256
    if ALIGNED:
        theta_at = tl.multiple_of(theta_at, 16)
        g_at = tl.multiple_of(g_at, 16)
        m1_at = tl.multiple_of(m1_at, 16)
        m2_at = tl.multiple_of(m2_at, 16)
        nu_at = tl.multiple_of(nu_at, 16)
    if STATE == "8bit":
        block = tl.arange(0, CHUNK // 256)
        at = block[:, None] * 256 + tl.arange(0, 256)[None, :]
        block_inside = tl.full([CHUNK // 256], True, tl.int1)
        inside = tl.full([CHUNK // 256, 256], True, tl.int1)
        if not WHOLE:
            block_inside = first + block * 256 < count
    else:
        block = 0
        at = tl.arange(0, CHUNK)
        block_inside = True
        inside = tl.full([CHUNK], True, tl.int1)
    if not WHOLE:
        inside = first + at < count
    factor = tl.load(row)
    lr = tl.load(row + 1)
    weight_decay = tl.load(row + 2)
    eps = tl.load(row + 3)
    alpha = tl.load(row + 4)
    stored = tl.load(theta_at + at, mask=inside, other=0)
    theta = stored
    g = tl.load(g_at + at, mask=inside, other=0)
    if PARAMETER != "float32":
        theta = _widened(theta, PARAMETER)
        g = _widened(g, PARAMETER)
    g = g * factor
    if STATE == "float32":
        m2_old = tl.load(m2_at + at, mask=inside, other=0.0)
        nu_old = tl.load(nu_at + at, mask=inside, other=0.0)
    else:
        m2_old = _load_moment(m2_at, m2_scale, at, block, inside, block_inside, STATE, True)
        nu_old = _load_moment(nu_at, nu_scale, at, block, inside, block_inside, STATE, False)
    if STOCHASTIC:
        low = tl.load(key).to(tl.uint32, bitcast=True)
        high = tl.load(key + 1).to(tl.uint32, bitcast=True)
        index = first + at
        high = high + (first >> 32).to(tl.uint32) * tl.full([], _GOLDEN, tl.uint32)
        random = _mixed(_mixed(index.to(tl.uint32) ^ low) + high)
        more = _mixed(random + tl.full([], _GOLDEN, tl.uint32))
    else:
        random = tl.full([], 0, tl.uint32)
        more = random
    m2 = tl.load(row + 7) * m2_old + tl.load(row + 10) * g
    nu = tl.load(row + 6) * nu_old + tl.load(row + 9) * g * g
    fast = g
    if STATE == "8bit":
        left = tl.abs(g * g) == float("inf")  # no scale could hold such an element beside its neighbours
        left = left | (g != g)
    if HAS_FAST:
        if STATE == "float32":
            m1_old = tl.load(m1_at + at, mask=inside, other=0.0)
        else:
            m1_old = _load_moment(m1_at, m1_scale, at, block, inside, block_inside, STATE, True)
        m1 = tl.load(row + 5) * m1_old + tl.load(row + 8) * g
        fast = m1 * tl.load(row + 11)
        if STATE == "8bit":
            m1 = tl.where(left, m1_old, m1)
        if STATE == "float32":
            tl.store(m1_at + at, m1, mask=inside)
        else:
            _store_moment(m1_at, m1_scale, at, block, inside, block_inside, m1, more, STATE, STOCHASTIC, True)
    direction = (fast + alpha * m2) / (tl.sqrt(nu * tl.load(row + 12)) + eps)
    theta = theta - lr * (direction + weight_decay * theta)
    if STATE == "8bit":
        m2 = tl.where(left, m2_old, m2)
        nu = tl.where(left, nu_old, nu)
    narrow = theta
    if PARAMETER != "float32":
        narrow = _narrowed(theta, random, PARAMETER, STOCHASTIC)
    if STATE == "8bit":
        narrow = tl.where(left, stored, narrow)
    tl.store(theta_at + at, narrow, mask=inside)
    if STATE == "float32":
        tl.store(m2_at + at, m2, mask=inside)
        tl.store(nu_at + at, nu, mask=inside)
    else:
        _store_moment(m2_at, m2_scale, at, block, inside, block_inside, m2, more >> 16, STATE, STOCHASTIC, True)
        _store_moment(nu_at, nu_scale, at, block, inside, block_inside, nu, random >> 16, STATE, STOCHASTIC, False)


@triton.jit
def step_kernel(  # type: ignore[no-untyped-def]
    addresses,
    scalars,
    keys,
    chunks,
    PARAMETER: tl.constexpr,
    STATE: tl.constexpr,
    HAS_FAST: tl.constexpr,
    STOCHASTIC: tl.constexpr,
    CAPTURABLE: tl.constexpr,
    ALIGNED: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """One chunk of one tensor: ``chunks`` says which. Only a tensor's last needs a mask, which would split every access."""
    program = tl.program_id(0).to(tl.int64)
    tensor = tl.load(chunks + 2 * program).to(tl.int64)
    first = tl.load(chunks + 2 * program + 1).to(tl.int64) * CHUNK
    row = scalars + tensor * 16
    key = keys + tensor * 2
    if CAPTURABLE:  # noqa: SIM102
        if tl.load(row + 13) != 0:  # an infinity was found in some gradient: the step is not made
            return
    addresses += tensor * 9
    count = tl.load(addresses + 8)
    if first + CHUNK <= count:
        _step_chunk(addresses, row, key, first, count, PARAMETER, STATE, HAS_FAST, STOCHASTIC, ALIGNED, True, CHUNK)
    else:
        _step_chunk(addresses, row, key, first, count, PARAMETER, STATE, HAS_FAST, STOCHASTIC, ALIGNED, False, CHUNK)
