/* json_members.c: see json_members.h. */
#include "text/json_members.h"


static dc_member *find (const dc_json_text *key, dc_member *members,
                        size_t n) {
  for (size_t i = 0; i < n; i++)
    if (dc_json_is(key, members[i].name)) return &members[i];
  return NULL;
}


bool dc_members (dc_json j, dc_member *members, size_t n, dc_error *err) {
  dc_json_text key;
  bool more;
  if (!dc_json_object(&j, err)) return false;
  while (dc_json_key(&j, &key, &more, err)) {
    if (!more) return true;
    dc_member *m = find(&key, members, n);
    if (m != NULL && m->there)
      return dc_fail(err, "byte %zu: \"%s\" is there twice", j.at, m->name);
    if (m != NULL && dc_json_peek(&j) != 'n') {
      m->there = true;
      m->at = j;
    }
    if (!dc_json_skip(&j, err)) return false;
  }
  return false;
}


bool dc_member_bool (const dc_member *m, bool *out, dc_error *err) {
  dc_json j = m->at;
  return !m->there || dc_json_bool(&j, out, err) || dc_fail_in(err, m->name);
}


bool dc_member_uint (const dc_member *m, uint64_t *out, dc_error *err) {
  dc_json j = m->at;
  return !m->there || dc_json_uint(&j, out, err) || dc_fail_in(err, m->name);
}


bool dc_json_read_text (dc_json *j, dc_buffer *out, dc_error *err) {
  dc_json_text text;
  if (!dc_json_string(j, &text, err)) return false;
  char *room = dc_grow(out->data, &out->capacity, text.size, 1);
  if (room == NULL) return dc_no_memory(err);
  dc_json_copy(&text, room);
  out->data = room;
  out->size = text.size;
  return true;
}


bool dc_member_text (const dc_member *m, dc_buffer *out, dc_error *err) {
  dc_json j = m->at;
  return !m->there || dc_json_read_text(&j, out, err) ||
         dc_fail_in(err, m->name);
}


bool dc_member_is (const dc_member *m, const char *text) {
  dc_json j = m->at;
  dc_json_text value;
  return m->there && dc_json_peek(&j) == '"' &&
         dc_json_string(&j, &value, NULL) && dc_json_is(&value, text);
}
