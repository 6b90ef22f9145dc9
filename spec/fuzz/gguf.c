/*
** gguf.c: any bytes as a GGUF file: all that a reader can ask of one that was
** accepted, and the model or the tokenizer in it, if there is one.
*/
#include "memory_file.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size);

static volatile uint64_t sink;


static void read_array (const dc_gguf_array *a) {
  for (size_t i = 0; i < a->count; i++) {
    int64_t integer = 0;
    if (a->kind == DC_GGUF_STRING)
      sink += dc_gguf_array_string(a, i).size;
    else if (a->kind == DC_GGUF_F32 || a->kind == DC_GGUF_F64)
      sink += dc_gguf_array_float(a, i) > 0;
    else
      sink += dc_gguf_array_int(a, i, &integer) + (uint64_t)integer;
  }
}


static void read_all (const dc_gguf *file) {
  for (size_t i = 0; i < dc_gguf_n_keys(file); i++) {
    const dc_gguf_value *v = dc_gguf_key_at(file, i);
    dc_gguf_array a = dc_gguf_as_array(v);
    read_array(v->kind == DC_GGUF_ARRAY ? &v->array : &a);
  }
  for (size_t i = 0; i < dc_gguf_n_tensors(file); i++) {
    const dc_gguf_tensor *t = dc_gguf_tensor_at(file, i);
    if (t->size > 0) sink += t->data[0] + t->data[t->size - 1];
  }
}


int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size) {
  dc_error err;
  dc_gguf *file;
  dc_model *model;
  const char *path = memory_file(bytes, size);
  if (!dc_gguf_open(&file, path, size % 2, &err)) return 0;
  read_all(file);
  dc_gguf_close(file);
  dc_model_options options = {.map = true, .vocab_only = size % 3 == 0};
  if (dc_model_open(&model, path, &options, &err)) dc_model_release(model);
  return 0;
}
