/*
** json_members.h: the members of a JSON object by name, in whatever order they
** stand. What is found is the place where a value begins: a reader that can be
** copied and read from again. A member that is null counts as absent, one that
** is not asked for is passed over, one that appears twice is an error.
*/
#ifndef DC_JSON_MEMBERS_H
#define DC_JSON_MEMBERS_H

#include "format/json.h"
#include "text/buffer.h"

typedef struct dc_member {
  const char *name;
  bool there;
  dc_json at;        /* its value comes next */
} dc_member;

/* From the object that is next in `object`. */
bool dc_members (dc_json object, dc_member *members, size_t n, dc_error *err);

/* The value; *out stays as it is when it is absent. The message of a failure
   begins with the name. */
bool dc_member_bool (const dc_member *m, bool *out, dc_error *err);
bool dc_member_uint (const dc_member *m, uint64_t *out, dc_error *err);

/* A text, unescaped, in place of what *out holds. */
bool dc_member_text (const dc_member *m, dc_buffer *out, dc_error *err);

/* Is it this text? */
bool dc_member_is (const dc_member *m, const char *text);

/* The string that is next, unescaped, in place of what *out holds. */
bool dc_json_read_text (dc_json *j, dc_buffer *out, dc_error *err);

#endif
