// What tests of run directories share: a folder for them, and whether two of them are the same.
// cmocka is included before.
#ifndef FLUVIAL_TESTS_RUN_FIXTURE_H
#define FLUVIAL_TESTS_RUN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"
#include "train_setup.h"

static char folder[64]; // of this test program

static inline const char *in(const char *name) {
  static char path[4][256];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static inline int make_folder(void **unused) {
  (void)unused;
  // In memory where there is such a place: thousands of runs are made here, each synced several
  // times.
  snprintf(folder, sizeof folder, "/dev/shm/fluvial_test_XXXXXX");
  if (mkdtemp(folder)) return 0;
  snprintf(folder, sizeof folder, "/tmp/fluvial_test_XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **unused) {
  (void)unused;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

static inline void assert_same_file(const char *a, const char *b, const char *name) {
  char pa[512], pb[512], *x, *y;
  size_t n, m;
  flv_error err = {0};
  snprintf(pa, sizeof pa, "%s/%s", a, name);
  snprintf(pb, sizeof pb, "%s/%s", b, name);
  if (flv_file_read(pa, &x, &n, &err) != FLV_OK) fail_msg("%s", err.text);
  if (flv_file_read(pb, &y, &m, &err) != FLV_OK) fail_msg("%s", err.text);
  if (n != m || memcmp(x, y, n) != 0) fail_msg("%s and %s differ", pa, pb);
  free(x);
  free(y);
}

static inline void assert_same_tensors(const char *a, const char *b) {
  flv_error err = {0};
  flv_trainer *x = flv_run_open(a, 1, &err), *y = flv_run_open(b, 1, &err);
  if (!x || !y) fail_msg("%s", err.text);
  assert_same_state(x, y);
  flv_trainer_free(x);
  flv_trainer_free(y);
}

#endif
