/*
** saved_file.h: what the writer and the reader of saved sessions share. The
** layout of a file, all numbers u64 unless said otherwise:
**
**   "decantS2"  fingerprint of the model  bytes of the file
**   type of keys and values, by its id in GGUF
**   blocks of full and of windowed layers  rows  1 if there is a source
**   for each timeline, the source first: its length; for each of the two
**     tracks its blocks, how many of these are gone, and the others' numbers
**   the blocks of full layers, then those of windowed ones, as they are in
**     memory, zeros where no position is in use
**   checksum of all that
*/
#ifndef DC_SAVED_FILE_H
#define DC_SAVED_FILE_H

#include <string.h>

#include "model/saved.h"

#define DC_SAVED_MAGIC "decantS2"  /* 8 bytes in the file */
#define DC_SAVED_MAGIC_SIZE 8
#define DC_HASH_START 14695981039346656037u

/* FNV-1a, eight bytes at a time; a rest counts as if zeros followed. */
static inline uint64_t dc_hash (uint64_t h, const void *bytes, size_t size) {
  const uint8_t *p = bytes;
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = 0;
    memcpy(&word, p + i, size - i < 8 ? size - i : 8);
    h = (h ^ word) * 1099511628211u;
  }
  return h;
}


/* Of what the cache depends on: every tensor's name, type and shape, and its
   first bytes, which tell two trainings of one model apart. */
static inline uint64_t dc_fingerprint (const dc_model *m) {
  uint64_t h = DC_HASH_START;
  for (size_t i = 0; i < dc_gguf_n_tensors(m->file); i++) {
    const dc_gguf_tensor *t = dc_gguf_tensor_at(m->file, i);
    h = dc_hash(h, t->name.data, t->name.size);
    h = dc_hash(h, &t->type, sizeof t->type);
    h = dc_hash(h, t->shape, sizeof t->shape);
    h = dc_hash(h, t->data, t->size < 256 ? t->size : 256);
  }
  return h;
}

#endif
