/* Decoding steps for a few rows on a CPU, where the time is that of reading the weights once.

   Compiled once per element type: with -DBF16 for bfloat16, without for float32. Everything is
   computed in float32 and rounded once, on output. Matrices are row-major and without gaps unless a
   stride is named. A matrix is read one row after the other, as memory likes it: reading four rows
   side by side takes 2.4 times as long. Functions return 0, or -1 if there was no memory for their
   scratch space. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef BF16
typedef uint16_t T; /* the upper half of a float32 */

typedef union {
    uint32_t bits;
    float real;
} Word;

static inline float load(T value) { return (Word){(uint32_t)value << 16}.real; }

static inline T store(float value) {
    uint32_t bits = (Word){.real = value}.bits;
    if (value != value) return (T)(bits >> 16 | 0x40); /* NaN, kept from rounding to infinity */
    return (T)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* ties to even, as torch does */
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

static inline float dot(const T *w, const float *x, int64_t n) {
    int64_t half = n / 2;
    float a = n % 2 ? load(w[n - 1]) * x[n - 1] : 0, b = 0;
#pragma omp simd reduction(+ : a, b)
    for (int64_t i = 0; i < half; i++) {
        a += even(two(w, i)) * x[i];
        b += odd(two(w, i)) * x[half + i];
    }
    return a + b;
}

/* w times four vectors that lie one after the other */
static inline void dot4(const T *w, const float *x, int64_t n, float out[4]) {
    int64_t half = n / 2;
    const float *x1 = x + n, *x2 = x1 + n, *x3 = x2 + n;
    float a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t i = 0; i < half; i++) {
        float e = even(two(w, i)), o = odd(two(w, i));
        a += e * x[i] + o * x[half + i];
        b += e * x1[i] + o * x1[half + i];
        c += e * x2[i] + o * x2[half + i];
        d += e * x3[i] + o * x3[half + i];
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    if (n % 2)
        for (int r = 0; r < 4; r++) out[r] += load(w[n - 1]) * x[r * n + n - 1];
}
#else
typedef float T;

static inline float load(T value) { return value; }
static inline T store(float value) { return value; }
static inline int64_t place(int64_t i, int64_t n) { return (void)n, i; }

static inline void widen(const T *x, int64_t n, float *out) {
    memcpy(out, x, (size_t)n * sizeof(float));
}

static inline float dot(const T *w, const float *x, int64_t n) {
    float a = 0;
#pragma omp simd reduction(+ : a)
    for (int64_t i = 0; i < n; i++) a += w[i] * x[i];
    return a;
}

/* w times four vectors that lie one after the other */
static inline void dot4(const T *w, const float *x, int64_t n, float out[4]) {
    const float *x1 = x + n, *x2 = x1 + n, *x3 = x2 + n;
    float a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t i = 0; i < n; i++) {
        a += w[i] * x[i];
        b += w[i] * x1[i];
        c += w[i] * x2[i];
        d += w[i] * x3[i];
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}
#endif

static float *floats(int64_t n) { return malloc((size_t)(n > 0 ? n : 1) * sizeof(float)); }

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

/* out (rows, outputs) = x (rows, inputs) @ weight (outputs, inputs)^T + bias; bias may be NULL */
int linear(const T *x, const T *weight, const T *bias, T *out, int64_t rows, int64_t inputs,
           int64_t outputs, int threads) {
    float *wide = floats(rows * inputs);
    if (!wide) return -1;
    for (int64_t row = 0; row < rows; row++) widen(x + row * inputs, inputs, wide + row * inputs);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t row = 0; row < rows; row++) {
            float sum = dot(weight + o * inputs, wide + row * inputs, inputs);
            out[row * outputs + o] = store(bias ? sum + load(bias[o]) : sum);
        }
    free(wide);
    return 0;
}

/* out (hidden) = sum over m of share[m] * down[m] @ (silu(gate[m] @ x) * (up[m] @ x)) */
static int gated_sum(const T *x, const T *const *gate, const T *const *up, const T *const *down,
                     const float *share, T *out, int64_t count, int64_t hidden, int64_t inner,
                     int threads) {
    float *wide = floats(hidden), *between = floats(count * inner);
    if (!wide || !between) {
        free(wide), free(between);
        return -1;
    }
    widen(x, hidden, wide);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t unit = 0; unit < count * inner; unit++) {
            int64_t m = unit / inner, i = unit % inner;
            float g = dot(gate[m] + i * hidden, wide, hidden);
            float u = dot(up[m] + i * hidden, wide, hidden);
            between[m * inner + place(i, inner)] = g / (1.0f + fast_exp(-g)) * u;
        }
#pragma omp for schedule(static)
        for (int64_t c = 0; c < hidden; c++) {
            float total = 0;
            for (int64_t m = 0; m < count; m++)
                total += share[m] * dot(down[m] + c * inner, between + m * inner, inner);
            out[c] = store(total);
        }
    }
    free(wide), free(between);
    return 0;
}

/* out (rows, hidden) = down @ (silu(gate @ x) * (up @ x)); gate and up (inner, hidden) */
int gated_mlp(const T *x, const T *gate, const T *up, const T *down, T *out, int64_t rows,
              int64_t hidden, int64_t inner, int threads) {
    const float one = 1.0f;
    for (int64_t row = 0; row < rows; row++)
        if (gated_sum(x + row * hidden, &gate, &up, &down, &one, out + row * hidden, 1, hidden,
                      inner, threads))
            return -1;
    return 0;
}

/* out (rows, hidden): the sum of each row's top_k experts, weighted by shares (rows, top_k);
   gate_up (experts, 2 * inner, hidden), gate rows first; down (experts, hidden, inner) */
int routed_experts(const T *x, const int64_t *ids, const float *shares, const T *gate_up,
                   const T *down, T *out, int64_t rows, int64_t top_k, int64_t hidden,
                   int64_t inner, int threads) {
    const T *gates[top_k], *ups[top_k], *downs[top_k];
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t m = 0; m < top_k; m++) {
            int64_t expert = ids[row * top_k + m];
            gates[m] = gate_up + expert * 2 * inner * hidden;
            ups[m] = gates[m] + inner * hidden;
            downs[m] = down + expert * hidden * inner;
        }
        if (gated_sum(x + row * hidden, gates, ups, downs, shares + row * top_k,
                      out + row * hidden, top_k, hidden, inner, threads))
            return -1;
    }
    return 0;
}

#define BLOCK 32 /* keys scored at once: their scores and values stay in the first cache */

/* Scratch space of one part of the keys, in floats: see attend_part */
static int64_t part_size(int64_t group, int64_t dim) {
    return group * (dim + 2) + 4 * dim + (group + 3) / 4 * 4 * BLOCK;
}

/* A group of queries, q (group rounded up to fours, dim), over keys [begin, end). Leaves in `part`
   the sums of values (group, dim), not normalised, then the highest score and the total weight of
   each query (group) */
static void attend_part(const float *q, const T *k, const T *v, int64_t k_stride, int64_t v_stride,
                        int64_t begin, int64_t end, int64_t group, int64_t dim, float *part) {
    float *highest = part + group * dim, *total = highest + group;
    float *values = total + group, *scores = values + 4 * dim; /* (4, dim), (BLOCK, fours) */
    int64_t fours = (group + 3) / 4 * 4;
    memset(part, 0, (size_t)(group * dim) * sizeof(float));
    for (int64_t g = 0; g < group; g++) highest[g] = -INFINITY, total[g] = 0;
    for (int64_t start = begin; start < end; start += BLOCK) {
        int64_t keys = end - start < BLOCK ? end - start : BLOCK;
        for (int64_t j = 0; j < keys; j++)
            for (int64_t g = 0; g < fours; g += 4)
                dot4(k + (start + j) * k_stride, q + g * dim, dim, scores + j * fours + g);
        for (int64_t g = 0; g < group; g++) {
            float weights[BLOCK], top = highest[g], fresh = 0;
            for (int64_t j = 0; j < BLOCK; j++)
                weights[j] = j < keys ? scores[j * fours + g] : -INFINITY;
            for (int64_t j = 0; j < keys; j++) top = weights[j] > top ? weights[j] : top;
            for (int64_t j = 0; j < BLOCK; j++) weights[j] = fast_exp(weights[j] - top);
            for (int64_t j = 0; j < keys; j++) fresh += weights[j];
            for (int64_t j = 0; j < BLOCK; j++)
                scores[j * fours + g] = j < keys ? weights[j] : 0.0f;
            float shrink = fast_exp(highest[g] - top);
            total[g] = total[g] * shrink + fresh;
            if (top != highest[g])
                for (int64_t d = 0; d < dim; d++) part[g * dim + d] *= shrink;
            highest[g] = top;
        }
        for (int64_t j = 0; j < keys; j += 4) { /* past the end, the last value has no weight */
            for (int64_t r = 0; r < 4; r++) {
                int64_t key = start + (j + r < keys ? j + r : keys - 1);
                widen(v + key * v_stride, dim, values + r * dim);
            }
            const float *v1 = values + dim, *v2 = v1 + dim, *v3 = v2 + dim;
            for (int64_t g = 0; g < group; g++) {
                const float *w = scores + j * fours + g;
                float a = w[0], b = w[fours], c = w[2 * fours], e = w[3 * fours];
                float *sum = part + g * dim;
#pragma omp simd
                for (int64_t d = 0; d < dim; d++)
                    sum[d] += (a * values[d] + b * v1[d]) + (c * v2[d] + e * v3[d]);
            }
        }
    }
}

/* out (dim) = one query's sums over all parts, normalised */
static void join_parts(const float *parts, int64_t splits, int64_t size, int64_t g, int64_t group,
                       int64_t dim, T *out) {
    float top = -INFINITY, total = 0;
    for (int64_t s = 0; s < splits; s++) {
        float highest = parts[s * size + group * dim + g];
        top = highest > top ? highest : top;
    }
    for (int64_t s = 0; s < splits; s++) {
        const float *part = parts + s * size;
        total += fast_exp(part[group * dim + g] - top) * part[group * (dim + 1) + g];
    }
    for (int64_t d = 0; d < dim; d++) {
        float sum = 0;
        for (int64_t s = 0; s < splits; s++) {
            const float *part = parts + s * size;
            sum += fast_exp(part[group * dim + g] - top) * part[g * dim + place(d, dim)];
        }
        out[d] = store(sum / total);
    }
}

/* out (batch, heads, dim) = softmax(q . k * scale) @ v for one query per head.
   q (batch, heads, dim); k and v (batch, kv_heads, keys, dim), their first three strides given in
   elements; the keys are cut into `splits` parts, which threads take */
int attention(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
              int64_t kv_heads, int64_t keys, int64_t dim, const int64_t *k_strides,
              const int64_t *v_strides, float scale, int64_t splits, int threads) {
    int64_t pairs = batch * kv_heads, group = heads / kv_heads, fours = (group + 3) / 4 * 4;
    int64_t step = (keys + splits - 1) / splits, size = part_size(group, dim);
    float *wide = floats(pairs * fours * dim), *parts = floats(pairs * splits * size);
    if (!wide || !parts) {
        free(wide), free(parts);
        return -1;
    }
    memset(wide, 0, (size_t)(pairs * fours * dim) * sizeof(float));
    for (int64_t head = 0; head < batch * heads; head++) {
        float *here = wide + (head / group * fours + head % group) * dim;
        widen(q + head * dim, dim, here);
        for (int64_t d = 0; d < dim; d++) here[d] *= scale;
    }
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t unit = 0; unit < pairs * splits; unit++) {
        int64_t pair = unit / splits, b = pair / kv_heads, h = pair % kv_heads;
        int64_t begin = unit % splits * step, end = begin + step < keys ? begin + step : keys;
        attend_part(wide + pair * fours * dim, k + b * k_strides[0] + h * k_strides[1],
                    v + b * v_strides[0] + h * v_strides[1], k_strides[2], v_strides[2], begin,
                    end, group, dim, parts + unit * size);
    }
    for (int64_t head = 0; head < batch * heads; head++)
        join_parts(parts + head / group * splits * size, splits, size, head % group, group, dim,
                   out + head * dim);
    free(wide), free(parts);
    return 0;
}
