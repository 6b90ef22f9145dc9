/* cache.c: see cache.h. */
#include "model/cache.h"

#include <string.h>

#include "base/memory.h"
#include "math/kernels.h"


#define LARGE ((size_t)4 << 20)  /* what dc_alloc puts into large pages */

typedef struct dc_slab {
  struct dc_slab *next;
  char blocks[] __attribute__((aligned(64)));
} dc_slab;


void dc_pool_init (dc_pool *pool, const size_t n_layers[DC_REACHES]) {
  for (int r = 0; r < DC_REACHES; r++)
    pool->shelves[r] = (dc_shelf){.n_layers = n_layers[r]};
  pool->spares = NULL;
  pool->copied_bytes = 0;
}


void dc_pool_free (dc_pool *pool) {
  for (int r = 0; r < DC_REACHES; r++) {
    dc_slab *slab = pool->shelves[r].slabs;
    while (slab != NULL) {
      dc_slab *next = slab->next;
      dc_free(slab);
      slab = next;
    }
  }
  while (pool->spares != NULL) {
    dc_spare *spare = pool->spares;
    pool->spares = spare->next;
    dc_free(spare);
  }
}


static size_t element_bytes (const dc_pool *pool) {
  return pool->type == DC_F16 ? sizeof(uint16_t) : sizeof(float);
}


size_t dc_tile_bytes (const dc_pool *pool) {
  return DC_TILE * (pool->d_key + pool->d_value) * element_bytes(pool);
}


size_t dc_block_bytes (const dc_pool *pool, dc_reach reach) {
  return pool->shelves[reach].n_layers * pool->heads * dc_tile_bytes(pool);
}


/* From one block to the next; data is whole lines. */
static size_t stride_of (const dc_pool *pool, const dc_shelf *shelf) {
  dc_reach reach = (dc_reach)(shelf - pool->shelves);
  return sizeof(dc_block) + (dc_block_bytes(pool, reach) + 63) / 64 * 64;
}


size_t dc_pool_bytes (const dc_pool *pool) {
  size_t bytes = 0;
  for (int r = 0; r < DC_REACHES; r++)
    bytes += pool->shelves[r].n_blocks * stride_of(pool, &pool->shelves[r]);
  return bytes;
}


/* ---- blocks ------------------------------------------------------------ */

/* A quarter of what there is, so that at most so much lies idle. Up to 8 MB
   the addresses of small pages are at hand as fast; then in large pages. */
static size_t blocks_of_slab (const dc_shelf *shelf, size_t stride) {
  size_t all = shelf->n_blocks * stride, wanted = all / 4;
  if (all >= 2 * LARGE && wanted < LARGE) wanted = LARGE;
  return wanted <= stride ? 1 : (wanted + stride - 1) / stride;
}


/* The next block of the last slab. */
static dc_block *cut_block (const dc_pool *pool, dc_shelf *shelf) {
  dc_block *block = (dc_block *)(void *)shelf->fresh;
  shelf->fresh += stride_of(pool, shelf);
  shelf->n_fresh--;
  return block;
}


/* Some blocks more. */
static bool make_slab (dc_pool *pool, dc_shelf *shelf) {
  size_t stride = stride_of(pool, shelf), n = blocks_of_slab(shelf, stride);
  dc_slab *slab = dc_alloc(sizeof *slab + n * stride);
  if (slab == NULL) return false;
  while (shelf->n_fresh > 0) {
    dc_block *block = cut_block(pool, shelf);
    block->next = shelf->unused;
    shelf->unused = block;
  }
  slab->next = shelf->slabs;
  shelf->slabs = slab;
  shelf->fresh = slab->blocks;
  shelf->n_fresh = n;
  shelf->n_blocks += n;
  return true;
}


/* A block that nobody uses; NULL when memory is short. */
static dc_block *find_block (dc_pool *pool, dc_shelf *shelf) {
  dc_block *block = shelf->unused;
  if (block != NULL) {
    shelf->unused = block->next;
    return block;
  }
  if (shelf->n_fresh == 0 && !make_slab(pool, shelf)) return NULL;
  return cut_block(pool, shelf);
}


static dc_block *take_block (dc_pool *pool, dc_shelf *shelf) {
  dc_block *block = find_block(pool, shelf);
  if (block == NULL) return NULL;
  shelf->n_used++;
  block->refs = 1;
  return block;
}


dc_block *dc_pool_take (dc_pool *pool, dc_reach reach) {
  return take_block(pool, &pool->shelves[reach]);
}


static void release_block (dc_shelf *shelf, dc_block *block) {
  if (block == NULL || --block->refs > 0) return;
  block->next = shelf->unused;
  shelf->unused = block;
  shelf->n_used--;
}


void dc_pool_give (dc_pool *pool, dc_reach reach, dc_block *block) {
  release_block(&pool->shelves[reach], block);
}


/* The first `used` positions of all tiles: a run of each key row, whole value
   rows. */
static void copy_positions (dc_pool *pool, const dc_shelf *shelf, char *to,
                            const char *from, size_t used) {
  size_t size = element_bytes(pool), n = shelf->n_layers * pool->heads;
  size_t row = DC_TILE * size, keys = row * pool->d_key;
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < keys; j += row)
      memcpy(to + j, from + j, used * size);
    memcpy(to + keys, from + keys, used * pool->d_value * size);
    to += dc_tile_bytes(pool);
    from += dc_tile_bytes(pool);
  }
  pool->copied_bytes += n * used * (pool->d_key + pool->d_value) * size;
}


void dc_tiles_clear (const dc_pool *pool, void *tiles, size_t n, size_t used) {
  size_t size = element_bytes(pool), rest = DC_TILE - used;
  char *x = tiles;
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < pool->d_key; j++, x += DC_TILE * size)
      memset(x + used * size, 0, rest * size);
    x += used * pool->d_value * size;
    memset(x, 0, rest * pool->d_value * size);
    x += rest * pool->d_value * size;
  }
}


/* ---- tracks ------------------------------------------------------------ */

/* The list of a track that has none yet is one that another gave back. */
static void reuse_list (dc_track *t, dc_pool *pool) {
  dc_spare *spare = pool->spares;
  if (t->blocks != NULL || spare == NULL) return;
  pool->spares = spare->next;
  t->max_blocks = spare->max_blocks;
  t->blocks = (dc_block **)(void *)spare;
}


/* Room is 8 blocks at least: a list that is given back holds a dc_spare. */
bool dc_track_grow (dc_track *t, dc_pool *pool, size_t n) {
  reuse_list(t, pool);
  if (n <= t->max_blocks) return true;
  size_t room = n < 8 ? 8 : n * 2;
  dc_block **blocks = dc_realloc(t->blocks, room * sizeof *blocks);
  if (blocks == NULL) return false;
  t->blocks = blocks;
  t->max_blocks = room;
  return true;
}


static void give_list (dc_track *t, dc_pool *pool) {
  dc_spare *spare = (dc_spare *)(void *)t->blocks;
  if (spare == NULL) return;
  *spare = (dc_spare){pool->spares, t->max_blocks};
  pool->spares = spare;
}


/* The block that holds position `length` must be this timeline's alone. */
static bool own_last_block (dc_track *t, dc_pool *pool, dc_shelf *shelf,
                            size_t length) {
  size_t used = length % DC_TILE, last = length / DC_TILE;
  if (used == 0 || t->blocks[last]->refs == 1) return true;
  dc_block *copy = take_block(pool, shelf);
  if (copy == NULL) return false;
  copy_positions(pool, shelf, copy->data, t->blocks[last]->data, used);
  release_block(shelf, t->blocks[last]);
  t->blocks[last] = copy;
  return true;
}


static bool reserve_track (dc_track *t, dc_pool *pool, dc_shelf *shelf,
                           size_t length, size_t n) {
  size_t wanted = (length + n + DC_TILE - 1) / DC_TILE;
  if (shelf->n_layers == 0) return true;
  if (!dc_track_grow(t, pool, wanted) || !own_last_block(t, pool, shelf, length))
    return false;
  while (t->n_blocks < wanted) {
    dc_block *block = take_block(pool, shelf);
    if (block == NULL) return false;
    t->blocks[t->n_blocks++] = block;
  }
  return true;
}


static bool share_track (dc_track *to, const dc_track *from, dc_pool *pool,
                         size_t length) {
  size_t n = (length + DC_TILE - 1) / DC_TILE;
  if (from->n_blocks == 0) return true;
  if (!dc_track_grow(to, pool, n)) return false;
  for (size_t i = 0; i < n; i++) {
    to->blocks[i] = from->blocks[i];
    if (to->blocks[i] != NULL) to->blocks[i]->refs++;
  }
  to->n_blocks = n;
  to->n_gone = from->n_gone;
  return true;
}


static void shorten_track (dc_track *t, dc_shelf *shelf, size_t keep) {
  while (t->n_blocks > keep) release_block(shelf, t->blocks[--t->n_blocks]);
  if (t->n_gone > keep) t->n_gone = keep;
}


static void store_floats (const dc_pool *pool, char *tile, size_t j,
                          const float *k, const float *v) {
  float *keys = (float *)(void *)tile + j;
  float *values = (float *)(void *)tile + DC_TILE * pool->d_key;
  for (size_t i = 0; i < pool->d_key; i++) keys[i * DC_TILE] = k[i];
  memcpy(values + j * pool->d_value, v, pool->d_value * sizeof *v);
}


/* The keys are rounded 16 at a time on their way to where they lie apart. */
static void store_halves (const dc_pool *pool, char *tile, size_t j,
                          const float *k, const float *v) {
  const dc_kernels *kernels = dc_kernels_get();
  uint16_t *keys = (uint16_t *)(void *)tile + j, some[16];
  uint16_t *values = (uint16_t *)(void *)tile + DC_TILE * pool->d_key;
  for (size_t i = 0; i < pool->d_key; i += 16) {
    size_t n = pool->d_key - i < 16 ? pool->d_key - i : 16;
    kernels->to_f16(some, k + i, n);
    for (size_t l = 0; l < n; l++) keys[(i + l) * DC_TILE] = some[l];
  }
  kernels->to_f16(values + j * pool->d_value, v, pool->d_value);
}


void dc_track_store (const dc_pool *pool, const dc_track *track, size_t at,
                     size_t slot, const float *k, const float *v) {
  char *tile = track->blocks[at / DC_TILE]->data +
               slot * pool->heads * dc_tile_bytes(pool);
  for (size_t h = 0; h < pool->heads; h++, tile += dc_tile_bytes(pool)) {
    if (pool->type == DC_F16)
      store_halves(pool, tile, at % DC_TILE, k, v);
    else
      store_floats(pool, tile, at % DC_TILE, k, v);
    k += pool->d_key;
    v += pool->d_value;
  }
}


float dc_tile_key (const dc_pool *pool, const void *tile, size_t i, size_t j) {
  size_t at = i * DC_TILE + j;
  return pool->type == DC_F16 ? dc_f16_to_f32(((const uint16_t *)tile)[at])
                              : ((const float *)tile)[at];
}


/* ---- timelines --------------------------------------------------------- */

bool dc_timeline_reserve (dc_timeline *t, dc_pool *pool, size_t n) {
  size_t wanted = (t->length + n + DC_TILE - 1) / DC_TILE;
  if (n == 0) return true;
  if (pool->shelves[DC_WINDOWED].n_layers > 0 &&
      !dc_track_grow(&t->tracks[DC_WINDOWED], pool, wanted))
    return false;
  return reserve_track(&t->tracks[DC_FULL], pool, &pool->shelves[DC_FULL],
                       t->length, n);
}


/* Those of the new positions, but no more than a window, what may be cut off
   and a piece; each may begin and end within a block, and one is a copy. */
size_t dc_pool_window_blocks (const dc_pool *pool, size_t n, size_t at_once) {
  size_t held = pool->window + DC_SLACK + at_once;
  if (n == 0 || pool->shelves[DC_WINDOWED].n_layers == 0) return 0;
  return (n < held ? n : held) / DC_TILE + 3;
}


bool dc_pool_stock (dc_pool *pool, size_t n_blocks) {
  dc_shelf *shelf = &pool->shelves[DC_WINDOWED];
  while (shelf->n_blocks - shelf->n_used < n_blocks)
    if (!make_slab(pool, shelf)) return false;
  return true;
}


void dc_timeline_open (dc_timeline *t, dc_pool *pool, size_t n) {
  if (n > 0)
    reserve_track(&t->tracks[DC_WINDOWED], pool, &pool->shelves[DC_WINDOWED],
                  t->length, n);
}


/* What the window and the slack reach over begins and ends within a block. */
size_t dc_window_room (size_t window) {
  size_t reach = window + DC_SLACK - 1;
  return (reach + DC_TILE - 1) / DC_TILE * DC_TILE + DC_TILE;
}


size_t dc_pool_first_seen (const dc_pool *pool, size_t n) {
  return n + 1 > pool->window ? n + 1 - pool->window : 0;
}


void dc_timeline_extend (dc_timeline *t, dc_pool *pool, size_t n) {
  dc_track *track = &t->tracks[DC_WINDOWED];
  t->length += n;
  if (t->length < DC_SLACK) return;
  size_t gone = dc_pool_first_seen(pool, t->length - DC_SLACK) / DC_TILE;
  for (; track->n_gone < gone && track->n_gone < track->n_blocks;
       track->n_gone++) {
    release_block(&pool->shelves[DC_WINDOWED], track->blocks[track->n_gone]);
    track->blocks[track->n_gone] = NULL;
  }
}


bool dc_timeline_share (dc_timeline *to, const dc_timeline *from,
                        dc_pool *pool) {
  for (int r = 0; r < DC_REACHES; r++)
    if (!share_track(&to->tracks[r], &from->tracks[r], pool, from->length))
      return false;
  to->length = from->length;
  return true;
}


bool dc_timeline_holds (const dc_timeline *t, const dc_pool *pool, size_t n) {
  size_t held = t->tracks[DC_WINDOWED].n_gone * DC_TILE;
  return n == 0 || n >= t->length || dc_pool_first_seen(pool, n) >= held;
}


void dc_timeline_truncate (dc_timeline *t, dc_pool *pool, size_t n) {
  if (n >= t->length) return;
  for (int r = 0; r < DC_REACHES; r++)
    shorten_track(&t->tracks[r], &pool->shelves[r],
                  (n + DC_TILE - 1) / DC_TILE);
  t->length = n;
}


void dc_timeline_clear (dc_timeline *t, dc_pool *pool) {
  for (int r = 0; r < DC_REACHES; r++) {
    shorten_track(&t->tracks[r], &pool->shelves[r], 0);
    give_list(&t->tracks[r], pool);
  }
  memset(t, 0, sizeof *t);
}
