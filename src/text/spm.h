/*
** spm.h: a SentencePiece model file (.model, .spm): what it says, checked.
** The meaning of the fields is in sentencepiece_model.proto; those that
** decide nothing at run time are passed over.
*/
#ifndef DC_SPM_H
#define DC_SPM_H

#include "text/merges.h"
#include "text/vocab.h"

/* The numbers of the file's trainer_spec.model_type. */
typedef enum dc_spm_type {
  DC_SPM_UNIGRAM = 1, DC_SPM_BPE, DC_SPM_WORD, DC_SPM_CHAR
} dc_spm_type;

typedef struct dc_spm {
  char *bytes;            /* the file's, or the texts' alone; owned */
  dc_vocab vocab;         /* indexed; exactly one piece is the unknown one */
  dc_spm_type type;
  int32_t unk;            /* id of that piece, -1: to be found by its kind */
  bool unk_optional;      /* there may be none (with byte fallback) */
  bool unk_apart;         /* unknown characters side by side stay apart */
  int32_t bos, eos, pad;  /* control pieces, -1 if there is none */
  dc_string unk_surface;  /* what an unknown id decodes to */
  dc_merges merges;       /* of BPE, where the source has a list of them */
  bool user_apart;        /* user-defined pieces are taken out of a text before
                             it is normalised (added_tokens.h), not as a part
                             of that */
  bool byte_fallback;     /* then all 256 byte pieces are there */
  bool bytes_if_complete; /* set byte_fallback if all of them are there */
  int32_t byte_ids[256];  /* -1 where absent */
  dc_string charsmap;     /* may be empty; needed while a table is made */
  bool dummy_prefix, as_suffix, squeeze, escape;  /* see dc_normalizer */
  bool prefix_first_only, prefix_unless_spaced;
} dc_spm;

/* Copies the bytes. On failure spm is freed and empty. */
bool dc_spm_read (dc_spm *spm, dc_string file, dc_error *err);

/* The defaults of the file format, with no pieces: for other sources. */
void dc_spm_defaults (dc_spm *spm);

/* Once pieces and flags are filled in: indexes and checks them. */
bool dc_spm_finish (dc_spm *spm, dc_error *err);

void dc_spm_free (dc_spm *spm);

#endif
