/*
** tokenizer.h: text <-> token ids, whatever the kind of the tokenizer.
**
** A tokenizer never changes once it is made: any number of threads may use
** one. It copies what it needs, so the file it came from may be closed.
*/
#ifndef DC_TOKENIZER_H
#define DC_TOKENIZER_H

#include "format/gguf.h"
#include "text/added_tokens.h"
#include "text/byte_bpe.h"
#include "text/decoder.h"
#include "text/marian.h"

typedef struct dc_tokenizer dc_tokenizer;

/* Ids of the special tokens, -1 where there is none. */
typedef struct dc_special_ids {
  int32_t bos, eos, pad, unk;
} dc_special_ids;

#define DC_MAX_AROUND 8  /* tokens that a file puts in front or behind */
#define DC_MAX_ENDS 24   /* tokens that end a generation */

/* What a file says beside the model itself. */
typedef struct dc_tokenizer_facts {
  dc_special_ids special;
  bool add_bos, add_eos;         /* what encode does unless told otherwise */
  int32_t before[DC_MAX_AROUND], after[DC_MAX_AROUND];
  size_t n_before, n_after;      /* 0: bos, eos */
  int32_t ends[DC_MAX_ENDS];     /* that the file names, beside eos */
  size_t n_ends;
  dc_added_tokens added;         /* none: the control pieces and, where they
                                    are taken out first, user-defined ones */
} dc_tokenizer_facts;

/* No special tokens at all. */
dc_tokenizer_facts dc_tokenizer_no_facts (void);

/* The constructors take over what they are given, also on failure. */
bool dc_tokenizer_from_pieces (dc_tokenizer **out, dc_spm *spm,
                               dc_tokenizer_facts *facts, dc_error *err);
bool dc_tokenizer_from_marian (dc_tokenizer **out, dc_marian_parts *parts,
                               dc_error *err);
bool dc_tokenizer_from_byte_bpe (dc_tokenizer **out, dc_byte_bpe *bpe,
                                 dc_tokenizer_facts *facts, dc_error *err);

/* A SentencePiece model: ids are the positions of its pieces. `name` stands in
   front of the message of a failure. */
bool dc_tokenizer_from_spm (dc_tokenizer **out, const void *bytes,
                            size_t size, const char *name, dc_error *err);

/* What the file's tokenizer.ggml.* and decant.tokenizer.* keys describe. With
   none in the file *out is NULL and the result true. */
bool dc_tokenizer_from_gguf (dc_tokenizer **out, const dc_gguf *gguf,
                             dc_error *err);

/* A tokenizer.json, and the tokenizer_config.json beside it (may be empty). */
bool dc_tokenizer_from_json (dc_tokenizer **out, dc_string json,
                             dc_string config, dc_error *err);

/* A .model, .spm, .gguf or tokenizer.json file (told apart by content), or a
   directory: with source.spm and vocab.json (Marian), with tokenizer.json, or
   with tokenizer.model. */
bool dc_tokenizer_open (dc_tokenizer **out, const char *path, dc_error *err);

/* Accepts NULL. */
void dc_tokenizer_free (dc_tokenizer *t);


/* Facts. */
const char *dc_tokenizer_kind (const dc_tokenizer *t);  /* "marian", ... */
size_t dc_tokenizer_size (const dc_tokenizer *t);       /* number of ids */
size_t dc_tokenizer_bytes (const dc_tokenizer *t);      /* memory, roughly */

dc_special_ids dc_tokenizer_special (const dc_tokenizer *t);

/* The ids that end a generation: eos and its like (end of turn, ...), in
   ascending order. */
const int32_t *dc_tokenizer_ends (const dc_tokenizer *t, size_t *n);

/* Whether the options bos and eos have a token to add. */
bool dc_tokenizer_has_bos (const dc_tokenizer *t);
bool dc_tokenizer_has_eos (const dc_tokenizer *t);

/* The text of an id below the size; the id of a text, or -1. */
dc_string dc_tokenizer_piece (const dc_tokenizer *t, int32_t id);
int32_t dc_tokenizer_id (const dc_tokenizer *t, dc_string piece);


typedef struct dc_encode_options {
  bool bos, eos;  /* put that token in front, behind (there must be one) */
  bool special;   /* the text of a special token is that token */
  dc_side side;   /* matters to Marian only */
} dc_encode_options;

dc_encode_options dc_tokenizer_defaults (const dc_tokenizer *t);

/* Adds the tokens of any bytes. The span of a token that no text stands for
   (what options.bos or eos adds, Marian's token for a language) has size 0. */
bool dc_tokenizer_encode (const dc_tokenizer *t, dc_string text,
                          const dc_encode_options *options, dc_encoding *out,
                          dc_error *err);

/* Adds the text as the model sees it, before it is cut. */
bool dc_tokenizer_normalize (const dc_tokenizer *t, dc_string text,
                             dc_side side, dc_buffer *out, dc_error *err);

/* Adds a span of id -1 for each stretch that the text is cut into before the
   model works on it; for most kinds that is the whole of it. */
bool dc_tokenizer_split (const dc_tokenizer *t, dc_string text,
                         dc_encoding *out, dc_error *err);

/* A decoder at its beginning; the tokenizer must outlive it. */
void dc_tokenizer_decoder (const dc_tokenizer *t, bool special,
                           dc_decoder *out);

#endif
