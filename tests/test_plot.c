// Pictures: files beside each other, scripts that draw again elsewhere, and every way to fail.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/plot.h"

enum { SIDE = 16, POINTS = 5000 };

typedef struct fixture {
  char folder[256]; // with a space and a quote in its name
  double x[POINTS], y[POINTS], map[SIDE * SIDE];
} fixture;

static int setup(void **state) {
  fixture *t = calloc(1, sizeof *t);
  const char *base = getenv("TMPDIR");
  if (!t) return -1;
  snprintf(t->folder, sizeof t->folder, "%.150s/it's a plot XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(t->folder)) return -1;
  for (int i = 0; i < POINTS; i++) {
    t->x[i] = 200.0 * (i + 1);
    t->y[i] = exp(-1e-5 * t->x[i]);
  }
  for (int i = 0; i < SIDE * SIDE; i++) t->map[i] = 1e-3 * (i % 7);
  *state = t;
  return 0;
}

static int teardown(void **state) {
  static const char *const names[] = {"a <b> & 'c'.png", "a <b> & 'c'.dat", "a <b> & 'c'.gp",
                                      "h.png",           "h.dat",           "h.gp",
                                      "p.png",           "p.dat",           "p.gp"};
  fixture *t = *state;
  char path[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", t->folder, names[i]);
    unlink(path);
  }
  const int left = rmdir(t->folder); // fails if a temporary file was left behind
  free(t);
  return left;
}

static const char *at(const fixture *t, const char *name) {
  static char path[4][512];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", t->folder, name);
  return path[turn];
}

// Width and height of a PNG, from its signature and first chunk; 0 if it is none.
static unsigned png_size(const char *path, unsigned *height) {
  unsigned char b[24] = {0};
  FILE *f = fopen(path, "rb");
  const size_t n = f ? fread(b, 1, sizeof b, f) : 0;
  if (f) fclose(f);
  if (n != sizeof b || memcmp(b, "\x89PNG\r\n\x1a\n", 8) != 0 || memcmp(b + 12, "IHDR", 4) != 0)
    return 0;
  *height = (unsigned)b[22] << 8 | b[23];
  return (unsigned)b[18] << 8 | b[19];
}

static char *text_of(const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
  fclose(f);
  return text;
}

static int count(const char *text, const char *what) {
  int n = 0;
  for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
  return n;
}

static void expect_error(flv_status status, flv_status want, const flv_error *err,
                         const char *words) {
  assert_int_equal(status, want);
  assert_int_equal(err->status, want);
  if (!strstr(err->text, words)) fail_msg("'%s' does not say '%s'", err->text, words);
  assert_null(strchr(err->text, '\n'));
}

static void curves_thinned_in_the_picture_only(void **state) {
  const fixture *t = *state;
  const flv_curve curves[] = {{"first 'run'", POINTS, t->x, t->y},
                              {"second_{run}", 10, t->x, t->y}};
  flv_error err = {0};
  unsigned height = 0;
  const char *png = at(t, "a <b> & 'c'.png");
  assert_int_equal(flv_plot_curves(png, "it's JSD", "trajectories", "jsd", true, 2, curves, &err),
                   FLV_OK);
  assert_int_equal(png_size(png, &height), 960);
  assert_int_equal(height, 600);
  char *dat = text_of(at(t, "a <b> & 'c'.dat")), *gp = text_of(at(t, "a <b> & 'c'.gp"));
  assert_int_equal(count(dat, "\n"), POINTS + 10 + 2 * 3);
  assert_non_null(strstr(gp, "index 0 every 3::1 ")); // 5000 points: 1, 4, ..., 4999
  assert_non_null(strstr(gp, "'first ''run'''"));
  assert_null(strstr(gp, t->folder));
  free(dat);
  free(gp);
}

static void a_moved_folder_draws_again(void **state) {
  const fixture *t = *state;
  const flv_heat maps[] = {{"target", SIDE, SIDE, t->map}, {"learned", SIDE, SIDE, t->map}};
  flv_error err = {0};
  char moved[512], here[1024];
  unsigned height = 0;
  assert_int_equal(flv_plot_heat(at(t, "h.png"), "two maps", 0.5, 2, maps, &err), FLV_OK);
  const unsigned width = png_size(at(t, "h.png"), &height);
  assert_true(width > height && height > 300);
  assert_int_equal(unlink(at(t, "h.png")), 0);
  snprintf(moved, sizeof moved, "%s moved", t->folder);
  assert_int_equal(rename(t->folder, moved), 0);
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(moved), 0);
  const int rc = system("gnuplot h.gp 2>/dev/null");
  assert_int_equal(chdir(here), 0);
  assert_int_equal(rename(moved, t->folder), 0);
  assert_int_equal(rc, 0);
  assert_int_equal(png_size(at(t, "h.png"), &height), width);
}

static void bad_points_are_skipped(void **state) {
  fixture *t = *state;
  const double x[] = {1, 2, 3, (double)NAN, 5}, y[] = {1, (double)NAN, 0.0, 4, 0.5};
  const flv_curve curve = {"run", 5, x, y};
  flv_error err = {0};
  unsigned height = 0;
  assert_int_equal(flv_plot_curves(at(t, "p.png"), "", "x", "y", true, 1, &curve, &err), FLV_OK);
  assert_true(png_size(at(t, "p.png"), &height) > 0);
  char *dat = text_of(at(t, "p.dat"));
  assert_int_equal(count(dat, "\n"),
                   1 + 3 + 2); // the zero is kept: only the logarithm leaves it out
  assert_int_equal(count(dat, "nan"), 0);
  free(dat);
  t->map[5] = (double)NAN;
  t->map[6] = HUGE_VAL;
  const flv_heat map = {"holes", SIDE, SIDE, t->map};
  assert_int_equal(flv_plot_heat(at(t, "h.png"), NULL, 1.0, 1, &map, &err), FLV_OK);
  assert_true(png_size(at(t, "h.png"), &height) > 0);
}

static void odd_shapes_draw(void **state) {
  const fixture *t = *state;
  const double zero[4] = {0}, below[4] = {-1, -2, -3, -4};
  const flv_heat shapes[] = {
      {"wide", 2, 128, t->map}, {"tall", 128, 2, t->map}, {"small", 2, 2, zero}};
  const flv_heat rows[] = {{"target", 1, 20, t->map}, {"learned", 20, 1, t->map}};
  const flv_heat negative = {NULL, 2, 2, below};
  const double one = 3.0;
  const flv_curve point = {NULL, 1, &one, &one};
  flv_error err = {0};
  assert_int_equal(flv_plot_heat(at(t, "h.png"), "shapes", 0.5, 3, shapes, &err), FLV_OK);
  assert_int_equal(flv_plot_heat(at(t, "h.png"), "rows", 0.5, 2, rows, &err), FLV_OK);
  assert_int_equal(flv_plot_heat(at(t, "h.png"), "negative", 1.0, 1, &negative, &err), FLV_OK);
  assert_int_equal(flv_plot_heat(at(t, "h.png"), "zero", 1.0, 1, &shapes[2], &err), FLV_OK);
  assert_int_equal(flv_plot_curves(at(t, "p.png"), NULL, NULL, NULL, false, 1, &point, &err),
                   FLV_OK);
}

static void many_curves_draw(void **state) {
  const fixture *t = *state;
  flv_curve curves[20];
  for (int i = 0; i < 20; i++)
    curves[i] = (flv_curve){"one of many curves", 50, t->x, t->y + 100 * i};
  flv_error err = {0};
  assert_int_equal(flv_plot_curves(at(t, "p.png"), "many", "x", "y", true, 20, curves, &err),
                   FLV_OK);
}

static void errors_say_why(void **state) {
  const fixture *t = *state;
  const double bad[] = {(double)NAN, (double)NAN, (double)NAN, (double)NAN}, zero[4] = {0};
  const flv_curve fine = {"a", 10, t->x, t->y}, empty = {"run-7", 0, t->x, t->y},
                  zeros = {"run-8", 4, t->x, zero};
  const flv_heat map = {"m", SIDE, SIDE, t->map}, nans = {"m", 2, 2, bad},
                 row = {"m", 1, 4, t->map};
  const flv_heat mixed[] = {map, row}, none = {"m", 0, 4, t->map};
  const char *png = at(t, "p.png");
  flv_error err = {0};
  expect_error(flv_plot_curves(png, "", "", "", true, 0, &fine, &err), FLV_EINVAL, &err,
               "no curves");
  expect_error(flv_plot_curves(png, "", "", "", true, 1, &empty, &err), FLV_EINVAL, &err, "run-7");
  expect_error(flv_plot_curves(png, "", "", "", true, 1, &zeros, &err), FLV_EINVAL, &err,
               "logarithmic");
  expect_error(flv_plot_heat(png, "", 0.5, 0, &map, &err), FLV_EINVAL, &err, "no heat maps");
  expect_error(flv_plot_heat(png, "", 0.0, 1, &map, &err), FLV_EINVAL, &err, "gamma");
  expect_error(flv_plot_heat(png, "", 1.0, 1, &nans, &err), FLV_EINVAL, &err, "no finite value");
  expect_error(flv_plot_heat(png, "", 1.0, 1, &none, &err), FLV_EINVAL, &err, "0 x 4");
  expect_error(flv_plot_heat(png, "", 1.0, 2, mixed, &err), FLV_EINVAL, &err, "1 and 2 dimensions");
  expect_error(flv_plot_heat(at(t, "p.jpg"), "", 1.0, 1, &map, &err), FLV_EINVAL, &err, ".png");
  expect_error(flv_plot_heat(at(t, "a\nb.png"), "", 1.0, 1, &map, &err), FLV_EINVAL, &err,
               "control character");
  expect_error(flv_plot_heat("", "", 1.0, 1, &map, &err), FLV_EINVAL, &err, "file name");
  expect_error(flv_plot_heat(at(t, "no/folder.png"), "", 1.0, 1, &map, &err), FLV_EIO, &err,
               "no/folder");
  assert_int_equal(flv_plot_curves(png, "", "", "", true, 1, &empty, NULL), FLV_EINVAL);
  assert_int_not_equal(access(at(t, "p.dat"), F_OK), 0); // nothing was written
}

static void without_gnuplot_data_and_script_stay(void **state) {
  const fixture *t = *state;
  const flv_curve curve = {"a", 10, t->x, t->y};
  flv_error err = {0};
  unsigned height = 0;
  assert_int_equal(flv_plot_curves(at(t, "p.png"), "", "", "", true, 1, &curve, &err), FLV_OK);
  char *path = strdup(getenv("PATH"));
  assert_non_null(path);
  assert_int_equal(setenv("PATH", t->folder, 1), 0);
  const flv_status status = flv_plot_curves(at(t, "p.png"), "anew", "", "", true, 1, &curve, &err);
  setenv("PATH", path, 1);
  free(path);
  expect_error(status, FLV_EIO, &err, "gnuplot-nox");
  assert_true(png_size(at(t, "p.png"), &height) > 0); // the earlier picture
  char *gp = text_of(at(t, "p.gp"));
  assert_non_null(strstr(gp, "anew"));
  free(gp);
  assert_int_equal(access(at(t, "p.dat"), F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(curves_thinned_in_the_picture_only, setup, teardown),
      cmocka_unit_test_setup_teardown(a_moved_folder_draws_again, setup, teardown),
      cmocka_unit_test_setup_teardown(bad_points_are_skipped, setup, teardown),
      cmocka_unit_test_setup_teardown(odd_shapes_draw, setup, teardown),
      cmocka_unit_test_setup_teardown(many_curves_draw, setup, teardown),
      cmocka_unit_test_setup_teardown(errors_say_why, setup, teardown),
      cmocka_unit_test_setup_teardown(without_gnuplot_data_and_script_stay, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
