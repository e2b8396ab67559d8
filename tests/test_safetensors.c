// Checkpoint files: there and back, and every truncation and every flipped bit refused.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/file.h"
#include "io/safetensors.h"

enum { N = 6 };

// One set of tensors of every type, with awkward values and shapes.
typedef struct arrays {
  uint8_t bytes[5];
  float weight[6];
  double scalar, empty[1];
  int32_t counts[3];
  int64_t step[1];
} arrays;

static const arrays filled = {.bytes = {0, 1, 127, 128, 255},
                              .weight = {0.1f, -0.0f, HUGE_VALF, 1e-45f, 3e38f, -1.0f},
                              .scalar = 5e-324,
                              .empty = {7.0},
                              .counts = {INT32_MIN, -1, INT32_MAX},
                              .step = {INT64_MIN}};

static void describe(arrays *a, flv_tensor t[N]) {
  const flv_tensor list[N] = {{"bytes", FLV_U8, 1, {5}, a->bytes},
                              {"pf.0.weight", FLV_F32, 2, {2, 3}, a->weight},
                              {"scalar", FLV_F64, 0, {0}, &a->scalar},
                              {"empty", FLV_F64, 3, {4, 0, 2}, NULL},
                              {"counts", FLV_I32, 4, {1, 3, 1, 1}, a->counts},
                              {"a \"name\" é", FLV_I64, 1, {1}, a->step}};
  memcpy(t, list, sizeof list);
}

static const flv_meta meta[] = {{"format", "fluvial"}, {"config", "env:\n  name: \"a\\b\"\n#é\n"}};

static char path[] = "/tmp/flv_safetensors_XXXXXX";
static char *bytes; // of a good file
static size_t size;

static int write_one(void **state) {
  (void)state;
  const int fd = mkstemp(path);
  if (fd < 0) return -1;
  close(fd);
  arrays a = filled;
  flv_tensor t[N];
  describe(&a, t);
  if (flv_safetensors_write(path, N, t, 2, meta, NULL) != FLV_OK) return -1;
  return flv_file_read(path, &bytes, &size, NULL) == FLV_OK ? 0 : -1;
}

static int remove_one(void **state) {
  (void)state;
  free(bytes);
  return unlink(path);
}

static void put(const char *data, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

// Exactly this message, the name of the file before it, and not a byte of the tensors touched.
static void assert_refused(const char *data, size_t n, const char *message) {
  flv_error err = {0};
  arrays a, before;
  flv_tensor t[N];
  memset(&a, 0x5a, sizeof a);
  before = a;
  describe(&a, t);
  assert_int_equal(flv_safetensors_parse("x.safetensors", data, n, N, t, &err), FLV_EINVAL);
  assert_memory_equal(&a, &before, sizeof a);
  assert_int_equal(strncmp(err.text, "x.safetensors: ", 15), 0);
  if (message) assert_string_equal(err.text + 15, message);
}

static void there_and_back(void **state) {
  (void)state;
  arrays a, expected = filled;
  memset(&a, 0, sizeof a);
  expected.empty[0] = 0.0;
  flv_tensor t[N], reversed[N];
  describe(&a, t);
  for (int i = 0; i < N; i++) reversed[i] = t[N - 1 - i]; // any order
  flv_error err = {0};
  put(bytes, size);
  if (flv_safetensors_read(path, N, reversed, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_memory_equal(a.bytes, expected.bytes, sizeof a.bytes);
  assert_memory_equal(a.weight, expected.weight, sizeof a.weight);
  assert_memory_equal(&a.scalar, &expected.scalar, sizeof a.scalar);
  assert_memory_equal(a.counts, expected.counts, sizeof a.counts);
  assert_memory_equal(a.step, expected.step, sizeof a.step);
  for (int i = 0; i < 2; i++) {
    char *value = flv_safetensors_meta(path, meta[i].key, &err);
    assert_non_null(value);
    assert_string_equal(value, meta[i].value);
    free(value);
  }
  assert_null(flv_safetensors_meta(path, "absent", &err));
  assert_non_null(strstr(err.text, ": no metadata 'absent'"));
}

// What the format asks: length, JSON padded to a multiple of 8, elements at multiples of their
// width.
static void the_layout(void **state) {
  (void)state;
  uint64_t length;
  memcpy(&length, bytes, 8);
  assert_int_equal(length % 8, 0);
  assert_int_equal(size, 8 + length + 8 + 8 + 24 + 12 + 5);
  const char *data = bytes + 8 + length;
  assert_memory_equal(data, &filled.scalar,
                      8); // doubles and 64-bit integers first, then floats, bytes last
  assert_memory_equal(data + 8, filled.step, 8);
  assert_memory_equal(data + 16, filled.weight, 24);
  assert_memory_equal(data + 40, filled.counts, 12);
  assert_memory_equal(data + 52, filled.bytes, 5);
}

static void the_same_tensors_give_the_same_bytes(void **state) {
  (void)state;
  arrays a = filled;
  flv_tensor t[N];
  describe(&a, t);
  char *again;
  size_t n;
  assert_int_equal(flv_safetensors_write(path, N, t, 2, meta, NULL), FLV_OK);
  assert_int_equal(flv_file_read(path, &again, &n, NULL), FLV_OK);
  assert_int_equal(n, size);
  assert_memory_equal(again, bytes, size);
  free(again);
}

static void nothing_but_metadata(void **state) {
  (void)state;
  flv_error err = {0};
  if (flv_safetensors_write(path, 0, NULL, 0, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  if (flv_safetensors_read(path, 0, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  for (size_t n = 0; n < size; n++) {
    char *part = malloc(n ? n : 1); // of its own size, so that the sanitizer sees a read beyond it
    assert_non_null(part);
    memcpy(part, bytes, n);
    assert_refused(part, n, NULL);
    free(part);
  }
  char message[80];
  snprintf(message, sizeof message, "truncated: 40 bytes of data, the header says 57");
  assert_refused(bytes, size - 17, message);
  assert_refused(bytes, 5, "truncated: 5 bytes in all");
  char *more = calloc(1, size + 3);
  assert_non_null(more);
  memcpy(more, bytes, size);
  assert_refused(more, size + 3, "60 bytes of data, the header says 57");
  free(more);
}

static void every_flipped_bit_is_refused(void **state) {
  (void)state;
  for (size_t bit = 0; bit < 8 * size; bit++) {
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    assert_refused(bytes, size,
                   bit >= 8 * (size - 57) ? "checksum mismatch, the file was altered" : NULL);
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
  }
}

static void altered_metadata_is_refused(void **state) {
  (void)state;
  flv_error err = {0};
  char *copy = malloc(size), *at;
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  at = strstr(copy + 8, "fluvial");
  assert_non_null(at);
  *at = 'F';
  put(copy, size);
  assert_null(flv_safetensors_meta(path, "format", &err));
  assert_non_null(strstr(err.text, ": checksum mismatch, the file was altered"));
  free(copy);
}

static void other_files_are_refused(void **state) {
  (void)state;
  static const char text[] = "env:\n  name: hypergrid\n";
  assert_refused(text, sizeof text, "not a safetensors file");
  static const char foreign[] =
      "\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":"
      "[0,1]}}                 x";
  assert_refused(foreign, sizeof foreign - 1,
                 "no checksum: not a checkpoint of fluvial, or altered");
  flv_error err = {0};
  assert_int_equal(flv_safetensors_read("/nonexistent", 0, NULL, &err), FLV_EIO);
  assert_string_equal(err.text, "/nonexistent: cannot read: No such file or directory");
}

// A file with a right checksum around any header: the digits are those of the file with zeros in
// their place.
static size_t seal(char *file, const char *tensors, size_t n_data) {
  static const char zeros[] = "0000000000000000";
  char digits[17];
  const int n = sprintf(file + 8, "{\"__metadata__\":{\"xxh3\":\"%s\"}%s%s}", zeros,
                        *tensors ? "," : "", tensors);
  const uint64_t length = (uint64_t)n;
  memcpy(file, &length, 8);
  memset(file + 8 + n, 0, n_data);
  snprintf(digits, sizeof digits, "%016llx",
           (unsigned long long)XXH3_64bits(file, 8 + (size_t)n + n_data));
  memcpy(file + 8 + sizeof "{\"__metadata__\":{\"xxh3\":\"" - 1, digits, 16);
  return 8 + (size_t)n + n_data;
}

static void wrong_headers_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *tensors;
    size_t n_data;
    const char *message;
  } rows[] = {
      {"", 0, "tensor 'a' is missing"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]}", 12,
       "tensor 'a' has shape [3, 1], expected [1, 3]"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}", 12,
       "tensor 'a' has shape [3], expected [1, 3]"},
      {"\"a\":{\"dtype\":\"I32\",\"shape\":[1,3],\"data_offsets\":[0,12]}", 12,
       "tensor 'a' has dtype I32, expected F32"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[12,13]}",
       13, "tensor 'b' is not expected"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]},"
       "\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[12,24]}",
       24, "a tensor is there twice"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,12]}",
       12, "tensor 'b' begins at byte 8 of the data, expected 12"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[4,16]}", 16,
       "tensor 'a' begins at byte 4 of the data, expected 0"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,8]}", 8,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,-3],\"data_offsets\":[0,12]}", 12,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,2.5],\"data_offsets\":[0,10]}", 10,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}", 0,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[12]}", 12,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12,12]}", 12,
       "tensor 'a': shape and offsets disagree"},
      {"\"a\":{\"dtype\":\"F16\",\"shape\":[1,3],\"data_offsets\":[0,6]}", 6,
       "tensor 'a' has dtype 'F16', expected F32, F64, I32, I64 or U8"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,3],\"data_offsets\":[0,12]}", 12,
       "tensor 'a' has more than 4 dimensions"},
      {"\"a\":{\"shape\":[1,3],\"data_offsets\":[0,12]}", 12,
       "tensor 'a' lacks dtype, shape or offsets"},
      {"\"a\":12", 12, "tensor 'a' lacks dtype, shape or offsets"},
      {"\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]}", 8,
       "truncated: 8 bytes of data, the header says 12"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char file[1024];
    float data[3] = {1.0f, 2.0f, 3.0f};
    const float before[3] = {1.0f, 2.0f, 3.0f};
    const flv_tensor t = {"a", FLV_F32, 2, {1, 3}, data};
    flv_error err = {0};
    const size_t n = seal(file, rows[i].tensors, rows[i].n_data);
    assert_int_equal(flv_safetensors_parse("x", file, n, 1, &t, &err), FLV_EINVAL);
    assert_string_equal(err.text + 3, rows[i].message);
    assert_memory_equal(data, before, sizeof data);
  }
  char file[1024]; // the harness itself makes files that are read
  float data[3] = {1.0f, 2.0f, 3.0f};
  const flv_tensor t = {"a", FLV_F32, 2, {1, 3}, data};
  const size_t n =
      seal(file, "\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]}", 12);
  assert_int_equal(flv_safetensors_parse("x", file, n, 1, &t, NULL), FLV_OK);
  assert_true(data[0] == 0.0f && data[2] == 0.0f);
}

// As weights, a file is read whatever its shapes are, and without a checksum if it is not ours.
static void weights_are_looked_up(void **state) {
  (void)state;
  arrays a = filled;
  flv_tensor t[N], found;
  describe(&a, t);
  static const int order[] = {2, 3, 5, 1, 4, 0}; // of the data: widest elements first
  flv_error err = {0};
  char *copy = malloc(size);
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  for (int foreign = 0; foreign < 2; foreign++) {
    flv_weights *w;
    const char *name;
    if (foreign) memcpy(copy + 8 + sizeof "{\"__metadata__\":{", "note", 4);
    put(copy, size);
    if (flv_weights_open(&w, path, &err) != FLV_OK) fail_msg("%s", err.text);
    for (int i = 0; i < N; i++) {
      const flv_tensor *right = &t[order[i]];
      assert_true(flv_weights_tensor(w, i, &name, &found));
      assert_string_equal(name, right->name);
      assert_string_equal(found.name, right->name);
      assert_int_equal(found.dtype, right->dtype);
      assert_int_equal(found.n_dims, right->n_dims);
      assert_memory_equal(found.dim, right->dim, (size_t)right->n_dims * sizeof *right->dim);
      if (right->data) assert_memory_equal(found.data, right->data, 1);
    }
    assert_memory_equal(found.data, filled.bytes, sizeof filled.bytes);
    assert_false(flv_weights_tensor(w, N, &name, &found));
    assert_false(flv_weights_tensor(w, -1, NULL, NULL));
    assert_true(flv_weights_tensor(w, 0, NULL, NULL));
    flv_weights_close(w);
  }
  free(copy);
}

static void broken_weights_are_refused(void **state) {
  (void)state;
  flv_weights *w;
  flv_error err = {0};
  char *foreign = malloc(size);
  assert_non_null(foreign);
  memcpy(foreign, bytes, size);
  memcpy(foreign + 8 + sizeof "{\"__metadata__\":{", "note", 4);
  for (size_t n = 0; n < size; n++)
    assert_int_equal(flv_weights_parse(&w, "x", foreign, n, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "truncated: 56 bytes of data, the header says 57"));
  foreign[8] = 'x';
  assert_int_equal(flv_weights_parse(&w, "x", foreign, size, &err), FLV_EINVAL);
  assert_string_equal(err.text, "x: not a safetensors file");
  memcpy(foreign, bytes, size); // ours is verified
  foreign[size - 1] ^= 1;
  assert_int_equal(flv_weights_parse(&w, "x", foreign, size, &err), FLV_EINVAL);
  assert_string_equal(err.text, "x: checksum mismatch, the file was altered");
  assert_int_equal(flv_weights_open(&w, "/nonexistent", &err), FLV_EIO);
  flv_weights_close(NULL);
  free(foreign);
}

static void impossible_tensors_are_not_written(void **state) {
  (void)state;
  float data[4] = {0};
  char *before, *after, prefix[64];
  size_t n_before, n_after;
  const flv_tensor good = {"a", FLV_F32, 1, {4}, data};
  flv_tensor bad[5] = {good, good, good, good, good};
  bad[0].name[0] = '\0';
  strcpy(bad[1].name, "__metadata__");
  bad[2].dim[0] = -1;
  bad[3].n_dims = 5;
  bad[4].data = NULL;
  static const char *const messages[] = {
      "tensor 0 has no usable name", "tensor 0 has no usable name",
      "tensor 'a' has an impossible shape or dtype", "tensor 'a' has an impossible shape or dtype",
      "tensor 'a' has no data"};
  put(bytes, size);
  assert_int_equal(flv_file_read(path, &before, &n_before, NULL), FLV_OK);
  snprintf(prefix, sizeof prefix, "%s: ", path);
  flv_error err = {0};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(flv_safetensors_write(path, 1, &bad[i], 0, NULL, &err), FLV_EINVAL);
    assert_string_equal(err.text + strlen(prefix), messages[i]);
  }
  const flv_tensor twice[2] = {good, good};
  assert_int_equal(flv_safetensors_write(path, 2, twice, 0, NULL, &err), FLV_EINVAL);
  assert_string_equal(err.text + strlen(prefix), "two tensors are called 'a'");
  const flv_meta taken = {"xxh3", "0"};
  assert_int_equal(flv_safetensors_write(path, 1, &good, 1, &taken, &err), FLV_EINVAL);
  assert_string_equal(err.text + strlen(prefix), "the metadata key 'xxh3' is taken");
  assert_int_equal(flv_file_read(path, &after, &n_after, NULL), FLV_OK);
  assert_int_equal(n_before, n_after);
  assert_memory_equal(before, after, n_before);
  free(before);
  free(after);
}

// No room for the whole file: the old one stays.
static void a_full_disk_leaves_the_old_file(void **state) {
  (void)state;
  enum { LARGE = 100000 };
  uint8_t *data = calloc(1, LARGE);
  assert_non_null(data);
  const flv_tensor t = {"large", FLV_U8, 1, {LARGE}, data};
  flv_error err = {0};
  char temporary[64], *after;
  size_t n;
  put(bytes, size);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = limit;
  small.rlim_cur = 5000;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const flv_status status = flv_safetensors_write(path, 1, &t, 0, NULL, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_int_equal(status, FLV_EIO);
  assert_non_null(strstr(err.text, ": cannot write: File too large"));
  assert_int_equal(flv_file_read(path, &after, &n, NULL), FLV_OK);
  assert_int_equal(n, size);
  assert_memory_equal(after, bytes, size);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  assert_int_not_equal(access(temporary, F_OK), 0);
  free(after);
  free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(the_layout),
      cmocka_unit_test(the_same_tensors_give_the_same_bytes),
      cmocka_unit_test(nothing_but_metadata),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(every_flipped_bit_is_refused),
      cmocka_unit_test(altered_metadata_is_refused),
      cmocka_unit_test(other_files_are_refused),
      cmocka_unit_test(wrong_headers_are_refused),
      cmocka_unit_test(weights_are_looked_up),
      cmocka_unit_test(broken_weights_are_refused),
      cmocka_unit_test(impossible_tensors_are_not_written),
      cmocka_unit_test(a_full_disk_leaves_the_old_file),
  };
  return cmocka_run_group_tests(tests, write_one, remove_one);
}
