/*
** tokenizer_json_byte.c: byte-level BPE out of a tokenizer.json: which steps
** its pre_tokenizer is made of.
*/
#include "text/tokenizer_json.h"


/* ---- is it one? --------------------------------------------------------- */

/* Does the object, or one of the list that it holds, have this type? */
static bool holds_type (dc_json at, const char *list, const char *type,
                        int depth) {
  dc_member m[] = {{.name = "type"}, {.name = list}};
  bool more;
  if (depth == 0 || !dc_members(at, m, 2, NULL)) return false;
  if (dc_member_is(&m[0], type)) return true;
  if (!m[1].there || !dc_json_array(&m[1].at, NULL)) return false;
  while (dc_json_item(&m[1].at, &more, NULL) && more) {
    if (holds_type(m[1].at, list, type, depth - 1)) return true;
    if (!dc_json_skip(&m[1].at, NULL)) break;
  }
  return false;
}


bool dc_tj_is_byte_level (const dc_tokenizer_json *t) {
  const dc_member *pre = &t->parts[DC_TJ_PRE];
  const dc_member *decoder = &t->parts[DC_TJ_DECODER];
  return (pre->there && holds_type(pre->at, "pretokenizers", "ByteLevel", 4))
         || (decoder->there &&
             holds_type(decoder->at, "decoders", "ByteLevel", 4));
}


/* ---- the pre-tokenizer -------------------------------------------------- */

typedef struct reading {
  dc_tokenizer_json *t;
  dc_byte_bpe *b;
  bool in_bytes;  /* ByteLevel came: the text is in the alphabet from here */
} reading;


static bool add_step (reading *r, dc_splitter *step, dc_error *err) {
  dc_pretokenizer *pre = &r->b->pre;
  if (pre->n == DC_MAX_STEPS)
    return dc_fail(err, "more than %d steps", DC_MAX_STEPS);
  pre->steps[pre->n++] = step;
  return true;
}


static bool not_supported (reading *r, const char *what,
                           const dc_member *value, dc_error *err) {
  dc_buffer *text = &r->t->text;
  text->size = 0;
  if (!dc_member_text(value, text, err)) return false;
  return dc_fail(err, "%s \"%.*s\" is not supported", what,
                 (int)(text->size < 600 ? text->size : 600),
                 dc_buffer_string(text).data);
}


static bool byte_level (reading *r, const dc_member *prefix,
                        const dc_member *use_regex, dc_error *err) {
  bool space = true, regex = true;
  if (!dc_member_bool(prefix, &space, err) ||
      !dc_member_bool(use_regex, &regex, err))
    return false;
  if (space && r->b->pre.n > 0)
    return dc_fail(err, "add_prefix_space is not supported behind other "
                   "steps");
  r->b->add_prefix_space = space;
  r->in_bytes = true;
  return !regex || add_step(r, dc_split_gpt2, err);
}


/* Only what cuts the same pieces out whatever is done with them. */
static bool split (reading *r, const dc_member *pattern,
                   const dc_member *behavior, const dc_member *invert,
                   dc_error *err) {
  dc_member regex = {.name = "Regex"};
  bool inverted = false;
  if (!dc_member_bool(invert, &inverted, err)) return false;
  bool removed = inverted && dc_member_is(behavior, "Removed");
  if (!removed && !dc_member_is(behavior, "Isolated"))
    return not_supported(r, "Split with behavior", behavior, err);
  if (!pattern->there || !dc_members(pattern->at, &regex, 1, err) ||
      !regex.there)
    return dc_fail(err, "Split without a pattern.Regex");
  if (!dc_member_text(&regex, &r->t->text, err)) return false;
  dc_splitter *step = dc_splitter_of_regex(dc_buffer_string(&r->t->text));
  if (step == NULL)
    return not_supported(r, "Split by", &regex, err);
  return add_step(r, step, err);
}


static bool digits (reading *r, const dc_member *individual, dc_error *err) {
  bool each = false;
  if (!dc_member_bool(individual, &each, err)) return false;
  if (r->in_bytes && each)
    return dc_fail(err, "Digits with individual_digits is not supported "
                   "behind ByteLevel");
  return add_step(r, r->in_bytes ? dc_split_byte_digits
                     : each ? dc_split_digit : dc_split_digits, err);
}


static bool read_pre (void *context, dc_json item, dc_error *err) {
  enum { TYPE, LIST, PREFIX, REGEX, PATTERN, BEHAVIOR, INVERT, EACH, N };
  reading *r = context;
  dc_member m[N] = {
    {.name = "type"}, {.name = "pretokenizers"},
    {.name = "add_prefix_space"}, {.name = "use_regex"}, {.name = "pattern"},
    {.name = "behavior"}, {.name = "invert"}, {.name = "individual_digits"}
  };
  if (!dc_members(item, m, N, err)) return false;
  if (dc_member_is(&m[TYPE], "Sequence") && m[LIST].there)
    return dc_tj_each(m[LIST].at, read_pre, r, err);
  if (dc_member_is(&m[TYPE], "ByteLevel"))
    return byte_level(r, &m[PREFIX], &m[REGEX], err);
  if (dc_member_is(&m[TYPE], "Split"))
    return split(r, &m[PATTERN], &m[BEHAVIOR], &m[INVERT], err);
  if (dc_member_is(&m[TYPE], "Digits")) return digits(r, &m[EACH], err);
  if (dc_member_is(&m[TYPE], "Punctuation") &&
      dc_member_is(&m[BEHAVIOR], "Contiguous"))
    return add_step(r, dc_split_symbols, err);
  return not_supported(r, "type", &m[TYPE], err);
}


/* ---- the normalizer ----------------------------------------------------- */

static bool read_normalizer (void *context, dc_json item, dc_error *err) {
  reading *r = context;
  dc_member m[] = {{.name = "type"}, {.name = "normalizers"}};
  if (!dc_members(item, m, 2, err)) return false;
  if (dc_member_is(&m[0], "Sequence") && m[1].there)
    return dc_tj_each(m[1].at, read_normalizer, r, err);
  if (dc_member_is(&m[0], "NFC")) return r->b->nfc = true;
  return not_supported(r, "type", &m[0], err);
}


/* ---- the model ---------------------------------------------------------- */

static bool must_be_empty (dc_tokenizer_json *t, const dc_member *m,
                           dc_error *err) {
  t->text.size = 0;
  if (!dc_member_text(m, &t->text, err)) return false;
  return t->text.size == 0 ||
         dc_fail(err, "model: %s is not supported", m->name);
}


static bool read_model (dc_tokenizer_json *t, dc_byte_bpe *b, dc_error *err) {
  const dc_member *m = t->model;
  if (!must_be_empty(t, &m[DC_TJ_PREFIX], err) ||
      !must_be_empty(t, &m[DC_TJ_SUFFIX], err) ||
      !dc_member_bool(&m[DC_TJ_IGNORE_MERGES], &b->ignore_merges, err))
    return false;
  b->unk = -1;
  if (m[DC_TJ_UNK_TOKEN].there) {
    if (!dc_member_text(&m[DC_TJ_UNK_TOKEN], &t->text, err)) return false;
    b->unk = dc_vocab_find(&b->vocab, dc_buffer_string(&t->text));
  }
  return dc_tj_merges(t, &b->vocab, &b->merges, err);
}


bool dc_tj_byte_bpe (dc_tokenizer_json *t, dc_byte_bpe *b, dc_error *err) {
  reading r = {.t = t, .b = b};
  const dc_member *pre = &t->parts[DC_TJ_PRE];
  const dc_member *normalizer = &t->parts[DC_TJ_NORMALIZER];
  b->vocab = t->pieces.vocab;
  b->texts = t->pieces.texts;
  t->pieces = (dc_vocab_json){0};
  if (!dc_vocab_index(&b->vocab, err)) return dc_fail_in(err, "model.vocab");
  if (pre->there && !read_pre(&r, pre->at, err))
    return dc_fail_in(err, "pre_tokenizer");
  if (normalizer->there && !read_normalizer(&r, normalizer->at, err))
    return dc_fail_in(err, "normalizer");
  return read_model(t, b, err);
}
