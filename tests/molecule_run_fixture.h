// Runs on molecules whose reward is a network with random weights. cmocka is included before.
#ifndef FLUVIAL_TESTS_MOLECULE_RUN_FIXTURE_H
#define FLUVIAL_TESTS_MOLECULE_RUN_FIXTURE_H

#include "chem/perceive.h"
#include "mpnn_fixture.h"
#include "run_fixture.h"

#define FRAGMENTS "examples/molecules/fragments.json"

// A network whose predictions lie around 3.
static inline const char *random_weights(void) {
  const char *path = in("weights.safetensors");
  flv_tensor t[TENSORS];
  flv_error err = {0};
  make_tensors((sizes){8, FLV_ATOM_FEATURES, 8, FLV_BOND_FEATURES}, 3, t);
  *(float *)t[LIN3_B].data = 3.0f;
  if (flv_safetensors_write(path, TENSORS, t, 0, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  free_tensors(t);
  return path;
}

static inline void put(flv_config *cfg, const char *key, const char *value) {
  flv_error err = {0};
  if (flv_config_set(cfg, key, value, &err) != FLV_OK) fail_msg("%s", err.text);
}

static inline flv_config *molecules(const char *iterations) {
  return configure(SETTINGS(
      {"env", "fragments"}, {"env.path", FRAGMENTS}, {"env.parents", "tree"},
      {"env.max_blocks", "3"}, {"reward", "molecule_network"}, {"reward.path", random_weights()},
      {"reward.steps", "2"}, {"reward.r_min", "1e-6"}, {"reward.norm", "2"},
      {"reward.exponent", "3"}, {"iterations", iterations}, {"batch", "8"}, {"eval_every", "7"},
      {"eval_samples", "100"}, {"checkpoint_every", "10"}, {"policy.hidden", "[8]"},
      {"archive.similarity", "0.4"}, {"archive.best", "20"}));
}

// A reward that about a share of what is drawn at first lies above, as text.
static inline const char *reward_above(const flv_config *cfg, double share) {
  enum { N = 200 };
  static char text[32];
  double log_r[N];
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
  if (!t) fail_msg("%s", err.text);
  void *states = calloc(N, flv_trainer_env(t)->state_size);
  assert_int_equal(flv_trainer_sample(t, 1, N, states, log_r, &err), FLV_OK);
  for (int i = 1; i < N; i++)
    for (int k = i; k > 0 && log_r[k - 1] < log_r[k]; k--) {
      const double moved = log_r[k];
      log_r[k] = log_r[k - 1], log_r[k - 1] = moved;
    }
  snprintf(text, sizeof text, "%.9g",
           flv_reward_value(flv_trainer_reward(t), log_r[(int)(share * N)]));
  free(states);
  flv_trainer_free(t);
  return text;
}

#endif
