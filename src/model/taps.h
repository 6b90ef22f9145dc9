/*
** taps.h: what a feed may want beside the scores (dc_taps, model.h), taken
** from a pass at the places where it is to be had. Nothing of the pass is
** changed, and a feed that wants nothing costs a test of a pointer.
*/
#ifndef DC_TAPS_H
#define DC_TAPS_H

#include "model/model.h"

/* Before layer `layer`: the early exits there. */
void dc_tap_layer (dc_worker *w, const dc_feed *steps, size_t count,
                   uint32_t layer);

/* When the queries of its cross-attention are there: the weights. */
void dc_tap_attention (dc_batch *b, const dc_feed *steps, size_t count,
                       const dc_layer *layer);

/* Behind the last norm: the hidden states. */
void dc_tap_hidden (const dc_batch *b, const dc_feed *steps, size_t count);

#endif
