/*
** protobuf.h: the wire format of protocol buffers, one field at a time, out of
** bytes that nobody vouches for. Nothing is copied. Groups (wire types 3 and
** 4, out of use since 2001) are an error.
*/
#ifndef DC_PROTOBUF_H
#define DC_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"

typedef enum dc_wire {
  DC_WIRE_VARINT = 0, DC_WIRE_FIXED64 = 1, DC_WIRE_BYTES = 2,
  DC_WIRE_FIXED32 = 5
} dc_wire;

typedef struct dc_proto {
  const char *start, *at, *end;
} dc_proto;

typedef struct dc_proto_field {
  uint64_t number;
  dc_wire wire;
  uint64_t value;   /* of a varint or a fixed one */
  dc_string bytes;  /* of DC_WIRE_BYTES */
} dc_proto_field;

dc_proto dc_proto_begin (dc_string message);

/* The next field, or *more = false at the end of the message. */
bool dc_proto_next (dc_proto *p, dc_proto_field *field, bool *more,
                    dc_error *err);

/* The value as the types that a field can declare. A negative int32 comes as
   a varint of ten bytes; anything beyond 32 bits is cut, as in protobuf. */
float dc_proto_float (const dc_proto_field *field);
int32_t dc_proto_int32 (const dc_proto_field *field);

#endif
