/* spm.c: see spm.h. The field numbers are those of sentencepiece_model.proto
   (also in reference/tokenizers.md, section 1). */
#include "text/spm.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "text/buffer.h"
#include "text/protobuf.h"

/* Names of the control pieces that have a role; a trainer may rename them. */
typedef struct roles {
  dc_string bos, eos, pad;
} roles;

typedef bool reader (dc_spm *spm, roles *names, const dc_proto_field *field,
                     dc_error *err);


/* A field of another wire type means that this is no such file. */
static bool wants (const dc_proto_field *field, dc_wire wire,
                   const char *name, dc_error *err) {
  if (field->wire == wire) return true;
  return dc_fail(err, "%s has wire type %d, must be %d", name,
                 (int)field->wire, (int)wire);
}


static bool take_flag (const dc_proto_field *field, const char *name,
                       bool *out, dc_error *err) {
  *out = field->value != 0;
  return wants(field, DC_WIRE_VARINT, name, err);
}


static bool take_text (const dc_proto_field *field, const char *name,
                       dc_string *out, dc_error *err) {
  *out = field->bytes;
  return wants(field, DC_WIRE_BYTES, name, err);
}


static bool trainer_field (dc_spm *spm, roles *names,
                           const dc_proto_field *field, dc_error *err) {
  switch (field->number) {
    case 3:
      spm->type = (dc_spm_type)dc_proto_int32(field);
      return wants(field, DC_WIRE_VARINT, "model_type", err);
    case 24:
      return take_flag(field, "treat_whitespace_as_suffix", &spm->as_suffix,
                       err);
    case 35:
      return take_flag(field, "byte_fallback", &spm->byte_fallback, err);
    case 44:
      return take_text(field, "unk_surface", &spm->unk_surface, err);
    case 46: return take_text(field, "bos_piece", &names->bos, err);
    case 47: return take_text(field, "eos_piece", &names->eos, err);
    case 48: return take_text(field, "pad_piece", &names->pad, err);
    default: return true;
  }
}


static bool normalizer_field (dc_spm *spm, roles *names,
                              const dc_proto_field *field, dc_error *err) {
  (void)names;
  switch (field->number) {
    case 2:
      return take_text(field, "precompiled_charsmap", &spm->charsmap, err);
    case 3:
      return take_flag(field, "add_dummy_prefix", &spm->dummy_prefix, err);
    case 4:
      return take_flag(field, "remove_extra_whitespaces", &spm->squeeze, err);
    case 5:
      return take_flag(field, "escape_whitespaces", &spm->escape, err);
    default: return true;
  }
}


static bool read_message (dc_spm *spm, roles *names, dc_string message,
                          reader *take, dc_error *err) {
  dc_proto p = dc_proto_begin(message);
  dc_proto_field field;
  bool more;
  while (dc_proto_next(&p, &field, &more, err)) {
    if (!more) return true;
    if (!take(spm, names, &field, err)) return false;
  }
  return false;
}


static bool piece_field (dc_piece *piece, const dc_proto_field *field,
                         dc_error *err) {
  switch (field->number) {
    case 1: return take_text(field, "piece", &piece->text, err);
    case 2:
      piece->score = dc_proto_float(field);
      return wants(field, DC_WIRE_FIXED32, "score", err);
    case 3:
      if (field->value < DC_PIECE_NORMAL || field->value > DC_PIECE_BYTE)
        return dc_fail(err, "type is none of 1 to 6");
      piece->kind = (dc_piece_kind)field->value;
      return wants(field, DC_WIRE_VARINT, "type", err);
    default: return true;
  }
}


static bool read_piece (dc_piece *piece, dc_string message, dc_error *err) {
  dc_proto p = dc_proto_begin(message);
  dc_proto_field field;
  bool more;
  *piece = (dc_piece){{message.data, 0}, 0, DC_PIECE_NORMAL};
  while (dc_proto_next(&p, &field, &more, err)) {
    if (!more) return true;
    if (!piece_field(piece, &field, err)) return false;
  }
  return false;
}


/* Fields of the file itself: 1 a piece, 2 the trainer's, 3 the normaliser's.
   A first pass counts the pieces. */
static bool count_pieces (dc_string file, size_t *n, dc_error *err) {
  dc_proto p = dc_proto_begin(file);
  dc_proto_field field;
  bool more;
  while (dc_proto_next(&p, &field, &more, err)) {
    if (!more) return *n > 0 || dc_fail(err, "has no pieces");
    if (field.number != 1) continue;
    if (!wants(&field, DC_WIRE_BYTES, "pieces", err)) return false;
    (*n)++;
  }
  return false;
}


static bool in_piece (dc_error *err, size_t i) {
  char where[40];
  snprintf(where, sizeof where, "piece %zu", i);
  return dc_fail_in(err, where);
}


static bool read_part (dc_spm *spm, roles *names, const dc_proto_field *field,
                       size_t *n, dc_error *err) {
  switch (field->number) {
    case 1:
      if (!read_piece(&spm->vocab.pieces[*n], field->bytes, err))
        return in_piece(err, *n);
      (*n)++;
      return true;
    case 2:
      return wants(field, DC_WIRE_BYTES, "trainer_spec", err) &&
             read_message(spm, names, field->bytes, trainer_field, err);
    case 3:
      return wants(field, DC_WIRE_BYTES, "normalizer_spec", err) &&
             read_message(spm, names, field->bytes, normalizer_field, err);
    default: return true;
  }
}


static bool read_all (dc_spm *spm, roles *names, dc_string file,
                      dc_error *err) {
  size_t n = 0;
  if (!count_pieces(file, &n, err) || !dc_vocab_init(&spm->vocab, n, err))
    return false;
  dc_proto p = dc_proto_begin(file);
  dc_proto_field field;
  bool more;
  n = 0;
  while (dc_proto_next(&p, &field, &more, err)) {
    if (!more) return true;
    if (!read_part(spm, names, &field, &n, err)) return false;
  }
  return false;
}


/* A role belongs to a control piece of that text, not to the id that the
   trainer's settings give (the library does the same). */
static int32_t control (const dc_spm *spm, dc_string text) {
  int32_t id = dc_vocab_find(&spm->vocab, text);
  bool found = id >= 0 && spm->vocab.pieces[id].kind == DC_PIECE_CONTROL;
  return found ? id : -1;
}


/* Unless the source says which one it is, the only one of its kind. */
static bool find_unknown (dc_spm *spm, dc_error *err) {
  if (spm->unk >= 0 || spm->unk_optional) return true;
  for (size_t i = 0; i < spm->vocab.n; i++) {
    if (spm->vocab.pieces[i].kind != DC_PIECE_UNKNOWN) continue;
    if (spm->unk >= 0)
      return dc_fail(err, "pieces %d and %zu are both of the unknown type",
                     (int)spm->unk, i);
    spm->unk = (int32_t)i;
  }
  return spm->unk >= 0 || dc_fail(err, "no piece is of the unknown type");
}


static bool find_bytes (dc_spm *spm, dc_error *err) {
  int n_found = 0;
  for (int byte = 0; byte < 256; byte++) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
    int32_t id = dc_vocab_find(&spm->vocab, dc_string_of(text));
    bool found = id >= 0 && spm->vocab.pieces[id].kind == DC_PIECE_BYTE;
    if (spm->byte_fallback && !found)
      return dc_fail(err, "byte_fallback is set, and there is no byte piece "
                     "%s", text);
    spm->byte_ids[byte] = found ? id : -1;
    n_found += found;
  }
  if (spm->bytes_if_complete) spm->byte_fallback = n_found == 256;
  return true;
}


/* Every byte piece must be one of the 256: decoding reads the text. */
static bool check_pieces (const dc_spm *spm, dc_error *err) {
  size_t n_bytes = 0, found = 0;
  for (size_t i = 0; i < spm->vocab.n; i++) {
    const dc_piece *piece = &spm->vocab.pieces[i];
    if (!isfinite(piece->score))
      return dc_fail(err, "piece %zu (\"%.*s\") has a score that is no finite "
                     "number", i, DC_SHOWN(piece->text));
    n_bytes += piece->kind == DC_PIECE_BYTE;
  }
  for (int byte = 0; byte < 256; byte++) found += spm->byte_ids[byte] >= 0;
  return found == n_bytes ||
         dc_fail(err, "%zu byte pieces are not of the form <0x00> to <0xFF>",
                 n_bytes - found);
}


bool dc_spm_finish (dc_spm *spm, dc_error *err) {
  return dc_vocab_index(&spm->vocab, err) && find_unknown(spm, err) &&
         find_bytes(spm, err) && check_pieces(spm, err);
}


void dc_spm_defaults (dc_spm *spm) {
  *spm = (dc_spm){
    .type = DC_SPM_UNIGRAM, .unk = -1, .bos = -1, .eos = -1, .pad = -1,
    .unk_surface = dc_string_of(" \xE2\x81\x87 "),  /* U+2047 in spaces */
    .dummy_prefix = true, .squeeze = true, .escape = true
  };
}


bool dc_spm_read (dc_spm *spm, dc_string file, dc_error *err) {
  roles names = {dc_string_of("<s>"), dc_string_of("</s>"),
                 dc_string_of("<pad>")};
  dc_spm_defaults(spm);
  spm->bytes = dc_alloc(file.size);
  if (spm->bytes == NULL) return dc_no_memory(err);
  memcpy(spm->bytes, file.data, file.size);
  file.data = spm->bytes;
  if (!read_all(spm, &names, file, err) || !dc_spm_finish(spm, err)) {
    dc_spm_free(spm);
    return false;
  }
  spm->bos = control(spm, names.bos);
  spm->eos = control(spm, names.eos);
  spm->pad = control(spm, names.pad);
  return true;
}


void dc_spm_free (dc_spm *spm) {
  dc_vocab_free(&spm->vocab);
  dc_merges_free(&spm->merges);
  dc_free(spm->bytes);
  *spm = (dc_spm){0};
}
