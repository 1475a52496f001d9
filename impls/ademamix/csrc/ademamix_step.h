// The arithmetic of one AdEMAMix step, once: the same lines are compiled for the host and for CUDA devices.
//
// Nothing here knows of threads, tensors or launches. host.cpp and device.cu walk the memory and call in here. No headers are
// included, because the run-time compiler for devices has none.

#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define ADEMAMIX_INLINE __device__ __forceinline__
#else
#define ADEMAMIX_INLINE inline __attribute__((always_inline))
#endif

namespace ademamix {

typedef unsigned char byte;
typedef unsigned short half_word;
typedef unsigned int word;
typedef unsigned long long double_word;

constexpr int BLOCK = 256;  // elements that share one scale where moments are kept in 8 bits

// One tensor of a step. Pointers that a variant does not use are null. All memory is walked in order.
struct Tensor {
    void* theta;
    const void* g;
    void* m1;
    void* m2;
    void* nu;
    float* m1_scale;
    float* m2_scale;
    float* nu_scale;
    long long count;
};

constexpr int SCALARS = 16;  // length of a row of scalars; the last two are not used

// The scalars of one step, in the format of the operations. Each is computed in double and rounded once. `factor` is what the
// gradient is multiplied with first: -1 where a maximum is sought, the inverse of a loss scale where there is one. Where
// `skip` is not 0, the step must not be made.
template <typename W>
struct Scalars {
    W factor, lr, weight_decay, eps, alpha, beta1, beta2, beta3, gain1, gain2, gain3, inverse1, inverse2, skip;
};

template <typename W, typename V>
ADEMAMIX_INLINE Scalars<W> scalars_of(const V* row) {
    return {W(row[0]), W(row[1]), W(row[2]), W(row[3]), W(row[4]), W(row[5]), W(row[6]),
            W(row[7]), W(row[8]), W(row[9]), W(row[10]), W(row[11]), W(row[12]), W(row[13])};
}

// --- Bits ------------------------------------------------------------------------------------------------------------------

ADEMAMIX_INLINE word bits_of(float x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return __float_as_uint(x);
#else
    word bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
#endif
}

ADEMAMIX_INLINE float float_of(word bits) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return __uint_as_float(bits);
#else
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
#endif
}

ADEMAMIX_INLINE float magnitude(float x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return fabsf(x);
#else
    return __builtin_fabsf(x);
#endif
}

ADEMAMIX_INLINE float root(float x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return sqrtf(x);
#else
    return __builtin_sqrtf(x);
#endif
}

ADEMAMIX_INLINE double root(double x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return sqrt(x);
#else
    return __builtin_sqrt(x);
#endif
}

// Two rounds of multiply and shift: as good as needed to choose between two neighbours, and the same on every backend.
ADEMAMIX_INLINE word mixed(word x) {
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ (x >> 16);
}

struct Random {
    word low, high;
};

// `key`: two words of which at least one is another one for each tensor and step. `first`: an index whose upper 32 bits all
// indices drawn from the result share.
ADEMAMIX_INLINE Random random_from(const word* key, long long first) {
    return {key[0], key[1] + word((double_word)first >> 32) * 0x9e3779b9u};
}

ADEMAMIX_INLINE word draw(Random r, word index) { return mixed(mixed(index ^ r.low) + r.high); }

// --- Storage formats ---------------------------------------------------------------------------------------------------------
// `load` widens exactly. `store` rounds once, to nearest even, or where Stochastic to one of the two neighbours at random.

struct Float64 {
    typedef double Stored;
    typedef double Wide;
};
struct Float32 {
    typedef float Stored;
    typedef float Wide;
};
struct BFloat16 {
    typedef half_word Stored;
    typedef float Wide;
};
struct Float16 {
    typedef half_word Stored;
    typedef float Wide;
};
struct Block8 {
    typedef byte Stored;
    typedef float Wide;
};

template <typename Format>
struct Convert;

template <>
struct Convert<Float64> {
    ADEMAMIX_INLINE static double load(double x) { return x; }
    template <bool Stochastic>
    ADEMAMIX_INLINE static double store(double x, word) { return x; }
};

template <>
struct Convert<Float32> {
    ADEMAMIX_INLINE static float load(float x) { return x; }
    template <bool Stochastic>
    ADEMAMIX_INLINE static float store(float x, word) { return x; }
};

template <>
struct Convert<BFloat16> {
    ADEMAMIX_INLINE static float load(half_word x) { return float_of(word(x) << 16); }
    template <bool Stochastic>
    ADEMAMIX_INLINE static half_word store(float x, word random) {
        word bits = bits_of(x);
        word rounding = Stochastic ? (random & 0xffffu) : (0x7fffu + ((bits >> 16) & 1u));
        word finite = (bits + rounding) >> 16;
        return half_word(x != x ? (bits >> 16) | 0x40u : finite);  // rounding leaves infinity what it is
    }
};

template <>
struct Convert<Float16> {
    ADEMAMIX_INLINE static float load(half_word x) {
        word magnitude = word(x) & 0x7fffu;
        float finite = float_of(magnitude << 13) * 0x1p112f;  // exact, subnormal numbers included
        word special = (magnitude << 13) | 0x7f800000u;
        word bits = magnitude >= 0x7c00u ? special : bits_of(finite);
        return float_of(bits | ((word(x) & 0x8000u) << 16));
    }
    template <bool Stochastic>
    ADEMAMIX_INLINE static half_word store(float x, word random) {
        word bits = bits_of(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
        float size = float_of(magnitude);
        // Below the smallest normal number the grid is 2**-24: adding 1/2 leaves just its multiples in a float.
        float shifted = Stochastic ? size * 0x1p24f + float(random >> 8) * 0x1p-24f : 0.0f;
        word subnormal = Stochastic ? word(int(shifted)) : bits_of(size + 0.5f) - 0x3f000000u;
        word rounding = Stochastic ? (random & 0x1fffu) : (0xfffu + ((magnitude >> 13) & 1u));
        word normal = (magnitude + rounding - 0x38000000u) >> 13;
        word finite = magnitude < 0x38800000u ? subnormal : normal;
        finite = finite > 0x7c00u ? 0x7c00u : finite;  // beyond the largest: infinity
        word special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
        return half_word(sign | (magnitude >= 0x7f800000u ? special : finite));
    }
};

// --- Algorithm 1, lines 9 to 13 ----------------------------------------------------------------------------------------------

// With HasFast false (beta1 = 0) the fast EMA is the gradient itself, and m1 is neither read nor written.
template <typename W, bool HasFast>
ADEMAMIX_INLINE W step(const Scalars<W>& s, W theta, W g, W& m1, W& m2, W& nu) {
    W fast = g;
    if (HasFast) {
        m1 = s.beta1 * m1 + s.gain1 * g;
        fast = m1 * s.inverse1;
    }
    m2 = s.beta3 * m2 + s.gain3 * g;
    nu = s.beta2 * nu + s.gain2 * g * g;
    W direction = (fast + s.alpha * m2) / (root(nu * s.inverse2) + s.eps);
    return theta - s.lr * (direction + s.weight_decay * theta);
}

// One element in memory, read once and written once.
template <typename P, typename S, bool HasFast, bool Stochastic, typename W>
ADEMAMIX_INLINE void step_element(
    const Scalars<W>& s, typename P::Stored& theta, typename P::Stored g, typename S::Stored& m1, typename S::Stored& m2,
    typename S::Stored& nu, Random random, word index) {
    word bits = Stochastic ? draw(random, index) : 0u, more = Stochastic ? mixed(bits + 0x9e3779b9u) : 0u;
    W fast = HasFast ? Convert<S>::load(m1) : W(0), slow = Convert<S>::load(m2), square = Convert<S>::load(nu);
    W moved = step<W, HasFast>(s, Convert<P>::load(theta), Convert<P>::load(g) * s.factor, fast, slow, square);
    theta = Convert<P>::template store<Stochastic>(moved, bits);
    if (HasFast) m1 = Convert<S>::template store<Stochastic>(fast, more);
    m2 = Convert<S>::template store<Stochastic>(slow, more >> 16);
    nu = Convert<S>::template store<Stochastic>(square, bits >> 16);
}

// --- Eight bits ------------------------------------------------------------------------------------------------------------
// An update is a first moment divided by the root of the second, and is about as large in every element, however differently
// gradients are scaled. So these are what 8 bits are kept of: the root, and the first moments' ratios to it as it was stored. A
// root is c**3 times the scale of its block, c = 0..255; a ratio k |k|, k = -127..127, stored as 127 + k. What lies between two
// such numbers becomes the upper one where its share of the way exceeds a threshold: at random, or one half.

constexpr float SMALLEST_ROOT = 0x1p-63f;  // by which ratios are formed where the root is smaller

ADEMAMIX_INLINE float cube(float c) { return c * c * c; }

ADEMAMIX_INLINE float root_divisor(float s) { return s < SMALLEST_ROOT ? SMALLEST_ROOT : s; }

// Correctly rounded. The divisor is 2**-63 to 2**64, and so needs none of a division's tests for what is smaller or larger.
ADEMAMIX_INLINE float inverse_of_divisor(float divisor) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    float x;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(divisor));
    return __fmaf_rn(x, -__fmaf_rn(divisor, x, -1.0f), x);
#else
    return 1.0f / divisor;
#endif
}

// A byte and the float of that value hold the same bits once 2**23 is added, which takes fewer instructions than a conversion.
ADEMAMIX_INLINE float number_of(byte code) { return float_of(0x4b000000u | code) - 0x1p23f; }
ADEMAMIX_INLINE byte byte_of(float number) { return byte(bits_of(number + 0x1p23f)); }

ADEMAMIX_INLINE float ratio_of(byte code) {
    float k = float_of(0x4b000000u | code) - (0x1p23f + 127.0f);
    return k * magnitude(k);
}

// The nearest integer, of numbers below 2**22.
ADEMAMIX_INLINE float nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

// Roots of what becomes a code, off by less than a half, from which the largest integer below the true root follows: it is the
// nearest or one less. So a device may take its own approximations (off by 2**-22 at most) and have the codes of every other.
ADEMAMIX_INLINE float near_root(float y) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    float x;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(y));
    return x;
#else
    return root(y);
#endif
}

ADEMAMIX_INLINE float near_cube_root(float y) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    float logarithm, x;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(logarithm) : "f"(y));
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(logarithm * (1.0f / 3.0f)));
    return x;
#else
    // The inverse of the cube root to a twentieth, and two steps of Newton's, which need no division.
    float inverse = float_of(0x54a21d2au - bits_of(y) / 3), third = y * (1.0f / 3.0f);
    // Multiplied from the left, since the cube overflows where y is 0.
    inverse *= 4.0f / 3.0f - third * inverse * inverse * inverse;
    inverse *= 4.0f / 3.0f - third * inverse * inverse * inverse;
    return y * inverse * inverse;
#endif
}

// `y`: a root by the scale of its block, 0 to 255**3. One that is not zero stays so, as many a first moment is divided by it.
ADEMAMIX_INLINE float root_number(float y, float threshold) {
    float c = nearest(near_cube_root(y)), rest = y - cube(c);
    bool above = rest < 0.0f;
    c = above ? c - 1.0f : c;
    float step = 3.0f * (c * c + c) + 1.0f;
    rest = above ? rest + step : rest;
    c = rest > threshold * step ? c + 1.0f : c;
    c = c > 255.0f ? 255.0f : c;
    return y > 0.0f && c < 1.0f ? 1.0f : c;
}

// `x`: a ratio by the scale of its block, -127**2 to 127**2.
ADEMAMIX_INLINE byte ratio_code(float x, float threshold) {
    float y = magnitude(x), k = nearest(near_root(y)), rest = y - k * k;
    bool above = rest < 0.0f;
    k = above ? k - 1.0f : k;
    float step = k + k + 1.0f;
    rest = above ? rest + step : rest;
    k = rest > threshold * step ? k + 1.0f : k;
    k = k > 127.0f ? 127.0f : k;
    return byte_of(127.0f + float_of(bits_of(k) | (bits_of(x) & 0x80000000u)));
}

// Numbers in (0, 1) from random bits: of the root's threshold and of the slow EMA's, whose steps are the smallest. The fast EMA
// takes in so much at each step that rounding to nearest leaves it nowhere.
ADEMAMIX_INLINE float root_threshold(word bits) { return (float_of(0x4b000000u | bits >> 16) - (0x1p23f - 0.5f)) * 0x1p-16f; }
ADEMAMIX_INLINE float slow_threshold(word more) { return float_of(0x3f800000u | more >> 9) - (1.0f - 0x1p-24f); }

// The bits of a gradient's square. From INFINITE on the element keeps what it had: no scale could hold it beside its neighbours.
constexpr word INFINITE = 0x7f800000u;
template <typename P>
ADEMAMIX_INLINE word square_bits(const Scalars<float>& s, typename P::Stored g) {
    float wide = Convert<P>::load(g) * s.factor;
    return bits_of(wide * wide);
}

// One element whose moments come from 8 bits and go back there once the largest of the block is known; with Finite, one whose
// gradient's square is known to be finite.
template <typename P, bool HasFast, bool Stochastic, bool Finite = false>
ADEMAMIX_INLINE void step_quantised(
    const Scalars<float>& s, typename P::Stored& theta, typename P::Stored g, float& m1, float& m2, float& nu, word bits) {
    float wide = Convert<P>::load(g) * s.factor;
    bool kept = !Finite && square_bits<P>(s, g) >= INFINITE;
    float fast = m1, slow = m2, square = nu;
    float moved = step<float, HasFast>(s, Convert<P>::load(theta), wide, fast, slow, square);
    theta = kept ? theta : Convert<P>::template store<Stochastic>(moved, bits);
    m1 = kept ? m1 : fast;
    m2 = kept ? m2 : slow;
    nu = kept ? nu : square;
}

ADEMAMIX_INLINE word magnitude_bits(float x) { return bits_of(x) & 0x7fffffffu; }  // in the order of the magnitudes

// The scale of a block with that largest value, of which `codes` is the code's worth; 0 where it would be flushed to zero.
ADEMAMIX_INLINE float scale_of(float largest, float codes) {
    float scale = largest * (1.0f / codes);
    return scale < 0x1p-126f ? 0.0f : scale;
}
ADEMAMIX_INLINE float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

constexpr float ROOT_STEPS = 16581375.0f;  // 255**3
constexpr float RATIO_STEPS = 16129.0f;    // 127**2

}  // namespace ademamix
