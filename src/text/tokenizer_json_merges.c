/*
** tokenizer_json_merges.c: the merges of a tokenizer.json, which old files
** write as texts, "a b", and new ones as pairs, ["a", "b"].
*/
#include "text/tokenizer_json.h"

#include <stdio.h>


typedef struct merge_list {
  dc_tokenizer_json *t;
  const dc_vocab *vocab;
  dc_merges *out;
  dc_buffer left;
  size_t n;
} merge_list;


static bool count_merge (void *context, dc_json item, dc_error *err) {
  (void)item;
  (void)err;
  ((merge_list *)context)->n++;
  return true;
}


/* "a b" or ["a", "b"]: the first text to `left`, the second to t->text. */
static bool read_merge (merge_list *list, dc_json item, dc_string *left,
                        dc_string *right, dc_error *err) {
  dc_buffer *text = &list->t->text;
  bool more[3] = {false, false, false};
  if (dc_json_peek(&item) == '"') {
    if (!dc_json_read_text(&item, text, err)) return false;
    const char *space = text->size < 2 ? NULL
                        : memchr(text->data + 1, ' ', text->size - 1);
    if (space == NULL)
      return dc_fail(err, "is not two tokens with a space between");
    *left = (dc_string){text->data, (size_t)(space - text->data)};
    *right = (dc_string){space + 1, text->size - left->size - 1};
    return true;
  }
  if (!dc_json_array(&item, err) || !dc_json_item(&item, &more[0], err) ||
      !dc_json_read_text(&item, &list->left, err) ||
      !dc_json_item(&item, &more[1], err) ||
      !dc_json_read_text(&item, text, err) ||
      !dc_json_item(&item, &more[2], err))
    return false;
  *left = dc_buffer_string(&list->left);
  *right = dc_buffer_string(text);
  return !more[2] || dc_fail(err, "is not two tokens");
}


static bool add_merge (void *context, dc_json item, dc_error *err) {
  merge_list *list = context;
  dc_string left, right;
  char where[48];
  if (read_merge(list, item, &left, &right, err) &&
      dc_merges_add_texts(list->out, list->vocab, left, right, list->n, err)) {
    list->n++;
    return true;
  }
  snprintf(where, sizeof where, "merge %zu", list->n);
  return dc_fail_in(err, where);
}


bool dc_tj_merges (dc_tokenizer_json *t, const dc_vocab *v, dc_merges *out,
                   dc_error *err) {
  const dc_member *merges = &t->model[DC_TJ_MERGES];
  merge_list list = {.t = t, .vocab = v, .out = out};
  if (!merges->there) return dc_fail(err, "model: has no \"merges\"");
  bool ok = dc_tj_each(merges->at, count_merge, &list, err) &&
            dc_merges_init(out, list.n, err);
  list.n = 0;
  ok = ok && dc_tj_each(merges->at, add_merge, &list, err);
  dc_buffer_free(&list.left);
  return ok || dc_fail_in(err, "model.merges");
}
