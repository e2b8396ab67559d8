// log p of given molecules, exactly: against all trajectories of small vocabularies; and how
// molecules are read.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/intern.h"
#include "base/logmath.h"
#include "env/molecules.h"
#include "exact/molecule_list.h"
#include "exact/molecule_paths.h"
#include "exact/pf_rows.h"
#include "learn/trainer_impl.h"
#include "metrics/correlation.h"
#include "molecule_eval_fixture.h"
#include "near.h"
#include "scratch.h"
#include "train_setup.h"

static const char several[] = "{\"fragments\": ["
                              "{\"smiles\": \"C\", \"attach\": [0, 0]},"
                              "{\"smiles\": \"C1CC1\", \"attach\": [0]},"
                              "{\"smiles\": \"C1CNCCN1\", \"attach\": [2, 5]},"
                              "{\"smiles\": \"CO\", \"attach\": [1, 0, 0]},"
                              "{\"smiles\": \"F\", \"attach\": [0]},"
                              "{\"smiles\": \"NC=O\", \"attach\": [0, 1]},"
                              "{\"smiles\": \"c1ccccc1\", \"attach\": [0, 1, 2, 3, 4, 5]},"
                              "{\"smiles\": \"c1cncnc1\", \"attach\": [0, 1, 3, 5]}]}";
static const char rings[] = "{\"fragments\": ["
                            "{\"smiles\": \"c1ccccc1\", \"attach\": [0, 1, 2, 3, 4, 5]},"
                            "{\"smiles\": \"C\", \"attach\": [0, 0]},"
                            "{\"smiles\": \"F\", \"attach\": [0]}]}";

// A policy that knows all states apart.
static void random_log_pf(void *user, int n, const void *states, double *log_pf) {
  const flv_env *env = user;
  const size_t a = (size_t)env->n_actions;
  uint8_t *mask = calloc(a, 1);
  for (int i = 0; i < n; i++, log_pf += a) {
    const unsigned char *s = (const unsigned char *)states + (size_t)i * env->state_size;
    env->ops->mask(env, 1, s, mask);
    for (size_t k = 0; k < a; k++)
      log_pf[k] = mask[k] ? random_logit(s, env->state_size, k) : -HUGE_VAL;
    const double sum = flv_logsumexp((int)a, log_pf);
    for (size_t k = 0; k < a; k++) log_pf[k] -= sum;
  }
  free(mask);
}

// ---- against all trajectories ----

typedef struct key {
  uint64_t half[2];
} key;

typedef struct group { // the states of one molecule
  int first, n;
  double log_p;
} group;

typedef struct every { // state of an environment
  flv_intern states, keys;
  double *log_u;
  group *group;
} every;

enum { MOST_STATES = 1 << 18 };

// Every state by steps from the first, each with the probability of passing through it.
static void enumerate(every *all, const flv_env *env, flv_log_pf_fn log_pf, void *user) {
  const flv_fragments *e = flv_fragments_of(env);
  const size_t a = (size_t)env->n_actions;
  uint8_t *mask = calloc(a, 1);
  double *row = calloc(a, sizeof *row);
  flv_fragments_state s = {0};
  flv_molecules m;
  flv_error err = {0};
  assert_int_equal(flv_intern_init(&all->states, sizeof s, MOST_STATES), 0);
  assert_int_equal(flv_intern_init(&all->keys, sizeof(key), MOST_STATES), 0);
  all->log_u = calloc(MOST_STATES, sizeof *all->log_u);
  all->group = calloc(MOST_STATES, sizeof *all->group);
  if (flv_molecules_init(&m, e, &err)) fail_msg("%s", err.text);
  flv_intern_row(&all->states, &s);
  for (int i = 0; i < all->states.n; i++) { // few blocks before many
    s = *flv_fragments_at(all->states.states, i);
    env->ops->mask(env, 1, &s, mask);
    if ((int)s.n < e->max_blocks) log_pf(user, 1, &s, row);
    double exit = mask[env->exit_action] ? 0.0 : -HUGE_VAL;
    if ((int)s.n < e->max_blocks) exit = row[env->exit_action];
    for (int32_t k = 0; k < env->exit_action; k++) {
      if (!mask[k]) continue;
      flv_fragments_state child = s;
      env->ops->step(env, 1, &child, &k);
      const int known = all->states.n, to = flv_intern_row(&all->states, &child);
      assert_true(known < MOST_STATES);
      if (to == known) all->log_u[to] = -HUGE_VAL;
      all->log_u[to] = flv_logaddexp(all->log_u[to], all->log_u[i] + row[k]);
    }
    if (!mask[env->exit_action]) continue;
    key name;
    flv_molecules_assemble(&m, &s);
    flv_molecules_key(&m, FLV_TELL_STEMS | FLV_TELL_JOINTS, name.half);
    const int known = all->keys.n, g = flv_intern_row(&all->keys, &name);
    if (g == known) all->group[g] = (group){i, 0, -HUGE_VAL};
    all->group[g].n++;
    all->group[g].log_p = flv_logaddexp(all->group[g].log_p, all->log_u[i] + exit);
  }
  flv_molecules_free(&m);
  free(row);
  free(mask);
}

static void forget(every *all) {
  flv_intern_free(&all->states);
  flv_intern_free(&all->keys);
  free(all->log_u);
  free(all->group);
}

static void check_every_molecule(const flv_env *env, flv_log_pf_fn log_pf, void *user,
                                 double tolerance) {
  every all;
  flv_molecule_paths *paths;
  flv_error err = {0};
  double total = 0.0;
  int most = 0;
  enumerate(&all, env, log_pf, user);
  if (flv_molecule_paths_new(&paths, env, &err)) fail_msg("%s", err.text);
  double *log_p = calloc((size_t)all.keys.n, sizeof *log_p);
  for (int g = 0; g < all.keys.n; g++) {
    int writings = 0;
    const flv_fragments_state *s = flv_fragments_at(all.states.states, all.group[g].first);
    if (flv_molecule_paths_add(paths, s, &writings, &err)) fail_msg("%s", err.text);
    assert_int_equal(writings, all.group[g].n);
    if (writings > most) most = writings;
  }
  assert_true(flv_molecule_paths_states(paths) <= all.states.n);
  if (flv_molecule_paths_log_p(paths, log_pf, user, NULL, log_p, &err)) fail_msg("%s", err.text);
  for (int g = 0; g < all.keys.n; g++) {
    NEAR(log_p[g], all.group[g].log_p, tolerance);
    total += exp(log_p[g]);
  }
  NEAR(total, 1.0, tolerance);
  assert_true(most > 10);
  print_message("%d states, %d molecules, one of them written in %d ways\n", all.states.n,
                all.keys.n, most);
  free(log_p);
  flv_molecule_paths_free(paths);
  forget(&all);
}

static void every_molecule(void **unused) {
  (void)unused;
  static const char *const settings[][3] = {
      {"several.json", ",max_blocks", ";3"},
      {"several.json", ",max_blocks,min_blocks,parents", ";3;1;tree"},
      {"rings.json", ",max_blocks", ";5"}};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    flv_env env = open_env(in(settings[i][0]), settings[i][1], settings[i][2]);
    check_every_molecule(&env, random_log_pf, &env, 1e-11);
    close_env(&env);
  }
}

// ---- a trainer's sampler ----

static flv_status count_reward(const flv_reward *reward, const flv_env *env, int n,
                               const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)err;
  for (int i = 0; i < n; i++)
    log_r[i] = random_logit(flv_fragments_at(states, i), sizeof(flv_fragments_state), 0);
  return FLV_OK;
}
static const flv_reward counting = {.name = "count", .exponent = 2.0, .log_reward = count_reward};

static flv_trainer *open_trainer(const char *path, const char *policy, int threads) {
  flv_error err = {0};
  const setting settings[] = {{"env", "fragments"},
                              {"env.path", path},
                              {"env.max_blocks", "3"},
                              {"policy", policy},
                              {"batch", "4"}};
  flv_config *cfg = configure(sizeof settings / sizeof *settings, settings);
  if (strcmp(policy, "fragment_network") == 0)
    assert_int_equal(flv_config_set(cfg, "policy.width", "8", &err), FLV_OK);
  flv_trainer *t = flv_trainer_new(cfg, NULL, &counting, threads, &err);
  if (!t) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return t;
}

static void networks(void **unused) {
  (void)unused;
  for (int k = 0; k < 2; k++) {
    flv_trainer *t = open_trainer(in("several.json"), k ? "mlp" : "fragment_network", 1);
    flv_pf_rows rows;
    flv_error err = {0};
    if (flv_pf_rows_init(&rows, &t->policy, FLV_PATHS_CHUNK, 1, &err)) fail_msg("%s", err.text);
    check_every_molecule(t->env, flv_pf_rows_log_pf, &rows, 2e-5); // logits are floats
    flv_pf_rows_free(&rows);
    flv_trainer_free(t);
  }
}

// Blocks of `several`: 0 C, 5 F.
static const char list[] = "#stored\tblocks\tjbonds(b1,b2,a1,a2;..)\tstems(b,a;..)\r\n"
                           "1\t0,5\t0,1,0,0\t0,0\r\n"
                           "# a remark\r\n"
                           "\r\n"
                           "2\t0,0,5\t0,1,0,0;1,2,0,0\t0,0\r\n"
                           "3\t5,5\t0,1,0,0\t\r\n"
                           "2\t0,5,0\t0,1,0,0;0,2,0,0\t2,0\r\n";

static double shares[64];
static int n_shares;
static void note(void *user, double done) {
  (void)user;
  if (n_shares < 64) shares[n_shares++] = done;
}

static void scores(void **unused) {
  (void)unused;
  flv_molecule_score score[3][4];
  flv_molecule_evaluation e[3];
  for (int k = 0; k < 3; k++) {
    flv_error err = {0};
    flv_trainer *t =
        open_trainer(in("several.json"), k < 2 ? "fragment_network" : "mlp", k == 1 ? 2 : 1);
    flv_molecule_list *m = flv_molecule_list_parse(t->env, list, strlen(list), &err);
    if (!m) fail_msg("%s", err.text);
    assert_int_equal(flv_molecule_list_count(m), 4);
    assert_int_equal(flv_molecule_list_line(m, 1), 5);
    assert_int_equal(flv_molecule_list_blocks(m, 1), 3);
    n_shares = 0;
    if (flv_trainer_molecules(t, m, note, NULL, score[k], &e[k], &err)) fail_msg("%s", err.text);
    assert_true(n_shares > 0 && shares[n_shares - 1] > (k < 2 ? 0.99 : 0.84));
    for (int i = 1; i < n_shares; i++) assert_true(shares[i] >= shares[i - 1]);
    double r[4], p[4], ranks[8];
    flv_ranked work[4];
    assert_int_equal(flv_reward_log(t->reward, t->env, 4, flv_molecule_list_states(m), r, NULL),
                     FLV_OK);
    for (int i = 0; i < 4; i++) {
      assert_true(score[k][i].log_r == r[i]);
      p[i] = score[k][i].log_p;
      assert_true(p[i] < 0.0 && isfinite(p[i]));
    }
    NEAR(p[1], p[3], 1e-6); // one molecule
    assert_int_equal(e[k].n, 4);
    assert_int_equal(e[k].exact.n, 4);
    NEAR(e[k].exact.pearson, flv_pearson(4, r, p), 1e-15);
    NEAR(e[k].exact.spearman, flv_spearman(4, r, p, work, ranks), 1e-15);
    assert_int_equal(e[k].has_legacy, k < 2);
    if (k == 2) assert_int_equal(e[k].legacy.n, 0);
    flv_molecule_evaluation again;
    if (flv_trainer_molecules(t, m, NULL, NULL, NULL, &again, NULL)) fail();
    assert_true(again.exact.pearson == e[k].exact.pearson);
    flv_molecule_list_free(m);
    flv_trainer_free(t);
  }
  for (int i = 0; i < 4; i++) { // threads
    assert_true(score[0][i].log_p == score[1][i].log_p);
    assert_true(score[0][i].log_p_legacy == score[1][i].log_p_legacy);
  }
}

// ---- reading ----

#define HEAD "blocks\tjbonds\tstems\n"
static void refused(void **unused) {
  (void)unused;
  static const char *const cases[][2] = {
      {"", "there are no molecules in it"},
      {HEAD "# none\n", "there are no molecules in it"},
      {"0,1\t\t\n", "line 1: no column is named 'blocks'; expected the names"},
      {"blocks\tbonds\n", "line 1: no column is named 'jbonds'"},
      {HEAD "0,5\t0,1,0,0", "line 2: 2 fields; 'stems' is field 3"},
      {HEAD "\n0,x\t\t\n", "line 3: blocks: expected whole numbers with commas between them"},
      {HEAD "0,\t\t\n", "line 2: blocks: expected whole numbers"},
      {HEAD "0;5\t\t\n", "line 2: blocks: expected whole numbers"},
      {HEAD "99999\t\t\n", "line 2: blocks: expected whole numbers"},
      {HEAD "99999999999999999999\t\t\n", "line 2: blocks: expected whole numbers"},
      {HEAD "-1\t\t\n", "line 2: blocks: expected whole numbers"},
      {HEAD "0.5\t\t\n", "line 2: blocks: expected whole numbers"},
      {"blocks jbonds stems\n0\n", "line 1: no column is named 'blocks'"},
      {HEAD "0,5\t0,1,0,-1\t\n", "line 2: jbonds: expected b1,b2,a1,a2 for each bond"},
      {HEAD "\t0,1,0,0\t\n", "line 2: 0 blocks; expected 1 to env.max_blocks, 3"},
      {HEAD "0,0,0,0\t\t\n", "line 2: 4 blocks; expected 1 to env.max_blocks, 3"},
      {HEAD "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\t\t\n", "line 2: blocks: more than 16"},
      {HEAD "0,77\t\t\n", "line 2: block 77; expected 0 to "},
      {HEAD "0,5\t\t\n", "line 2: 0 bonds for 2 blocks; expected 1"},
      {HEAD "0,5\t0,1,0\t\n", "line 2: jbonds: expected b1,b2,a1,a2 for each bond"},
      {HEAD "0,5\t0,1,0,0,0\t\n", "line 2: jbonds: expected b1,b2,a1,a2 for each bond"},
      {HEAD "0,5\t1,0,0,0\t\n",
       "line 2: bond 0 is between blocks 1 and 0; expected an earlier one and 1"},
      {HEAD "0,5\t0,1,0,1\t\n",
       "line 2: bond 0 joins block 5 by its atom 1; it can be joined by atom 0"},
      {HEAD "5,5,5\t0,1,0,0;1,2,0,0\t\n", "line 2: bond 1: atom 0 of block 5 (F) is not open"},
      {HEAD "0,5\t0,1,7,0\t\n", "line 2: bond 0: atom 7 of block 0 (C) is not open"},
      {HEAD "0,5\t0,1,0,0\t\n", "line 2: the stems are not those"},
      {HEAD "0,5\t0,1,0,0\t0,1\n", "line 2: the stems are not those"},
      {HEAD "0,5\t0,1,0,0\t0,0;0,0\n", "line 2: the stems are not those"},
      {HEAD "0,5\t0,1,0,0\t0\n", "line 2: stems: expected b,a for each stem"},
      {HEAD "0\t\t0,0;0,0\n",
       "line 2: 1 blocks with open atoms; expected at least env.min_blocks, 2"},
  };
  flv_env env = open_env(in("several.json"), ",max_blocks", ";3");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    flv_error err = {0};
    if (flv_molecule_list_parse(&env, cases[i][0], strlen(cases[i][0]), &err))
      fail_msg("case %zu was read", i);
    if (!strstr(err.text, cases[i][1])) fail_msg("'%s' does not say '%s'", err.text, cases[i][1]);
  }
  flv_error err = {0};
  const char *good = "jbonds\tblocks\n0,1,0,0\t0,5"; // other order, no stems, no line's end
  flv_molecule_list *one = flv_molecule_list_parse(&env, good, strlen(good), &err);
  if (!one) fail_msg("%s", err.text);
  assert_int_equal(flv_molecule_list_count(one), 1);
  assert_int_equal(one->grown[0].n_stems, 1);
  flv_trainer *t = open_trainer(in("several.json"), "fragment_network", 1);
  flv_molecule_evaluation e;
  assert_int_equal(flv_trainer_molecules(t, one, NULL, NULL, NULL, &e, &err), FLV_EINVAL);
  flv_trainer_free(t);
  flv_molecule_list_free(one);
  close_env(&env);
  assert_int_equal(create("hypergrid", NULL, NULL, NULL, &env, &err), FLV_OK);
  assert_null(flv_molecule_list_parse(&env, good, strlen(good), &err));
  assert_non_null(strstr(err.text, "not 'hypergrid'"));
  close_env(&env);
}

static int set_up(void **unused) {
  if (make_folder(unused) != 0) return -1;
  write_text("several.json", several);
  write_text("rings.json", rings);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_molecule),
      cmocka_unit_test(networks),
      cmocka_unit_test(scores),
      cmocka_unit_test(refused),
  };
  return cmocka_run_group_tests(tests, set_up, drop_folder);
}
