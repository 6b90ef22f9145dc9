/*
** pretokenize.c: see pretokenize.h. The driver, and which steps go with which
** name. The names and what belongs to them are those of llama.cpp.
*/
#include "text/pretokenize.h"

#include <stdio.h>


/* ---- names -------------------------------------------------------------- */

#define GPT2 {{dc_split_gpt2}, 1}
#define LLAMA3 {{dc_split_llama3}, 1}
#define QWEN2 {{dc_split_qwen2}, 1}
#define GPT4O {{dc_split_gpt4o}, 1}
#define BLOOM {{dc_split_bloom}, 1}
#define STARCODER {{dc_split_digit, dc_split_gpt2}, 2}
#define FALCON {{dc_split_symbols, dc_split_gpt2, dc_split_ascii_3}, 3}
#define DEFAULT {{dc_split_symbols_old, dc_split_gpt2, dc_split_digits, \
                  dc_split_ascii_3}, 4}
#define DEEPSEEK_LLM {{dc_split_line_breaks, dc_split_cased, dc_split_marks, \
                       dc_split_last_spaces, dc_split_cjk, \
                       dc_split_digits}, 6}
#define DEEPSEEK_CODER {{dc_split_line_breaks, dc_split_letters, \
                         dc_split_punctuation, dc_split_cjk, \
                         dc_split_digit}, 5}
#define DEEPSEEK_V3 {{dc_split_digits_3, dc_split_cjk_v3, \
                      dc_split_deepseek_v3}, 3}

static const struct family {
  const char *names;  /* separated by spaces */
  dc_pretokenizer steps;
  bool ignore_merges, add_bos;
} families[] = {
  {"default", DEFAULT, false, false},
  {"gpt-2 mpt olmo phi-2 jais trillion exaone4 gigachat mellum a.x-4.0 "
   "granite-docling roberta-bpe jina-es jina-de jina-v1-en jina-v2-es "
   "jina-v2-de jina-v2-code", GPT2, false, false},
  {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2",
   LLAMA3, true, true},
  {"dbrx smaug-bpe glm4 chatglm-bpe", LLAMA3, false, false},
  {"qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 kormo",
   QWEN2, false, false},
  {"gpt-4o llama4 minimax-m2", GPT4O, false, false},
  {"tekken", {{dc_split_tekken}, 1}, true, true},
  {"starcoder refact smollm command-r codeshell exaone minerva-7b",
   STARCODER, false, false},
  {"falcon", FALCON, false, false},
  {"deepseek-llm", DEEPSEEK_LLM, false, false},
  {"deepseek-coder", DEEPSEEK_CODER, false, false},
  {"deepseek-v3 hunyuan-dense", DEEPSEEK_V3, false, false},
  {"bloom poro-chat gpt3-finnish", BLOOM, false, false},
  {"viking", {{dc_split_bloom, dc_split_digit}, 2}, false, false}
};

#define N_FAMILIES (sizeof families / sizeof families[0])


/* Is `name` one of the words of the list? */
static bool lists (const char *words, dc_string name) {
  while (*words != '\0') {
    size_t n = strcspn(words, " ");
    if (dc_string_equal((dc_string){words, n}, name)) return true;
    words += n + (words[n] == ' ');
  }
  return false;
}


static bool unknown_name (dc_string name, dc_error *err) {
  char known[1024] = "";
  size_t used = 0;
  for (size_t i = 0; i < N_FAMILIES && used < sizeof known; i++) {
    int n = snprintf(known + used, sizeof known - used, "%s%s",
                     i > 0 ? " " : "", families[i].names);
    used += n > 0 ? (size_t)n : 0;
  }
  return dc_fail(err, "\"%.*s\" is no known pre-tokenizer; known are: %s",
                 DC_SHOWN(name), known);
}


bool dc_pretokenizer_named (dc_string name, dc_pre_name *out, dc_error *err) {
  for (size_t i = 0; i < N_FAMILIES; i++) {
    const struct family *f = &families[i];
    if (!lists(f->names, name)) continue;
    *out = (dc_pre_name){f->steps, f->ignore_merges, f->add_bos};
    return true;
  }
  return unknown_name(name, err);
}


/* ---- regular expressions of tokenizer.json ------------------------------ */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORDS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define REST " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define JOINS "[^\\r\\n\\p{L}\\p{N}]?"
#define REST_4O " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct regex {
  const char *text;
  dc_splitter *step;
} regexes[] = {
  {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
   "\\s+(?!\\S)|\\s+", dc_split_gpt2},
  {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
   "\\s+(?!\\S)", dc_split_gpt2},
  {CONTRACTIONS "|" WORDS "|\\p{N}{1,3}|" REST, dc_split_llama3},
  {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|" WORDS
   "|\\p{N}{1,3}|" REST, dc_split_llama3},
  {CONTRACTIONS "|" WORDS "|\\p{N}|" REST, dc_split_qwen2},
  {JOINS "[" UPPER "]*[" LOWER "]+" CONTRACTIONS "?|" JOINS "[" UPPER "]+["
   LOWER "]*" CONTRACTIONS "?|\\p{N}{1,3}|" REST_4O, dc_split_gpt4o},
  {JOINS "[" UPPER "]*[" LOWER "]+|" JOINS "[" UPPER "]+[" LOWER
   "]*|\\p{N}|" REST_4O, dc_split_tekken},
  {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
   "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
   "\\s*[\r\n]+|\\s+(?!\\S)|\\s+", dc_split_deepseek_v3},
  {"[\r\n]", dc_split_line_breaks},
  {"[\\r\\n]", dc_split_line_breaks},
  {"\\p{N}", dc_split_digit},
  {"\\p{N}+", dc_split_digits},
  {"\\p{N}{1,3}", dc_split_digits_3},
  {"[0-9][0-9][0-9]", dc_split_ascii_3},
  {"\\s?\\p{L}+", dc_split_letters},
  {"\\s?\\p{P}+", dc_split_punctuation},
  {"\\s+$", dc_split_last_spaces},
  {"\\s?[!-/:-~\xEF\xBC\x81-\xEF\xBC\x8F\xEF\xBC\x9A-\xEF\xBD\x9E"
   "\xE2\x80\x98-\xE2\x80\x9F\xE3\x80\x80-\xE3\x80\x82]+", dc_split_marks},
  {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-"
   "\xED\x9F\xBF]+", dc_split_cjk},
  {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-"
   "\xE3\x83\xBF]+", dc_split_cjk_v3}
};


/* The letters of deepseek-llm are too many to be written here again: they are
   known by their beginning. */
static bool is_cased (dc_string regex) {
  static const char begin[] = "\\s?[A-Za-z\xC2\xB5\xC3\x80-\xC3\x96\xC3\x98-"
                              "\xC3\xB6\xC3\xB8-\xC6\xBA\xC6\xBC-\xC6\xBF";
  return regex.size > sizeof begin &&
         !memcmp(regex.data, begin, sizeof begin - 1) &&
         !memcmp(regex.data + regex.size - 2, "]+", 2);
}


dc_splitter *dc_splitter_of_regex (dc_string regex) {
  for (size_t i = 0; i < sizeof regexes / sizeof regexes[0]; i++)
    if (dc_string_is(regex, regexes[i].text)) return regexes[i].step;
  return is_cased(regex) ? dc_split_cased : NULL;
}


/* ---- the driver --------------------------------------------------------- */

typedef struct walk {
  const dc_pretokenizer *p;
  bool (*take) (void *context, dc_string word, dc_error *err);
  void *context;
  dc_error *err;
} walk;


/* One stretch through the steps from `step` on. No deeper than they are. */
static bool go (const walk *w, size_t step, dc_string s) {
  if (s.size == 0) return true;
  if (step == w->p->n) return w->take(w->context, s, w->err);
  size_t from = 0, at = 0;
  while (at < s.size) {
    size_t skip = 0;
    size_t n = w->p->steps[step](s.data + at, s.size - at, &skip);
    if (n == 0) {
      at += skip;
      continue;
    }
    if (!go(w, step + 1, (dc_string){s.data + from, at - from}) ||
        !go(w, step + 1, (dc_string){s.data + at, n}))
      return false;
    from = at += n;
  }
  return go(w, step + 1, (dc_string){s.data + from, at - from});
}


bool dc_pretokenize (const dc_pretokenizer *p, dc_string text,
                     bool (*take) (void *context, dc_string word,
                                   dc_error *err),
                     void *context, dc_error *err) {
  walk w = {p, take, context, err};
  return go(&w, 0, text);
}
