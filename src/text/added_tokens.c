/* added_tokens.c: see added_tokens.h. */
#include "text/added_tokens.h"

#include "base/memory.h"
#include "text/buffer.h"
#include "text/pretokenize_class.h"


bool dc_added_add (dc_added_tokens *a, dc_added_token token, dc_error *err) {
  dc_added_token *room = dc_grow(a->tokens, &a->capacity, a->n + 1,
                                 sizeof token);
  if (room == NULL) return dc_no_memory(err);
  a->tokens = room;
  a->tokens[a->n++] = token;
  return true;
}


/* ---- what is looked for ------------------------------------------------- */

static bool check_tokens (const dc_added_tokens *a, dc_error *err) {
  dc_names names = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < a->n; i++) {
    dc_string text = a->tokens[i].text;
    if (text.size == 0)
      ok = dc_fail(err, "added token %d is empty", (int)a->tokens[i].id);
    else if (text.size > DC_MAX_PIECE)
      ok = dc_fail(err, "added token %d has %zu bytes, the limit is %d",
                   (int)a->tokens[i].id, text.size, DC_MAX_PIECE);
    else if (!dc_names_add(&names, text, i, err))
      ok = dc_fail(err, "added token %d: the text \"%.*s\" is that of another "
                   "one", (int)a->tokens[i].id, DC_SHOWN(text));
  }
  dc_names_free(&names);
  return ok;
}


/* The trie of those that are (late or not, control or any). Its ids are
   positions in a->tokens. */
static bool build (const dc_added_tokens *a, bool late, bool control,
                   dc_trie *trie, bool *begins, dc_error *err) {
  size_t n = 0;
  dc_entry *chosen = dc_alloc_array(a->n, sizeof *chosen);
  if (chosen == NULL) return dc_no_memory(err);
  for (size_t i = 0; i < a->n; i++) {
    const dc_added_token *t = &a->tokens[i];
    if (t->late != late || (t->control && !control)) continue;
    chosen[n++] = (dc_entry){t->text, (int32_t)i};
    begins[(unsigned char)t->text.data[0]] = true;
  }
  bool ok = dc_trie_build(trie, chosen, n, err);
  dc_free(chosen);
  return ok;
}


bool dc_added_finish (dc_added_tokens *a, dc_error *err) {
  if (!check_tokens(a, err)) return false;
  for (int late = 0; late < 2; late++) {
    dc_added_set *set = &a->sets[late];
    if (!build(a, late, true, &set->all, set->begins, err) ||
        !build(a, late, false, &set->plain, set->begins_plain, err))
      return false;
  }
  return true;
}


size_t dc_added_bytes (const dc_added_tokens *a) {
  size_t nodes = 0;
  for (int late = 0; late < 2; late++)
    nodes += a->sets[late].all.n + a->sets[late].plain.n;
  return a->capacity * sizeof *a->tokens + nodes * sizeof(dc_trie_node);
}


void dc_added_free (dc_added_tokens *a) {
  for (int late = 0; late < 2; late++) {
    dc_trie_free(&a->sets[late].all);
    dc_trie_free(&a->sets[late].plain);
  }
  dc_free(a->tokens);
  *a = (dc_added_tokens){0};
}


/* ---- finding them ------------------------------------------------------- */

/* The classes of the character that ends at s + at; 0 at the beginning and
   where there is none. */
static unsigned class_before (const char *s, size_t at, size_t *width) {
  size_t n = 1;
  while (n < at && n < 4 && ((unsigned char)s[at - n] & 0xC0) == 0x80) n++;
  *width = at > 0 && dc_utf8_length(s + at - n, n) == n ? n : 0;
  return *width > 0 ? dc_class_of(dc_utf8_code(s + at - n, n)) : 0;
}


static unsigned class_behind (const char *s, size_t size, size_t *width) {
  *width = dc_utf8_length(s, size);
  return *width > 0 ? dc_class_of(dc_utf8_code(s, *width)) : 0;
}


static bool inside_word (dc_string text, size_t start, size_t end) {
  size_t width;
  return (class_before(text.data, start, &width) & DC_WORD) ||
         (class_behind(text.data + end, text.size - end, &width) & DC_WORD);
}


/* The white space around it that goes with it; not from before `from`. */
static dc_added_match widen (const dc_added_token *token, dc_string text,
                             size_t from, size_t start, size_t end) {
  size_t width;
  while (token->lstrip && start > from &&
         (class_before(text.data, start, &width) & DC_SPACE))
    start -= width;
  while (token->rstrip && (class_behind(text.data + end, text.size - end,
                                        &width) & DC_SPACE))
    end += width;
  return (dc_added_match){token, start, end};
}


dc_added_match dc_added_next (const dc_added_tokens *a, bool late,
                              bool control, dc_string text, size_t from) {
  const dc_added_set *set = &a->sets[late];
  const dc_trie *trie = control ? &set->all : &set->plain;
  const bool *begins = control ? set->begins : set->begins_plain;
  for (size_t at = from; trie->n > 0 && at < text.size;) {
    int32_t i = 0;
    size_t n = !begins[(unsigned char)text.data[at]] ? 0
               : dc_trie_longest(trie, text.data + at, text.size - at, &i);
    const dc_added_token *token = &a->tokens[i];
    if (n > 0 && !(token->single_word && inside_word(text, at, at + n)))
      return widen(token, text, from, at, at + n);
    at += n > 0 ? n : 1;
  }
  return (dc_added_match){NULL, text.size, text.size};
}
