// fragment_network with the published vocabulary: how many parameters, and golden logits, which
// come from a transcription of the authors' network in NumPy.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mix.h"
#include "exact/legacy_paths.h"
#include "exact/legacy_policy.h"
#include "molecule_fixture.h"
#include "near.h"
#include "train_setup.h"

static flv_status no_reward(const flv_reward *reward, const flv_env *env, int n, const void *states,
                            double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)states, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = 0.0;
  return FLV_OK;
}
static const flv_reward reward = {.name = "none", .log_reward = no_reward};

static flv_trainer *open_trainer(const char *width) {
  flv_error err = {0};
  const setting settings[] = {{"env", "fragments"},
                              {"env.path", molecule_data("blocks_PDB_105.json")},
                              {"env.stem_types", "published"},
                              {"policy", "fragment_network"},
                              {"policy.width", width},
                              {"batch", "1"}};
  flv_config *cfg = configure(sizeof settings / sizeof *settings, settings);
  flv_trainer *t = flv_trainer_new(cfg, NULL, &reward, 1, &err);
  if (!t) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return t;
}

static void how_many(void **unused) {
  (void)unused;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  flv_trainer *t = open_trainer("256");
  const flv_net *net = t->policy.net;
  long n = 0;
  for (int i = 0; i < net->n_weights; i++) n += (long)net->weight[i].rows * net->weight[i].cols;
  assert_int_equal(n, 1010794);
  flv_trainer_free(t);
}

// ---- golden logits ----

static double golden_weight(uint64_t tensor, uint64_t entry) {
  const uint64_t bits = flv_mix((tensor << 32) + entry); // splitmix64
  return 0.25 * (2.0 * ((double)(bits >> 11) * 0x1p-53) - 1.0);
}

// The authors' tensors, in the order in which they made them; theirs multiply from the left, W x,
// where `turned`.
static const struct theirs {
  const char *name;
  int turned;
} theirs[] = {{"p_f.blocks", 0},         {"p_f.stems", 0},          {"p_f.bonds", 0},
              {"p_f.root.weight", 0},    {"p_f.root.bias", 0},      {"p_f.block.0.weight", 1},
              {"p_f.block.0.bias", 0},   {"p_f.block.2.weight", 1}, {"p_f.block.2.bias", 0},
              {"p_f.gru.x.weight", 1},   {"p_f.gru.h.weight", 1},   {"p_f.gru.x.bias", 0},
              {"p_f.gru.h.bias", 0},     {"p_f.stem.0.weight", 1},  {"p_f.stem.0.bias", 0},
              {"p_f.stem.2.weight", 1},  {"p_f.stem.2.bias", 0},    {"p_f.stem.4.weight", 1},
              {"p_f.stem.4.bias", 0},    {"p_f.state.0.weight", 1}, {"p_f.state.0.bias", 0},
              {"p_f.state.2.weight", 1}, {"p_f.state.2.bias", 0}};
enum { N_THEIRS = sizeof theirs / sizeof *theirs };

static void set_weights(const flv_net *net, float *params) {
  assert_int_equal(net->n_weights, N_THEIRS);
  for (uint64_t i = 0; i < N_THEIRS; i++) {
    const flv_weight *w = net->weight;
    while (w < net->weight + net->n_weights && strcmp(w->name, theirs[i].name) != 0) w++;
    if (w == net->weight + net->n_weights) fail_msg("there is no tensor %s", theirs[i].name);
    for (int r = 0; r < w->rows; r++)
      for (int c = 0; c < w->cols; c++)
        params[w->offset + (size_t)(r * w->cols + c)] = (float)golden_weight(
            i, (uint64_t)(theirs[i].turned ? c * w->rows + r : r * w->cols + c));
  }
}

// Both states at once: one with stems 1,0 1,2 1,4 2,6, one with none.
static void golden_logits(void **unused) {
  (void)unused;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  flv_trainer *t = open_trainer("16");
  flv_legacy_policy policy;
  flv_error err = {0};
  const flv_fragments *e = flv_fragments_of(t->env);
  set_weights(t->policy.net, t->policy.params);
  if (flv_legacy_policy_init(&policy, t, &err)) fail_msg("%s", err.text);
  const flv_grown grown[2] = {
      {.n = 3, .block = {28, 70, 90}, .to = {0, 0, 1}, .at = {0, 1, 5}, .by = {0, 1, 3}},
      {.n = 3, .block = {25, 94, 35}, .to = {0, 0, 1}, .at = {0, 0, 0}, .by = {0, 2, 2}}};
  flv_fragments_state s[2];
  uint8_t place[FLV_FRAGMENTS_MAX];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(flv_grown_state(t->env, &grown[i], &s[i], place), 3);
    for (int b = 0; b < 3; b++) assert_int_equal(place[b], b);
  }
  const int types[4] = {29, 31, 33, 160}, slots[4][2] = {{1, 1}, {1, 2}, {1, 3}, {2, 1}};
  const int width = flv_legacy_width(e), k = e->vocabulary.n_blocks;
  float *logits = calloc(2 * (size_t)width, sizeof *logits);
  flv_legacy_policy_logits(&policy, 2, s, logits);
  double sum = 0.0;
  for (int i = 0; i < 4; i++) {
    const int p = slots[i][0], j = slots[i][1];
    assert_int_equal(flv_fragments_used(&s[0], p) >> j & 1, 0);
    assert_int_equal(e->stem_type[s[0].block[p] * e->slots + j], types[i]);
    for (int b = 0; b < k; b++) sum += (double)logits[flv_legacy_action(e, p, j, b)];
  }
  const float *first = logits + flv_legacy_action(e, 1, 1, 0);
  NEAR((double)first[0], .11496993, 2e-7);
  NEAR((double)first[1], .06823869, 2e-7);
  NEAR((double)first[2], -.08314933, 2e-7);
  NEAR((double)logits[flv_legacy_action(e, 2, 1, 104)], .1650526937, 2e-7);
  NEAR(sum, -4.5836487221, 2e-5);
  NEAR((double)logits[width - 1], -.05812875, 2e-7);
  const float *made_up = logits + width + flv_legacy_action(e, 0, e->n_slots[25], 0);
  sum = 0.0;
  for (int b = 0; b < k; b++) sum += (double)made_up[b];
  NEAR((double)made_up[0], .1069456, 2e-7);
  NEAR((double)made_up[1], .07057823, 2e-7);
  NEAR((double)made_up[2], -.07987472, 2e-7);
  NEAR(sum, -.9591918039, 1e-5);
  NEAR((double)logits[2 * width - 1], -.05797847, 2e-7);
  // The trainer's own network gives the same for what it has.
  flv_pf_rows rows;
  if (flv_pf_rows_init(&rows, &t->policy, 2, 1, &err)) fail_msg("%s", err.text);
  const float *own = flv_pf_rows_logits(&rows, 2, s);
  for (int i = 0; i < 4; i++)
    for (int b = 0; b < k; b++)
      NEAR((double)own[flv_fragments_action(e, slots[i][0], slots[i][1], b)],
           (double)logits[flv_legacy_action(e, slots[i][0], slots[i][1], b)], 1e-7);
  NEAR((double)own[t->env->exit_action], (double)logits[width - 1], 1e-7);
  flv_pf_rows_free(&rows);
  free(logits);
  flv_legacy_policy_free(&policy);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(how_many),
      cmocka_unit_test(golden_logits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
