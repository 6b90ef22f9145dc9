/*
** saved_read.c: a session out of a file; see saved.h. The file is not mapped:
** its blocks become blocks of the model's pool.
*/
#include "model/saved_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"

#define MAX_ROWS 65536


typedef struct reader {
  const char *path;
  dc_file file;
  size_t at;
  dc_model *m;
  dc_block **blocks[DC_REACHES];  /* [n_blocks] */
  uint64_t n_blocks[DC_REACHES];
  dc_error *err;
} reader;


static bool get_number (reader *r, const char *field, uint64_t most,
                        uint64_t *out) {
  if (r->file.size - r->at < sizeof *out)
    return dc_fail(r->err, "%.400s: %s: the file ends in front of it", r->path,
                   field);
  memcpy(out, r->file.data + r->at, sizeof *out);
  r->at += sizeof *out;
  if (*out > most)
    return dc_fail(r->err, "%.400s: %s: is %llu, must be at most %llu",
                   r->path, field, (unsigned long long)*out,
                   (unsigned long long)most);
  return true;
}


/* What can be said before anything is trusted. */
static bool check_frame (reader *r) {
  const dc_file *f = &r->file;
  uint64_t print, size, sum;
  if (f->size < DC_SAVED_MAGIC_SIZE + 3 * sizeof size ||
      memcmp(f->data, DC_SAVED_MAGIC, DC_SAVED_MAGIC_SIZE))
    return dc_fail(r->err, "%.400s: is not a saved session of this version",
                   r->path);
  r->at = DC_SAVED_MAGIC_SIZE;
  if (!get_number(r, "fingerprint", UINT64_MAX, &print) ||
      !get_number(r, "size", UINT64_MAX, &size))
    return false;
  if (size != f->size)
    return dc_fail(r->err, "%.400s: size: the file has %zu bytes, must have "
                   "%llu", r->path, f->size, (unsigned long long)size);
  memcpy(&sum, f->data + f->size - sizeof sum, sizeof sum);
  if (sum != dc_hash(DC_HASH_START, f->data, f->size - sizeof sum))
    return dc_fail(r->err, "%.400s: checksum: the file was changed", r->path);
  return print == dc_fingerprint(r->m) ||
         dc_fail(r->err, "%.400s: fingerprint: the session is of another "
                 "model", r->path);
}


/* Halves would be floats of less than a float's precision: what goes on from
   them would be neither what one type of cache gives nor the other. */
static bool check_type (reader *r) {
  uint64_t type;
  if (!get_number(r, "cache_type", UINT32_MAX, &type)) return false;
  if (type == r->m->pool.type) return true;
  if (type != DC_F32 && type != DC_F16)
    return dc_fail(r->err, "%.400s: cache_type: is %llu, must be %d or %d",
                   r->path, (unsigned long long)type, DC_F32, DC_F16);
  return dc_fail(r->err, "%.400s: cache_type: the session is in %s, the "
                 "model was loaded with %s", r->path,
                 dc_type_of((uint32_t)type)->name,
                 dc_type_of(r->m->pool.type)->name);
}


/* Takes the blocks from the pool and fills them; they lie in front of the
   checksum. */
static bool get_blocks (reader *r) {
  dc_pool *pool = &r->m->pool;
  size_t total = 0, left = r->file.size - r->at - sizeof(uint64_t);
  for (int i = 0; i < DC_REACHES; i++) {
    size_t bytes;
    if (!dc_size_mul(r->n_blocks[i], dc_block_bytes(pool, (dc_reach)i),
                     &bytes) ||
        !dc_size_add(total, bytes, &total) || total > left ||
        (bytes == 0 && r->n_blocks[i] > 0))
      return dc_fail(r->err, "%.400s: blocks: %llu do not fit the file",
                     r->path, (unsigned long long)r->n_blocks[i]);
  }
  const uint8_t *data = r->file.data + r->file.size - sizeof(uint64_t) - total;
  for (int i = 0; i < DC_REACHES; i++) {
    size_t bytes = dc_block_bytes(pool, (dc_reach)i);
    r->blocks[i] = dc_alloc_array(r->n_blocks[i], sizeof *r->blocks[i]);
    if (r->blocks[i] == NULL) return dc_fail(r->err, "not enough memory");
    for (size_t j = 0; j < r->n_blocks[i]; j++, data += bytes) {
      dc_block *block = dc_pool_take(pool, (dc_reach)i);
      if (block == NULL) return dc_fail(r->err, "not enough memory");
      memcpy(block->data, data, bytes);
      r->blocks[i][j] = block;
    }
  }
  r->file.size -= total;  /* for the numbers that are still to be read */
  return true;
}


/* Blocks 0..n_gone-1 are those that no position of a window sees any more. */
static bool get_track (reader *r, const dc_timeline *t, int reach,
                       dc_track *track) {
  dc_pool *pool = &r->m->pool;
  bool any = pool->shelves[reach].n_layers > 0;
  uint64_t n, gone, number;
  uint64_t wanted = any ? (t->length + DC_TILE - 1) / DC_TILE : 0;
  if (!get_number(r, "track", wanted, &n) ||
      !get_number(r, "blocks that are gone", n, &gone))
    return false;
  if (n != wanted || (gone > 0 && reach != DC_WINDOWED) ||
      gone * DC_TILE > dc_pool_first_seen(pool, t->length))
    return dc_fail(r->err, "%.400s: track: %llu blocks, %llu of them gone, "
                   "cannot hold %zu positions", r->path, (unsigned long long)n,
                   (unsigned long long)gone, t->length);
  if (!dc_track_grow(track, pool, n))
    return dc_fail(r->err, "not enough memory");
  track->n_gone = gone;
  for (track->n_blocks = gone; track->n_blocks < n; track->n_blocks++) {
    if (!get_number(r, "block", r->n_blocks[reach], &number)) return false;
    if (number == r->n_blocks[reach])
      return dc_fail(r->err, "%.400s: block: there is none of number %llu",
                     r->path, (unsigned long long)number);
    track->blocks[track->n_blocks] = r->blocks[reach][number];
    r->blocks[reach][number]->refs++;
  }
  return true;
}


static bool get_timeline (reader *r, dc_timeline *t, size_t most) {
  uint64_t length = 0;
  if (!get_number(r, "length", most, &length)) return false;
  t->length = length;
  for (int i = 0; i < DC_REACHES; i++)
    if (!get_track(r, t, i, &t->tracks[i])) return false;
  return true;
}


static bool get_all (reader *r, dc_saved *saved) {
  uint64_t n, sourced;
  bool wants_source = !r->m->hp.arch->causal;
  if (!check_frame(r) || !check_type(r) ||
      !get_number(r, "blocks", UINT64_MAX, &r->n_blocks[DC_FULL]) ||
      !get_number(r, "blocks", UINT64_MAX, &r->n_blocks[DC_WINDOWED]) ||
      !get_number(r, "rows", MAX_ROWS, &n) ||
      !get_number(r, "source", 1, &sourced))
    return false;
  if (n == 0 || sourced != wants_source)
    return dc_fail(r->err, "%.400s: rows: %llu with%s a source are none of "
                   "this model", r->path, (unsigned long long)n,
                   sourced ? "" : "out");
  if (!get_blocks(r)) return false;
  if (sourced && !get_timeline(r, &saved->source, r->m->context)) return false;
  saved->rows = dc_alloc_array(n, sizeof *saved->rows);
  if (saved->rows == NULL) return dc_fail(r->err, "not enough memory");
  for (saved->n = 0; saved->n < n; )
    if (!get_timeline(r, &saved->rows[saved->n++], r->m->context))
      return false;
  return r->at + sizeof(uint64_t) == r->file.size ||
         dc_fail(r->err, "%.400s: %zu bytes are left over", r->path,
                 r->file.size - r->at - sizeof(uint64_t));
}


bool dc_saved_read (dc_saved *saved, dc_model *m, const char *path,
                    dc_error *err) {
  reader r = {.path = path, .m = m, .err = err};
  bool ok = dc_file_open(&r.file, path, false, err);
  dc_file whole = r.file;
  ok = ok && get_all(&r, saved);
  for (int i = 0; i < DC_REACHES; i++) {  /* the reader's own references */
    for (size_t j = 0; r.blocks[i] != NULL && j < r.n_blocks[i]; j++)
      dc_pool_give(&m->pool, (dc_reach)i, r.blocks[i][j]);
    dc_free(r.blocks[i]);
  }
  if (!ok) dc_saved_clear(saved, m);
  dc_file_close(&whole);
  return ok;
}


void dc_saved_clear (dc_saved *saved, dc_model *m) {
  for (size_t i = 0; i < saved->n; i++)
    dc_timeline_clear(&saved->rows[i], &m->pool);
  dc_free(saved->rows);
  dc_timeline_clear(&saved->source, &m->pool);
  memset(saved, 0, sizeof *saved);
}
