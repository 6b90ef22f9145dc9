/*
** sentencepiece.h: a whole SentencePiece tokenizer: file, normaliser, model.
** Read-only once loaded. It points into itself: it must stay where it is.
*/
#ifndef DC_SENTENCEPIECE_H
#define DC_SENTENCEPIECE_H

#include "text/normalizer.h"
#include "text/spm.h"
#include "text/spm_bpe.h"
#include "text/unigram.h"

typedef struct dc_sentencepiece dc_sentencepiece;

/* How a normalised text is cut into pieces; unknown ones are not joined yet. */
typedef struct dc_sentencepiece_algorithm {
  dc_spm_type type;
  const char *name;
  bool (*init) (dc_sentencepiece *sp, dc_error *err);
  bool (*cut) (const dc_sentencepiece *sp, dc_encoding *e, size_t start,
               dc_error *err);
} dc_sentencepiece_algorithm;

struct dc_sentencepiece {
  dc_spm spm;
  dc_normalizer normalizer;
  const dc_sentencepiece_algorithm *algorithm;
  dc_unigram unigram;  /* one of these two is in use */
  dc_spm_bpe bpe;
};

/* From the bytes of a file (copied). */
bool dc_sentencepiece_read (dc_sentencepiece *sp, dc_string file,
                            dc_error *err);

/* From a finished dc_spm, which then belongs to sp, also on failure. */
bool dc_sentencepiece_init (dc_sentencepiece *sp, dc_spm *spm, dc_error *err);

/* Normalises the text and adds its pieces, without begin and end. Unknown
   characters side by side are one span; with byte fallback they are bytes. */
bool dc_sentencepiece_encode (const dc_sentencepiece *sp, dc_string text,
                              bool first, dc_encoding *out, dc_error *err);

size_t dc_sentencepiece_bytes (const dc_sentencepiece *sp);

void dc_sentencepiece_free (dc_sentencepiece *sp);

#endif
