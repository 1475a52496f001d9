// As many multiply-adds of float32 as the processor's widest vector units do, from registers alone.

#include <cstdint>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));

namespace {

// Enough chains for two units of a latency of five, and few enough for 16 registers.
constexpr int CHAINS = 12;

float chains(std::int64_t rounds, float factor, float term) {
    vec a = factor - vec{}, b = term - vec{}, x[CHAINS];
    for (int i = 0; i < CHAINS; ++i) x[i] = float(i) - vec{};
    for (std::int64_t round = 0; round < rounds; ++round)
        for (int i = 0; i < CHAINS; ++i) x[i] = x[i] * a + b;
    vec total{};
    for (int i = 0; i < CHAINS; ++i) total += x[i];
    return total[0];
}

}  // namespace

// Runs `rounds` on each of `threads` threads; returns the floating-point operations that were done. What they come to is written
// to `result`, or a compiler could leave them out.
extern "C" double multiply_adds(std::int64_t rounds, std::int64_t threads, float factor, float term, float* result) {
    float total = 0;
    int used = 0;
#ifdef _OPENMP
#pragma omp parallel num_threads(static_cast<int>(threads)) reduction(+ : total, used)
#endif
    {
        total += chains(rounds, factor, term);
        used += 1;
    }
    *result = total;
    return 2.0 * CHAINS * (VECTOR_BYTES / 4) * double(rounds) * used;
}
