/*
** tokenizer_json_spm.c: what was a SentencePiece model once and is now a
** tokenizer.json: Unigram, and BPE over characters with byte fallback. Its
** normalizer and pre_tokenizer spell out what a SentencePiece file says with
** a few flags, so they are read back into those.
*/
#include "text/tokenizer_json.h"

#include <stdio.h>

#include "base/memory.h"
#include "text/normalizer.h"


/* ---- the pieces of Unigram: [["piece", score], ...] --------------------- */

typedef bool scored (dc_tokenizer_json *t, const dc_json_text *piece,
                     double score, uint64_t id, dc_error *err);

static bool walk_scored (dc_tokenizer_json *t, scored *take, dc_error *err) {
  dc_json j = t->model[DC_TJ_VOCAB].at;
  dc_json_text piece;
  double score;
  bool more, rest;
  uint64_t id = 0;
  if (!dc_json_array(&j, err)) return false;
  while (dc_json_item(&j, &more, err)) {
    if (!more) return true;
    if (!dc_json_array(&j, err) || !dc_json_item(&j, &rest, err) ||
        !dc_json_string(&j, &piece, err) || !dc_json_item(&j, &rest, err) ||
        !dc_json_number(&j, &score, err) || !dc_json_item(&j, &rest, err))
      return false;
    if (rest)
      return dc_fail(err, "piece %llu is not a text and a score",
                     (unsigned long long)id);
    if (!take(t, &piece, score, id++, err)) return false;
  }
  return false;
}


static bool count_scored (dc_tokenizer_json *t, const dc_json_text *piece,
                          double score, uint64_t id, dc_error *err) {
  (void)score;
  return dc_vocab_json_count(&t->pieces, piece, id, err);
}


static bool put_scored (dc_tokenizer_json *t, const dc_json_text *piece,
                        double score, uint64_t id, dc_error *err) {
  if (!dc_vocab_json_put(&t->pieces, piece, id, err)) return false;
  t->pieces.vocab.pieces[id].score = (float)score;
  return true;
}


bool dc_tj_count_scored (dc_tokenizer_json *t, dc_error *err) {
  return walk_scored(t, count_scored, err);
}


bool dc_tj_put_scored (dc_tokenizer_json *t, dc_error *err) {
  return walk_scored(t, put_scored, err);
}


/* ---- base64 ------------------------------------------------------------- */

static int base64_value (char c) {
  return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26
         : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62
         : c == '/' ? 63 : -1;
}


/* In place: the bytes are fewer than the characters. */
static bool decode_base64 (dc_buffer *b, dc_error *err) {
  size_t n = b->size, out = 0;
  uint32_t bits = 0;
  while (n > 0 && b->data[n - 1] == '=') n--;
  for (size_t i = 0; i < n; i++) {
    int value = base64_value(b->data[i]);
    if (value < 0) return dc_fail(err, "character %zu is not base64", i);
    bits = bits << 6 | (uint32_t)value;
    if (i % 4 != 0) b->data[out++] = (char)(bits >> (6 - 2 * (i % 4)));
  }
  b->size = out;
  return true;
}


/* ---- normalizer, pre_tokenizer, decoder --------------------------------- */

typedef struct reading {
  dc_tokenizer_json *t;
  dc_spm *spm;
  dc_buffer *charsmap;
} reading;


static bool not_supported (reading *r, const dc_member *type, dc_error *err) {
  r->t->text.size = 0;
  if (!dc_member_text(type, &r->t->text, err)) return false;
  return dc_fail(err, "type \"%.*s\" is not supported for this model",
                 DC_SHOWN(dc_buffer_string(&r->t->text)));
}


static bool is_mark (const dc_member *m) {
  return dc_member_is(m, DC_SPACE_MARK);
}


/* " " -> mark is the escape of spaces, " {2,}" -> one of them squeezes. */
static bool replace (reading *r, const dc_member *pattern,
                     const dc_member *content, dc_error *err) {
  dc_member m[] = {{.name = "String"}, {.name = "Regex"}};
  if (!pattern->there || !dc_members(pattern->at, m, 2, err))
    return dc_fail(err, "Replace without a pattern");
  bool spaced = is_mark(content) || dc_member_is(content, " ");
  if (dc_member_is(&m[0], " ") && is_mark(content))
    return r->spm->escape = true;
  if (dc_member_is(&m[1], " {2,}") && spaced) return r->spm->squeeze = true;
  return dc_fail(err, "this Replace is not supported");
}


static bool read_normalizer (void *context, dc_json item, dc_error *err) {
  enum { TYPE, LIST, PREPEND, PATTERN, CONTENT, CHARSMAP, N };
  reading *r = context;
  dc_member m[N] = {
    {.name = "type"}, {.name = "normalizers"}, {.name = "prepend"},
    {.name = "pattern"}, {.name = "content"}, {.name = "precompiled_charsmap"}
  };
  if (!dc_members(item, m, N, err)) return false;
  if (dc_member_is(&m[TYPE], "Sequence") && m[LIST].there)
    return dc_tj_each(m[LIST].at, read_normalizer, r, err);
  if (dc_member_is(&m[TYPE], "Prepend") && is_mark(&m[PREPEND]))
    return r->spm->dummy_prefix = true;
  if (dc_member_is(&m[TYPE], "Replace"))
    return replace(r, &m[PATTERN], &m[CONTENT], err);
  if (dc_member_is(&m[TYPE], "Strip")) return true;  /* a part of squeezing */
  if (dc_member_is(&m[TYPE], "Precompiled"))
    return dc_member_text(&m[CHARSMAP], r->charsmap, err) &&
           decode_base64(r->charsmap, err);
  return not_supported(r, &m[TYPE], err);
}


/* Old files say add_prefix_space, new ones prepend_scheme. */
static bool metaspace (reading *r, const dc_member *space,
                       const dc_member *scheme, dc_error *err) {
  bool add = true;
  if (!dc_member_bool(space, &add, err)) return false;
  if (dc_member_is(scheme, "never")) add = false;
  r->spm->escape = true;
  r->spm->dummy_prefix = add;
  r->spm->prefix_unless_spaced = true;
  r->spm->prefix_first_only = dc_member_is(scheme, "first");
  return true;
}


static bool read_pre (void *context, dc_json item, dc_error *err) {
  enum { TYPE, LIST, SPACE, SCHEME, PATTERN, N };
  reading *r = context;
  dc_member m[N] = {
    {.name = "type"}, {.name = "pretokenizers"},
    {.name = "add_prefix_space"}, {.name = "prepend_scheme"},
    {.name = "pattern"}
  };
  if (!dc_members(item, m, N, err)) return false;
  if (dc_member_is(&m[TYPE], "Sequence") && m[LIST].there)
    return dc_tj_each(m[LIST].at, read_pre, r, err);
  if (dc_member_is(&m[TYPE], "Metaspace"))
    return metaspace(r, &m[SPACE], &m[SCHEME], err);
  if (dc_member_is(&m[TYPE], "WhitespaceSplit"))
    return r->spm->squeeze = true;
  if (dc_member_is(&m[TYPE], "Split") && r->spm->escape) {
    dc_member string = {.name = "String"};  /* spaces: they are marks by now */
    if (m[PATTERN].there && dc_members(m[PATTERN].at, &string, 1, NULL) &&
        dc_member_is(&string, " "))
      return true;
  }
  return not_supported(r, &m[TYPE], err);
}


/* ---- the model ---------------------------------------------------------- */

/* The pieces that spell bytes. */
static void find_bytes (dc_vocab *v) {
  for (size_t i = 0; i < v->n; i++) {
    dc_piece *p = &v->pieces[i];
    unsigned byte;
    char text[8], written[8] = "";
    if (p->text.size != 6 || p->kind != DC_PIECE_NORMAL) continue;
    memcpy(text, p->text.data, 6);
    text[6] = '\0';
    if (sscanf(text, "<0x%2X>", &byte) == 1)
      snprintf(written, sizeof written, "<0x%02X>", byte & 0xFF);
    if (!strcmp(text, written)) p->kind = DC_PIECE_BYTE;
  }
}


static int32_t id_of (const dc_vocab *v, dc_string text) {
  for (size_t i = 0; i < v->n; i++)
    if (dc_string_equal(v->pieces[i].text, text)) return (int32_t)i;
  return -1;
}


/* BPE names its unknown token, Unigram gives the id. */
static bool find_unknown (dc_tokenizer_json *t, dc_spm *spm, dc_error *err) {
  const dc_member *token = &t->model[DC_TJ_UNK_TOKEN];
  const dc_member *number = &t->model[DC_TJ_UNK_ID];
  uint64_t id = UINT64_MAX;
  if (token->there) {
    if (!dc_member_text(token, &t->text, err)) return false;
    int32_t found = id_of(&spm->vocab, dc_buffer_string(&t->text));
    if (found < 0)
      return dc_fail(err, "unk_token \"%.*s\" is no token of the vocabulary",
                     DC_SHOWN(dc_buffer_string(&t->text)));
    id = (uint64_t)found;
  }
  if (!dc_member_uint(number, &id, err)) return false;
  if (number->there && id >= spm->vocab.n)
    return dc_fail(err, "unk_id is %llu, the vocabulary ends at %zu",
                   (unsigned long long)id, spm->vocab.n - 1);
  spm->unk = id < spm->vocab.n ? (int32_t)id : -1;
  if (spm->unk >= 0) {
    dc_piece *piece = &spm->vocab.pieces[spm->unk];
    if (piece->kind == DC_PIECE_NORMAL) piece->kind = DC_PIECE_UNKNOWN;
    spm->unk_surface = piece->text;
  }
  if (spm->unk < 0 && !spm->byte_fallback)
    return dc_fail(err, "has no unknown token and no byte_fallback");
  return true;
}


static bool read_model (dc_tokenizer_json *t, dc_spm *spm, dc_error *err) {
  const dc_member *m = t->model;
  bool fuse = false;
  if (!dc_member_bool(&m[DC_TJ_BYTE_FALLBACK], &spm->byte_fallback, err) ||
      !dc_member_bool(&m[DC_TJ_FUSE_UNK], &fuse, err))
    return false;
  if (spm->byte_fallback) find_bytes(&spm->vocab);
  spm->unk_optional = true;
  spm->unk_apart = spm->type == DC_SPM_BPE && !fuse;
  return find_unknown(t, spm, err) && dc_spm_finish(spm, err);
}


bool dc_tj_spm (dc_tokenizer_json *t, dc_spm *spm, dc_buffer *charsmap,
                dc_error *err) {
  reading r = {t, spm, charsmap};
  const dc_member *pre = &t->parts[DC_TJ_PRE];
  const dc_member *normalizer = &t->parts[DC_TJ_NORMALIZER];
  bool unigram = dc_member_is(&t->model[DC_TJ_TYPE], "Unigram");
  dc_spm_defaults(spm);
  spm->type = unigram ? DC_SPM_UNIGRAM : DC_SPM_BPE;
  spm->dummy_prefix = spm->squeeze = spm->escape = false;
  spm->user_apart = true;
  spm->vocab = t->pieces.vocab;
  spm->bytes = t->pieces.texts;
  t->pieces = (dc_vocab_json){0};
  if (normalizer->there && !read_normalizer(&r, normalizer->at, err))
    return dc_fail_in(err, "normalizer");
  if (pre->there && !read_pre(&r, pre->at, err))
    return dc_fail_in(err, "pre_tokenizer");
  spm->charsmap = dc_buffer_string(charsmap);
  if (!spm->escape)
    return dc_fail(err, "pre_tokenizer: a BPE or Unigram model without "
                   "ByteLevel, Metaspace or Replace of spaces is not "
                   "supported");
  if (!read_model(t, spm, err)) return dc_fail_in(err, "model");
  return unigram || dc_tj_merges(t, &spm->vocab, &spm->merges, err);
}
