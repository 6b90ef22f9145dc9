/*
** unigram.h: the unigram language model of SentencePiece (Kudo 2018): of all
** ways to cut a text into pieces, the one with the highest sum of scores.
**
** Sums are of 32-bit floats, rounded at each step, and a candidate wins only
** if it is greater: doubles, or >=, give other ids.
*/
#ifndef DC_UNIGRAM_H
#define DC_UNIGRAM_H

#include "text/encoding.h"
#include "text/trie.h"

typedef struct dc_unigram {
  dc_trie trie;           /* pieces that text can match */
  float *scores;          /* [pieces], by id */
  int32_t unk;
  float unk_score;
} dc_unigram;

bool dc_unigram_init (dc_unigram *u, const dc_vocab *vocab, int32_t unk,
                      dc_error *err);

/* Cuts e->text from byte `start` on and adds the spans. Each unknown character
   is a span of its own. Time: bytes * longest piece. */
bool dc_unigram_cut (const dc_unigram *u, dc_encoding *e, size_t start,
                     dc_error *err);

void dc_unigram_free (dc_unigram *u);

#endif
