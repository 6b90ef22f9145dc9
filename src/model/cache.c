/* cache.c: see cache.h. */
#include "model/cache.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"


void dc_pool_init (dc_pool *pool, size_t n_layers, size_t d_model) {
  memset(pool, 0, sizeof *pool);
  pool->n_layers = n_layers;
  pool->d_model = d_model;
}


void dc_pool_free (dc_pool *pool) {
  while (pool->unused != NULL) {
    dc_block *block = pool->unused;
    pool->unused = block->next;
    dc_free(block);
  }
}


size_t dc_pool_block_bytes (const dc_pool *pool) {
  return dc_tile_offset(pool->n_layers, pool->d_model) * sizeof(float);
}


static dc_block *take_block (dc_pool *pool) {
  dc_block *block = pool->unused;
  if (block != NULL)
    pool->unused = block->next;
  else {
    block = dc_alloc(sizeof *block + dc_pool_block_bytes(pool));
    if (block == NULL) return NULL;
    pool->n_blocks++;
  }
  block->refs = 1;
  return block;
}


static void release_block (dc_pool *pool, dc_block *block) {
  if (--block->refs > 0) return;
  block->next = pool->unused;
  pool->unused = block;
}


static bool grow_list (dc_timeline *t, size_t n) {
  if (n <= t->max_blocks) return true;
  size_t room = n < 8 ? 8 : n * 2;
  dc_block **blocks = dc_realloc(t->blocks, room * sizeof *blocks);
  if (blocks == NULL) return false;
  t->blocks = blocks;
  t->max_blocks = room;
  return true;
}


/* The first `used` positions of all layers: a run of each key row, whole
   value rows. */
static void copy_positions (dc_pool *pool, float *to, const float *from,
                            size_t used) {
  size_t d = pool->d_model;
  for (size_t i = 0; i < pool->n_layers; i++) {
    size_t keys = dc_tile_offset(i, d), values = keys + DC_TILE * d;
    for (size_t j = 0; j < d; j++)
      memcpy(to + keys + j * DC_TILE, from + keys + j * DC_TILE,
             used * sizeof *to);
    memcpy(to + values, from + values, used * d * sizeof *to);
  }
  pool->copied_bytes += pool->n_layers * 2 * used * d * sizeof *to;
}


/* The block that holds position `length` must be this timeline's alone. */
static bool own_last_block (dc_timeline *t, dc_pool *pool) {
  size_t used = t->length % DC_TILE, last = t->length / DC_TILE;
  if (used == 0 || t->blocks[last]->refs == 1) return true;
  dc_block *copy = take_block(pool);
  if (copy == NULL) return false;
  copy_positions(pool, copy->data, t->blocks[last]->data, used);
  release_block(pool, t->blocks[last]);
  t->blocks[last] = copy;
  return true;
}


bool dc_timeline_reserve (dc_timeline *t, dc_pool *pool, size_t n) {
  size_t wanted = (t->length + n + DC_TILE - 1) / DC_TILE;
  if (n == 0) return true;
  if (!grow_list(t, wanted) || !own_last_block(t, pool)) return false;
  while (t->n_blocks < wanted) {
    dc_block *block = take_block(pool);
    if (block == NULL) return false;
    t->blocks[t->n_blocks++] = block;
  }
  return true;
}


bool dc_timeline_share (dc_timeline *to, const dc_timeline *from) {
  size_t n = (from->length + DC_TILE - 1) / DC_TILE;
  if (!grow_list(to, n)) return false;
  for (size_t i = 0; i < n; i++) {
    to->blocks[i] = from->blocks[i];
    to->blocks[i]->refs++;
  }
  to->n_blocks = n;
  to->length = from->length;
  return true;
}


void dc_timeline_truncate (dc_timeline *t, dc_pool *pool, size_t n) {
  if (n >= t->length) return;
  size_t keep = (n + DC_TILE - 1) / DC_TILE;
  while (t->n_blocks > keep) release_block(pool, t->blocks[--t->n_blocks]);
  t->length = n;
}


void dc_timeline_clear (dc_timeline *t, dc_pool *pool) {
  while (t->n_blocks > 0) release_block(pool, t->blocks[--t->n_blocks]);
  dc_free(t->blocks);
  memset(t, 0, sizeof *t);
}


void dc_tile_store (float *tile, size_t position, const float *k,
                    const float *v, size_t d_model) {
  for (size_t i = 0; i < d_model; i++) tile[i * DC_TILE + position] = k[i];
  memcpy(tile + (DC_TILE + position) * d_model, v, d_model * sizeof *v);
}
