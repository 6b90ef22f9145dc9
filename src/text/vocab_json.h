/*
** vocab_json.h: a vocabulary out of JSON: pieces with their ids, in any order,
** from one object {piece: id} or from several places.
**
** Two passes over the text: count everything, make room for exactly that, put
** everything. An id must be below the number of pieces that were counted, so
** the room is what the file justifies.
*/
#ifndef DC_VOCAB_JSON_H
#define DC_VOCAB_JSON_H

#include "format/json.h"
#include "text/vocab.h"

typedef struct dc_vocab_json {
  dc_vocab vocab;   /* not indexed yet */
  char *texts;      /* what the pieces point into */
  size_t n, bytes;  /* counted: pieces, and bytes of their texts */
  size_t used;      /* of bytes */
  uint64_t end;     /* one more than the highest id */
} dc_vocab_json;

/* Before dc_vocab_json_make: what will be put. */
bool dc_vocab_json_count (dc_vocab_json *v, const dc_json_text *piece,
                          uint64_t id, dc_error *err);
bool dc_vocab_json_count_object (dc_vocab_json *v, dc_json object,
                                 dc_error *err);

bool dc_vocab_json_make (dc_vocab_json *v, dc_error *err);

/* After it. A piece may be put again with the same id, not with another. */
bool dc_vocab_json_put (dc_vocab_json *v, const dc_json_text *piece,
                        uint64_t id, dc_error *err);
bool dc_vocab_json_put_object (dc_vocab_json *v, dc_json object,
                               dc_error *err);

/* Was every id put? */
bool dc_vocab_json_whole (const dc_vocab_json *v, dc_error *err);

void dc_vocab_json_free (dc_vocab_json *v);

#endif
