// libFuzzer target: any bytes as a configuration. What is accepted must be written and read back to
// the same values; what is refused must leave the configuration as it was, with one line of
// message.
//
//   clang -std=c17 -D_DEFAULT_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
//     fuzz/fuzz_yaml.c src/base/config.c src/base/config_values.c src/base/status.c src/io/yaml.c \
//     src/io/file.c -lyaml -lm -o fuzz_yaml && ./fuzz_yaml -max_len=4096

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "io/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYS(X)                                                                                    \
  X(INT, a, "8", 2, 65535, "", "")                                                                 \
  X(LONG, b, "0", -9e18, 9e18, "", "")                                                             \
  X(REAL, c, "0.5", -1e300, 1e300, "", "")                                                         \
  X(BOOL, d, "no", 0, 0, "", "")                                                                   \
  X(TEXT, e, "", 0, 0, "", "")                                                                     \
  X(CHOICE, f, "x", 0, 0, "x|y|none", "")                                                          \
  X(INTS, g, "[1]", -5, 100, "", "")                                                               \
  X(REALS, h, "[]", -1e10, 1e10, "", "")
typedef struct all_cfg {
  KEYS(FLV_FIELD)
} all_cfg;
#define FLV_STRUCT all_cfg
static const flv_param params[] = {KEYS(FLV_PARAM)};
#undef FLV_STRUCT
static const flv_component first = {"first", "", params, 8, sizeof(all_cfg), NULL};
static const flv_component second = {"second", "", params, 3, sizeof(all_cfg), NULL};
static const flv_component *const top[] = {&second, NULL}, *const both[] = {&first, &second, NULL};
static const flv_section sections[] = {
    {"", "", top}, {"s", "a thing: t", both}, {NULL, NULL, NULL}};

static void must(int holds) {
  if (!holds) abort();
}

static void must_be_same(const flv_config *a, const flv_config *b) {
  for (const flv_section *s = sections; s->name; s++) {
    must(flv_config_component(a, s->name) == flv_config_component(b, s->name));
    must(memcmp(flv_config_values(a, s->name), flv_config_values(b, s->name), sizeof(all_cfg)) ==
         0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  flv_error err = {0};
  flv_config *cfg = flv_config_create(sections, NULL), *other = flv_config_create(sections, NULL);
  must(cfg && other);
  const flv_status status = flv_config_parse(cfg, "f", (const char *)data, size, &err);
  if (status == FLV_OK) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    must(out && flv_config_write(cfg, out, &err) == FLV_OK);
    fclose(out);
    must(flv_config_parse(other, "f", text, length, &err) == FLV_OK);
    free(text);
  } else {
    must(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n"));
  }
  must_be_same(cfg, other);
  flv_config_free(other);
  flv_config_free(cfg);
  return 0;
}
