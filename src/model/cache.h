/*
** cache.h: keys and values that were computed before, in blocks of 16
** positions with reference counts.
**
** A block holds, for each layer, one tile of keys [kv heads, d_key, 16] (the
** positions lie side by side: they are the lanes of the attention kernel) and
** one of values [16, kv heads * d_value]. A timeline is a list of blocks and a
** length. Timelines share blocks: forking, reordering beams and truncating
** copy nothing; only a block that is about to be written and belongs to
** others too is copied, and of it only the positions in use.
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

#define DC_TILE 16

/* So many positions may be cut off from the end of a timeline whatever its
   windows have let go (a draft that was wrong, a stop string). */
#define DC_SLACK 64

typedef enum dc_reach { DC_FULL, DC_WINDOWED, DC_REACHES } dc_reach;

typedef struct dc_block {
  size_t refs;
  struct dc_block *next;  /* in the shelf's list of free ones */
  float data[] __attribute__((aligned(64)));  /* [layers][keys | values] */
} dc_block;

/* The blocks for the layers of one reach. */
typedef struct dc_shelf {
  size_t n_layers;
  dc_block *unused;
  size_t n_blocks;  /* made so far, in use or not */
  size_t n_used;
} dc_shelf;

/* The memory of a track's list that no track uses just now. */
typedef struct dc_spare {
  struct dc_spare *next;
  size_t max_blocks;
} dc_spare;

/* The blocks of one model. Used by one thread at a time. */
typedef struct dc_pool {
  size_t d_keys, d_values;  /* of one position in one layer, all heads */
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

/* Room for n_layers[reach] layers. */
void dc_pool_init (dc_pool *pool, const size_t n_layers[DC_REACHES],
                   size_t d_keys, size_t d_values, size_t window);
void dc_pool_free (dc_pool *pool);  /* all timelines must be cleared */

/* Bytes of all blocks made so far. */
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

/* The tile of position `at` in layer `slot` of a track: keys; values. */
static inline float *dc_tile_keys (const dc_pool *pool, const dc_track *track,
                                   size_t at, size_t slot) {
  return track->blocks[at / DC_TILE]->data +
         slot * DC_TILE * (pool->d_keys + pool->d_values);
}

static inline float *dc_tile_values (const dc_pool *pool,
                                     const dc_track *track, size_t at,
                                     size_t slot) {
  return dc_tile_keys(pool, track, at, slot) + DC_TILE * pool->d_keys;
}

/* Writes the keys and values of position `at` into layer `slot`. */
void dc_track_store (const dc_pool *pool, const dc_track *track, size_t at,
                     size_t slot, const float *k, const float *v);

#endif
