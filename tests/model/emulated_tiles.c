/* The kernels for processors with a matrix unit (AMX), for tests on those without: the unit's
   instructions as Intel's manual says them, in plain C. A program that would be stopped by the
   processor is aborted: no configuration, or shapes that don't fit. */

#define _GNU_SOURCE /* before any header, as kernels.c */

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TILES_HELD 8
#define TILE_ROWS 16
#define TILE_WORDS 16

typedef struct {
    uint8_t palette, start_row, unused[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileShapes;

typedef uint32_t Tile[TILE_ROWS][TILE_WORDS];

static _Thread_local struct {
    TileShapes shapes;
    Tile tiles[TILES_HELD];
} unit;

static void tile_load_config(const void *shapes) {
    memcpy(&unit.shapes, shapes, sizeof unit.shapes);
    memset(unit.tiles, 0, sizeof unit.tiles);
    if (unit.shapes.palette != 1) abort();
}

static void tile_release(void) { memset(&unit, 0, sizeof unit); }

static int words_of(int tile) {
    if (tile >= TILES_HELD || !unit.shapes.rows[tile]) abort();
    return unit.shapes.row_bytes[tile] / 4;
}

static void tile_zero(int tile) {
    words_of(tile);
    memset(unit.tiles[tile], 0, sizeof(Tile));
}

static void tile_load(int tile, const void *from, int64_t stride) {
    int words = words_of(tile);
    memset(unit.tiles[tile], 0, sizeof(Tile));
    for (int row = 0; row < unit.shapes.rows[tile]; row++)
        memcpy(unit.tiles[tile][row], (const char *)from + row * stride, (size_t)words * 4);
}

static void tile_store(int tile, void *to, int64_t stride) {
    int words = words_of(tile);
    for (int row = 0; row < unit.shapes.rows[tile]; row++)
        memcpy((char *)to + row * stride, unit.tiles[tile][row], (size_t)words * 4);
}

static float as_float(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* (rows, words of b) sums += (rows, words of a) pairs @ (words of a, words of b) pairs */
static void tile_multiply(int sums, int a, int b) {
    int columns = words_of(sums), depth = words_of(a), rows = unit.shapes.rows[sums];
    if (rows != unit.shapes.rows[a] || columns != words_of(b) || depth != unit.shapes.rows[b])
        abort();
    for (int row = 0; row < rows; row++) {
        float first[TILE_WORDS] = {0}, second[TILE_WORDS] = {0};
        for (int i = 0; i < depth; i++) {
            uint32_t left = unit.tiles[a][row][i];
            for (int column = 0; column < columns; column++) {
                uint32_t right = unit.tiles[b][i][column];
                first[column] += as_float(left << 16) * as_float(right << 16);
                second[column] += as_float(left & 0xffff0000) * as_float(right & 0xffff0000);
            }
        }
        for (int column = 0; column < columns; column++) {
            uint32_t *sum = &unit.tiles[sums][row][column];
            float total = as_float(*sum) + (first[column] + second[column]);
            memcpy(sum, &total, sizeof total);
        }
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig tile_load_config
#define _tile_release tile_release
#define _tile_zero tile_zero
#define _tile_loadd tile_load
#define _tile_stored tile_store
#define _tile_dpbf16ps tile_multiply

#define TILES
#include "kernels.c"
