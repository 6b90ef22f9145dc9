/*
** byte_bpe.h: byte-level BPE (GPT-2 and most models since): a pre-tokenizer
** cuts the text into words, and within each word merges join its bytes.
**
** Pieces are written in an alphabet of 256 printable characters, one for each
** byte: a space is U+0120, so the word " the" is written with it in front.
** Text that is not valid UTF-8 is repaired first (one U+FFFD for each
** ill-formed part), as the reference library has it repaired.
*/
#ifndef DC_BYTE_BPE_H
#define DC_BYTE_BPE_H

#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/vocab.h"

/* What a file says. */
typedef struct dc_byte_bpe {
  char *texts;             /* what the pieces point into; owned, may be NULL */
  dc_vocab vocab;          /* control and user-defined pieces are plain text,
                              the others are in the alphabet */
  dc_merges merges;
  dc_pretokenizer pre;
  bool ignore_merges;      /* a word that is a piece is taken as it is */
  bool add_prefix_space;   /* a text that begins without a space gets one */
  bool nfc;                /* text is composed first (nfc.h) */
  int32_t unk;             /* for bytes without a piece; -1: they are dropped */
  int32_t byte_ids[256];   /* pieces of one byte, -1 where there is none */
  size_t longest;          /* bytes of the longest piece as written */
} dc_byte_bpe;

/* Once all is filled in and the vocabulary is indexed. */
void dc_byte_bpe_finish (dc_byte_bpe *b);

/* Adds the text as it is cut: valid, composed if the file says so, with a
   space in front if it says so. */
bool dc_byte_bpe_normalize (const dc_byte_bpe *b, dc_string text,
                            dc_buffer *out, dc_error *err);

bool dc_byte_bpe_encode (const dc_byte_bpe *b, dc_string text,
                         dc_encoding *out, dc_error *err);

/* Adds a span of id -1 for each word, as the pre-tokenizer cuts the text. */
bool dc_byte_bpe_split (const dc_byte_bpe *b, dc_string text,
                        dc_encoding *out, dc_error *err);

void dc_byte_bpe_free (dc_byte_bpe *b);


/* The alphabet. A byte as written: 1 or 2 bytes to `to`, returns how many. */
size_t dc_alphabet_write (uint8_t byte, char *to);

/* The character at the front of s as a byte, -1 if it is none of the 256. */
int dc_alphabet_read (const char *s, size_t size, size_t *width);

#endif
