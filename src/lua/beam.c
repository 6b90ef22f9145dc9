/*
** beam.c: what strategies do to several rows at once: the beam step, and two
** rows against each other.
**
**   core.beam_candidates(rows, scores, n)   -> {{row=, id=, score=}, ...}
**       the n best continuations, best first; rows: a list of Logits (log-
**       probabilities), scores: a list, for each row a number or a beam (a table
**       with one as `score`). Ties: lower row, then lower id. Fewer than n when
**       fewer are allowed.
**   core.beam_sample(rows, scores, n, rng)  -> the same, drawn without
**       replacement from the softmax of the scores, in the order drawn
**
**   core.divergence(a, b)      -> number: the Jensen-Shannon divergence of two
**       Logits that hold log-probabilities, per entry
**   core.contrast(a, b, share) -> a: a - b where a is at most log(1 / share)
**       below its maximum, else a - 1e5; both hold log-probabilities
**
** Rows count from 1, ids from 0.
*/
#include "decode/beam.h"
#include "decode/contrast.h"
#include "lua/logits.h"


static double check_score (lua_State *L, size_t i) {
  if (lua_rawgeti(L, 2, (lua_Integer)i + 1) == LUA_TTABLE) {
    lua_pushliteral(L, "score");
    lua_rawget(L, -2);
    lua_replace(L, -2);
  }
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_argerror(L, 2, lua_pushfstring(L, "score %I is a %s, must be a number",
                                        (LUAI_UACINT)i + 1,
                                        luaL_typename(L, -1)));
  double score = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return score;
}


static const float *check_beam (lua_State *L, size_t i, size_t *vocab) {
  size_t n;
  lua_rawgeti(L, 1, (lua_Integer)i + 1);
  const float *x = dc_test_logits(L, -1, &n);
  if (x == NULL)
    luaL_argerror(L, 1, lua_pushfstring(L, "row %I is a %s, must be Logits",
                                        (LUAI_UACINT)i + 1,
                                        luaL_typename(L, -1)));
  if (i > 0 && n != *vocab)
    luaL_argerror(L, 1, lua_pushfstring(L, "row %I has %I logits, row 1 has "
                                        "%I", (LUAI_UACINT)i + 1,
                                        (LUAI_UACINT)n, (LUAI_UACINT)*vocab));
  *vocab = n;
  lua_pop(L, 1);  /* the list keeps it */
  return x;
}


/* Memory for the beams of a search that is not wide. */
#define FEW 16

typedef struct few_beams {
  const float *x[FEW];
  double scores[FEW];
  dc_candidate found[4 * FEW];
} few_beams;


static dc_beams check_beams (lua_State *L, few_beams *few) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  dc_beams beams = {NULL, NULL, lua_rawlen(L, 1), 0};
  luaL_argcheck(L, beams.rows > 0, 1, "must hold at least one row");
  luaL_argcheck(L, lua_rawlen(L, 2) == beams.rows, 2,
                "must hold one score for each row");
  const float **x = dc_few_or_scratch(L, few->x, sizeof few->x, beams.rows,
                                      sizeof *x);
  double *scores = dc_few_or_scratch(L, few->scores, sizeof few->scores,
                                     beams.rows, sizeof *scores);
  for (size_t i = 0; i < beams.rows; i++) {
    x[i] = check_beam(L, i, &beams.vocab);
    scores[i] = check_score(L, i);
  }
  beams.x = x;
  beams.scores = scores;
  return beams;
}


/* More than there are tokens cannot be had. */
static size_t check_count (lua_State *L, const dc_beams *beams) {
  size_t n = (size_t)dc_check_range(L, 3, 1, INT32_MAX);
  size_t all = beams->rows * beams->vocab;
  return n < all ? n : all;
}


static int push_candidates (lua_State *L, const dc_candidate *list, size_t n) {
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 8);  /* a search adds fields of its own */
    lua_pushinteger(L, list[i].row + 1);
    lua_setfield(L, -2, "row");
    lua_pushinteger(L, list[i].id);
    lua_setfield(L, -2, "id");
    lua_pushnumber(L, list[i].score);
    lua_setfield(L, -2, "score");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int beam_candidates (lua_State *L) {
  dc_error err;
  few_beams few;
  dc_beams beams = check_beams(L, &few);
  size_t n = check_count(L, &beams);
  dc_candidate *list = dc_few_or_scratch(L, few.found, sizeof few.found, n,
                                         sizeof *list);
  if (!dc_beam_top(&beams, list, &n, &err)) return dc_raise(L, &err);
  return push_candidates(L, list, n);
}


static int beam_sample (lua_State *L) {
  dc_error err;
  few_beams few;
  dc_beams beams = check_beams(L, &few);
  size_t n = check_count(L, &beams);
  dc_rng *rng = dc_check_rng(L, 4);
  dc_candidate *list = dc_push_scratch(L, n, sizeof *list);
  float *weights = dc_push_scratch(L, beams.rows * beams.vocab,
                                   sizeof *weights);
  double *sums = dc_push_scratch(L, beams.rows, sizeof *sums);
  if (!dc_beam_draw(&beams, list, &n, rng, weights, sums, &err))
    return dc_raise(L, &err);
  return push_candidates(L, list, n);
}


/* The Logits at arguments 1 and 2, of one length. */
static float *check_two (lua_State *L, const float **other, size_t *n) {
  size_t m;
  float *x = dc_check_logits(L, 1, n);
  *other = dc_check_logits(L, 2, &m);
  luaL_argcheck(L, m == *n, 2, "the rows have different lengths");
  return x;
}


static int divergence (lua_State *L) {
  size_t n;
  const float *b, *a = check_two(L, &b, &n);
  float *room = dc_push_scratch(L, n, 2 * sizeof *room);
  lua_pushnumber(L, dc_divergence(a, b, n, room));
  return 1;
}


static int contrast (lua_State *L) {
  size_t n;
  const float *base;
  float *x = check_two(L, &base, &n);
  double share = luaL_checknumber(L, 3);
  luaL_argcheck(L, share > 0 && share <= 1, 3, "must be above 0, at most 1");
  dc_contrast(x, base, n, (float)share);
  lua_settop(L, 1);
  return 1;
}


void dc_open_beam (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"beam_candidates", beam_candidates}, {"beam_sample", beam_sample},
    {"divergence", divergence}, {"contrast", contrast},
    {NULL, NULL}
  };
  luaL_setfuncs(L, functions, 0);
}
