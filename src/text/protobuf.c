/* protobuf.c: see protobuf.h. */
#include "text/protobuf.h"

#include <string.h>


dc_proto dc_proto_begin (dc_string message) {
  return (dc_proto){message.data, message.data, message.data + message.size};
}


static bool broken (const dc_proto *p, const char *what, dc_error *err) {
  return dc_fail(err, "not a protobuf message: %s at byte %zu", what,
                 (size_t)(p->at - p->start));
}


static bool read_varint (dc_proto *p, uint64_t *out, dc_error *err) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (p->at == p->end) return broken(p, "a number is cut off", err);
    uint8_t byte = (uint8_t)*p->at++;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *out = value;
      return true;
    }
  }
  return broken(p, "a number is longer than ten bytes", err);
}


static bool read_fixed (dc_proto *p, size_t size, uint64_t *out,
                        dc_error *err) {
  if ((size_t)(p->end - p->at) < size)
    return broken(p, "a fixed number is cut off", err);
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++)
    value |= (uint64_t)(uint8_t)p->at[i] << (8 * i);
  p->at += size;
  *out = value;
  return true;
}


static bool read_bytes (dc_proto *p, dc_string *out, dc_error *err) {
  uint64_t size;
  if (!read_varint(p, &size, err)) return false;
  if (size > (size_t)(p->end - p->at))
    return broken(p, "a field is longer than what is left", err);
  *out = (dc_string){p->at, (size_t)size};
  p->at += size;
  return true;
}


bool dc_proto_next (dc_proto *p, dc_proto_field *field, bool *more,
                    dc_error *err) {
  uint64_t tag;
  *field = (dc_proto_field){.bytes = {p->at, 0}};
  *more = p->at < p->end;
  if (!*more) return true;
  if (!read_varint(p, &tag, err)) return false;
  field->number = tag >> 3;
  field->wire = (dc_wire)(tag & 7);
  if (field->number == 0) return broken(p, "field number 0", err);
  switch (field->wire) {
    case DC_WIRE_VARINT: return read_varint(p, &field->value, err);
    case DC_WIRE_FIXED64: return read_fixed(p, 8, &field->value, err);
    case DC_WIRE_FIXED32: return read_fixed(p, 4, &field->value, err);
    case DC_WIRE_BYTES: return read_bytes(p, &field->bytes, err);
    default: return broken(p, "unknown wire type", err);
  }
}


float dc_proto_float (const dc_proto_field *field) {
  uint32_t bits = (uint32_t)field->value;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}


int32_t dc_proto_int32 (const dc_proto_field *field) {
  uint32_t low = (uint32_t)field->value;
  int32_t x;
  memcpy(&x, &low, sizeof x);
  return x;
}
