/*
** gguf_check.h: what gguf_check.c and gguf_vocab.c share: a file whose
** structure holds and whose values are being judged.
*/
#ifndef DC_GGUF_CHECK_H
#define DC_GGUF_CHECK_H

#include "format/gguf.h"

typedef struct dc_gguf_judge {
  const dc_gguf *g;
  dc_string architecture;
  int64_t n_ids;  /* token ids are below this */
} dc_gguf_judge;

/* The value of a key, NULL if absent; a leading '.' in `key` stands for the
   architecture's name. */
const dc_gguf_value *dc_gguf_judge_find (const dc_gguf_judge *judge,
                                         const char *key);

/* "key 'KEY': is VALUE, must be RULE" (or, with a number, "element I of it is
   VALUE"); returns false. */
bool dc_gguf_refuse (const dc_gguf_value *v, size_t i, const char *rule,
                     dc_error *err);

/* The tokenizer's arrays (gguf_vocab.c). Sets judge->n_ids. */
bool dc_gguf_check_vocab (dc_gguf_judge *judge, dc_error *err);

#endif
