/*
** saved_write.c: a session into a file; see saved.h. Blocks that timelines
** share are written once: they are numbered as they are first met.
*/
#include "model/saved_file.h"

#include "base/memory.h"
#include "format/outfile.h"


/* Blocks of a track that hold positions; behind them one may be reserved. */
static size_t blocks_in_use (const dc_timeline *t, int reach) {
  size_t n = (t->length + DC_TILE - 1) / DC_TILE;
  return t->tracks[reach].n_blocks < n ? t->tracks[reach].n_blocks : n;
}


/* A block, its number in the file, and how many of its positions some
   timeline uses. */
typedef struct entry {
  const dc_block *block;
  size_t number, used;
} entry;

/* The blocks of one reach: a hash table by address, and in order. */
typedef struct catalogue {
  entry *slots;     /* [size], a power of two; empty: no block */
  size_t size, n;
  entry **in_order; /* [n] */
} catalogue;

typedef struct writer {
  dc_outfile file;
  uint64_t sum;
  const dc_model *m;
  catalogue blocks[DC_REACHES];
  dc_error *err;
} writer;


static entry *find_entry (const catalogue *c, const dc_block *block) {
  size_t at = (size_t)((uintptr_t)block >> 6) * 2654435761u;
  for (;; at++) {
    entry *e = &c->slots[at & (c->size - 1)];
    if (e->block == block || e->block == NULL) return e;
  }
}


static bool init_catalogue (catalogue *c, const dc_saved *saved, int reach) {
  size_t n = saved->source.tracks[reach].n_blocks;
  for (size_t i = 0; i < saved->n; i++)
    n += saved->rows[i].tracks[reach].n_blocks;
  for (c->size = 16; c->size < 2 * n; c->size *= 2) {}
  c->slots = dc_alloc_array(c->size, sizeof *c->slots);
  c->in_order = dc_alloc_array(n, sizeof *c->in_order);
  return c->slots != NULL && c->in_order != NULL;
}


static void enter_timeline (writer *w, const dc_timeline *t) {
  for (int r = 0; r < DC_REACHES; r++) {
    const dc_track *track = &t->tracks[r];
    catalogue *c = &w->blocks[r];
    for (size_t i = track->n_gone; i < blocks_in_use(t, r); i++) {
      entry *e = find_entry(c, track->blocks[i]);
      size_t used = t->length - i * DC_TILE;
      if (used > DC_TILE) used = DC_TILE;
      if (e->block == NULL) {
        *e = (entry){track->blocks[i], c->n, 0};
        c->in_order[c->n++] = e;
      }
      if (used > e->used) e->used = used;
    }
  }
}


static bool put (writer *w, const void *bytes, size_t size) {
  w->sum = dc_hash(w->sum, bytes, size);
  return dc_outfile_write(&w->file, bytes, size, w->err);
}


static bool put_number (writer *w, uint64_t x) {
  return put(w, &x, sizeof x);
}


static bool put_track (writer *w, const dc_timeline *t, int reach) {
  const dc_track *track = &t->tracks[reach];
  size_t n = blocks_in_use(t, reach);
  if (!put_number(w, n) || !put_number(w, track->n_gone)) return false;
  for (size_t i = track->n_gone; i < n; i++)
    if (!put_number(w, find_entry(&w->blocks[reach],
                                  track->blocks[i])->number))
      return false;
  return true;
}


static bool put_timeline (writer *w, const dc_timeline *t) {
  if (!put_number(w, t->length)) return false;
  for (int r = 0; r < DC_REACHES; r++)
    if (!put_track(w, t, r)) return false;
  return true;
}


/* The blocks, with zeros where nobody has written for this session: a block
   that is used again still holds what somebody else said. */
static bool put_blocks (writer *w, int reach) {
  const dc_pool *pool = &w->m->pool;
  const catalogue *c = &w->blocks[reach];
  size_t size = dc_block_bytes(pool, (dc_reach)reach);
  char *copy = dc_alloc(size);
  if (copy == NULL) return dc_fail(w->err, "not enough memory");
  bool ok = true;
  for (size_t i = 0; ok && i < c->n; i++) {
    memcpy(copy, c->in_order[i]->block->data, size);
    dc_tiles_clear(pool, copy, pool->shelves[reach].n_layers * pool->heads,
                   c->in_order[i]->used);
    ok = put(w, copy, size);
  }
  dc_free(copy);
  return ok;
}


/* Bytes of the whole file. */
static uint64_t size_of_file (const writer *w, const dc_saved *saved) {
  uint64_t numbers = 3 + DC_REACHES + 2 + 1;  /* and the checksum */
  uint64_t bytes = DC_SAVED_MAGIC_SIZE;
  bool sourced = !w->m->hp.arch->causal;
  for (size_t i = sourced ? 0 : 1; i <= saved->n; i++) {
    const dc_timeline *t = i == 0 ? &saved->source : &saved->rows[i - 1];
    numbers += 1 + 2 * DC_REACHES;
    for (int r = 0; r < DC_REACHES; r++)
      numbers += blocks_in_use(t, r) - t->tracks[r].n_gone;
  }
  for (int r = 0; r < DC_REACHES; r++)
    bytes += w->blocks[r].n * dc_block_bytes(&w->m->pool, (dc_reach)r);
  return bytes + numbers * sizeof(uint64_t);
}


static bool put_all (writer *w, const dc_saved *saved) {
  bool sourced = !w->m->hp.arch->causal;
  if (sourced) enter_timeline(w, &saved->source);
  for (size_t i = 0; i < saved->n; i++) enter_timeline(w, &saved->rows[i]);
  if (!put(w, DC_SAVED_MAGIC, DC_SAVED_MAGIC_SIZE) ||
      !put_number(w, dc_fingerprint(w->m)) ||
      !put_number(w, size_of_file(w, saved)) ||
      !put_number(w, w->m->pool.type))
    return false;
  for (int r = 0; r < DC_REACHES; r++)
    if (!put_number(w, w->blocks[r].n)) return false;
  if (!put_number(w, saved->n) || !put_number(w, sourced)) return false;
  if (sourced && !put_timeline(w, &saved->source)) return false;
  for (size_t i = 0; i < saved->n; i++)
    if (!put_timeline(w, &saved->rows[i])) return false;
  for (int r = 0; r < DC_REACHES; r++)
    if (!put_blocks(w, r)) return false;
  return put_number(w, w->sum);
}


bool dc_saved_write (const dc_saved *saved, const dc_model *m,
                     const char *path, dc_error *err) {
  writer w = {.sum = DC_HASH_START, .m = m, .err = err};
  bool ok = dc_outfile_open(&w.file, path, err);
  for (int r = 0; ok && r < DC_REACHES; r++)
    ok = init_catalogue(&w.blocks[r], saved, r) ||
         dc_fail(err, "not enough memory");
  ok = ok && put_all(&w, saved) && dc_outfile_commit(&w.file, err);
  for (int r = 0; r < DC_REACHES; r++) {
    dc_free(w.blocks[r].slots);
    dc_free(w.blocks[r].in_order);
  }
  dc_outfile_close(&w.file);
  return ok || dc_fail_in(err, path);
}
