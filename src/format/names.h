/*
** names.h: a hash index over names: which number has this name? The names
** themselves stay where they are (in a mapped file, mostly).
**
** Made for names out of hostile files. A file can be written so that all its
** names hash alike; a search that would take more than a fixed number of
** steps refuses the name, so that n names never cost n * n.
*/
#ifndef DC_NAMES_H
#define DC_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/string.h"

#define DC_NO_NAME ((size_t)-1)

/* Starts zeroed. */
typedef struct dc_names {
  struct dc_name_slot *slots;  /* [mask + 1], a power of two, half empty */
  size_t mask, count;
} dc_names;

/* Makes room for `count` names at once. */
bool dc_names_reserve (dc_names *names, size_t count, dc_error *err);

/* Gives `name` the number `index`. Fails if the name is there already. */
bool dc_names_add (dc_names *names, dc_string name, size_t index,
                   dc_error *err);

/* The number of `name`, or DC_NO_NAME. */
size_t dc_names_find (const dc_names *names, dc_string name);

void dc_names_free (dc_names *names);

#endif
