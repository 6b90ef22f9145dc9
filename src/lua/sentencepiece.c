/*
** sentencepiece.c: what a SentencePiece file says, as a table.
**
**   core.sentencepiece(bytes) -> {type = "unigram" | "bpe" | "word" | "char",
**       pieces = {...}, scores = {...}, kinds = {...}  of id 0, 1, ...; kinds
**           are the numbers that SentencePiece and GGUF share (text/vocab.h)
**       unk =, bos =, eos =, pad =      ids, nil where there is none
**       add_dummy_prefix =, remove_extra_whitespaces =,
**       whitespace_suffix =, escape_whitespaces =,
**       byte_fallback =   booleans
**       charsmap = "..."}               may be empty
**     | nil, message
*/
#include <string.h>

#include "lua/binding.h"
#include "text/spm.h"

#define SPM "decant.spm"


/* Idempotent. */
static int spm_free (lua_State *L) {
  dc_spm_free(luaL_checkudata(L, 1, SPM));
  return 0;
}


static void set_pieces (lua_State *L, const dc_vocab *v) {
  int n = (int)v->n;
  lua_createtable(L, n, 0);
  lua_createtable(L, n, 0);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    const dc_piece *piece = &v->pieces[i];
    lua_pushlstring(L, piece->text.data, piece->text.size);
    lua_rawseti(L, -4, i + 1);
    lua_pushnumber(L, (lua_Number)piece->score);
    lua_rawseti(L, -3, i + 1);
    lua_pushinteger(L, (lua_Integer)piece->kind);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -4, "kinds");
  lua_setfield(L, -3, "scores");
  lua_setfield(L, -2, "pieces");
}


static void set_id (lua_State *L, const char *name, int32_t id) {
  if (id < 0) return;
  lua_pushinteger(L, id);
  lua_setfield(L, -2, name);
}


static void set_flag (lua_State *L, const char *name, bool flag) {
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, name);
}


static void push_spm (lua_State *L, const dc_spm *spm) {
  static const char *const types[] = {"?", "unigram", "bpe", "word", "char"};
  lua_createtable(L, 0, 13);
  lua_pushstring(L, types[spm->type]);
  lua_setfield(L, -2, "type");
  set_pieces(L, &spm->vocab);
  set_id(L, "unk", spm->unk);
  set_id(L, "bos", spm->bos);
  set_id(L, "eos", spm->eos);
  set_id(L, "pad", spm->pad);
  set_flag(L, "add_dummy_prefix", spm->dummy_prefix);
  set_flag(L, "remove_extra_whitespaces", spm->squeeze);
  set_flag(L, "whitespace_suffix", spm->as_suffix);
  set_flag(L, "escape_whitespaces", spm->escape);
  set_flag(L, "byte_fallback", spm->byte_fallback);
  lua_pushlstring(L, spm->charsmap.data, spm->charsmap.size);
  lua_setfield(L, -2, "charsmap");
}


static int sentencepiece (lua_State *L) {
  dc_error err;
  dc_string bytes;
  bytes.data = luaL_checklstring(L, 1, &bytes.size);
  dc_spm *spm = lua_newuserdatauv(L, sizeof *spm, 0);
  memset(spm, 0, sizeof *spm);
  luaL_setmetatable(L, SPM);  /* frees it, whatever is raised below */
  if (!dc_spm_read(spm, bytes, &err)) return dc_push_failure(L, &err);
  push_spm(L, spm);
  dc_spm_free(spm);
  return 1;
}


void dc_open_sentencepiece (lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", spm_free}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{NULL, NULL}};
  dc_new_type(L, SPM, methods, metamethods);
  lua_pushcfunction(L, sentencepiece);
  lua_setfield(L, -2, "sentencepiece");
}
