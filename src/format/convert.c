/* convert.c: see convert.h. */
#include "format/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "math/types.h"

#define BLOCK 1048576  /* bytes that are converted before they are written */

typedef struct workspace {
  void *in;       /* a row of the source, aligned */
  float *x;       /* [n] */
  uint8_t *out;   /* [at_once, out_size] */
  size_t in_size, out_size, at_once;
} workspace;


/* Half precision ends at 65504; from 65520 on it rounds to infinity. It also
   holds the scale of a q8_0 block, which is its largest number / 127. */
static bool numbers_fit (uint32_t type, const float *x, size_t n,
                         dc_error *err) {
  float limit = type == DC_F16 ? 65520.0f : type == DC_Q8_0 ? 65520.0f * 127
                : INFINITY;
  for (size_t i = 0; i < n; i++)
    if (!(fabsf(x[i]) < limit))
      return dc_fail(err, "column %zu is %s", i + 1, isfinite(x[i])
                     ? "too large for the type" : "not a finite number");
  return true;
}


static bool convert_row (const dc_conversion *rows, const workspace *ws,
                         size_t row, uint8_t *out, dc_error *err) {
  const uint8_t *from = rows->data;
  memcpy(ws->in, from + row * ws->in_size, ws->in_size);
  dc_dequantize_row((dc_type)rows->from, ws->x, ws->in, rows->n);
  if (!numbers_fit(rows->to, ws->x, rows->n, err)) {
    char where[48];
    snprintf(where, sizeof where, "row %zu", row + 1);
    return dc_fail_in(err, where);
  }
  return dc_quantize_row((dc_type)rows->to, out, ws->x, rows->n) ||
         dc_fail(err, "type %u is not written", (unsigned)rows->to);
}


static bool convert_all (const dc_conversion *rows, const workspace *ws,
                         dc_convert_sink write, void *sink, dc_error *err) {
  size_t held = 0;
  for (size_t row = 0; row < rows->n_rows; row++) {
    if (!convert_row(rows, ws, row, ws->out + held * ws->out_size, err))
      return false;
    if (++held == ws->at_once || row + 1 == rows->n_rows) {
      if (!write(sink, ws->out, held * ws->out_size, err)) return false;
      held = 0;
    }
  }
  return true;
}


bool dc_convert_rows (const dc_conversion *rows, dc_convert_sink write,
                      void *sink, dc_error *err) {
  workspace ws = {0};
  bool ok = false;
  if (!dc_row_bytes((dc_type)rows->from, rows->n, &ws.in_size) ||
      !dc_row_bytes((dc_type)rows->to, rows->n, &ws.out_size))
    return dc_fail(err, "rows of %zu are no whole blocks", rows->n);
  ws.at_once = ws.out_size < BLOCK ? BLOCK / ws.out_size : 1;
  ws.in = dc_alloc(ws.in_size);
  ws.x = dc_alloc_array(rows->n, sizeof *ws.x);
  ws.out = dc_alloc_array(ws.at_once, ws.out_size);
  if (ws.in != NULL && ws.x != NULL && ws.out != NULL)
    ok = convert_all(rows, &ws, write, sink, err);
  else
    dc_fail(err, "not enough memory");
  dc_free(ws.in);
  dc_free(ws.x);
  dc_free(ws.out);
  return ok;
}
