/*
** outputs.h: rows of hidden states on their way to the output matrix. They
** are gathered, whoever asks for them, and go through it some at a time.
*/
#ifndef DC_OUTPUTS_H
#define DC_OUTPUTS_H

#include "model/model.h"

/* Room to gather at most n rows in a pass; false when memory is short. */
bool dc_outputs_reserve (dc_worker *w, size_t n);
void dc_outputs_free (dc_outputs *o);

/* Has x [d_model] scored into out [n_vocab], at the latest by the flush. */
void dc_outputs_add (dc_worker *w, const float *x, float *out);
void dc_outputs_flush (dc_worker *w);

#endif
