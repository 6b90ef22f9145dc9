/*
** hparams.c: m:hparams(), what a model's file says: sizes, and the table
** `generation` of its decant.generation.* keys; and core.architectures(), the
** kind, "causal" or "seq2seq", of each architecture that runs; and
** core.cache_sizes(gguf), what the cache of a model would hold that is not
** loaded: {full = layers that keep all positions, windowed = layers that keep
** `room` of them, width = numbers of a position in a layer, packed = bytes of
** the packed copy of its weights, if they can be bound}; nil, message if decant
** does not run this file.
*/
#include <string.h>

#include "lua/format.h"
#include "lua/model.h"


/* Elements from..to of an array as a table. */
static void push_range (lua_State *L, const dc_gguf_array *a, size_t from,
                        size_t to) {
  lua_newtable(L);
  for (size_t i = from; i < to; i++) {
    dc_push_gguf_element(L, a, i);
    lua_rawseti(L, -2, (lua_Integer)(i - from) + 1);
  }
}


/* A list of lists, each with its length in front; a length that runs over the
   end takes what there is. */
static void push_lists (lua_State *L, const dc_gguf_array *a) {
  lua_newtable(L);
  for (size_t i = 0; i < a->count; ) {
    int64_t n = 0;
    dc_gguf_array_int(a, i++, &n);
    size_t left = a->count - i;
    size_t end = i + (n < 0 || (uint64_t)n > left ? left : (size_t)n);
    push_range(L, a, i, end);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    i = end;
  }
}


/* The table `generation`: every key decant.generation.FIELD. */
static void push_generation (lua_State *L, const dc_gguf *file) {
  static const char prefix[] = "decant.generation.";
  size_t skip = sizeof prefix - 1;
  lua_newtable(L);
  for (size_t i = 0; i < dc_gguf_n_keys(file); i++) {
    const dc_gguf_value *v = dc_gguf_key_at(file, i);
    if (v->key.size <= skip || memcmp(v->key.data, prefix, skip)) continue;
    dc_string field = {v->key.data + skip, v->key.size - skip};
    lua_pushlstring(L, field.data, field.size);
    dc_gguf_array a = dc_gguf_as_array(v);
    if (v->kind != DC_GGUF_ARRAY)
      dc_push_gguf_element(L, &a, 0);
    else if (dc_string_is(field, "bad_words_ids") ||
             dc_string_is(field, "force_words_ids"))
      push_lists(L, &a);
    else
      push_range(L, &a, 0, a.count);
    lua_rawset(L, -3);
  }
}


static void set_integer (lua_State *L, const char *name, size_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}


/* Layers, heads and widths of a stack, after `prefix`. */
static void set_stack (lua_State *L, const char *prefix,
                       const dc_stack_sizes *s) {
  const struct {
    const char *name;
    size_t value;
  } fields[] = {
    {"layers", s->n_layers}, {"heads", s->n_heads},
    {"kv_heads", s->n_kv_heads}, {"head_size", s->d_key}, {"ffn", s->d_ff},
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    lua_pushfstring(L, "%s%s", prefix, fields[i].name);
    lua_pushinteger(L, (lua_Integer)fields[i].value);
    lua_rawset(L, -3);
  }
}


static void push_sizes (lua_State *L, const dc_model *m) {
  const dc_hparams *hp = &m->hp;
  lua_pushstring(L, hp->arch->name);
  lua_setfield(L, -2, "architecture");
  set_integer(L, "vocab", hp->n_vocab);
  set_integer(L, "d_model", hp->d_model);
  set_integer(L, "context", m->context);
  if (hp->window > 0) set_integer(L, "window", hp->window);
  if (hp->arch->causal)
    set_stack(L, "", &hp->decoder);
  else {
    set_integer(L, "decoder_start", hp->decoder_start);
    set_stack(L, "encoder_", &hp->encoder);
    set_stack(L, "decoder_", &hp->decoder);
  }
  set_integer(L, "weight_bytes", m->weight_bytes);
  set_integer(L, "packed_bytes", m->weights.packed_bytes);
  lua_pushstring(L, dc_type_of(m->pool.type)->name);
  lua_setfield(L, -2, "cache_type");
  lua_pushboolean(L, m->weights.tied);
  lua_setfield(L, -2, "tied_embeddings");
  lua_pushstring(L, dc_type_of(m->weights.embedding.type)->name);
  lua_setfield(L, -2, "type");
}


/* nil if the file's architecture is not known: it may be loaded for its
   vocabulary all the same. */
static void push_kind (lua_State *L, const dc_gguf *file) {
  dc_string name;
  dc_error err;
  const dc_arch *arch = NULL;
  if (dc_gguf_text(file, "general.architecture", &name, &err))
    arch = dc_arch_find(name);
  if (arch == NULL)
    lua_pushnil(L);
  else
    lua_pushstring(L, arch->causal ? "causal" : "seq2seq");
}


/* Field chat_template, if the file has one. */
static void set_template (lua_State *L, const dc_gguf *file) {
  static const char key[] = "tokenizer.chat_template";
  dc_string text;
  dc_error err;
  if (!dc_gguf_has(file, key) || !dc_gguf_text(file, key, &text, &err)) return;
  lua_pushlstring(L, text.data, text.size);
  lua_setfield(L, -2, "chat_template");
}


int dc_model_architectures (lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; dc_arch_at(i) != NULL; i++) {
    lua_pushstring(L, dc_arch_at(i)->causal ? "causal" : "seq2seq");
    lua_setfield(L, -2, dc_arch_at(i)->name);
  }
  return 1;
}


/* 0: the weights are not what a model of this kind has. */
static size_t packed_bytes (const dc_hparams *hp, const dc_gguf *file) {
  dc_weights w;
  dc_error err;
  size_t bytes = 0;
  if (!dc_weights_bind(&w, hp, hp->context, file, &err)) return 0;
  if (!dc_weights_packed_bytes(&w, &bytes)) bytes = 0;
  dc_weights_free(&w);
  return bytes;
}


int dc_model_cache_sizes (lua_State *L) {
  dc_hparams hp;
  dc_error err;
  if (!dc_hparams_read(&hp, dc_check_gguf(L, 1), &err))
    return dc_push_failure(L, &err);
  const dc_stack_sizes *s = &hp.decoder;
  size_t windowed = 0;
  for (uint32_t i = 0; i < s->n_layers; i++) windowed += dc_is_windowed(&hp, i);
  size_t packed = packed_bytes(&hp, dc_check_gguf(L, 1));
  lua_newtable(L);
  if (packed > 0) set_integer(L, "packed", packed);
  set_integer(L, "full", s->n_layers - windowed);
  set_integer(L, "windowed", windowed);
  set_integer(L, "room", dc_window_room(hp.window));
  set_integer(L, "width", (size_t)s->n_kv_heads * (s->d_key + s->d_value));
  return 1;
}


int dc_model_hparams (lua_State *L) {
  lua_settop(L, 1);
  dc_lua_rows *hold = dc_new_rows(L);
  dc_model *m = dc_check_open_model(L, 1);
  dc_rows_open(hold, m, NULL);
  lua_newtable(L);
  lua_pushstring(L, dc_gguf_path(m->file));
  lua_setfield(L, -2, "path");
  push_generation(L, m->file);
  lua_setfield(L, -2, "generation");
  push_kind(L, m->file);
  lua_setfield(L, -2, "kind");
  set_template(L, m->file);
  if (!m->vocab_only) push_sizes(L, m);
  dc_rows_close(hold);
  return 1;
}
