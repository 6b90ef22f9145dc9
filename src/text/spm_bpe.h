/*
** spm_bpe.h: byte pair encoding over the characters of a normalised text, as
** SentencePiece and the files that came from it do it.
**
** SentencePiece has no list of merges: two neighbours may become any piece
** that their texts make together, and the piece of the highest score goes
** first. A tokenizer.json of this kind has a list, and its order counts.
*/
#ifndef DC_SPM_BPE_H
#define DC_SPM_BPE_H

#include "text/bpe.h"
#include "text/trie.h"
#include "text/vocab.h"

typedef struct dc_spm_bpe {
  const dc_vocab *vocab;  /* the owner's */
  const dc_trie *user;    /* pieces that stay whole; the owner's */
  dc_trie trie;           /* pieces that text can match */
  uint32_t *nodes;        /* [pieces], by id: where each one ends in there */
  uint32_t *ranks;        /* [pieces]: by score, the highest first */
  dc_merges merges;       /* without slots: by score */
  int32_t unk;
  bool by_word;           /* no piece goes on from a letter to a space mark */
  bool has_unused;
} dc_spm_bpe;

/* Takes over `merges`, which may be empty. On failure: free it. */
bool dc_spm_bpe_init (dc_spm_bpe *b, const dc_vocab *vocab,
                      const dc_trie *user, int32_t unk, dc_merges *merges,
                      dc_error *err);

/* Cuts e->text from byte `start` on and adds the spans. Each unknown character
   is a span of its own. */
bool dc_spm_bpe_cut (const dc_spm_bpe *b, dc_encoding *e, size_t start,
                     dc_error *err);

void dc_spm_bpe_free (dc_spm_bpe *b);

#endif
