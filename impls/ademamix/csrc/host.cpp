// One AdEMAMix step on the CPU: one pass over the memory, vectorised by the compiler, shared out among threads in chunks.

#ifdef _OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif

#include "ademamix_step.h"

using namespace ademamix;

namespace {

constexpr long long CHUNK = 32768;           // elements that a thread takes at a time: a multiple of BLOCK, a divisor of 2**32
constexpr long long WORTH_A_THREAD = 65536;  // fewer elements than this cost less than waking a thread

template <typename P, typename S, bool HasFast, bool Stochastic>
struct Walk {
    static void run(const Tensor& t, const double* row, const word* key, long long begin, long long end) {
        typedef typename P::Wide W;
        typedef typename S::Stored Moment;
        const Scalars<W> s = scalars_of<W>(row);
        auto* __restrict theta = static_cast<typename P::Stored*>(t.theta) + begin;
        auto* __restrict g = static_cast<const typename P::Stored*>(t.g) + begin;
        auto* __restrict m2 = static_cast<Moment*>(t.m2) + begin;
        auto* __restrict nu = static_cast<Moment*>(t.nu) + begin;
        auto* __restrict m1 = HasFast ? static_cast<Moment*>(t.m1) + begin : m2;
        const Random random = random_from(key, begin);
        const int count = int(end - begin);
        for (int i = 0; i < count; ++i)
            step_element<P, S, HasFast, Stochastic>(s, theta[i], g[i], m1[i], m2[i], nu[i], random, word(begin) + word(i));
    }
};

template <typename P, bool HasFast, bool Stochastic>
struct Walk<P, Block8, HasFast, Stochastic> {
    // The largest magnitude: compared as whole numbers, which the compiler vectorises.
    static float largest(const float* __restrict values, int count) {
        int bits = 0;
        for (int i = 0; i < count; ++i) {
            const int own = int(magnitude_bits(values[i]));
            bits = bits > own ? bits : own;
        }
        return float_of(word(bits));
    }

    static void read(const byte* __restrict codes, float scale, const float* __restrict divisor, float* __restrict m, int count) {
        for (int i = 0; i < count; ++i) m[i] = ratio_of(codes[i]) * scale * divisor[i];
    }

    // `m` becomes its ratio to the divisor. `more`: random bits, or null to round to nearest.
    static float write(
        float* __restrict m, const float* __restrict inverse_divisor, byte* __restrict codes, const word* __restrict more,
        int count) {
        for (int i = 0; i < count; ++i) m[i] *= inverse_divisor[i];
        const float scale = scale_of(largest(m, count), RATIO_STEPS), inverse = inverse_of(scale);
        for (int i = 0; i < count; ++i) codes[i] = ratio_code(m[i] * inverse, more ? slow_threshold(more[i]) : 0.5f);
        return scale;
    }

    static void run(const Tensor& t, const double* row, const word* key, long long begin, long long end) {
        const Scalars<float> s = scalars_of<float>(row);
        const Random random = random_from(key, begin);
        float m1[BLOCK] = {}, m2[BLOCK], nu[BLOCK], divisor[BLOCK];
        word bits[BLOCK];
        for (long long first = begin; first < end; first += BLOCK) {
            const int count = int(end - first < BLOCK ? end - first : BLOCK);
            const long long block = first / BLOCK;
            byte* __restrict m1_codes = static_cast<byte*>(t.m1) + (HasFast ? first : 0);
            byte* __restrict m2_codes = static_cast<byte*>(t.m2) + first;
            byte* __restrict nu_codes = static_cast<byte*>(t.nu) + first;
            const float root_scale = t.nu_scale[block];
            for (int i = 0; i < count; ++i) {
                const float own = cube(number_of(nu_codes[i])) * root_scale;
                nu[i] = own * own;
                divisor[i] = root_divisor(own);
                bits[i] = draw(random, word(first) + word(i));
            }
            if (HasFast) read(m1_codes, t.m1_scale[block], divisor, m1, count);
            read(m2_codes, t.m2_scale[block], divisor, m2, count);
            auto* __restrict theta = static_cast<typename P::Stored*>(t.theta) + first;
            auto* __restrict g = static_cast<const typename P::Stored*>(t.g) + first;
            for (int i = 0; i < count; ++i)
                step_quantised<P, HasFast, Stochastic>(s, theta[i], g[i], m1[i], m2[i], nu[i], bits[i]);
            for (int i = 0; i < count; ++i) nu[i] = root(nu[i]);
            const float scale = scale_of(largest(nu, count), ROOT_STEPS), inverse = inverse_of(scale);
            t.nu_scale[block] = scale;
            for (int i = 0; i < count; ++i) {
                const float number = root_number(nu[i] * inverse, root_threshold(bits[i]));
                nu_codes[i] = byte_of(number);
                divisor[i] = inverse_of_divisor(root_divisor(cube(number) * scale));
                bits[i] = mixed(bits[i] + 0x9e3779b9u);
            }
            if (HasFast) t.m1_scale[block] = write(m1, divisor, m1_codes, nullptr, count);
            t.m2_scale[block] = write(m2, divisor, m2_codes, bits, count);
        }
    }
};

typedef void (*Run)(const Tensor&, const double*, const word*, long long, long long);

template <typename P, typename S>
Run variant(bool has_fast, bool stochastic) {
    if (has_fast) return stochastic ? Walk<P, S, true, true>::run : Walk<P, S, true, false>::run;
    return stochastic ? Walk<P, S, false, true>::run : Walk<P, S, false, false>::run;
}

template <typename P>
Run variant(int states, bool has_fast, bool stochastic) {
    switch (states) {
        case 0: return variant<P, Float32>(has_fast, stochastic);
        case 1: return variant<P, BFloat16>(has_fast, stochastic);
        default: return variant<P, Block8>(has_fast, stochastic);
    }
}

Run variant(int parameters, int states, bool has_fast, bool stochastic) {
    switch (parameters) {
        case 0: return variant<Float32>(states, has_fast, stochastic);
        case 1: return variant<BFloat16>(states, has_fast, stochastic);
        case 2: return variant<Float16>(states, has_fast, stochastic);
        default: return variant<Float64, Float64>(has_fast, false);
    }
}

struct Piece {
    int tensor;
    long long begin, end;
};

// The whole list as one line of chunks; piece `number` of it.
Piece piece_at(const Tensor* tensors, const long long* chunks_before, int count, long long number) {
    int low = 0, high = count;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        (chunks_before[middle] <= number ? low : high) = middle;
    }
    const long long begin = (number - chunks_before[low]) * CHUNK, end = begin + CHUNK;
    return {low, begin, end < tensors[low].count ? end : tensors[low].count};
}

}  // namespace

// `scalars` holds SCALARS numbers for each tensor, `keys` two words; `chunks_before` the number of chunks of all tensors before each, and of all.
extern "C" void ademamix_step(
    const Tensor* tensors, const double* scalars, const word* keys, const long long* chunks_before, int count, int parameters,
    int states, int has_fast, int stochastic, int threads) {
    const Run run = variant(parameters, states, has_fast != 0, stochastic != 0);
    const long long chunks = chunks_before[count];
    const auto work = [&](long long from, long long to) {
        for (long long number = from; number < to; ++number) {
            const Piece piece = piece_at(tensors, chunks_before, count, number);
            const long long i = piece.tensor;
            run(tensors[i], scalars + SCALARS * i, keys + 2 * i, piece.begin, piece.end);
        }
    };
    long long elements = 0;
    for (int i = 0; i < count; ++i) elements += tensors[i].count;
    long long useful = elements / WORTH_A_THREAD;
    useful = useful < threads ? useful : threads;
    useful = useful < chunks ? useful : chunks;
    if (useful <= 1) {
        work(0, chunks);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel num_threads(int(useful))
    {
        const long long each = omp_get_thread_num(), all = omp_get_num_threads();
        work(chunks * each / all, chunks * (each + 1) / all);
    }
#else
    std::vector<std::thread> others;
    for (long long each = 1; each < useful; ++each)
        others.emplace_back(work, chunks * each / useful, chunks * (each + 1) / useful);
    work(0, chunks / useful);
    for (auto& other : others) other.join();
#endif
}

extern "C" long long ademamix_chunk() { return CHUNK; }

// For tests: the codes of a root and of a ratio by their block's scale, and how a number is narrowed.
extern "C" int ademamix_root_code(float y, float threshold) { return byte_of(root_number(y, threshold)); }
extern "C" int ademamix_ratio_code(float x, float threshold) { return ratio_code(x, threshold); }
extern "C" int ademamix_narrow(float x, int is_half, int stochastic, unsigned random) {
    if (is_half) return stochastic ? Convert<Float16>::store<true>(x, random) : Convert<Float16>::store<false>(x, random);
    return stochastic ? Convert<BFloat16>::store<true>(x, random) : Convert<BFloat16>::store<false>(x, random);
}
