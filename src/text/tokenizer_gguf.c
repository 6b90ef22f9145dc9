/*
** tokenizer_gguf.c: the tokenizer that a GGUF file carries.
**
**   tokenizer.ggml.model "marian": the pieces are those of vocab.json, and the
**     SentencePiece files lie in decant.tokenizer.source_spm and target_spm
**     byte for byte.
**   "t5": a SentencePiece unigram model spread over the keys that llama.cpp's
**     converter writes.
**   "none" or no such key: no tokenizer.
*/
#include "base/memory.h"
#include "text/buffer.h"
#include "text/tokenizer.h"

#define KEY(name) "tokenizer.ggml." name


/* An id of the vocabulary; -1 if the key is absent. */
static bool read_id (const dc_gguf *g, const char *key, size_t n,
                     int32_t *out, dc_error *err) {
  uint32_t id;
  *out = -1;
  if (!dc_gguf_has(g, key)) return true;
  if (!dc_gguf_u32(g, key, &id, err)) return false;
  if (id >= n)
    return dc_fail(err, "%.400s: %s is %u, the vocabulary ends at %zu",
                   dc_gguf_path(g), key, (unsigned)id, n - 1);
  *out = (int32_t)id;
  return true;
}


static bool read_flag (const dc_gguf *g, const char *key, bool *out,
                       dc_error *err) {
  return !dc_gguf_has(g, key) || dc_gguf_bool(g, key, out, err);
}


/* An array of bytes; empty if the key is absent. */
static bool read_bytes (const dc_gguf *g, const char *key, dc_string *out,
                        dc_error *err) {
  dc_gguf_array array;
  *out = (dc_string){"", 0};
  if (!dc_gguf_has(g, key)) return true;
  if (!dc_gguf_find_array(g, key, DC_GGUF_U8, &array, err)) return false;
  *out = (dc_string){(const char *)array.data, array.count};
  return true;
}


/* The pieces by id. Their texts are copied to *texts, since the file may be
   closed before the tokenizer. */
static bool read_pieces (const dc_gguf *g, dc_vocab *v, char **texts,
                         dc_error *err) {
  dc_gguf_array tokens;
  size_t total = 0;
  if (!dc_gguf_find_array(g, KEY("tokens"), DC_GGUF_STRING, &tokens, err) ||
      !dc_vocab_init(v, tokens.count, err))
    return false;
  for (size_t i = 0; i < tokens.count; i++)  /* inside a file: no overflow */
    total += dc_gguf_array_string(&tokens, i).size;
  *texts = dc_alloc(total);
  if (*texts == NULL) return dc_no_memory(err);
  char *to = *texts;
  for (size_t i = 0; i < tokens.count; i++) {
    dc_string s = dc_gguf_array_string(&tokens, i);
    if (s.size > 0) memcpy(to, s.data, s.size);
    v->pieces[i] = (dc_piece){{to, s.size}, 0, DC_PIECE_NORMAL};
    to += s.size;
  }
  return true;
}


/* ---- marian ------------------------------------------------------------- */

static bool read_marian (const dc_gguf *g, dc_marian_parts *parts,
                         dc_error *err) {
  if (!read_pieces(g, &parts->vocab, &parts->texts, err)) return false;
  size_t n = parts->vocab.n;
  if (!read_id(g, KEY("eos_token_id"), n, &parts->eos, err) ||
      !read_id(g, KEY("padding_token_id"), n, &parts->pad, err) ||
      !read_id(g, KEY("unknown_token_id"), n, &parts->unk, err) ||
      !read_bytes(g, "decant.tokenizer.source_spm", &parts->files[DC_SOURCE],
                  err) ||
      !read_bytes(g, "decant.tokenizer.target_spm", &parts->files[DC_TARGET],
                  err))
    return false;
  if (parts->eos < 0 || parts->unk < 0)
    return dc_fail(err, "%.400s: a marian tokenizer needs " KEY("%s"),
                   dc_gguf_path(g),
                   parts->eos < 0 ? "eos_token_id" : "unknown_token_id");
  return true;
}


static bool from_marian (dc_tokenizer **out, const dc_gguf *g,
                         dc_error *err) {
  dc_marian_parts parts = {0};
  if (!read_marian(g, &parts, err)) {
    dc_marian_parts_free(&parts);
    return false;
  }
  return dc_tokenizer_from_marian(out, &parts, err) ||
         dc_fail_in(err, dc_gguf_path(g));
}


/* ---- t5 ----------------------------------------------------------------- */

static bool wrong_count (const dc_gguf *g, const char *key, size_t count,
                         size_t n, dc_error *err) {
  return dc_fail(err, "%.400s: %s has %zu items for %zu tokens",
                 dc_gguf_path(g), key, count, n);
}


/* Written as i32, by some as u32. */
static bool find_types (const dc_gguf *g, dc_gguf_array *out, dc_error *err) {
  const char *key = KEY("token_type");
  const dc_gguf_value *value = dc_gguf_find(g, dc_string_of(key));
  bool is_u32 = value != NULL && value->kind == DC_GGUF_ARRAY &&
                value->array.kind == DC_GGUF_U32;
  return dc_gguf_find_array(g, key, is_u32 ? DC_GGUF_U32 : DC_GGUF_I32, out,
                            err);
}


static bool read_scores (const dc_gguf *g, dc_vocab *v, dc_error *err) {
  dc_gguf_array scores, types;
  if (!dc_gguf_find_array(g, KEY("scores"), DC_GGUF_F32, &scores, err) ||
      !find_types(g, &types, err))
    return false;
  if (scores.count != v->n)
    return wrong_count(g, KEY("scores"), scores.count, v->n, err);
  if (types.count != v->n)
    return wrong_count(g, KEY("token_type"), types.count, v->n, err);
  for (size_t i = 0; i < v->n; i++) {
    int64_t type;
    if (!dc_gguf_array_int(&types, i, &type) || type < DC_PIECE_NORMAL ||
        type > DC_PIECE_BYTE)
      return dc_fail(err, "%.400s: " KEY("token_type") " of token %zu is none "
                     "of 1 to 6", dc_gguf_path(g), i);
    v->pieces[i].kind = (dc_piece_kind)type;
    v->pieces[i].score = (float)dc_gguf_array_float(&scores, i);
  }
  return true;
}


static bool read_spm (const dc_gguf *g, dc_spm *spm, bool *add_bos,
                      bool *add_eos, dc_error *err) {
  dc_spm_defaults(spm);
  if (!read_pieces(g, &spm->vocab, &spm->bytes, err) ||
      !read_scores(g, &spm->vocab, err))
    return false;
  size_t n = spm->vocab.n;
  return read_bytes(g, KEY("precompiled_charsmap"), &spm->charsmap, err) &&
         read_flag(g, KEY("add_space_prefix"), &spm->dummy_prefix, err) &&
         read_flag(g, KEY("remove_extra_whitespaces"), &spm->squeeze, err) &&
         read_flag(g, KEY("add_bos_token"), add_bos, err) &&
         read_flag(g, KEY("add_eos_token"), add_eos, err) &&
         read_id(g, KEY("bos_token_id"), n, &spm->bos, err) &&
         read_id(g, KEY("eos_token_id"), n, &spm->eos, err) &&
         read_id(g, KEY("padding_token_id"), n, &spm->pad, err) &&
         (dc_spm_finish(spm, err) || dc_fail_in(err, dc_gguf_path(g)));
}


static bool from_t5 (dc_tokenizer **out, const dc_gguf *g, dc_error *err) {
  dc_spm spm;
  bool add_bos = false, add_eos = true;
  if (!read_spm(g, &spm, &add_bos, &add_eos, err)) {
    dc_spm_free(&spm);
    return false;
  }
  return dc_tokenizer_from_pieces(out, &spm, add_bos, add_eos, err) ||
         dc_fail_in(err, dc_gguf_path(g));
}


bool dc_tokenizer_from_gguf (dc_tokenizer **out, const dc_gguf *gguf,
                             dc_error *err) {
  dc_string model;
  *out = NULL;
  if (!dc_gguf_has(gguf, KEY("model"))) return true;
  if (!dc_gguf_text(gguf, KEY("model"), &model, err)) return false;
  if (dc_string_is(model, "none")) return true;
  if (dc_string_is(model, "marian")) return from_marian(out, gguf, err);
  if (dc_string_is(model, "t5")) return from_t5(out, gguf, err);
  return dc_fail(err, "%.400s: " KEY("model") " is \"%.*s\"; supported are "
                 "marian, t5 and none", dc_gguf_path(gguf), DC_SHOWN(model));
}
