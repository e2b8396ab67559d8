// The message passing reward on the published weights and molecules; skipped where FLUVIAL_DATA
// does not say where they lie.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "mpnn_fixture.h"
#include "near.h"
#include "published_molecules.h"
#include "scratch.h"

static description *molecules;
static double stored_reward[PUBLISHED], stored_value[PUBLISHED];

// The published numbers, written to a file of ours: four tensors of the other head are left out.
static const char *weights(void) {
  static const sizes z = {64, 71, 128, 4};
  enum { NUMBERS = 699690, HEAD = 12, UNUSED = 512 * 64 + 512 + 105 * 512 + 105 };
  static float number[NUMBERS + 1];
  flv_tensor t[TENSORS];
  flv_error err = {0};
  FILE *f = fopen(data_path("proxy_params.f32"), "rb");
  assert_non_null(f);
  assert_int_equal(fread(number, sizeof *number, NUMBERS + 1, f), NUMBERS);
  fclose(f);
  describe_tensors(z, t);
  size_t used = 0;
  for (int i = 0; i < TENSORS; i++) {
    if (i == HEAD) used += UNUSED;
    t[i].data = number + used;
    used += n_elements(&t[i]);
  }
  assert_int_equal(used, NUMBERS);
  if (flv_safetensors_write(in("net.safetensors"), TENSORS, t, 0, NULL, &err))
    fail_msg("%s", err.text);
  return in("net.safetensors");
}

static void values_of(const char *path, const published *g, bool transposed, flv_dtype precision,
                      double *p) {
  flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  flv_error err = {0};
  flv_mpnn *net;
  options.root_transposed = transposed;
  options.precision = precision;
  if (flv_mpnn_load(&net, path, &options, &err)) fail_msg("%s", err.text);
  assert_int_equal(flv_mpnn_columns(net), FLV_ATOM_FEATURES);
  assert_int_equal(flv_mpnn_kinds(net), FLV_BOND_FEATURES + 1);
  flv_mpnn_work *work = flv_mpnn_work_new(net, 2, MOST_ATOMS, 4 * MOST_ATOMS);
  assert_non_null(work);
  flv_mpnn_eval(net, work, &g->graphs, p);
  flv_mpnn_work_free(work);
  flv_mpnn_free(net);
}

static void values(const published *g, bool transposed, flv_dtype precision, double *p) {
  values_of(weights(), g, transposed, precision, p);
}

// Of an independent implementation in double.
static void values_of_four_molecules(void **state) {
  (void)state;
  if (!molecules) skip();
  static const description four[4] = {
      {1, 0, 6, {0}, {{{0}, {0}}}, {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}}},
      {2, 1, 0, {25, 8}, {{{0, 1}, {0, 0}}}, {{0, 0}}},
      {3, 2, 0, {25, 94, 35}, {{{0, 1}, {0, 2}}, {{1, 2}, {0, 2}}}, {{0, 0}}},
      {1, 0, 1, {26}, {{{0}, {0}}}, {{0, 0}}}};
  static const double right[2][4] = {
      {0.576808419799, -0.091838796863, 2.424076533906, -0.456326494708},
      {0.966695743229, -0.077731272669, 2.338086458736, 0.216375056939}};
  published g;
  double p[4];
  make_graphs(&g, 4, four, false);
  for (int transposed = 0; transposed < 2; transposed++) {
    values(&g, transposed, FLV_F64, p);
    for (int i = 0; i < 4; i++) NEAR(p[i], right[transposed][i], 1e-12);
  }
  free_graphs(&g);
  make_graphs(&g, 1, four + 2, true);
  values(&g, false, FLV_F64, p);
  NEAR(p[0], 2.408970873402, 1e-12);
  free_graphs(&g);
}

static void all_published_rewards(void **state) {
  (void)state;
  if (!molecules) skip();
  published g;
  static double p[PUBLISHED], transposed[PUBLISHED], narrow[PUBLISHED];
  make_graphs(&g, PUBLISHED, molecules, false);
  values(&g, false, FLV_F64, p);
  values(&g, true, FLV_F64, transposed);
  values(&g, false, FLV_F32, narrow);
  double far = 0.0, worst[3] = {0};
  for (int i = 0; i < PUBLISHED; i++) {
    const double reward = exp(10.0 * flv_mpnn_log_reward(p[i], 0.1, 8.0));
    worst[0] = fmax(worst[0], fabs(reward / stored_reward[i] - 1.0));
    worst[1] = fmax(worst[1], fabs(p[i] - stored_value[i]));
    worst[2] = fmax(worst[2], fabs(narrow[i] - p[i]));
    far += fabs(transposed[i] - p[i]) / PUBLISHED;
  }
  print_message("%d molecules: rewards to %.1e, values to %.1e, in float to %.1e\n", PUBLISHED,
                worst[0], worst[1], worst[2]);
  assert_true(worst[0] < 1e-10);
  assert_true(worst[1] < 1e-12);
  assert_true(worst[2] < 2e-5);
  NEAR(far, 0.72, 0.005); // the other orientation is another reward
  free_graphs(&g);
}

// tools/convert_molecule_reward.py, of both forms in which the weights are to be had.
static void converted_weights_are_the_same(void **state) {
  (void)state;
  static const char *const forms[] = {"proxy_params.f32", "best_params.pkl.gz"};
  if (!molecules || system("python3 --version >/dev/null 2>&1") != 0) skip();
  published g;
  double p[20], converted[20];
  make_graphs(&g, 20, molecules, false);
  values(&g, false, FLV_F64, p);
  for (int i = 0; i < 2; i++) {
    char command[3000];
    if (!data_path(forms[i])) continue;
    snprintf(command, sizeof command, "python3 tools/convert_molecule_reward.py '%s' '%s' >'%s'",
             data_path(forms[i]), in("converted.safetensors"), in("said"));
    assert_int_equal(system(command), 0);
    values_of(in("converted.safetensors"), &g, false, FLV_F64, converted);
    assert_memory_equal(p, converted, sizeof p);
  }
  free_graphs(&g);
}

static int set_up(void **state) {
  if (data_path("eval_mols.tsv") && data_path("blocks_PDB_105.json") &&
      data_path("proxy_params.f32")) {
    molecules = calloc(PUBLISHED, sizeof *molecules);
    if (!molecules) return -1;
    read_published(molecules, stored_reward, stored_value);
  } else {
    print_message("skipped: FLUVIAL_DATA has no molecules\n");
  }
  return make_folder(state);
}

static int tear_down(void **state) {
  free(molecules);
  return drop_folder(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_of_four_molecules),
      cmocka_unit_test(all_published_rewards),
      cmocka_unit_test(converted_weights_are_the_same),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
