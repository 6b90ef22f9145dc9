/*
** gguf_vocab.c: whether the tokenizer's arrays make sense: as many scores and
** kinds as tokens, no token twice, byte tokens that are bytes, merges of
** tokens that exist.
*/
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/gguf_check.h"
#include "format/gguf_file.h"
#include "format/names.h"

#define MAX_TOKENS 16777216
#define MAX_TOKEN 65536  /* bytes */
#define BYTE_TOKEN 6     /* tokenizer.ggml.token_type; the last that exists */


static bool fail_key (const dc_gguf_value *v, dc_error *err) {
  return dc_gguf_fail_at(err, "key", v->key);
}


/* An array of `count` elements of one kind (any number of them if count is
   SIZE_MAX); *out = NULL if it is absent. */
static bool find_array (const dc_gguf_judge *judge, const char *key,
                        dc_gguf_kind kind, size_t count,
                        const dc_gguf_value **out, dc_error *err) {
  const dc_gguf_value *v = *out = dc_gguf_judge_find(judge, key);
  if (v == NULL) return true;
  bool is_array = v->kind == DC_GGUF_ARRAY;
  if (!is_array || v->array.kind != kind) {
    dc_gguf_kind is = is_array ? v->array.kind : v->kind;
    dc_fail(err, "is of type %s%s, must be %s[]", dc_gguf_kind_name(is),
            is_array ? "[]" : "", dc_gguf_kind_name(kind));
    return fail_key(v, err);
  }
  if (count != SIZE_MAX && v->array.count != count) {
    dc_fail(err, "has %zu elements, must have one for each of the %zu tokens",
            v->array.count, count);
    return fail_key(v, err);
  }
  return true;
}


static bool is_hex (char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
         (c >= 'A' && c <= 'F');
}


/* "<0x..>": it stands for a byte, whatever else it is said to be. */
static bool looks_like_byte (dc_string token) {
  return token.size == 6 && !memcmp(token.data, "<0x", 3) &&
         token.data[5] == '>';
}


static bool is_byte (dc_string token) {
  return looks_like_byte(token) && is_hex(token.data[3]) &&
         is_hex(token.data[4]);
}


static bool check_tokens (const dc_gguf_value *v, dc_names *names,
                          dc_error *err) {
  const dc_gguf_array *tokens = &v->array;
  if (tokens->count < 1 || tokens->count > MAX_TOKENS) {
    dc_fail(err, "has %zu elements, must have 1 to %d", tokens->count,
            MAX_TOKENS);
    return fail_key(v, err);
  }
  if (!dc_names_reserve(names, tokens->count, err)) return fail_key(v, err);
  for (size_t i = 0; i < tokens->count; i++) {
    dc_string token = dc_gguf_array_string(tokens, i);
    char where[32];
    snprintf(where, sizeof where, "token %zu", i);
    if (token.size > MAX_TOKEN) {
      dc_fail(err, "%s has %zu bytes, must have at most %d", where, token.size,
              MAX_TOKEN);
      return fail_key(v, err);
    }
    if (!dc_names_add(names, token, i, err)) {
      dc_gguf_fail_at(err, where, token);
      return fail_key(v, err);
    }
    if (looks_like_byte(token) && !is_byte(token))
      return dc_gguf_refuse(v, i, "a byte, two hexadecimal digits", err);
  }
  return true;
}


static bool check_scores (const dc_gguf_judge *judge, size_t n,
                          dc_error *err) {
  const dc_gguf_value *v;
  if (!find_array(judge, "tokenizer.ggml.scores", DC_GGUF_F32, n, &v, err))
    return false;
  for (size_t i = 0; v != NULL && i < n; i++)
    if (!isfinite(dc_gguf_array_float(&v->array, i)))
      return dc_gguf_refuse(v, i, "a finite number", err);
  return true;
}


static bool check_types (const dc_gguf_judge *judge,
                         const dc_gguf_array *tokens, dc_error *err) {
  static const char key[] = "tokenizer.ggml.token_type";
  const dc_gguf_value *v = dc_gguf_judge_find(judge, key);
  bool is_u32 = v != NULL && v->kind == DC_GGUF_ARRAY &&
                v->array.kind == DC_GGUF_U32;
  if (!find_array(judge, key, is_u32 ? DC_GGUF_U32 : DC_GGUF_I32,
                  tokens->count, &v, err))
    return false;
  for (size_t i = 0; v != NULL && i < tokens->count; i++) {
    int64_t type;
    dc_gguf_array_int(&v->array, i, &type);
    if (type < 0 || type > BYTE_TOKEN)
      return dc_gguf_refuse(v, i, "from 0 to 6", err);
    if (type == BYTE_TOKEN && !is_byte(dc_gguf_array_string(tokens, i)))
      return dc_gguf_refuse(v, i, "another type: the token is not <0xHH>",
                            err);
  }
  return true;
}


/* "left right", split at the first space that is not in front. */
static bool check_merges (const dc_gguf_judge *judge, const dc_names *names,
                          dc_error *err) {
  const dc_gguf_value *v;
  if (!find_array(judge, "tokenizer.ggml.merges", DC_GGUF_STRING, SIZE_MAX, &v,
                  err))
    return false;
  for (size_t i = 0; v != NULL && i < v->array.count; i++) {
    dc_string merge = dc_gguf_array_string(&v->array, i), left, right;
    const char *space = merge.size < 2 ? NULL
                        : memchr(merge.data + 1, ' ', merge.size - 1);
    if (space == NULL)
      return dc_gguf_refuse(v, i, "two tokens with a space between", err);
    left = (dc_string){merge.data, (size_t)(space - merge.data)};
    right = (dc_string){space + 1, merge.size - left.size - 1};
    if (dc_names_find(names, left) == DC_NO_NAME ||
        dc_names_find(names, right) == DC_NO_NAME)
      return dc_gguf_refuse(v, i, "of tokens that the vocabulary has", err);
  }
  return true;
}


/* u32 n, n bytes of a double array of u32 units, then texts ended by NUL. */
static bool check_charsmap (const dc_gguf_judge *judge, dc_error *err) {
  const dc_gguf_value *v;
  uint32_t n;
  if (!find_array(judge, "tokenizer.ggml.precompiled_charsmap", DC_GGUF_U8,
                  SIZE_MAX, &v, err))
    return false;
  if (v == NULL || v->array.count == 0) return true;
  if (v->array.count < sizeof n) {
    dc_fail(err, "has %zu bytes, must have 0 or at least 4", v->array.count);
    return fail_key(v, err);
  }
  memcpy(&n, v->array.data, sizeof n);
  if (n > v->array.count - sizeof n || n % 4 != 0) {
    dc_fail(err, "says %" PRIu32 " bytes of table, must be a multiple of 4 "
            "within its %zu bytes", n, v->array.count);
    return fail_key(v, err);
  }
  return true;
}


static bool check_suppressed (const dc_gguf_judge *judge, dc_error *err) {
  const dc_gguf_value *v;
  char rule[48];
  if (!find_array(judge, "tokenizer.ggml.suppress_tokens", DC_GGUF_I32,
                  SIZE_MAX, &v, err))
    return false;
  for (size_t i = 0; v != NULL && i < v->array.count; i++) {
    int64_t id;
    dc_gguf_array_int(&v->array, i, &id);
    snprintf(rule, sizeof rule, "from 0 to %" PRId64, judge->n_ids - 1);
    if (id < 0 || id >= judge->n_ids) return dc_gguf_refuse(v, i, rule, err);
  }
  return true;
}


/* Without a vocabulary, arrays that go with one have no meaning. */
static bool check_absent (const dc_gguf_judge *judge, dc_error *err) {
  static const char *const keys[] = {
    "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
    "tokenizer.ggml.merges",
  };
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (dc_gguf_judge_find(judge, keys[i]) != NULL)
      return dc_fail(err, "key '%s': goes with tokenizer.ggml.tokens, which "
                     "is missing", keys[i]);
  return true;
}


bool dc_gguf_check_vocab (dc_gguf_judge *judge, dc_error *err) {
  const dc_gguf_value *v, *size;
  dc_names names = {NULL, 0, 0};
  bool ok = find_array(judge, "tokenizer.ggml.tokens", DC_GGUF_STRING,
                       SIZE_MAX, &v, err);
  if (ok && v != NULL) {
    ok = check_tokens(v, &names, err) &&
         check_scores(judge, v->array.count, err) &&
         check_types(judge, &v->array, err) &&
         check_merges(judge, &names, err);
    judge->n_ids = (int64_t)v->array.count;
  }
  else if (ok) {
    ok = check_absent(judge, err);
    size = dc_gguf_judge_find(judge, ".vocab_size");
    if (size != NULL && size->kind == DC_GGUF_U32) {
      dc_gguf_array one = dc_gguf_as_array(size);
      dc_gguf_array_int(&one, 0, &judge->n_ids);
    }
  }
  ok = ok && check_charsmap(judge, err) && check_suppressed(judge, err);
  dc_names_free(&names);
  return ok;
}
