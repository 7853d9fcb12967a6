/* Decoding steps for a few rows on a CPU, where the time is that of reading the weights once.

   Compiled once per element type: with -DBF16 for bfloat16, without for float32. Sums are in float32
   and rounded once, when they are complete. Matrices are row-major and without gaps unless a
   stride is named. A matrix is read one row after the other, as memory likes it: reading four rows
   side by side takes 2.4 times as long. Functions return 0, or -1 if there was no memory for their
   scratch space. */

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

static inline float dot(const T *w, const float *x, int64_t n) {
    int64_t half = n / 2, i = 0;
    const float *y = x + half;
    Lanes a = {0}, b = {0};
    for (; i + LANES <= half; i += LANES) {
        Words words = words_at(w + 2 * i);
        a += even_lanes(words) * lanes_at(x + i);
        b += odd_lanes(words) * lanes_at(y + i);
    }
    float sum = total(a + b);
    for (; i < half; i++) sum += even(two(w, i)) * x[i] + odd(two(w, i)) * y[i];
    return n % 2 ? sum + load(w[n - 1]) * x[n - 1] : sum;
}

/* Rows v and w times four vectors, x, that lie one after the other */
static inline void dot2x4(const T *v, const T *w, const float *x, int64_t n, float out[2][4]) {
    int64_t half = n / 2, i = 0;
    Lanes sums[2][4] = {{{0}}};
    for (; i + LANES <= half; i += LANES) {
        Words a = words_at(v + 2 * i), b = words_at(w + 2 * i);
        for (int r = 0; r < 4; r++) {
            Lanes e = lanes_at(x + r * n + i), o = lanes_at(x + r * n + half + i);
            sums[0][r] += even_lanes(a) * e + odd_lanes(a) * o;
            sums[1][r] += even_lanes(b) * e + odd_lanes(b) * o;
        }
    }
    for (int r = 0; r < 4; r++) {
        const float *y = x + r * n;
        out[0][r] = total(sums[0][r]), out[1][r] = total(sums[1][r]);
        for (int64_t j = 2 * i; j < n; j++) {
            out[0][r] += load(v[j]) * y[place(j, n)];
            out[1][r] += load(w[j]) * y[place(j, n)];
        }
    }
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
    int64_t i = 0;
    Lanes a = {0}, b = {0};
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a += lanes_at(w + i) * lanes_at(x + i);
        b += lanes_at(w + i + LANES) * lanes_at(x + i + LANES);
    }
    float sum = total(a + b);
    for (; i < n; i++) sum += w[i] * x[i];
    return sum;
}

/* Rows v and w times four vectors, x, that lie one after the other */
static inline void dot2x4(const T *v, const T *w, const float *x, int64_t n, float out[2][4]) {
    int64_t i = 0;
    Lanes sums[2][4] = {{{0}}};
    for (; i + LANES <= n; i += LANES)
        for (int r = 0; r < 4; r++) {
            Lanes y = lanes_at(x + r * n + i);
            sums[0][r] += lanes_at(v + i) * y;
            sums[1][r] += lanes_at(w + i) * y;
        }
    for (int r = 0; r < 4; r++) {
        out[0][r] = total(sums[0][r]), out[1][r] = total(sums[1][r]);
        for (int64_t j = i; j < n; j++) {
            out[0][r] += v[j] * x[r * n + j];
            out[1][r] += w[j] * x[r * n + j];
        }
    }
}
#endif

static inline float rounded(float value) { return load(store(value)); }

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

/* out (rows, n) = x / sqrt(mean(x^2) + eps), rounded, times weight, rounded */
int rms_norm(const T *x, const T *weight, T *out, int64_t rows, int64_t n, float eps) {
    for (int64_t row = 0; row < rows; row++, x += n, out += n) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) sum += load(x[i]) * load(x[i]);
        float scale = 1 / sqrtf(sum / (float)n + eps);
        for (int64_t i = 0; i < n; i++)
            out[i] = store(load(weight[i]) * rounded(load(x[i]) * scale));
    }
    return 0;
}

/* out (rows, hidden): the sum over a row's top_k experts e of
   share * down[e] @ (silu(gate[e] @ x) * (up[e] @ x)).
   ids and shares (rows, top_k); gate_up (experts, 2 * inner, hidden), gate rows first;
   down (experts, hidden, inner) */
int routed_experts(const T *x, const int64_t *ids, const float *shares, const T *gate_up,
                   const T *down, T *out, int64_t rows, int64_t top_k, int64_t hidden,
                   int64_t inner, int threads) {
    float *wide = floats(hidden), *between = floats(top_k * inner);
    if (!wide || !between) {
        free(wide), free(between);
        return -1;
    }
    for (int64_t row = 0; row < rows; row++, ids += top_k, shares += top_k) {
        widen(x + row * hidden, hidden, wide);
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
#pragma omp for schedule(static)
            for (int64_t unit = 0; unit < top_k * inner; unit++) {
                int64_t m = unit / inner, i = unit % inner;
                const T *gate = gate_up + (ids[m] * 2 * inner + i) * hidden;
                /* rounded where torch's separate steps would round */
                float g = rounded(dot(gate, wide, hidden));
                float u = rounded(dot(gate + inner * hidden, wide, hidden));
                float silu = rounded(g / (1.0f + expf(-g)));
                between[m * inner + place(i, inner)] = rounded(silu * u);
            }
#pragma omp for schedule(static)
            for (int64_t c = 0; c < hidden; c++) {
                float sum = 0;
                for (int64_t m = 0; m < top_k; m++) {
                    const T *w = down + (ids[m] * hidden + c) * inner;
                    sum += shares[m] * dot(w, between + m * inner, inner);
                }
                out[row * hidden + c] = store(sum);
            }
        }
    }
    free(wide), free(between);
    return 0;
}

#define BLOCK 32 /* keys scored at once: their scores and values stay in the first cache */

/* Scratch space of one part of the keys, in floats: see attend_part */
static int64_t part_size(int64_t fours, int64_t dim) {
    int64_t size = fours * (dim + 2) + fours * BLOCK + BLOCK * dim + LANES;
    return (size + LANES - 1) / LANES * LANES;
}

/* sums (4, dim) += weights (4, BLOCK) @ values (keys, dim) */
static inline void add_values(float *sums, const float *weights, const float *values, int64_t keys,
                              int64_t dim) {
    int64_t d = 0;
    for (; d + 2 * LANES <= dim; d += 2 * LANES) {
        Lanes left[4], right[4];
        for (int r = 0; r < 4; r++) {
            left[r] = lanes_at(sums + r * dim + d);
            right[r] = lanes_at(sums + r * dim + d + LANES);
        }
        for (int64_t j = 0; j < keys; j++)
            for (int r = 0; r < 4; r++) {
                left[r] += weights[r * BLOCK + j] * lanes_at(values + j * dim + d);
                right[r] += weights[r * BLOCK + j] * lanes_at(values + j * dim + d + LANES);
            }
        for (int r = 0; r < 4; r++) {
            memcpy(sums + r * dim + d, &left[r], sizeof left[r]);
            memcpy(sums + r * dim + d + LANES, &right[r], sizeof right[r]);
        }
    }
    for (; d < dim; d++)
        for (int64_t j = 0; j < keys; j++)
            for (int r = 0; r < 4; r++)
                sums[r * dim + d] += weights[r * BLOCK + j] * values[j * dim + d];
}

/* Queries of a group, q (fours, dim), over keys [begin, end). Leaves in `part` the sums of values
   (fours, dim), not normalised, then each query's highest score and total weight (fours) */
static void attend_part(const float *q, const T *k, const T *v, int64_t k_stride, int64_t v_stride,
                        int64_t begin, int64_t end, int64_t fours, int64_t dim, float *part) {
    float *highest = part + fours * dim, *total = highest + fours; /* (fours), (fours) */
    /* (fours, BLOCK) and (BLOCK, dim), from a vector's boundary on */
    float *scores = part + (fours * (dim + 2) + LANES - 1) / LANES * LANES;
    float *values = scores + fours * BLOCK;
    memset(part, 0, (size_t)(fours * dim) * sizeof(float));
    for (int64_t g = 0; g < fours; g++) highest[g] = -INFINITY, total[g] = 0;
    for (int64_t start = begin; start < end; start += BLOCK) {
        int64_t keys = end - start < BLOCK ? end - start : BLOCK;
        for (int64_t j = 0; j < keys; j += 2) {
            const T *one = k + (start + j) * k_stride, *next = j + 1 < keys ? one + k_stride : one;
            for (int64_t g = 0; g < fours; g += 4) {
                float eight[2][4];
                dot2x4(one, next, q + g * dim, dim, eight);
                for (int r = 0; r < 4; r++)
                    memcpy(scores + (g + r) * BLOCK + j, (float[2]){eight[0][r], eight[1][r]}, 8);
            }
        }
        for (int64_t g = 0; g < fours; g++) {
            float *s = scores + g * BLOCK, top = highest[g], fresh = 0;
#pragma omp simd reduction(max : top)
            for (int64_t j = 0; j < keys; j++) top = s[j] > top ? s[j] : top;
            for (int64_t j = 0; j < BLOCK; j++) s[j] = j < keys ? fast_exp(s[j] - top) : 0.0f;
#pragma omp simd reduction(+ : fresh)
            for (int64_t j = 0; j < BLOCK; j++) fresh += s[j];
            float shrink = fast_exp(highest[g] - top);
            total[g] = total[g] * shrink + fresh;
            if (top != highest[g])
                for (int64_t d = 0; d < dim; d++) part[g * dim + d] *= shrink;
            highest[g] = top;
        }
        for (int64_t j = 0; j < keys; j++) widen(v + (start + j) * v_stride, dim, values + j * dim);
        for (int64_t g = 0; g < fours; g += 4)
            add_values(part + g * dim, scores + g * BLOCK, values, keys, dim);
    }
}

/* out (dim) = one query's sums over all parts, normalised; the first part's sums are overwritten */
static void join_parts(float *parts, int64_t splits, int64_t size, int64_t g, int64_t fours,
                       int64_t dim, T *out) {
    float *joined = parts + g * dim, top = -INFINITY, total = 0;
    for (int64_t s = 0; s < splits; s++) {
        float highest = parts[s * size + fours * dim + g];
        top = highest > top ? highest : top;
    }
    for (int64_t s = 0; s < splits; s++) {
        const float *part = parts + s * size, *sums = part + g * dim;
        float weight = fast_exp(part[fours * dim + g] - top);
        total += weight * part[fours * (dim + 1) + g];
        for (int64_t d = 0; d < dim; d++) joined[d] = (s ? joined[d] : 0) + weight * sums[d];
    }
    float share = 1 / total;
    for (int64_t d = 0; d < dim; d++) out[d] = store(joined[place(d, dim)] * share);
}

/* out (batch, heads, dim) = softmax(q . k * scale) @ v for one query per head.
   q (batch, heads, dim); k and v (batch, kv_heads, keys, dim), their first three strides given in
   elements; the keys are cut into `splits` parts, which threads take */
int attention(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
              int64_t kv_heads, int64_t keys, int64_t dim, const int64_t *k_strides,
              const int64_t *v_strides, float scale, int64_t splits, int threads) {
    int64_t pairs = batch * kv_heads, group = heads / kv_heads, fours = (group + 3) / 4 * 4;
    int64_t step = (keys + splits - 1) / splits, size = part_size(fours, dim);
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
                    end, fours, dim, parts + unit * size);
    }
    for (int64_t head = 0; head < batch * heads; head++)
        join_parts(parts + head / group * splits * size, splits, size, head % group, fours, dim,
                   out + head * dim);
    free(wide), free(parts);
    return 0;
}
