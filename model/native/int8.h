/* `linear` and `routed_experts` of up to 16 rows by matrices in 8-bit integers, and such a matrix
   written out. Scales have the shape of a matrix, or of stacked ones, without the last dimension. */

int linear_int8(const T *x, const int8_t *weight, const float *scale, const T *bias, T *out,
                int64_t rows, int64_t inputs, int64_t outputs, int threads) {
    float *block = floats(block_size(inputs));
    if (!block) return -1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
        multiply_few(x, (Matrix){weight, scale}, bias, out, rows, inputs, outputs, block);
        end_products();
    }
    free(block);
    return 0;
}

int routed_experts_int8(const T *x, const int64_t *ids, const float *shares, const int8_t *gate_up,
                        const float *gate_up_scale, const int8_t *down, const float *down_scale,
                        T *out, int64_t rows, int64_t top_k, int64_t experts, int64_t hidden,
                        int64_t inner, int threads) {
    Chosen chosen;
    float *block = floats(block_size(hidden));
    if (make_chosen(&chosen, rows * top_k, experts, inner, 1) || !block) {
        free(block), release_chosen(&chosen);
        return -1;
    }
    choose(&chosen, ids, shares, rows, top_k, experts, hidden, (Matrix){gate_up, gate_up_scale},
           (Matrix){down, down_scale});
    pack(x, hidden, NULL, rows, block);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
        run_few(&chosen, block, out, rows, hidden);
        end_products();
    }
    free(block), release_chosen(&chosen);
    return 0;
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

/* out (outputs, inputs) = weight * scale */
int dequantize(const int8_t *weight, const float *scale, T *out, int64_t outputs, int64_t inputs,
               int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t o = 0; o < outputs; o++) {
        const int8_t *w = weight + o * inputs;
        T *row = out + o * inputs;
        int64_t i = 0;
        for (; i + LANES <= inputs; i += LANES)
            store_lanes(integers_in_order(w + i) * scale[o], row + i);
        for (; i < inputs; i++) row[i] = store((float)w[i] * scale[o]);
    }
    return 0;
}
