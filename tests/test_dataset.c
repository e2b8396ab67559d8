// Data tables: every way to write the same table, every way a table can be wrong, and what each
// refusal says. Parsers get buffers of exactly the file's size and a zero, so the sanitizer builds
// see one byte too many.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "fluvial/table.h"
#include "io/dataset.h"

#define CONTAINS(text, part)                                                                       \
  do {                                                                                             \
    if (!strstr((text), (part))) fail_msg("'%s' does not contain '%s'", (text), (part));           \
  } while (0)

// On failure the output must be untouched, and the message one line.
static flv_status parse(const char *text, size_t size, flv_data_kind kind, flv_dataset *data,
                        flv_error *err) {
  char *copy = malloc(size + 1), mark = 0;
  assert_non_null(copy);
  memcpy(copy, text, size);
  copy[size] = '\0';
  *data = (flv_dataset){.text = &mark, .rows = -7};
  *err = (flv_error){0};
  const flv_status status = flv_dataset_parse(data, copy, size, kind, err);
  free(copy); // a table keeps nothing of its text
  if (status != FLV_OK) {
    assert_true(data->text == &mark && data->rows == -7 && err->status == status);
    assert_true(err->text[0] && !strpbrk(err->text, "\r\n"));
  }
  return status;
}

static flv_dataset accept(const char *text, flv_data_kind kind) {
  flv_dataset data;
  flv_error err;
  if (parse(text, strlen(text), kind, &data, &err) != FLV_OK) fail_msg("%s\n%s", err.text, text);
  assert_true((data.x != NULL) == (kind == FLV_DATA_NUMBERS));
  assert_true((data.code != NULL) == (kind == FLV_DATA_CATEGORIES));
  return data;
}

// ---- numbers ----

// All of them are this table.
static void expect_plain(const char *text, const char *a, const char *b) {
  static const double x[6] = {1.5, -2, 300, 4, 5, 7};
  flv_dataset data = accept(text, FLV_DATA_NUMBERS);
  assert_true(data.rows == 3 && data.columns == 2);
  assert_string_equal(data.name[0], a);
  assert_string_equal(data.name[1], b);
  assert_memory_equal(data.x, x, sizeof x);
  flv_dataset_free(&data);
}

static void many_ways_to_write(void **state) {
  (void)state;
  expect_plain("a,b\n1.5,4\n-2,5\n300,7\n", "a", "b");
  expect_plain("a,b\r\n1.5,4\r\n-2,5\r\n300,7\r\n", "a", "b");
  expect_plain("a,b\r1.5,4\r-2,5\r300,7", "a", "b");
  expect_plain("\xef\xbb\xbf"
               "a;b\n1.5;4\n-2;5\n3e2;7\n",
               "a", "b");
  expect_plain("a\tb\n1.5\t4\n-2\t5\n300\t7\n", "a", "b");
  expect_plain("  a , b \n 1.5 ,4\n  -2,  5\n+300,\t7  \n", "a", "b");
  expect_plain("a b\n1.5 4\n-2  5\n300 7\n", "a", "b");
  expect_plain("# made today\n\na,b\n1.5,4\n\n-2,5\n# half\n300,7\n\n", "a", "b");
  expect_plain("\"a\",\"b\"\n\"1.5\",\"4\"\n\"-2\",\"5\"\n\"300\",\"7\"\n", "a", "b");
  expect_plain("\"a, in cm\",\"b \"\"c\"\"\"\n1.5,4\n-2,5\n300,7\n", "a, in cm", "b \"c\"");
  expect_plain("\"two\nlines\",\"b;c\"\n1.5,4\n-2,5\n300,7\n", "two lines", "b;c");
  expect_plain("1.5,4\n-2,5\n300,7\n", "X1", "X2");
  expect_plain("1.5;4\n-2;5\n300;7", "X1", "X2");
  expect_plain("gr\xc3\xb6\xc3\x9f"
               "e,5 µ\n1.5,4\n-2,5\n300,7\n",
               "gr\xc3\xb6\xc3\x9f"
               "e",
               "5 µ");
  // one of the names is a number: still names; a comma in a name of a table of tabs
  expect_plain("2019,b\n1.5,4\n-2,5\n300,7\n", "2019", "b");
  expect_plain("length, cm\twidth, cm\n1.5\t4\n-2\t5\n300\t7\n", "length, cm", "width, cm");
  expect_plain("a; or a,b\n1.5,4\n-2,5\n300,7\n", "a; or a", "b");
}

static void locale_does_not_matter(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C"};
  const char *set = NULL;
  for (size_t i = 0; i < 3 && !set; i++) set = setlocale(LC_ALL, names[i]);
  assert_non_null(set);
  expect_plain("a,b\n1.5,4\n-2,5\n300,7\n", "a", "b");
  setlocale(LC_ALL, "C");
}

// ---- categories ----

static void categories(void **state) {
  (void)state;
  static const unsigned char expect[3][5] = {{0, 1, 0, 2, 1}, {0, 1, 2, 0, 0}, {0, 0, 1, 0, 1}};
  flv_dataset data = accept("smokes,grade,\"x\"\nno,1,\"a,b\"\n\"yes\",2,\"a,b\"\nno,-3,1\n"
                            "Yes,1.0, \"a,b\" \nyes,01,1e0\n",
                            FLV_DATA_CATEGORIES);
  assert_true(data.rows == 5 && data.columns == 3);
  assert_memory_equal(data.code, expect, sizeof expect);
  assert_true(data.levels[0] == 3 && data.levels[1] == 3 && data.levels[2] == 2);
  flv_dataset_free(&data);
  char text[2048], *to = text + sprintf(text, "a,b\n");
  for (int i = 0; i < 256; i++) to += sprintf(to, "%d,%d\n", i, i % 2);
  data = accept(text, FLV_DATA_CATEGORIES);
  assert_int_equal(data.levels[0], 256);
  assert_int_equal(data.code[255], 255);
  flv_dataset_free(&data);
  sprintf(to, "256,0\n");
  flv_error err;
  assert_int_equal(parse(text, strlen(text), FLV_DATA_CATEGORIES, &data, &err), FLV_EINVAL);
  CONTAINS(err.text, "line 258, column 1 ('a'): expected at most 256 categories");
}

// ---- refusals ----

static void refuse(const char *text, flv_data_kind kind, const char *part) {
  flv_dataset data;
  flv_error err;
  if (parse(text, strlen(text), kind, &data, &err) == FLV_OK) fail_msg("accepted: %s", text);
  assert_int_equal(err.status, FLV_EINVAL);
  CONTAINS(err.text, part);
}

static void refuse_both(const char *text, const char *part) {
  refuse(text, FLV_DATA_NUMBERS, part);
  refuse(text, FLV_DATA_CATEGORIES, part);
}

static void bad_cells(void **state) {
  (void)state;
  static const char *const absent[] = {"", "NA", "na", "N/A", "nan", "NaN", "NULL", "?", "\"\""};
  for (size_t k = 0; k < sizeof absent / sizeof *absent; k++) {
    char text[64];
    snprintf(text, sizeof text, "a,b\n1,2\n2,3\n3,%s\n", absent[k]);
    refuse_both(text, "line 4, column 2 ('b'): expected a value (no missing ones), found");
    snprintf(text, sizeof text, "1,2\n%s,3\n3,5\n", absent[k]);
    refuse_both(text, "line 2, column 1 ('X1'): expected a value");
    snprintf(text, sizeof text, "%s,2\n1,3\n3,5\n", absent[k]); // no header: one is a number
    refuse_both(text, "line 1, column 1 ('X1'): expected a value");
  }
  refuse_both("a,b\n1,2\n2,inf\n3,4\n", "line 3, column 2 ('b'): expected a finite number, found "
                                        "'inf'");
  refuse_both("a,b\n1,2\n-1e999,3\n3,4\n", "line 3, column 1 ('a'): expected a finite number");
  refuse("a,b\n1,2\n2,x7\n3,4\n", FLV_DATA_NUMBERS,
         "line 3, column 2 ('b'): expected a number, found 'x7'");
  refuse("a,b\n1,2\n2,\"3,5\"\n3,4\n", FLV_DATA_NUMBERS, "expected a number, found '3,5'");
  refuse("a;b\n1;2\n2;3,5\n3;4\n", FLV_DATA_NUMBERS, "expected a number, found '3,5'");
  refuse("a,b\n1,2\n2,0.5\n3,4\n", FLV_DATA_CATEGORIES,
         "line 3, column 2 ('b'): expected a category (a whole number or a text), found '0.5'");
  refuse_both("a,b\n1,2\n2,\"3\n3,4\n", "line 3, column 2: expected a closing quote");
  refuse("a,b\n1,\"2\n\n\"\n2,x\n3,4\n", FLV_DATA_NUMBERS, "line 2, column 2");
  refuse("a,b\n1,2\n\"2\",\"3\n\n4\"\n3,x\n", FLV_DATA_NUMBERS, "line 3, column 2");
  refuse("a,b\n1,2\n2,\v\n3,4\n", FLV_DATA_NUMBERS, "line 3, column 2 ('b'): expected a number");
}

static void bad_shapes(void **state) {
  (void)state;
  refuse_both("", "expected a table, found nothing");
  refuse_both("\n \r\n# nothing\n", "expected a table, found nothing");
  refuse_both("\xef\xbb\xbf", "found nothing");
  refuse_both("\xff\xfe"
              "a",
              "UTF-16");
  refuse_both("a,b\n", "expected 3 or more rows of data, found 0");
  refuse_both("a,b\n1,2\n2,1\n", "expected 3 or more rows of data, found 2");
  refuse_both("1,2\n2,1\n", "expected 3 or more rows of data, found 2");
  refuse_both("a\n1\n2\n3\n", "expected 2 or more columns");
  refuse_both("a,b\n1,2\n2\n3,4\n", "line 3: expected 2 columns as in line 1, found 1");
  refuse_both("a,b\n1,2\n2,3,4\n3,4\n", "line 3: expected 2 columns as in line 1, found 3");
  refuse_both("#\na,b\n\"1\n\n\",2\n2,3,4\n", "line 6: expected 2 columns as in line 2, found 3");
  refuse_both("a,b,c\n1,2\n2,3\n3,4\n", "line 2: expected 3 columns as in line 1, found 2");
  for (int columns = 64; columns <= 65; columns++) {
    char text[4096], *to = text;
    for (int row = 0; row < 8; row++)
      for (int c = 0; c < columns; c++)
        to += sprintf(to, "%d%s", row < 7 ? (c + 1) >> row & 1 : row, c + 1 < columns ? "," : "\n");
    if (columns == 65) {
      refuse_both(text, "expected at most 64 columns, found 65");
      continue;
    }
    flv_dataset data = accept(text, FLV_DATA_NUMBERS);
    assert_int_equal(data.columns, 64);
    assert_string_equal(data.name[63], "X64");
    flv_dataset_free(&data);
  }
}

static void bad_names(void **state) {
  (void)state;
  refuse_both("a,,c\n1,2,3\n2,3,5\n3,4,1\n", "line 1, column 2: expected a name, found nothing");
  refuse_both(",a\n0,2\n1,3\n2,1\n", "row numbers"); // a data frame with its index
  refuse_both("a,b,a\n1,2,3\n2,3,5\n3,4,1\n",
              "line 1, column 3: expected another name than column 1's, found 'a' again");
  refuse_both("a,\"a\"\n1,2\n2,3\n3,5\n", "found 'a' again");
  refuse("yes,no,yes\nno,no,yes\nyes,yes,no\nno,yes,no\n", FLV_DATA_CATEGORIES,
         "found 'yes' again");
  refuse_both("a,\"b\n1,2\n2,3\n3,5\n", "line 1, column 2: expected a closing quote");
  char text[256];
  snprintf(text, sizeof text, "%0*d%s,b\n1,2\n2,3\n3,5\n", FLV_DATA_MAX_NAME, 7, "x");
  refuse_both(text, "line 1, column 1: expected a name of at most 127 bytes");
}

static void bad_columns(void **state) {
  (void)state;
  refuse_both("a,b\n1,7\n2,7\n3,7\n",
              "column 2 ('b'): expected values that differ, found one only");
  refuse_both("a,b\n1,0\n2,-0.0\n3,0\n", "column 2 ('b'): expected values that differ");
  refuse("a,b\n1,x\n2,x\n3,x\n", FLV_DATA_CATEGORIES,
         "column 2 ('b'): expected values that differ");
  refuse_both("a,b,c\n1,2,1\n2,1,2.0\n3,1,3\n",
              "column 3 ('c'): expected another variable, found a copy of column 1 ('a')");
  refuse("sex,code\nm,1\nf,2\nm,1\n", FLV_DATA_CATEGORIES, "found a copy of column 1 ('sex')");
}

// ---- files ----

static char folder[] = "/tmp/fluvial_dataset_XXXXXX";
static char path[128];
static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}
static int drop_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static void write_file(const char *name, const char *text) {
  unlink(path);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static void refuse_file(const char *part) {
  flv_dataset data = {.rows = -7};
  flv_error err = {0};
  const flv_status status = flv_dataset_read(&data, path, FLV_DATA_NUMBERS, &err);
  assert_true(status == FLV_EIO || status == FLV_EINVAL);
  assert_int_equal(data.rows, -7);
  CONTAINS(err.text, part);
  CONTAINS(err.text, path);
}

static void files(void **state) {
  (void)state;
  write_file("t.data", "a|b\n1,2\n2,1\n3,5\n"); // any ending; the header is one name
  refuse_file("line 2: expected 1 columns as in line 1, found 2");
  write_file("t.csv", "a,b\n1,2\n2,1\n3,5\n");
  flv_dataset data = {0};
  flv_error err = {0};
  assert_int_equal(flv_dataset_read(&data, path, FLV_DATA_NUMBERS, &err), FLV_OK);
  assert_int_equal(data.rows, 3);
  flv_dataset_free(&data);
  write_file("t.csv", "a,b\n1,2\n2,NA\n3,5\n");
  refuse_file(": line 3, column 2 ('b')");
  assert_int_equal(unlink(path), 0);
  refuse_file("cannot read: No such file");
  assert_int_equal(mkdir(path, 0700), 0);
  refuse_file("cannot read: Is a directory");
  assert_int_equal(rmdir(path), 0);
  if (geteuid() != 0) { // root reads everything
    write_file("t.csv", "a,b\n");
    assert_int_equal(chmod(path, 0), 0);
    refuse_file("cannot read: Permission denied");
  }
}

static void arrays(void **state) {
  (void)state;
  const double x[] = {1, 2, 2, 1, 3, 1};
  flv_error err = {0};
  unlink(path);
  snprintf(path, sizeof path, "%s/t.npy", folder);
  assert_int_equal(flv_npy_write(path, "<f8", 2, (int64_t[]){3, 2}, x, &err), FLV_OK);
  flv_dataset data = {0};
  assert_int_equal(flv_dataset_read(&data, path, FLV_DATA_NUMBERS, &err), FLV_OK);
  const double turned[] = {1, 2, 3, 2, 1, 1};
  assert_memory_equal(data.x, turned, sizeof turned);
  assert_string_equal(data.name[1], "X2");
  flv_dataset_free(&data);
  assert_int_equal(flv_dataset_read(&data, path, FLV_DATA_CATEGORIES, &err), FLV_OK);
  assert_true(data.levels[0] == 3 && data.code[3] == 0);
  flv_dataset_free(&data);
  assert_int_equal(flv_npy_write(path, "<f8", 1, (int64_t[]){6}, x, &err), FLV_OK);
  refuse_file("expected an array of 2 dimensions, rows and columns, found 1");
  assert_int_equal(flv_npy_write(path, "<f8", 2, (int64_t[]){2, 3}, x, &err), FLV_OK);
  refuse_file("expected 3 or more rows of data, found 2");
  double bad[6] = {1, 2, 2, 1, 3, 5};
  bad[3] = -1.0 / 0.0;
  assert_int_equal(flv_npy_write(path, "<f8", 2, (int64_t[]){3, 2}, bad, &err), FLV_OK);
  refuse_file("row 2, column 2: expected a finite number, found -inf");
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  write_file("t.csv", "a,b\n1,x\n2,y\n3,x\n");
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    flv_dataset data = {0};
    alloc_fail(k);
    const flv_status status = flv_dataset_read(&data, path, FLV_DATA_CATEGORIES, &err);
    const bool done = alloc_none_failed();
    flv_dataset_free(&data);
    if (done) break;
    failures += status == FLV_ENOMEM;
    assert_true(status == FLV_OK || err.text[0]);
  }
  assert_true(failures >= 4); // file, cells, names, categories
}

// ---- anything ----

static void cut_and_altered(void **state) {
  (void)state;
  static const char good[] =
      "\xef\xbb\xbf# c\r\n\"a \"\"b\",c\r\n1, 2\r\n\"3\",-4.5e1\r\n5,\"6\"\n";
  const size_t n = sizeof good - 1;
  for (size_t at = 0; at <= n; at++)
    for (int c = -1; c < 256; c++) {
      char text[sizeof good];
      memcpy(text, good, n);
      if (c >= 0 && at < n) text[at] = (char)c;
      for (int kind = 0; kind < 2; kind++) {
        flv_dataset data;
        flv_error err;
        if (parse(text, c < 0 ? at : n, (flv_data_kind)kind, &data, &err) == FLV_OK)
          flv_dataset_free(&data);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_ways_to_write),
      cmocka_unit_test(locale_does_not_matter),
      cmocka_unit_test(categories),
      cmocka_unit_test(bad_cells),
      cmocka_unit_test(bad_shapes),
      cmocka_unit_test(bad_names),
      cmocka_unit_test(bad_columns),
      cmocka_unit_test(files),
      cmocka_unit_test(arrays),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(cut_and_altered),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
