/*
** ops.h: arithmetic on tensors. The functions that work element by element
** give what the kernel gives for each element, whatever the strides; sums run
** in the order that kernels.h fixes, over the elements in their logical order,
** so a view and its contiguous copy give the same bits.
**
** Broadcasting is NumPy's: shapes are compared from the last dimension
** backwards; two sizes fit when they are equal or one is 1, and a missing
** dimension counts as 1.
**
** A bool result is false when memory is short, and nothing else: shapes are
** the caller's to check, with the functions that fill a dc_error.
*/
#ifndef DC_OPS_H
#define DC_OPS_H

#include "tensor/tensor.h"

/* Rows of a table of kernels. */
typedef void (*dc_map) (float *out, const float *x, size_t n);
typedef void (*dc_zip) (float *out, const float *a, const float *b, size_t n);
typedef float (*dc_reducer) (const float *row, size_t n);
typedef void (*dc_row_map) (float *row, size_t n);

/* A number as an operand; the tensor borrows *value. */
dc_tensor dc_tensor_of_number (float *value);

/* The shape of a + b. */
bool dc_broadcast_shape (const dc_tensor *a, const dc_tensor *b, int *n_dims,
                         size_t *shape, dc_error *err);

/* Whether x can be spread over t without making t larger. */
bool dc_broadcasts_to (const dc_tensor *x, const dc_tensor *t, dc_error *err);

/* Element by element. Operands are spread over `out`, which may be the first
   of them; others that overlap `out` are copied first. */
bool dc_tensor_zip (dc_tensor *out, const dc_tensor *a, const dc_tensor *b,
                    dc_zip kernel);
bool dc_tensor_copy (dc_tensor *out, const dc_tensor *x);
bool dc_tensor_masked_fill (dc_tensor *t, const dc_tensor *mask, float value);
void dc_tensor_map (dc_tensor *t, dc_map kernel);  /* in place */
void dc_sqrt_row (float *out, const float *x, size_t n);

/* Same shape and ==; a NaN is equal to nothing. */
bool dc_tensor_equal (const dc_tensor *a, const dc_tensor *b);

/* |a - b| <= atol + rtol * |b| everywhere, with equal infinities close. The
   shapes must broadcast. */
bool dc_tensor_allclose (const dc_tensor *a, const dc_tensor *b, double rtol,
                         double atol);

/* out = f of each line of t along dim; out is contiguous and has the other
   dimensions of t. */
bool dc_tensor_reduce (dc_tensor *out, const dc_tensor *t, int dim,
                       dc_reducer f);

/* Each line of t along dim, in place. */
bool dc_tensor_each_line (dc_tensor *t, int dim, dc_row_map f);

/* A row of nothing but -INFINITY becomes zeros, or stays what it is under
   log_softmax; a NaN or INFINITY makes the whole row NaN. */
void dc_row_softmax (float *row, size_t n);
void dc_row_log_softmax (float *row, size_t n);

/* Reducers. A NaN counts as larger than any number; ties go to the first. */
float dc_row_mean (const float *row, size_t n);       /* NaN for n = 0 */
float dc_row_max (const float *row, size_t n);
size_t dc_row_argmax (const float *row, size_t n);    /* n > 0 */
float dc_row_argmax_float (const float *row, size_t n);

/* The k largest of each line along dim and where they are (from 0), the
   largest first. values and indices are new tensors with size k in dim. */
bool dc_tensor_topk (dc_tensor *values, dc_tensor *indices,
                     const dc_tensor *t, int dim, size_t k);

/* Matrix product as in torch.matmul: 1-D operands are a row on the left and a
   column on the right, and leave no dimension in the result; dimensions in
   front of the last two are batches and broadcast. out is contiguous. */
bool dc_matmul_shape (const dc_tensor *a, const dc_tensor *b, int *n_dims,
                      size_t *shape, dc_error *err);
bool dc_matmul (dc_tensor *out, const dc_tensor *a, const dc_tensor *b);

#endif
