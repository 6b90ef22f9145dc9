/* tokenizer.c: see tokenizer.h. Loading from files is in tokenizer_file.c,
   tokenizer_gguf.c and tokenizer_json.c, what differs between the kinds in
   tokenizer_kinds.c. */
#include "text/tokenizer_kind.h"

#include "base/memory.h"


/* ---- making one --------------------------------------------------------- */

dc_tokenizer_facts dc_tokenizer_no_facts (void) {
  return (dc_tokenizer_facts){.special = {-1, -1, -1, -1}};
}


/* A tokenizer without a model; takes over the facts, also on failure. */
static dc_tokenizer *new_tokenizer (const dc_tokenizer_class *kind,
                                    dc_tokenizer_facts *facts,
                                    dc_error *err) {
  dc_tokenizer *t = dc_alloc(sizeof *t);
  if (t == NULL) {
    dc_no_memory(err);
    dc_added_free(&facts->added);
    return NULL;
  }
  t->kind = kind;
  t->facts = *facts;
  facts->added = (dc_added_tokens){0};
  return t;
}


/* Texts of tokens that end what a model says, whatever the file calls them;
   those that llama.cpp knows. */
static const char *const end_texts[] = {
  "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>",
  "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]",
  "<|end_of_text|>", "<end_of_utterance>", "</s>",
  "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"
};


static void add_end (dc_tokenizer_facts *facts, int32_t id) {
  size_t at = facts->n_ends;
  for (size_t i = 0; i < at; i++)
    if (facts->ends[i] == id) return;
  if (id < 0 || at == DC_MAX_ENDS) return;
  for (; at > 0 && facts->ends[at - 1] > id; at--)
    facts->ends[at] = facts->ends[at - 1];
  facts->ends[at] = id;
  facts->n_ends++;
}


static bool is_added (const dc_tokenizer *t, int32_t id) {
  dc_piece_kind kind = t->vocab->pieces[id].kind;
  return kind == DC_PIECE_CONTROL || kind == DC_PIECE_USER;
}


/* A user-defined piece becomes a control one: a text that holds it must not
   become it unasked, and it is no part of what a model says. */
static void add_end_piece (dc_tokenizer *t, int32_t id) {
  if (id < 0 || !is_added(t, id)) return;
  t->vocab->pieces[id].kind = DC_PIECE_CONTROL;
  add_end(&t->facts, id);
}


/* In a chat of <|return|> and <|call|>, <|end|> only ends a message. */
static void find_ends (dc_tokenizer *t) {
  bool harmony = dc_tokenizer_id(t, dc_string_of("<|return|>")) >= 0 &&
                 dc_tokenizer_id(t, dc_string_of("<|call|>")) >= 0;
  add_end(&t->facts, t->facts.special.eos);
  for (size_t i = 0; i < sizeof end_texts / sizeof end_texts[0]; i++) {
    if (harmony && !strcmp(end_texts[i], "<|end|>")) continue;
    add_end_piece(t, dc_tokenizer_id(t, dc_string_of(end_texts[i])));
  }
}


/* From the kinds of the pieces, where the file has no list of its own. */
static bool find_added (dc_tokenizer *t, dc_error *err) {
  unsigned control = t->kind->control(t), user = t->kind->user(t);
  for (size_t i = 0; i < t->vocab->n; i++) {
    const dc_piece *piece = &t->vocab->pieces[i];
    if (!((control | user) >> piece->kind & 1)) continue;
    dc_added_token token = {
      .text = piece->text, .id = (int32_t)i,
      .control = control >> piece->kind & 1
    };
    if (!dc_added_add(&t->facts.added, token, err)) return false;
  }
  return true;
}


static void set_around (dc_tokenizer_facts *f) {
  if (f->n_before == 0 && f->special.bos >= 0)
    f->before[f->n_before++] = f->special.bos;
  if (f->n_after == 0 && f->special.eos >= 0)
    f->after[f->n_after++] = f->special.eos;
  f->add_bos = f->add_bos && f->n_before > 0;
  f->add_eos = f->add_eos && f->n_after > 0;
}


/* The end of each constructor: hands out a whole tokenizer or frees it. */
static bool finish (dc_tokenizer **out, dc_tokenizer *t, bool ok,
                    dc_error *err) {
  t->vocab = t->kind->vocab(t);
  if (ok) {
    find_ends(t);
    set_around(&t->facts);
    ok = (t->facts.added.n > 0 || find_added(t, err)) &&
         dc_added_finish(&t->facts.added, err);
  }
  if (ok)
    *out = t;
  else
    dc_tokenizer_free(t);
  return ok;
}


bool dc_tokenizer_from_pieces (dc_tokenizer **out, dc_spm *spm,
                               dc_tokenizer_facts *facts, dc_error *err) {
  *out = NULL;
  dc_tokenizer *t = new_tokenizer(&dc_kind_sentencepiece, facts, err);
  if (t == NULL) {
    dc_spm_free(spm);
    return false;
  }
  t->facts.special = (dc_special_ids){spm->bos, spm->eos, spm->pad, spm->unk};
  bool ok = dc_sentencepiece_init(&t->model.spm, spm, err);
  return finish(out, t, ok, err);
}


bool dc_tokenizer_from_spm (dc_tokenizer **out, const void *bytes,
                            size_t size, const char *name, dc_error *err) {
  dc_spm spm;
  dc_tokenizer_facts facts = dc_tokenizer_no_facts();
  *out = NULL;
  return (dc_spm_read(&spm, (dc_string){bytes, size}, err) &&
          dc_tokenizer_from_pieces(out, &spm, &facts, err)) ||
         dc_fail_in(err, name);
}


bool dc_tokenizer_from_marian (dc_tokenizer **out, dc_marian_parts *parts,
                               dc_error *err) {
  dc_tokenizer_facts facts = dc_tokenizer_no_facts();
  *out = NULL;
  facts.special = (dc_special_ids){-1, parts->eos, parts->pad, parts->unk};
  facts.add_eos = true;
  dc_tokenizer *t = new_tokenizer(&dc_kind_marian, &facts, err);
  if (t == NULL) {
    dc_marian_parts_free(parts);
    return false;
  }
  return finish(out, t, dc_marian_init(&t->model.marian, parts, err), err);
}


bool dc_tokenizer_from_byte_bpe (dc_tokenizer **out, dc_byte_bpe *bpe,
                                 dc_tokenizer_facts *facts, dc_error *err) {
  *out = NULL;
  dc_tokenizer *t = new_tokenizer(&dc_kind_byte_bpe, facts, err);
  if (t == NULL) {
    dc_byte_bpe_free(bpe);
    return false;
  }
  t->model.bpe = *bpe;
  *bpe = (dc_byte_bpe){0};
  dc_byte_bpe_finish(&t->model.bpe);
  return finish(out, t, true, err);
}


void dc_tokenizer_free (dc_tokenizer *t) {
  if (t == NULL) return;
  t->kind->free(t);
  dc_added_free(&t->facts.added);
  dc_free(t);
}


/* ---- facts -------------------------------------------------------------- */

const char *dc_tokenizer_kind (const dc_tokenizer *t) {
  return t->kind->name(t);
}


size_t dc_tokenizer_size (const dc_tokenizer *t) {
  return t->vocab->n;
}


size_t dc_tokenizer_bytes (const dc_tokenizer *t) {
  return sizeof *t + t->kind->bytes(t) + dc_added_bytes(&t->facts.added);
}


dc_special_ids dc_tokenizer_special (const dc_tokenizer *t) {
  return t->facts.special;
}


const int32_t *dc_tokenizer_ends (const dc_tokenizer *t, size_t *n) {
  *n = t->facts.n_ends;
  return t->facts.ends;
}


bool dc_tokenizer_has_bos (const dc_tokenizer *t) {
  return t->facts.n_before > 0;
}


bool dc_tokenizer_has_eos (const dc_tokenizer *t) {
  return t->facts.n_after > 0;
}


dc_string dc_tokenizer_piece (const dc_tokenizer *t, int32_t id) {
  return t->vocab->pieces[id].text;
}


int32_t dc_tokenizer_id (const dc_tokenizer *t, dc_string piece) {
  return dc_vocab_find(t->vocab, piece);
}


/* ---- text -> ids -------------------------------------------------------- */

dc_encode_options dc_tokenizer_defaults (const dc_tokenizer *t) {
  return (dc_encode_options){.bos = t->facts.add_bos,
                             .eos = t->facts.add_eos};
}


static bool add_ids (dc_encoding *out, const int32_t *ids, size_t n,
                     dc_error *err) {
  for (size_t i = 0; i < n; i++)
    if (!dc_encoding_add(out, (dc_span){.id = ids[i]}, err)) return false;
  return true;
}


/* An added token, shown as what it matched. */
static bool add_match (dc_encoding *out, dc_string text,
                       const dc_added_match *match, dc_error *err) {
  dc_span span = {out->text.size, match->end - match->start, match->token->id,
                  true};
  return dc_buffer_add(&out->text, text.data + match->start, span.size,
                       err) &&
         dc_encoding_add(out, span, err);
}


typedef struct job {
  const dc_tokenizer *t;
  const dc_encode_options *options;
  dc_encoding *out;
  dc_error *err;
} job;


/* Added tokens are taken out, and each stretch between them is encoded by
   itself: the late ones within what the early ones leave. */
static bool encode_around (const job *j, dc_string text, bool late,
                           bool first) {
  const dc_added_tokens *added = &j->t->facts.added;
  size_t from = 0;
  for (;;) {
    dc_added_match match = dc_added_next(added, late, j->options->special,
                                         text, from);
    dc_string stretch = {text.data + from, match.start - from};
    bool at_front = first && from == 0, ok = true;
    if (stretch.size > 0)
      ok = late ? j->t->kind->encode(j->t, stretch, at_front, j->options,
                                     j->out, j->err)
                : encode_around(j, stretch, true, at_front);
    if (!ok || match.token == NULL) return ok;
    if (!add_match(j->out, text, &match, j->err)) return false;
    from = match.end;
  }
}


bool dc_tokenizer_encode (const dc_tokenizer *t, dc_string text,
                          const dc_encode_options *o, dc_encoding *out,
                          dc_error *err) {
  const dc_tokenizer_facts *f = &t->facts;
  job j = {t, o, out, err};
  return (!o->bos || add_ids(out, f->before, f->n_before, err)) &&
         encode_around(&j, text, false, true) &&
         (!o->eos || add_ids(out, f->after, f->n_after, err));
}


bool dc_tokenizer_normalize (const dc_tokenizer *t, dc_string text,
                             dc_side side, dc_buffer *out, dc_error *err) {
  return t->kind->normalize(t, text, side, out, err);
}


bool dc_tokenizer_split (const dc_tokenizer *t, dc_string text,
                         dc_encoding *out, dc_error *err) {
  return t->kind->split(t, text, out, err);
}


/* ---- ids -> text -------------------------------------------------------- */

void dc_tokenizer_decoder (const dc_tokenizer *t, bool special,
                           dc_decoder *out) {
  dc_decoder_init(out, t->vocab, t->kind->decode(t), special);
}
