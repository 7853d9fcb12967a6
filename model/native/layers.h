/* Whole layers over many tokens: a decoder layer over a piece of a prompt, a block of the vision tower
   over patches. Each is one parallel region, in which what one product leaves is packed for the next
   while the caches still hold it. What is rounded, and when, is as in the layers written in torch, and
   every sum is that of the kernels they call; only the scores of experts are added up in another
   order. */

#define TOGETHER_BLOCKS 32 /* whose way through a gated layer is one piece: what lies between the
                              two products stays in the caches, and weights are read seldom */

/* What the threads of a layer share, and each one's own. All but `chosen` is kept from layer to layer:
   fresh memory costs a page fault for every 4 kB */
typedef struct {
    float *packed, *between, *logits, *shares, *routed;
    T *heads, *attended, *normed; /* (rows, ...) */
    T *own;                       /* (threads, OWN_ROWS * widest) */
    int64_t *ids;
    int64_t widest; /* values of the longest row that is an input */
    Chosen chosen;
    Meeting meeting;
} Room;
#define OWN_ROWS (2 * ROWS)

/* Floats, of which the first are taken; without any, they are counted */
typedef struct {
    float *floats;
    int64_t taken;
} Space;

static float *take(Space *space, int64_t n) {
    float *at = space->floats ? space->floats + space->taken : NULL;
    space->taken += round_up(n, LANES);
    return at;
}

static T *take_elements(Space *space, int64_t n) { return (T *)take(space, (n + 1) / 2); }

/* What every layer needs for so many rows of `hidden` values, of which `inputs` leave attention, from
   among so many in all heads; `packed` is the floats of all blocks at once */
static Room take_room(Space *space, int64_t rows, int64_t hidden, int64_t inputs,
                      int64_t all_heads, int64_t inner, int64_t packed, int threads) {
    int64_t most = hidden > inputs ? hidden : inputs, blocks = units_of(rows);
    Room room = {.widest = most > inner ? most : inner};
    room.packed = take(space, packed);
    room.between = take(space, smaller(blocks, TOGETHER_BLOCKS) * pairs_size(inner));
    room.heads = take_elements(space, rows * all_heads);
    room.attended = take_elements(space, rows * inputs);
    room.own = take_elements(space, threads * OWN_ROWS * room.widest);
    return room;
}

static inline T *own_room(const Room *room) {
    return room->own + thread_number() * OWN_ROWS * room->widest;
}

/* x (rows, hidden) += routed + the layer of the normed x, which is already packed if `norm` is NULL;
   `routed` may be NULL. A thread's part */
static void add_gated(const Gated *gated, T *x, int64_t rows, int64_t hidden, const T *norm,
                      float eps, const float *routed, Room *room) {
    T *own = own_room(room);
    int64_t together = TOGETHER_BLOCKS * ROWS, size = pairs_size(gated->inner);
    for (int64_t first = 0; first < rows; first += together) {
        int64_t some = smaller(together, rows - first);
        const float *packed = room->packed;
        Target to = {.out = x + first * hidden, .stride = hidden, .is_added = 1,
                     .routed = routed ? routed + first * hidden : NULL};
        if (norm)
            pack_rows(x + first * hidden, some, hidden, norm, eps, room->packed, NULL, own);
        else
            packed += first / ROWS * pairs_size(hidden);
        /* nobody may be left in the piece before, whose place is taken */
        meet(&room->meeting);
#pragma omp for schedule(static) nowait
        for (int64_t b = 0; b < units_of(some); b++)
            clear_tail_of_pairs(room->between + b * size, gated->inner);
        meet(&room->meeting);
        enter_packed(packed, units_of(some), gated->gate, gated->up, hidden, gated->inner,
                     room->between, own);
        meet(&room->meeting);
        multiply_packed(room->between, some, gated->down, gated->inner, hidden, &to, own);
    }
    meet(&room->meeting);
}

/* x (rows, hidden) += what attention has left in `attended` (rows, inputs), by its last matrix; a
   thread's part */
static void add_merged(Matrix merge, T *x, int64_t rows, int64_t inputs, int64_t hidden,
                       Room *room) {
    Target to = {.out = x, .stride = hidden, .is_added = 1};
    pack_rows(room->attended, rows, inputs, NULL, 0, room->packed, NULL, NULL);
    meet(&room->meeting);
    multiply_packed(room->packed, rows, merge, inputs, hidden, &to, own_room(room));
    meet(&room->meeting);
}

/* A block of the vision tower; dim is a multiple of 32, at most 256 */
typedef struct {
    const T *norm, *bias, *post_norm; /* the bias is that of qkv, or NULL */
    Matrix qkv, proj;
    Gated gated;
    int64_t hidden, heads;
    float eps;
} VisionBlock;

/* Attention of every segment to itself, to `attended`; runs of equally long ones together */
static void attend_segments(const VisionBlock *block, const int64_t *lengths, int64_t segments,
                            Room *room) {
    int64_t hidden = block->hidden, dim = hidden / block->heads, first = 0, count = 1;
    for (int64_t i = 0; i < segments; i += count) {
        int64_t length = lengths[i];
        for (count = 1; i + count < segments && lengths[i + count] == length;) count++;
        const T *q = room->heads + first * 3 * hidden;
        Strides of_heads = {length * 3 * hidden, dim, 3 * hidden};
        Strides strides[] = {of_heads, of_heads, of_heads, {length * hidden, dim, hidden}};
        attend_all(q, q + hidden, q + 2 * hidden, room->attended + first * hidden, count,
                   block->heads, block->heads, length, length, dim, strides,
                   head_scale(dim), 0);
        first += length * count;
    }
    meet(&room->meeting);
}

static Room take_vision_room(Space *space, const VisionBlock *block, int64_t rows, int threads) {
    int64_t hidden = block->hidden, packed = units_of(rows) * pairs_size(hidden);
    return take_room(space, rows, hidden, hidden, 3 * hidden, block->gated.inner, packed, threads);
}

/* Floats that `vision_block` takes */
int64_t vision_room(const VisionBlock *block, int64_t rows, int threads) {
    Space space = {0};
    take_vision_room(&space, block, rows, threads);
    return space.taken;
}

/* x (rows, hidden) becomes the block's output. cos and sin (rows, dim); `lengths` of the segments, which
   attention does not cross, sum to rows; `floats` as many as `vision_room` says */
int vision_block(const VisionBlock *block, T *x, const float *cos, const float *sin,
                 const int64_t *lengths, int64_t segments, float *floats, int64_t rows,
                 int threads) {
    int64_t hidden = block->hidden, dim = hidden / block->heads;
    Space space = {floats, 0};
    Room room = take_vision_room(&space, block, rows, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        T *own = own_room(&room);
        Target to = {.out = room.heads, .stride = 3 * hidden, .bias = block->bias};
        begin_products();
        pack_rows(x, rows, hidden, block->norm, block->eps, room.packed, NULL, own);
        meet(&room.meeting);
        multiply_packed(room.packed, rows, block->qkv, hidden, 3 * hidden, &to, own);
        meet(&room.meeting);
#pragma omp for schedule(static) nowait
        for (int64_t row = 0; row < rows; row++)
            for (int64_t head = 0; head < 2 * block->heads; head++) { /* of q, then of k */
                T *here = room.heads + row * 3 * hidden + head * dim;
                rotate_head(here, cos + row * dim, sin + row * dim, here, dim);
            }
        meet(&room.meeting);
        attend_segments(block, lengths, segments, &room);
        add_merged(block->proj, x, rows, hidden, hidden, &room);
        add_gated(&block->gated, x, rows, hidden, block->post_norm, block->eps, NULL, &room);
        end_products();
    }
    return 0;
}

/* q, k and v of the packed rows; keys, turned, and values to the conversation's storage after its first
   `past` tokens, queries, turned, stay; a thread's part */
static void project_prompt(const Decoder *d, const DecoderLayer *layer, int64_t rows, const T *cos,
                           const T *sin, const Storage *storage, int64_t past, Room *room) {
    int64_t dim = d->dim, heads = d->heads + 2 * d->kv_heads, size = heads * dim;
    int64_t q_size = d->heads * dim, kv_size = d->kv_heads * dim;
    T *own = own_room(room);
    const struct {
        Matrix weight;
        const T *bias;
        int64_t start, size;
    } parts[] = {{layer->q, layer->q_bias, 0, q_size},
                 {layer->k, layer->k_bias, q_size, kv_size},
                 {layer->v, layer->v_bias, q_size + kv_size, kv_size}};
    for (int part = 0; part < 3; part++) {
        Target to = {.out = room->heads + parts[part].start, .stride = size,
                     .bias = parts[part].bias};
        multiply_packed(room->packed, rows, parts[part].weight, d->hidden, parts[part].size, &to,
                        own);
    }
    meet(&room->meeting);
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < rows; row++) {
        T *q = room->heads + row * size, *k = q + q_size, turned[MAX_DIM];
        const T *c = cos + row * d->rotary, *s = sin + row * d->rotary;
        for (int64_t head = 0; head < d->heads; head++) {
            turn(q + head * dim, c, s, d->rotary, dim, turned);
            memcpy(q + head * dim, turned, (size_t)d->rotary * sizeof(T));
        }
        for (int64_t head = 0; head < d->kv_heads; head++) {
            int64_t at = head * storage->stride + (past + row) * dim;
            turn(k + head * dim, c, s, d->rotary, dim, storage->k + at);
            memcpy(storage->v + at, k + kv_size + head * dim, (size_t)dim * sizeof(T));
        }
    }
    meet(&room->meeting);
}

/* Each row's experts and their shares, and the rows of each expert; a thread's part */
static void choose_experts(const Decoder *d, const DecoderLayer *layer, int64_t rows, Room *room) {
    int64_t size = pairs_size(d->hidden);
#pragma omp for schedule(static) nowait
    for (int64_t b = 0; b < units_of(rows); b++) {
        const float *block = room->packed + b * size;
        int64_t some = smaller(ROWS, rows - b * ROWS);
        for (int64_t first = 0; first < d->experts; first += ROWS) {
            _Alignas(64) float tiles[4][ROWS * ROWS];
            int64_t outputs = smaller(ROWS, d->experts - first);
            four_products(layer->router + first * d->hidden, outputs, NULL, 0, d->hidden, block,
                          block, tiles);
            for (int64_t r = 0; r < some; r++)
                for (int64_t o = 0; o < outputs; o++)
                    room->logits[(b * ROWS + r) * d->experts + first + o] = tiles[0][o * ROWS + r];
        }
        for (int64_t row = b * ROWS; row < b * ROWS + some; row++)
            route(d, room->logits + row * d->experts, layer->router_bias,
                  room->ids + row * d->top_k, room->shares + row * d->top_k);
    }
    meet(&room->meeting);
    if (thread_number() == 0)
        choose(&room->chosen, room->ids, room->shares, rows, d->top_k, d->experts, d->hidden,
               layer->gate_up, layer->down);
    meet(&room->meeting);
}

/* x (rows, hidden) += what the experts and the layer for all rows make of it; a thread's part */
static void add_mixture(const Decoder *d, const DecoderLayer *layer, T *x, int64_t rows,
                        Room *room) {
    int64_t hidden = d->hidden, size = pairs_size(hidden);
    T *own = own_room(room);
    pack_rows(x, rows, hidden, layer->post_norm, d->eps, room->packed, room->normed, own);
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < rows; row++)
        memset(room->routed + row * hidden, 0, (size_t)hidden * sizeof(float));
    meet(&room->meeting);
    choose_experts(d, layer, rows, room);
    float *gathered = room->packed + units_of(rows) * size;
    add_experts(&room->chosen, room->normed, hidden, gathered, room->routed, own, &room->meeting);
    add_gated(&layer->all, x, rows, hidden, NULL, 0, room->routed, room);
}

static Room take_prompt_room(Space *space, const Decoder *d, int64_t rows, int threads) {
    int64_t hidden = d->hidden, inputs = d->heads * d->dim, inner = d->expert_inner;
    int64_t all_heads = inputs + 2 * d->kv_heads * d->dim, blocks = units_of(rows);
    for (int64_t i = 0; i < d->num_layers; i++)
        if (d->layers[i].all.inner > inner) inner = d->layers[i].all.inner;
    int64_t attended = blocks * pairs_size(inputs); /* or all rows, and then those of experts */
    int64_t packed = (blocks + experts_blocks(rows)) * pairs_size(hidden);
    Room room = take_room(space, rows, hidden, inputs, all_heads, inner,
                          attended > packed ? attended : packed, threads);
    room.normed = take_elements(space, rows * hidden);
    room.routed = take(space, rows * hidden);
    room.logits = take(space, rows * d->experts);
    room.shares = take(space, rows * d->top_k);
    room.ids = (int64_t *)take(space, 2 * rows * d->top_k);
    return room;
}

/* Floats that `prompt_layer` takes */
int64_t prompt_room(const Decoder *d, int64_t rows, int threads) {
    Space space = {0};
    take_prompt_room(&space, d, rows, threads);
    return space.taken;
}

/* x (rows, hidden), more than 16 tokens of one conversation, becomes the output of a decoder layer;
   keys and values are stored after those of its first `past` tokens. cos and sin (rows, rotary);
   dim is a multiple of 32, at most 256; `floats` as many as `prompt_room` says */
int prompt_layer(const Decoder *d, int64_t index, T *x, const T *cos, const T *sin, T *k, T *v,
                 float *floats, int64_t stride, int64_t past, int64_t rows, int threads) {
    const DecoderLayer *layer = d->layers + index;
    Storage storage = {k, v, stride};
    int64_t dim = d->dim, inputs = d->heads * dim, all_heads = inputs + 2 * d->kv_heads * dim;
    Space space = {floats, 0};
    Room room = take_prompt_room(&space, d, rows, threads);
    if (layer->router && make_chosen(&room.chosen, rows * d->top_k, d->experts, d->expert_inner,
                                     experts_blocks(rows))) {
        release_chosen(&room.chosen);
        return -1;
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Strides strides[] = {{0, dim, all_heads}, {0, stride, dim}, {0, stride, dim},
                             {0, dim, inputs}};
        begin_products();
        pack_rows(x, rows, d->hidden, layer->input_norm, d->eps, room.packed, NULL,
                  own_room(&room));
        meet(&room.meeting);
        project_prompt(d, layer, rows, cos, sin, &storage, past, &room);
        attend_all(room.heads, k, v, room.attended, 1, d->heads, d->kv_heads, rows, past + rows,
                   dim, strides, head_scale(dim), 1);
        meet(&room.meeting);
        add_merged(layer->o, x, rows, inputs, d->hidden, &room);
        if (layer->router)
            add_mixture(d, layer, x, rows, &room);
        else
            add_gated(&layer->all, x, rows, d->hidden, layer->post_norm, d->eps, NULL, &room);
        end_products();
    }
    release_chosen(&room.chosen);
    return 0;
}
