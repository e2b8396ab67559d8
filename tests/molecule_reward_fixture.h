// Rewards for molecules, ready to be asked: what the tests of libraries and of programs share.
// cmocka is included before.
#ifndef FLUVIAL_TESTS_MOLECULE_REWARD_FIXTURE_H
#define FLUVIAL_TESTS_MOLECULE_REWARD_FIXTURE_H

#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "base/rng.h"
#include "env/molecules.h"
#include "near.h"
#include "scratch.h"
#include "train_setup.h"

#define FRAGMENTS "examples/molecules/fragments.json"
enum { MOST = 2048, TEXT = 1024 };

typedef struct problem {
  flv_config *cfg;
  flv_reward *reward;
  flv_env *env;
  flv_molecules molecules;
  int n;
  flv_fragments_state state[MOST];
  double log_r[MOST];
} problem;

// ---- set-up ----

static inline void must(flv_status status, const flv_error *err) {
  if (status != FLV_OK) fail_msg("%s", err->text);
}

static inline void try_open(problem *p, const char *name, const char *blocks, int n,
                            const setting *settings, flv_error *err) {
  const setting usual[] = {
      {"env", "fragments"}, {"env.path", FRAGMENTS}, {"env.max_blocks", blocks}, {"reward", name}};
  memset(p, 0, sizeof *p);
  p->cfg = configure(4, usual);
  for (int k = 0; k < n; k++)
    must(flv_config_set(p->cfg, settings[k].key, settings[k].value, err), err);
  p->reward = flv_reward_new(p->cfg, err);
}

// A walk of up to `steps` blocks; number `walk` of them.
static inline void grow(problem *p, flv_fragments_state *s, int walk, int steps) {
  const flv_env *env = p->env;
  uint8_t *mask = calloc((size_t)env->n_actions, 1);
  memset(s, 0, sizeof *s);
  env->ops->reset(env, 1, s);
  for (int t = 0; t < steps; t++) {
    memset(mask, 0, (size_t)env->n_actions);
    env->ops->mask(env, 1, s, mask);
    int legal = 0;
    for (int a = 0; a < env->exit_action; a++) legal += mask[a];
    if (legal == 0) break;
    const flv_rng rng = {7, FLV_RNG_ACTION, (uint64_t)walk};
    int k = (int)(flv_rng_uniform(rng, (uint32_t)walk, (uint32_t)t) * legal);
    int32_t action = 0;
    while (!mask[action] || k-- > 0) action++;
    env->ops->step(env, 1, s, &action);
  }
  free(mask);
}

// The empty tree and walks of 1 to max_blocks blocks.
static inline void fill(problem *p, int first, int n) {
  const int most = flv_fragments_of(p->env)->max_blocks;
  assert_true(n <= MOST);
  p->n = n;
  memset(&p->state[0], 0, sizeof p->state[0]);
  for (int i = 1; i < n; i++) grow(p, &p->state[i], first + i, 1 + i % most);
}

static inline problem *open_problem(const char *name, const char *blocks, int states, int n,
                                    const setting *settings) {
  flv_error err = {0};
  problem *p = calloc(1, sizeof *p);
  assert_non_null(p);
  try_open(p, name, blocks, n, settings, &err);
  if (!p->reward) fail_msg("%s", err.text);
  p->env = flv_env_new(p->cfg, NULL, &err);
  if (!p->env) fail_msg("%s", err.text);
  must(p->reward->bind(p->reward, p->env, &err), &err);
  must(flv_molecules_init(&p->molecules, flv_fragments_of(p->env), &err), &err);
  fill(p, 0, states);
  return p;
}

static inline void close_problem(problem *p) {
  flv_molecules_free(&p->molecules);
  flv_env_free(p->env);
  flv_reward_free(p->reward);
  flv_config_free(p->cfg);
  free(p);
}

static inline flv_status ask(problem *p, flv_error *err) {
  *err = (flv_error){0};
  for (int i = 0; i < p->n; i++) p->log_r[i] = 12345.0;
  const flv_status status = flv_reward_log(p->reward, p->env, p->n, p->state, p->log_r, err);
  if (status != FLV_OK) {
    assert_int_equal(err->status, status);
    assert_true(err->text[0] && !strchr(err->text, '\n'));
  }
  return status;
}

static inline void text_of(problem *p, int i, char text[TEXT]) {
  flv_error err = {0};
  flv_molecules_assemble(&p->molecules, &p->state[i]);
  must(flv_molecules_smiles(&p->molecules, text, TEXT, &err), &err);
}

// log R is that of the length of the SMILES, and of r_min where there is no molecule.
static inline void assert_lengths(problem *p, double r_min, double norm, double beta) {
  flv_error err;
  must(ask(p, &err), &err);
  for (int i = 0; i < p->n; i++) {
    char text[TEXT] = "";
    if (p->state[i].n > 0) text_of(p, i, text);
    assert_near(p->log_r[i], beta * log(fmax(r_min, (double)strlen(text)) / norm), 1e-14);
  }
}

static inline const char *library(const char *name) {
  static char path[1024];
  const char *folder_of = getenv("FLUVIAL_LIBRARIES");
  if (!folder_of) fail_msg("FLUVIAL_LIBRARIES is not set: where are the tests' libraries?");
  snprintf(path, sizeof path, "%s/%s.so", folder_of, name);
  return path;
}

// Paths here may be longer than a value of a configuration.
static inline const char *library_here(const char *name) {
  static char link_name[64];
  snprintf(link_name, sizeof link_name, "%s.so", name);
  const char *here = in(link_name);
  unlink(here);
  if (symlink(library(name), here) != 0) fail_msg("%s: %s", here, strerror(errno));
  return here;
}

#define COUNT "while read -r s; do echo ${#s}; done"
#define PROGRAM(command, ...)                                                                      \
  SETTINGS({"reward.command", command}, {"reward.timeout_s", "20"}, __VA_ARGS__)
#define LIBRARY(name, function, ...)                                                               \
  SETTINGS({"reward.path", library_here(name)}, {"reward.symbol", function}, __VA_ARGS__)
#define NO_RESTARTS                                                                                \
  { "reward.restarts", "0" }
#define DEFAULTS                                                                                   \
  { "reward.cache_mb", "64" }

#endif
