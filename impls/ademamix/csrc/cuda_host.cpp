// The device's source on the host: every block and thread of a launch, one after the other, so that no device is needed to
// judge what it computes. A warp has one lane here, which takes a whole block of 256 elements where moments are in 8 bits.

#define LANES 1
#define THREADS 8
#include "device.cu"

using namespace ademamix;

namespace {

typedef void (*Step)(const Tensor*, const float*, const word*, const int*, bool, unsigned, int);

template <typename P, typename S>
Step variant(bool has_fast, bool stochastic) {
    if (has_fast) return stochastic ? step_chunk<P, S, true, true> : step_chunk<P, S, true, false>;
    return stochastic ? step_chunk<P, S, false, true> : step_chunk<P, S, false, false>;
}

template <typename P>
Step variant(int states, bool has_fast, bool stochastic) {
    switch (states) {
        case 0: return variant<P, Float32>(has_fast, stochastic);
        case 1: return variant<P, BFloat16>(has_fast, stochastic);
        default: return variant<P, Block8>(has_fast, stochastic);
    }
}

Step variant(int parameters, int states, bool has_fast, bool stochastic) {
    switch (parameters) {
        case 0: return variant<Float32>(states, has_fast, stochastic);
        case 1: return variant<BFloat16>(states, has_fast, stochastic);
        default: return variant<Float16>(states, has_fast, stochastic);
    }
}

}  // namespace

extern "C" void ademamix_launch(
    const Tensor* tensors, const float* scalars, const word* keys, const int* chunks, int aligned, int blocks, int parameters,
    int states, int has_fast, int stochastic) {
    const Step step = variant(parameters, states, has_fast != 0, stochastic != 0);
    for (int block = 0; block < blocks; ++block)
        for (int thread = 0; thread < THREADS; ++thread) step(tensors, scalars, keys, chunks, aligned != 0, unsigned(block), thread);
}

extern "C" int ademamix_device_chunk() { return CHUNK; }
