/* Element types and vectors of the kernels: with -DBF16 elements are bfloat16, without, float32. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Vectors, in the notation of gcc and clang; on narrower machines each is several registers. */
#define LANES 16
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef float Half __attribute__((vector_size(2 * LANES)));
typedef float Quarter __attribute__((vector_size(LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));

static inline Lanes lanes_at(const float *x) {
    Lanes lanes;
    memcpy(&lanes, x, sizeof lanes);
    return lanes;
}

static inline float total(Lanes lanes) {
    struct { Half low, high; } halves;
    struct { Quarter low, high; } quarters;
    memcpy(&halves, &lanes, sizeof halves);
    Half half = halves.low + halves.high;
    memcpy(&quarters, &half, sizeof quarters);
    Quarter q = quarters.low + quarters.high;
    return (q[0] + q[2]) + (q[1] + q[3]);
}

typedef union {
    uint32_t bits;
    float real;
} Word;

/* bfloat16 is the upper half of a float32 */
static inline float load_bfloat16(uint16_t value) { return (Word){(uint32_t)value << 16}.real; }

#ifdef BF16
typedef uint16_t T;

static inline float load(T value) { return load_bfloat16(value); }

static inline T store(float value) {
    uint32_t bits = (Word){.real = value}.bits;
    T rounded = (T)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* ties to even, as torch does */
    /* NaN is kept from rounding to infinity */
    return value != value ? (T)(bits >> 16 | 0x40) : rounded;
}

/* Two neighbours are read as one word and split without a shuffle, so vectors in float32 hold first
   the values at even places, then those at odd places, then the last one if n is odd. */
static inline uint32_t two(const T *x, int64_t i) {
    uint32_t word;
    memcpy(&word, x + 2 * i, sizeof word);
    return word;
}
static inline float even(uint32_t word) { return (Word){word << 16}.real; }
static inline float odd(uint32_t word) { return (Word){word & 0xffff0000u}.real; }

static inline Words words_at(const T *x) {
    Words words;
    memcpy(&words, x, sizeof words);
    return words;
}
static inline Lanes even_lanes(Words words) { return (Lanes)(words << 16); }
static inline Lanes odd_lanes(Words words) { return (Lanes)(words & 0xffff0000u); }

static inline int64_t place(int64_t i, int64_t n) {
    return i == n - 1 && n % 2 ? i : i / 2 + i % 2 * (n / 2);
}

static inline void widen(const T *x, int64_t n, float *restrict out) {
    int64_t half = n / 2;
    for (int64_t i = 0; i < half; i++) {
        out[i] = even(two(x, i));
        out[half + i] = odd(two(x, i));
    }
    if (n % 2) out[n - 1] = load(x[n - 1]);
}
#else
typedef float T;

static inline float load(T value) { return value; }
static inline T store(float value) { return value; }
static inline int64_t place(int64_t i, int64_t n) { return (void)n, i; }

static inline void widen(const T *x, int64_t n, float *out) {
    memcpy(out, x, (size_t)n * sizeof(float));
}
#endif

static inline float rounded(float value) { return load(store(value)); }

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

/* Scratch space on a vector's boundary: a vector that lies across two cache lines is read twice */
static float *floats(int64_t n) {
    return aligned_alloc(sizeof(Lanes), (size_t)(n / LANES + 1) * sizeof(Lanes));
}

/* exp to 2 units in the last place, by a branchless polynomial that compilers vectorise */
static inline float fast_exp(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the sum holds round(x / ln 2) */
    float n = shifted - 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts (Cody and Waite) */
    float p = 1.9875691500e-4f; /* coefficients of Cephes' expf */
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { float real; uint32_t bits; } sum = {shifted}, power;
    power.bits = (sum.bits + 127 - 0x4b400000) << 23; /* 2^n */
    return p * power.real;
}
