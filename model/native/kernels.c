/* Decoding steps for a few rows on a CPU, where the time is that of reading the weights once; and,
   where the processor multiplies pairs of bfloat16, the products of prompts and pictures.

   Compiled once per element type: with -DBF16 for bfloat16, without for float32. Sums are in float32
   and rounded once, when they are complete. Matrices are row-major and without gaps unless a
   stride is named. Functions return 0, or -1 if there was no memory for their scratch space. */

#define _GNU_SOURCE /* syscall */

#include "threads.h"
#include "vectors.h"

#include "pairs.h"
#include "products.h"
#include "groups.h"
#include "quantized.h"

#include "attention.h"
#include "feed_forward.h"
#include "rows.h"
#include "step.h"
#ifdef PAIRS
#include "matrices.h"
#include "prompt.h"
#include "layers.h"
#endif

#if defined(PAIRS) && !defined(TILES)
#define FEW 8 /* rows: for more, pairs are multiplied, however many of the 16 are there */
#else
#define FEW ROWS
#endif

/* As `linear` for a FEW rows, a thread's part; `block` is scratch space */
static void multiply_few(const T *x, Matrix weight, const T *bias, T *out, int64_t rows,
                         int64_t inputs, int64_t outputs, float *block, Meeting *meeting) {
    if (thread_number() == 0) pack(x, inputs, NULL, rows, block);
    meet(meeting);
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < units_of(outputs); unit++) {
        _Alignas(64) float tile[ROWS * ROWS];
        Rows of = unit_rows(unit, outputs);
        matrix_products(weight, of, inputs, block, NULL, rows, tile);
        for (int64_t row = 0; row < rows; row++)
            for (int64_t o = 0; o < of.count; o++) {
                int64_t i = row_of(of, o);
                float sum = tile[o * ROWS + row] + (bias ? load(bias[i]) : 0.0f);
                out[row * outputs + i] = store(sum);
            }
    }
}

/* Floats in which a thread writes out `elements` for many rows; none for a matrix of elements */
static int64_t written_size(Matrix matrix, int64_t rows, int64_t count) {
    int64_t size = round_up(count * (int64_t)sizeof(T), sizeof(Lanes)) / (int64_t)sizeof(float);
    return is_written_out(matrix) && rows > FEW ? size : 0;
}

/* out (rows, outputs) = x (rows, inputs) @ weight (outputs, inputs)^T + bias; bias may be NULL.
   A FEW rows, or any number in pairs */
int linear(const T *x, Matrix weight, const T *bias, T *out, int64_t rows, int64_t inputs,
           int64_t outputs, int threads) {
    if (!rows) return 0;
    Meeting meeting = {0};
    float *packed = floats(units_of(rows) * block_size(inputs)), *written = NULL;
    int64_t each = written_size(weight, rows, 2 * ROWS * inputs);
    if (each) written = floats(each * threads);
    if (!packed || (each && !written)) {
        free(packed), free(written);
        return -1;
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
#ifdef PAIRS
        if (rows > FEW)
            multiply(x, weight, bias, out, rows, inputs, outputs, packed,
                     (T *)(written + each * thread_number()), &meeting);
        else
#endif
            multiply_few(x, weight, bias, out, rows, inputs, outputs, packed, &meeting);
        end_products();
    }
    free(packed), free(written);
    return 0;
}

/* out (rows, n) = x / sqrt(mean(x^2) + eps), rounded, times weight, rounded */
int rms_norm(const T *x, const T *weight, T *out, int64_t rows, int64_t n, float eps,
             int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t row = 0; row < rows; row++) norm_row(x + row * n, weight, out + row * n, n, eps);
    return 0;
}

/* out (n) = silu(gates) * ups, rounded where torch rounds */
int gate(const T *restrict gates, const T *restrict ups, T *restrict out, int64_t n, int threads) {
    int64_t chunk = 4096;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t begin = 0; begin < n; begin += chunk) {
        int64_t i = begin, end = smaller(begin + chunk, n);
#ifdef PAIRS
        for (; i + LANES <= end; i += LANES) {
            __m512i products = activated(widened_at(gates + i), widened_at(ups + i));
            _mm256_storeu_si256((void *)(out + i), _mm512_cvtepi32_epi16(products));
        }
#endif
        for (; i < end; i++) {
            float x = load(gates[i]);
            out[i] = store(rounded(x / (1.0f + fast_exp(-x))) * load(ups[i]));
        }
    }
    return 0;
}

/* out (batch, tokens, heads, dim) = `model.rope.rotate` of x (batch, heads, tokens, dim), whose first
   three strides are given; cos and sin (batch, tokens, rotary) */
int turn_heads(const T *x, const int64_t *strides, const T *cos, const T *sin, T *out,
               int64_t batch, int64_t heads, int64_t tokens, int64_t dim, int64_t rotary,
               int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t token = 0; token < batch * tokens; token++) {
        const T *heads_of = x + token / tokens * strides[0] + token % tokens * strides[2];
        for (int64_t head = 0; head < heads; head++)
            turn(heads_of + head * strides[1], cos + token * rotary, sin + token * rotary, rotary,
                 dim, out + (token * heads + head) * dim);
    }
    return 0;
}

/* out (rows, heads, dim) = `model.rope.rotate` of x (rows, heads, dim), whose rows begin `stride`
   elements apart; cos and sin (rows, dim) */
int rotate(const T *x, int64_t stride, const float *cos, const float *sin, T *out, int64_t rows,
           int64_t heads, int64_t dim, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t head = 0; head < heads; head++)
            rotate_head(x + row * stride + head * dim, cos + row * dim, sin + row * dim,
                        out + (row * heads + head) * dim, dim);
    return 0;
}

/* As `routed_experts` for up to 16 rows, a thread's part: weights are read once for all of them */
static void run_few(const Chosen *chosen, const float *block, T *out, int64_t rows,
                    int64_t hidden, Meeting *meeting) {
    enter_layers(chosen, NULL, block, hidden, meeting);
    int64_t units = units_of(hidden), groups = groups_of(units);
#pragma omp for schedule(static) nowait
    for (int64_t group = 0; group < groups; group++) {
        _Alignas(64) float sums[TOGETHER][ROWS * ROWS];
        int64_t begin = group * units / groups, end = (group + 1) * units / groups;
        leave_experts(chosen, begin, end, hidden, sums);
        for (int64_t unit = begin; unit < end; unit++) {
            Rows of = unit_rows(unit, hidden);
            for (int64_t row = 0; row < rows; row++)
                for (int64_t o = 0; o < of.count; o++)
                    out[row * hidden + row_of(of, o)] =
                        store(sums[unit - begin][o * ROWS + row]);
        }
    }
}

/* out (rows, hidden): the sum over a row's top_k experts e of
   share * down[e] @ (silu(gate[e] @ x) * (up[e] @ x)).
   Up to 16 rows, or any number in pairs; ids, of a row all different, and shares (rows, top_k);
   gate_up (experts, 2 * inner, hidden), gate rows first; down (experts, hidden, inner); scales lack
   the last dimension */
int routed_experts(const T *x, const int64_t *ids, const float *shares, Matrix gate_up,
                   Matrix down, T *out, int64_t rows, int64_t top_k, int64_t experts,
                   int64_t hidden, int64_t inner, int threads) {
    if (!rows) return 0;
    Chosen chosen;
    Meeting meeting = {0};
    int64_t blocks = 0;
#ifdef PAIRS
    if (rows > ROWS) blocks = experts_blocks(rows);
#endif
    float *packed = floats((blocks ? blocks : 1) * block_size(hidden)), *sums = NULL;
    float *written = NULL;
    int64_t widest = 2 * ROWS * (hidden > inner ? hidden : inner);
    int64_t each = written_size(gate_up, rows, widest);
    if (!each) each = written_size(down, rows, widest);
    if (each) written = floats(each * threads);
    int failed = make_chosen(&chosen, rows * top_k, experts, inner, blocks);
    if (rows > ROWS) sums = calloc((size_t)(rows * hidden), sizeof(float));
    if (failed || !packed || (rows > ROWS && !sums) || (each && !written)) {
        free(packed), free(sums), free(written), release_chosen(&chosen);
        return -1;
    }
    choose(&chosen, ids, shares, rows, top_k, experts, hidden, gate_up, down);
    if (rows <= ROWS) pack(x, hidden, NULL, rows, packed);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
        if (rows <= ROWS) run_few(&chosen, packed, out, rows, hidden, &meeting);
#ifdef PAIRS
        else
            add_experts(&chosen, x, hidden, packed, sums, (T *)(written + each * thread_number()),
                        &meeting);
        if (rows > ROWS)
#pragma omp for schedule(static) nowait
            for (int64_t i = 0; i < rows; i++)
                for (int64_t c = 0; c < hidden; c++)
                    out[i * hidden + c] = store(sums[i * hidden + c]);
#endif
        end_products();
    }
    free(packed), free(sums), free(written), release_chosen(&chosen);
    return 0;
}

/* out (batch, heads, dim) = softmax(q . k * scale) @ v for one query per head.
   q (batch, heads, dim); k and v (batch, kv_heads, keys, dim), their first three strides given in
   elements; the keys are cut into `splits` parts, which threads take */
int attention(const T *q, const T *k, const T *v, T *out, int64_t batch, int64_t heads,
              int64_t kv_heads, int64_t keys, int64_t dim, const int64_t *k_strides,
              const int64_t *v_strides, float scale, int64_t splits, int threads) {
    int64_t pairs = batch * kv_heads, group = heads / kv_heads, room = query_rows(group, dim);
    int64_t step = (keys + splits - 1) / splits, size = part_size(room, dim);
    int64_t queries_each = queries_size(group, dim);
    float *queries = floats(pairs * queries_each), *parts = floats(pairs * splits * size);
    if (!queries || !parts) {
        free(queries), free(parts);
        return -1;
    }
    memset(queries, 0, (size_t)(pairs * queries_each) * sizeof(float));
    for (int64_t head = 0; head < batch * heads; head++)
        place_query(q + head * dim, head % group, group, dim, scale,
                    queries + head / group * queries_each);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
#pragma omp for schedule(static)
        for (int64_t unit = 0; unit < pairs * splits; unit++) {
            int64_t pair = unit / splits, b = pair / kv_heads, h = pair % kv_heads;
            int64_t begin = unit % splits * step, end = smaller(begin + step, keys);
            attend_group(queries + pair * queries_each, k + b * k_strides[0] + h * k_strides[1],
                         v + b * v_strides[0] + h * v_strides[1], k_strides[2], v_strides[2],
                         begin, end, group, dim, scale, parts + unit * size);
        }
        end_products();
    }
    for (int64_t head = 0; head < batch * heads; head++)
        join_parts(parts + head / group * splits * size, splits, size, head % group, room, dim,
                   out + head * dim);
    free(queries), free(parts);
    return 0;
}

/* out (outputs, inputs) = a matrix in integers */
int dequantize(Matrix weight, T *out, int64_t outputs, int64_t inputs, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t o = 0; o < outputs; o++) elements(weight, o, 1, inputs, out + o * inputs);
    return 0;
}
