/*
** fail.h: how the core says no. A function that can fail returns bool and
** takes a dc_error; on failure it returns dc_fail(...), which fills in one
** sentence (what, where, which rule) and is false.
**
** The text is for people and for Lua's `nil, message`. Numbers go in as %d,
** %zu and %s only: %g would follow the host's locale.
*/
#ifndef DC_FAIL_H
#define DC_FAIL_H

#include <stdbool.h>

typedef struct dc_error {
  char text[1024];
} dc_error;

/* Fills err (which may be NULL) and returns false. */
bool dc_fail (dc_error *err, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* "PATH: " in front of what err says already; returns false. */
bool dc_fail_in (dc_error *err, const char *where);

#endif
