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
        word special = (bits >> 16) | ((bits & 0x7fffffu) ? 0x40u : 0u);  // infinity stays, a NaN stays one
        return half_word((bits & 0x7f800000u) == 0x7f800000u ? special : finite);
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

// --- Eight bits: the dynamic code book (arXiv:2110.02861), indices in the order of the values -----------------------------------
// Decade d = 0..6 (values 10**(d-6) times [0.1, 1]) holds n = 2**d equal cells, 2**(d+1) where no sign is kept; a code is the
// centre of its cell. Numbered from 1 (2 where unsigned), the cell k of decade d has the ordinal J = n + k, so that the exponent
// of J as a float is the decade and its fraction is k / n. Ordinal 0 is zero, and the highest index stands for 1 itself.

ADEMAMIX_INLINE float power_of_ten(int decade) {
    float p = 1e-6f;
    p = decade >= 1 ? 1e-5f : p;
    p = decade >= 2 ? 1e-4f : p;
    p = decade >= 3 ? 1e-3f : p;
    p = decade >= 4 ? 1e-2f : p;
    p = decade >= 5 ? 1e-1f : p;
    return decade >= 6 ? 1.0f : p;
}

template <bool Signed>
ADEMAMIX_INLINE float decoded(byte code) {
    int index = Signed ? int(code) - 127 : int(code);
    int size = index < 0 ? -index : index;
    word bits = bits_of(float(Signed ? size : size + 1));
    float fraction = float_of((bits & 0x7fffffu) | 0x3f800000u) - 1.0f;
    float half_cell = float_of(0x7e800000u - (bits & 0x7f800000u));  // 1 / (2 n)
    int decade = int(bits >> 23) - (Signed ? 127 : 128);
    float value = power_of_ten(decade) * (0.1f + 0.9f * (fraction + half_cell));
    value = size == 0 ? 0.0f : value;
    value = size == (Signed ? 128 : 255) ? 1.0f : value;
    return index < 0 ? -value : value;
}

// The nearest code of a value in [-1, 1]. Cells of a decade meet at their edges; the border to the next lower decade lies half
// way between the two outermost centres, at 10**(d-7) (1 + 1.8/n).
template <bool Signed>
ADEMAMIX_INLINE byte encoded(float x) {
    float a = float_of(bits_of(x) & 0x7fffffffu);
    const float first = Signed ? 1.0f : 2.0f;
    bool in1 = a >= 1e-6f * (1.0f + 1.8f / (2.0f * first));
    bool in2 = a >= 1e-5f * (1.0f + 1.8f / (4.0f * first));
    bool in3 = a >= 1e-4f * (1.0f + 1.8f / (8.0f * first));
    bool in4 = a >= 1e-3f * (1.0f + 1.8f / (16.0f * first));
    bool in5 = a >= 1e-2f * (1.0f + 1.8f / (32.0f * first));
    bool in6 = a >= 1e-1f * (1.0f + 1.8f / (64.0f * first));
    float cells = first, per_unit = first / 0.9f * 1e6f;
    cells = in1 ? 2.0f * first : cells;
    cells = in2 ? 4.0f * first : cells;
    cells = in3 ? 8.0f * first : cells;
    cells = in4 ? 16.0f * first : cells;
    cells = in5 ? 32.0f * first : cells;
    cells = in6 ? 64.0f * first : cells;
    per_unit = in1 ? 2.0f * first / 0.9f * 1e5f : per_unit;
    per_unit = in2 ? 4.0f * first / 0.9f * 1e4f : per_unit;
    per_unit = in3 ? 8.0f * first / 0.9f * 1e3f : per_unit;
    per_unit = in4 ? 16.0f * first / 0.9f * 1e2f : per_unit;
    per_unit = in5 ? 32.0f * first / 0.9f * 1e1f : per_unit;
    per_unit = in6 ? 64.0f * first / 0.9f : per_unit;
    // The decade begins at a tenth, a ninth of its nine tenths below its first edge: J = n + n/0.9 (a 10**(6-d) - 0.1).
    float place = a * per_unit + cells * (8.0f / 9.0f), limit = 2.0f * cells - 1.0f;
    int size = int(place < limit ? place : limit) - (Signed ? 0 : 1);
    size = a < (Signed ? 2.75e-7f : 1.625e-7f) ? 0 : size;
    size = a >= 1.0f - 0.225f / (64.0f * first) ? (Signed ? (x < 0.0f ? 127 : 128) : 255) : size;
    return byte(Signed ? (x < 0.0f ? 127 - size : 127 + size) : size);
}

// One element whose moments come from 8 bits and go back there once the largest of the block is known. An element whose gradient
// is not finite, or whose square is not, keeps what it had: no scale could hold it beside its neighbours.
template <typename P, bool HasFast, bool Stochastic>
ADEMAMIX_INLINE void step_quantised(
    const Scalars<float>& s, typename P::Stored& theta, typename P::Stored g, float& m1, float& m2, float& nu, Random random,
    word index) {
    float wide = Convert<P>::load(g) * s.factor;
    bool kept = bits_of(wide * wide) >= 0x7f800000u;
    float fast = m1, slow = m2, square = nu;
    float moved = step<float, HasFast>(s, Convert<P>::load(theta), wide, fast, slow, square);
    theta = kept ? theta : Convert<P>::template store<Stochastic>(moved, Stochastic ? draw(random, index) : 0u);
    m1 = kept ? m1 : fast;
    m2 = kept ? m2 : slow;
    nu = kept ? nu : square;
}

ADEMAMIX_INLINE word magnitude_bits(float x) { return bits_of(x) & 0x7fffffffu; }  // in the order of the magnitudes

// By what a block is divided; 0 where all of it is zero or would be flushed to zero.
ADEMAMIX_INLINE float inverse_of_largest(float largest) { return largest < 1.1754944e-38f ? 0.0f : 1.0f / largest; }

}  // namespace ademamix
