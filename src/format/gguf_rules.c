/*
** gguf_rules.c: what a name and a tensor's size may be, for the reader and the
** writer alike (gguf_file.h).
*/
#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "base/utf8.h"
#include "format/gguf_file.h"
#include "math/types.h"


bool dc_gguf_fail_at (dc_error *err, const char *what, dc_string name) {
  char where[128];
  snprintf(where, sizeof where, "%s '%.*s'", what, DC_SHOWN(name));
  return dc_fail_in(err, where);
}


bool dc_gguf_key_fits (dc_string key, dc_error *err) {
  if (key.size < 1 || key.size > DC_GGUF_MAX_KEY)
    return dc_fail(err, "a name of %zu bytes, must have 1 to %d", key.size,
                   DC_GGUF_MAX_KEY);
  return dc_utf8_is_name(key.data, key.size) ||
         dc_fail(err, "the name is no UTF-8 or has control characters");
}


bool dc_gguf_name_fits (dc_string name, dc_error *err) {
  if (name.size < 1 || name.size > DC_GGUF_MAX_NAME)
    return dc_fail(err, "a name of %zu bytes, must have 1 to %d", name.size,
                   DC_GGUF_MAX_NAME);
  return dc_utf8_is_name(name.data, name.size) ||
         dc_fail(err, "the name is no UTF-8 or has control characters");
}


bool dc_gguf_tensor_bytes (uint32_t type, int n_dims, const uint64_t *shape,
                           size_t *out, dc_error *err) {
  const dc_type_info *info = dc_type_of(type);
  size_t elements = 1, bytes;
  if (n_dims < 1 || n_dims > DC_GGUF_MAX_DIMS)
    return dc_fail(err, "%d dimensions, must have 1 to %d", n_dims,
                   DC_GGUF_MAX_DIMS);
  if (info == NULL)
    return dc_fail(err, "type %" PRId32 " is not one that GGUF has",
                   (int32_t)type);
  for (int i = 0; i < n_dims; i++)
    if (shape[i] < 1 || shape[i] > INT64_MAX)
      return dc_fail(err, "dimension %d is %" PRId64 ", must be at least 1",
                     i + 1, (int64_t)shape[i]);
    else if (!dc_size_mul(elements, (size_t)shape[i], &elements) ||
             elements > INT64_MAX)
      return dc_fail(err, "its dimensions multiply to more than 2^63 "
                     "elements");
  if (shape[0] % info->block != 0)
    return dc_fail(err, "rows of %" PRIu64 " elements, but %s comes in blocks "
                   "of %" PRIu32, shape[0], info->name, info->block);
  if (!dc_size_mul(elements / info->block, info->bytes, &bytes) ||
      bytes > INT64_MAX)
    return dc_fail(err, "%zu elements of %s have more than 2^63 bytes",
                   elements, info->name);
  *out = bytes;
  return true;
}
