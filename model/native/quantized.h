/* Products of any matrix; and of those in 8-bit integers: weight = scale of its row * integer.

   Integers become floats where they are used, and activations stay as they are, so a result differs
   from that of the matrix written out by roundings alone. As `products`, a result depends on the
   matrix and on its own vector alone. */

#define AHEAD 2048 /* integers: asked for this early, memory gives a quarter more of them */

#if !defined(TILES) && (defined(__AVX512F__) || defined(__AVX2__))
#include <immintrin.h>
#endif

/* A matrix, row-major: elements; 8-bit integers, if it has scales (outputs); or groups */
typedef struct {
    const void *values;
    const float *scale;
    int64_t is_grouped;
} Matrix;

static inline Matrix rows_from(Matrix matrix, int64_t row, int64_t n) {
    if (matrix.is_grouped)
        return (Matrix){(const Group *)matrix.values + row * n / GROUP, NULL, 1};
    if (!matrix.scale) return (Matrix){(const T *)matrix.values + row * n, NULL, 0};
    return (Matrix){(const int8_t *)matrix.values + row * n, matrix.scale + row, 0};
}

static inline int is_written_out(Matrix matrix) { return matrix.scale || matrix.is_grouped; }

/* LANES integers as floats: compilers turn the plain loop into shuffles, ten instructions for three */
static inline Lanes integers_in_order(const int8_t *w) {
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

#ifdef BF16
typedef uint16_t Shorts __attribute__((vector_size(2 * LANES)));

/* LANES floats, none of them NaN, as bfloat16 */
static inline void store_lanes(Lanes lanes, T *out) {
    Words bits = (Words)lanes;
    Shorts shorts = __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Shorts);
    memcpy(out, &shorts, sizeof shorts);
}
#else
static inline void store_lanes(Lanes lanes, T *out) { memcpy(out, &lanes, sizeof lanes); }
#endif

/* row (n) = w * scale */
static inline void write_row(const int8_t *w, float scale, T *row, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store_lanes(integers_in_order(w + i) * scale, row + i);
    for (; i < n; i++) row[i] = store((float)w[i] * scale);
}

/* Some rows of a matrix as elements: where they are, or written to `scratch` */
static inline const T *elements(Matrix matrix, int64_t first, int64_t rows, int64_t n,
                                T *scratch) {
    Matrix some = rows_from(matrix, first, n);
    if (!is_written_out(some)) return some.values;
    for (int64_t r = 0; r < rows; r++)
        if (some.is_grouped)
            write_groups((const Group *)some.values + r * n / GROUP, scratch + r * n, n);
        else
            write_row((const int8_t *)some.values + r * n, some.scale[r], scratch + r * n, n);
#ifdef TILES
    written();
#endif
    return scratch;
}

#ifdef TILES
/* (rows, depth) integers, at most 16 and 64, as two tiles; what they lack is zero */
static inline void widen_tiles(const int8_t *w, int64_t stride, int64_t rows, int64_t depth,
                               T tiles[2][ROWS * DEPTH]) {
    for (int64_t r = 0; r < rows; r++) {
        int8_t padded[2 * DEPTH];
        const int8_t *row = w + r * stride;
        if (depth < 2 * DEPTH) {
            memset(padded, 0, sizeof padded);
            row = memcpy(padded, row, (size_t)depth);
        } else {
            __builtin_prefetch(row + AHEAD);
        }
        for (int half = 0; half < 2; half++) {
            __m512 low = (__m512)integers_in_order(row + half * DEPTH);
            __m512 high = (__m512)integers_in_order(row + half * DEPTH + LANES);
            _mm512_store_si512(tiles[half] + r * DEPTH, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
    }
    written();
}

/* out (16, 16) = integers, rows of n that begin `stride` apart, times one block, outputs first */
static inline void integer_products(const int8_t *w, int64_t n, int64_t stride, int64_t outputs,
                                    const float *block, const int64_t *which, int64_t rows,
                                    float *out) {
    (void)which, (void)rows;
    _Alignas(64) T tiles[2][ROWS * DEPTH];
    if (outputs < ROWS) memset(tiles, 0, sizeof tiles);
    _tile_zero(0);
    for (int64_t i = 0; i < n; i += 2 * DEPTH) {
        widen_tiles(w + i, stride, outputs, smaller(2 * DEPTH, n - i), tiles);
        for (int64_t half = 0; half < 2 && i + half * DEPTH < n; half++) {
            _tile_loadd(4, tiles[half], 64);
            _tile_loadd(5, block + (i + half * DEPTH) / 2 * ROWS, 64);
            _tile_dpbf16ps(0, 4, 5);
        }
    }
    _tile_stored(0, out, 64);
}
#elif defined(PAIRS)
/* DEPTH integers, of which `left` are there, as elements */
static inline __m512bh integers_at(const int8_t *w, int64_t left) {
    int8_t padded[DEPTH] = {0};
    if (left < DEPTH)
        w = memcpy(padded, w, (size_t)left);
    else
        __builtin_prefetch(w + AHEAD);
    __m512 low = (__m512)integers_in_order(w), high = (__m512)integers_in_order(w + LANES);
    return _mm512_cvtne2ps_pbh(high, low);
}

PAIR_PRODUCTS(integer_products, int8_t, 1, integers_at, ARE_SEVERAL, 1, 8)
#else
/* 2 * LANES integers as floats, in the order in which vectors are widened: see `place` */
static inline void integers_at(const int8_t *w, Lanes out[2]) {
#if defined(BF16) && defined(__AVX512F__)
    __m256i pairs = _mm256_loadu_si256((const void *)w), even = _mm256_slli_epi16(pairs, 8);
    out[0] = (Lanes)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_srai_epi16(even, 8)));
    out[1] = (Lanes)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_srai_epi16(pairs, 8)));
#elif !defined(BF16)
    out[0] = integers_in_order(w), out[1] = integers_in_order(w + LANES);
#else
    float values[2 * LANES];
    for (int64_t i = 0; i < 2 * LANES; i++) values[place(i, 2 * LANES)] = (float)w[i];
    memcpy(out, values, sizeof values);
#endif
}

#ifdef BF16 /* where the two vectors of `integers_at` meet a widened vector of n */
#define FIRST(i, n) ((i) / 2)
#define SECOND(i, n) ((n) / 2 + (i) / 2)
#else
#define FIRST(i, n) (i)
#define SECOND(i, n) ((i) + LANES)
#endif

/* Integers times `R` vectors, one sum for each */
#define INTEGER_DOTS(NAME, R)                                                                      \
    static inline void NAME(const int8_t *w, const float *const *x, int64_t n, float *out) {       \
        int64_t i = 0;                                                                             \
        Lanes sums[R] = {{0}}, weights[2];                                                         \
        for (; i + 2 * LANES <= n; i += 2 * LANES) {                                               \
            __builtin_prefetch(w + i + AHEAD);                                                     \
            integers_at(w + i, weights);                                                           \
            for (int r = 0; r < R; r++) {                                                          \
                sums[r] += weights[0] * lanes_at(x[r] + FIRST(i, n));                              \
                sums[r] += weights[1] * lanes_at(x[r] + SECOND(i, n));                             \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < R; r++) {                                                              \
            out[r] = total(sums[r]);                                                               \
            for (int64_t j = i; j < n; j++) out[r] += (float)w[j] * x[r][place(j, n)];             \
        }                                                                                          \
    }
INTEGER_DOTS(integers1, 1)
INTEGER_DOTS(integers4, 4)
#undef INTEGER_DOTS
#undef FIRST
#undef SECOND

/* out (16, 16) = integers, rows of n that begin `stride` apart, times rows `which` of a block, or
   the first ones */
static inline void integer_products(const int8_t *w, int64_t n, int64_t stride, int64_t outputs,
                                    const float *block, const int64_t *which, int64_t rows,
                                    float *out) {
    for (int64_t o = 0; o < outputs; o++) {
        int64_t r = 0;
        float sums[4];
        for (; r < rows; r += rows - r < 4 ? 1 : 4) {
            const float *x[4];
            int64_t some = rows - r < 4 ? 1 : 4;
            for (int64_t j = 0; j < some; j++) x[j] = block + (which ? which[r + j] : r + j) * n;
            if (some == 4)
                integers4(w + o * stride, x, n, sums);
            else
                integers1(w + o * stride, x, n, sums);
            for (int64_t j = 0; j < some; j++)
                out[o * ROWS + (which ? which[r + j] : r + j)] = sums[j];
        }
    }
}
#endif

/* As `products`, of some rows of a matrix of rows of n values */
static inline void matrix_products(Matrix matrix, Rows of, int64_t n, const float *block,
                                   const int64_t *which, int64_t rows, float *out) {
    matrix = rows_from(matrix, of.first, n);
    if (matrix.is_grouped) {
        group_products(matrix.values, n, of.step * n, of.count, block, which, rows, out);
        return;
    }
    if (!matrix.scale) {
        products(matrix.values, n, of.step * n, of.count, block, which, rows, out);
        return;
    }
    integer_products(matrix.values, n, of.step * n, of.count, block, which, rows, out);
    for (int64_t o = 0; o < of.count; o++)
        for (int64_t r = 0; r < ROWS; r++) out[o * ROWS + r] *= matrix.scale[o * of.step];
}
