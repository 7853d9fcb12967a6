/* Products of a matrix with few vectors, 16 outputs of up to 16 vectors at a time.

   A matrix is row-major, (outputs, n). The vectors are a *block*: up to 16 rows of n values in a
   layout of their own, which `pack` and `put` write. A result depends on the matrix and on its own
   vector alone, to the last bit: not on the other vectors, nor on how many there are.

   With -DTILES, for bfloat16 on a processor with AMX: its tiles read 16 rows of a matrix side by
   side at the speed of memory, and 16 vectors cost what one costs. */

#define ROWS 16 /* outputs of a product, and vectors of a block */

/* Rows of a matrix: first, first + step, ..., at most 16 */
typedef struct {
    int64_t first, step, count;
} Rows;

static inline int64_t units_of(int64_t outputs) { return (outputs + ROWS - 1) / ROWS; }

/* The rows that one product computes, of a matrix with so many. For tiles they are spread evenly:
   each then comes from memory as one long stream, which goes on with the next unit. Side by side,
   several would share a page of memory and be read in turns, a tenth more slowly */
static inline Rows unit_rows(int64_t unit, int64_t outputs) {
    int64_t full = outputs / ROWS;
    if (unit >= full) return (Rows){full * ROWS, 1, outputs - full * ROWS};
#ifdef TILES
    return (Rows){unit, full, ROWS};
#else
    return (Rows){unit * ROWS, 1, ROWS};
#endif
}

static inline int64_t row_of(Rows rows, int64_t o) { return rows.first + o * rows.step; }

#ifdef TILES
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH 32 /* values of a row in a tile */

/* Ask Linux for the tiles; 0 if this process may use them */
int prepare(void) { return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) ? -1 : 0; }

/* Before and after products, in every thread: outside, the tiles belong to others */
static inline void begin_products(void) {
    struct { uint8_t palette, start, unused[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape;
    memset(&shape, 0, sizeof shape);
    shape.palette = 1;
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
    _tile_loadconfig(&shape);
}
static inline void end_products(void) { _tile_release(); }

/* A block holds, for each pair of neighbours, that of the first row, of the second, ... */
static inline int64_t block_size(int64_t n) { return round_up(n, DEPTH) / 2 * ROWS; }

static inline void put(float *block, int64_t n, int64_t row, int64_t i, float value) {
    (void)n;
    ((T *)block)[(i / 2 * ROWS + row) * 2 + i % 2] = store(value);
}

/* Make what lies after the last value zero, before the last value is put */
static inline void clear_tail(float *block, int64_t n) {
    float *tail = block + n / 2 * ROWS;
    memset(tail, 0, (size_t)(block + block_size(n) - tail) * sizeof *tail);
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

/* fast_exp of a whole vector */
static inline __m512 exp_lanes(__m512 x) {
    /* in this order NaN stays */
    x = _mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_max_ps(_mm512_set1_ps(-87.0f), x));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_scalef_ps(p, n);
}

/* Rows `which` of x, or the first ones if it is NULL, to a block */
static inline void pack(const T *x, int64_t n, const int64_t *which, int64_t rows, float *block) {
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
    clear_tail(block, n);
    if (n % 2)
        for (int64_t r = 0; r < rows; r++) words[n / 2 * ROWS + r] = row[r][n - 1];
}

/* A tile that reaches beyond the matrix, filled up with zeros */
static inline const T *edge(const T *w, int64_t stride, int64_t rows, int64_t depth, T *copy) {
    memset(copy, 0, ROWS * DEPTH * sizeof(T));
    for (int64_t r = 0; r < rows; r++)
        memcpy(copy + r * DEPTH, w + r * stride, (size_t)depth * sizeof(T));
    return copy;
}

/* out (16, 16), outputs first = up to 16 outputs of a matrix, whose rows of n values begin `stride`
   apart, times one block */
static inline void products(const T *w, int64_t n, int64_t stride, int64_t outputs,
                            const float *block, const int64_t *which, int64_t rows, float *out) {
    (void)which, (void)rows;
    _Alignas(64) T copy[ROWS * DEPTH];
    int64_t i = 0;
    _tile_zero(0);
    _tile_zero(1);
    for (; outputs == ROWS && i + 2 * DEPTH <= n; i += 2 * DEPTH) { /* two sums: one waits less */
        _tile_loadd(4, w + i, stride * sizeof(T));
        _tile_loadd(5, block + i / 2 * ROWS, 64);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, w + i + DEPTH, stride * sizeof(T));
        _tile_loadd(7, block + (i + DEPTH) / 2 * ROWS, 64);
        _tile_dpbf16ps(1, 6, 7);
    }
    for (; i < n; i += DEPTH) {
        if (outputs == ROWS && i + DEPTH <= n)
            _tile_loadd(4, w + i, stride * sizeof(T));
        else
            _tile_loadd(4, edge(w + i, stride, outputs, smaller(DEPTH, n - i), copy), 64);
        _tile_loadd(5, block + i / 2 * ROWS, 64);
        _tile_dpbf16ps(0, 4, 5);
    }
    _Alignas(64) float more[ROWS * ROWS];
    _tile_stored(0, out, 64);
    _tile_stored(1, more, 64);
    for (int j = 0; j < ROWS * ROWS; j++) out[j] += more[j];
}
#else
int prepare(void) { return 0; }
static inline void begin_products(void) {}
static inline void end_products(void) {}

/* A block holds one row after the other, in float32, as `widen` leaves them */
static inline int64_t block_size(int64_t n) { return ROWS * n; }

static inline void put(float *block, int64_t n, int64_t row, int64_t i, float value) {
    block[row * n + place(i, n)] = rounded(value);
}

static inline void clear_tail(float *block, int64_t n) { (void)block, (void)n; }

/* Rows `which` of x, or the first ones if it is NULL, to a block */
static inline void pack(const T *x, int64_t n, const int64_t *which, int64_t rows, float *block) {
    for (int64_t r = 0; r < rows; r++) widen(x + (which ? which[r] : r) * n, n, block + r * n);
}
#endif

/* Dot products of `O` neighbouring rows of a matrix with `R` vectors, one sum at a time for each */
#define DOTS(NAME, O, R)                                                                           \
    static inline void NAME(const T *const *w, const float *const *x, int64_t n, float *out) {     \
        int64_t i = 0;                                                                             \
        Lanes sums[O][R] = {{{0}}};                                                                \
        for (; i + STEP <= n; i += STEP)                                                           \
            for (int o = 0; o < O; o++) ADD(o, R);                                                 \
        for (int o = 0; o < O; o++)                                                                \
            for (int r = 0; r < R; r++) {                                                          \
                float sum = total(sums[o][r]);                                                     \
                for (int64_t j = i; j < n; j++) sum += load(w[o][j]) * x[r][place(j, n)];          \
                out[o * R + r] = sum;                                                              \
            }                                                                                      \
    }
#ifdef BF16
#define STEP (2 * LANES)
#define ADD(o, R)                                                                                  \
    do {                                                                                           \
        Words words = words_at(w[o] + i);                                                          \
        for (int r = 0; r < R; r++) {                                                              \
            sums[o][r] += even_lanes(words) * lanes_at(x[r] + i / 2);                              \
            sums[o][r] += odd_lanes(words) * lanes_at(x[r] + n / 2 + i / 2);                       \
        }                                                                                          \
    } while (0)
#else
#define STEP LANES
#define ADD(o, R)                                                                                  \
    for (int r = 0; r < R; r++) sums[o][r] += lanes_at(w[o] + i) * lanes_at(x[r] + i)
#endif
DOTS(dot1x1, 1, 1)
DOTS(dot2x1, 2, 1)
DOTS(dot1x4, 1, 4)
DOTS(dot2x4, 2, 4)
#undef ADD
#undef DOTS

#ifndef TILES
/* out (16, 16), outputs first = up to 16 outputs of a matrix, whose rows of n values begin `stride`
   apart, times rows `which` of a block, or the first ones if it is NULL */
static inline void products(const T *w, int64_t n, int64_t stride, int64_t outputs,
                            const float *block, const int64_t *which, int64_t rows, float *out) {
    const float *x[ROWS];
    int64_t column[ROWS];
    for (int64_t r = 0; r < rows; r++) {
        column[r] = which ? which[r] : r;
        x[r] = block + column[r] * n;
    }
    if (rows == 1) {
        for (int64_t o = 0; o < outputs; o += 2) {
            float sums[2];
            if (o + 1 < outputs)
                dot2x1((const T *[]){w + o * stride, w + (o + 1) * stride}, x, n, sums);
            else
                dot1x1((const T *[]){w + o * stride}, x, n, sums);
            for (int64_t j = 0; j < 2 && o + j < outputs; j++)
                out[(o + j) * ROWS + column[0]] = sums[j];
        }
        return;
    }
    for (int64_t r = rows; r % 4; r++) column[r] = column[r - 1], x[r] = x[r - 1];
    for (int64_t o = 0; o < outputs; o += 2) {
        const T *two_rows[] = {w + o * stride, w + (o + 1) * stride};
        for (int64_t r = 0; r < rows; r += 4) {
            float sums[8];
            if (o + 1 < outputs)
                dot2x4(two_rows, x + r, n, sums);
            else
                dot1x4(two_rows, x + r, n, sums);
            for (int64_t j = 0; j < 8 && o + j / 4 < outputs; j++)
                out[(o + j / 4) * ROWS + column[r + j % 4]] = sums[j];
        }
    }
}
#endif
