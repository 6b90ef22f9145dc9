/* normalizer.c: see normalizer.h. */
#include "text/normalizer.h"

#include "base/utf8.h"



/* The next unit of the text: how many bytes it eats, what it becomes. A
   replacement is final (it is not looked up again); an invalid byte becomes
   U+FFFD, each by itself. */
static size_t next_unit (const dc_normalizer *n, dc_string text,
                         dc_string *becomes) {
  int32_t id;
  size_t size = dc_trie_longest(&n->user, text.data, text.size, &id);
  if (size == 0) {
    size = dc_charsmap_find(&n->map, text.data, text.size, becomes);
    if (size > 0) return size;
    size = dc_utf8_length(text.data, text.size);
  }
  if (size == 0) {
    *becomes = dc_string_of(DC_UTF8_REPLACEMENT);
    return 1;
  }
  *becomes = (dc_string){text.data, size};
  return size;
}


static dc_string after (dc_string text, size_t n) {
  return (dc_string){text.data + n, text.size - n};
}


static dc_string space_of (const dc_normalizer *n) {
  return dc_string_of(n->escape ? DC_SPACE_MARK : " ");
}


static bool add_space (const dc_normalizer *n, dc_buffer *out,
                       dc_error *err) {
  dc_string space = space_of(n);
  return dc_buffer_add(out, space.data, space.size, err);
}


static bool add_escaped (const dc_normalizer *n, dc_string s, dc_buffer *out,
                         dc_error *err) {
  while (s.size > 0) {
    const char *space = n->escape ? memchr(s.data, ' ', s.size) : NULL;
    size_t plain = space != NULL ? (size_t)(space - s.data) : s.size;
    if (!dc_buffer_add(out, s.data, plain, err)) return false;
    if (space == NULL) break;
    if (!add_space(n, out, err)) return false;
    s = after(s, plain + 1);
  }
  return true;
}


/* Leading units that become exactly one space. */
static dc_string skip_spaces (const dc_normalizer *n, dc_string text) {
  while (text.size > 0) {
    dc_string becomes;
    size_t size = next_unit(n, text, &becomes);
    if (!dc_string_is(becomes, " ")) break;
    text = after(text, size);
  }
  return text;
}


/* Looks at what was written, so a mark that came in as a user-defined symbol
   goes too. Never below `start`. */
static void drop_trailing_spaces (const dc_normalizer *n, dc_buffer *out,
                                  size_t start) {
  dc_string space = space_of(n);
  while (out->size - start >= space.size &&
         !memcmp(out->data + out->size - space.size, space.data, space.size))
    out->size -= space.size;
}


/* Accents behind a letter make a key of both in most tables, but a letter
   before another letter is nobody's: that is worth knowing beforehand. */
void dc_normalizer_finish (dc_normalizer *n) {
  for (int c = 0; c < 128; c++) {
    char s[2] = {(char)c, 0};
    dc_string unused;
    bool plain = c != ' ' && dc_charsmap_find(&n->map, s, 1, &unused) == 0 &&
                 (n->user.n == 0 || dc_trie_step(&n->user, 0, (uint8_t)c) == 0);
    for (int next = 0; plain && next < 128; next++) {
      s[1] = (char)next;
      plain = !dc_charsmap_begins(&n->map, s, 2);
    }
    n->plain[c] = plain;
  }
}


static bool is_plain (const dc_normalizer *n, dc_string text, size_t at) {
  unsigned char c = (unsigned char)text.data[at];
  return c < 128 && n->plain[c] &&
         (at + 1 == text.size || (unsigned char)text.data[at + 1] < 128);
}


/* The units at the front that stay as they are and are no space: their bytes.
   They are most of a text, and need no look one by one. */
static size_t plain_run (const dc_normalizer *n, dc_string text) {
  size_t at = 0;
  while (at < text.size && text.data[at] != ' ') {
    dc_string becomes;
    if (is_plain(n, text, at)) {
      at++;
      continue;
    }
    size_t size = next_unit(n, after(text, at), &becomes);
    if (becomes.data != text.data + at) break;
    at += size;
  }
  return at;
}


static bool add_units (const dc_normalizer *n, dc_string text, dc_buffer *out,
                       dc_error *err) {
  bool after_space = n->squeeze;
  while (text.size > 0) {
    dc_string s;
    size_t plain = plain_run(n, text);
    if (plain > 0) {
      if (!dc_buffer_add(out, text.data, plain, err)) return false;
      text = after(text, plain);
      after_space = false;
      continue;
    }
    text = after(text, next_unit(n, text, &s));
    while (after_space && s.size > 0 && s.data[0] == ' ') s = after(s, 1);
    if (s.size == 0) continue;  /* deleted: what came before it counts */
    if (!add_escaped(n, s, out, err)) return false;
    after_space = n->squeeze && s.data[s.size - 1] == ' ';
  }
  return true;
}


static bool begins_with_space (dc_string text) {
  return text.size > 0 && (text.data[0] == ' ' ||
         (text.size >= DC_SPACE_MARK_SIZE &&
          !memcmp(text.data, DC_SPACE_MARK, DC_SPACE_MARK_SIZE)));
}


bool dc_normalize (const dc_normalizer *n, dc_string text, bool first,
                   dc_buffer *out, dc_error *err) {
  size_t start = out->size;
  bool add = n->dummy_prefix && (first || !n->first_only) &&
             !(n->unless_spaced && !n->squeeze && begins_with_space(text));
  if (n->squeeze) text = skip_spaces(n, text);
  if (text.size == 0) return true;  /* no dummy prefix either */
  if (add && !n->as_suffix && !add_space(n, out, err)) return false;
  if (!add_units(n, text, out, err)) return false;
  if (n->squeeze) drop_trailing_spaces(n, out, start);
  return !(add && n->as_suffix) || add_space(n, out, err);
}


void dc_normalizer_free (dc_normalizer *n) {
  dc_charsmap_free(&n->map);
  dc_trie_free(&n->user);
  *n = (dc_normalizer){0};
}
