"""The Triton kernel: the arithmetic of csrc/ademamix_step.h, chunk by chunk of a list of tensors.

float32, the common case, calls no function of its own on the way: the interpreter takes a millisecond for each call.
"""

# mypy: disable-error-code="no-redef, no-untyped-def, untyped-decorator"
# Constants of the compiler are declared in each branch of a choice that it makes itself; Triton's functions have no types.

from __future__ import annotations

from typing import Any

from impls.triton_support import load_triton

triton: Any = load_triton()
tl: Any = triton.language

_MIXED_1 = tl.constexpr(0x85EBCA6B)
_MIXED_2 = tl.constexpr(0xC2B2AE35)
_GOLDEN = tl.constexpr(0x9E3779B9)


@triton.jit
def _mixed(x):
    x = x ^ (x >> 16)
    x = x * tl.full([], _MIXED_1, tl.uint32)
    x = x ^ (x >> 13)
    x = x * tl.full([], _MIXED_2, tl.uint32)
    return x ^ (x >> 16)


@triton.jit
def _widened(x, FORMAT: tl.constexpr):
    if FORMAT == "bfloat16":
        return (x.to(tl.uint16, bitcast=True).to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    elif FORMAT == "float16":
        return x.to(tl.float16, bitcast=True).to(tl.float32)
    else:
        return x


@triton.jit
def _narrowed(x, random, FORMAT: tl.constexpr, STOCHASTIC: tl.constexpr):
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
def _cube(c):
    return c * c * c


@triton.jit
def _root_code(y, threshold):
    third = y * 0.3333333432674408
    inverse = (0x54A21D2A - y.to(tl.uint32, bitcast=True) // 3).to(tl.float32, bitcast=True)
    inverse = inverse * (1.3333333730697632 - third * _cube(inverse))
    inverse = inverse * (1.3333333730697632 - third * _cube(inverse))
    c = (y * inverse * inverse).to(tl.int32).to(tl.float32)
    c = tl.where(_cube(c) > y, c - 1.0, c)
    c = tl.where(_cube(c + 1.0) <= y, c + 1.0, c)
    c = tl.where(y - _cube(c) > threshold * (3.0 * c * (c + 1.0) + 1.0), c + 1.0, c)
    c = tl.minimum(c, 255.0)
    return tl.where((y > 0) & (c < 1.0), 1.0, c).to(tl.int32).to(tl.uint8)


@triton.jit
def _ratio_code(x, threshold):
    y = tl.abs(x)
    k = tl.sqrt(y).to(tl.int32).to(tl.float32)
    k = tl.where(k * k > y, k - 1.0, k)
    k = tl.where(y - k * k > threshold * (k + k + 1.0), k + 1.0, k)
    size = tl.minimum(k, 127.0).to(tl.int32)
    return tl.where(x < 0, 127 - size, 127 + size).to(tl.uint8)


@triton.jit
def _scale_of(values, inside, STEPS: tl.constexpr):
    """A block's scale by its largest magnitude, 0 where it would be flushed to zero, and its inverse."""
    scale = tl.max(tl.where(inside, tl.abs(values), 0.0), axis=1) * (1.0 / STEPS)
    usable = scale >= 1.1754943508222875e-38
    return tl.where(usable, scale, 0.0), tl.where(usable, 1.0 / tl.where(usable, scale, 1.0), 0.0)


@triton.jit
def _load_root(codes, scales, at, block, inside, block_inside):
    code = tl.load(codes + at, mask=inside, other=0).to(tl.int32).to(tl.float32)
    return _cube(code) * tl.load(scales + block, mask=block_inside, other=0.0)[:, None]


@triton.jit
def _load_ratio(codes, scales, at, block, inside, block_inside, divisor):
    k = (tl.load(codes + at, mask=inside, other=127).to(tl.int32) - 127).to(tl.float32)
    return k * tl.abs(k) * tl.load(scales + block, mask=block_inside, other=0.0)[:, None] * divisor


@triton.jit
def _store_root(codes, scales, at, block, inside, block_inside, nu, threshold):
    """Returns what turns moments into ratios from now on."""
    root = tl.sqrt(nu)
    scale, inverse = _scale_of(root, inside, 16581375.0)
    code = _root_code(root * inverse[:, None], threshold)
    tl.store(codes + at, code, mask=inside)
    tl.store(scales + block, scale, mask=block_inside)
    return 1.0 / tl.maximum(_cube(code.to(tl.int32).to(tl.float32)) * scale[:, None], 1.0842021724855044e-19)


@triton.jit
def _store_ratio(codes, scales, at, block, inside, block_inside, m, inverse_divisor, threshold):
    ratio = m * inverse_divisor
    scale, inverse = _scale_of(ratio, inside, 16129.0)
    tl.store(codes + at, _ratio_code(ratio * inverse[:, None], threshold), mask=inside)
    tl.store(scales + block, scale, mask=block_inside)


@triton.jit
def _step_chunk(  # noqa: C901 - a kernel: the compiler keeps one branch for each format, and a call would cost the interpreter
    addresses, row, key, first, count, PARAMETER: tl.constexpr, STATE: tl.constexpr, HAS_FAST: tl.constexpr,
    STOCHASTIC: tl.constexpr, ALIGNED: tl.constexpr, WHOLE: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
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
    if STOCHASTIC or STATE == "8bit":
        low = tl.load(key).to(tl.uint32, bitcast=True)
        high = tl.load(key + 1).to(tl.uint32, bitcast=True)
        index = first + at
        high = high + (first >> 32).to(tl.uint32) * tl.full([], _GOLDEN, tl.uint32)
        random = _mixed(_mixed(index.to(tl.uint32) ^ low) + high)
        more = _mixed(random + tl.full([], _GOLDEN, tl.uint32))
    else:
        random = tl.full([], 0, tl.uint32)
        more = random
    m1_old = g
    if STATE == "float32":
        m2_old = tl.load(m2_at + at, mask=inside, other=0.0)
        nu_old = tl.load(nu_at + at, mask=inside, other=0.0)
        if HAS_FAST:
            m1_old = tl.load(m1_at + at, mask=inside, other=0.0)
    elif STATE == "bfloat16":
        m2_old = _widened(tl.load(m2_at + at, mask=inside, other=0), "bfloat16")
        nu_old = _widened(tl.load(nu_at + at, mask=inside, other=0), "bfloat16")
        if HAS_FAST:
            m1_old = _widened(tl.load(m1_at + at, mask=inside, other=0), "bfloat16")
    else:
        root = _load_root(nu_at, nu_scale, at, block, inside, block_inside)
        nu_old = root * root
        divisor = tl.maximum(root, 1.0842021724855044e-19)
        m2_old = _load_ratio(m2_at, m2_scale, at, block, inside, block_inside, divisor)
        if HAS_FAST:
            m1_old = _load_ratio(m1_at, m1_scale, at, block, inside, block_inside, divisor)
    m2 = tl.load(row + 7) * m2_old + tl.load(row + 10) * g
    nu = tl.load(row + 6) * nu_old + tl.load(row + 9) * g * g
    m1 = g
    fast = g
    if HAS_FAST:
        m1 = tl.load(row + 5) * m1_old + tl.load(row + 8) * g
        fast = m1 * tl.load(row + 11)
    direction = (fast + alpha * m2) / (tl.sqrt(nu * tl.load(row + 12)) + eps)
    theta = theta - lr * (direction + weight_decay * theta)
    narrow = theta
    if PARAMETER != "float32":
        narrow = _narrowed(theta, random, PARAMETER, STOCHASTIC)
    if STATE == "8bit":
        # No scale could hold such an element beside its neighbours: it keeps what it had.
        left = (tl.abs(g * g) == float("inf")) | (g != g)
        m1 = tl.where(left, m1_old, m1)
        m2 = tl.where(left, m2_old, m2)
        nu = tl.where(left, nu_old, nu)
        narrow = tl.where(left, stored, narrow)
    tl.store(theta_at + at, narrow, mask=inside)
    if STATE == "float32":
        if HAS_FAST:
            tl.store(m1_at + at, m1, mask=inside)
        tl.store(m2_at + at, m2, mask=inside)
        tl.store(nu_at + at, nu, mask=inside)
    elif STATE == "bfloat16":
        if HAS_FAST:
            tl.store(m1_at + at, _narrowed(m1, more, "bfloat16", STOCHASTIC), mask=inside)
        tl.store(m2_at + at, _narrowed(m2, more >> 16, "bfloat16", STOCHASTIC), mask=inside)
        tl.store(nu_at + at, _narrowed(nu, random >> 16, "bfloat16", STOCHASTIC), mask=inside)
    else:
        dice = ((random >> 16).to(tl.int32).to(tl.float32) + 0.5) * 1.52587890625e-05
        inverse_divisor = _store_root(nu_at, nu_scale, at, block, inside, block_inside, nu, dice)
        if HAS_FAST:
            _store_ratio(m1_at, m1_scale, at, block, inside, block_inside, m1, inverse_divisor, 0.5)
        dice = ((more >> 9).to(tl.int32).to(tl.float32) + 0.5) * 1.1920928955078125e-07
        _store_ratio(m2_at, m2_scale, at, block, inside, block_inside, m2, inverse_divisor, dice)


@triton.jit
def step_kernel(
    addresses, scalars, keys, chunks, PARAMETER: tl.constexpr, STATE: tl.constexpr, HAS_FAST: tl.constexpr,
    STOCHASTIC: tl.constexpr, CAPTURABLE: tl.constexpr, ALIGNED: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
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
