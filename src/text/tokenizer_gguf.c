/*
** tokenizer_gguf.c: the tokenizer that a GGUF file carries.
**
**   tokenizer.ggml.model "marian": the pieces are those of vocab.json, and the
**     SentencePiece files lie in decant.tokenizer.source_spm and target_spm
**     byte for byte.
**   "t5", "llama": a SentencePiece model, unigram or BPE, spread over the keys
**     that llama.cpp's converter writes.
**   "gpt2": byte-level BPE; tokenizer.ggml.pre names the pre-tokenizer.
**   "none", "no_vocab" (llama.cpp's older word) or no such key: no tokenizer.
*/
#include <stdio.h>

#include "base/memory.h"
#include "text/buffer.h"
#include "text/tokenizer.h"

#define KEY(name) "tokenizer.ggml." name


/* An id of the vocabulary; *out stays if the key is absent. Some converters
   write "none" as 2^32 - 1. */
static bool read_id (const dc_gguf *g, const char *key, size_t n,
                     int32_t *out, dc_error *err) {
  const dc_gguf_value *value = dc_gguf_find(g, dc_string_of(key));
  uint32_t id;
  int32_t negative;
  if (value == NULL) return true;
  if (value->kind == DC_GGUF_I32 && dc_gguf_i32(g, key, &negative, NULL) &&
      negative == -1)
    return *out = -1, true;
  if (!dc_gguf_u32(g, key, &id, err)) return false;
  if (id == UINT32_MAX) return *out = -1, true;
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
  parts->eos = parts->pad = parts->unk = -1;
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


/* ---- what t5, llama and gpt2 share -------------------------------------- */

static bool wrong_count (const dc_gguf *g, const char *key, size_t count,
                         size_t n, dc_error *err) {
  return dc_fail(err, "%.400s: %s has %zu items for %zu tokens",
                 dc_gguf_path(g), key, count, n);
}


/* Written as i32, by some as u32; 0 is "undefined". Without the key all stay
   normal. */
static bool read_types (const dc_gguf *g, dc_vocab *v, dc_error *err) {
  const char *key = KEY("token_type");
  const dc_gguf_value *value = dc_gguf_find(g, dc_string_of(key));
  dc_gguf_array types;
  if (value == NULL) return true;
  bool is_u32 = value->kind == DC_GGUF_ARRAY &&
                value->array.kind == DC_GGUF_U32;
  if (!dc_gguf_find_array(g, key, is_u32 ? DC_GGUF_U32 : DC_GGUF_I32, &types,
                          err))
    return false;
  if (types.count != v->n) return wrong_count(g, key, types.count, v->n, err);
  for (size_t i = 0; i < v->n; i++) {
    int64_t type;
    if (!dc_gguf_array_int(&types, i, &type) || type < 0 ||
        type > DC_PIECE_BYTE)
      return dc_fail(err, "%.400s: %s of token %zu is none of 0 to 6",
                     dc_gguf_path(g), key, i);
    if (type > 0) v->pieces[i].kind = (dc_piece_kind)type;
  }
  return true;
}


/* The ids by the roles that the file gives them. */
static bool read_facts (const dc_gguf *g, size_t n, dc_tokenizer_facts *f,
                        dc_error *err) {
  static const char *const ends[] = {
    KEY("eot_token_id"), KEY("eom_token_id"), KEY("fim_pad_token_id"),
    KEY("fim_rep_token_id"), KEY("fim_sep_token_id")
  };
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    int32_t id = -1;
    if (!read_id(g, ends[i], n, &id, err)) return false;
    if (id >= 0) f->ends[f->n_ends++] = id;
  }
  return read_flag(g, KEY("add_bos_token"), &f->add_bos, err) &&
         read_flag(g, KEY("add_eos_token"), &f->add_eos, err) &&
         read_id(g, KEY("bos_token_id"), n, &f->special.bos, err) &&
         read_id(g, KEY("eos_token_id"), n, &f->special.eos, err) &&
         read_id(g, KEY("padding_token_id"), n, &f->special.pad, err) &&
         read_id(g, KEY("unknown_token_id"), n, &f->special.unk, err);
}


/* ---- t5, llama ---------------------------------------------------------- */

static bool read_scores (const dc_gguf *g, dc_vocab *v, dc_error *err) {
  const char *key = KEY("scores");
  dc_gguf_array scores;
  if (!dc_gguf_find_array(g, key, DC_GGUF_F32, &scores, err)) return false;
  if (scores.count != v->n)
    return wrong_count(g, key, scores.count, v->n, err);
  for (size_t i = 0; i < v->n; i++)
    v->pieces[i].score = (float)dc_gguf_array_float(&scores, i);
  return true;
}


/* Where the file does not say what kind its tokens are of. */
static void set_kind (dc_vocab *v, int32_t id, dc_piece_kind kind) {
  if (id >= 0 && v->pieces[id].kind == DC_PIECE_NORMAL)
    v->pieces[id].kind = kind;
}


static bool read_spm (const dc_gguf *g, dc_spm *spm, dc_tokenizer_facts *f,
                      dc_error *err) {
  dc_vocab *v = &spm->vocab;
  if (!read_pieces(g, v, &spm->bytes, err) || !read_scores(g, v, err) ||
      !read_types(g, v, err) || !read_facts(g, v->n, f, err) ||
      !read_bytes(g, KEY("precompiled_charsmap"), &spm->charsmap, err) ||
      !read_flag(g, KEY("add_space_prefix"), &spm->dummy_prefix, err) ||
      !read_flag(g, KEY("remove_extra_whitespaces"), &spm->squeeze, err) ||
      !read_flag(g, "decant.tokenizer.byte_fallback", &spm->byte_fallback,
                 err))
    return false;
  spm->bos = f->special.bos;
  spm->eos = f->special.eos;
  spm->pad = f->special.pad;
  spm->unk = f->special.unk;
  set_kind(v, spm->unk, DC_PIECE_UNKNOWN);
  set_kind(v, spm->bos, DC_PIECE_CONTROL);
  set_kind(v, spm->eos, DC_PIECE_CONTROL);
  return dc_spm_finish(spm, err) || dc_fail_in(err, dc_gguf_path(g));
}


static bool from_spm (dc_tokenizer **out, const dc_gguf *g, dc_spm *spm,
                      dc_tokenizer_facts *facts, dc_error *err) {
  spm->user_apart = true;
  if (!read_spm(g, spm, facts, err)) {
    dc_spm_free(spm);
    return false;
  }
  return dc_tokenizer_from_pieces(out, spm, facts, err) ||
         dc_fail_in(err, dc_gguf_path(g));
}


static bool from_t5 (dc_tokenizer **out, const dc_gguf *g, dc_error *err) {
  dc_spm spm;
  dc_tokenizer_facts facts = dc_tokenizer_no_facts();
  facts.add_eos = true;
  dc_spm_defaults(&spm);
  return from_spm(out, g, &spm, &facts, err);
}


/* The ids that go without saying are those of the first Llama. */
static bool from_llama (dc_tokenizer **out, const dc_gguf *g, dc_error *err) {
  dc_spm spm;
  dc_tokenizer_facts facts = dc_tokenizer_no_facts();
  dc_gguf_array tokens;
  if (!dc_gguf_find_array(g, KEY("tokens"), DC_GGUF_STRING, &tokens, err))
    return false;
  if (tokens.count > 2) facts.special = (dc_special_ids){1, 2, -1, 0};
  facts.add_bos = true;
  dc_spm_defaults(&spm);
  spm.type = DC_SPM_BPE;
  spm.squeeze = false;
  spm.bytes_if_complete = true;
  return from_spm(out, g, &spm, &facts, err);
}


/* ---- gpt2 --------------------------------------------------------------- */

/* "left right", split at the first space that is not in front. */
static bool add_merge (dc_byte_bpe *b, dc_string merge, size_t rank,
                       dc_error *err) {
  const char *space = merge.size < 2 ? NULL
                      : memchr(merge.data + 1, ' ', merge.size - 1);
  if (space == NULL)
    return dc_fail(err, "is not two tokens with a space between");
  size_t left = (size_t)(space - merge.data);
  return dc_merges_add_texts(&b->merges, &b->vocab,
                             (dc_string){merge.data, left},
                             (dc_string){space + 1, merge.size - left - 1},
                             rank, err);
}


static bool read_merges (const dc_gguf *g, dc_byte_bpe *b, dc_error *err) {
  dc_gguf_array merges;
  char where[64];
  if (!dc_gguf_find_array(g, KEY("merges"), DC_GGUF_STRING, &merges, err) ||
      !dc_merges_init(&b->merges, merges.count, err))
    return false;
  for (size_t i = 0; i < merges.count; i++) {
    if (add_merge(b, dc_gguf_array_string(&merges, i), i, err)) continue;
    snprintf(where, sizeof where, KEY("merges") ", element %zu", i);
    return dc_fail_in(err, where) || dc_fail_in(err, dc_gguf_path(g));
  }
  return true;
}


static bool read_pre (const dc_gguf *g, dc_byte_bpe *b, dc_tokenizer_facts *f,
                      dc_error *err) {
  dc_string name = dc_string_of("default");
  dc_pre_name pre;
  if (dc_gguf_has(g, KEY("pre")) &&
      !dc_gguf_text(g, KEY("pre"), &name, err))
    return false;
  if (!dc_pretokenizer_named(name, &pre, err))
    return dc_fail_in(err, KEY("pre")) || dc_fail_in(err, dc_gguf_path(g));
  b->pre = pre.steps;
  b->ignore_merges = pre.ignore_merges;
  f->add_bos = pre.add_bos;
  return true;
}


static bool read_byte_bpe (const dc_gguf *g, dc_byte_bpe *b,
                           dc_tokenizer_facts *f, dc_error *err) {
  dc_vocab *v = &b->vocab;
  if (!read_pieces(g, v, &b->texts, err) || !read_types(g, v, err) ||
      !read_pre(g, b, f, err) || !read_facts(g, v->n, f, err) ||
      !read_flag(g, KEY("add_space_prefix"), &b->add_prefix_space, err) ||
      !read_flag(g, "decant.tokenizer.nfc", &b->nfc, err))
    return false;
  b->unk = f->special.unk;
  if (!dc_vocab_index(v, err)) return dc_fail_in(err, dc_gguf_path(g));
  return read_merges(g, b, err);
}


static bool from_gpt2 (dc_tokenizer **out, const dc_gguf *g, dc_error *err) {
  dc_byte_bpe b = {0};
  dc_tokenizer_facts facts = dc_tokenizer_no_facts();
  if (!read_byte_bpe(g, &b, &facts, err)) {
    dc_byte_bpe_free(&b);
    return false;
  }
  return dc_tokenizer_from_byte_bpe(out, &b, &facts, err) ||
         dc_fail_in(err, dc_gguf_path(g));
}


/* ---- all of them -------------------------------------------------------- */

static const struct kind {
  const char *name;
  bool (*read) (dc_tokenizer **out, const dc_gguf *g, dc_error *err);
} kinds[] = {
  {"marian", from_marian}, {"t5", from_t5}, {"llama", from_llama},
  {"gpt2", from_gpt2}
};


bool dc_tokenizer_from_gguf (dc_tokenizer **out, const dc_gguf *gguf,
                             dc_error *err) {
  dc_string model;
  *out = NULL;
  if (!dc_gguf_has(gguf, KEY("model"))) return true;
  if (!dc_gguf_text(gguf, KEY("model"), &model, err)) return false;
  if (dc_string_is(model, "none") || dc_string_is(model, "no_vocab"))
    return true;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (dc_string_is(model, kinds[i].name))
      return kinds[i].read(out, gguf, err);
  return dc_fail(err, "%.400s: " KEY("model") " is \"%.*s\"; supported are "
                 "gpt2, llama, t5, marian and none", dc_gguf_path(gguf),
                 DC_SHOWN(model));
}
