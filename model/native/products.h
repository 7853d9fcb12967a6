/* Products of a matrix with few vectors, 16 outputs of up to 16 vectors at a time.

   A matrix is row-major, (outputs, n). The vectors are a *block*: up to 16 rows of n values in a
   layout of their own, which `pack` and `put` write. A result depends on the matrix and on its own
   vector alone, to the last bit: not on the other vectors, nor on how many there are.

   With -DTILES, for bfloat16 on a processor with AMX: its tiles read 16 rows of a matrix side by
   side at the speed of memory, and 16 vectors cost what one costs. Else, where pairs of bfloat16 are
   multiplied, two values are one. */

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
#include <sys/syscall.h>
#include <unistd.h>

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

/* A block holds pairs */
static inline int64_t block_size(int64_t n) { return pairs_size(n); }

static inline void put(float *block, int64_t n, int64_t row, int64_t i, float value) {
    (void)n;
    put_in_pair(block, row, i, value);
}

static inline void clear_tail(float *block, int64_t n) { clear_tail_of_pairs(block, n); }

static inline void pack(const T *x, int64_t n, const int64_t *which, int64_t rows, float *block) {
    pack_pairs(x, n, which, rows, block);
}

/* Before tiles are read from what this thread has just written: compilers don't know that they are */
static inline void written(void) { __asm__ volatile("" ::: "memory"); }

/* A tile that reaches beyond the matrix, filled up with zeros */
static inline const T *edge(const T *w, int64_t stride, int64_t rows, int64_t depth, T *copy) {
    memset(copy, 0, ROWS * DEPTH * sizeof(T));
    for (int64_t r = 0; r < rows; r++)
        memcpy(copy + r * DEPTH, w + r * stride, (size_t)depth * sizeof(T));
    written();
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

#ifdef PAIRS
/* A block holds one row after the other, each filled up with zeros to whole vectors */
static inline int64_t block_size(int64_t n) { return pairs_size(n); }
static inline const T *row_at(const float *block, int64_t n, int64_t row) {
    return (const T *)block + row * round_up(n, DEPTH);
}

static inline void put(float *block, int64_t n, int64_t row, int64_t i, float value) {
    ((T *)block)[row * round_up(n, DEPTH) + i] = store(value);
}

/* Make what lies after the last values zero */
static inline void clear_tail(float *block, int64_t n) {
    int64_t whole = round_up(n, DEPTH);
    for (int64_t r = 0; whole > n && r < ROWS; r++)
        memset((T *)block + r * whole + n, 0, (size_t)(whole - n) * sizeof(T));
}

/* Rows `which` of x, or the first ones if it is NULL, to a block */
static inline void pack(const T *x, int64_t n, const int64_t *which, int64_t rows, float *block) {
    clear_tail(block, n);
    for (int64_t r = 0; r < rows; r++)
        memcpy((T *)block + r * round_up(n, DEPTH), x + (which ? which[r] : r) * n,
               (size_t)n * sizeof(T));
}
#else
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

#if defined(PAIRS) && !defined(TILES)
/* DEPTH elements, of which `left` are there */
static inline __m512bh elements_at(const T *w, int64_t left) {
    if (left >= DEPTH) return (__m512bh)_mm512_loadu_si512(w);
    return (__m512bh)_mm512_maskz_loadu_epi16(0xffffffffu >> (DEPTH - left), w);
}

/* Weights are asked for before they are read, unless long rows meet one vector or two: there is so
   little to compute that the processor looks as far ahead itself. (Of four rows, memory gives two
   thirds without; asked for in the first cache, it gives half.) */
#define FURTHER 4096 /* values, from which on the weights are asked for */
#define SHORT 512    /* values of a row */

/* Dot products of `O` rows of a matrix, `stride` apart as far as there are so many `outputs`, with `R`
   vectors; out (outputs, 16), at the places that `column` names. A W holds `EACH` values, and `LOAD`
   reads DEPTH of a row */
#define PAIR_DOTS(NAME, W, EACH, LOAD, O, R)                                                       \
    static inline void NAME(const W *w, int64_t n, int64_t stride, int64_t outputs,                \
                            const T *const *x, const int64_t *column, float *out) {                \
        const W *row[O];                                                                           \
        __m512 sums[O][R];                                                                         \
        for (int o = 0; o < O; o++) {                                                              \
            row[o] = w + smaller(o, outputs - 1) * stride / EACH;                                  \
            for (int r = 0; r < R; r++) sums[o][r] = _mm512_setzero_ps();                          \
        }                                                                                          \
        for (int64_t i = 0; i < n; i += DEPTH)                                                     \
            for (int o = 0; o < O; o++) {                                                          \
                if (O > 1 || R > 2 || n <= SHORT)                                                  \
                    __builtin_prefetch(row[o] + ((O > 1 ? 2 * O * stride : FURTHER) + i) / EACH,   \
                                       0, TO_SECOND);                                              \
                __m512bh weights = LOAD(row[o] + i / EACH, n - i);                                 \
                for (int r = 0; r < R; r++)                                                        \
                    sums[o][r] = _mm512_dpbf16_ps(sums[o][r], weights,                             \
                                                  elements_at(x[r] + i, DEPTH));                   \
            }                                                                                      \
        for (int o = 0; o < O && o < outputs; o++)                                                 \
            for (int r = 0; r < R; r++)                                                            \
                out[o * ROWS + column[r]] = _mm512_reduce_add_ps(sums[o][r]);                      \
    }

/* out (16, 16), outputs first = up to 16 outputs of a matrix, whose rows of n values begin `stride`
   apart, times rows `which` of a block, or the first ones if it is NULL. Memory gives most if one row
   is read after the other; but `IS_MANY` vectors are met `MANY_R` at a time by `MANY_O` rows */
#define PAIR_PRODUCTS(NAME, W, EACH, LOAD, IS_MANY, MANY_O, MANY_R)                                \
    PAIR_DOTS(NAME##_of_1, W, EACH, LOAD, 1, 1)                                                    \
    PAIR_DOTS(NAME##_of_2, W, EACH, LOAD, 1, 2)                                                    \
    PAIR_DOTS(NAME##_of_4, W, EACH, LOAD, 1, 4)                                                    \
    PAIR_DOTS(NAME##_of_many, W, EACH, LOAD, MANY_O, MANY_R)                                       \
    static inline void NAME(const W *w, int64_t n, int64_t stride, int64_t outputs,                \
                            const float *block, const int64_t *which, int64_t rows, float *out) {  \
        const T *x[ROWS];                                                                          \
        int64_t column[ROWS];                                                                      \
        for (int64_t r = 0; r < ROWS; r++) { /* the last one again where there are no more */      \
            column[r] = which ? which[smaller(r, rows - 1)] : smaller(r, rows - 1);                \
            x[r] = row_at(block, n, column[r]);                                                    \
        }                                                                                          \
        int is_many = IS_MANY(rows, n);                                                            \
        for (int64_t o = 0; o < outputs; o += is_many ? MANY_O : 1) {                              \
            const W *here = w + o * stride / EACH;                                                 \
            float *sums = out + o * ROWS;                                                          \
            if (rows == 1) NAME##_of_1(here, n, stride, 1, x, column, sums);                       \
            if (rows == 2) NAME##_of_2(here, n, stride, 1, x, column, sums);                       \
            for (int64_t r = 0; is_many && r < rows; r += MANY_R)                                  \
                NAME##_of_many(here, n, stride, outputs - o, x + r, column + r, sums);             \
            for (int64_t r = 0; !is_many && rows > 2 && r < rows; r += 4)                          \
                NAME##_of_4(here, n, stride, 1, x + r, column + r, sums);                          \
        }                                                                                          \
    }

/* Long vectors don't stay in the first cache while row after row goes by */
#define ARE_LONG(rows, n) ((rows) > 2 && (rows) * (n) > 6144)

PAIR_PRODUCTS(products, T, 1, elements_at, ARE_LONG, 4, 4)

/* Integers take longer to widen than to be read from memory: once for all vectors */
#define ARE_SEVERAL(rows, n) ((rows) > 4)
#elif !defined(TILES)
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
