// Sigmoid attention on a CPU, forward and backward: matrix products and the activation between them, tile by tile, in cache.
//
// Everything stands transposed: a tile of scores is (keys, queries), with neighbouring queries side by side in a vector. Keys and
// values are then read one number at a time, as they lie in memory, and only the queries need turning, once for each block of
// them. float32 inside. Vectors are those of GCC and Clang, as wide as the processor's.
//
// Where the processor multiplies bfloat16s by itself (AVX512_BF16, and AMX on Linux), bfloat16 tensors are multiplied so: two
// numbers at a time, neighbours along the sum, summed in float32. Weights are then rounded to bfloat16 before they are
// multiplied. Tests define MULTIPLIES_PAIRS, or MULTIPLIES_UNITS too, to have what the instructions do done by other processors.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __AVX512BF16__
#include <immintrin.h>
#define MULTIPLIES_PAIRS
#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define MULTIPLIES_UNITS
#define HAS_UNITS
#endif
#endif

namespace {

using index = std::int64_t;

// --- Vectors ---------------------------------------------------------------------------------------------------------------

#if defined(__AVX512F__) || defined(MULTIPLIES_UNITS)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ROWS = 8;  // of the part of a product that is kept in registers; it is at most three vectors wide
#else
constexpr int ROWS = 4;  // with 16 registers
#endif

#if defined(__AVX__) && VECTOR_BYTES == 32
// Else GCC reads a vector from memory anew for each row that it is multiplied with, and the loads take longer than the products.
#define IN_A_REGISTER(x) __asm__("" : "+x"(x))
#else
#define IN_A_REGISTER(x)
#endif

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
typedef std::int32_t ints __attribute__((vector_size(VECTOR_BYTES)));

// Two bfloat16s, the one with the lower number in the lower half: as two neighbours lie in memory.
using pair = std::int32_t;

// A product works on floats, or on pairs, which take part in a sum two numbers at a time.
template <typename Element>
constexpr index NUMBERS = 1;
template <>
constexpr index NUMBERS<pair> = 2;

constexpr index LANES = VECTOR_BYTES / 4;
constexpr index WIDEST = 3 * LANES;

// What rows, and the numbers that a sum runs over, are filled up to.
#ifdef MULTIPLIES_UNITS
constexpr index FULL_ROWS = 16, FULL_SUM = 32;
#else
constexpr index FULL_ROWS = ROWS, FULL_SUM = 2;
#endif

inline index up(index n, index step) { return (n + step - 1) / step * step; }
inline vec all(float x) { return x - vec{}; }
inline ints all(std::int32_t x) { return x - ints{}; }
inline vec& at(float* p) { return *reinterpret_cast<vec*>(p); }
inline const vec& at(const float* p) { return *reinterpret_cast<const vec*>(p); }
inline ints& at(pair* p) { return *reinterpret_cast<ints*>(p); }
inline const ints& at(const pair* p) { return *reinterpret_cast<const ints*>(p); }
// To where a mask is set, from elsewhere.
inline vec choose(ints mask, vec a, vec b) { return (vec)((mask & (ints)a) | (~mask & (ints)b)); }

inline float sum(vec x) {
    float total = 0;
    for (index i = 0; i < LANES; ++i) total += x[i];
    return total;
}

inline vec add_product(vec total, vec a, vec b) { return total + a * b; }

#ifdef __AVX512BF16__
inline vec add_product(vec total, ints a, ints b) { return (vec)_mm512_dpbf16_ps((__m512)total, (__m512bh)a, (__m512bh)b); }
#elif defined(MULTIPLIES_PAIRS)
// What the instruction does, for tests on other processors: it takes subnormal numbers for 0, and returns none.
inline vec normal(vec x) { return (vec)((ints)x & (((ints)x & all(0x7f800000)) != ints{})); }
inline vec add_product(vec total, ints a, ints b) {
    const vec low = normal((vec)(a << 16)) * normal((vec)(b << 16));
    const vec high = normal((vec)(a & all(-0x10000))) * normal((vec)(b & all(-0x10000)));
    return normal(normal(total + high) + low);
}
#endif

// 1 / (1 + exp(-x)), relatively accurate wherever the result is a normal number; 0 below. NaN stays NaN.
inline vec sigmoid(vec x) {
    const vec far = (vec)((ints)x & all(0x7fffffff));
    // exp(-far) = 2^n exp(r) with |r| <= log(2) / 2; adding 1.5 * 2^23 rounds to a whole number
    const vec shifted = far * all(-1.44269504f) + all(12582912.0f);
    const vec n = shifted - all(12582912.0f);
    vec r = -far - n * all(0.693359375f);  // log(2) in two parts, the first with so few bits that the product is exact
    r = r + n * all(2.12194440e-4f);
    vec e = all(0.001360202895f);  // exp(r) = 1 + r + r^2 (1/2 + ...), to 0.4 units of float32
    e = e * r + all(0.008359282314f);
    e = e * r + all(0.04166937412f);
    e = e * r + all(0.1666660143f);
    e = e * r + all(0.5f);
    e = e * (r * r) + r + all(1.0f);
    e = e * (vec)(((ints)shifted << 23) + all(0x3f800000));
    e = (vec)((ints)e & ~(far > all(87.3365f)));
    return choose(x < vec{}, e, all(1.0f)) / (all(1.0f) + e);
}

// --- Matrix products -------------------------------------------------------------------------------------------------------

// C (ROWS, V vectors) (+)= A (ROWS, depth) B (depth, V vectors). A's element (m, k) is a[m * lda + k], or a[k * lda + m] where it
// stands transposed.
template <int V, bool TRANSPOSED, bool ADD, typename Element>
inline void corner(index depth, const Element* a, index lda, const Element* b, index ldb, float* c, index ldc) {
    vec sums[ROWS][V];
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[m][v] = vec{};
    for (index k = 0; k < depth; ++k) {
        std::remove_const_t<std::remove_reference_t<decltype(at(b))>> right[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            right[v] = at(b + k * ldb + v * LANES);
            IN_A_REGISTER(right[v]);
        }
#pragma GCC unroll 8
        for (int m = 0; m < ROWS; ++m) {
            const auto left = all(TRANSPOSED ? a[k * lda + m] : a[m * lda + k]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sums[m][v] = add_product(sums[m][v], left, right[v]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            vec& target = at(c + m * ldc + v * LANES);
            target = ADD ? target + sums[m][v] : sums[m][v];
        }
}

// As `corner`, for as many rows and as many columns up to WIDEST; rows are rounded up to ROWS, columns to LANES.
template <bool TRANSPOSED, bool ADD, typename Element>
void panel(index rows, index columns, index depth, const Element* a, index lda, const Element* b, index ldb, float* c,
           index ldc) {
    const index step = TRANSPOSED ? 1 : lda;
    for (index m = 0; m < rows; m += ROWS) {
        const Element* left = a + m * step;
        float* target = c + m * ldc;
        if (columns > 2 * LANES)
            corner<3, TRANSPOSED, ADD>(depth, left, lda, b, ldb, target, ldc);
        else if (columns > LANES)
            corner<2, TRANSPOSED, ADD>(depth, left, lda, b, ldb, target, ldc);
        else
            corner<1, TRANSPOSED, ADD>(depth, left, lda, b, ldb, target, ldc);
    }
}

#ifdef MULTIPLIES_UNITS
// A unit holds eight pieces of 16 rows of 64 bytes. Three are sums, one is of A, three are of B.
#ifdef HAS_UNITS
template <int I>
inline void unit_zero() { _tile_zero(I); }
template <int I>
inline void unit_load(const void* from, index row) { _tile_loadd(I, from, row * 4); }
template <int I>
inline void unit_store(float* to, index row) { _tile_stored(I, to, row * 4); }
template <int I, int B>
inline void unit_multiply() { _tile_dpbf16ps(I, 3, B); }

// Linux asks every process to ask for them, once; whoever may not have them multiplies in vectors.
bool has_units() {
    static const bool allowed = syscall(SYS_arch_prctl, 0x1023, 18) == 0;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return allowed;
}
struct Units {  // for the thread, as long as this lives
    Units() {
        alignas(64) std::uint8_t shape[64] = {1};  // palette 1; bytes of a row from byte 16 on, rows from byte 48 on
        for (int i = 0; i < 8; ++i) shape[16 + 2 * i] = 64, shape[48 + i] = 16;
        if (has_units()) _tile_loadconfig(shape);
    }
    ~Units() {
        if (has_units()) _tile_release();
    }
};
#else
thread_local pair pieces[8][16][16];
template <int I>
inline void unit_zero() { std::memset(pieces[I], 0, sizeof pieces[I]); }
template <int I>
inline void unit_load(const void* from, index row) {
    for (int r = 0; r < 16; ++r) std::memcpy(pieces[I][r], static_cast<const char*>(from) + r * row * 4, 64);
}
template <int I>
inline void unit_store(float* to, index row) {
    for (int r = 0; r < 16; ++r) std::memcpy(to + r * row, pieces[I][r], 64);
}
template <int I, int B>
inline void unit_multiply() {
    for (int r = 0; r < 16; ++r) {
        vec total;
        std::memcpy(&total, pieces[I][r], 64);
        for (int k = 0; k < 16; ++k) {
            ints right;
            std::memcpy(&right, pieces[B][k], 64);
            total = add_product(total, all(pieces[3][r][k]), right);
        }
        std::memcpy(pieces[I][r], &total, 64);
    }
}
bool has_units() { return true; }
#endif

// As `corner`, of pairs.
template <int V, bool ADD>
inline void unit_corner(index depth, const pair* a, index lda, const pair* b, index ldb, float* c, index ldc) {
    ADD ? unit_load<0>(c, ldc) : unit_zero<0>();
    if constexpr (V > 1) ADD ? unit_load<1>(c + 16, ldc) : unit_zero<1>();
    if constexpr (V > 2) ADD ? unit_load<2>(c + 32, ldc) : unit_zero<2>();
    for (index k = 0; k < depth; k += 16) {
        unit_load<3>(a + k, lda);
        unit_load<4>(b + k * ldb, ldb);
        unit_multiply<0, 4>();
        if constexpr (V > 1) unit_load<5>(b + k * ldb + 16, ldb), unit_multiply<1, 5>();
        if constexpr (V > 2) unit_load<6>(b + k * ldb + 32, ldb), unit_multiply<2, 6>();
    }
    unit_store<0>(c, ldc);
    if constexpr (V > 1) unit_store<1>(c + 16, ldc);
    if constexpr (V > 2) unit_store<2>(c + 32, ldc);
}

// As the other `panel`; rows, columns and depth are rounded up to 16.
template <bool TRANSPOSED, bool ADD>
void panel(index rows, index columns, index depth, const pair* a, index lda, const pair* b, index ldb, float* c, index ldc) {
    static_assert(!TRANSPOSED);
    if (!has_units()) return panel<TRANSPOSED, ADD, pair>(rows, columns, depth, a, lda, b, ldb, c, ldc);
    for (index m = 0; m < rows; m += 16) {
        if (columns > 32)
            unit_corner<3, ADD>(depth, a + m * lda, lda, b, ldb, c + m * ldc, ldc);
        else if (columns > 16)
            unit_corner<2, ADD>(depth, a + m * lda, lda, b, ldb, c + m * ldc, ldc);
        else
            unit_corner<1, ADD>(depth, a + m * lda, lda, b, ldb, c + m * ldc, ldc);
    }
}
#endif
#ifndef HAS_UNITS
struct Units {  // nothing to make ready
    Units() {}
};
#endif

// Where the panel that begins at this column ends: three vectors on, but rather two and two than three and one.
inline index panel_end(index start, index columns) {
    const index left = up(columns - start, LANES) / LANES;
    return std::min(columns, start + (left == 4 ? 2 : 3) * LANES);
}

// --- Memory ----------------------------------------------------------------------------------------------------------------

struct Memory {  // uninitialised, on whole cache lines
    float* data = nullptr;
    index size = 0;
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() { release(); }
    void release() {
        std::free(data);
        data = nullptr;
        size = 0;
    }
    bool hold(index count) {
        if (count <= size) return true;
        release();
        data = static_cast<float*>(std::aligned_alloc(64, static_cast<std::size_t>(up(count * 4, 64))));
        size = data ? count : 0;
        return data != nullptr;
    }
};

// Rows an odd number of cache lines apart do not fall on each other's places in the cache.
inline index apart(index columns) { return (up(columns, 16) / 16 | 1) * 16; }

struct bfloat16 {
    std::uint16_t bits;
};

inline float wide(float x) { return x; }
inline float wide(bfloat16 x) {
    const std::uint32_t bits = std::uint32_t(x.bits) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}
// To the nearest bfloat16, whose bits stand in the upper half.
inline std::uint32_t narrow(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    return is_nan ? 0x7fc00000 : (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
}
inline pair paired(float low, float high) { return static_cast<pair>(narrow(low) >> 16 | narrow(high)); }
inline void store(float x, float& target) { target = x; }
inline void store(float x, bfloat16& target) { target.bits = static_cast<std::uint16_t>(narrow(x) >> 16); }

// Rows of a tensor to rows of floats, times a factor; what pads rows and columns is 0.
template <typename T>
void read(const T* from, index stride, index rows, index columns, float factor, float* to, index ld, index padded_rows,
          index padded_columns) {
    for (index r = 0; r < rows; ++r) {
        const T* source = from + r * stride;
        float* target = to + r * ld;
        for (index c = 0; c < columns; ++c) target[c] = wide(source[c]) * factor;
        for (index c = columns; c < padded_columns; ++c) target[c] = 0;
    }
    for (index r = rows; r < padded_rows; ++r) std::memset(to + r * ld, 0, static_cast<std::size_t>(padded_columns) * 4);
}

// The same to rows of pairs, which are half as long, and without the factor: bfloat16s stay as they are.
inline void read(const bfloat16* from, index stride, index rows, index columns, float, pair* to, index ld, index padded_rows,
          index padded_columns) {
    for (index r = 0; r < padded_rows; ++r) {
        const index count = r < rows ? columns : 0;
        char* target = reinterpret_cast<char*>(to + r * ld);
        if (count) std::memcpy(target, from + r * stride, static_cast<std::size_t>(count) * 2);
        std::memset(target + count * 2, 0, static_cast<std::size_t>(padded_columns - count) * 2);
    }
}

template <typename T>
void write(const float* from, index ld, index rows, index columns, float factor, T* to, index stride) {
    for (index r = 0; r < rows; ++r)
        for (index c = 0; c < columns; ++c) store(from[r * ld + c] * factor, to[r * stride + c]);
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE
#endif
#endif

#ifdef HAS_SHUFFLE
template <int STEP, typename Vector, int... I>
inline void exchange(Vector& a, Vector& b, std::integer_sequence<int, I...>) {
    const Vector low = __builtin_shufflevector(a, b, ((I & STEP) ? int(LANES) + I - STEP : I)...);
    const Vector high = __builtin_shufflevector(a, b, ((I & STEP) ? int(LANES) + I : I + STEP)...);
    a = low;
    b = high;
}
template <int STEP, typename Vector>
inline void turn(Vector (&block)[LANES]) {
    if constexpr (STEP < LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; ++i)
            if (!(i & STEP)) exchange<STEP>(block[i], block[i + STEP], std::make_integer_sequence<int, int(LANES)>());
        turn<2 * STEP>(block);
    }
}
#endif

// (rows, columns), both multiples of LANES, to (columns, rows).
template <typename Element>
void transpose(const Element* from, index ld, index rows, index columns, Element* to, index ld_to) {
    for (index r = 0; r < rows; r += LANES)
        for (index c = 0; c < columns; c += LANES) {
#ifdef HAS_SHUFFLE
            std::remove_reference_t<decltype(at(to))> block[LANES];
#pragma GCC unroll 16
            for (int i = 0; i < LANES; ++i) block[i] = at(from + (r + i) * ld + c);
            turn<1>(block);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; ++i) at(to + (c + i) * ld_to + r) = block[i];
#else
            for (index i = 0; i < LANES; ++i)
                for (index j = 0; j < LANES; ++j) to[(c + j) * ld_to + r + i] = from[(r + i) * ld + c + j];
#endif
        }
}

// --- What is called --------------------------------------------------------------------------------------------------------

struct Tensor {  // (batch, heads, length, dim); strides in elements, neighbours of the last dimension side by side
    void* data;
    index batch, head, row;
};

struct Sequence {  // one row of the batch, or one of the sequences packed into it
    index batch, slopes_row;
    index query, queries, key, keys;  // where they begin, and how many there are
    index seen;                       // so many of the keys count; the rest are for alignment alone
};

struct Call {
    Tensor q, k, v, out, grad, dq, dk, dv;
    const Sequence* sequences;
    const float* slopes;
    double* dbias;    // one number, or null
    double* dslopes;  // laid out as the slopes, or null
    index count, heads, key_heads, dim, value_dim, slopes_apart, left, right;
    index dtype, threads;
    float scale, bias;
};

// --- Tiles -----------------------------------------------------------------------------------------------------------------

constexpr index KEYS = 64;      // in a tile
constexpr index QUERIES = 192;  // in a block, at most
constexpr index BLOCK_BYTES = 200 << 10;  // what a block of queries may take of the second-level cache

struct Range {
    index start, stop;
    bool empty() const { return start >= stop; }
};

inline Range clipped(index start, index stop, index least, index most) {
    return {std::min(std::max(start, least), most), std::max(std::min(stop, most), least)};
}

// A block of queries against a sequence's keys: who sees whom. Queries count from the block's first, keys from the sequence's.
struct View {
    index first, queries, shift, left, right, seen;
    // The keys that any query of a range sees.
    Range keys_of(index start, index stop) const {
        return clipped(first + start + shift - left, first + stop + shift + right, 0, seen);
    }
    // The queries of the block that see any key of a range.
    Range queries_of(index start, index stop) const {
        return clipped(start - shift - right - first, stop - shift + left - first, 0, queries);
    }
    // Whether every query sees every key of the range.
    bool whole(index start, index stop) const {
        return start >= first + queries - 1 + shift - left && stop - 1 <= first + shift + right;
    }
};

// How many rows of a product are computed at once at least.
template <typename Element>
constexpr index rows_of() {
    return NUMBERS<Element> == 1 ? ROWS : FULL_ROWS;
}

// The elements that hold these numbers of a sum, and those that it is filled up with.
template <typename Element>
constexpr Range summed(index start, index stop) {
    if (NUMBERS<Element> == 1) return {start, stop};
    return {start / FULL_SUM * FULL_SUM / 2, up(stop, FULL_SUM) / 2};
}

struct Sizes {
    index dim, value_dim;  // rounded up to whole vectors of elements and to FULL_ROWS
    index block;           // queries in a block
    index ld;              // of what has a column for each query
};

template <typename Element>
Sizes sizes_of(const Call& call, index queries, index rows_of_dim, index rows_of_value_dim) {
    Sizes sizes;
    const index step = std::max<index>(LANES * NUMBERS<Element>, FULL_ROWS);
    sizes.dim = up(call.dim, step);
    sizes.value_dim = up(call.value_dim, step);
    const index row = 4 * (rows_of_dim * sizes.dim + rows_of_value_dim * sizes.value_dim);
    const index most = std::max(WIDEST, std::min(QUERIES, BLOCK_BYTES / row / WIDEST * WIDEST));
    const index blocks = std::max<index>(1, (queries + most - 1) / most);
    sizes.block = up((queries + blocks - 1) / blocks, std::max(LANES, FULL_SUM));
    sizes.ld = apart(sizes.block);
    return sizes;
}

// The scores of a tile, or the products of its values with the gradient: (keys, queries) = left (keys, dim) right (dim, queries),
// where anybody sees anybody.
template <typename Element>
void products(const View& view, Range tile, const Element* left, index padded_dim, index dim, const Element* right, index ld,
              float* scores) {
    const index ld_left = padded_dim / NUMBERS<Element>, depth = summed<Element>(0, dim).stop;
    for (index c = 0; c < view.queries;) {
        const index end = panel_end(c, view.queries);
        const Range seen = view.keys_of(c, end);
        const index from = std::max(tile.start, seen.start) - tile.start, to = std::min(tile.stop, seen.stop) - tile.start;
        if (from < to) {
            const index m = from / rows_of<Element>() * rows_of<Element>();
            panel<false, false>(to - m, end - c, depth, left + m * ld_left, ld_left, right + c, ld, scores + m * ld + c, ld);
        }
        c = end;
    }
}

// total (dim, queries) += keys (keys, dim)^T weights (keys, queries). Keys and weights are those of `across` and `over_keys`.
template <bool ADD, typename Element>
void add_to_queries(const View& view, Range tile, const Element* keys, index dim, const Element* weights, index ld,
                    float* total) {
    constexpr bool TRANSPOSED = NUMBERS<Element> == 1;
    const index ld_keys = TRANSPOSED ? dim : KEYS / NUMBERS<Element>, step = TRANSPOSED ? dim : 1;
    for (index c = 0; c < view.queries;) {
        const index end = panel_end(c, view.queries);
        const Range seen = view.keys_of(c, end);
        const index from = std::max(tile.start, seen.start) - tile.start, to = std::min(tile.stop, seen.stop) - tile.start;
        const Range sum = from < to ? summed<Element>(from, to) : Range{0, 0};
        if (!sum.empty() || !ADD)
            panel<TRANSPOSED, ADD>(dim, end - c, sum.stop - sum.start, keys + sum.start * step, ld_keys,
                                   weights + sum.start * ld + c, ld, total + c, ld);
        c = end;
    }
}

// total (keys, dim) += weights (keys, queries) rows (queries, dim). Weights and rows are those of `over_queries` and `together`.
template <typename Element>
void add_to_keys(const View& view, Range tile, const Element* weights, index ld, const Element* rows, index dim, float* total) {
    const index ld_weights = ld / NUMBERS<Element>;
    constexpr index rows_at_once = rows_of<Element>();
    for (index m = 0; m < tile.stop - tile.start; m += rows_at_once) {
        const Range seen = view.queries_of(tile.start + m, std::min(tile.start + m + rows_at_once, tile.stop));
        if (seen.empty()) continue;
        const Range sum = summed<Element>(seen.start, seen.stop);
        for (index c = 0; c < dim;) {
            const index end = panel_end(c, dim);
            panel<false, true>(rows_at_once, end - c, sum.stop - sum.start, weights + m * ld_weights + sum.start, ld_weights,
                               rows + sum.start * dim + c, dim, total + m * dim + c, dim);
            c = end;
        }
    }
}

// --- Operands in pairs -----------------------------------------------------------------------------------------------------
//
// Each takes memory of its own; floats are multiplied as they are.

// Rows (rows, columns / 2) whose pairs run along a row to (rows / 2, columns), whose pairs run across two rows.
inline const pair* together(const pair* from, index rows, index columns, pair* to) {
    for (index r = 0; r < rows; r += 2) {
        const pair *first = from + r * columns / 2, *second = first + columns / 2;
        for (index c = 0; c < columns / 2; ++c) {
            const std::uint32_t a = static_cast<std::uint32_t>(first[c]), b = static_cast<std::uint32_t>(second[c]);
            to[r / 2 * columns + 2 * c] = static_cast<pair>((a & 0xffff) | b << 16);
            to[r / 2 * columns + 2 * c + 1] = static_cast<pair>(a >> 16 | (b & 0xffff0000));
        }
    }
    return to;
}
inline const float* together(const float* rows, index, index, float*) { return rows; }

// Rows of a tile (KEYS, dim / 2) to (dim, KEYS / 2), whose pairs run across two keys. Takes twice the tile's memory.
inline const pair* across(const pair* rows, index dim, pair* memory) {
    pair* turned = memory + KEYS / 2 * dim;
    transpose(together(rows, KEYS, dim, memory), dim, KEYS / 2, dim, turned, KEYS / 2);
    return turned;
}
inline const float* across(const float* rows, index, float*) { return rows; }

// Weights (rows, ld) to pairs of keys (rows / 2, ld).
inline const pair* over_keys(const float* weights, index rows, index width, index ld, pair* to) {
    for (index r = 0; r < rows; r += 2)
        for (index c = 0; c < width; ++c) to[r / 2 * ld + c] = paired(weights[r * ld + c], weights[(r + 1) * ld + c]);
    return to;
}
inline const float* over_keys(const float* weights, index, index, index, float*) { return weights; }

// Weights (rows, ld) to pairs of queries (rows, ld / 2).
inline const pair* over_queries(const float* weights, index rows, index width, index ld, pair* to) {
    for (index r = 0; r < rows; ++r)
        for (index c = 0; c < width / 2; ++c) to[r * ld / 2 + c] = paired(weights[r * ld + 2 * c], weights[r * ld + 2 * c + 1]);
    return to;
}
inline const float* over_queries(const float* weights, index, index, index, float*) { return weights; }

// --- The activation --------------------------------------------------------------------------------------------------------

struct Activation {
    float scale, bias, slope;  // the scale is 1 where the queries carry it
    bool tilted;
};

// So many rows of a tile are 0 where no key is: rows of a product, and what a sum over keys is filled up with.
inline index filled(index keys) { return up(keys, std::max(FULL_ROWS, FULL_SUM)); }

// So many columns there are: whole vectors, and what a sum over queries is filled up with, which is 0.
inline index width_of(const View& view) { return up(view.queries, std::max(LANES, FULL_SUM)); }

inline vec distances(index first) {
    vec lanes;
    for (index i = 0; i < LANES; ++i) lanes[i] = float(i);
    // whole numbers: exact where float32 holds them
    return (vec)((ints)(all(float(first)) + lanes) & all(0x7fffffff));
}

// Scores to weights, a row of the tile for each key; 0 where the pair is masked, and in the rows that fill up the tile.
void activate(const View& view, Range tile, const Activation& activation, float* scores, index ld) {
    const index width = up(view.queries, LANES), full = width_of(view);
    const bool whole = view.whole(tile.start, tile.stop);
    for (index j = tile.start; j < tile.stop; ++j) {
        float* row = scores + (j - tile.start) * ld;
        const Range seen = whole ? Range{0, width} : view.queries_of(j, j + 1);
        for (index c = seen.start / LANES * LANES; c < seen.stop; c += LANES) {
            vec x = at(row + c) * all(activation.scale) + all(activation.bias);
            if (activation.tilted) x -= all(activation.slope) * distances(view.first + c + view.shift - j);
            at(row + c) = sigmoid(x);
        }
        std::fill(row + width, row + full, 0.0f);
        if (whole) continue;
        std::fill(row, row + std::min(seen.start, width), 0.0f);
        std::fill(row + std::max(seen.start, seen.stop), row + width, 0.0f);
    }
    for (index m = tile.stop - tile.start; m < filled(tile.stop - tile.start); ++m)
        std::fill(scores + m * ld, scores + m * ld + full, 0.0f);
}

// Gradients of weights to gradients of scores, in place; and their sums for the bias and the slope.
void differentiate(const View& view, Range tile, const float* weights, float* gradients, index ld, double* bias, double* slope) {
    const index width = up(view.queries, LANES), full = width_of(view);
    const bool whole = view.whole(tile.start, tile.stop);
    vec total{}, tilt{};
    for (index j = tile.start; j < tile.stop; ++j) {
        const float* p = weights + (j - tile.start) * ld;
        float* row = gradients + (j - tile.start) * ld;
        const Range seen = whole ? Range{0, width} : view.queries_of(j, j + 1);
        std::fill(row + width, row + full, 0.0f);
        if (!whole) {
            std::fill(row, row + std::min(seen.start, width), 0.0f);
            std::fill(row + std::max(seen.start, seen.stop), row + width, 0.0f);
        }
        for (index c = seen.start / LANES * LANES; c < seen.stop; c += LANES) {
            const vec weight = at(p + c), ds = at(row + c) * (all(1.0f) - weight) * weight;
            at(row + c) = ds;
            total += ds;
            if (slope) tilt += ds * distances(view.first + c + view.shift - j);
        }
    }
    for (index m = tile.stop - tile.start; m < filled(tile.stop - tile.start); ++m)
        std::fill(gradients + m * ld, gradients + m * ld + full, 0.0f);
    *bias += double(sum(total));
    if (slope) *slope -= double(sum(tilt));
}

inline float slope_of(const Call& call, const Sequence& sequence, index head) {
    return call.slopes ? call.slopes[sequence.slopes_row * call.slopes_apart + head] : 0.0f;
}

template <typename T>
inline T* row_of(const Tensor& tensor, index batch, index head, index row) {
    return static_cast<T*>(tensor.data) + batch * tensor.batch + head * tensor.head + row * tensor.row;
}

inline View view_of(const Call& call, const Sequence& sequence, index first, index block) {
    return {first, std::min(block, sequence.queries - first), sequence.keys - sequence.queries, call.left, call.right,
            sequence.seen};
}

// Keys and values of a tile as elements, filled up with zeros to whole vectors and to `filled` rows.
template <typename T, typename Element>
void read_tile(const Call& call, const Sizes& s, const Sequence& sequence, index key_head, Range tile, Element* keys,
               Element* values) {
    constexpr index N = NUMBERS<Element>;
    const index row = sequence.key + tile.start, count = tile.stop - tile.start, padded = filled(count);
    read(row_of<const T>(call.k, sequence.batch, key_head, row), call.k.row, count, call.dim, 1.0f, keys, s.dim / N, padded,
         s.dim);
    read(row_of<const T>(call.v, sequence.batch, key_head, row), call.v.row, count, call.value_dim, 1.0f, values,
         s.value_dim / N, padded, s.value_dim);
}

// Queries of floats carry the scale; those of pairs stay as they are, and the scale is for the scores and for dK.
template <typename Element>
inline float scale_of_queries(const Call& call) {
    return NUMBERS<Element> == 1 ? call.scale : 1.0f;
}
template <typename Element>
inline float scale_of_scores(const Call& call) {
    return NUMBERS<Element> == 1 ? 1.0f : call.scale;
}

constexpr index SLACK = 32 * 16;  // for pieces that are rounded up to whole cache lines

// Cuts `count` elements off the front of memory, on whole cache lines.
template <typename Element = float>
inline Element* cut(float*& memory, index count) {
    Element* piece = reinterpret_cast<Element*>(memory);
    memory += up(count, 16);
    return piece;
}

// --- Forward ---------------------------------------------------------------------------------------------------------------

index forward_memory(const Sizes& s) {
    return s.block * (s.dim + s.value_dim) + (s.dim + s.value_dim + 2 * KEYS) * s.ld + KEYS * (s.dim + 2 * s.value_dim) + SLACK;
}

template <typename T, typename Element>
void forward_block(const Call& call, const Sizes& s, const Sequence& sequence, index head, index first, float* memory) {
    const View view = view_of(call, sequence, first, s.block);
    const Units units;
    const index width = width_of(view), key_head = head / (call.heads / call.key_heads);
    constexpr index N = NUMBERS<Element>;
    Element* query_rows = cut<Element>(memory, s.block * s.dim / N);
    float* rows = cut(memory, s.block * s.value_dim);
    Element* queries = cut<Element>(memory, s.dim / N * s.ld);
    float* total = cut(memory, s.value_dim * s.ld);
    float* scores = cut(memory, KEYS * s.ld);
    Element* weights = cut<Element>(memory, N == 1 ? 0 : KEYS / N * s.ld);
    Element* keys = cut<Element>(memory, KEYS * s.dim / N);
    Element* values = cut<Element>(memory, KEYS * s.value_dim / N);
    Element* turned = cut<Element>(memory, N == 1 ? 0 : KEYS * s.value_dim);
    read(row_of<const T>(call.q, sequence.batch, head, sequence.query + first), call.q.row, view.queries, call.dim,
         scale_of_queries<Element>(call), query_rows, s.dim / N, width, s.dim);
    transpose(query_rows, s.dim / N, width, s.dim / N, queries, s.ld);
    const Activation activation{scale_of_scores<Element>(call), call.bias, slope_of(call, sequence, head),
                                call.slopes != nullptr};
    const Range seen = view.keys_of(0, view.queries);
    if (seen.empty())
        for (index d = 0; d < s.value_dim; ++d) std::fill(total + d * s.ld, total + d * s.ld + width, 0.0f);
    for (index start = seen.start; start < seen.stop; start += KEYS) {
        const Range tile{start, std::min(start + KEYS, seen.stop)};
        read_tile<T>(call, s, sequence, key_head, tile, keys, values);
        products(view, tile, keys, s.dim, call.dim, queries, s.ld, scores);
        activate(view, tile, activation, scores, s.ld);
        const Element* seen_values = across(values, s.value_dim, turned);
        const Element* narrowed = over_keys(scores, filled(tile.stop - start), width, s.ld, weights);
        if (start == seen.start)
            add_to_queries<false>(view, tile, seen_values, s.value_dim, narrowed, s.ld, total);
        else
            add_to_queries<true>(view, tile, seen_values, s.value_dim, narrowed, s.ld, total);
    }
    transpose(total, s.ld, s.value_dim, width, rows, s.value_dim);
    write(rows, s.value_dim, view.queries, call.value_dim, 1.0f,
          row_of<T>(call.out, sequence.batch, head, sequence.query + first), call.out.row);
}

// --- Backward --------------------------------------------------------------------------------------------------------------

index backward_memory(const Sizes& s) {
    return s.block * (2 * s.dim + s.value_dim) + (2 * s.dim + s.value_dim + 3 * KEYS) * s.ld +
           KEYS * (2 * s.dim + s.value_dim) + SLACK;
}

// One block of queries: its own gradient is stored, those of keys and values are added to.
template <typename T, typename Element>
void backward_block(const Call& call, const Sizes& s, const Sequence& sequence, index head, index first, float* memory,
                    float* key_total, float* value_total, double* bias, double* slope) {
    const View view = view_of(call, sequence, first, s.block);
    const Units units;
    const index width = width_of(view), key_head = head / (call.heads / call.key_heads);
    constexpr index N = NUMBERS<Element>;
    Element* query_rows = cut<Element>(memory, s.block * s.dim / N);
    Element* grad_rows = cut<Element>(memory, s.block * s.value_dim / N);
    Element* queries = cut<Element>(memory, s.dim / N * s.ld);
    Element* grads = cut<Element>(memory, s.value_dim / N * s.ld);
    float* rows = N == 1 ? reinterpret_cast<float*>(query_rows) : cut(memory, s.block * s.dim);
    Element* query_pairs = cut<Element>(memory, N == 1 ? 0 : s.block * s.dim / N);
    Element* grad_pairs = cut<Element>(memory, N == 1 ? 0 : s.block * s.value_dim / N);
    float* total = cut(memory, s.dim * s.ld);
    float* weights = cut(memory, KEYS * s.ld);
    float* gradients = cut(memory, KEYS * s.ld);
    Element* narrow = cut<Element>(memory, N == 1 ? 0 : KEYS / N * s.ld);
    Element* keys = cut<Element>(memory, KEYS * s.dim / N);
    Element* values = cut<Element>(memory, KEYS * s.value_dim / N);
    Element* turned = cut<Element>(memory, N == 1 ? 0 : KEYS * s.dim);
    read(row_of<const T>(call.q, sequence.batch, head, sequence.query + first), call.q.row, view.queries, call.dim,
         scale_of_queries<Element>(call), query_rows, s.dim / N, width, s.dim);
    read(row_of<const T>(call.grad, sequence.batch, head, sequence.query + first), call.grad.row, view.queries, call.value_dim,
         1.0f, grad_rows, s.value_dim / N, width, s.value_dim);
    transpose(query_rows, s.dim / N, width, s.dim / N, queries, s.ld);
    transpose(grad_rows, s.value_dim / N, width, s.value_dim / N, grads, s.ld);
    const Element* side_by_side = together(query_rows, width, s.dim, query_pairs);
    const Element* grads_side_by_side = together(grad_rows, width, s.value_dim, grad_pairs);
    const Activation activation{scale_of_scores<Element>(call), call.bias, slope_of(call, sequence, head),
                                call.slopes != nullptr};
    const Range seen = view.keys_of(0, view.queries);
    if (seen.empty())
        for (index d = 0; d < s.dim; ++d) std::fill(total + d * s.ld, total + d * s.ld + width, 0.0f);
    for (index start = seen.start; start < seen.stop; start += KEYS) {
        const Range tile{start, std::min(start + KEYS, seen.stop)};
        const index padded = filled(tile.stop - start);
        read_tile<T>(call, s, sequence, key_head, tile, keys, values);
        products(view, tile, keys, s.dim, call.dim, queries, s.ld, weights);
        activate(view, tile, activation, weights, s.ld);
        add_to_keys(view, tile, over_queries(weights, padded, width, s.ld, narrow), s.ld, grads_side_by_side, s.value_dim,
                    value_total + start * s.value_dim);
        products(view, tile, values, s.value_dim, call.value_dim, grads, s.ld, gradients);
        differentiate(view, tile, weights, gradients, s.ld, bias, slope);
        add_to_keys(view, tile, over_queries(gradients, padded, width, s.ld, narrow), s.ld, side_by_side, s.dim,
                    key_total + start * s.dim);
        const Element* seen_keys = across(keys, s.dim, turned);
        const Element* narrowed = over_keys(gradients, padded, width, s.ld, narrow);
        if (start == seen.start)
            add_to_queries<false>(view, tile, seen_keys, s.dim, narrowed, s.ld, total);
        else
            add_to_queries<true>(view, tile, seen_keys, s.dim, narrowed, s.ld, total);
    }
    transpose(total, s.ld, s.dim, width, rows, s.dim);
    write(rows, s.dim, view.queries, call.dim, call.scale,
          row_of<T>(call.dq, sequence.batch, head, sequence.query + first), call.dq.row);
}

// --- Work for threads ------------------------------------------------------------------------------------------------------

// Calls work(number, scratch) for every number below `count`, on as many threads as asked for; false where memory is missing.
// Numbers are handed out from the last to the first: late queries see the most keys under a causal mask, and long work first
// leaves no thread waiting at the end.
template <typename Work>
bool on_threads(index count, index threads, index memory, Work work) {
    std::atomic<index> next{count};
    std::atomic<bool> enough{true};
    threads = std::max<index>(1, std::min(threads, count));
    const auto body = [&] {
        // Kept from call to call: fresh pages would cost as much as a short sequence.
        static thread_local Memory scratch;
        if (!scratch.hold(memory)) {
            enough = false;
            return;
        }
        for (index number; (number = --next) >= 0;) work(number, scratch.data);
    };
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(static_cast<int>(threads))
        body();
        return enough;
    }
#endif
    body();
    return enough;
}

// Numbers the pieces of all sequences, where sequence i has pieces(i) of them.
template <typename Pieces>
std::vector<index> numbered(const Call& call, Pieces pieces) {
    std::vector<index> starts(static_cast<std::size_t>(call.count) + 1, 0);
    for (index i = 0; i < call.count; ++i) starts[i + 1] = starts[i] + pieces(call.sequences[i]);
    return starts;
}

inline index sequence_at(const std::vector<index>& starts, index number) {
    return std::upper_bound(starts.begin(), starts.end(), number) - starts.begin() - 1;
}

inline index longest(const Call& call) {
    index most = 0;
    for (index i = 0; i < call.count; ++i) most = std::max(most, call.sequences[i].queries);
    return most;
}

inline index blocks_of(const Sequence& sequence, index block) { return (sequence.queries + block - 1) / block; }

template <typename T, typename Element>
bool forward(const Call& call) {
    const Sizes s = sizes_of<Element>(call, longest(call), 1, 1);
    if (s.block == 0) return true;
    const auto starts = numbered(call, [&](const Sequence& one) { return blocks_of(one, s.block) * call.heads; });
    return on_threads(starts.back(), call.threads, forward_memory(s), [&](index number, float* scratch) {
        const index i = sequence_at(starts, number), piece = number - starts[i];
        const index blocks = blocks_of(call.sequences[i], s.block);
        forward_block<T, Element>(call, s, call.sequences[i], piece / blocks, piece % blocks * s.block, scratch);
    });
}

template <typename T, typename Element>
bool backward(const Call& call) {
    const Sizes s = sizes_of<Element>(call, longest(call), 2, 2);
    const index group = call.heads / call.key_heads, together = call.count * call.key_heads;
    if (together == 0) return true;
    // Whoever has a key head has the gradients of its keys to itself. Where there are too few for all threads, several share one,
    // each with totals of its own, which are added up in the same order whoever comes first.
    const index most = std::max<index>(1, s.block ? group * ((longest(call) + s.block - 1) / s.block) : 1);
    index sharing = 1;
    while (sharing < most && together * sharing < 4 * call.threads && together * sharing % call.threads) ++sharing;
    const index row = s.dim + s.value_dim, units = together * sharing;
    std::vector<double> sums(static_cast<std::size_t>(units) * (1 + group), 0.0);
    std::vector<Memory> totals(static_cast<std::size_t>(units));
    const auto finish = [&](const Sequence& one, index key_head, const float* keys, const float* values) {
        write(keys, s.dim, one.keys, call.dim, scale_of_scores<Element>(call), row_of<T>(call.dk, one.batch, key_head, one.key), call.dk.row);
        write(values, s.value_dim, one.keys, call.value_dim, 1.0f, row_of<T>(call.dv, one.batch, key_head, one.key), call.dv.row);
    };
    std::atomic<bool> enough{true};
    const bool fine = on_threads(units, call.threads, backward_memory(s), [&](index unit, float* scratch) {
        const index part = unit % sharing, key_head = unit / sharing % call.key_heads, i = unit / sharing / call.key_heads;
        const Sequence& one = call.sequences[i];
        Memory& mine = totals[unit];
        const index length = one.keys + FULL_ROWS;
        if (!mine.hold(length * row)) {
            enough = false;
            return;
        }
        std::memset(mine.data, 0, static_cast<std::size_t>(length * row) * 4);
        float *keys = mine.data, *values = mine.data + length * s.dim;
        const index blocks = s.block ? blocks_of(one, s.block) : 0;
        for (index number = part; number < blocks * group; number += sharing) {
            const index member = number / blocks, head = key_head * group + member;
            double* sum = sums.data() + unit * (1 + group);
            backward_block<T, Element>(call, s, one, head, number % blocks * s.block, scratch, keys, values, sum,
                              call.dslopes ? sum + 1 + member : nullptr);
        }
        if (sharing == 1) {
            finish(one, key_head, keys, values);
            mine.release();
        }
    });
    if (!fine || !enough) return false;
    if (sharing > 1) {
        on_threads(together, call.threads, 0, [&](index number, float*) {
            const Sequence& one = call.sequences[number / call.key_heads];
            const index length = one.keys + FULL_ROWS;
            float* first = totals[number * sharing].data;
            for (index part = 1; part < sharing; ++part) {
                const float* other = totals[number * sharing + part].data;
                for (index x = 0; x < length * row; ++x) first[x] += other[x];
            }
            finish(one, number % call.key_heads, first, first + length * s.dim);
        });
    }
    for (index unit = 0; unit < units; ++unit) {
        const double* sum = sums.data() + unit * (1 + group);
        if (call.dbias) *call.dbias += sum[0];
        const index key_head = unit / sharing % call.key_heads, slopes_row = call.sequences[unit / sharing / call.key_heads].slopes_row;
        for (index member = 0; call.dslopes && member < group; ++member)
            call.dslopes[slopes_row * call.slopes_apart + key_head * group + member] += sum[1 + member];
    }
    return true;
}

// What bfloat16s are multiplied as.
#ifdef MULTIPLIES_PAIRS
using bfloat16_element = pair;
#else
using bfloat16_element = float;
#endif

template <typename Function>
int told(Function function) {
    try {
        return !function();
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

// 0 where it is done, 1 where memory is missing.
extern "C" int sigmoid_attention_forward(const Call* call) {
    return told([&] { return call->dtype ? forward<bfloat16, bfloat16_element>(*call) : forward<float, float>(*call); });
}

extern "C" int sigmoid_attention_backward(const Call* call) {
    return told([&] { return call->dtype ? backward<bfloat16, bfloat16_element>(*call) : backward<float, float>(*call); });
}

extern "C" int sigmoid_attention_size() { return sizeof(Call); }
