/*
** merges.h: the merges of a byte pair encoding: which two tokens may become
** which one, and how early. A hash table from pairs of ids.
**
** Merges come from files that may have been written to collide: a search of
** more than a fixed number of steps refuses the pair (as in format/names.h),
** so n merges never cost n * n.
*/
#ifndef DC_MERGES_H
#define DC_MERGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/vocab.h"

/* What joining two neighbours gives. The lowest rank of a text goes first,
   of equal ones the leftmost. */
typedef struct dc_merge {
  uint32_t rank;
  int32_t id;
} dc_merge;

typedef struct dc_merges {
  struct dc_merge_slot *slots;  /* [mask + 1], a power of two, half empty */
  size_t mask;
} dc_merges;

/* Room for n merges: once, before any is added. */
bool dc_merges_init (dc_merges *m, size_t n, dc_error *err);

/* A pair that is there already keeps what it had: the first one listed is the
   one that counts. */
bool dc_merges_add (dc_merges *m, int32_t left, int32_t right, dc_merge merge,
                    dc_error *err);

/* The same by text: the two pieces and their concatenation must be in the
   (indexed) vocabulary. `rank` is the place in the file's list. */
bool dc_merges_add_texts (dc_merges *m, const dc_vocab *v, dc_string left,
                          dc_string right, size_t rank, dc_error *err);

/* Ids below 0 stand for what is no token: they never merge. */
bool dc_merges_find (const dc_merges *m, int32_t left, int32_t right,
                     dc_merge *out);

size_t dc_merges_bytes (const dc_merges *m);

void dc_merges_free (dc_merges *m);

#endif
