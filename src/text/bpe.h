/*
** bpe.h: the loop of byte pair encoding (Sennrich et al. 2016): of all pairs
** of neighbours that may be joined, join the one of lowest rank, the leftmost
** of equals, until none is left.
**
** All kinds share it; they differ in where a text is cut first, in what a
** symbol is at the beginning (a byte, a character), and in how a pair is
** looked up. Time: n log n in the symbols, whatever they are.
*/
#ifndef DC_BPE_H
#define DC_BPE_H

#include "text/encoding.h"
#include "text/merges.h"

typedef struct dc_bpe_rules {
  /* May these two, side by side in `text`, become one token? */
  bool (*find) (const void *model, const char *text, const dc_span *left,
                const dc_span *right, dc_merge *out);
  const void *model;
} dc_bpe_rules;

/* Joins the spans of e from `first` on, which lie side by side, until no more
   than `enough` of them are left or none can be joined. */
bool dc_bpe_join (const dc_bpe_rules *rules, dc_encoding *e, size_t first,
                  size_t enough, dc_error *err);

#endif
