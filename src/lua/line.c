/*
** line.c: lines of a file that anybody may have filled.
**
**   core.read_line(file, longest) -> the next line, without its end; nil at the
**                                    end of the file; nil, message; or false:
**                                    it has more than `longest` bytes, and no
**                                    more than these were read
**
** Lua's file:read "l" reads a line whole, however long it is.
*/
#include <stdio.h>

#include "lua/binding.h"


static FILE *check_file (lua_State *L, int arg) {
  luaL_Stream *s = luaL_checkudata(L, arg, LUA_FILEHANDLE);
  luaL_argcheck(L, s->closef != NULL, arg, "the file is closed");
  return s->f;
}


/* Adds what is left of the line, `most` bytes of it at most; returns how many,
   and in *c what came behind the last one. Adding may raise, so it is done
   while the file is not locked. */
static size_t read_some (luaL_Buffer *b, FILE *f, size_t most, int *c) {
  size_t n = 0;
  if (most > LUAL_BUFFERSIZE) most = LUAL_BUFFERSIZE;
  char *room = luaL_prepbuffer(b);
  flockfile(f);
  while (n < most && (*c = getc_unlocked(f)) != EOF && *c != '\n')
    room[n++] = (char)*c;
  funlockfile(f);
  luaL_addsize(b, n);
  return n;
}


static int read_line (lua_State *L) {
  luaL_Buffer b;
  size_t size = 0;
  int c = 0;
  FILE *f = check_file(L, 1);
  size_t longest = (size_t)dc_check_range(L, 2, 1, INT32_MAX);
  clearerr(f);
  luaL_buffinit(L, &b);
  while (size <= longest && c != EOF && c != '\n')
    size += read_some(&b, f, longest + 1 - size, &c);
  luaL_pushresult(&b);
  if (ferror(f)) return luaL_fileresult(L, 0, NULL);
  if (size > longest)
    lua_pushboolean(L, 0);
  else if (c == EOF && size == 0)
    lua_pushnil(L);
  return 1;
}


void dc_open_line (lua_State *L) {
  static const luaL_Reg functions[] = {{"read_line", read_line}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
