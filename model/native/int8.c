/* Decoding steps of matrices in 8-bit integers for a few rows on a CPU, where the time is that of
   reading them once: half of what bfloat16 takes.

   A matrix has one float32 scale per row: weight = scale * integer. Integers become float32 where
   they are used, and activations stay as they are, so a result differs from that of the matrix
   written out by roundings alone. Compiled once per element type of the activations: with -DBF16
   for bfloat16, without for float32. Matrices are row-major and without gaps. Functions return 0,
   or -1 if there was no memory for their scratch space. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

/* Vectors, in the notation of gcc and clang; on narrower machines each is several registers. */
#define LANES 16
#define BLOCK_ROWS 4 /* of activations that share a conversion of the weights */
#define AHEAD 2048   /* integers: asked for this early, memory gives a quarter more of them */
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Shorts __attribute__((vector_size(2 * LANES)));
typedef float Half __attribute__((vector_size(2 * LANES)));

#ifdef BF16
typedef uint16_t T; /* the upper half of a float32 */

static inline float load(T value) {
    uint32_t bits = (uint32_t)value << 16;
    float real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

static inline T store(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (T)(bits >> 16 | 0x40); /* NaN, kept from rounding to infinity */
    return (T)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* ties to even, as torch does */
}
#else
typedef float T;

static inline float load(T value) { return value; }
static inline T store(float value) { return value; }
#endif

static inline float rounded(float value) { return load(store(value)); }

/* LANES integers as floats: compilers turn the plain loop into shuffles, ten instructions for three */
static inline Lanes weights_at(const int8_t *w) {
    Lanes lanes;
#if defined(__AVX512F__)
    lanes = (Lanes)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)w)));
#elif defined(__AVX2__)
    Half halves[2];
    for (int i = 0; i < 2; i++) {
        __m128i bytes = _mm_loadl_epi64((const void *)(w + i * LANES / 2));
        halves[i] = (Half)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    }
    memcpy(&lanes, halves, sizeof lanes);
#else
    float values[LANES];
    for (int i = 0; i < LANES; i++) values[i] = (float)w[i];
    memcpy(&lanes, values, sizeof lanes);
#endif
    return lanes;
}

static inline Lanes lanes_at(const float *x) {
    Lanes lanes;
    memcpy(&lanes, x, sizeof lanes);
    return lanes;
}

static inline float total(Lanes lanes) {
    float values[LANES];
    memcpy(values, &lanes, sizeof lanes);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) values[i] += values[i + width];
    return values[0];
}

/* Integers times one vector */
static inline float dot(const int8_t *w, const float *x, int64_t n) {
    int64_t i = 0;
    Lanes a = {0}, b = {0};
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        __builtin_prefetch(w + i + AHEAD);
        a += weights_at(w + i) * lanes_at(x + i);
        b += weights_at(w + i + LANES) * lanes_at(x + i + LANES);
    }
    float sum = total(a + b);
    for (; i < n; i++) sum += (float)w[i] * x[i];
    return sum;
}

/* Two rows of integers, n apart, times BLOCK_ROWS vectors that lie one after the other: a vector is
   read once for both */
static inline void dots(const int8_t *w, const float *x, int64_t n, float out[2][BLOCK_ROWS]) {
    int64_t i = 0;
    Lanes sums[2][BLOCK_ROWS] = {{{0}}};
    for (; i + LANES <= n; i += LANES) {
        Lanes one = weights_at(w + i), next = weights_at(w + n + i);
        for (int r = 0; r < BLOCK_ROWS; r++) {
            Lanes lanes = lanes_at(x + r * n + i);
            sums[0][r] += one * lanes;
            sums[1][r] += next * lanes;
        }
    }
    for (int r = 0; r < BLOCK_ROWS; r++) {
        out[0][r] = total(sums[0][r]), out[1][r] = total(sums[1][r]);
        for (int64_t j = i; j < n; j++) {
            out[0][r] += (float)w[j] * x[r * n + j];
            out[1][r] += (float)w[n + j] * x[r * n + j];
        }
    }
}

/* Scratch space on a vector's boundary: a vector that lies across two cache lines is read twice */
static float *floats(int64_t n) {
    return aligned_alloc(sizeof(Lanes), (size_t)(n / LANES + 1) * sizeof(Lanes));
}

static float *widened(const T *x, int64_t n) {
    float *wide = floats(n);
    if (wide)
        for (int64_t i = 0; i < n; i++) wide[i] = load(x[i]);
    return wide;
}

/* out (rows, outputs) = x (rows, inputs) @ weight (outputs, inputs)^T * scale (outputs) + bias;
   bias may be NULL */
int linear(const T *x, const int8_t *weight, const float *scale, const T *bias, T *out,
           int64_t rows, int64_t inputs, int64_t outputs, int threads) {
    float *wide = widened(x, rows * inputs);
    if (!wide) return -1;
    int64_t blocks = rows / BLOCK_ROWS * BLOCK_ROWS;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t pair = 0; pair < (outputs + 1) / 2; pair++) {
        int64_t first = 2 * pair, end = first + 2 < outputs ? first + 2 : outputs, done = 0;
        const int8_t *w = weight + first * inputs;
        if (end == first + 2)
            for (; done < blocks; done += BLOCK_ROWS) {
                float sums[2][BLOCK_ROWS];
                dots(w, wide + done * inputs, inputs, sums);
                for (int64_t o = first; o < end; o++)
                    for (int r = 0; r < BLOCK_ROWS; r++)
                        out[(done + r) * outputs + o] =
                            store(sums[o - first][r] * scale[o] + (bias ? load(bias[o]) : 0.0f));
            }
        for (int64_t o = first; o < end; o++)
            for (int64_t row = done; row < rows; row++) {
                float sum = dot(weight + o * inputs, wide + row * inputs, inputs) * scale[o];
                out[row * outputs + o] = store(sum + (bias ? load(bias[o]) : 0.0f));
            }
    }
    free(wide);
    return 0;
}

/* out (rows, hidden): the sum over a row's top_k experts e of
   share * down[e] @ (silu(gate[e] @ x) * (up[e] @ x)).
   ids and shares (rows, top_k); gate_up (experts, 2 * inner, hidden), gate rows first;
   down (experts, hidden, inner); scales without the last dimension */
int routed_experts(const T *x, const int64_t *ids, const float *shares, const int8_t *gate_up,
                   const float *gate_up_scale, const int8_t *down, const float *down_scale, T *out,
                   int64_t rows, int64_t top_k, int64_t hidden, int64_t inner, int threads) {
    float *wide = widened(x, rows * hidden), *between = floats(top_k * inner);
    if (!wide || !between) {
        free(wide), free(between);
        return -1;
    }
    for (int64_t row = 0; row < rows; row++, ids += top_k, shares += top_k) {
        const float *one = wide + row * hidden;
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
#pragma omp for schedule(static)
            for (int64_t unit = 0; unit < top_k * inner; unit++) {
                int64_t gate = ids[unit / inner] * 2 * inner + unit % inner, up = gate + inner;
                /* rounded where torch's separate steps would round */
                float g = rounded(dot(gate_up + gate * hidden, one, hidden) * gate_up_scale[gate]);
                float u = rounded(dot(gate_up + up * hidden, one, hidden) * gate_up_scale[up]);
                between[unit] = rounded(rounded(g / (1.0f + expf(-g))) * u);
            }
#pragma omp for schedule(static)
            for (int64_t c = 0; c < hidden; c++) {
                float sum = 0;
                for (int64_t m = 0; m < top_k; m++) {
                    int64_t w = ids[m] * hidden + c;
                    sum += shares[m] * down_scale[w] * dot(down + w * inner, between + m * inner, inner);
                }
                out[row * hidden + c] = store(sum);
            }
        }
    }
    free(wide), free(between);
    return 0;
}

#ifdef BF16
/* LANES floats, none of them NaN, as bfloat16 */
static inline void store_lanes(Lanes lanes, T *out) {
    Words bits = (Words)lanes;
    Shorts shorts = __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Shorts);
    memcpy(out, &shorts, sizeof shorts);
}
#else
static inline void store_lanes(Lanes lanes, T *out) { memcpy(out, &lanes, sizeof lanes); }
#endif

/* out (outputs, inputs) = weight * scale: the matrix written out */
int dequantize(const int8_t *weight, const float *scale, T *out, int64_t outputs, int64_t inputs,
               int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t o = 0; o < outputs; o++) {
        const int8_t *w = weight + o * inputs;
        T *row = out + o * inputs;
        int64_t i = 0;
        for (; i + LANES <= inputs; i += LANES)
            store_lanes(weights_at(w + i) * scale[o], row + i);
        for (; i < inputs; i++) row[i] = store((float)w[i] * scale[o]);
    }
    return 0;
}
