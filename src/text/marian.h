/*
** marian.h: the tokenizer of Marian models (OPUS-MT): SentencePiece cuts the
** text, a vocabulary of its own (vocab.json) says the ids.
**
** The ids of the SentencePiece files are used nowhere: a piece that the
** vocabulary lacks is <unk>. The source's and the target's file may cut the
** same word differently.
*/
#ifndef DC_MARIAN_H
#define DC_MARIAN_H

#include "text/sentencepiece.h"

typedef enum dc_side { DC_SOURCE, DC_TARGET } dc_side;

/* What a Marian tokenizer is made of. */
typedef struct dc_marian_parts {
  dc_string files[2];  /* source.spm, target.spm (empty: the same); copied */
  dc_vocab vocab;      /* pieces filled in, not indexed; becomes the marian's */
  char *texts;         /* what the pieces point into; owned, may be NULL */
  int32_t eos, pad, unk;  /* ids; pad may be -1 */
} dc_marian_parts;

typedef struct dc_marian {
  dc_sentencepiece models[2];
  const dc_sentencepiece *sides[2];  /* into models */
  int32_t *ids[2];  /* id of a SentencePiece piece -> id; of each side */
  dc_vocab vocab;   /* kind says how a piece decodes, score is not used */
  char *texts;
  int32_t eos, pad, unk;
} dc_marian;

/* Reads vocab.json (an object, piece -> id, each id from 0 to n - 1 once) into
   parts: vocab, texts and the ids of `</s>`, `<pad>`, `<unk>`. */
bool dc_marian_read_vocab (dc_marian_parts *parts, dc_string json,
                           dc_error *err);

/* Takes over vocab and texts, also on failure. `m` must stay where it is. */
bool dc_marian_init (dc_marian *m, dc_marian_parts *parts, dc_error *err);

void dc_marian_parts_free (dc_marian_parts *parts);

/* Adds the ids of a text, without </s>. A language token (`>>fr<<`) at the
   front is one token if the vocabulary has it; if `special` is set, always
   (<unk> if need be). Unless `special` is set, no other text gives the id of a
   special token but <unk>. */
bool dc_marian_encode (const dc_marian *m, dc_string text, dc_side side,
                       bool special, dc_encoding *out, dc_error *err);

void dc_marian_free (dc_marian *m);

#endif
