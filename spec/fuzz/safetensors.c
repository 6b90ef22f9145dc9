/* safetensors.c: any bytes as a safetensors file, and all that is in it. */
#include "format/safetensors.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size);

static volatile uint64_t sink;


int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size) {
  dc_error err;
  dc_safetensors *st;
  if (!dc_st_open(&st, memory_file(bytes, size), size % 2, &err)) return 0;
  for (size_t i = 0; i < dc_st_n_tensors(st); i++) {
    const dc_st_tensor *t = dc_st_tensor_at(st, i);
    if (t->size > 0) sink += t->data[0] + t->data[t->size - 1];
    if (dc_st_tensor_find(st, t->name) != t) abort();
  }
  for (size_t i = 0; i < dc_st_n_metadata(st); i++) {
    dc_string key, value;
    dc_st_metadata_at(st, i, &key, &value);
    sink += key.size + value.size;
  }
  dc_st_close(st);
  return 0;
}
