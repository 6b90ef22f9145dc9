/* names.c: see names.h. Open addressing with linear steps. */
#include "format/names.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"

/* At most half of the slots are taken; then runs of this length do not come
   about by chance (a million names: about 70). */
#define MAX_STEPS 512

struct dc_name_slot {
  dc_string name;  /* data is NULL in an empty slot */
  size_t index;
};


/* The slot that holds the name, or the empty one where it belongs; NULL when
   the search takes too long. */
static struct dc_name_slot *slot_of (const dc_names *names, dc_string name) {
  uint64_t h = dc_string_hash(name) * 0x9E3779B97F4A7C15u;
  size_t at = (size_t)(h ^ (h >> 29)) & names->mask;
  for (int i = 0; i < MAX_STEPS; i++) {
    struct dc_name_slot *slot = &names->slots[at];
    if (slot->name.data == NULL || dc_string_equal(slot->name, name))
      return slot;
    at = (at + 1) & names->mask;
  }
  return NULL;
}


static bool grow (dc_names *names, size_t n_slots, dc_error *err) {
  dc_names bigger = {NULL, n_slots - 1, names->count};
  bigger.slots = dc_alloc_array(n_slots, sizeof *bigger.slots);
  if (bigger.slots == NULL)
    return dc_fail(err, "not enough memory for %zu names", n_slots / 2);
  for (size_t i = 0; names->slots != NULL && i <= names->mask; i++)
    if (names->slots[i].name.data != NULL) {
      struct dc_name_slot *slot = slot_of(&bigger, names->slots[i].name);
      if (slot == NULL) {
        dc_free(bigger.slots);
        return dc_fail(err, "names that were made to collide");
      }
      *slot = names->slots[i];
    }
  dc_free(names->slots);
  *names = bigger;
  return true;
}


bool dc_names_reserve (dc_names *names, size_t count, dc_error *err) {
  size_t wanted, n_slots = 16;
  if (!dc_size_mul(count, 2, &wanted) || wanted > SIZE_MAX / 4)
    return dc_fail(err, "not enough memory for %zu names", count);
  while (n_slots < wanted) n_slots *= 2;
  return (names->slots != NULL && n_slots <= names->mask + 1) ||
         grow(names, n_slots, err);
}


bool dc_names_add (dc_names *names, dc_string name, size_t index,
                   dc_error *err) {
  if (!dc_names_reserve(names, names->count + 1, err)) return false;
  if (name.data == NULL) name.data = "";
  struct dc_name_slot *slot = slot_of(names, name);
  if (slot == NULL)
    return dc_fail(err, "one of many names that were made to collide");
  if (slot->name.data != NULL)
    return dc_fail(err, "appears twice");
  *slot = (struct dc_name_slot){name, index};
  names->count++;
  return true;
}


size_t dc_names_find (const dc_names *names, dc_string name) {
  if (names->slots == NULL) return DC_NO_NAME;
  const struct dc_name_slot *slot = slot_of(names, name);
  return slot != NULL && slot->name.data != NULL ? slot->index : DC_NO_NAME;
}


void dc_names_free (dc_names *names) {
  dc_free(names->slots);
  memset(names, 0, sizeof *names);
}
