/* What is done to one row, or to one head of it: norm and rotation. */

/* out (n) = x (n) / sqrt(mean(x^2) + eps), rounded, times weight, rounded */
static void norm_row(const T *restrict x, const T *restrict weight, T *restrict out, int64_t n,
                     float eps) {
    float sum = 0;
    int64_t i = 0;
#ifdef PAIRS
    __m512 squares = _mm512_setzero_ps();
    for (; i + LANES <= n; i += LANES)
        squares = _mm512_fmadd_ps(widened_at(x + i), widened_at(x + i), squares);
    sum = _mm512_reduce_add_ps(squares);
#endif
#pragma omp simd reduction(+ : sum)
    for (int64_t j = i; j < n; j++) sum += load(x[j]) * load(x[j]);
    float scale = 1 / sqrtf(sum / (float)n + eps);
    i = 0;
#ifdef PAIRS
    __m512 scales = _mm512_set1_ps(scale);
    for (; i + LANES <= n; i += LANES) {
        __m512 normed = rounded_lanes(_mm512_mul_ps(widened_at(x + i), scales));
        store_rounded(out + i, _mm512_mul_ps(widened_at(weight + i), normed));
    }
#endif
    for (; i < n; i++) out[i] = store(load(weight[i]) * rounded(load(x[i]) * scale));
}

/* Turn the first dimensions of a head, as `model.rope.rotate` */
static void turn(const T *restrict x, const T *restrict cos, const T *restrict sin, int64_t rotary,
                 int64_t dim, T *restrict out) {
    int64_t half = rotary / 2, i = 0;
#ifdef PAIRS
    for (; i + LANES <= half; i += LANES) {
        __m512 low = widened_at(x + i), high = widened_at(x + i + half);
        __m512 turned = rounded_lanes(_mm512_mul_ps(low, widened_at(cos + i)));
        store_rounded(out + i, _mm512_fmadd_ps(high, widened_at(sin + i), turned));
        turned = rounded_lanes(_mm512_mul_ps(high, widened_at(cos + i + half)));
        store_rounded(out + i + half, _mm512_fmadd_ps(low, widened_at(sin + i + half), turned));
    }
#endif
    for (; i < half; i++) {
        float low = load(x[i]), high = load(x[i + half]);
        out[i] = store(rounded(low * load(cos[i])) + high * load(sin[i]));
        out[i + half] = store(rounded(high * load(cos[i + half])) + low * load(sin[i + half]));
    }
    memcpy(out + rotary, x + rotary, (size_t)(dim - rotary) * sizeof(T));
}

/* out (dim) = x (dim), turned by cos and sin (dim); computed in float32 and rounded once; out may be x */
static void rotate_head(const T *x, const float *cos, const float *sin, T *out, int64_t dim) {
    int64_t half = dim / 2, i = 0;
#ifdef PAIRS
    for (; i + LANES <= half; i += LANES) {
        __m512 low = widened_at(x + i), high = widened_at(x + half + i);
        __m512 from_low = _mm512_mul_ps(high, _mm512_loadu_ps(sin + i));
        __m512 from_high = _mm512_mul_ps(low, _mm512_loadu_ps(sin + half + i));
        store_rounded(out + i, _mm512_fmadd_ps(low, _mm512_loadu_ps(cos + i), from_low));
        store_rounded(out + half + i,
                      _mm512_fmadd_ps(high, _mm512_loadu_ps(cos + half + i), from_high));
    }
#endif
    for (; i < half; i++) {
        float low = load(x[i]), high = load(x[half + i]);
        out[i] = store(low * cos[i] + high * sin[i]);
        out[half + i] = store(high * cos[half + i] + low * sin[half + i]);
    }
}
