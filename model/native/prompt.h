/* Attention of many queries, those of a prompt or of the patches of a picture, in pairs. */

#define BLOCKS 8 /* of queries, which meet the same keys one after the other */

/* Where the numbers of a tensor (batch, heads, tokens, dim) are: its first three strides */
typedef struct {
    int64_t batch, head, token;
} Strides;

/* Up to 16 queries, `stride` apart, to a block */
static inline void pack_queries(const T *q, int64_t stride, int64_t rows, int64_t dim,
                                float *block) {
    T copy[ROWS * MAX_PAIRED_DIM];
    for (int64_t r = 0; r < rows; r++)
        memcpy(copy + r * dim, q + r * stride, (size_t)dim * sizeof(T));
    pack_pairs(copy, dim, NULL, rows, block);
}

/* Up to 16 queries' sums of values, normalised, in their natural order */
static inline void finish_part(const float *part, int64_t rows, int64_t dim, T *out,
                               int64_t stride) {
    const float *total = part + ROWS * dim + ROWS;
    for (int64_t r = 0; r < rows; r++) {
        __m512 share = _mm512_set1_ps(1 / total[r]);
        for (int64_t i = 0; i < dim / 2; i += LANES) {
            const float *sums = part + r * dim + i;
            __m512 even = _mm512_mul_ps(_mm512_loadu_ps(sums), share);
            __m512 odd = _mm512_mul_ps(_mm512_loadu_ps(sums + dim / 2), share);
            __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
            __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
            _mm512_storeu_si512(out + r * stride + 2 * i,
                                _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    }
}

/* `count` queries from `first` on of one head; the query at place t sees keys up to t + `ahead`, as
   far as there are any */
static void attend_blocks(const T *q, int64_t q_stride, const T *k, int64_t k_stride, const T *v,
                          int64_t v_stride, T *out, int64_t out_stride, int64_t first,
                          int64_t count, int64_t ahead, int64_t keys, int64_t dim, float scale) {
    _Alignas(64) float blocks[BLOCKS][ROWS / 2 * MAX_PAIRED_DIM];
    _Alignas(64) float parts[BLOCKS][ROWS * MAX_PAIRED_DIM + 2 * ROWS];
    _Alignas(64) uint32_t pairs[KEYS / 2 * MAX_PAIRED_DIM];
    for (int64_t b = 0; b < units_of(count); b++) {
        pack_queries(q + (first + b * ROWS) * q_stride, q_stride, smaller(ROWS, count - b * ROWS),
                     dim, blocks[b]);
        begin_part(parts[b], dim);
    }
    int64_t end = smaller(first + count + ahead, keys);
    for (int64_t start = 0; start < end; start += KEYS) {
        int64_t some = smaller(KEYS, end - start);
        pair_values(v + start * v_stride, v_stride, some, dim, pairs);
        for (int64_t b = 0; b < units_of(count); b++) {
            int64_t visible = first + b * ROWS + ahead + 1 - start;
            if (visible + ROWS > 1)
                meet_keys(blocks[b], k + start * k_stride, k_stride, pairs, some, visible, dim,
                          scale, parts[b]);
        }
    }
    for (int64_t b = 0; b < units_of(count); b++)
        finish_part(parts[b], smaller(ROWS, count - b * ROWS), dim,
                    out + (first + b * ROWS) * out_stride, out_stride);
}

/* out = softmax(q . k * scale) @ v. q and out (batch, heads, queries, dim), k and v
   (batch, kv_heads, keys, dim). If `causal`, the queries are the last of the keys' tokens, and see no
   later ones. dim is a multiple of 32, at most 256 */
int attend_prompt(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
                  int64_t kv_heads, int64_t queries, int64_t keys, int64_t dim,
                  const Strides *strides, float scale, int causal, int threads) {
    int64_t each = (queries + BLOCKS * ROWS - 1) / (BLOCKS * ROWS), group = heads / kv_heads;
    const Strides *qs = strides, *ks = strides + 1, *vs = strides + 2, *os = strides + 3;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
#pragma omp for schedule(dynamic)
        for (int64_t unit = 0; unit < batch * heads * each; unit++) {
            int64_t b = unit / each / heads, head = unit / each % heads;
            int64_t first = unit % each * BLOCKS * ROWS;
            attend_blocks(q + b * qs->batch + head * qs->head, qs->token,
                          k + b * ks->batch + head / group * ks->head, ks->token,
                          v + b * vs->batch + head / group * vs->head, vs->token,
                          out + b * os->batch + head * os->head, os->token, first,
                          smaller(BLOCKS * ROWS, queries - first), causal ? keys - queries : keys, keys,
                          dim, scale);
        }
        end_products();
    }
    return 0;
}
