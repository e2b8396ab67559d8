// libFuzzer target: any bytes as a checkpoint, first as they are, then with a right checksum put
// in, so that what lies behind it is reached too; as weights too. A refused file must leave the
// tensors as they were.
//
//   clang -std=c17 -D_DEFAULT_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
//     fuzz/fuzz_safetensors.c src/io/safetensors.c src/io/file.c src/base/status.c \
//     -lcjson -lxxhash \
//     -o fuzz_safetensors && ./fuzz_safetensors -max_len=1024

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
  if (!holds) abort();
}

// Every byte of the data belongs to one tensor.
static void read_weights(const flv_weights *weights, const char *bytes, size_t size) {
  static const size_t width[] = {
      [FLV_F32] = 4, [FLV_F64] = 8, [FLV_I32] = 4, [FLV_I64] = 8, [FLV_U8] = 1};
  uint64_t length;
  memcpy(&length, bytes, sizeof length);
  const char *name;
  flv_tensor t;
  size_t total = 0, sum = 0;
  for (int i = 0; flv_weights_tensor(weights, i, &name, &t); i++) {
    size_t n = width[t.dtype];
    for (int k = 0; k < t.n_dims; k++) n *= (size_t)t.dim[k];
    for (size_t k = 0; k < n; k++) sum += ((const unsigned char *)t.data)[k];
    must(strncmp(name, t.name, sizeof t.name - 1) == 0);
    total += n;
  }
  must(total == size - 8 - (size_t)length && sum <= 255 * total);
}

static void read_it(const char *bytes, size_t size) {
  float a[6], a0[6];
  uint8_t b[3], b0[3];
  memset(a, 1, sizeof a);
  memset(b, 2, sizeof b);
  memcpy(a0, a, sizeof a);
  memcpy(b0, b, sizeof b);
  const flv_tensor tensors[] = {{"a", FLV_F32, 2, {2, 3}, a}, {"b", FLV_U8, 1, {3}, b}};
  flv_error err = {0};
  flv_weights *weights;
  if (flv_weights_parse(&weights, "f", bytes, size, &err) == FLV_OK) {
    read_weights(weights, bytes, size);
    flv_weights_close(weights);
  } else {
    must(err.status != FLV_OK && err.text[0]);
  }
  err = (flv_error){0};
  if (flv_safetensors_parse("f", bytes, size, 2, tensors, &err) == FLV_OK) return;
  must(err.status != FLV_OK && err.text[0]);
  must(memcmp(a, a0, sizeof a) == 0 && memcmp(b, b0, sizeof b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char opening[] = "{\"__metadata__\":{\"xxh3\":\"";
  enum { AT = 8 + (int)sizeof opening - 1, HEADER = AT + 16 };
  read_it((const char *)data, size);

  // The fuzzer's bytes continue a header of ours; its last bytes are data, as many as its first
  // byte says.
  if (size < 1) return 0;
  const size_t n_data = data[0] < size - 1 ? data[0] : size - 1, total = HEADER + size - 1;
  const uint64_t length = total - 8 - n_data;
  char *file = malloc(total), digits[17];
  must(file != NULL);
  memcpy(file, &length, 8);
  memcpy(file + 8, opening, sizeof opening - 1);
  memset(file + AT, '0', 16);
  memcpy(file + HEADER, data + 1, size - 1);
  snprintf(digits, sizeof digits, "%016llx", (unsigned long long)XXH3_64bits(file, total));
  memcpy(file + AT, digits, 16);
  read_it(file, total);
  free(file);
  return 0;
}
