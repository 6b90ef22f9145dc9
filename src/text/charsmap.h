/*
** charsmap.h: the compiled character table of SentencePiece
** (precompiled_charsmap): short byte sequences -> what replaces them.
**
** It is a table, not Unicode normalisation: a sequence that is not in it stays
** as it is. Layout of the blob, after the format of the darts-clone
** double-array trie: u32 T, T bytes of trie units (u32 each), then a pool of
** replacements, each ended by a NUL. All numbers are little endian.
*/
#ifndef DC_CHARSMAP_H
#define DC_CHARSMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"

typedef struct dc_charsmap {
  uint32_t *units;  /* [n] */
  size_t n;         /* 0: no mapping */
  char *pool;       /* [pool_size] */
  size_t pool_size;
} dc_charsmap;

/* An empty blob is an empty table. Copies what it needs. Every unit that ends
   a key must lead to a replacement inside the pool. On failure: free it. */
bool dc_charsmap_init (dc_charsmap *map, dc_string blob, dc_error *err);

/* The longest key at the front of s: its bytes, 0 if there is none. */
size_t dc_charsmap_find (const dc_charsmap *map, const char *s, size_t size,
                         dc_string *replacement);

/* Does some key begin with these bytes? */
bool dc_charsmap_begins (const dc_charsmap *map, const char *s, size_t size);

void dc_charsmap_free (dc_charsmap *map);

#endif
