/* `linear` and `routed_experts` by matrices in 8-bit integers, and such a matrix written out. Scales
   have the shape of a matrix, or of stacked ones, without the last dimension. */

int linear_int8(const T *x, const int8_t *weight, const float *scale, const T *bias, T *out,
                int64_t rows, int64_t inputs, int64_t outputs, int threads) {
    return run_linear(x, (Matrix){weight, scale}, bias, out, rows, inputs, outputs, threads);
}

int routed_experts_int8(const T *x, const int64_t *ids, const float *shares, const int8_t *gate_up,
                        const float *gate_up_scale, const int8_t *down, const float *down_scale,
                        T *out, int64_t rows, int64_t top_k, int64_t experts, int64_t hidden,
                        int64_t inner, int threads) {
    return run_experts(x, ids, shares, (Matrix){gate_up, gate_up_scale},
                       (Matrix){down, down_scale}, out, rows, top_k, experts, hidden, inner,
                       threads);
}

/* out (outputs, inputs) = weight * scale */
int dequantize(const int8_t *weight, const float *scale, T *out, int64_t outputs, int64_t inputs,
               int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t o = 0; o < outputs; o++)
        write_row(weight + o * inputs, scale[o], out + o * inputs, inputs);
    return 0;
}
