/*
** rng.c: Rng, a stream of random numbers that is a function of (seed, row,
** position) and of nothing else.
**
**   core.rng(seed)    -> Rng of row 0 at position 0; seed: any integer
**   rng:uniform()     -> number in [0, 1); moves on by one position
**   rng:bits()        -> four integers of 32 bits; moves on by one position
**   rng:row(n)        -> a new Rng of the same seed: row n, position 0
**   rng:at(position)  -> a new Rng of the same seed and row
**   rng:state()       -> seed, row, position
*/
#include "lua/logits.h"


dc_rng *dc_check_rng (lua_State *L, int arg) {
  return luaL_checkudata(L, arg, DC_LUA_RNG);
}


static int push_rng (lua_State *L, uint64_t seed, uint64_t row,
                     uint64_t position) {
  dc_rng *rng = lua_newuserdatauv(L, sizeof *rng, 0);
  *rng = (dc_rng){seed, row, position};
  luaL_setmetatable(L, DC_LUA_RNG);
  return 1;
}


static int new_rng (lua_State *L) {
  return push_rng(L, (uint64_t)luaL_checkinteger(L, 1), 0, 0);
}


static int rng_uniform (lua_State *L) {
  lua_pushnumber(L, dc_rng_uniform(dc_check_rng(L, 1)));
  return 1;
}


static int rng_bits (lua_State *L) {
  dc_rng *rng = dc_check_rng(L, 1);
  uint32_t word[4];
  dc_rng_block(rng->seed, rng->row, rng->position++, word);
  for (int i = 0; i < 4; i++) lua_pushinteger(L, word[i]);
  return 4;
}


static int rng_row (lua_State *L) {
  dc_rng *rng = dc_check_rng(L, 1);
  return push_rng(L, rng->seed, (uint64_t)luaL_checkinteger(L, 2), 0);
}


static int rng_at (lua_State *L) {
  dc_rng *rng = dc_check_rng(L, 1);
  return push_rng(L, rng->seed, rng->row, (uint64_t)luaL_checkinteger(L, 2));
}


static int rng_state (lua_State *L) {
  dc_rng *rng = dc_check_rng(L, 1);
  lua_pushinteger(L, (lua_Integer)rng->seed);
  lua_pushinteger(L, (lua_Integer)rng->row);
  lua_pushinteger(L, (lua_Integer)rng->position);
  return 3;
}


static int rng_tostring (lua_State *L) {
  dc_rng *rng = dc_check_rng(L, 1);
  lua_pushfstring(L, "decant.Rng (seed %I, row %I, position %I)",
                  (LUAI_UACINT)rng->seed, (LUAI_UACINT)rng->row,
                  (LUAI_UACINT)rng->position);
  return 1;
}


static const luaL_Reg methods[] = {
  {"uniform", rng_uniform}, {"bits", rng_bits}, {"row", rng_row},
  {"at", rng_at}, {"state", rng_state}, {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
  {"__tostring", rng_tostring}, {NULL, NULL}
};


void dc_open_rng (lua_State *L) {
  dc_new_type(L, DC_LUA_RNG, methods, metamethods);
  lua_pushcfunction(L, new_rng);
  lua_setfield(L, -2, "rng");
}
