/*
** decoder.h: ids -> text, one id at a time.
**
** What the text of a piece is depends on what came before it (the first space
** mark is eaten, runs of byte pieces are one character), so decoding a list
** is the same machine fed at once. Text is handed out in whole characters
** only; a tokenizer that strips its result holds back white space until it is
** clear that more follows.
*/
#ifndef DC_DECODER_H
#define DC_DECODER_H

#include "text/buffer.h"
#include "text/vocab.h"

typedef struct dc_decode_rules {
  dc_string unk_surface;  /* what a piece of kind UNKNOWN becomes */
  bool eat_first;         /* the mark in front of the whole text goes */
  bool eat_all;           /* and so do all at the front, if squeezing */
  bool alphabet;          /* pieces spell bytes (byte_bpe.h): those of all of
                             them together make the characters */
  bool strip;             /* white space at both ends goes (Marian) */
} dc_decode_rules;

typedef struct dc_decoder {
  const dc_vocab *vocab;
  dc_decode_rules rules;
  bool special;        /* show special and control pieces */
  bool begun;          /* no longer at the beginning, for eat_first */
  bool shown;          /* something but white space came out, for strip */
  char run[4];         /* bytes of a character that is not whole yet */
  size_t n_run;
  dc_buffer text;      /* 0 .. from: handed out; .. solid: ready */
  size_t from, solid;
  size_t scanned;      /* up to here characters were looked at */
} dc_decoder;

void dc_decoder_init (dc_decoder *d, const dc_vocab *vocab,
                      dc_decode_rules rules, bool special);

/* `id` must be below vocab->n. */
bool dc_decoder_add (dc_decoder *d, int32_t id, dc_error *err);

/* The same for any bytes in place of a piece, written as an encoding's spans
   are (encoding.h): with space marks, or where pieces spell bytes without. */
bool dc_decoder_add_text (dc_decoder *d, dc_string text, dc_error *err);

/* What comes now goes on behind these ids, whose text is not handed out; but
   what they leave open (bytes of a character, white space that may be at the
   end) is, with what follows. */
bool dc_decoder_skip (dc_decoder *d, const int32_t *ids, size_t n,
                      dc_error *err);

/* No more ids: what was held back becomes ready, and the next id is a first
   one again. Take before adding more. */
bool dc_decoder_end (dc_decoder *d, dc_error *err);

/* What is ready, once; valid until the next call with d. */
dc_string dc_decoder_take (dc_decoder *d);

void dc_decoder_free (dc_decoder *d);

#endif
