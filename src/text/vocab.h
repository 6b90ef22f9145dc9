/*
** vocab.h: pieces and their ids. The id of a piece is its position.
*/
#ifndef DC_VOCAB_H
#define DC_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"
#include "format/names.h"

/* A longer piece fails the load: encoding costs text * longest piece, and the
   trainers stop at some dozen bytes. */
#define DC_MAX_PIECE 1024

/* Numbers as in a SentencePiece file and as in GGUF. The two at the end never
   stand in a file. */
typedef enum dc_piece_kind {
  DC_PIECE_NORMAL = 1, DC_PIECE_UNKNOWN, DC_PIECE_CONTROL, DC_PIECE_USER,
  DC_PIECE_UNUSED, DC_PIECE_BYTE,
  DC_PIECE_FOREIGN,  /* Marian: in vocab.json, not in the SentencePiece file */
  DC_PIECE_SPECIAL   /* Marian: </s>, <unk>, <pad> */
} dc_piece_kind;

typedef struct dc_piece {
  dc_string text;  /* any bytes; lies in the owner's memory */
  float score;
  dc_piece_kind kind;
} dc_piece;

typedef struct dc_vocab {
  dc_piece *pieces;  /* [n], by id */
  size_t n;
  dc_names index;    /* text -> id */
} dc_vocab;

/* Room for n pieces, all empty yet. */
bool dc_vocab_init (dc_vocab *v, size_t n, dc_error *err);

/* Once the pieces are filled in: makes them findable, refuses empty ones,
   overlong ones and duplicates. */
bool dc_vocab_index (dc_vocab *v, dc_error *err);

/* The id, or -1. */
int32_t dc_vocab_find (const dc_vocab *v, dc_string text);

/* Bytes of memory, without the texts. */
size_t dc_vocab_bytes (const dc_vocab *v);

void dc_vocab_free (dc_vocab *v);

#endif
