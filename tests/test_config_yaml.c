// Configuration from YAML and back, bit for bit; files that are no configuration.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_fixture.h"
#include "io/yaml.h"

static void parse(flv_config *cfg, const char *text) {
  flv_error err = {0};
  if (flv_config_parse(cfg, "file.yaml", text, strlen(text), &err) != FLV_OK)
    fail_msg("%s", err.text);
}

static void assert_not_parsed(const char *text, size_t size, const char *message) {
  flv_error err = {0};
  flv_config *cfg = make(), *before = make();
  assert_int_equal(flv_config_parse(cfg, "file.yaml", text, size, &err), FLV_EINVAL);
  assert_string_equal(err.text, message);
  assert_same(cfg, before);
  assert_int_equal(flv_config_parse(cfg, "file.yaml", text, size, NULL), FLV_EINVAL);
  flv_config_free(before);
  flv_config_free(cfg);
}

static char *written(const flv_config *cfg) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  flv_error err = {0};
  assert_non_null(out);
  assert_int_equal(flv_config_write(cfg, out, &err), FLV_OK);
  fclose(out);
  return text;
}

static void yaml_forms(void **state) {
  (void)state;
  flv_config *cfg = make();
  parse(cfg, "seed: 3\nenv:\n  length: 12\n  name: bits\nobjective: db\n");
  assert_int_equal(((const bits_cfg *)flv_config_values(cfg, "env"))->length, 12);
  assert_string_equal(flv_config_component(cfg, "objective")->name, "db");
  assert_true(((const top_cfg *)flv_config_values(cfg, ""))->seed == 3);
  parse(cfg, "env: hypergrid"); // defaults of the newly selected
  assert_int_equal(((const grid_cfg *)flv_config_values(cfg, "env"))->side, 8);
  parse(cfg, "env: {side: 5, sides: [3, 4, 1e1], weights: 0.5, path: \"a: b\", wrap: yes}");
  const grid_cfg *g = flv_config_values(cfg, "env");
  assert_true(g->side == 5 && g->sides.n == 3 && g->sides.v[2] == 10 && g->wrap);
  assert_true(g->weights.n == 1 && g->weights.v[0] == 0.5);
  assert_string_equal(g->path, "a: b");
  parse(cfg, "env:\n  sides:\n    - 7\n    - 9\n"); // over the present values
  g = flv_config_values(cfg, "env");
  assert_true(g->side == 5 && g->sides.n == 2 && g->sides.v[1] == 9);
  parse(cfg, "\xef\xbb\xbfseed: &a 4\r\nenv:\r\n  side: *a\r\n"); // byte-order mark, CRLF, alias
  assert_int_equal(((const grid_cfg *)flv_config_values(cfg, "env"))->side, 4);
  flv_config_free(cfg);
}

static void empty_yaml_changes_nothing(void **state) {
  (void)state;
  static const char *const texts[] = {"",  "# only a comment\n",  "---\n",
                                      "~", "env:\n  # side: 8\n", "{}"};
  for (int i = 0; i < COUNT(texts); i++) {
    flv_config *cfg = make(), *before = make();
    parse(cfg, texts[i]);
    assert_same(cfg, before);
    flv_config_free(before);
    flv_config_free(cfg);
  }
}

static void yaml_errors_name_the_line(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"seed: 1\n\nenv:\n  name: hypergrid\n\n  # typo\n  sdie: 8\n",
       "file.yaml:7: env.sdie: unknown key; did you mean 'side'?"},
      {"env:\n  side: 100000\n", "file.yaml:2: env.side: 100000 is out of range [2, 65535]"},
      {"env:\n  sides:\n    - 8\n    - 1\n",
       "file.yaml:3: env.sides: 1 is out of range [2, 65535]"},
      {"env:\n  sides: [8, [8]]\n",
       "file.yaml:2: env.sides: expected a list of whole numbers, got a list"},
      {"env:\n  sides: [\"1,2\"]\n",
       "file.yaml:2: env.sides: expected a list of whole numbers, got '1,2'"},
      {"env:\n  side: [8]\n", "file.yaml:2: env.side: expected a whole number, got a list"},
      {"env:\n  side:\n    a: 1\n",
       "file.yaml:3: env.side: expected a whole number, got a mapping"},
      {"env:\n  side: 8\n  length: 3\n",
       "file.yaml:3: env.length: unknown key; it belongs to 'bits', not to 'hypergrid'"},
      {"env:\n  side: 8\n  side: 9\n", "file.yaml:3: side: given twice, first on line 2"},
      {"seed: 1\nseed: 1\n", "file.yaml:2: seed: given twice, first on line 1"},
      {"env:\n  name: bits\n  length: 2\n  name: bits\n",
       "file.yaml:4: name: given twice, first on line 2"},
      {"\nenv: hypergird\n", "file.yaml:2: env: no environment 'hypergird'; did you mean "
                             "'hypergrid'? (one of: hypergrid, bits)"},
      {"env:\n  side: 3\n  name: [a]\n", "file.yaml:3: env: expected a name, got a list"},
      {"env: [a]\n", "file.yaml:1: env: expected a name or a mapping, got a list"},
      {"evn:\n  side: 3\n", "file.yaml:1: evn: unknown key; did you mean 'env'?"},
      {"env.side: 3\n", "file.yaml:1: env.side: unknown key; the keys of a section are written "
                        "below its name, indented"},
      {"side: 3\n", "file.yaml:1: side: unknown key; did you mean 'env.side'?"},
      {"[a]: 3\n", "file.yaml:1: a key: expected a word, got a list"},
      {"? {a: b}\n: 3\n", "file.yaml:1: a key: expected a word, got a mapping"},
      {"- a\n- b\n", "file.yaml:1: expected keys and values, as in 'seed: 1'"},
      {"hello\n", "file.yaml:1: expected keys and values, as in 'seed: 1'"},
      {"seed: 1\n---\nseed: 2\n", "file.yaml:3: a second document; a configuration is one"},
      {"env:\n  path: \"a\\0b\"\n", "file.yaml:2: env.path: expected a text, got 'a'"},
      {"env:\n  path: \"a\\nb\"\n",
       "file.yaml:2: env.path: expected printable UTF-8 text, got 'a?b'"},
      {"env: {side: 8\nseed: 1\n",
       "file.yaml:2:5: did not find expected ',' or '}', while parsing a flow "
       "mapping that begins on line 1"},
      {"env:\n\tside: 8\n",
       "file.yaml:2:1: found character that cannot start any token, while scanning for "
       "the next token that begins on line 2"},
      {"seed: 1\nenv: \x01\n", "file.yaml:2:6: control characters are not allowed"},
      {"seed: \xff\n", "file.yaml:1:7: invalid leading UTF-8 octet"},
      {"seed: *x\n", "file.yaml:1:7: found undefined alias"},
  };
  for (int i = 0; i < COUNT(rows); i++)
    assert_not_parsed(rows[i][0], strlen(rows[i][0]), rows[i][1]);
  char deep[40000]; // would take libyaml seconds
  memset(deep, '[', sizeof deep);
  assert_not_parsed(deep, sizeof deep, "file.yaml:1: nested more than 16 deep");
  assert_not_parsed("seed: 1\nenv\0", 12, "file.yaml:2:4: control characters are not allowed");
}

static void written_yaml_is_tidy(void **state) {
  (void)state;
  flv_config *cfg = make();
  assert_set(cfg, "title", "yes", "yes");
  char *text = written(cfg);
  assert_string_equal(text, "seed: 0\niterations: 1000000\ntitle: \"yes\"\n\n"
                            "env:\n  name: hypergrid\n  side: 8\n  sides: [8, 8]\n  wrap: false\n"
                            "  corner: low\n  r0: 1e-3\n  limit: inf\n  weights: [0.5, 0.75]\n"
                            "  path: \"\"\n\nobjective: tb\n");
  free(text);
  flv_config_free(cfg);
}

static void written_yaml_reads_back_bit_for_bit(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"seed", "9223372036854775807"},
      {"iterations", "999999999999999"},
      {"title", "  spaces, \"quotes\", \\ and # é 漢 😀: [x] {y} 'z' &a *b !c | > % @ `  "},
      {"env.side", "65535"},
      {"env.sides", "[]"},
      {"env.wrap", "true"},
      {"env.corner", "high"},
      {"env.r0", "0.30000000000000004"},
      {"env.limit", "4.9e-324"},
      {"env.weights",
       "0.1,1e-300,3e-4,-0,1e300,0.1000000000000000055511151231257827,-2.2250738585072014e-308,"
       "0.3333333333333333,123456789.12345678"},
      {"env.path", "null"},
      {"objective", "db"},
  };
  flv_config *cfg = make(), *back = make();
  for (int i = 0; i < COUNT(rows); i++)
    assert_int_equal(flv_config_set(cfg, rows[i][0], rows[i][1], NULL), FLV_OK);
  const grid_cfg *g = flv_config_values(cfg, "env");
  assert_true(g->weights.n == 9 && g->weights.v[0] == 0.1 && signbit(g->weights.v[3]));
  char *text = written(cfg);
  parse(back, text);
  assert_same(cfg, back);
  free(text);
  assert_int_equal(flv_config_set(cfg, "env", "bits", NULL), FLV_OK);
  text = written(cfg);
  parse(back, text);
  assert_same(cfg, back);
  free(text);
  flv_config_free(back);
  flv_config_free(cfg);
}

static void a_full_disk_is_reported(void **state) {
  (void)state;
  flv_config *cfg = make();
  flv_error err = {0};
  FILE *full = fopen("/dev/full", "w");
  assert_non_null(full);
  setvbuf(full, NULL, _IONBF, 0);
  assert_int_equal(flv_config_write(cfg, full, &err), FLV_EIO);
  assert_string_equal(err.text, "cannot write the configuration: No space left on device");
  fclose(full);
  flv_config_free(cfg);
}

static void files_that_are_no_configuration(void **state) {
  (void)state;
  flv_config *cfg = make(), *before = make();
  flv_error err = {0};
  assert_int_equal(flv_config_load(cfg, "/nonexistent/a.yaml", &err), FLV_EIO);
  assert_string_equal(err.text, "/nonexistent/a.yaml: cannot read: No such file or directory");
  assert_int_equal(flv_config_load(cfg, "/", &err), FLV_EIO);
  assert_string_equal(err.text, "/: cannot read: Is a directory");
  assert_int_equal(flv_config_load(cfg, "/dev/zero", &err), FLV_EIO);
  assert_string_equal(err.text, "/dev/zero: too large: more than 65536 bytes");
  char path[] = "/tmp/flv_config_XXXXXX", message[128];
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, 100 << 20), 0);
  assert_int_equal(flv_config_load(cfg, path, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: too large: more than 65536 bytes", path);
  assert_string_equal(err.text, message);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(flv_config_load(cfg, path, &err), FLV_OK);
  assert_same(cfg, before);
  assert_int_equal(write(fd, "env: {side: 9}", 14), 14);
  assert_int_equal(flv_config_load(cfg, path, &err), FLV_OK);
  assert_int_equal(((const grid_cfg *)flv_config_values(cfg, "env"))->side, 9);
  close(fd);
  unlink(path);
  flv_config_free(before);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(yaml_forms),
      cmocka_unit_test(empty_yaml_changes_nothing),
      cmocka_unit_test(yaml_errors_name_the_line),
      cmocka_unit_test(written_yaml_is_tidy),
      cmocka_unit_test(written_yaml_reads_back_bit_for_bit),
      cmocka_unit_test(a_full_disk_is_reported),
      cmocka_unit_test(files_that_are_no_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
