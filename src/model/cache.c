/* cache.c: see cache.h. */
#include "model/cache.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"


void dc_pool_init (dc_pool *pool, const size_t n_layers[DC_REACHES],
                   size_t d_keys, size_t d_values, size_t window) {
  memset(pool, 0, sizeof *pool);
  for (int r = 0; r < DC_REACHES; r++)
    pool->shelves[r].n_layers = n_layers[r];
  pool->d_keys = d_keys;
  pool->d_values = d_values;
  pool->window = window;
}


void dc_pool_free (dc_pool *pool) {
  for (int r = 0; r < DC_REACHES; r++) {
    dc_shelf *shelf = &pool->shelves[r];
    while (shelf->unused != NULL) {
      dc_block *block = shelf->unused;
      shelf->unused = block->next;
      dc_free(block);
    }
  }
  while (pool->spares != NULL) {
    dc_spare *spare = pool->spares;
    pool->spares = spare->next;
    dc_free(spare);
  }
}


static size_t block_bytes (const dc_pool *pool, const dc_shelf *shelf) {
  return shelf->n_layers * DC_TILE * (pool->d_keys + pool->d_values) *
         sizeof(float);
}


size_t dc_pool_bytes (const dc_pool *pool) {
  size_t bytes = 0;
  for (int r = 0; r < DC_REACHES; r++)
    bytes += pool->shelves[r].n_blocks * block_bytes(pool, &pool->shelves[r]);
  return bytes;
}


/* ---- blocks ------------------------------------------------------------ */

/* One block more among the unused ones. */
static bool make_block (dc_pool *pool, dc_shelf *shelf) {
  dc_block *block = dc_alloc(sizeof *block + block_bytes(pool, shelf));
  if (block == NULL) return false;
  block->next = shelf->unused;
  shelf->unused = block;
  shelf->n_blocks++;
  return true;
}


static dc_block *take_block (dc_pool *pool, dc_shelf *shelf) {
  if (shelf->unused == NULL && !make_block(pool, shelf)) return NULL;
  dc_block *block = shelf->unused;
  shelf->unused = block->next;
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


/* The first `used` positions of all layers: a run of each key row, whole
   value rows. */
static void copy_positions (dc_pool *pool, const dc_shelf *shelf, float *to,
                            const float *from, size_t used) {
  size_t d_keys = pool->d_keys, d_values = pool->d_values;
  for (size_t i = 0; i < shelf->n_layers; i++) {
    for (size_t j = 0; j < d_keys; j++)
      memcpy(to + j * DC_TILE, from + j * DC_TILE, used * sizeof *to);
    to += DC_TILE * d_keys;
    from += DC_TILE * d_keys;
    memcpy(to, from, used * d_values * sizeof *to);
    to += DC_TILE * d_values;
    from += DC_TILE * d_values;
  }
  pool->copied_bytes +=
    shelf->n_layers * used * (d_keys + d_values) * sizeof *to;
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


void dc_track_store (const dc_pool *pool, const dc_track *track, size_t at,
                     size_t slot, const float *k, const float *v) {
  float *keys = dc_tile_keys(pool, track, at, slot) + at % DC_TILE;
  for (size_t i = 0; i < pool->d_keys; i++) keys[i * DC_TILE] = k[i];
  memcpy(dc_tile_values(pool, track, at, slot) +
           at % DC_TILE * pool->d_values,
         v, pool->d_values * sizeof *v);
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
    if (!make_block(pool, shelf)) return false;
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
