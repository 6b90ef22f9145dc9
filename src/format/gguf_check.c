/*
** gguf_check.c: whether the values of well-known keys make sense, as one table
** of rules and a few that tie keys together. Faults of this kind crashed
** other programs: heads 0 divides by zero, a NaN in eps poisons every logit,
** a special id beyond the vocabulary reads foreign memory.
**
** Keys that are absent are not missed here (a file may hold a vocabulary
** alone); what a model needs, its loader says. Keys that are not in the table
** may hold anything.
*/
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "format/gguf_check.h"
#include "format/gguf_file.h"

#define MAX_ARCHITECTURE 64  /* bytes of its name */
#define MAX_LAYERS 4096
#define MAX_WIDTH 1048576
#define MAX_HEADS 65536
#define MAX_POSITIONS 1073741824
#define MAX_IDS 16777216

typedef enum rule_kind {
  COUNT,      /* an integer in min..max */
  PER_LAYER,  /* the same, or an array: one for each layer, 0 for none */
  NUMBER,     /* a float in min..max */
  FLAG,       /* bool */
  TEXT,       /* string */
  TOKEN       /* an id, or -1 for none */
} rule_kind;

static const struct rule {
  const char *key;  /* a leading '.' stands for the architecture */
  rule_kind kind;
  double min, max;
} rules[] = {
  {"general.name", TEXT, 0, 0},
  {"general.type", TEXT, 0, 0},
  {"general.file_type", COUNT, 0, UINT32_MAX},
  {"general.quantization_version", COUNT, 0, UINT32_MAX},
  {"split.no", COUNT, 0, UINT16_MAX},
  {"split.count", COUNT, 0, UINT16_MAX},
  {"split.tensors.count", COUNT, 0, INT32_MAX},
  {".vocab_size", COUNT, 1, MAX_IDS},
  {".context_length", COUNT, 1, MAX_POSITIONS},
  {".embedding_length", COUNT, 1, MAX_WIDTH},
  {".block_count", COUNT, 1, MAX_LAYERS},
  {".decoder_block_count", COUNT, 1, MAX_LAYERS},
  {".feed_forward_length", PER_LAYER, 1, MAX_WIDTH},
  {".expert_count", COUNT, 0, MAX_HEADS},
  {".expert_used_count", COUNT, 0, MAX_HEADS},
  {".attention.head_count", PER_LAYER, 1, MAX_HEADS},
  {".attention.head_count_kv", PER_LAYER, 1, MAX_HEADS},
  {".attention.key_length", COUNT, 1, MAX_WIDTH},
  {".attention.value_length", COUNT, 1, MAX_WIDTH},
  {".attention.layer_norm_epsilon", NUMBER, 0, 1},
  {".attention.layer_norm_rms_epsilon", NUMBER, 0, 1},
  {".attention.relative_buckets_count", COUNT, 2, MAX_WIDTH},
  {".attention.sliding_window", COUNT, 0, MAX_POSITIONS},
  {".attention.scale", NUMBER, 0, 1e6},
  {".attention.causal", FLAG, 0, 0},
  {".rope.dimension_count", COUNT, 2, MAX_WIDTH},
  {".rope.freq_base", NUMBER, 1e-6, 1e30},
  {".rope.freq_base_swa", NUMBER, 1e-6, 1e30},
  {".rope.scaling.type", TEXT, 0, 0},
  {".rope.scaling.factor", NUMBER, 1e-6, 1e6},
  {".rope.scaling.attn_factor", NUMBER, 1e-6, 1e6},
  {".rope.scaling.original_context_length", COUNT, 1, MAX_POSITIONS},
  {".rope.scaling.finetuned", FLAG, 0, 0},
  {".rope.scale_linear", NUMBER, 1e-6, 1e6},
  {".attn_logit_softcapping", NUMBER, 0, 1e6},
  {".final_logit_softcapping", NUMBER, 0, 1e6},
  {".logit_scale", NUMBER, 0, 1e6},
  {".residual_scale", NUMBER, 0, 1e6},
  {".embedding_scale", NUMBER, 1e-6, 1e6},
  {".decoder_start_token_id", TOKEN, 0, 0},
  {"decant.decoder.feed_forward_length", COUNT, 1, MAX_WIDTH},
  {"decant.decoder.attention.head_count", COUNT, 1, MAX_HEADS},
  {"decant.activation", TEXT, 0, 0},
  {"decant.positions", TEXT, 0, 0},
  {"decant.norm_place", TEXT, 0, 0},
  {"tokenizer.ggml.model", TEXT, 0, 0},
  {"tokenizer.ggml.pre", TEXT, 0, 0},
  {"tokenizer.ggml.add_bos_token", FLAG, 0, 0},
  {"tokenizer.ggml.add_eos_token", FLAG, 0, 0},
  {"tokenizer.ggml.add_sep_token", FLAG, 0, 0},
  {"tokenizer.ggml.add_space_prefix", FLAG, 0, 0},
  {"tokenizer.ggml.remove_extra_whitespaces", FLAG, 0, 0},
  {"tokenizer.chat_template", TEXT, 0, 0},
};


const dc_gguf_value *dc_gguf_judge_find (const dc_gguf_judge *judge,
                                         const char *key) {
  char full[MAX_ARCHITECTURE + 64];
  if (key[0] != '.') return dc_gguf_find(judge->g, dc_string_of(key));
  snprintf(full, sizeof full, "%.*s%s", (int)judge->architecture.size,
           judge->architecture.data, key);
  return dc_gguf_find(judge->g, dc_string_of(full));
}


/*
** Messages.
*/

/* A float without the host's locale, whose decimal point may be any text. */
static void show_float (char *to, size_t size, double x) {
  char raw[64];
  size_t n = 0;
  bool in_point = false;
  if (isnan(x)) strcpy(raw, "NaN");  /* some print the sign of one */
  else snprintf(raw, sizeof raw, "%.9g", x);
  for (const char *p = raw; *p != '\0' && n + 1 < size; p++) {
    bool plain = strchr("0123456789+-einfNa", *p) != NULL;
    if (plain) to[n++] = *p;
    else if (!in_point) to[n++] = '.';
    in_point = !plain;
  }
  to[n] = '\0';
}


static void show_element (char *to, size_t size, const dc_gguf_array *array,
                          size_t i) {
  int64_t n;
  if (array->kind == DC_GGUF_STRING) {
    dc_string text = dc_gguf_array_string(array, i);
    snprintf(to, size, "'%.*s'", DC_SHOWN(text));
  }
  else if (array->kind == DC_GGUF_F32 || array->kind == DC_GGUF_F64)
    show_float(to, size, dc_gguf_array_float(array, i));
  else if (dc_gguf_array_int(array, i, &n))
    snprintf(to, size, "%" PRId64, n);
  else
    snprintf(to, size, "%" PRIu64, (uint64_t)n);
}


bool dc_gguf_refuse (const dc_gguf_value *v, size_t i, const char *rule,
                     dc_error *err) {
  char shown[128];
  dc_gguf_array array = dc_gguf_as_array(v);
  show_element(shown, sizeof shown, &array, i);
  if (v->kind == DC_GGUF_ARRAY)
    dc_fail(err, "element %zu is %s, must be %s", i, shown, rule);
  else
    dc_fail(err, "is %s, must be %s", shown, rule);
  return dc_gguf_fail_at(err, "key", v->key);
}


static bool refuse_kind (const dc_gguf_value *v, const char *rule,
                         dc_error *err) {
  bool is_array = v->kind == DC_GGUF_ARRAY;
  dc_gguf_kind kind = is_array ? v->array.kind : v->kind;
  dc_fail(err, "is of type %s%s, must be %s", dc_gguf_kind_name(kind),
          is_array ? "[]" : "", rule);
  return dc_gguf_fail_at(err, "key", v->key);
}


/*
** One key.
*/

static bool is_integer (dc_gguf_kind kind) {
  return kind <= DC_GGUF_I32 || kind == DC_GGUF_U64 || kind == DC_GGUF_I64;
}


static bool check_integers (const dc_gguf_value *v, int64_t min, int64_t max,
                            dc_error *err) {
  char rule[96];
  dc_gguf_array array = dc_gguf_as_array(v);
  snprintf(rule, sizeof rule, "an integer from %" PRId64 " to %" PRId64, min,
           max);
  if (!is_integer(array.kind)) return refuse_kind(v, rule, err);
  for (size_t i = 0; i < array.count; i++) {
    int64_t n;
    if (!dc_gguf_array_int(&array, i, &n) || n < min || n > max)
      return dc_gguf_refuse(v, i, rule, err);
  }
  return true;
}


static bool check_per_layer (const dc_gguf_judge *judge,
                             const dc_gguf_value *v, const struct rule *rule,
                             dc_error *err) {
  const dc_gguf_value *layers = dc_gguf_judge_find(judge, ".block_count");
  dc_gguf_array one;
  int64_t n = -1;
  if (v->kind != DC_GGUF_ARRAY)
    return check_integers(v, (int64_t)rule->min, (int64_t)rule->max, err);
  if (layers != NULL && is_integer(layers->kind)) {
    one = dc_gguf_as_array(layers);
    dc_gguf_array_int(&one, 0, &n);
  }
  if (n < 0 || (uint64_t)n != v->array.count) {
    dc_fail(err, "has %zu elements, must have block_count (%" PRId64 ") of "
            "them", v->array.count, n < 0 ? 0 : n);
    return dc_gguf_fail_at(err, "key", v->key);
  }
  return check_integers(v, 0, (int64_t)rule->max, err);
}


static bool check_number (const dc_gguf_value *v, const struct rule *rule,
                          dc_error *err) {
  char text[96], min[32], max[32];
  show_float(min, sizeof min, rule->min);
  show_float(max, sizeof max, rule->max);
  snprintf(text, sizeof text, "a number from %s to %s", min, max);
  if (v->kind != DC_GGUF_F32 && v->kind != DC_GGUF_F64)
    return refuse_kind(v, text, err);
  dc_gguf_array one = dc_gguf_as_array(v);
  double x = dc_gguf_array_float(&one, 0);
  return (x >= rule->min && x <= rule->max) ||  /* false for a NaN */
         dc_gguf_refuse(v, 0, text, err);
}


/* 2^32 - 1 (-1 in 32 bits) says that there is no such token. */
static bool check_token (const dc_gguf_judge *judge, const dc_gguf_value *v,
                         dc_error *err) {
  if (v->kind == DC_GGUF_ARRAY) return refuse_kind(v, "an integer", err);
  if (is_integer(v->kind)) {
    int64_t id;
    dc_gguf_array one = dc_gguf_as_array(v);
    if (dc_gguf_array_int(&one, 0, &id) && (id == -1 || id == UINT32_MAX))
      return true;
  }
  return check_integers(v, 0, judge->n_ids - 1, err);
}


static bool check_rule (const dc_gguf_judge *judge, const struct rule *rule,
                        dc_error *err) {
  const dc_gguf_value *v = dc_gguf_judge_find(judge, rule->key);
  if (v == NULL) return true;
  switch (rule->kind) {
    case PER_LAYER: return check_per_layer(judge, v, rule, err);
    case NUMBER: return check_number(v, rule, err);
    case TOKEN: return check_token(judge, v, err);
    case FLAG: return v->kind == DC_GGUF_BOOL || refuse_kind(v, "bool", err);
    case TEXT:
      return v->kind == DC_GGUF_STRING || refuse_kind(v, "string", err);
    default:
      if (v->kind == DC_GGUF_ARRAY) return refuse_kind(v, "an integer", err);
      return check_integers(v, (int64_t)rule->min, (int64_t)rule->max, err);
  }
}


/* Any text: the specification wants UTF-8 without NUL. And any
   tokenizer.ggml.*_token_id. */
static bool check_value (const dc_gguf_judge *judge, const dc_gguf_value *v,
                         dc_error *err) {
  static const char prefix[] = "tokenizer.ggml.", suffix[] = "_token_id";
  size_t size = v->key.size, n = sizeof prefix - 1, m = sizeof suffix - 1;
  if (size > n + m && !memcmp(v->key.data, prefix, n) &&
      !memcmp(v->key.data + size - m, suffix, m))
    return check_token(judge, v, err);
  if (v->kind != DC_GGUF_STRING) return true;
  dc_gguf_array one = dc_gguf_as_array(v);
  dc_string text = dc_gguf_array_string(&one, 0);
  if (memchr(text.data, '\0', text.size) == NULL &&
      dc_utf8_all(text.data, text.size))
    return true;
  dc_fail(err, "its text holds a NUL or is no UTF-8");
  return dc_gguf_fail_at(err, "key", v->key);
}


/*
** Keys that must fit together. Here each has passed its rule.
*/

/* The integer of a key, the element i of an array of them; 0 if absent. */
static int64_t integer_of (const dc_gguf_judge *judge, const char *key,
                           size_t i) {
  const dc_gguf_value *v = dc_gguf_judge_find(judge, key);
  int64_t n = 0;
  if (v != NULL) {
    dc_gguf_array array = dc_gguf_as_array(v);
    dc_gguf_array_int(&array, v->kind == DC_GGUF_ARRAY ? i : 0, &n);
  }
  return n;
}


static size_t longest (const dc_gguf_judge *judge, const char *a,
                       const char *b) {
  const dc_gguf_value *v = dc_gguf_judge_find(judge, a);
  if (v == NULL || v->kind != DC_GGUF_ARRAY) v = dc_gguf_judge_find(judge, b);
  return v != NULL && v->kind == DC_GGUF_ARRAY ? v->array.count : 1;
}


static bool refuse_pair (const dc_gguf_judge *judge, const char *key, size_t i,
                         const char *relation, int64_t other, dc_error *err) {
  char rule[96];
  snprintf(rule, sizeof rule, "%s (%" PRId64 ")", relation, other);
  const dc_gguf_value *v = dc_gguf_judge_find(judge, key);
  return dc_gguf_refuse(v, v->kind == DC_GGUF_ARRAY ? i : 0, rule, err);
}


static bool check_heads (const dc_gguf_judge *judge, dc_error *err) {
  static const char q[] = ".attention.head_count",
                    kv[] = ".attention.head_count_kv",
                    decoder[] = "decant.decoder.attention.head_count";
  int64_t width = integer_of(judge, ".embedding_length", 0);
  bool stated = integer_of(judge, ".attention.key_length", 0) > 0;
  int64_t heads = integer_of(judge, decoder, 0);
  if (heads > 0 && width % heads != 0 && !stated)
    return refuse_pair(judge, decoder, 0, "a divisor of embedding_length",
                       width, err);
  for (size_t i = 0, n = longest(judge, q, kv); i < n; i++) {
    int64_t shared = integer_of(judge, kv, i);
    heads = integer_of(judge, q, i);
    if (heads > 0 && width % heads != 0 && !stated)
      return refuse_pair(judge, q, i, "a divisor of embedding_length", width,
                         err);
    if (heads > 0 && shared > 0 && heads % shared != 0)
      return refuse_pair(judge, kv, i, "a divisor of head_count", heads, err);
  }
  return true;
}


static bool check_rope (const dc_gguf_judge *judge, dc_error *err) {
  static const char key[] = ".rope.dimension_count";
  int64_t n = integer_of(judge, key, 0);
  int64_t head = integer_of(judge, ".attention.key_length", 0);
  int64_t width = integer_of(judge, ".embedding_length", 0);
  int64_t heads = integer_of(judge, ".attention.head_count", 0);
  if (head == 0 && heads > 0) head = width / heads;
  if (n % 2 != 0)
    return dc_gguf_refuse(dc_gguf_judge_find(judge, key), 0, "even", err);
  return head == 0 || n <= head ||
         refuse_pair(judge, key, 0, "at most the width of a head", head, err);
}


static bool check_split (const dc_gguf_judge *judge, dc_error *err) {
  int64_t no = integer_of(judge, "split.no", 0);
  int64_t count = integer_of(judge, "split.count", 0);
  return no == 0 || no < count ||
         refuse_pair(judge, "split.no", 0, "less than split.count", count,
                     err);
}


static bool check_architecture (dc_gguf_judge *judge, dc_error *err) {
  const dc_gguf_value *v = dc_gguf_judge_find(judge, "general.architecture");
  if (v == NULL)
    return dc_fail(err, "key 'general.architecture' is missing");
  if (v->kind != DC_GGUF_STRING) return refuse_kind(v, "string", err);
  dc_gguf_array one = dc_gguf_as_array(v);
  dc_string name = dc_gguf_array_string(&one, 0);
  if (name.size > MAX_ARCHITECTURE || !dc_utf8_is_name(name.data, name.size))
    return dc_gguf_refuse(v, 0, "a name of 1 to 64 bytes", err);
  judge->architecture = name;
  return true;
}


bool dc_gguf_check (const dc_gguf *g, dc_error *err) {
  dc_gguf_judge judge = {g, {NULL, 0}, INT32_MAX};
  if (!check_architecture(&judge, err) || !dc_gguf_check_vocab(&judge, err))
    return false;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (!check_rule(&judge, &rules[i], err)) return false;
  for (size_t i = 0; i < g->n_keys; i++)
    if (!check_value(&judge, &g->keys[i], err)) return false;
  return check_heads(&judge, err) && check_rope(&judge, err) &&
         check_split(&judge, err);
}
