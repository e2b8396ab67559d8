// A folder that lives as long as a test program, for files it reads. cmocka is included before.
#ifndef FLUVIAL_TESTS_SCRATCH_H
#define FLUVIAL_TESTS_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/fluvial_test_XXXXXX";

// Set-up and teardown of a group of tests.
static inline int make_folder(void **unused) {
  (void)unused;
  return mkdtemp(folder) ? 0 : -1;
}

static inline int drop_folder(void **unused) {
  (void)unused;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

// The path of a file in it. Those of the last four calls are valid.
static inline const char *in(const char *name) {
  static char path[4][128];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

// Writes a file there; its path, as above.
static inline const char *write_text(const char *name, const char *text) {
  const char *path = in(name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
  return path;
}

#endif
