// One AdEMAMix step of a list of tensors in one launch, for CUDA devices. Compiled at run time, for one variant at a time:
//   -DPARAMETER=Float32|BFloat16|Float16  -DMOMENT=Float32|BFloat16|Block8  -DHAS_FAST=true|false  -DSTOCHASTIC=true|false
// and -DCHUNK=, -DTHREADS= elements and threads of a block. cuda_host.cpp includes the same file on the host, where blocks and
// threads are loops, and a warp has one lane.

#include "ademamix_step.h"

#ifndef CHUNK
#define CHUNK 4096
#endif
#ifndef THREADS
#define THREADS 256
#endif
#ifndef LANES
#define LANES 32
#endif
#ifndef ADEMAMIX_KERNEL
#define ADEMAMIX_KERNEL __global__ void __launch_bounds__(THREADS)
#endif

namespace ademamix {

// Some neighbours in memory, moved at once.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
    T at[N];
};

// Tells the compiler that pointers which lie in memory lead to the device's memory. Where there are assembler instructions it
// does not conclude that, and loads and stores would find out in which kind of memory they are, every time.
ADEMAMIX_INLINE void assume_global(const void* used) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    __builtin_assume(__isGlobal(used));
#endif
}

template <typename T, int N>
ADEMAMIX_INLINE Pack<T, N>& pack_at(void* base, long long index) {
    return *reinterpret_cast<Pack<T, N>*>(static_cast<T*>(base) + index);
}

template <typename T, int N>
ADEMAMIX_INLINE const Pack<T, N>& pack_at(const void* base, long long index) {
    return *reinterpret_cast<const Pack<T, N>*>(static_cast<const T*>(base) + index);
}

template <typename P, typename S, bool HasFast, bool Stochastic, int N>
ADEMAMIX_INLINE void step_pack(const Scalars<float>& s, const Tensor& t, const Random& random, long long index) {
    typedef typename P::Stored Parameter;
    typedef typename S::Stored Moment;
    Pack<Parameter, N> theta = pack_at<Parameter, N>(t.theta, index);
    const Pack<Parameter, N> g = pack_at<Parameter, N>(t.g, index);
    Pack<Moment, N> m2 = pack_at<Moment, N>(t.m2, index), nu = pack_at<Moment, N>(t.nu, index), m1 = m2;
    if (HasFast) m1 = pack_at<Moment, N>(t.m1, index);
#pragma unroll
    for (int i = 0; i < N; ++i)
        step_element<P, S, HasFast, Stochastic>(
            s, theta.at[i], g.at[i], m1.at[i], m2.at[i], nu.at[i], random, word(index) + word(i));
    pack_at<Parameter, N>(t.theta, index) = theta;
    if (HasFast) pack_at<Moment, N>(t.m1, index) = m1;
    pack_at<Moment, N>(t.m2, index) = m2;
    pack_at<Moment, N>(t.nu, index) = nu;
}

template <typename P, typename S, bool HasFast, bool Stochastic>
struct Chunk {
    ADEMAMIX_INLINE static void run(
        const Scalars<float>& s, const Tensor& t, const word* key, long long first, int count, bool aligned, int thread) {
        constexpr int N = 16 / sizeof(typename P::Stored);
        const Random random = random_from(key, first);
        if (aligned && count == CHUNK) {
#pragma unroll
            for (int at = 0; at < CHUNK; at += THREADS * N)
                if (CHUNK % (THREADS * N) == 0 || at + thread * N < CHUNK)
                    step_pack<P, S, HasFast, Stochastic, N>(s, t, random, first + at + thread * N);
        } else {
            for (int at = thread; at < count; at += THREADS)
                step_pack<P, S, HasFast, Stochastic, 1>(s, t, random, first + at);
        }
    }
};

// The largest of a warp's values.
ADEMAMIX_INLINE word largest_of_warp(word own) {
#if LANES > 1
#pragma unroll
    for (int distance = LANES / 2; distance > 0; distance /= 2) {
        const word other = __shfl_xor_sync(0xffffffffu, own, distance);
        own = other > own ? other : own;
    }
#endif
    return own;
}

// Moments in 8 bits: a warp takes a block of 256 elements, and each lane some neighbours.
template <typename P, bool HasFast, bool Stochastic>
struct Chunk<P, Block8, HasFast, Stochastic> {
    static constexpr int EACH = BLOCK / LANES;
    typedef typename P::Stored Parameter;
    typedef Pack<byte, EACH> Codes;

    // What one lane has of a block: the first of its elements in the tensor, and how many there are (none behind the end).
    struct Part {
        long long at;
        int count;
        bool whole;  // aligned, and all of them there
    };

    ADEMAMIX_INLINE static Codes read(const void* codes, const Part& part, byte zero) {
        if (part.whole) return pack_at<byte, EACH>(codes, part.at);
        Codes own;
        for (int i = 0; i < EACH; ++i) own.at[i] = i < part.count ? static_cast<const byte*>(codes)[part.at + i] : zero;
        return own;
    }

    ADEMAMIX_INLINE static void write(void* codes, const Part& part, const Codes& own) {
        if (part.whole) {
            pack_at<byte, EACH>(codes, part.at) = own;
        } else {
            for (int i = 0; i < EACH; ++i)
                if (i < part.count) static_cast<byte*>(codes)[part.at + i] = own.at[i];
        }
    }

    ADEMAMIX_INLINE static void read_ratios(
        const void* codes, float scale, const Part& part, const float* divisor, float* m) {
        const Codes own = read(codes, part, 127);
#pragma unroll
        for (int i = 0; i < EACH; ++i) m[i] = ratio_of(own.at[i]) * scale * divisor[i];
    }

    // What lies behind the end of the tensor is 0 and stays so.
    ADEMAMIX_INLINE static float largest(const float* values) {
        word bits = 0;
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            const word own = magnitude_bits(values[i]);
            bits = own > bits ? own : bits;
        }
        return float_of(largest_of_warp(bits));
    }

    // `m` becomes its ratio to the divisor; returns the scale of the block.
    template <bool Dithered>
    ADEMAMIX_INLINE static float write_ratios(
        void* codes, const Part& part, const float* inverse_divisor, float* m, const word* more) {
#pragma unroll
        for (int i = 0; i < EACH; ++i) m[i] *= inverse_divisor[i];
        const float scale = scale_of(largest(m), RATIO_STEPS), inverse = inverse_of(scale);
        Codes own;
#pragma unroll
        for (int i = 0; i < EACH; ++i) own.at[i] = ratio_code(m[i] * inverse, Dithered ? slow_threshold(more[i]) : 0.5f);
        write(codes, part, own);
        return scale;
    }

    ADEMAMIX_INLINE static void run(
        const Scalars<float>& s, const Tensor& t, const word* key, long long first, int count, bool aligned, int thread) {
        assume_global(t.theta);
        assume_global(t.g);
        assume_global(t.m2);
        assume_global(t.nu);
        assume_global(t.m2_scale);
        assume_global(t.nu_scale);
        if (HasFast) assume_global(t.m1);
        if (HasFast) assume_global(t.m1_scale);
        const Random random = random_from(key, first);
        const int lane = thread % LANES;
        for (int block = thread / LANES * BLOCK; block < count; block += THREADS / LANES * BLOCK) {
            const long long scale = (first + block) / BLOCK;
            Part part = {first + block + lane * EACH, count - block - lane * EACH, false};
            part.whole = aligned && part.count >= EACH;
            float m1[EACH], m2[EACH], nu[EACH], divisor[EACH];
            word bits[EACH];
            Codes roots = read(t.nu, part, 0);
            const float root_scale = t.nu_scale[scale];
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                const float own = cube(number_of(roots.at[i])) * root_scale;
                nu[i] = own * own;
                divisor[i] = root_divisor(own);
                bits[i] = draw(random, word(part.at) + word(i));
            }
            if (HasFast) read_ratios(t.m1, t.m1_scale[scale], part, divisor, m1);
            read_ratios(t.m2, t.m2_scale[scale], part, divisor, m2);
            if (part.whole) {
                Pack<Parameter, EACH> theta;
                Pack<Parameter, EACH> g;
                constexpr int N = 16 / sizeof(Parameter) < EACH ? 16 / sizeof(Parameter) : EACH;
#pragma unroll
                for (int i = 0; i < EACH; i += N) {
                    *reinterpret_cast<Pack<Parameter, N>*>(theta.at + i) = pack_at<Parameter, N>(t.theta, part.at + i);
                    *reinterpret_cast<Pack<Parameter, N>*>(g.at + i) = pack_at<Parameter, N>(t.g, part.at + i);
                }
                word square = 0;
#pragma unroll
                for (int i = 0; i < EACH; ++i) {
                    const word own = square_bits<P>(s, g.at[i]);
                    square = own > square ? own : square;
                }
                if (square < INFINITE) {
#pragma unroll
                    for (int i = 0; i < EACH; ++i)
                        step_quantised<P, HasFast, Stochastic, true>(s, theta.at[i], g.at[i], m1[i], m2[i], nu[i], bits[i]);
                } else {
#pragma unroll
                    for (int i = 0; i < EACH; ++i)
                        step_quantised<P, HasFast, Stochastic>(s, theta.at[i], g.at[i], m1[i], m2[i], nu[i], bits[i]);
                }
#pragma unroll
                for (int i = 0; i < EACH; i += N)
                    pack_at<Parameter, N>(t.theta, part.at + i) = *reinterpret_cast<Pack<Parameter, N>*>(theta.at + i);
            } else {
                for (int i = 0; i < EACH; ++i)
                    if (i < part.count)
                        step_quantised<P, HasFast, Stochastic>(
                            s, static_cast<Parameter*>(t.theta)[part.at + i], static_cast<const Parameter*>(t.g)[part.at + i], m1[i],
                            m2[i], nu[i], bits[i]);
            }
#pragma unroll
            for (int i = 0; i < EACH; ++i) nu[i] = near_root(nu[i]);
            const float written = scale_of(largest(nu), ROOT_STEPS), inverse = inverse_of(written);
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                const float number = root_number(nu[i] * inverse, root_threshold(bits[i]));
                roots.at[i] = byte_of(number);
                divisor[i] = inverse_of_divisor(root_divisor(cube(number) * written));
                bits[i] = mixed(bits[i] + 0x9e3779b9u);
            }
            write(t.nu, part, roots);
            float fast = 0.0f;
            if (HasFast) fast = write_ratios<false>(t.m1, part, divisor, m1, bits);
            const float slow = write_ratios<true>(t.m2, part, divisor, m2, bits);
            // Every lane has read the scales before any shuffle above let one come here.
            if (lane == 0) {
                t.nu_scale[scale] = written;
                if (HasFast) t.m1_scale[scale] = fast;
                t.m2_scale[scale] = slow;
            }
        }
    }
};

// `chunks`: for each block of threads, the tensor and the number of its chunk.
template <typename P, typename S, bool HasFast, bool Stochastic>
ADEMAMIX_INLINE void step_chunk(
    const Tensor* tensors, const float* scalars, const word* keys, const int* chunks, bool aligned, unsigned block, int thread) {
    const int number = chunks[2 * block];
    const long long first = (long long)chunks[2 * block + 1] * CHUNK;
    const Scalars<float> s = scalars_of<float>(scalars + SCALARS * (long long)number);
    if (s.skip != 0.0f) return;
    const Tensor t = tensors[number];
    const long long left = t.count - first;
    Chunk<P, S, HasFast, Stochastic>::run(
        s, t, keys + 2 * (long long)number, first, int(left < CHUNK ? left : CHUNK), aligned, thread);
}

}  // namespace ademamix

#ifdef PARAMETER
extern "C" ADEMAMIX_KERNEL ademamix_step(
    const ademamix::Tensor* tensors, const float* scalars, const ademamix::word* keys, const int* chunks, int aligned) {
    using namespace ademamix;
    step_chunk<PARAMETER, MOMENT, HAS_FAST, STOCHASTIC>(
        tensors, scalars, keys, chunks, aligned != 0, blockIdx.x, int(threadIdx.x));
}
#endif
