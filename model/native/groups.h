/* Products of matrices in 4-bit integers, of which every 32 neighbours in a row have a scale.

   Weights become elements where they are used: a result is that of the matrix written out, but for
   the order of its sums. As `products`, it depends on the matrix and on its own vector alone. */

#define GROUP 32 /* weights */

/* Weight i is scale * (integer - 8), the integer in the lower half of `both[i]`, or, from the 16th
   weight on, in the upper half of `both[i - 16]` */
typedef struct {
    uint16_t scale; /* bfloat16 */
    uint8_t both[GROUP / 2];
} Group;

#if defined(BF16) && defined(__AVX512BF16__)
/* A group's weights: each is looked up among the 16 that it can be */
static inline __m512bh group_at(const Group *group, int64_t left) {
    (void)left; /* there are only whole groups */
    __m512 integers = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    __m512i scale = _mm512_slli_epi32(_mm512_set1_epi16((short)group->scale), 16);
    __m512 weights = _mm512_mul_ps(integers, _mm512_castsi512_ps(scale));
    __m256i all = (__m256i)_mm512_cvtneps_pbh(weights);
    __m256i bytes = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)group->both));
    __m512i which = _mm512_inserti64x4(_mm512_castsi256_si512(bytes), _mm256_srli_epi16(bytes, 4), 1);
    /* an index has five bits: the highest, a neighbour's, leads to the same weights once more */
    return (__m512bh)_mm512_permutexvar_epi16(which, _mm512_broadcast_i64x4(all));
}
#endif

/* row (n) = weights */
static inline void write_groups(const Group *groups, T *row, int64_t n) {
    for (int64_t i = 0; i < n; i += GROUP, groups++) {
#if defined(BF16) && defined(__AVX512BF16__)
        _mm512_storeu_si512(row + i, (__m512i)group_at(groups, GROUP));
#else
        float scale = load_bfloat16(groups->scale);
        for (int j = 0; j < GROUP / 2; j++) {
            row[i + j] = store(scale * (float)((groups->both[j] & 15) - 8));
            row[i + GROUP / 2 + j] = store(scale * (float)((groups->both[j] >> 4) - 8));
        }
#endif
    }
}

#if defined(PAIRS) && !defined(TILES)
PAIR_PRODUCTS(group_products, Group, GROUP, group_at, ARE_SEVERAL, 1, 8)
#else
#ifdef TILES
#define WRITTEN ROWS /* outputs, at a time: tiles read as many side by side */
#else
#define WRITTEN 2
#endif
/* out (16, 16) = groups of rows of n values that begin `stride` values apart, times one block,
   outputs first */
static inline void group_products(const Group *w, int64_t n, int64_t stride, int64_t outputs,
                                  const float *block, const int64_t *which, int64_t rows,
                                  float *out) {
    T written_out[WRITTEN * n];
    for (int64_t o = 0; o < outputs; o += WRITTEN) {
        int64_t some = smaller(WRITTEN, outputs - o);
        for (int64_t r = 0; r < some; r++)
            write_groups(w + (o + r) * stride / GROUP, written_out + r * n, n);
#ifdef TILES
        written();
#endif
        products(written_out, n, n, some, block, which, rows, out + o * ROWS);
    }
}
#endif
