/*
** cache.h: keys and values that were computed before, in blocks of 16
** positions with reference counts.
**
** A block holds a tile for each layer and each key head: its keys [d_key, 16]
** (the positions lie side by side: they are the lanes of the attention kernel),
** then its values [16, d_value], as floats or as halves. A timeline is a list
** of blocks and a length. Timelines share blocks: forking, reordering beams and
** truncating copy nothing; only a block that is about to be written and belongs
** to others too is copied, and of it only the positions in use.
**
** Blocks are cut from slabs, which grow with the cache, so that a long one lies
** in large pages (base/memory.h) and a short one takes little.
**
** Layers that see all positions and layers with a sliding window keep their
** blocks apart, in two tracks of the same timeline: a windowed track gives
** the blocks behind its window back while it grows.
**
** The keys and values of an encoder's output (a source) are blocks as well:
** written once, shared by all rows that read the source.
*/
#ifndef DC_CACHE_H
#define DC_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "math/types.h"

#define DC_TILE 16

/* So many positions may be cut off from the end of a timeline whatever its
   windows have let go (a draft that was wrong, a stop string). */
#define DC_SLACK 64

typedef enum dc_reach { DC_FULL, DC_WINDOWED, DC_REACHES } dc_reach;

typedef struct dc_block {
  size_t refs;
  struct dc_block *next;  /* in the shelf's list of free ones */
  char data[] __attribute__((aligned(64)));  /* [layers][key heads] tiles */
} dc_block;

/* The blocks for the layers of one reach. */
typedef struct dc_shelf {
  size_t n_layers;
  struct dc_slab *slabs;
  dc_block *unused;
  char *fresh;      /* the rest of the last slab: n_fresh blocks that no */
  size_t n_fresh;   /* one has touched */
  size_t n_blocks;  /* of all slabs, in use or not */
  size_t n_used;
} dc_shelf;

/* The memory of a track's list that no track uses just now. */
typedef struct dc_spare {
  struct dc_spare *next;
  size_t max_blocks;
} dc_spare;

/* The blocks of one model. Used by one thread at a time. */
typedef struct dc_pool {
  dc_type type;             /* of keys and values: DC_F32 or DC_F16 */
  size_t heads;             /* key heads */
  size_t d_key, d_value;    /* of a head */
  size_t window;            /* of the windowed track */
  dc_shelf shelves[DC_REACHES];
  dc_spare *spares;         /* so that reordering beams allocates nothing */
  size_t copied_bytes;      /* by copy on write, so far */
} dc_pool;

typedef struct dc_track {
  dc_block **blocks;  /* [n_blocks], the first n_gone are NULL */
  size_t n_blocks, max_blocks, n_gone;
} dc_track;

typedef struct dc_timeline {
  dc_track tracks[DC_REACHES];
  size_t length;  /* positions in use */
} dc_timeline;

/* Makes a pool whose type, heads and sizes are set ready for blocks of
   n_layers[reach] layers. */
void dc_pool_init (dc_pool *pool, const size_t n_layers[DC_REACHES]);
void dc_pool_free (dc_pool *pool);  /* all timelines must be cleared */

/* Bytes of a tile; of a block's data; of all blocks made so far. */
size_t dc_tile_bytes (const dc_pool *pool);
size_t dc_block_bytes (const dc_pool *pool, dc_reach reach);
size_t dc_pool_bytes (const dc_pool *pool);

/* One block, of one reference; drops a reference (NULL: nothing happens). */
dc_block *dc_pool_take (dc_pool *pool, dc_reach reach);
void dc_pool_give (dc_pool *pool, dc_reach reach, dc_block *block);

/* So many positions, in whole blocks, a timeline holds in its windowed layers
   however long it grows. */
size_t dc_window_room (size_t window);

/* The first position that the one at n sees through the window. */
size_t dc_pool_first_seen (const dc_pool *pool, size_t n);

/* Makes room in a track's list for n blocks, and makes none. */
bool dc_track_grow (dc_track *track, dc_pool *pool, size_t n);

/* Makes room for n more positions that this timeline alone owns, but in
   windowed layers. On failure (memory) the timeline is as before. Does not
   change the length. */
bool dc_timeline_reserve (dc_timeline *t, dc_pool *pool, size_t n);

/* Windowed layers get their room piece by piece, so that a long prompt holds
   no more than its window. First the blocks that this takes, if n positions
   come `at_once` at a time: have them ready, for all timelines of a pass
   together; then dc_timeline_open makes room for a piece and cannot fail. */
size_t dc_pool_window_blocks (const dc_pool *pool, size_t n, size_t at_once);
bool dc_pool_stock (dc_pool *pool, size_t n_blocks);
void dc_timeline_open (dc_timeline *t, dc_pool *pool, size_t n);

/* Appends n positions that are reserved and written; what no later position
   can see goes back to the pool. */
void dc_timeline_extend (dc_timeline *t, dc_pool *pool, size_t n);

/* `to`, empty, goes on from where `from` is. */
bool dc_timeline_share (dc_timeline *to, const dc_timeline *from,
                        dc_pool *pool);

/* Keeps the first n positions. First ask whether the windows still hold what
   the next position would see. */
bool dc_timeline_holds (const dc_timeline *t, const dc_pool *pool, size_t n);
void dc_timeline_truncate (dc_timeline *t, dc_pool *pool, size_t n);

/* Gives everything back; accepts a zeroed timeline. */
void dc_timeline_clear (dc_timeline *t, dc_pool *pool);

/* Of a position in one layer, all heads. */
static inline size_t dc_keys_width (const dc_pool *pool) {
  return pool->heads * pool->d_key;
}

static inline size_t dc_values_width (const dc_pool *pool) {
  return pool->heads * pool->d_value;
}

/* The tile of position `at` in layer `slot` of a track, for one key head. */
static inline const void *dc_tile (const dc_pool *pool, const dc_track *track,
                                   size_t at, size_t slot, size_t head) {
  return track->blocks[at / DC_TILE]->data +
         (slot * pool->heads + head) * dc_tile_bytes(pool);
}

/* Number i of the key at position j of a tile. */
float dc_tile_key (const dc_pool *pool, const void *tile, size_t i, size_t j);

/* Zeros from position `used` on in `tiles` tiles that lie behind each other. */
void dc_tiles_clear (const dc_pool *pool, void *tiles, size_t n, size_t used);

/* Writes the keys [heads, d_key] and values [heads, d_value] of position `at`
   into layer `slot`. Halves are rounded: to nearest, ties to even. */
void dc_track_store (const dc_pool *pool, const dc_track *track, size_t at,
                     size_t slot, const float *k, const float *v);

#endif
