/* fail.c: see fail.h. */
#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>


bool dc_fail (dc_error *err, const char *format, ...) {
  if (err != NULL) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
  }
  return false;
}


bool dc_fail_in (dc_error *err, const char *where) {
  if (err != NULL) {
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    dc_fail(err, "%.400s: %.600s", where, old);
  }
  return false;
}
