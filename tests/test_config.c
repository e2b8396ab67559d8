// Configuration: every kind of value, its bounds and messages; selecting components.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define FOUR(text) text text text text

static void defaults_are_the_table(void **state) {
  (void)state;
  flv_config *cfg = make();
  const top_cfg *t = flv_config_values(cfg, "");
  const grid_cfg *g = flv_config_values(cfg, "env");
  assert_true(t->seed == 0 && t->iterations == 1000000 && t->title[0] == '\0');
  assert_true(g->side == 8 && g->sides.n == 2 && g->sides.v[1] == 8 && !g->wrap && g->corner == 0);
  assert_true(g->r0 == 1e-3 && isinf(g->limit) && g->weights.n == 2 && g->weights.v[1] == 0.75);
  assert_string_equal(flv_config_component(cfg, "objective")->name, "tb");
  assert_null(flv_config_component(cfg, "nothing"));
  assert_null(flv_config_values(cfg, "nothing"));
  flv_config_free(cfg);
  flv_config_free(NULL);
}

static void every_kind_is_set_and_shown(void **state) {
  (void)state;
  flv_config *cfg = make();
  static const char *const rows[][3] = {
      {"seed", "9223372036854775807", "9223372036854775807"},
      {"seed", "1e3", "1000"},
      {"seed", " 7 ", "7"},
      {"iterations", "2.5e6", "2500000"},
      {"env.side", "64", "64"},
      {"env.side", "+8.0", "8"},
      {"env.sides", "[16, 2,65535]", "[16, 2, 65535]"},
      {"env.sides", "4,5", "[4, 5]"},
      {"env.sides", " 1e2 ", "[100]"},
      {"env.sides", "[ ]", "[]"},
      {"env.sides", "2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2",
       "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]"},
      {"env.weights", "[3e-4, -1, .5]", "[3e-4, -1, 0.5]"},
      {"env.wrap", "Yes", "true"},
      {"env.wrap", "off", "false"},
      {"env.wrap", "TRUE", "true"},
      {"env.wrap", "no", "false"},
      {"env.wrap", "on", "true"},
      {"env.corner", "high", "high"},
      {"env.r0", "0.10", "0.1"},
      {"env.r0", "4.9e-324", "5e-324"},
      {"env.limit", ".inf", "inf"},
      {"env.limit", "1e308", "1e308"},
      {"env.path", "a \"b\" \\ c: #é", "a \"b\" \\ c: #é"},
      {"objective", "db", "db"},
      {"objective.name", "tb", "tb"},
  };
  for (int i = 0; i < COUNT(rows); i++) assert_set(cfg, rows[i][0], rows[i][1], rows[i][2]);
  flv_config_free(cfg);
}

static void reals_are_shortest(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } rows[] = {{0.0, "0"},
              {-0.0, "-0"},
              {1.0, "1"},
              {10.0, "10"},
              {100.0, "100"},
              {1000.0, "1e3"},
              {1234567.0, "1234567"},
              {0.1, "0.1"},
              {0.01, "0.01"},
              {-0.001, "-1e-3"},
              {3e-4, "3e-4"},
              {12.5, "12.5"},
              {0.00125, "0.00125"},
              {1e-300, "1e-300"},
              {0.1 + 0.2, "0.30000000000000004"},
              {1.0 / 3.0, "0.3333333333333333"},
              {1.7976931348623157e308, "1.7976931348623157e308"},
              {2.2250738585072014e-308, "2.2250738585072014e-308"},
              {5e-324, "5e-324"},
              {HUGE_VAL, "inf"},
              {-HUGE_VAL, "-inf"}};
  for (int i = 0; i < COUNT(rows); i++) {
    char text[FLV_REAL_TEXT];
    flv_real_format(rows[i].value, text);
    assert_string_equal(text, rows[i].text);
  }
}

// Doubles of all magnitudes: random bits, by a linear congruence.
static void reals_read_back_to_the_same_bits(void **state) {
  (void)state;
  uint64_t bits64 = 12345;
  for (int i = 0; i < 20000; i++) {
    bits64 = bits64 * 6364136223846793005u + 1442695040888963407u;
    const uint64_t mixed = bits64 ^ bits64 >> 29;
    double value;
    memcpy(&value, &mixed, sizeof value);
    if (!isfinite(value)) continue;
    char text[FLV_REAL_TEXT];
    flv_real_format(value, text);
    assert_true(strlen(text) < FLV_REAL_TEXT - 1);
    const double back = strtod(text, NULL);
    assert_memory_equal(&back, &value, sizeof value);
  }
}

static void numbers_ignore_the_locale(void **state) {
  (void)state;
  static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
  int i = 0;
  while (i < COUNT(commas) && !setlocale(LC_ALL, commas[i])) i++;
  if (i == COUNT(commas)) skip(); // no locale with a decimal comma is installed
  flv_config *cfg = make();
  assert_set(cfg, "env.r0", "0.25", "0.25");
  flv_config_free(cfg);
  setlocale(LC_ALL, "C");
}

static void wrong_values_are_refused(void **state) {
  (void)state;
  flv_config *cfg = make();
  static const char *const rows[][3] = {
      {"env.side", "100000", "env.side: 100000 is out of range [2, 65535]"},
      {"env.side", "1", "env.side: 1 is out of range [2, 65535]"},
      {"env.side", "1e99", "env.side: 1e99 is out of range [2, 65535]"},
      {"env.side", "99999999999999999999",
       "env.side: 99999999999999999999 is out of range [2, 65535]"},
      {"env.side", "8.5", "env.side: expected a whole number, got '8.5'"},
      {"env.side", "8x", "env.side: expected a whole number, got '8x'"},
      {"env.side", "0x10", "env.side: expected a whole number, got '0x10'"},
      {"env.side", "", "env.side: expected a whole number, got ''"},
      {"env.side", "nan", "env.side: expected a whole number, got 'nan'"},
      {"seed", "-1", "seed: -1 is out of range [0, 9223372036854775808]"},
      {"seed", "9223372036854775808",
       "seed: 9223372036854775808 is out of range [0, 9223372036854775808]"},
      {"seed", "1e18", "seed: expected all digits of a whole number, got '1e18'"},
      {"env.r0", "-0.5", "env.r0: -0.5 is out of range [0, 1e6]"},
      {"env.r0", "inf", "env.r0: inf is out of range [0, 1e6]"},
      {"env.r0", "nan", "env.r0: expected a number, got 'nan'"},
      {"env.r0", "1e400", "env.r0: 1e400 does not fit a double"},
      {"env.r0", "1e-400", "env.r0: 1e-400 does not fit a double"},
      {"env.r0", "1,5", "env.r0: expected a number, got '1,5'"},
      {"env.wrap", "maybe", "env.wrap: expected true or false, got 'maybe'"},
      {"env.corner", "midle",
       "env.corner: 'midle' is not one of low|middle|high; did you mean 'middle'?"},
      {"env.corner", "west", "env.corner: 'west' is not one of low|middle|high"},
      {"env.corner", "low|middle",
       "env.corner: 'low|middle' is not one of low|middle|high; did you mean "
       "'middle'?"},
      {"env.sides", "[8, 1]", "env.sides: 1 is out of range [2, 65535]"},
      {"env.sides", "[8, 8", "env.sides: expected a list of whole numbers, got '[8, 8'"},
      {"env.sides", "[8,]", "env.sides: expected a whole number, got ''"},
      {"env.sides", "", "env.sides: expected a whole number, got ''"},
      {"env.sides", FOUR(FOUR(FOUR("2,2,"))) "2", "env.sides: at most 128 entries"},
      {"env.weights", "[0.5, x]", "env.weights: expected a number, got 'x'"},
      {"env.path", "a\nb", "env.path: expected printable UTF-8 text, got 'a?b'"},
      {"env.path", "\xff", "env.path: expected printable UTF-8 text, got '\xff'"},
      {"env.path", "\xc0\x80", "env.path: expected printable UTF-8 text, got '\xc0\x80'"},
      {"env.path", "\xe2\x80\xa8", "env.path: expected printable UTF-8 text, got '\xe2\x80\xa8'"},
  };
  for (int i = 0; i < COUNT(rows); i++) assert_refused(cfg, rows[i][0], rows[i][1], rows[i][2]);
  char text[FLV_TEXT_MAX + 1];
  memset(text, 'x', FLV_TEXT_MAX);
  text[FLV_TEXT_MAX] = '\0';
  assert_refused(cfg, "env.path", text, "env.path: a text of 256 bytes is too long (at most 255)");
  text[FLV_TEXT_MAX - 1] = '\0';
  assert_set(cfg, "env.path", text, text);
  flv_config_free(cfg);
}

static void wrong_keys_are_refused(void **state) {
  (void)state;
  flv_config *cfg = make();
  static const char *const rows[][3] = {
      {"env.sdie", "8", "unknown key 'env.sdie'; did you mean 'env.side'?"},
      {"env.nmae", "bits", "unknown key 'env.nmae'; did you mean 'env.name'?"},
      {"enb.side", "8", "unknown key 'enb.side'; did you mean 'env.side'?"},
      {"evn", "bits", "unknown key 'evn'; did you mean 'env'?"},
      {"side", "8", "unknown key 'side'; did you mean 'env.side'?"},
      {"sede", "8", "unknown key 'sede'; did you mean 'seed'?"},
      {"env.length", "8", "unknown key 'env.length'; it belongs to 'bits', not to 'hypergrid'"},
      {"env.qqq", "8", "unknown key 'env.qqq'"},
      {"qqqq", "8", "unknown key 'qqqq'"},
      {".seed", "8", "unknown key '.seed'; did you mean 'seed'?"},
      {"", "8", "unknown key ''"},
      {".", "8", "unknown key '.'"},
      {"env", "hypergird",
       "env: no environment 'hypergird'; did you mean 'hypergrid'? (one of: hypergrid, bits)"},
      {"env.name", "x", "env: no environment 'x' (one of: hypergrid, bits)"},
      {"objective", "TB", "objective: no objective 'TB' (one of: tb, db)"},
  };
  for (int i = 0; i < COUNT(rows); i++) assert_refused(cfg, rows[i][0], rows[i][1], rows[i][2]);
  char text[4];
  flv_error err = {0};
  assert_int_equal(flv_config_get(cfg, "env.sides", text, sizeof text, &err), FLV_EINVAL);
  assert_string_equal(err.text, "env.sides: its text needs 7 bytes, not 4");
  assert_int_equal(flv_config_get(cfg, "env.sdie", text, sizeof text, &err), FLV_EINVAL);
  assert_string_equal(err.text, "unknown key 'env.sdie'; did you mean 'env.side'?");
  flv_config_free(cfg);
}

static void selecting_a_component_brings_its_defaults(void **state) {
  (void)state;
  flv_config *cfg = make();
  assert_set(cfg, "env.side", "64", "64");
  assert_set(cfg, "env", "hypergrid", "hypergrid"); // selected already: values stay
  assert_set(cfg, "env.side", "64", "64");
  assert_set(cfg, "env", "bits", "bits");
  assert_int_equal(((const bits_cfg *)flv_config_values(cfg, "env"))->length, 16);
  assert_set(cfg, "env.name", "hypergrid", "hypergrid");
  assert_int_equal(((const grid_cfg *)flv_config_values(cfg, "env"))->side, 8);
  flv_config_free(cfg);
}

static void names_have_neighbours(void **state) {
  (void)state;
  static const char *const names[] = {"hypergrid", "bits", "tb", "modified_db"};
  assert_int_equal(flv_nearest_name("hypergird", 4, names), 0);
  assert_int_equal(flv_nearest_name("bit", 4, names), 1);
  assert_int_equal(flv_nearest_name("tbb", 4, names), 2);
  assert_int_equal(flv_nearest_name("modifed-db", 4, names), 3);
  assert_int_equal(flv_nearest_name("zzzz", 4, names), -1);
  assert_int_equal(flv_nearest_name("", 4, names), -1);
  assert_int_equal(flv_name_distance("side", "sdie"), 1);
  assert_int_equal(flv_name_distance("kitten", "sitten"), 1);
  assert_int_equal(flv_name_distance("abc", "abc"), 0);
  assert_int_equal(flv_name_distance("sunday", "saturday"), 3);
}

static void faulty_tables_are_refused(void **state) {
  (void)state;
  static const flv_param reserved = {"name", FLV_INT, 0, "1", 0, 2, "", ""};
  static const flv_param outside = {"a", FLV_REAL, 4, "1", 0, 2, "", ""};
  static const flv_param refused = {"a", FLV_INT, 0, "3", 0, 2, "", ""};
  static const struct {
    const flv_param *param;
    const char *message;
  } rows[] = {{&reserved, "table of 'c': default of 'name': a reserved name"},
              {&outside, "table of 'c': default of 'a': outside its struct"},
              {&refused, "table of 'c': default of 'a': 3 is out of range [0, 2]"}};
  for (int i = 0; i < COUNT(rows); i++) {
    const flv_component c = {"c", "", rows[i].param, 1, 8, NULL};
    const flv_component *const list[] = {&c, NULL};
    const flv_section table[] = {{"s", "", list}, {NULL, NULL, NULL}};
    flv_error err = {0};
    assert_null(flv_config_create(table, &err));
    assert_string_equal(err.text, rows[i].message);
  }
}

#define MINE_KEYS(X) X(REAL, delta, "0.5", 0, 1, "", "where it bends")
typedef struct mine_cfg {
  MINE_KEYS(FLV_FIELD)
} mine_cfg;
#define FLV_STRUCT mine_cfg
static const flv_param mine_params[] = {MINE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
static const flv_component mine = {"mine",           "",  mine_params, COUNT(mine_params),
                                   sizeof(mine_cfg), NULL};

static void a_component_from_outside_the_list(void **state) {
  (void)state;
  flv_config *cfg = make();
  flv_error err = {0};
  assert_int_equal(flv_config_use(cfg, "objective", &mine, &err), FLV_OK);
  assert_set(cfg, "objective.delta", "0.25", "0.25");
  flv_config *copy = flv_config_clone(cfg, &err);
  assert_non_null(copy);
  assert_ptr_equal(flv_config_component(copy, "objective"), &mine);
  assert_true(((const mine_cfg *)flv_config_values(copy, "objective"))->delta == 0.25);
  assert_refused(cfg, "objective.delta", "2", "objective.delta: 2 is out of range [0, 1]");
  assert_set(cfg, "objective", "db", "db"); // and back to one of the list
  assert_int_equal(flv_config_use(cfg, "nothing", &mine, &err), FLV_EINVAL);
  assert_string_equal(err.text, "there is no section 'nothing'");
  flv_config_free(copy);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_the_table),
      cmocka_unit_test(every_kind_is_set_and_shown),
      cmocka_unit_test(reals_are_shortest),
      cmocka_unit_test(reals_read_back_to_the_same_bits),
      cmocka_unit_test(numbers_ignore_the_locale),
      cmocka_unit_test(wrong_values_are_refused),
      cmocka_unit_test(wrong_keys_are_refused),
      cmocka_unit_test(selecting_a_component_brings_its_defaults),
      cmocka_unit_test(names_have_neighbours),
      cmocka_unit_test(faulty_tables_are_refused),
      cmocka_unit_test(a_component_from_outside_the_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
