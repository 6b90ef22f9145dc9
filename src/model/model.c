/* model.c: opening and closing; see model.h. */
#include "model/model.h"

#include <string.h>

#include "base/memory.h"
#include "model/outputs.h"


/* An id that the tokenizer gives must be one that the weights have. */
static bool vocabulary_fits (const dc_model *m, dc_error *err) {
  size_t n = m->tokenizer != NULL ? dc_tokenizer_size(m->tokenizer) : 0;
  return n <= m->hp.n_vocab ||
         dc_fail(err, "%.400s: tokenizer.ggml.tokens: has %zu elements, must "
                 "have at most vocab_size (%u)", dc_gguf_path(m->file), n,
                 m->hp.n_vocab);
}


/* The caller's limit counts where it is the smaller one. Relative positions
   have no end: there the file says what the model was trained with. */
static size_t limit_of (const dc_hparams *hp, size_t asked) {
  bool endless = hp->positions == DC_RELATIVE && asked <= DC_MAX_POSITIONS;
  return asked > 0 && (asked < hp->context || endless) ? asked : hp->context;
}


static size_t weight_bytes (const dc_gguf *file) {
  size_t bytes = 0;
  for (size_t i = 0; i < dc_gguf_n_tensors(file); i++)
    bytes += dc_gguf_tensor_at(file, i)->size;
  return bytes;
}


static void make_pool (dc_model *m, dc_type type) {
  const dc_stack *decoder = &m->weights.decoder;
  const dc_stack_sizes *s = &decoder->sizes;
  size_t layers[DC_REACHES] = {0};
  for (uint32_t i = 0; i < s->n_layers; i++)
    layers[decoder->layers[i].reach]++;
  m->pool = (dc_pool){.type = type, .heads = s->n_kv_heads,
                      .d_key = s->d_key, .d_value = s->d_value,
                      .window = m->hp.window};
  dc_pool_init(&m->pool, layers);
}


static bool load (dc_model *m, const char *path,
                  const dc_model_options *options, dc_error *err) {
  if (!dc_gguf_open(&m->file, path, options->map, err)) return false;
  if (!options->ids_only &&
      !dc_tokenizer_from_gguf(&m->tokenizer, m->file, err))
    return false;
  m->weight_bytes = weight_bytes(m->file);
  m->vocab_only = options->vocab_only;
  if (m->vocab_only)
    return m->tokenizer != NULL ||
           dc_fail(err, "%.400s: vocab_only: the file has no tokenizer", path);
  if (!dc_hparams_read(&m->hp, m->file, err)) return false;
  m->threads = options->threads;
  m->context = limit_of(&m->hp, options->context);
  if (!dc_weights_bind(&m->weights, &m->hp, m->context, m->file, err) ||
      !vocabulary_fits(m, err))
    return false;
  dc_weights_pack_room(&m->weights, options->pack_most);
  if (options->pack_now) dc_weights_pack_rest(&m->weights, m->file, m->threads);
  make_pool(m, options->cache_type);
  return true;
}


bool dc_model_open (dc_model **out, const char *path,
                    const dc_model_options *options, dc_error *err) {
  dc_model *m = dc_alloc(sizeof *m);
  *out = NULL;
  if (m == NULL) return dc_fail(err, "%.400s: not enough memory", path);
  m->refs = 1;
  if (!load(m, path, options, err)) {
    dc_model_release(m);
    return false;
  }
  *out = m;
  return true;
}


void dc_model_release (dc_model *m) {
  if (m == NULL || --m->refs > 0) return;
  for (size_t i = 0; i < DC_MAX_THREADS; i++) {
    dc_batch_free(&m->workers[i].batch);
    dc_slice_free(&m->workers[i].slice);
    dc_outputs_free(&m->workers[i].outputs);
  }
  dc_pool_free(&m->pool);
  dc_weights_free(&m->weights);
  dc_tokenizer_free(m->tokenizer);
  dc_gguf_close(m->file);
  dc_free(m);
}
