/* Gated feed-forward layers of a few vectors: experts of which each vector chose some, and layers
   that all vectors go through. Weights are read once for all vectors. */

/* A layer that all vectors go through: down @ (silu(gate @ x) * (up @ x)) */
typedef struct {
    Matrix gate, up, down; /* (inner, hidden), (inner, hidden), (hidden, inner) */
    int64_t inner;
} Gated;

/* One that some rows of a block go through */
typedef struct {
    Gated of;
    int64_t count;
    const int64_t *rows; /* which of the block, (count); NULL for the first ones */
    const float *shares; /* factors of the results (count); NULL for 1 */
    float *between;      /* a block of what `down` takes */
} Layer;

/* What rows chose, expert by expert: (rows, top_k) `ids` and `shares` in another order. Experts come
   in ascending order, so a row's sum does not depend on what others chose. */
typedef struct {
    Layer *layers; /* room for rows * top_k */
    int64_t *rows, *starts;
    float *shares, *between;
    int64_t count, inner, step;
} Chosen;

static void release_chosen(Chosen *chosen) {
    free(chosen->layers), free(chosen->rows), free(chosen->starts);
    free(chosen->shares), free(chosen->between);
}

/* Scratch space for `pairs` choices among so many experts, which run together in so many blocks, or,
   if it is 0, in one each; to be released; -1 if there is none */
static int make_chosen(Chosen *chosen, int64_t pairs, int64_t experts, int64_t inner,
                       int64_t blocks) {
    int64_t most = smaller(pairs, experts);
    chosen->layers = malloc((size_t)(most + 1) * sizeof(Layer));
    chosen->rows = malloc((size_t)(pairs + 1) * sizeof(int64_t));
    chosen->starts = malloc((size_t)(experts + 1) * sizeof(int64_t));
    chosen->shares = floats(pairs);
    chosen->between = floats((blocks ? blocks : most) * block_size(inner));
    chosen->step = blocks ? 0 : block_size(inner);
    chosen->count = 0, chosen->inner = inner;
    return chosen->layers && chosen->rows && chosen->starts && chosen->shares && chosen->between
               ? 0
               : -1;
}

static void choose(Chosen *chosen, const int64_t *ids, const float *shares, int64_t rows,
                   int64_t top_k, int64_t experts, int64_t hidden, Matrix gate_up,
                   Matrix down) {
    int64_t inner = chosen->inner, *starts = chosen->starts;
    memset(starts, 0, (size_t)(experts + 1) * sizeof *starts);
    for (int64_t pair = 0; pair < rows * top_k; pair++) starts[ids[pair] + 1]++;
    chosen->count = 0;
    for (int64_t e = 0; e < experts; e++) {
        int64_t count = starts[e + 1];
        starts[e + 1] += starts[e];
        if (!count) continue;
        float *between = chosen->between + chosen->count * chosen->step;
        clear_tail(between, inner);
        Gated expert = {rows_from(gate_up, 2 * e * inner, hidden),
                        rows_from(gate_up, (2 * e + 1) * inner, hidden),
                        rows_from(down, e * hidden, inner), inner};
        chosen->layers[chosen->count++] = (Layer){expert, count, chosen->rows + starts[e],
                                                  chosen->shares + starts[e], between};
    }
    for (int64_t pair = 0; pair < rows * top_k; pair++) {
        int64_t at = starts[ids[pair]]++;
        chosen->rows[at] = pair / top_k, chosen->shares[at] = shares[pair];
    }
}

/* A unit's outputs of gate and up, to the layer's block; rounded where torch would round */
static void enter_layer(const Layer *layer, int64_t unit, const float *block, int64_t hidden) {
    _Alignas(64) float gates[ROWS * ROWS], ups[ROWS * ROWS];
    Rows of = unit_rows(unit, layer->of.inner);
    matrix_products(layer->of.gate, of, hidden, block, layer->rows, layer->count, gates);
    matrix_products(layer->of.up, of, hidden, block, layer->rows, layer->count, ups);
    for (int64_t j = 0; j < layer->count; j++) {
        int64_t row = layer->rows ? layer->rows[j] : j;
        for (int64_t o = 0; o < of.count; o++) {
            float gate = rounded(gates[o * ROWS + row]);
            float silu = rounded(gate / (1.0f + fast_exp(-gate)));
            put(layer->between, layer->of.inner, row, row_of(of, o),
                silu * rounded(ups[o * ROWS + row]));
        }
    }
}

/* sums (16, 16) += a unit's outputs of down */
static void leave_layer(const Layer *layer, int64_t unit, int64_t hidden, float *sums) {
    _Alignas(64) float tile[ROWS * ROWS];
    Rows of = unit_rows(unit, hidden);
    matrix_products(layer->of.down, of, layer->of.inner, layer->between, layer->rows,
                    layer->count, tile);
    for (int64_t j = 0; j < layer->count; j++) {
        int64_t row = layer->rows ? layer->rows[j] : j;
        float share = layer->shares ? layer->shares[j] : 1.0f;
        for (int64_t o = 0; o < of.count; o++)
            sums[o * ROWS + row] += share * tile[o * ROWS + row];
    }
}

#define TOGETHER 16 /* units that leave the experts one after the other: each is read in one go */

/* How many times so many units are taken together, of which threads get as many each */
static inline int64_t groups_of(int64_t units) {
    int64_t groups = (units + TOGETHER - 1) / TOGETHER;
    return smaller(units, round_up(groups, thread_count()));
}

/* sums (16, 16) of each unit [begin, end), as `leave_layer` of all chosen experts, in order */
static void leave_experts(const Chosen *chosen, int64_t begin, int64_t end, int64_t hidden,
                          float sums[][ROWS * ROWS]) {
    memset(sums, 0, (size_t)(end - begin) * sizeof *sums);
    for (int64_t e = 0; e < chosen->count; e++)
        for (int64_t unit = begin; unit < end; unit++)
            leave_layer(chosen->layers + e, unit, hidden, sums[unit - begin]);
}

/* All of `enter_layer` for the chosen experts and then `more`, which may be NULL; a thread's part */
static void enter_layers(const Chosen *chosen, const Layer *more, const float *block,
                         int64_t hidden, Meeting *meeting) {
    int64_t each = units_of(chosen->inner), routed = chosen->count * each;
    int64_t all = routed + (more ? units_of(more->of.inner) : 0);
#pragma omp for schedule(static) nowait
    for (int64_t unit = 0; unit < all; unit++)
        if (unit < routed)
            enter_layer(chosen->layers + unit / each, unit % each, block, hidden);
        else
            enter_layer(more, unit - routed, block, hidden);
    meet(meeting);
}
