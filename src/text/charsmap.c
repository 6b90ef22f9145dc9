/*
** charsmap.c: see charsmap.h. A unit of the trie holds the label (a byte) that
** leads to it, whether a key ends here, and the XOR distance to its children;
** the unit at distance 0 of a key's end holds the value, an offset into the
** pool.
*/
#include "text/charsmap.h"

#include "base/memory.h"
#include "text/buffer.h"

/* Limits of ours; the tables of the field have keys of up to 12 bytes and
   replacements of up to 33. They keep a hostile table from making time or
   memory explode. */
#define MAX_KEY 64
#define MAX_REPLACEMENT 256


static uint32_t distance (uint32_t unit) {
  return (unit >> 10) << ((unit & 0x200) >> 6);
}

static bool is_value (uint32_t unit) { return unit >> 31; }
static bool ends_key (uint32_t unit) { return unit & 0x100; }

/* With bit 31, so that a value unit equals no byte. */
static uint32_t label (uint32_t unit) { return unit & 0x800000FF; }


static uint32_t read_u32 (const char *data) {
  const uint8_t *b = (const uint8_t *)data;
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
         (uint32_t)b[3] << 24;
}


/* The replacement at an offset, if it begins and ends inside the pool. */
static bool replacement_at (const dc_charsmap *map, uint32_t offset,
                            dc_string *out) {
  if (offset >= map->pool_size) return false;
  const char *start = map->pool + offset;
  size_t left = map->pool_size - offset;
  if (left > MAX_REPLACEMENT) left = MAX_REPLACEMENT;
  const char *end = memchr(start, 0, left);
  if (end == NULL) return false;
  *out = (dc_string){start, (size_t)(end - start)};
  return true;
}


/* The value that belongs to the key ending at unit `at`. */
static bool value_of (const dc_charsmap *map, size_t at, dc_string *out) {
  size_t holder = at ^ distance(map->units[at]);
  return holder < map->n && is_value(map->units[holder]) &&
         replacement_at(map, map->units[holder] & 0x7FFFFFFF, out);
}


static bool check_values (const dc_charsmap *map, dc_error *err) {
  dc_string unused;
  for (size_t i = 0; i < map->n; i++) {
    uint32_t unit = map->units[i];
    if (!is_value(unit) && ends_key(unit) && !value_of(map, i, &unused))
      return dc_fail(err, "precompiled_charsmap: the key that ends at unit "
                     "%zu has no replacement (of at most %d bytes) in the "
                     "pool", i, MAX_REPLACEMENT - 1);
  }
  return true;
}


static bool copy_pool (dc_charsmap *map, dc_string blob, size_t from,
                       dc_error *err) {
  map->pool_size = blob.size - from;
  map->pool = dc_alloc(map->pool_size);
  if (map->pool == NULL) return dc_no_memory(err);
  memcpy(map->pool, blob.data + from, map->pool_size);
  return true;
}


bool dc_charsmap_init (dc_charsmap *map, dc_string blob, dc_error *err) {
  if (blob.size == 0) return true;
  if (blob.size < 4)
    return dc_fail(err, "precompiled_charsmap: %zu bytes, its head alone has "
                   "4", blob.size);
  size_t bytes = read_u32(blob.data);
  if (bytes == 0 || bytes % 4 != 0 || bytes > blob.size - 4)
    return dc_fail(err, "precompiled_charsmap: a trie of %zu bytes, must be a "
                   "multiple of 4 within %zu", bytes, blob.size - 4);
  map->n = bytes / 4;
  map->units = dc_alloc_array(map->n, sizeof *map->units);
  if (map->units == NULL) return dc_no_memory(err);
  for (size_t i = 0; i < map->n; i++)
    map->units[i] = read_u32(blob.data + 4 + 4 * i);
  return copy_pool(map, blob, 4 + bytes, err) && check_values(map, err);
}


size_t dc_charsmap_find (const dc_charsmap *map, const char *s, size_t size,
                         dc_string *replacement) {
  size_t found = 0;
  if (map->n == 0) return 0;
  size_t at = distance(map->units[0]);
  if (size > MAX_KEY) size = MAX_KEY;
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = (uint8_t)s[i];
    at ^= byte;
    if (at >= map->n || label(map->units[at]) != byte) break;
    if (ends_key(map->units[at]) && value_of(map, at, replacement))
      found = i + 1;
    at ^= distance(map->units[at]);
  }
  return found;
}


bool dc_charsmap_begins (const dc_charsmap *map, const char *s,
                         size_t size) {
  if (map->n == 0) return false;
  size_t at = distance(map->units[0]);
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = (uint8_t)s[i];
    at ^= byte;
    if (at >= map->n || label(map->units[at]) != byte) return false;
    at ^= distance(map->units[at]);
  }
  return true;
}


void dc_charsmap_free (dc_charsmap *map) {
  dc_free(map->units);
  dc_free(map->pool);
  *map = (dc_charsmap){0};
}
