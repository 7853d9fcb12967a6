/* Attention of many queries, those of a prompt or of the patches of a picture, in pairs. */

#define BLOCKS 6 /* of queries, which meet the same keys one after the other */

/* Up to 16 queries, in the order of their places, of heads that share keys */
typedef struct {
    const T *q[ROWS];
    T *out[ROWS];
    int64_t place[ROWS], count;
} Queries;

/* Where the numbers of a tensor (batch, heads, tokens, dim) are: its first three strides */
typedef struct {
    int64_t batch, head, token;
} Strides;

static inline void pack_queries(const Queries *queries, int64_t dim, float *packed) {
    T copy[ROWS * MAX_PAIRED_DIM];
    for (int64_t r = 0; r < queries->count; r++)
        memcpy(copy + r * dim, queries->q[r], (size_t)dim * sizeof(T));
    pack_pairs(copy, dim, NULL, queries->count, packed);
}

/* The queries' sums of values, normalised, in their natural order */
static inline void finish_part(const float *part, const Queries *queries, int64_t dim) {
    const float *total = part + ROWS * dim + ROWS;
    for (int64_t r = 0; r < queries->count; r++) {
        __m512 share = _mm512_set1_ps(1 / total[r]);
        for (int64_t i = 0; i < dim / 2; i += LANES) {
            const float *sums = part + r * dim + i;
            __m512 even = _mm512_mul_ps(_mm512_loadu_ps(sums), share);
            __m512 odd = _mm512_mul_ps(_mm512_loadu_ps(sums + dim / 2), share);
            __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
            __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
            _mm512_storeu_si512(queries->out[r] + 2 * i,
                                _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    }
}

/* A few blocks of queries; that at place t sees keys up to t + `ahead`, as far as there are any */
static void attend_blocks(const Queries *queries, int64_t blocks, const T *k, int64_t k_stride,
                          const T *v, int64_t v_stride, int64_t ahead, int64_t keys, int64_t dim,
                          float scale) {
    _Alignas(64) float packed[BLOCKS][ROWS / 2 * MAX_PAIRED_DIM];
    _Alignas(64) float parts[BLOCKS][ROWS * MAX_PAIRED_DIM + 2 * ROWS];
    _Alignas(64) uint32_t pairs[KEYS / 2 * MAX_PAIRED_DIM];
    for (int64_t b = 0; b < blocks; b++) {
        pack_queries(queries + b, dim, packed[b]);
        begin_part(parts[b], dim);
    }
    const Queries *last = queries + blocks - 1;
    int64_t end = smaller(last->place[last->count - 1] + ahead + 1, keys);
    for (int64_t start = 0; start < end; start += KEYS) {
        Values values = {pairs, smaller(KEYS, end - start), NULL, v_stride};
        pair_values(v + start * v_stride, v_stride, values.keys, dim, pairs);
        for (int64_t b = 0; b < blocks; b++) {
            int32_t visible[ROWS];
            for (int64_t r = 0; r < ROWS; r++) {
                int64_t place = queries[b].place[smaller(r, queries[b].count - 1)];
                visible[r] = (int32_t)smaller(place + ahead + 1 - start, KEYS);
            }
            if (visible[ROWS - 1] > 0)
                meet_keys(packed[b], queries[b].count, k + start * k_stride, k_stride, &values,
                          visible, dim, scale, parts[b]);
        }
    }
    for (int64_t b = 0; b < blocks; b++) finish_part(parts[b], queries + b, dim);
}

/* As `attend_prompt`, a thread's part */
static void attend_all(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
                       int64_t kv_heads, int64_t queries, int64_t keys, int64_t dim,
                       const Strides *strides, float scale, int causal) {
    int64_t group = heads / kv_heads, rows = queries * group; /* that share keys */
    int64_t blocks = units_of(rows), together = BLOCKS, threads = thread_count();
    while (together > 1 && batch * kv_heads * blocks < 2 * threads * together) together--;
    int64_t each = (blocks + together - 1) / together;
    const Strides *qs = strides, *ks = strides + 1, *vs = strides + 2, *os = strides + 3;
#pragma omp for schedule(dynamic) nowait
    for (int64_t unit = 0; unit < batch * kv_heads * each; unit++) {
        int64_t b = unit / each / kv_heads, kv_head = unit / each % kv_heads;
        int64_t begin = unit % each * together, count = smaller(together, blocks - begin);
        Queries some[BLOCKS];
        for (int64_t i = 0; i < count; i++) {
            int64_t first = (begin + i) * ROWS;
            some[i].count = smaller(ROWS, rows - first);
            for (int64_t r = 0; r < some[i].count; r++) { /* a place's heads, then the next's */
                int64_t head = kv_head * group + (first + r) % group, t = (first + r) / group;
                some[i].q[r] = q + b * qs->batch + head * qs->head + t * qs->token;
                some[i].out[r] = out + b * os->batch + head * os->head + t * os->token;
                some[i].place[r] = t;
            }
        }
        attend_blocks(some, count, k + b * ks->batch + kv_head * ks->head, ks->token,
                      v + b * vs->batch + kv_head * vs->head, vs->token,
                      causal ? keys - queries : keys, keys, dim, scale);
    }
}

/* out = softmax(q . k * scale) @ v. q and out (batch, heads, queries, dim), k and v
   (batch, kv_heads, keys, dim), each with its strides. If `causal`, the queries are the last of the
   keys' tokens, and see no later ones. dim is a multiple of 32, at most 256 */
int attend_prompt(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
                  int64_t kv_heads, int64_t queries, int64_t keys, int64_t dim,
                  const Strides *strides, float scale, int causal, int threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
        attend_all(q, k, v, out, batch, heads, kv_heads, queries, keys, dim, strides, scale,
                   causal);
        end_products();
    }
    return 0;
}
