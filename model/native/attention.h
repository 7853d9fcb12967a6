/* Attention of one query per head over cached keys and values, in parts that threads take. */

#define BLOCK 32 /* keys scored at once: their scores and values stay in the first cache */

/* 1 / sqrt(dim), rounded once */
static inline float head_scale(int64_t dim) { return (float)(1 / sqrt((double)dim)); }

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
                const float *four = q + g * dim;
                float eight[8];
                dot2x4((const T *[]){one, next},
                       (const float *[]){four, four + dim, four + 2 * dim, four + 3 * dim}, dim,
                       eight);
                for (int r = 0; r < 4; r++)
                    memcpy(scores + (g + r) * BLOCK + j, (float[2]){eight[r], eight[4 + r]}, 8);
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

#ifdef PAIRS
#define KEYS 64            /* scored at once */
#define MAX_PAIRED_DIM 256 /* of a head */

/* Values of some keys */
typedef struct {
    const uint32_t *pairs; /* of neighbouring keys, see pair_values */
    int64_t keys;
    const T *next; /* where those are that will be paired after them; NULL if none */
    int64_t stride;
} Values;

#ifdef TILES
/* scores (KEYS, 16) = keys @ queries, a block; as many keys as there are */
static inline void score(const float *queries, const T *k, int64_t stride, int64_t keys,
                         int64_t dim, float *scores) {
    _Alignas(64) T copy[ROWS * DEPTH];
    for (int64_t first = 0; first < keys; first += ROWS) {
        const T *here = k + first * stride;
        _tile_zero(0);
        for (int64_t i = 0; i < dim; i += DEPTH) {
            if (first + ROWS <= keys)
                _tile_loadd(4, here + i, stride * sizeof(T));
            else
                _tile_loadd(4, edge(here + i, stride, keys - first, DEPTH, copy), 64);
            _tile_loadd(5, queries + i / 2 * ROWS, 64);
            _tile_dpbf16ps(0, 4, 5);
        }
        _tile_stored(0, scores + first * ROWS, 64);
    }
}

/* sums (16, dim) += weights (16, KEYS) @ values */
static inline void add_pairs(float *sums, const T *weights, int64_t queries, const Values *values,
                             int64_t dim) {
    (void)queries;
    written();
    for (int64_t d = 0; d < dim; d += ROWS) {
        _tile_loadd(0, sums + d, dim * sizeof(float));
        for (int half = 0; half < values->keys; half += DEPTH) {
            _tile_loadd(4, weights + half, KEYS * sizeof(T));
            _tile_loadd(5, values->pairs + half / 2 * dim + d, dim * sizeof(uint32_t));
            _tile_dpbf16ps(0, 4, 5);
        }
        _tile_stored(0, sums + d, dim * sizeof(float));
    }
}
#else
static inline void score(const float *queries, const T *k, int64_t stride, int64_t keys,
                         int64_t dim, float *scores) {
    for (int64_t first = 0; first < keys; first += ROWS)
        multiply_pairs(k + first * stride, dim, stride, smaller(ROWS, keys - first), queries,
                       queries, scores + first * ROWS, NULL);
}

/* add_pairs of some neighbouring queries, for 32 values of each key */
static inline __attribute__((always_inline)) void
add_to_queries(float *sums, const T *weights, const int queries, const Values *values, int64_t dim,
               int64_t d, int is_asking) {
    __m512 left[AT_ONCE], right[AT_ONCE];
    for (int r = 0; r < queries; r++) {
        left[r] = _mm512_loadu_ps(sums + r * dim + d);
        right[r] = _mm512_loadu_ps(sums + r * dim + d + ROWS);
    }
    for (int64_t j = 0; j < values->keys; j += 2) {
        const uint32_t *here = values->pairs + j / 2 * dim + d;
        __m512 one = _mm512_load_ps(here), other = _mm512_load_ps(here + ROWS);
        for (int key = 0; is_asking && key < 2; key++)
            __builtin_prefetch(values->next + (j + key) * values->stride + d, 0, TO_SECOND);
        for (int r = 0; r < queries; r++) {
            uint32_t pair = two(weights + r * KEYS, j / 2);
            left[r] = add_products(left[r], one, pair);
            right[r] = add_products(right[r], other, pair);
        }
    }
    for (int r = 0; r < queries; r++) {
        _mm512_storeu_ps(sums + r * dim + d, left[r]);
        _mm512_storeu_ps(sums + r * dim + d + ROWS, right[r]);
    }
}

/* sums (16, dim) += weights (16, KEYS) @ values, of the first queries */
static inline void add_pairs(float *sums, const T *weights, int64_t queries, const Values *values,
                             int64_t dim) {
    for (int64_t d = 0; d < dim; d += 2 * ROWS) {
        add_to_queries(sums, weights, AT_ONCE, values, dim, d, values->next != NULL);
        if (queries <= AT_ONCE) continue;
        float *others = sums + AT_ONCE * dim;
        const T *their = weights + AT_ONCE * KEYS;
        if (queries <= AT_ONCE + AT_ONCE / 2) /* as many as GLM-4.5V's heads that share keys */
            add_to_queries(others, their, AT_ONCE / 2, values, dim, d, 0);
        else
            add_to_queries(others, their, AT_ONCE, values, dim, d, 0);
    }
}
#endif

/* Scores to weights, in place, that are relative to each query's highest score so far; zero for the
   keys that are not there. Each query sees its `visible` keys, no fewer than the one before it; NULL
   for all. Returns whether a sum of weighted values so far must be shrunk */
static inline int weigh(float *scores, int64_t keys, const int32_t *visible, float scale,
                        float *highest, float *total, float *shrink) {
    int64_t by_all = visible ? visible[0] : keys;
    __m512 before = _mm512_loadu_ps(highest), top = before, sum = _mm512_setzero_ps();
    for (int64_t j = 0; j < keys; j++) {
        __m512 scaled = _mm512_mul_ps(_mm512_load_ps(scores + j * ROWS), _mm512_set1_ps(scale));
        if (j >= by_all) {
            __m512i seen = _mm512_loadu_si512(visible);
            __mmask16 blind = _mm512_cmple_epi32_mask(seen, _mm512_set1_epi32((int)j));
            scaled = _mm512_mask_mov_ps(scaled, blind, _mm512_set1_ps(-INFINITY));
        }
        _mm512_store_ps(scores + j * ROWS, scaled);
        top = _mm512_max_ps(scaled, top);
    }
    for (int64_t j = 0; j < keys; j++) {
        __m512 weight = exp_lanes(_mm512_sub_ps(_mm512_load_ps(scores + j * ROWS), top));
        _mm512_store_ps(scores + j * ROWS, weight);
        sum = _mm512_add_ps(sum, weight);
    }
    __m512 less = exp_lanes(_mm512_sub_ps(before, top));
    _mm512_store_ps(shrink, less);
    _mm512_storeu_ps(highest, top);
    _mm512_storeu_ps(total, _mm512_fmadd_ps(_mm512_loadu_ps(total), less, sum));
    memset(scores + keys * ROWS, 0, (size_t)((KEYS - keys) * ROWS) * sizeof(float));
    return _mm512_cmp_ps_mask(top, before, _CMP_NEQ_UQ) != 0;
}

/* Pairs of neighbouring keys' values, (KEYS / 2, dim) words: even places first, then odd ones */
static inline void pair_values(const T *v, int64_t stride, int64_t keys, int64_t dim,
                               uint32_t *pairs) {
    for (int64_t j = 0; j < round_up(keys, DEPTH); j += 2, pairs += dim)
        for (int64_t i = 0; i < dim / 2; i += LANES) {
            Words one = {0}, next = {0};
            if (j < keys) one = words_at(v + j * stride + 2 * i);
            if (j + 1 < keys) next = words_at(v + (j + 1) * stride + 2 * i);
            Words even_pairs = (one & 0xffffu) | (next << 16);
            Words odd_pairs = (one >> 16) | (next & 0xffff0000u);
            memcpy(pairs + i, &even_pairs, sizeof even_pairs);
            memcpy(pairs + dim / 2 + i, &odd_pairs, sizeof odd_pairs);
        }
}

/* Up to KEYS keys from `k` on and their values for so many queries, `count`, of a block; `part` as of
   attend_part. Weights are rounded before they meet the values */
static inline void meet_keys(const float *queries, int64_t count, const T *k, int64_t k_stride,
                             const Values *values, const int32_t *visible, int64_t dim,
                             float scale, float *part) {
    float *highest = part + ROWS * dim, *total = highest + ROWS;
    int64_t keys = values->keys;
    _Alignas(64) float scores[KEYS * ROWS], shrink[ROWS];
    _Alignas(64) T weights[ROWS * KEYS];
    score(queries, k, k_stride, keys, dim, scores);
    if (weigh(scores, keys, visible, scale, highest, total, shrink))
        for (int q = 0; q < ROWS; q++)
            for (int64_t d = 0; d < dim; d++) part[q * dim + d] *= shrink[q];
    for (int half = 0; half < keys; half += DEPTH) {
        __m512 low[ROWS], high[ROWS];
        for (int j = 0; j < ROWS; j++) {
            low[j] = _mm512_load_ps(scores + (half + j) * ROWS);
            high[j] = _mm512_load_ps(scores + (half + ROWS + j) * ROWS);
        }
        transpose(low), transpose(high);
        for (int q = 0; q < ROWS; q++)
            _mm512_store_si512(weights + q * KEYS + half,
                               (__m512i)_mm512_cvtne2ps_pbh(high[q], low[q]));
    }
    add_pairs(part, weights, count, values, dim);
}

/* A part in which no key has been seen */
static inline void begin_part(float *part, int64_t dim) {
    float *highest = part + ROWS * dim, *total = highest + ROWS;
    memset(part, 0, (size_t)(ROWS * dim) * sizeof(float));
    for (int q = 0; q < ROWS; q++) highest[q] = -INFINITY, total[q] = 0;
}

/* As attend_part, of so many queries, `count`, in a block */
static void attend_pairs(const float *queries, int64_t count, const T *k, const T *v,
                         int64_t k_stride, int64_t v_stride, int64_t begin, int64_t end,
                         int64_t dim, float scale, float *part) {
    _Alignas(64) uint32_t pairs[KEYS / 2 * MAX_PAIRED_DIM];
    begin_part(part, dim);
    for (int64_t start = begin; start < end; start += KEYS) {
        const T *here = v + start * v_stride;
        Values values = {pairs, smaller(KEYS, end - start), NULL, v_stride};
        if (start + KEYS < end) values.next = here + KEYS * v_stride;
        pair_values(here, v_stride, values.keys, dim, pairs);
        meet_keys(queries, count, k + start * k_stride, k_stride, &values, NULL, dim, scale, part);
    }
}

static inline int in_pairs(int64_t group, int64_t dim) {
    /* up to four queries are as fast without */
    return group > 4 && group <= ROWS && dim % DEPTH == 0 && dim <= MAX_PAIRED_DIM;
}
#else
static inline int in_pairs(int64_t group, int64_t dim) { return (void)group, (void)dim, 0; }
#endif

/* The queries of a group as they are kept for its attention: how many there is room for, the floats
   that they take, and the way there; what is not a query must be zero */
static inline int64_t query_rows(int64_t group, int64_t dim) {
    return in_pairs(group, dim) ? ROWS : round_up(group, 4);
}
static inline int64_t queries_size(int64_t group, int64_t dim) {
    return query_rows(group, dim) * dim; /* pairs take half of it */
}
static inline void place_query(const T *q, int64_t index, int64_t group, int64_t dim, float scale,
                               float *queries) {
    (void)group;
#ifdef PAIRS
    if (in_pairs(group, dim)) {
        for (int64_t i = 0; i < dim / 2; i++) ((uint32_t *)queries)[i * ROWS + index] = two(q, i);
        return;
    }
#endif
    widen(q, dim, queries + index * dim);
    for (int64_t i = 0; i < dim; i++) queries[index * dim + i] *= scale;
}

/* attend_part for the queries of a group */
static inline void attend_group(const float *queries, const T *k, const T *v, int64_t k_stride,
                                int64_t v_stride, int64_t begin, int64_t end, int64_t group,
                                int64_t dim, float scale, float *part) {
#ifdef PAIRS
    if (in_pairs(group, dim)) {
        attend_pairs(queries, group, k, v, k_stride, v_stride, begin, end, dim, scale, part);
        return;
    }
#endif
    (void)scale;
    attend_part(queries, k, v, k_stride, v_stride, begin, end, query_rows(group, dim), dim, part);
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

