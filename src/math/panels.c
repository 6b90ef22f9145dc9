/* panels.c: see panels.h. */
#include "math/panels.h"

#include "base/size.h"


size_t dc_strip_bytes (dc_type type, size_t n) {
  const dc_type_info *info = dc_type_of((uint32_t)type);
  return info->block == 1 ? 0 : n / info->block * info->bytes * DC_LANES;
}


bool dc_packed_bytes (dc_type type, size_t rows, size_t n, size_t *bytes) {
  size_t strips = rows / DC_LANES + (rows % DC_LANES != 0);
  return dc_size_mul(strips, dc_strip_bytes(type, n), bytes);
}
