/*
** tokenizer_json.h: what the files that read a tokenizer.json share. The file
** is read in place, by the members of its objects; the order in which they
** stand does not matter, and nothing is believed before it is checked.
*/
#ifndef DC_TOKENIZER_JSON_H
#define DC_TOKENIZER_JSON_H

#include "text/json_members.h"
#include "text/tokenizer.h"
#include "text/vocab_json.h"

enum {  /* of the file */
  DC_TJ_ADDED, DC_TJ_NORMALIZER, DC_TJ_PRE, DC_TJ_POST, DC_TJ_DECODER,
  DC_TJ_MODEL, DC_TJ_N_PARTS
};

enum {  /* of its model */
  DC_TJ_TYPE, DC_TJ_VOCAB, DC_TJ_MERGES, DC_TJ_UNK_TOKEN, DC_TJ_UNK_ID,
  DC_TJ_BYTE_FALLBACK, DC_TJ_FUSE_UNK, DC_TJ_IGNORE_MERGES, DC_TJ_PREFIX,
  DC_TJ_SUFFIX, DC_TJ_N_MODEL
};

typedef struct dc_tokenizer_json {
  dc_member parts[DC_TJ_N_PARTS];
  dc_member model[DC_TJ_N_MODEL];
  dc_vocab_json pieces;      /* with the added tokens */
  dc_tokenizer_facts facts;  /* the added tokens; ids when they are known */
  dc_buffer text;            /* scratch: the last string that was read */
} dc_tokenizer_json;

/* Walks the array that is next in `j`: take(context, item) for each. */
bool dc_tj_each (dc_json j, bool (*take) (void *context, dc_json item,
                                          dc_error *err),
                 void *context, dc_error *err);

/* model.merges, strings "a b" or pairs ["a", "b"], over indexed pieces. */
bool dc_tj_merges (dc_tokenizer_json *t, const dc_vocab *v, dc_merges *out,
                   dc_error *err);

/* Byte-level BPE (tokenizer_json_byte.c): is it such a file? Builds the model,
   but for the ids of facts, and takes the pieces. */
bool dc_tj_is_byte_level (const dc_tokenizer_json *t);
bool dc_tj_byte_bpe (dc_tokenizer_json *t, dc_byte_bpe *out, dc_error *err);

/* What came from SentencePiece, BPE or unigram (tokenizer_json_spm.c). The
   bytes of spm->charsmap are in *charsmap and are needed as long as it is. */
bool dc_tj_count_scored (dc_tokenizer_json *t, dc_error *err);
bool dc_tj_put_scored (dc_tokenizer_json *t, dc_error *err);
bool dc_tj_spm (dc_tokenizer_json *t, dc_spm *out, dc_buffer *charsmap,
                dc_error *err);

#endif
