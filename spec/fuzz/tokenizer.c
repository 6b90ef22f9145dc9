/*
** tokenizer.c: any bytes as a tokenizer's file. One that is accepted cuts a
** text of bytes of the same input and puts every id and the text together
** again.
*/
#include <string.h>

#include "memory_file.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size);


static void decode (const dc_tokenizer *t, const dc_encoding *e,
                    bool special) {
  dc_error err;
  dc_decoder decoder;
  dc_tokenizer_decoder(t, special, &decoder);
  for (size_t i = 0; i < e->n; i++) {
    int32_t id = e->spans[i].id;
    if (id < 0 || (size_t)id >= dc_tokenizer_size(t)) abort();
    dc_decoder_add(&decoder, id, &err);
    dc_decoder_take(&decoder);
  }
  dc_decoder_end(&decoder, &err);
  dc_decoder_take(&decoder);
  dc_decoder_free(&decoder);
}


static void encode (const dc_tokenizer *t, dc_string text, bool special) {
  dc_error err;
  dc_encoding e = {0};
  dc_encode_options options = dc_tokenizer_defaults(t);
  options.special = special;
  if (dc_tokenizer_encode(t, text, &options, &e, &err)) decode(t, &e, special);
  dc_encoding_free(&e);
}


static void use (const dc_tokenizer *t, dc_string text) {
  size_t n = dc_tokenizer_size(t), step = n / 64 + 1;
  for (size_t id = 0; id < n; id += step) {
    dc_string piece = dc_tokenizer_piece(t, (int32_t)id);
    if (dc_tokenizer_id(t, piece) >= (int32_t)n) abort();
    encode(t, piece, id % 2);
  }
  encode(t, text, false);
  encode(t, text, true);
}


int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size) {
  dc_error err;
  dc_tokenizer *t;
  if (!dc_tokenizer_open(&t, memory_file(bytes, size), &err)) return 0;
  size_t some = size < 300 ? size : 300;
  use(t, (dc_string){(const char *)bytes + size - some, some});
  dc_tokenizer_free(t);
  return 0;
}
