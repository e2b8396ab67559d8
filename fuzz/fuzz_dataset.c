// libFuzzer target: any bytes as a data table, of numbers and of categories. What is accepted keeps
// its promises; what is refused leaves the output as it was, with one line of message.
//
//   clang -std=c17 -D_DEFAULT_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
//     fuzz/fuzz_dataset.c src/base/memory.c src/base/status.c src/io/csv_fields.c \
//     src/io/dataset.c src/io/file.c src/io/npy.c -lm -o fuzz_dataset && \
//     ./fuzz_dataset -max_len=1024

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
  if (!holds) abort();
}

static void check(const flv_dataset *data, flv_data_kind kind) {
  const int n = data->rows;
  must(n >= FLV_DATA_MIN_ROWS && data->columns >= 2 && data->columns <= FLV_DATA_MAX_COLUMNS);
  must((data->x != NULL) == (kind == FLV_DATA_NUMBERS));
  for (int c = 0; c < data->columns; c++) {
    must(data->name[c][0] && strlen(data->name[c]) <= FLV_DATA_MAX_NAME);
    for (const char *p = data->name[c]; *p; p++) must((unsigned char)*p >= 32);
    for (int k = 0; k < c; k++) must(strcmp(data->name[k], data->name[c]) != 0);
    int varies = 0;
    for (int r = 0; r < n; r++) {
      if (data->x)
        must(isfinite(data->x[c * n + r]) != 0);
      else
        must(data->code[c * n + r] < data->levels[c]);
      varies |= data->x ? data->x[c * n + r] < data->x[c * n] || data->x[c * n + r] > data->x[c * n]
                        : data->code[c * n + r] != data->code[c * n];
    }
    must(varies);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  char *text = malloc(size + 1);
  must(text != NULL);
  memcpy(text, bytes, size);
  text[size] = '\0';
  for (int kind = 0; kind < 2; kind++) {
    flv_dataset data = {.rows = -7};
    flv_error err = {0};
    const flv_status status = flv_dataset_parse(&data, text, size, (flv_data_kind)kind, &err);
    if (status == FLV_OK) {
      check(&data, (flv_data_kind)kind);
      flv_dataset_free(&data);
    } else {
      must(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n"));
      must(data.rows == -7 && !data.block && !data.text);
    }
  }
  free(text);
  return 0;
}
