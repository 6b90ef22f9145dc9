/*
** session.c: any bytes as a saved session of a tiny model. The frame (magic,
** fingerprint, size, checksum) is put right first, or nothing would come past
** it; rows that are accepted go on by a token.
*/
#include "memory_file.h"
#include "model/saved_file.h"

#define FRAME (DC_SAVED_MAGIC_SIZE + 3 * sizeof(uint64_t))

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size);


static dc_model *model (void) {
  static dc_model *m;
  dc_error err;
  dc_model_options options = {.map = true};
  if (m == NULL && !dc_model_open(&m, "build-fuzz/corpus/session-model.gguf",
                                  &options, &err)) {
    fprintf(stderr, "%s\n", err.text);
    abort();
  }
  return m;
}


static void put (uint8_t *at, uint64_t x) {
  memcpy(at, &x, sizeof x);
}


static void go_on (dc_model *m, dc_saved *saved) {
  dc_error err;
  float *scores = malloc(m->hp.n_vocab * sizeof *scores);
  int32_t id = 1;
  for (size_t i = 0; i < saved->n && i < 8; i++) {
    dc_feed feed = {.timeline = &saved->rows[i], .source = &saved->source,
                    .ids = &id, .n = 1, .out = &scores};
    dc_decode(m, &feed, 1, &err);
  }
  free(scores);
}


int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size) {
  dc_error err;
  dc_saved saved = {0};
  if (size < FRAME) return 0;
  size -= size % 8;
  uint8_t *copy = malloc(size);
  memcpy(copy, bytes, size);
  memcpy(copy, DC_SAVED_MAGIC, DC_SAVED_MAGIC_SIZE);
  put(copy + 8, dc_fingerprint(model()));
  put(copy + 16, size);
  put(copy + size - 8, dc_hash(DC_HASH_START, copy, size - 8));
  if (dc_saved_read(&saved, model(), memory_file(copy, size), &err)) {
    go_on(model(), &saved);
    dc_saved_clear(&saved, model());
  }
  free(copy);
  return 0;
}
