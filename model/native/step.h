/* One decoding step: a token of each of a few conversations through all decoder layers, in one
   parallel region. What is rounded, and when, is as in the layers written in torch. */

/* A decoder layer. Matrices (outputs, inputs); biases may be NULL */
typedef struct {
    const T *input_norm, *q_bias, *k_bias, *v_bias, *post_norm;
    const T *router;          /* (experts, hidden); NULL in a layer without experts */
    const float *router_bias; /* (experts) */
    Matrix q, k, v, o;
    Matrix gate_up, down; /* (experts, 2 * expert_inner, hidden), (experts, hidden, ...) */
    Gated all;            /* the layer that all tokens go through */
} DecoderLayer;

typedef struct {
    const DecoderLayer *layers;
    const T *norm; /* (hidden) */
    int64_t num_layers, hidden, heads, kv_heads, dim, rotary, experts, top_k, expert_inner;
    float eps, scaling;
    int normalised; /* whether a row's shares are made to sum to 1 */
} Decoder;

/* Where a layer keeps a conversation's keys and values, each (kv_heads, capacity, dim) */
typedef struct {
    T *k, *v;
    int64_t stride; /* elements from one head to the next */
} Storage;

/* A step's conversations and its scratch space */
typedef struct {
    int64_t rows, longest;
    const Storage *const *storage; /* (rows), each (num_layers) */
    const int64_t *lengths;        /* (rows) tokens before this one */
    const T *cos, *sin;            /* (rows, rotary) */
    T *x, *normed, *qkv, *attended;
    float *block, *queries, *parts, *logits, *weights;
    int64_t *ids;
    Chosen chosen;
    Layer all; /* the layer that all tokens go through */
    Meeting *meeting;
} Step;

/* Keys of one part; by the length alone, so that a result does not depend on the other rows */
static inline int64_t part_keys(int64_t keys) {
    int64_t sixteenth = round_up((keys + 15) / 16, BLOCK);
    return sixteenth > 512 ? sixteenth : 512;
}
#define MAX_PARTS 16
#define MAX_DIM 512 /* of a head */

static void norm_rows(const Decoder *d, const Step *s, const T *weight) {
    for (int64_t row = 0; row < s->rows; row++)
        norm_row(s->x + row * d->hidden, weight, s->normed + row * d->hidden, d->hidden, d->eps);
    pack(s->normed, d->hidden, NULL, s->rows, s->block);
}

/* q, k and v of the normed rows, (rows, heads + 2 * kv_heads, dim) */
static void project(const Decoder *d, const Step *s, const DecoderLayer *layer) {
    int64_t q_size = d->heads * d->dim, kv_size = d->kv_heads * d->dim, size = q_size + 2 * kv_size;
    int64_t q_units = units_of(q_size), kv_units = units_of(kv_size);
    const Matrix weights[] = {layer->q, layer->k, layer->v};
    const T *biases[] = {layer->q_bias, layer->k_bias, layer->v_bias};
    const int64_t starts[] = {0, q_size, q_size + kv_size}, sizes[] = {q_size, kv_size, kv_size};
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < q_units + 2 * kv_units; unit++) {
        _Alignas(64) float tile[ROWS * ROWS];
        int which = (unit >= q_units) + (unit >= q_units + kv_units);
        Rows of = unit_rows(which ? (unit - q_units) % kv_units : unit, sizes[which]);
        matrix_products(weights[which], of, d->hidden, s->block, NULL, s->rows, tile);
        for (int64_t row = 0; row < s->rows; row++)
            for (int64_t o = 0; o < of.count; o++) {
                int64_t i = row_of(of, o);
                float bias = biases[which] ? load(biases[which][i]) : 0.0f;
                s->qkv[row * size + starts[which] + i] = store(tile[o * ROWS + row] + bias);
            }
    }
    meet(s->meeting);
}

/* Queries, turned, to where attention wants them; keys, turned, and values to their storage */
static void place_heads(const Decoder *d, const Step *s, int64_t index) {
    int64_t heads = d->heads + 2 * d->kv_heads, group = d->heads / d->kv_heads, dim = d->dim;
    float scale = head_scale(dim);
#pragma omp for schedule(static) nowait
    for (int64_t pair = 0; pair < s->rows * d->kv_heads; pair++) {
        int64_t row = pair / d->kv_heads, head = pair % d->kv_heads, at = s->lengths[row] * dim;
        const T *x = s->qkv + row * heads * dim, *k = x + (d->heads + head) * dim;
        const T *cos = s->cos + row * d->rotary, *sin = s->sin + row * d->rotary;
        const Storage *storage = s->storage[row] + index;
        T turned[MAX_DIM];
        for (int64_t g = 0; g < group; g++) {
            turn(x + (head * group + g) * dim, cos, sin, d->rotary, dim, turned);
            place_query(turned, g, group, dim, scale,
                        s->queries + pair * queries_size(group, dim));
        }
        turn(k, cos, sin, d->rotary, dim, storage->k + head * storage->stride + at);
        memcpy(storage->v + head * storage->stride + at, k + d->kv_heads * dim,
               (size_t)dim * sizeof(T));
    }
    meet(s->meeting);
}

/* Attention of every row over its own conversation, to `attended` (rows, heads, dim) */
static void attend_rows(const Decoder *d, const Step *s, int64_t index) {
    int64_t dim = d->dim, group = d->heads / d->kv_heads, room = query_rows(group, dim);
    int64_t pairs = s->rows * d->kv_heads, size = part_size(room, dim);
    int64_t parts = (s->longest + part_keys(s->longest) - 1) / part_keys(s->longest);
    float scale = head_scale(dim);
#pragma omp for schedule(dynamic) nowait
    for (int64_t unit = 0; unit < pairs * parts; unit++) {
        int64_t pair = unit / parts, row = pair / d->kv_heads, head = pair % d->kv_heads;
        int64_t keys = s->lengths[row] + 1, begin = unit % parts * part_keys(keys);
        const Storage *storage = s->storage[row] + index;
        if (begin < keys)
            attend_group(s->queries + pair * queries_size(group, dim),
                         storage->k + head * storage->stride, storage->v + head * storage->stride,
                         dim, dim, begin, smaller(begin + part_keys(keys), keys), group, dim,
                         scale, s->parts + (pair * MAX_PARTS + unit % parts) * size);
    }
    meet(s->meeting);
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < s->rows * d->heads; unit++) {
        int64_t keys = s->lengths[unit / d->heads] + 1;
        join_parts(s->parts + unit / group * MAX_PARTS * size,
                   (keys + part_keys(keys) - 1) / part_keys(keys), size, unit % group, room, dim,
                   s->attended + unit * dim);
    }
    meet(s->meeting);
}

/* x += what attention brings, by its last matrix */
static void add_attended(const Decoder *d, const Step *s, const DecoderLayer *layer) {
    int64_t inputs = d->heads * d->dim;
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < units_of(d->hidden); unit++) {
        _Alignas(64) float tile[ROWS * ROWS];
        Rows of = unit_rows(unit, d->hidden);
        matrix_products(layer->o, of, inputs, s->block, NULL, s->rows, tile);
        for (int64_t row = 0; row < s->rows; row++)
            for (int64_t o = 0; o < of.count; o++) {
                T *x = s->x + row * d->hidden + row_of(of, o);
                *x = store(load(*x) + rounded(tile[o * ROWS + row]));
            }
    }
    meet(s->meeting);
}

/* The router's scores, (rows, experts), as logits */
static void score_experts(const Decoder *d, const Step *s, const DecoderLayer *layer) {
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < units_of(d->experts); unit++) {
        _Alignas(64) float tile[ROWS * ROWS];
        Rows of = unit_rows(unit, d->experts);
        matrix_products((Matrix){.values = layer->router}, of, d->hidden, s->block, NULL, s->rows,
                        tile);
        for (int64_t row = 0; row < s->rows; row++)
            for (int64_t o = 0; o < of.count; o++)
                s->logits[row * d->experts + row_of(of, o)] = tile[o * ROWS + row];
    }
    meet(s->meeting);
}

/* A row's experts and their shares, as `model.moe.route` with one group; `scores` are used up */
static void route(const Decoder *d, float *scores, const float *bias, int64_t *ids, float *shares) {
    float sum = 0;
    int64_t count = 0;
    for (int64_t e = 0; e < d->experts; e++) {
        scores[e] = 1 / (1 + expf(-scores[e]));
        /* the best so far are in order; `shares` holds what they are compared by */
        float rank = scores[e] + bias[e];
        if (count == d->top_k && !(rank > shares[count - 1])) continue;
        int64_t j = count < d->top_k ? count++ : count - 1;
        for (; j > 0 && rank > shares[j - 1]; j--) ids[j] = ids[j - 1], shares[j] = shares[j - 1];
        ids[j] = e, shares[j] = rank;
    }
    for (int64_t j = 0; j < d->top_k; j++) sum += shares[j] = scores[ids[j]];
    for (int64_t j = 0; j < d->top_k; j++) {
        if (d->normalised) shares[j] /= sum + 1e-20f;
        shares[j] *= d->scaling;
    }
}

/* The experts of every row */
static void route_rows(const Decoder *d, const Step *s, const DecoderLayer *layer) {
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < s->rows; row++)
        route(d, s->logits + row * d->experts, layer->router_bias, s->ids + row * d->top_k,
              s->weights + row * d->top_k);
    meet(s->meeting);
}

/* What goes through each expert of a layer, if it has any, and through the layer for all rows */
static void plan_feed_forward(const Decoder *d, Step *s, const DecoderLayer *layer) {
    s->chosen.count = 0;
    if (layer->router) {
        choose(&s->chosen, s->ids, s->weights, s->rows, d->top_k, d->experts, d->hidden,
               layer->gate_up, layer->down);
    }
    s->all.of = layer->all, s->all.count = s->rows;
    clear_tail(s->all.between, layer->all.inner);
}

/* x += what the experts and the layer for all rows make of it */
static void add_feed_forward(const Decoder *d, const Step *s, const DecoderLayer *layer) {
    int64_t units = units_of(d->hidden), groups = groups_of(units);
#pragma omp for schedule(static) nowait
    for (int64_t group = 0; group < groups; group++) {
        _Alignas(64) float routed[TOGETHER][ROWS * ROWS], common[ROWS * ROWS];
        int64_t begin = group * units / groups, end = (group + 1) * units / groups;
        leave_experts(&s->chosen, begin, end, d->hidden, routed);
        for (int64_t unit = begin; unit < end; unit++) {
            Rows of = unit_rows(unit, d->hidden);
            memset(common, 0, sizeof common);
            leave_layer(&s->all, unit, d->hidden, common);
            for (int64_t row = 0; row < s->rows; row++)
                for (int64_t o = 0; o < of.count; o++) {
                    T *x = s->x + row * d->hidden + row_of(of, o);
                    float sum = rounded(common[o * ROWS + row]);
                    if (layer->router)
                        sum = rounded(rounded(routed[unit - begin][o * ROWS + row]) + sum);
                    *x = store(load(*x) + sum);
                }
        }
    }
    meet(s->meeting);
}

static void run_layer(const Decoder *d, Step *s, int64_t index) {
    const DecoderLayer *layer = d->layers + index;
    int is_first = thread_number() == 0;
    if (is_first) norm_rows(d, s, layer->input_norm);
    meet(s->meeting);
    project(d, s, layer);
    place_heads(d, s, index);
    attend_rows(d, s, index);
    if (is_first) pack(s->attended, d->heads * d->dim, NULL, s->rows, s->block);
    meet(s->meeting);
    add_attended(d, s, layer);
    if (is_first) norm_rows(d, s, layer->post_norm);
    meet(s->meeting);
    if (layer->router) {
        score_experts(d, s, layer);
        route_rows(d, s, layer);
    }
    if (is_first) plan_feed_forward(d, s, layer);
    meet(s->meeting);
    enter_layers(&s->chosen, &s->all, s->block, d->hidden, s->meeting);
    add_feed_forward(d, s, layer);
}

static void release_step(Step *s) {
    free(s->x), free(s->normed), free(s->qkv), free(s->attended), free(s->block), free(s->queries);
    free(s->parts), free(s->logits), free(s->weights), free(s->ids), free(s->all.between);
    release_chosen(&s->chosen);
}

static int make_step(const Decoder *d, Step *s) {
    int64_t rows = s->rows, group = d->heads / d->kv_heads;
    int64_t queries = queries_size(group, d->dim), room = query_rows(group, d->dim);
    int64_t inputs = d->heads * d->dim, most = 0, pairs = rows * d->kv_heads;
    for (int64_t i = 0; i < d->num_layers; i++)
        if (d->layers[i].all.inner > most) most = d->layers[i].all.inner;
    /* in floats, which are wide enough for either type */
    s->x = (T *)floats(rows * d->hidden), s->normed = (T *)floats(rows * d->hidden);
    s->qkv = (T *)floats(rows * (inputs + 2 * d->kv_heads * d->dim));
    s->attended = (T *)floats(rows * inputs);
    s->block = floats(block_size(inputs > d->hidden ? inputs : d->hidden));
    s->queries = floats(pairs * queries);
    s->parts = floats(pairs * MAX_PARTS * part_size(room, d->dim));
    s->logits = floats(rows * d->experts), s->weights = floats(rows * d->top_k);
    s->ids = malloc((size_t)(rows * d->top_k + 1) * sizeof(int64_t));
    s->all.between = floats(block_size(most));
    if (make_chosen(&s->chosen, rows * d->top_k, d->experts, d->expert_inner, 0) || !s->x ||
        !s->normed || !s->qkv || !s->attended || !s->block || !s->queries || !s->parts ||
        !s->logits || !s->weights || !s->ids || !s->all.between)
        return -1;
    memset(s->queries, 0, (size_t)(pairs * queries) * sizeof(float));
    return 0;
}

/* out (rows, hidden) = the last norm of x (rows, hidden) after all layers; keys and values are added
   to the conversations' storage. cos and sin (rows, rotary) */
int step(const Decoder *d, const T *x, T *out, const T *cos, const T *sin,
         const Storage *const *storage, const int64_t *lengths, int64_t rows, int threads) {
    Meeting meeting = {0};
    Step s = {.rows = rows, .storage = storage, .lengths = lengths, .cos = cos, .sin = sin,
              .meeting = &meeting};
    for (int64_t row = 0; row < rows; row++)
        if (lengths[row] >= s.longest) s.longest = lengths[row] + 1;
    if (make_step(d, &s)) {
        release_step(&s);
        return -1;
    }
    memcpy(s.x, x, (size_t)(rows * d->hidden) * sizeof(T));
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        begin_products();
        for (int64_t index = 0; index < d->num_layers; index++) run_layer(d, &s, index);
        end_products();
    }
    for (int64_t row = 0; row < rows; row++)
        norm_row(s.x + row * d->hidden, d->norm, out + row * d->hidden, d->hidden, d->eps);
    release_step(&s);
    return 0;
}
