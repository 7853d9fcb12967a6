/* Pairs of bfloat16 values, which processors with AVX512_BF16 multiply and add two at a time.

   Up to 16 rows of n values are kept as words of two neighbours: the first two of the first row, of
   the second, ..., then the next two; what lies beyond the last value up to DEPTH is zero. */

#define ROWS 16  /* of pairs; outputs of a product, and vectors of a block */
#define DEPTH 32 /* values of a row in a tile */

#if defined(BF16) && defined(__AVX512BF16__)
#define PAIRS
#include <immintrin.h>

static inline int64_t pairs_size(int64_t n) { return round_up(n, DEPTH) / 2 * ROWS; }

static inline void put_in_pair(float *pairs, int64_t row, int64_t i, float value) {
    ((T *)pairs)[(i / 2 * ROWS + row) * 2 + i % 2] = store(value);
}

/* Make what lies after the last value zero, before the last value is put */
static inline void clear_tail_of_pairs(float *pairs, int64_t n) {
    float *tail = pairs + n / 2 * ROWS;
    memset(tail, 0, (size_t)(pairs + pairs_size(n) - tail) * sizeof *tail);
}

/* Exchange rows and columns of 16 x 16 words: neighbours, then pairs, then quarters of a vector */
static inline void transpose(__m512 *rows) {
    __m512 other[ROWS];
    for (int i = 0; i < ROWS; i += 2) {
        other[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        other[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < ROWS; i += 4)
        for (int j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(other[i + j]), b = _mm512_castps_pd(other[i + j + 2]);
            rows[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            rows[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (int j = 0; j < 4; j++) {
        __m512 a = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0x88);
        __m512 b = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0x88);
        __m512 d = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0xdd);
        other[j] = _mm512_shuffle_f32x4(a, c, 0x88), other[8 + j] = _mm512_shuffle_f32x4(a, c, 0xdd);
        other[4 + j] = _mm512_shuffle_f32x4(b, d, 0x88);
        other[12 + j] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
    memcpy(rows, other, sizeof other);
}

static inline __mmask16 first_lanes(int64_t n) { return (__mmask16)(0xffff >> (ROWS - n)); }

static inline __m512 widened(__m256i elements) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(elements), 16));
}

static inline __m512 widened_at(const T *x) {
    return widened(_mm256_loadu_si256((const void *)x));
}

static inline __m512 rounded_lanes(__m512 x) { return widened((__m256i)_mm512_cvtneps_pbh(x)); }

static inline void store_rounded(T *out, __m512 x) {
    _mm256_storeu_si256((void *)out, (__m256i)_mm512_cvtneps_pbh(x));
}

/* exp of a whole vector, to 2^-18: what it computes is rounded to bfloat16 */
static inline __m512 exp_lanes(__m512 x) {
    /* in this order NaN stays */
    x = _mm512_max_ps(_mm512_set1_ps(-87.0f), x);
    __m512 per_octave = _mm512_set1_ps(1.44269504f); /* exp(x) = 2^(x / ln 2) */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, per_octave), 8);
    __m512 r = _mm512_fmsub_ps(x, per_octave, n);
    __m512 p = _mm512_set1_ps(1.3333558e-3f); /* (ln 2)^k / k! */
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.6181291e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* Rows `which` of x, or the first ones if it is NULL, to pairs */
static inline void pack_pairs(const T *x, int64_t n, const int64_t *which, int64_t rows,
                              float *block) {
    uint32_t *words = (uint32_t *)block;
    const T *row[ROWS];
    for (int64_t r = 0; r < ROWS; r++) {
        int64_t real = smaller(r, rows - 1);
        row[r] = x + (which ? which[real] : real) * n;
    }
    int64_t pair = 0;
    for (; rows > 4 && pair + ROWS <= n / 2; pair += ROWS) {
        __m512 lines[ROWS];
        for (int r = 0; r < ROWS; r++) lines[r] = _mm512_loadu_ps(row[r] + 2 * pair);
        transpose(lines);
        for (int p = 0; p < ROWS; p++) _mm512_store_ps(words + (pair + p) * ROWS, lines[p]);
    }
    for (; pair < n / 2; pair++)
        for (int64_t r = 0; r < rows; r++) words[pair * ROWS + r] = two(row[r], pair);
    clear_tail_of_pairs(block, n);
    if (n % 2)
        for (int64_t r = 0; r < rows; r++) words[n / 2 * ROWS + r] = row[r][n - 1];
}

#define TO_SECOND 2 /* cache */
#define AT_ONCE 8 /* outputs, or queries: enough sums that none waits for the one before */

/* sum + products of 16 rows' pairs with one pair of a matrix */
static inline __m512 add_products(__m512 sum, __m512 pairs, uint32_t pair) {
    return _mm512_dpbf16_ps(sum, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32((int)pair));
}

/* Before values `i` and on of some rows of a matrix are read: let those of the next rows come, which
   the processor does not foresee. A small model's experts take two thirds of their time so */
static inline void ask_for_next(const T *const *row, int64_t i, int64_t stride) {
    for (int o = 0; o < AT_ONCE; o++)
        __builtin_prefetch(row[o] + AT_ONCE * stride + i, 0, TO_SECOND);
}

/* left_out and right_out (16, 16), outputs first = some outputs, at most 16, of a matrix, whose rows of
   n values begin `stride` apart, times the pairs of twice 16 rows; the right ones may be the left
   ones, and are then left out */
static inline void multiply_pairs(const T *w, int64_t n, int64_t stride, int64_t outputs,
                                  const float *left, const float *right, float *left_out,
                                  float *right_out) {
    for (int64_t first = 0; first < outputs; first += AT_ONCE) {
        const T *row[AT_ONCE];
        __m512 sums[AT_ONCE], more[AT_ONCE];
        for (int o = 0; o < AT_ONCE; o++) {
            row[o] = w + smaller(first + o, outputs - 1) * stride;
            sums[o] = more[o] = _mm512_setzero_ps();
        }
        for (int64_t i = 0; right == left && i < n / 2; i++) {
            if (i % ROWS == 0) ask_for_next(row, 2 * i, stride);
            __m512 pairs = _mm512_load_ps(left + i * ROWS);
            for (int o = 0; o < AT_ONCE; o++) sums[o] = add_products(sums[o], pairs, two(row[o], i));
        }
        for (int64_t i = 0; right != left && i < n / 2; i++) {
            if (i % ROWS == 0) ask_for_next(row, 2 * i, stride);
            __m512 pairs = _mm512_load_ps(left + i * ROWS);
            __m512 others = _mm512_load_ps(right + i * ROWS);
            for (int o = 0; o < AT_ONCE; o++) {
                sums[o] = add_products(sums[o], pairs, two(row[o], i));
                more[o] = add_products(more[o], others, two(row[o], i));
            }
        }
        for (int o = 0; o < AT_ONCE; o++) {
            if (n % 2) {
                sums[o] = add_products(sums[o], _mm512_load_ps(left + n / 2 * ROWS), row[o][n - 1]);
                more[o] = add_products(more[o], _mm512_load_ps(right + n / 2 * ROWS), row[o][n - 1]);
            }
            _mm512_store_ps(left_out + (first + o) * ROWS, sums[o]);
            if (right != left) _mm512_store_ps(right_out + (first + o) * ROWS, more[o]);
        }
    }
}
#endif
