/* Products of matrices with many vectors, in pairs, for prompts and pictures: torch prepares every
   size anew, which takes as long as the product of a small model, or of one expert's few rows. */

#define CACHED_FLOATS (1 << 18) /* of vectors that meet a matrix: 1 MB, of a core's second cache */

#ifdef TILES
/* out[0] = v @ left, [1] = w @ left, [2] = v @ right, [3] = w @ right, each (16, 16), outputs
   first: some outputs, at most 16, of two matrices times twice 16 rows, in pairs. The right ones may
   be the left ones, and [2] and [3] then hold nothing; so do [1] and [3] without outputs of w */
static inline void four_products(const T *v, int64_t v_outputs, const T *w, int64_t w_outputs,
                                 int64_t n, const float *left, const float *right,
                                 float out[4][ROWS * ROWS]) {
    if (v_outputs < ROWS || w_outputs < ROWS || n % DEPTH) {
        for (int side = 0; side < (right == left ? 1 : 2); side++) {
            products(v, n, n, v_outputs, side ? right : left, NULL, ROWS, out[2 * side]);
            if (w_outputs > 0)
                products(w, n, n, w_outputs, side ? right : left, NULL, ROWS, out[2 * side + 1]);
        }
        return;
    }
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < n; i += DEPTH) {
        _tile_loadd(4, v + i, n * sizeof(T));
        _tile_loadd(6, left + i / 2 * ROWS, 64);
        _tile_loadd(5, w + i, n * sizeof(T));
        _tile_loadd(7, right + i / 2 * ROWS, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 5, 6);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, out[0], 64);
    _tile_stored(1, out[1], 64);
    _tile_stored(2, out[2], 64);
    _tile_stored(3, out[3], 64);
}
#else
static inline void four_products(const T *v, int64_t v_outputs, const T *w, int64_t w_outputs,
                                 int64_t n, const float *left, const float *right,
                                 float out[4][ROWS * ROWS]) {
    multiply_pairs(v, n, n, v_outputs, left, right, out[0], out[2]);
    if (w_outputs > 0) multiply_pairs(w, n, n, w_outputs, left, right, out[1], out[3]);
}
#endif

/* Where products go: rows of `out`, which begin `stride` elements apart; or, if there is no `out`,
   times a row's share to the row of `sums` that `which` names, of as many floats */
typedef struct {
    T *out;
    float *sums;
    const int64_t *which;
    const float *shares;
    int64_t stride;
    const T *bias;       /* of the outputs; may be NULL */
    int is_added;        /* they are added to what is there, */
    const float *routed; /* (rows, stride) after these, which may be NULL; both rounded first */
} Target;

/* Outputs [o, o + outputs) of rows [row, row + rows), at most 16 each; (16, 16) outputs first */
static inline void store_rows(const float *tile, int64_t o, int64_t outputs, int64_t row,
                              int64_t rows, const Target *to) {
    __mmask16 real = first_lanes(outputs);
    __m512 lines[ROWS], bias = _mm512_setzero_ps();
    if (to->bias) bias = widened(_mm256_maskz_loadu_epi16(real, to->bias + o));
    for (int i = 0; i < ROWS; i++) lines[i] = _mm512_load_ps(tile + i * ROWS);
    transpose(lines);
    for (int r = 0; r < ROWS && r < rows; r++) {
        int64_t at = (row + r) * to->stride + o;
        __m256i sums = (__m256i)_mm512_cvtneps_pbh(_mm512_add_ps(lines[r], bias));
        if (to->is_added) {
            __m512 more = widened(sums);
            if (to->routed) {
                __m512 routed = rounded_lanes(_mm512_maskz_loadu_ps(real, to->routed + at));
                more = rounded_lanes(_mm512_add_ps(routed, more));
            }
            __m512 before = widened(_mm256_maskz_loadu_epi16(real, to->out + at));
            sums = (__m256i)_mm512_cvtneps_pbh(_mm512_add_ps(before, more));
        }
        _mm256_mask_storeu_epi16(to->out + at, real, sums);
    }
}

/* silu(gates) * ups, rounded where torch rounds; words of which the lower half is the result */
static inline __m512i activated(__m512 gates, __m512 ups) {
    __m512 gate = rounded_lanes(gates);
    __m512 power = exp_lanes(_mm512_sub_ps(_mm512_setzero_ps(), gate));
    __m512 silu = rounded_lanes(_mm512_div_ps(gate, _mm512_add_ps(_mm512_set1_ps(1.0f), power)));
    __m512 product = _mm512_mul_ps(silu, rounded_lanes(ups));
    return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(product));
}

static inline __m512i activated_at(const float *gates, const float *ups) {
    return activated(_mm512_load_ps(gates), _mm512_load_ps(ups));
}

/* `between` = silu(gates) * ups, each (16, 16) outputs first, as outputs [start, ...) of a block */
static inline void activate(const float *gates, const float *ups, int64_t outputs, int64_t start,
                            float *between) {
    for (int64_t o = 0; o < outputs; o += 2) {
        __m512i even = activated_at(gates + o * ROWS, ups + o * ROWS), odd = _mm512_setzero_si512();
        if (o + 1 < outputs) odd = activated_at(gates + (o + 1) * ROWS, ups + (o + 1) * ROWS);
        _mm512_store_si512(between + (start + o) / 2 * ROWS,
                           _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
    }
}

/* As `store_rows`, added to sums */
static inline void add_rows(const float *tile, int64_t o, int64_t outputs, int64_t row,
                            int64_t rows, const Target *to) {
    __mmask16 real = first_lanes(outputs);
    __m512 lines[ROWS];
    for (int i = 0; i < ROWS; i++) lines[i] = _mm512_load_ps(tile + i * ROWS);
    transpose(lines);
    for (int64_t r = 0; r < ROWS && r < rows; r++) {
        float *sum = to->sums + to->which[row + r] * to->stride + o;
        __m512 so_far = _mm512_maskz_loadu_ps(real, sum);
        __m512 share = _mm512_set1_ps(to->shares[row + r]);
        _mm512_mask_storeu_ps(sum, real, _mm512_fmadd_ps(share, lines[r], so_far));
    }
}

/* Outputs [first, first + 32) of a matrix for blocks [begin, end) of so many rows; `written` is for
   integers, 32 rows of the inputs */
static inline void multiply_blocks(const float *packed, int64_t begin, int64_t end, int64_t rows,
                                   Matrix weight, int64_t inputs, int64_t first, int64_t outputs,
                                   const Target *to, T *written) {
    int64_t size = pairs_size(inputs), both = smaller(2 * ROWS, outputs - first);
    const T *w = elements(weight, first, both, inputs, written);
    for (int64_t b = begin; b < end; b += 2) {
        _Alignas(64) float tiles[4][ROWS * ROWS];
        const float *left = packed + b * size, *right = b + 1 < end ? left + size : left;
        four_products(w, smaller(ROWS, both), w + ROWS * inputs, smaller(ROWS, both - ROWS), inputs,
                      left, right, tiles);
        for (int64_t which = 0; which < 4; which++) {
            int64_t o = first + which % 2 * ROWS, row = (b + which / 2) * ROWS;
            if (o >= outputs || b + which / 2 >= end) continue;
            if (to->out)
                store_rows(tiles[which], o, smaller(ROWS, outputs - o), row, rows - row, to);
            else
                add_rows(tiles[which], o, smaller(ROWS, outputs - o), row, rows - row, to);
        }
    }
}

/* Products of blocks of `rows` rows with a matrix, a thread's part. `written` is for integers, 32
   rows of the inputs */
static void multiply_packed(const float *packed, int64_t rows, Matrix weight, int64_t inputs,
                            int64_t outputs, const Target *to, T *written) {
    int64_t blocks = units_of(rows), size = pairs_size(inputs);
    int64_t some = CACHED_FLOATS / size / 2 * 2 + 2; /* blocks at a time */
    for (int64_t begin = 0; begin < blocks; begin += some) {
        int64_t end = smaller(begin + some, blocks);
#pragma omp for schedule(static) nowait
        for (int64_t first = 0; first < outputs; first += 2 * ROWS)
            multiply_blocks(packed, begin, end, rows, weight, inputs, first, outputs, to, written);
    }
}

/* Blocks of x (rows, n), normed by `norm` unless it is NULL, and the normed rows, unless `normed` is
   NULL; a thread's part */
static void pack_rows(const T *x, int64_t rows, int64_t n, const T *norm, float eps, float *packed,
                      T *normed, T *own) {
#pragma omp for schedule(static) nowait
    for (int64_t b = 0; b < units_of(rows); b++) {
        int64_t first = b * ROWS, some = smaller(ROWS, rows - first);
        const T *from = x + first * n;
        if (norm) {
            T *to = normed ? normed + first * n : own;
            for (int64_t r = 0; r < some; r++) norm_row(from + r * n, norm, to + r * n, n, eps);
            from = to;
        }
        pack_pairs(from, n, NULL, some, packed + b * pairs_size(n));
    }
}

/* As `linear`, a thread's part; `packed` holds the blocks of x */
static void multiply(const T *x, Matrix weight, const T *bias, T *out, int64_t rows,
                     int64_t inputs, int64_t outputs, float *packed, T *written,
                     Meeting *meeting) {
    Target to = {.out = out, .stride = outputs, .bias = bias};
    pack_rows(x, rows, inputs, NULL, 0, packed, NULL, NULL);
    meet(meeting);
    multiply_packed(packed, rows, weight, inputs, outputs, &to, written);
}

/* between = silu(gate @ x) * (up @ x) of so many blocks, in blocks whose tails are clear; a thread's
   part. `written` is for integers, 32 rows of hidden */
static void enter_packed(const float *packed, int64_t blocks, Matrix gates, Matrix ups,
                         int64_t hidden, int64_t inner, float *between, T *written) {
    int64_t size = pairs_size(hidden), between_size = pairs_size(inner);
#pragma omp for schedule(dynamic) nowait
    for (int64_t start = 0; start < inner; start += ROWS) {
        int64_t some = smaller(ROWS, inner - start);
        const T *gate = elements(gates, start, some, hidden, written);
        const T *up = elements(ups, start, some, hidden, written + ROWS * hidden);
        for (int64_t b = 0; b < blocks; b += 2) {
            _Alignas(64) float tiles[4][ROWS * ROWS];
            int64_t sides = smaller(2, blocks - b);
            const float *left = packed + b * size, *right = left + (sides - 1) * size;
            four_products(gate, some, up, some, hidden, left, right, tiles);
            for (int64_t side = 0; side < sides; side++)
                activate(tiles[2 * side], tiles[2 * side + 1], some, start,
                         between + (b + side) * between_size);
        }
    }
}

#define EXPERTS_BLOCKS 32 /* in which experts run together: threads meet for all of them at once */

/* Blocks for which there has to be room, of so many rows that experts run: one may be chosen by all */
static inline int64_t experts_blocks(int64_t rows) {
    return units_of(rows) > EXPERTS_BLOCKS ? units_of(rows) : EXPERTS_BLOCKS;
}

/* sums (rows, hidden) += what the chosen experts make of rows x, in blocks; a thread's part.
   `packed` has room for `experts_blocks`, `written` is for integers, 32 rows of hidden or inner */
static void add_experts(const Chosen *chosen, const T *x, int64_t hidden, float *packed,
                        float *sums, T *written, Meeting *meeting) {
    int64_t size = pairs_size(hidden), between_size = pairs_size(chosen->inner), end;
    for (int64_t begin = 0; begin < chosen->count; begin = end) {
        const Layer *layers = chosen->layers;
        int64_t blocks = 0, block = 0;
        for (end = begin; end < chosen->count; end++) {
            blocks += units_of(layers[end].count);
            if (end > begin && blocks > EXPERTS_BLOCKS) break;
        }
        for (int64_t e = begin; e < end; block += units_of(layers[e].count), e++)
#pragma omp for schedule(dynamic) nowait
            for (int64_t b = 0; b < units_of(layers[e].count); b++) {
                pack_pairs(x, hidden, layers[e].rows + b * ROWS,
                           smaller(ROWS, layers[e].count - b * ROWS), packed + (block + b) * size);
                clear_tail_of_pairs(chosen->between + (block + b) * between_size, chosen->inner);
            }
        meet(meeting);
        block = 0;
        for (int64_t e = begin; e < end; block += units_of(layers[e].count), e++)
            enter_packed(packed + block * size, units_of(layers[e].count), layers[e].of.gate,
                         layers[e].of.up, hidden, chosen->inner,
                         chosen->between + block * between_size, written);
        meet(meeting);
#pragma omp for schedule(static) nowait
        for (int64_t first = 0; first < hidden; first += 2 * ROWS) {
            const float *between = chosen->between;
            for (int64_t e = begin; e < end; e++) { /* in order: sums don't depend on the threads */
                const Layer *layer = layers + e;
                Target to = {.sums = sums, .which = layer->rows, .shares = layer->shares,
                             .stride = hidden};
                multiply_blocks(between, 0, units_of(layer->count), layer->count, layer->of.down,
                                layer->of.inner, first, hidden, &to, written);
                between += units_of(layer->count) * between_size;
            }
        }
        meet(meeting);
    }
}
