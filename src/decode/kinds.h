/*
** kinds.h: what stands behind the table of kinds (processors.c), by the file
** that holds it, and what those files share.
*/
#ifndef DC_KINDS_H
#define DC_KINDS_H

#include "decode/processors.h"

#define APPLY(name) \
  bool dc_apply_##name (const dc_processor *p, const dc_step *step, \
                        dc_error *err)

/* repetition.c */
APPLY(repetition_penalty);
APPLY(encoder_repetition_penalty);
APPLY(frequency_penalty);
APPLY(presence_penalty);
APPLY(no_repeat_ngram);
APPLY(encoder_no_repeat_ngram);
APPLY(dry);

/* words.c */
APPLY(bad_words);
APPLY(sequence_bias);
APPLY(suppress_tokens);
APPLY(begin_suppress_tokens);
APPLY(prefix_bias);

/* length.c */
APPLY(min_length);
APPLY(min_new_tokens);
APPLY(forced_bos);
APPLY(forced_eos);
APPLY(exponential_decay);
APPLY(bark_eos);

/* surprise.c */
extern const dc_memory dc_surprise_memory;
APPLY(mirostat);
APPLY(mirostat_v2);
APPLY(adaptive_p);

/* watermark.c */
extern const dc_memory dc_watermark_memory;
APPLY(watermark);

/* synthid.c */
extern const dc_memory dc_synthid_memory;
APPLY(synthid);

#undef APPLY

/* Fails, naming the first of ids[n] that is not in the vocabulary. */
bool dc_in_vocabulary (const dc_step *step, const int32_t *ids, size_t n,
                       dc_error *err);

/* Sequence i of `list`. */
const int32_t *dc_sequence (dc_biases list, size_t i, size_t *length);

/* The ids that a penalty looks at: the last p->window of those behind the
   first p->start. */
dc_id_list dc_recent (const dc_processor *p, const dc_step *step);

#endif
