#include "reward/bit_modes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/rng.h"
#include "io/file.h"

enum { BLOCK = 8, BLOCKS = 5, FILE_LIMIT = 1 << 24 };
static const uint8_t block[BLOCKS] = {0x00, 0xff, 0xf0, 0x0f, 0x3c};

static flv_status no_memory(int n, flv_error *err) {
  return flv_fail(err, FLV_ENOMEM, "out of memory for %d modes", n);
}

// ---- made ----

static int draw_block(uint64_t seed, int mode, int attempt, int at) {
  const flv_rng rng = {seed, FLV_RNG_MODES, (uint64_t)mode};
  return (int)(flv_rng_uniform(rng, (uint32_t)attempt, (uint32_t)at) * BLOCKS);
}

// The attempt whose first blocks no mode has yet.
static int choose_attempt(uint64_t seed, int mode, int first, uint8_t *taken) {
  for (int attempt = 0;; attempt++) {
    int number = 0;
    for (int b = 0; b < first; b++) number = BLOCKS * number + draw_block(seed, mode, attempt, b);
    if (taken[number]) continue;
    taken[number] = 1;
    return attempt;
  }
}

flv_status flv_bit_modes_make(flv_bit_modes *modes, int n, uint64_t seed, flv_error *err) {
  int first = 0, beginnings = 1;
  for (; beginnings < n; beginnings *= BLOCKS) first++;
  uint64_t *bits = calloc((size_t)n, FLV_BIT_MODES_WORDS * sizeof *bits);
  uint8_t *taken = calloc((size_t)beginnings, 1);
  for (int m = 0; bits && taken && m < n; m++) {
    const int attempt = choose_attempt(seed, m, first, taken);
    uint64_t *mode = bits + (size_t)m * FLV_BIT_MODES_WORDS;
    for (int b = 0; b < FLV_FILL_BITS / BLOCK; b++)
      mode[b / 8] |= (uint64_t)block[draw_block(seed, m, attempt, b)] << (56 - b % 8 * BLOCK);
  }
  const bool made = bits && taken;
  free(taken);
  if (!made) {
    free(bits);
    return no_memory(n, err);
  }
  *modes = (flv_bit_modes){.n = n, .least = first * BLOCK, .bits = bits};
  return FLV_OK;
}

// ---- read ----

// One line into bits; its length, or -1: err says what is wrong. *end: where the next one begins.
static int read_line(const char *text, const char **end, uint64_t *bits, const char *path, int line,
                     flv_error *err) {
  int n = 0;
  const char *p = text;
  for (; *p && *p != '\n'; p++) {
    if (strchr(",; \t\r", *p)) continue;
    if (*p != '0' && *p != '1') {
      flv_fail(err, FLV_EINVAL, "%s: line %d, column %d: expected a 0 or a 1", path, line,
               (int)(p - text) + 1);
      return -1;
    }
    if (n == FLV_FILL_BITS) {
      flv_fail(err, FLV_EINVAL, "%s: line %d has more than %d bits", path, line,
               (int)FLV_FILL_BITS);
      return -1;
    }
    bits[n / 64] |= (uint64_t)(*p == '1') << (63 - n % 64);
    n++;
  }
  *end = *p ? p + 1 : p;
  return n;
}

typedef struct reading {
  const char *path;
  int length, line;
  flv_intern found; // the different ones, in order of first appearance
} reading;

static flv_status read_lines(reading *r, const char *text, flv_error *err) {
  for (const char *p = text; *p;) {
    uint64_t bits[FLV_BIT_MODES_WORDS] = {0};
    r->line++;
    if (*p == '#') {
      p += strcspn(p, "\n");
      p += *p == '\n';
      continue;
    }
    const int n = read_line(p, &p, bits, r->path, r->line, err);
    if (n < 0) return FLV_EINVAL;
    if (n == 0) continue;
    if (r->length > 0 && n != r->length)
      return flv_fail(err, FLV_EINVAL, "%s: line %d has %d bits, those before it %d", r->path,
                      r->line, n, r->length);
    r->length = n;
    flv_intern_row(&r->found, bits);
  }
  return r->length > 0 ? FLV_OK : flv_fail(err, FLV_EINVAL, "%s: no modes in it", r->path);
}

static flv_status keep(flv_bit_modes *modes, const reading *r, flv_error *err) {
  const size_t bytes = (size_t)r->found.n * r->found.state_size;
  uint64_t *bits = malloc(bytes);
  if (!bits) return no_memory(r->found.n, err);
  memcpy(bits, r->found.states, bytes);
  *modes = (flv_bit_modes){.n = r->found.n, .length = r->length, .bits = bits};
  return FLV_OK;
}

flv_status flv_bit_modes_read(flv_bit_modes *modes, const char *path, flv_error *err) {
  char *text;
  size_t size;
  FLV_TRY(flv_file_read_limited(path, FILE_LIMIT, &text, &size, err));
  int lines = 1;
  for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
  reading r = {.path = path};
  flv_status status = FLV_OK;
  if (flv_intern_init(&r.found, FLV_BIT_MODES_WORDS * sizeof(uint64_t), lines) != 0)
    status = no_memory(lines, err);
  if (status == FLV_OK && strlen(text) != size)
    status = flv_fail(err, FLV_EINVAL, "%s: not a text file: it has a zero byte", path);
  if (status == FLV_OK) status = read_lines(&r, text, err);
  if (status == FLV_OK) status = keep(modes, &r, err);
  flv_intern_free(&r.found);
  free(text);
  return status;
}

void flv_bit_modes_free(flv_bit_modes *modes) { free(modes->bits); }
