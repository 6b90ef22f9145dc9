/*
** architectures.c: the table of arch.h. What a row leaves out is 0: layer
** norm, plain feed-forward, no biases.
**
** Names of keys and tensors: docs/gguf-keys.md. Where llama.cpp has a form for
** an architecture, its files run as they are; the constants that it knows by
** the architecture's name alone (gemma's scales, say) stand here.
*/
#include "model/arch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the rows of a family share. */
#define TRANSFORMER                                                           \
  .qkv_bias = DC_REQUIRED, .o_bias = DC_REQUIRED, .ffn_bias = DC_REQUIRED
#define MAYBE_ATTENTION_BIAS .qkv_bias = DC_OPTIONAL, .o_bias = DC_OPTIONAL
#define POST_NORM .norm_place = DC_POST_NORM
#define PRE_NORM  .norm_place = DC_PRE_NORM, .output_norm = DC_REQUIRED
#define DECODER   .causal = true, PRE_NORM
#define LLAMA                                                                 \
  DECODER, .norm = DC_RMS_NORM, .gating = DC_GATED, .activation = DC_SILU
#define GEMMA                                                                 \
  DECODER, .norm = DC_RMS_NORM, .positions = DC_ROPE_HALVES,                  \
  .gating = DC_GATED, .activation = DC_GELU_TANH, .wide_embeddings = true,    \
  MAYBE_ATTENTION_BIAS

static const dc_arch architectures[] = {
  /* ---- encoder and decoder ---- */

  /* Vaswani et al. 2017, "Attention is all you need"; decant.norm_place says
     whether the norms are in front */
  {.name = "transformer", POST_NORM, .positions = DC_SINUSOIDAL,
   .qkv_bias = DC_OPTIONAL, .o_bias = DC_OPTIONAL, .ffn_bias = DC_OPTIONAL,
   .embedding_norm = DC_OPTIONAL, .output_norm = DC_OPTIONAL,
   .gating = DC_GATED_IF},
  /* Junczys-Dowmunt et al. 2018, the models of OPUS-MT */
  {.name = "marian", TRANSFORMER, POST_NORM, .positions = DC_SINUSOIDAL,
   .embedding_norm = DC_OPTIONAL, .output_norm = DC_OPTIONAL},
  /* Lewis et al. 2019 */
  {.name = "bart", TRANSFORMER, POST_NORM, .positions = DC_LEARNED,
   .embedding_norm = DC_OPTIONAL, .output_norm = DC_OPTIONAL},
  /* Liu et al. 2020 */
  {.name = "mbart", TRANSFORMER, PRE_NORM, .positions = DC_LEARNED,
   .embedding_norm = DC_OPTIONAL, .activation = DC_GELU},
  /* Fan et al. 2020; NLLB has the same form */
  {.name = "m2m100", TRANSFORMER, PRE_NORM, .positions = DC_SINUSOIDAL_SKIP},
  /* Zhang et al. 2019 */
  {.name = "pegasus", TRANSFORMER, PRE_NORM, .positions = DC_SINUSOIDAL},
  /* Raffel et al. 2019; v1.1 and Flan-T5 are the gated ones */
  {.name = "t5", PRE_NORM, .norm = DC_RMS_NORM, .positions = DC_RELATIVE,
   .gating = DC_GATED_IF, .activation = DC_RELU,
   .gated_activation = DC_GELU_TANH, .plain_scores = true,
   .tied_scaling = true},

  /* ---- decoders ---- */

  /* Touvron et al. 2023; Llama 1 to 3, Mistral, SmolLM2, TinyLlama */
  {.name = "llama", LLAMA, .positions = DC_ROPE_PAIRS,
   MAYBE_ATTENTION_BIAS, .ffn_bias = DC_OPTIONAL},
  /* Qwen team 2024 and 2025 */
  {.name = "qwen2", LLAMA, .positions = DC_ROPE_HALVES,
   .qkv_bias = DC_REQUIRED},
  {.name = "qwen3", LLAMA, .positions = DC_ROPE_HALVES,
   MAYBE_ATTENTION_BIAS, .head_norms = true},
  /* Abdin et al. 2024 */
  {.name = "phi3", LLAMA, .positions = DC_ROPE_HALVES},
  /* Radford et al. 2019 */
  {.name = "gpt2", DECODER, TRANSFORMER, .positions = DC_LEARNED,
   .activation = DC_GELU_TANH},
  /* Black et al. 2022; Pythia */
  {.name = "gptneox", DECODER, .positions = DC_ROPE_HALVES,
   MAYBE_ATTENTION_BIAS, .ffn_bias = DC_REQUIRED, .activation = DC_GELU_TANH,
   .parallel = true},
  /* Lozhkov et al. 2024 */
  {.name = "starcoder2", DECODER, .positions = DC_ROPE_HALVES,
   MAYBE_ATTENTION_BIAS, .ffn_bias = DC_OPTIONAL, .activation = DC_GELU_TANH},
  /* Gemma team 2024 and 2025 */
  {.name = "gemma", GEMMA},
  {.name = "gemma2", GEMMA, .sandwich = true, .score_cap = 50.0f,
   .output_cap = 30.0f, .window = 4096, .pattern = 2, .wide_scores = 46},
  {.name = "gemma3", GEMMA, .sandwich = true, .head_norms = true,
   .pattern = 6, .window_rope_base = 10000.0f, .wide_scores = 62},
};


const dc_arch *dc_arch_find (dc_string name) {
  for (size_t i = 0; i < COUNT(architectures); i++)
    if (dc_string_is(name, architectures[i].name)) return &architectures[i];
  return NULL;
}


const dc_arch *dc_arch_at (size_t i) {
  return i < COUNT(architectures) ? &architectures[i] : NULL;
}
