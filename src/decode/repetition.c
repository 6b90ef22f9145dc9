/*
** repetition.c: processors that look for what the row has said before.
**
** The penalties of transformers, llama.cpp and CTranslate2 differ in which
** tokens they look at: prompt_ignore_length skips the first of the row,
** last_n takes the last of what is left. All count a whole row where neither
** is given.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "decode/kinds.h"
#include "math/functions.h"


dc_id_list dc_recent (const dc_processor *p, const dc_step *step) {
  size_t skip = p->start < step->n_ids ? p->start : step->n_ids;
  size_t n = step->n_ids - skip;
  if (p->window > 0 && n > p->window) n = p->window;
  return (dc_id_list){step->ids + (step->n_ids - n), n};
}


/* ---- penalties on single tokens ---- */

bool dc_apply_repetition_penalty (const dc_processor *p, const dc_step *step,
                                  dc_error *err) {
  (void)err;
  dc_id_list recent = dc_recent(p, step);
  dc_logits_penalize(&step->logits, (float)p->value, recent.at, recent.n);
  return true;
}


/* The reciprocal on the source's ids: above 1 it favours copying. */
bool dc_apply_encoder_repetition_penalty (const dc_processor *p,
                                          const dc_step *step,
                                          dc_error *err) {
  (void)err;
  dc_logits_penalize(&step->logits, (float)(1 / p->value), p->ids.at,
                     p->ids.n);
  return true;
}


/* x - often * (how many times the id is in `list`) - once. */
static void subtract (const dc_logits *row, dc_id_list list, float often,
                      float once) {
  float *count = row->a;
  for (size_t i = 0; i < list.n; i++)
    if ((size_t)list.at[i] < row->n) count[list.at[i]] = 0;
  for (size_t i = 0; i < list.n; i++)
    if ((size_t)list.at[i] < row->n) count[list.at[i]]++;
  for (size_t i = 0; i < list.n; i++) {
    size_t id = (size_t)list.at[i];
    if (id >= row->n || count[id] == 0) continue;  /* 0: it had its turn */
    float penalty = count[id] * often + once;
    row->x[id] -= fmaxf(-FLT_MAX, fminf(FLT_MAX, penalty));
    count[id] = 0;
  }
}


bool dc_apply_frequency_penalty (const dc_processor *p, const dc_step *step,
                                 dc_error *err) {
  (void)err;
  subtract(&step->logits, dc_recent(p, step), (float)p->value, 0);
  return true;
}


bool dc_apply_presence_penalty (const dc_processor *p, const dc_step *step,
                                dc_error *err) {
  (void)err;
  subtract(&step->logits, dc_recent(p, step), 0, (float)p->value);
  return true;
}


/* ---- n-grams ---- */

/* Bans what followed the row's last n - 1 ids anywhere in `text`. */
static void ban_ngrams (const dc_step *step, size_t n, dc_id_list text) {
  if (step->n_ids + 1 < n) return;
  const int32_t *prefix = step->ids + step->n_ids - (n - 1);
  for (size_t i = 0; i + n <= text.n; i++) {
    size_t id = (size_t)text.at[i + n - 1];
    if (id < step->logits.n &&
        (n == 1 || !memcmp(text.at + i, prefix, (n - 1) * sizeof *prefix)))
      step->logits.x[id] = -INFINITY;
  }
}


bool dc_apply_no_repeat_ngram (const dc_processor *p, const dc_step *step,
                               dc_error *err) {
  (void)err;
  ban_ngrams(step, p->count, (dc_id_list){step->ids, step->n_ids});
  return true;
}


bool dc_apply_encoder_no_repeat_ngram (const dc_processor *p,
                                       const dc_step *step, dc_error *err) {
  (void)err;
  ban_ngrams(step, p->count, p->ids);
  return true;
}


/* ---- DRY: do not repeat yourself ---- */

/* How many tokens behind the last sequence breaker: a repetition does not
   reach over it. Of several breakers at one place the longest counts. */
static size_t since_breaker (dc_biases breakers, dc_id_list text) {
  for (size_t end = text.n; end > 0; end--) {
    /* a breaker that begins at end - 1 and lies inside of the text */
    size_t longest = 0;
    for (size_t b = 0; b < breakers.n; b++) {
      size_t n;
      const int32_t *ids = dc_sequence(breakers, b, &n);
      if (n > longest && n <= text.n - (end - 1) &&
          !memcmp(ids, text.at + end - 1, n * sizeof *ids))
        longest = n;
    }
    if (longest > 0) return text.n - (end - 1) - longest;
  }
  return text.n;
}


/* match[k] for k = 1 .. n - 1: how many tokens at the end of the text stand
   at the end of the text without its last k, too. The Z algorithm, backwards
   (Gusfield: Algorithms on Strings, Trees and Sequences, 1997): [left, right)
   is the match found so far that reaches furthest. */
static void match_tail (int32_t *match, dc_id_list text) {
  const int32_t *last = text.at + text.n - 1;  /* last[-i]: i from the end */
  size_t n = text.n, left = 0, right = 0;
  for (size_t k = 1; k < n; k++) {
    size_t m = 0;
    if (k < right) {
      m = (size_t)match[k - left];
      if (m > right - k) m = right - k;
    }
    while (k + m < n && last[-(ptrdiff_t)m] == last[-(ptrdiff_t)(k + m)]) m++;
    match[k] = (int32_t)m;
    if (k + m > right) {
      left = k;
      right = k + m;
    }
  }
}


static bool is_breaker (dc_biases breakers, int32_t id) {
  for (size_t b = 0; b < breakers.n; b++) {
    size_t n;
    const int32_t *ids = dc_sequence(breakers, b, &n);
    if (n == 1 && ids[0] == id) return true;
  }
  return false;
}


/* A token that would make a repetition of `length` tokens one longer loses
   multiplier * base^(length - allowed). Of several repetitions that it would
   lengthen the longest counts. */
bool dc_apply_dry (const dc_processor *p, const dc_step *step, dc_error *err) {
  (void)err;
  dc_id_list text = dc_recent(p, step);
  size_t allowed = p->count, limit;
  if (text.n <= allowed || p->value == 0) return true;
  if ((limit = since_breaker(p->biases, text)) < allowed) return true;
  int32_t *match = step->logits.ids;
  float *x = step->logits.x, *longest = step->logits.a;
  size_t vocab = step->logits.n;
  const int32_t *follows = text.at + text.n;  /* follows[-k]: k back */
  match_tail(match, text);
  for (size_t k = 1; k < text.n; k++)
    if ((size_t)follows[-(ptrdiff_t)k] < vocab)
      longest[follows[-(ptrdiff_t)k]] = -1;
  for (size_t k = 1; k < text.n; k++) {
    size_t id = (size_t)follows[-(ptrdiff_t)k];
    size_t m = (size_t)match[k] < limit ? (size_t)match[k] : limit;
    if (id < vocab && m >= allowed && (float)m > longest[id])
      longest[id] = (float)m;
  }
  for (size_t k = 1; k < text.n; k++) {
    int32_t id = follows[-(ptrdiff_t)k];
    if ((size_t)id >= vocab || longest[id] < 0) continue;
    double grown = dc_pow(p->second, (double)longest[id] - (double)allowed);
    longest[id] = -1;
    if (is_breaker(p->biases, id)) continue;
    double penalty = p->value * grown;  /* huge: behind all, but no ban */
    x[id] -= penalty < FLT_MAX / 2 ? (float)penalty : FLT_MAX / 2;
  }
  return true;
}
