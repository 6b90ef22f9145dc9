/*
** cache.h: keys and values that were computed before, in blocks of 16
** positions with reference counts.
**
** A block holds, for each decoder layer, one tile of keys [heads, d_head, 16]
** (the positions lie side by side: they are the lanes of the attention
** kernel) and one of values [16, d_model]. A timeline is a list of blocks and
** a length. Timelines share blocks: forking, reordering beams and truncating
** copy nothing; only a block that is about to be written and belongs to
** others too is copied, and of it only the positions in use.
**
** The keys and values of an encoder's output (a source) are blocks as well:
** written once, shared by all rows that read the source.
*/
#ifndef DC_CACHE_H
#define DC_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#define DC_TILE 16

typedef struct dc_block {
  size_t refs;
  struct dc_block *next;  /* in the pool's list of free ones */
  float data[] __attribute__((aligned(64)));  /* [layers][keys | values] */
} dc_block;

/* The blocks of one model. Used by one thread at a time. */
typedef struct dc_pool {
  size_t n_layers, d_model;
  dc_block *unused;
  size_t n_blocks;      /* made so far, in use or not */
  size_t copied_bytes;  /* by copy on write, so far */
} dc_pool;

typedef struct dc_timeline {
  dc_block **blocks;  /* [n_blocks] */
  size_t n_blocks, max_blocks;
  size_t length;      /* positions in use */
} dc_timeline;

void dc_pool_init (dc_pool *pool, size_t n_layers, size_t d_model);
void dc_pool_free (dc_pool *pool);  /* all timelines must be cleared */

/* Bytes of one block's tiles. */
size_t dc_pool_block_bytes (const dc_pool *pool);

/* Makes room for n more positions that this timeline alone owns. On failure
   (memory) the timeline is as before. Does not change the length. */
bool dc_timeline_reserve (dc_timeline *t, dc_pool *pool, size_t n);

/* `to`, empty, goes on from where `from` is. */
bool dc_timeline_share (dc_timeline *to, const dc_timeline *from);

/* Keeps the first n positions. */
void dc_timeline_truncate (dc_timeline *t, dc_pool *pool, size_t n);

/* Gives everything back; accepts a zeroed timeline. */
void dc_timeline_clear (dc_timeline *t, dc_pool *pool);

/* Where layer i's tiles begin in a block, in floats. */
static inline size_t dc_tile_offset (size_t layer, size_t d_model) {
  return layer * 2 * DC_TILE * d_model;
}

/* Writes one position's keys and values [d_model] into a tile. */
void dc_tile_store (float *tile, size_t position, const float *k,
                    const float *v, size_t d_model);

#endif
