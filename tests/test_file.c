// Atomic files: the old content or the new, never less, whatever fails.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static char folder[] = "/tmp/flv_file_XXXXXX";
static char target[64], temporary[72], other[64];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(target, sizeof target, "%s/target", folder);
  snprintf(temporary, sizeof temporary, "%s.tmp", target);
  snprintf(other, sizeof other, "%s/other", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(target);
  unlink(other);
  return rmdir(folder); // fails, and so the tests, if a temporary was left behind
}

static void write_text(const char *path, const char *text) {
  flv_error err = {0};
  flv_atomic file;
  if (flv_atomic_open(&file, path, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_true(fputs(text, file.f) >= 0);
  if (flv_atomic_commit(&file, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_null(file.f);
}

static void assert_holds(const char *path, const char *text) {
  flv_error err = {0};
  char *data;
  size_t size;
  if (flv_file_read(path, &data, &size, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(size, strlen(text));
  assert_string_equal(data, text); // and a zero byte after it
  free(data);
}

static int exists(const char *path) { return access(path, F_OK) == 0; }

static void commit_replaces(void **state) {
  (void)state;
  write_text(target, "old");
  assert_holds(target, "old");
  flv_atomic file;
  assert_int_equal(flv_atomic_open(&file, target, NULL), FLV_OK);
  fputs("new", file.f);
  fflush(file.f);
  assert_holds(target, "old"); // until committed
  assert_true(exists(temporary));
  assert_int_equal(flv_atomic_commit(&file, NULL), FLV_OK);
  assert_holds(target, "new");
  assert_false(exists(temporary));
  flv_atomic_abandon(&file);
  assert_holds(target, "new");
}

static void abandon_leaves_the_old(void **state) {
  (void)state;
  write_text(target, "old");
  flv_atomic file;
  assert_int_equal(flv_atomic_open(&file, target, NULL), FLV_OK);
  fputs("new", file.f);
  flv_atomic_abandon(&file);
  assert_null(file.f);
  assert_holds(target, "old");
  assert_false(exists(temporary));
}

static void remains_of_a_killed_writer_are_overwritten(void **state) {
  (void)state;
  FILE *f = fopen(temporary, "w");
  assert_non_null(f);
  fputs("half a file, longer than the next", f);
  fclose(f);
  write_text(target, "whole");
  assert_holds(target, "whole");
  assert_false(exists(temporary));
}

static void permissions_follow_the_umask(void **state) {
  (void)state;
  const mode_t old = umask(027);
  unlink(target);
  write_text(target, "text");
  umask(old);
  struct stat status;
  assert_int_equal(stat(target, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0640);
}

static void a_second_writer_is_refused(void **state) {
  (void)state;
  flv_error err = {0};
  flv_atomic first, second;
  char message[128];
  write_text(target, "old");
  assert_int_equal(flv_atomic_open(&first, target, NULL), FLV_OK);
  fputs("first", first.f);
  assert_int_equal(flv_atomic_open(&second, target, &err), FLV_EBUSY);
  snprintf(message, sizeof message, "%s: is being written by another process", target);
  assert_string_equal(err.text, message);
  assert_null(second.f);
  flv_atomic_abandon(&second);
  assert_int_equal(flv_atomic_commit(&first, NULL), FLV_OK);
  assert_holds(target, "first");
}

// The descriptor of the temporary becomes a full device: the text fits the buffer, so only the
// flush fails.
static void a_full_disk_at_the_flush(void **state) {
  (void)state;
  flv_error err = {0};
  flv_atomic file;
  char message[128];
  write_text(target, "old");
  assert_int_equal(flv_atomic_open(&file, target, NULL), FLV_OK);
  file.f = freopen("/dev/full", "w", file.f);
  assert_non_null(file.f);
  fputs("new", file.f);
  assert_int_equal(flv_atomic_commit(&file, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: cannot write: No space left on device", target);
  assert_string_equal(err.text, message);
  assert_null(file.f);
  assert_holds(target, "old");
  assert_false(exists(temporary));
}

// An error that the writer did not look at is still seen by the commit.
static void a_full_disk_at_the_write(void **state) {
  (void)state;
  flv_error err = {0};
  flv_atomic file;
  write_text(target, "old");
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = limit;
  small.rlim_cur = 1000;
  assert_int_equal(flv_atomic_open(&file, target, NULL), FLV_OK);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (int i = 0; i < 100000; i++) fputc('x', file.f);
  const flv_status status = flv_atomic_commit(&file, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_int_equal(status, FLV_EIO);
  assert_non_null(strstr(err.text, "cannot write: "));
  assert_holds(target, "old");
  assert_false(exists(temporary));
}

static void places_that_cannot_be_written(void **state) {
  (void)state;
  flv_error err = {0};
  flv_atomic file;
  char under[128], message[256], longest[2000];
  write_text(other, "a file, not a folder");
  snprintf(under, sizeof under, "%s/x", other); // fails for root too
  assert_int_equal(flv_atomic_open(&file, under, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: cannot write: Not a directory", under);
  assert_string_equal(err.text, message);
  assert_null(file.f);
  assert_int_equal(flv_atomic_open(&file, "/nonexistent/x", &err), FLV_EIO);
  assert_string_equal(err.text, "/nonexistent/x: cannot write: No such file or directory");
  assert_int_equal(flv_atomic_open(&file, folder, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: cannot write: not a regular file", folder);
  assert_string_equal(err.text, message);
  assert_int_equal(flv_atomic_open(&file, "/dev/null", &err), FLV_EIO);
  assert_string_equal(err.text, "/dev/null: cannot write: not a regular file");
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(flv_atomic_open(&file, longest, &err), FLV_EINVAL);
  assert_int_equal(strncmp(err.text, "a path of 1999 bytes is too long: xxx", 37), 0);
}

// The name becomes a folder between opening and commit: the rename fails.
static void a_rename_that_fails(void **state) {
  (void)state;
  flv_error err = {0};
  flv_atomic file;
  char message[128];
  unlink(target);
  assert_int_equal(flv_atomic_open(&file, target, NULL), FLV_OK);
  fputs("new", file.f);
  assert_int_equal(mkdir(target, 0777), 0);
  const flv_status status = flv_atomic_commit(&file, &err);
  assert_int_equal(rmdir(target), 0);
  assert_int_equal(status, FLV_EIO);
  snprintf(message, sizeof message, "%s: cannot write: Is a directory", target);
  assert_string_equal(err.text, message);
  assert_false(exists(temporary));
}

static void a_plain_name_is_in_this_folder(void **state) {
  (void)state;
  char here[1024];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(folder), 0);
  write_text("target", "plain");
  assert_int_equal(chdir(here), 0);
  assert_holds(target, "plain");
}

static void reading(void **state) {
  (void)state;
  flv_error err = {0};
  char *data = NULL, message[128];
  size_t size = 77;
  write_text(target, "0123456789");
  assert_int_equal(flv_file_read_limited(target, 10, &data, &size, &err), FLV_OK);
  assert_int_equal(size, 10);
  free(data);
  data = NULL;
  size = 77;
  assert_int_equal(flv_file_read_limited(target, 9, &data, &size, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: too large: more than 9 bytes", target);
  assert_string_equal(err.text, message);
  assert_int_equal(flv_file_read_limited("/dev/zero", 100000, &data, &size, &err), FLV_EIO);
  assert_string_equal(err.text, "/dev/zero: too large: more than 100000 bytes");
  assert_int_equal(flv_file_read(folder, &data, &size, &err), FLV_EIO);
  snprintf(message, sizeof message, "%s: cannot read: Is a directory", folder);
  assert_string_equal(err.text, message);
  assert_int_equal(flv_file_read("/nonexistent", &data, &size, &err), FLV_EIO);
  assert_string_equal(err.text, "/nonexistent: cannot read: No such file or directory");
  assert_null(data); // untouched by failures
  assert_int_equal(size, 77);
  write_text(target, "");
  assert_holds(target, "");
}

// A pipe has no size to go by.
static void reading_a_pipe(void **state) {
  (void)state;
  enum { N = 50000 };
  int ends[2];
  char path[32], *data, *sent = malloc(N);
  size_t size;
  assert_non_null(sent);
  assert_int_equal(pipe(ends), 0);
  for (int i = 0; i < N; i++) sent[i] = (char)(i % 251);
  assert_int_equal(write(ends[1], sent, N), N); // a pipe holds 64 KiB
  close(ends[1]);
  snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
  assert_int_equal(flv_file_read(path, &data, &size, NULL), FLV_OK);
  close(ends[0]);
  assert_int_equal(size, N);
  assert_memory_equal(data, sent, N);
  free(data);
  free(sent);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(commit_replaces),
      cmocka_unit_test(abandon_leaves_the_old),
      cmocka_unit_test(remains_of_a_killed_writer_are_overwritten),
      cmocka_unit_test(permissions_follow_the_umask),
      cmocka_unit_test(a_second_writer_is_refused),
      cmocka_unit_test(a_full_disk_at_the_flush),
      cmocka_unit_test(a_full_disk_at_the_write),
      cmocka_unit_test(places_that_cannot_be_written),
      cmocka_unit_test(a_rename_that_fails),
      cmocka_unit_test(a_plain_name_is_in_this_folder),
      cmocka_unit_test(reading),
      cmocka_unit_test(reading_a_pipe),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
