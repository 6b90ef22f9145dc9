/* spm_bpe.c: see spm_bpe.h. Facts: reference/tokenizers.md, section 5. */
#include "text/spm_bpe.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "text/normalizer.h"

/* The kinds of pieces that a text can become. */
#define MATCHABLE (1u << DC_PIECE_NORMAL | 1u << DC_PIECE_USER | \
                   1u << DC_PIECE_UNUSED)


/* ---- what may be joined ------------------------------------------------- */

/* From a node over the bytes of a text; 0 if no piece goes on like that. */
static uint32_t walk (const dc_spm_bpe *b, uint32_t node, const char *s,
                      size_t size) {
  for (size_t i = 0; i < size; i++) {
    node = dc_trie_step(&b->trie, node, (uint8_t)s[i]);
    if (node == 0) break;
  }
  return node;
}


/* The piece at a node, -1 if there is none. */
static int32_t piece_at (const dc_spm_bpe *b, uint32_t node) {
  return node != 0 ? b->trie.nodes[node].id : -1;
}


/* A user-defined symbol was found as a whole and never joins another. */
static bool stays_whole (const dc_spm_bpe *b, int32_t id) {
  return b->user->n > 0 && id >= 0 &&
         b->vocab->pieces[id].kind == DC_PIECE_USER;
}


/* The higher the score, the lower the rank. The bits of a float, read as a
   number, grow with its size, and those of a negative one have the top bit:
   only positive ones need turning around. */
static uint32_t rank_of_score (float score) {
  uint32_t bits;
  score += 0.0f;  /* -0 is 0 */
  memcpy(&bits, &score, sizeof bits);
  return bits >> 31 ? bits : 0x7FFFFFFF - bits;
}


/* Most pairs are no piece, and of those most fail at the first byte that
   would come behind the left one. */
static bool find_by_score (const void *model, const char *text,
                           const dc_span *left, const dc_span *right,
                           dc_merge *out) {
  const dc_spm_bpe *b = model;
  if (stays_whole(b, left->id) || stays_whole(b, right->id)) return false;
  uint32_t node = left->id >= 0 ? b->nodes[left->id]
                  : walk(b, 0, text + left->start, left->size);
  if (node == 0) return false;
  node = walk(b, node, text + right->start, right->size);
  int32_t id = piece_at(b, node);
  if (id < 0) return false;
  *out = (dc_merge){b->ranks[id], id};
  return true;
}


static bool find_by_rank (const void *model, const char *text,
                          const dc_span *left, const dc_span *right,
                          dc_merge *out) {
  const dc_spm_bpe *b = model;
  (void)text;
  return dc_merges_find(&b->merges, left->id, right->id, out);
}


static dc_bpe_rules rules_of (const dc_spm_bpe *b) {
  bool ranked = b->merges.slots != NULL;
  return (dc_bpe_rules){ranked ? find_by_rank : find_by_score, b};
}


/* ---- the model ---------------------------------------------------------- */

static bool at_mark (const char *s, size_t size) {
  return size >= DC_SPACE_MARK_SIZE &&
         !memcmp(s, DC_SPACE_MARK, DC_SPACE_MARK_SIZE);
}


/* Is there a space mark behind something else? */
static bool spans_words (dc_string text) {
  size_t i = 0;
  while (at_mark(text.data + i, text.size - i)) i += DC_SPACE_MARK_SIZE;
  return memmem(text.data + i, text.size - i, DC_SPACE_MARK,
                DC_SPACE_MARK_SIZE) != NULL;
}


static bool look_at_pieces (dc_spm_bpe *b, dc_error *err) {
  const dc_vocab *v = b->vocab;
  if (!dc_trie_of_kinds(&b->trie, v, MATCHABLE, err)) return false;
  b->nodes = dc_alloc_array(v->n, sizeof *b->nodes);
  b->ranks = dc_alloc_array(v->n, sizeof *b->ranks);
  if (b->nodes == NULL || b->ranks == NULL) return dc_no_memory(err);
  for (uint32_t node = 0; node < b->trie.n; node++)
    if (b->trie.nodes[node].id >= 0)
      b->nodes[b->trie.nodes[node].id] = node;
  for (size_t id = 0; id < v->n; id++) {
    const dc_piece *piece = &v->pieces[id];
    b->ranks[id] = rank_of_score(piece->score);
    if (!(MATCHABLE >> piece->kind & 1)) continue;
    if (spans_words(piece->text)) b->by_word = false;
    if (piece->kind == DC_PIECE_UNUSED) b->has_unused = true;
  }
  return b->trie.n > 0 || dc_fail(err, "has no piece that text could match");
}


bool dc_spm_bpe_init (dc_spm_bpe *b, const dc_vocab *vocab,
                      const dc_trie *user, int32_t unk, dc_merges *merges,
                      dc_error *err) {
  *b = (dc_spm_bpe){.vocab = vocab, .user = user, .merges = *merges,
                    .unk = unk, .by_word = true};
  *merges = (dc_merges){0};
  return look_at_pieces(b, err);
}


void dc_spm_bpe_free (dc_spm_bpe *b) {
  dc_trie_free(&b->trie);
  dc_merges_free(&b->merges);
  dc_free(b->nodes);
  dc_free(b->ranks);
  *b = (dc_spm_bpe){0};
}


/* ---- cutting ------------------------------------------------------------ */

/* The end of the word that begins at `at`: marks, then what is not one. When
   no piece reaches from one word into the next, each can be joined by itself,
   with the same result. */
static size_t word_end (const dc_spm_bpe *b, const dc_encoding *e,
                        size_t at) {
  const char *text = e->text.data;
  size_t end = e->text.size;
  if (!b->by_word) return end;
  while (at_mark(text + at, end - at)) at += DC_SPACE_MARK_SIZE;
  const char *mark = memmem(text + at, end - at, DC_SPACE_MARK,
                            DC_SPACE_MARK_SIZE);
  return mark != NULL ? (size_t)(mark - text) : end;
}


/* The first symbols: characters, and user-defined symbols whole. */
static bool add_symbols (const dc_spm_bpe *b, dc_encoding *e, size_t at,
                         size_t end, dc_error *err) {
  while (at < end) {
    const char *s = e->text.data + at;
    int32_t id = -1;
    size_t size = dc_trie_longest(b->user, s, end - at, &id);
    if (size == 0) {
      size = dc_utf8_width(s, end - at);
      id = piece_at(b, walk(b, 0, s, size));
    }
    if (!dc_encoding_add(e, (dc_span){at, size, id, false}, err))
      return false;
    at += size;
  }
  return true;
}


/* Adds the span. A piece that is out of use only helped others to come about,
   and goes back to the two that it was joined of: joining its text anew takes
   the same steps, and stops before the last. No deeper than it has bytes. */
static bool add_in_use (const dc_spm_bpe *b, dc_encoding *e, dc_span span,
                        dc_error *err) {
  if (span.id < 0 || b->vocab->pieces[span.id].kind != DC_PIECE_UNUSED)
    return dc_encoding_add(e, span, err);
  dc_bpe_rules rules = rules_of(b);
  dc_encoding parts = {.text = e->text};  /* lent */
  bool ok = add_symbols(b, &parts, span.start, span.start + span.size, err) &&
            dc_bpe_join(&rules, &parts, 0, 2, err);
  if (ok && parts.n < 2) ok = dc_encoding_add(e, span, err);
  for (size_t i = 0; ok && parts.n >= 2 && i < parts.n; i++)
    ok = add_in_use(b, e, parts.spans[i], err);
  parts.text = (dc_buffer){0};
  dc_encoding_free(&parts);
  return ok;
}


static bool replace_unused (const dc_spm_bpe *b, dc_encoding *e, size_t first,
                            dc_error *err) {
  size_t n = e->n - first;
  bool ok = true;
  dc_span *joined = dc_alloc_array(n, sizeof *joined);
  if (joined == NULL) return dc_no_memory(err);
  memcpy(joined, e->spans + first, n * sizeof *joined);
  e->n = first;
  for (size_t i = 0; ok && i < n; i++)
    ok = add_in_use(b, e, joined[i], err);
  dc_free(joined);
  return ok;
}


bool dc_spm_bpe_cut (const dc_spm_bpe *b, dc_encoding *e, size_t start,
                     dc_error *err) {
  dc_bpe_rules rules = rules_of(b);
  size_t first = e->n;
  for (size_t at = start, end; at < e->text.size; at = end) {
    size_t word = e->n;
    end = word_end(b, e, at);
    if (!add_symbols(b, e, at, end, err) ||
        !dc_bpe_join(&rules, e, word, 1, err))
      return false;
  }
  if (b->has_unused && e->n > first && !replace_unused(b, e, first, err))
    return false;
  for (size_t i = first; i < e->n; i++)
    if (e->spans[i].id < 0) e->spans[i].id = b->unk;
  return true;
}
