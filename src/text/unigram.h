/*
** unigram.h: the unigram language model of SentencePiece (Kudo 2018): of all
** ways to cut a text into pieces, the one with the highest sum of scores.
**
** Sums are of 32-bit floats, rounded at each step, and a candidate wins only
** if it is greater: doubles, or >=, give other ids.
*/
#ifndef DC_UNIGRAM_H
#define DC_UNIGRAM_H

#include "text/buffer.h"
#include "text/trie.h"

/* One token and the bytes of the normalised text that it stands for. */
typedef struct dc_span {
  size_t start, size;
  int32_t id;
} dc_span;

typedef struct dc_encoding {
  dc_buffer text;    /* normalised, what the spans point into */
  dc_span *spans;    /* [n] */
  size_t n, capacity;
} dc_encoding;

bool dc_encoding_add (dc_encoding *e, dc_span span, dc_error *err);
void dc_encoding_free (dc_encoding *e);

typedef struct dc_unigram {
  const dc_vocab *vocab;  /* the owner's */
  dc_trie trie;           /* pieces that text can match */
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
