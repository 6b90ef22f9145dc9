/*
** tokenizer_json.c: a tokenizer.json of the `tokenizers` library: its parts,
** the added tokens, what goes in front and behind, and the ids that
** tokenizer_config.json gives roles. The models are in tokenizer_json_byte.c
** and tokenizer_json_spm.c, the merges of both in tokenizer_json_merges.c.
*/
#include "text/tokenizer_json.h"


bool dc_tj_each (dc_json j, bool (*take) (void *context, dc_json item,
                                          dc_error *err),
                 void *context, dc_error *err) {
  bool more;
  if (!dc_json_array(&j, err)) return false;
  while (dc_json_item(&j, &more, err)) {
    if (!more) return true;
    if (!take(context, j, err) || !dc_json_skip(&j, err)) return false;
  }
  return false;
}


/* ---- the parts ---------------------------------------------------------- */

static bool find_parts (dc_tokenizer_json *t, dc_string json, dc_error *err) {
  static const char *const parts[] = {
    "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
    "decoder", "model"
  };
  static const char *const model[] = {
    "type", "vocab", "merges", "unk_token", "unk_id", "byte_fallback",
    "fuse_unk", "ignore_merges", "continuing_subword_prefix",
    "end_of_word_suffix"
  };
  dc_json j, end;
  dc_json_init(&j, json.data, json.size);
  end = j;
  for (int i = 0; i < DC_TJ_N_PARTS; i++) t->parts[i].name = parts[i];
  for (int i = 0; i < DC_TJ_N_MODEL; i++) t->model[i].name = model[i];
  if (!dc_json_skip(&end, err) || !dc_json_end(&end, err) ||
      !dc_members(j, t->parts, DC_TJ_N_PARTS, err))
    return false;
  if (!t->parts[DC_TJ_MODEL].there)
    return dc_fail(err, "has no \"model\"");
  if (!dc_members(t->parts[DC_TJ_MODEL].at, t->model, DC_TJ_N_MODEL, err))
    return dc_fail_in(err, "model");
  if (!t->model[DC_TJ_VOCAB].there)
    return dc_fail(err, "model: has no \"vocab\"");
  return true;
}


static bool is_unigram (const dc_tokenizer_json *t) {
  return dc_member_is(&t->model[DC_TJ_TYPE], "Unigram");
}


/* Old files do not name the type; merges give BPE away. */
static bool check_type (dc_tokenizer_json *t, dc_error *err) {
  const dc_member *type = &t->model[DC_TJ_TYPE];
  bool bpe = type->there ? dc_member_is(type, "BPE")
                         : t->model[DC_TJ_MERGES].there;
  if (bpe || is_unigram(t)) return true;
  if (!dc_member_text(type, &t->text, err)) return false;
  return dc_fail(err, "model.type is \"%.*s\"; supported are BPE and Unigram",
                 DC_SHOWN(dc_buffer_string(&t->text)));
}


/* ---- added tokens ------------------------------------------------------- */

enum {
  ID, CONTENT, SINGLE_WORD, LSTRIP, RSTRIP, NORMALIZED, SPECIAL, N_ADDED
};

/* One of the list, its text still in the file. */
static bool read_added (dc_json item, dc_added_token *token,
                        dc_json_text *content, dc_error *err) {
  dc_member m[N_ADDED] = {
    {.name = "id"}, {.name = "content"}, {.name = "single_word"},
    {.name = "lstrip"}, {.name = "rstrip"}, {.name = "normalized"},
    {.name = "special"}
  };
  uint64_t id = 0;
  *token = (dc_added_token){0};
  if (!dc_members(item, m, N_ADDED, err) ||
      !dc_member_uint(&m[ID], &id, err) ||
      !dc_member_bool(&m[SINGLE_WORD], &token->single_word, err) ||
      !dc_member_bool(&m[LSTRIP], &token->lstrip, err) ||
      !dc_member_bool(&m[RSTRIP], &token->rstrip, err) ||
      !dc_member_bool(&m[NORMALIZED], &token->late, err) ||
      !dc_member_bool(&m[SPECIAL], &token->control, err))
    return false;
  if (!m[ID].there || !m[CONTENT].there)
    return dc_fail(err, "an item has no \"%s\"",
                   m[ID].there ? "content" : "id");
  if (id > INT32_MAX)
    return dc_fail(err, "id %llu, ids end at %d", (unsigned long long)id,
                   INT32_MAX);
  token->id = (int32_t)id;
  return dc_json_string(&m[CONTENT].at, content, err) ||
         dc_fail_in(err, "content");
}


static bool count_added (void *context, dc_json item, dc_error *err) {
  dc_tokenizer_json *t = context;
  dc_added_token token;
  dc_json_text content;
  return read_added(item, &token, &content, err) &&
         dc_vocab_json_count(&t->pieces, &content, (uint64_t)token.id, err);
}


/* An added token is a piece too; its text lives there. */
static bool put_added (void *context, dc_json item, dc_error *err) {
  dc_tokenizer_json *t = context;
  dc_added_token token;
  dc_json_text content;
  if (!read_added(item, &token, &content, err) ||
      !dc_vocab_json_put(&t->pieces, &content, (uint64_t)token.id, err))
    return false;
  dc_piece *piece = &t->pieces.vocab.pieces[token.id];
  piece->kind = token.control ? DC_PIECE_CONTROL : DC_PIECE_USER;
  token.text = piece->text;
  return dc_added_add(&t->facts.added, token, err);
}


static bool each_added (dc_tokenizer_json *t,
                        bool (*take) (void *context, dc_json item,
                                      dc_error *err),
                        dc_error *err) {
  const dc_member *added = &t->parts[DC_TJ_ADDED];
  return !added->there || dc_tj_each(added->at, take, t, err) ||
         dc_fail_in(err, "added_tokens");
}


/* ---- pieces ------------------------------------------------------------- */

static bool read_pieces (dc_tokenizer_json *t, dc_error *err) {
  dc_json vocab = t->model[DC_TJ_VOCAB].at;
  bool list = is_unigram(t);
  bool ok = list ? dc_tj_count_scored(t, err)
                 : dc_vocab_json_count_object(&t->pieces, vocab, err);
  if (!ok) return dc_fail_in(err, "model.vocab");
  if (!each_added(t, count_added, err) || !dc_vocab_json_make(&t->pieces, err))
    return false;
  ok = list ? dc_tj_put_scored(t, err)
            : dc_vocab_json_put_object(&t->pieces, vocab, err);
  if (!ok) return dc_fail_in(err, "model.vocab");
  return each_added(t, put_added, err) &&
         (dc_vocab_json_whole(&t->pieces, err) ||
          dc_fail_in(err, "model.vocab"));
}


/* ---- what goes in front and behind -------------------------------------- */

typedef struct around {
  dc_tokenizer_json *t;
  const dc_vocab *vocab;
  bool behind;  /* the text was there */
} around;


static bool add_around (around *a, dc_string text, bool behind,
                        dc_error *err) {
  dc_tokenizer_facts *f = &a->t->facts;
  int32_t id = dc_vocab_find(a->vocab, text);
  size_t *n = behind ? &f->n_after : &f->n_before;
  if (id < 0)
    return dc_fail(err, "\"%.*s\" is no token of the vocabulary",
                   DC_SHOWN(text));
  if (*n == DC_MAX_AROUND)
    return dc_fail(err, "more than %d tokens on one side of the text",
                   DC_MAX_AROUND);
  (behind ? f->after : f->before)[(*n)++] = id;
  *(behind ? &f->add_eos : &f->add_bos) = true;
  return true;
}


/* {"SpecialToken": {"id": text}} or {"Sequence": ...}. */
static bool template_item (void *context, dc_json item, dc_error *err) {
  around *a = context;
  dc_member m[] = {{.name = "SpecialToken"}, {.name = "Sequence"}};
  dc_member id = {.name = "id"};
  if (!dc_members(item, m, 2, err)) return false;
  if (m[1].there) return a->behind = true;
  if (!m[0].there || !dc_members(m[0].at, &id, 1, err) || !id.there)
    return dc_fail(err, "an item is no SpecialToken and no Sequence");
  return dc_member_text(&id, &a->t->text, err) &&
         add_around(a, dc_buffer_string(&a->t->text), a->behind, err);
}


/* ["text", id] of Bert's and Roberta's processor. */
static bool pair_token (around *a, const dc_member *pair, bool behind,
                        dc_error *err) {
  dc_json j = pair->at;
  bool more;
  return !pair->there ||
         (dc_json_array(&j, err) && dc_json_item(&j, &more, err) &&
          dc_json_read_text(&j, &a->t->text, err) &&
          add_around(a, dc_buffer_string(&a->t->text), behind, err));
}


static bool read_post (void *context, dc_json item, dc_error *err) {
  around *a = context;
  dc_member m[] = {
    {.name = "type"}, {.name = "processors"}, {.name = "single"},
    {.name = "cls"}, {.name = "sep"}
  };
  if (!dc_members(item, m, 5, err)) return false;
  if (dc_member_is(&m[0], "ByteLevel")) return true;
  if (dc_member_is(&m[0], "Sequence") && m[1].there)
    return dc_tj_each(m[1].at, read_post, a, err);
  if (dc_member_is(&m[0], "TemplateProcessing") && m[2].there)
    return dc_tj_each(m[2].at, template_item, a, err);
  if (dc_member_is(&m[0], "BertProcessing") ||
      dc_member_is(&m[0], "RobertaProcessing"))
    return pair_token(a, &m[3], false, err) && pair_token(a, &m[4], true, err);
  if (!dc_member_text(&m[0], &a->t->text, err)) return false;
  return dc_fail(err, "type \"%.*s\" is not supported",
                 DC_SHOWN(dc_buffer_string(&a->t->text)));
}


/* ---- roles -------------------------------------------------------------- */

/* "text" or {"content": "text"}; what the vocabulary lacks has no role. */
static bool read_role (dc_tokenizer_json *t, const dc_vocab *v,
                       const dc_member *m, int32_t *id, dc_error *err) {
  dc_member content = {.name = "content"};
  dc_json j = m->at;
  if (!m->there) return true;
  if (dc_json_peek(&j) == '{') {
    if (!dc_members(j, &content, 1, err)) return dc_fail_in(err, m->name);
    m = &content;
  }
  if (!m->there) return true;
  if (!dc_member_text(m, &t->text, err)) return false;
  *id = dc_vocab_find(v, dc_buffer_string(&t->text));
  return true;
}


static bool read_config (dc_tokenizer_json *t, const dc_vocab *v,
                         dc_string config, dc_error *err) {
  dc_special_ids *ids = &t->facts.special;
  dc_member m[] = {
    {.name = "bos_token"}, {.name = "eos_token"}, {.name = "pad_token"},
    {.name = "unk_token"}, {.name = "add_bos_token"},
    {.name = "add_eos_token"}
  };
  dc_json j;
  if (config.size == 0) return true;
  dc_json_init(&j, config.data, config.size);
  if (!dc_members(j, m, 6, err) ||
      !read_role(t, v, &m[0], &ids->bos, err) ||
      !read_role(t, v, &m[1], &ids->eos, err) ||
      !read_role(t, v, &m[2], &ids->pad, err) ||
      !read_role(t, v, &m[3], &ids->unk, err))
    return false;
  /* a template in tokenizer.json has the last word */
  if (t->facts.n_before > 0 || t->facts.n_after > 0) return true;
  return dc_member_bool(&m[4], &t->facts.add_bos, err) &&
         dc_member_bool(&m[5], &t->facts.add_eos, err);
}


/* Without a config, a lone token that the template adds has that role. */
static void guess_roles (dc_tokenizer_facts *f) {
  if (f->special.bos < 0 && f->n_before == 1) f->special.bos = f->before[0];
  if (f->special.eos < 0 && f->n_after == 1) f->special.eos = f->after[0];
}


static bool read_facts (dc_tokenizer_json *t, const dc_vocab *v,
                        dc_string config, dc_error *err) {
  around a = {t, v, false};
  const dc_member *post = &t->parts[DC_TJ_POST];
  if (post->there && !read_post(&a, post->at, err))
    return dc_fail_in(err, "post_processor");
  if (!read_config(t, v, config, err))
    return dc_fail_in(err, "tokenizer_config.json");
  guess_roles(&t->facts);
  return true;
}


/* ---- both models -------------------------------------------------------- */

static bool from_byte_level (dc_tokenizer **out, dc_tokenizer_json *t,
                             dc_string config, dc_error *err) {
  dc_byte_bpe b = {0};
  if (!dc_tj_byte_bpe(t, &b, err) || !read_facts(t, &b.vocab, config, err)) {
    dc_byte_bpe_free(&b);
    return false;
  }
  if (t->facts.special.unk < 0) t->facts.special.unk = b.unk;
  return dc_tokenizer_from_byte_bpe(out, &b, &t->facts, err);
}


static bool from_spm (dc_tokenizer **out, dc_tokenizer_json *t,
                      dc_string config, dc_error *err) {
  dc_spm spm;
  dc_buffer charsmap = {0};
  bool ok = dc_tj_spm(t, &spm, &charsmap, err) &&
            read_facts(t, &spm.vocab, config, err);
  if (ok) {
    spm.bos = t->facts.special.bos;
    spm.eos = t->facts.special.eos;
    spm.pad = t->facts.special.pad;
    ok = dc_tokenizer_from_pieces(out, &spm, &t->facts, err);
  }
  else {
    dc_spm_free(&spm);
  }
  dc_buffer_free(&charsmap);
  return ok;
}


bool dc_tokenizer_from_json (dc_tokenizer **out, dc_string json,
                             dc_string config, dc_error *err) {
  dc_tokenizer_json t = {.facts = dc_tokenizer_no_facts()};
  *out = NULL;
  bool ok = find_parts(&t, json, err) && check_type(&t, err) &&
            read_pieces(&t, err) &&
            (dc_tj_is_byte_level(&t) ? from_byte_level(out, &t, config, err)
                                     : from_spm(out, &t, config, err));
  dc_vocab_json_free(&t.pieces);
  dc_added_free(&t.facts.added);
  dc_buffer_free(&t.text);
  return ok;
}
