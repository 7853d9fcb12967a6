/* Attention of one query per head over cached keys and values, in parts that threads take. */

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

