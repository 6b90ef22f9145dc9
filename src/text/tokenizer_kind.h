/*
** tokenizer_kind.h: what a tokenizer is inside, and what each kind of it can
** do: one row of functions a kind (tokenizer_kinds.c).
*/
#ifndef DC_TOKENIZER_KIND_H
#define DC_TOKENIZER_KIND_H

#include "text/tokenizer.h"

typedef struct dc_tokenizer_class {
  const char *(*name) (const dc_tokenizer *t);
  dc_vocab *(*vocab) (dc_tokenizer *t);

  /* The pieces whose text options.special looks for, and those whose text is
     always looked for: sets of kinds. */
  unsigned (*control) (const dc_tokenizer *t);
  unsigned (*user) (const dc_tokenizer *t);

  /* A stretch of text without added tokens. `first`: nothing was before. */
  bool (*encode) (const dc_tokenizer *t, dc_string text, bool first,
                  const dc_encode_options *o, dc_encoding *out,
                  dc_error *err);
  bool (*normalize) (const dc_tokenizer *t, dc_string text, dc_side side,
                     dc_buffer *out, dc_error *err);
  bool (*split) (const dc_tokenizer *t, dc_string text, dc_encoding *out,
                 dc_error *err);
  dc_decode_rules (*decode) (const dc_tokenizer *t);
  size_t (*bytes) (const dc_tokenizer *t);
  void (*free) (dc_tokenizer *t);
} dc_tokenizer_class;

extern const dc_tokenizer_class dc_kind_sentencepiece, dc_kind_marian,
                               dc_kind_byte_bpe;

struct dc_tokenizer {
  const dc_tokenizer_class *kind;
  union {
    dc_sentencepiece spm;
    dc_marian marian;
    dc_byte_bpe bpe;
  } model;                 /* points into itself: t never moves */
  dc_vocab *vocab;         /* the one that ids belong to, in there */
  dc_tokenizer_facts facts;
};

#endif
