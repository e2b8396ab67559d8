// What training finds of molecules: the archive against plain loops over the same iterations, the
// same whether a run is interrupted, shares its threads or not; the best and a diverse set of it.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sys/stat.h>

#include "chem/fingerprint.h"
#include "fluvial/seeds.h"
#include "metrics/diverse.h"
#include "molecule_run_fixture.h"
#include "run/curve.h"
#include "run_alloc.h"

enum { BATCH = 8, WORDS = FLV_FINGERPRINT_WORDS, MOST = 4000 };

static void must_train(const flv_config *cfg, const char *out) {
  flv_error err = {0};
  if (train(cfg, out, NULL, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
}

static char *text_of(const char *path) {
  char *read = NULL;
  size_t size;
  flv_error err = {0};
  if (flv_file_read(path, &read, &size, &err) != FLV_OK) fail_msg("%s", err.text);
  char *text = strdup(read); // gcc 12 takes `read` itself for a pointer into this function's frame
  free(read);
  return text;
}

// ---- plain loops ----

typedef struct object {
  char text[256];
  double log_r;
  int line; // of its best, in objects.csv
  int iteration;
} object;

typedef struct mirror { // what an archive should hold
  double above, modes_above, similarity;
  int n, lines, high, modes;
  object object[MOST];
  uint64_t mode[MOST][WORDS];
  char *csv; // objects.csv without keys
  size_t csv_size;
  FILE *out;
} mirror;

static double alike(const uint64_t *a, const uint64_t *b) {
  int both = 0, either = 0;
  for (int w = 0; w < WORDS; w++) {
    both += __builtin_popcountll(a[w] & b[w]);
    either += __builtin_popcountll(a[w] | b[w]);
  }
  return (double)both / either;
}

static bool unlike_all(uint64_t (*kept)[WORDS], int n, const uint64_t *bits, double threshold) {
  for (int k = 0; k < n; k++)
    if (!(alike(bits, kept[k]) < threshold)) return false;
  return true;
}

static void mirror_object(mirror *m, const flv_trainer *t, const void *state, double log_r) {
  const flv_env *env = flv_trainer_env(t);
  const double reward = 2.0 * exp(log_r / 3.0);
  char text[256];
  uint64_t bits[WORDS];
  flv_error err = {0};
  assert_int_equal(env->ops->text(env, state, text, sizeof text, &err), FLV_OK);
  int at = 0;
  while (at < m->n && strcmp(m->object[at].text, text) != 0) at++;
  object *o = &m->object[at];
  if (reward < m->above || (at < m->n && log_r <= o->log_r)) return;
  const bool rises =
      reward >= m->modes_above && (at == m->n || 2.0 * exp(o->log_r / 3.0) < m->modes_above);
  if (at == m->n) m->n++;
  assert_true(m->n < MOST);
  snprintf(o->text, sizeof o->text, "%s", text);
  o->log_r = log_r;
  o->line = m->lines++;
  o->iteration = (int)flv_trainer_iteration(t);
  fprintf(m->out, "%d,%s,%.17g,%.6g,\n", o->iteration, text, log_r, reward);
  if (!rises) return;
  m->high++;
  assert_int_equal(env->ops->fingerprint(env, text, bits, &err), FLV_OK);
  if (unlike_all(m->mode, m->modes, bits, m->similarity))
    memcpy(m->mode[m->modes++], bits, sizeof bits);
}

typedef struct row { // of metrics.csv
  double objects, above, modes, best_log_r, quantile[3];
} row;

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static row mirror_row(const mirror *m, int n, const double *log_r) {
  static const double share[] = {0.1, 0.5, 0.9};
  row r = {m->n, m->high, m->modes, -HUGE_VAL, {0}};
  double *latest = calloc(1000, sizeof *latest);
  const int kept = n < 1000 ? n : 1000;
  for (int i = 0; i < m->n; i++) r.best_log_r = fmax(r.best_log_r, m->object[i].log_r);
  memcpy(latest, log_r + n - kept, (size_t)kept * sizeof *latest);
  qsort(latest, (size_t)kept, sizeof *latest, by_size);
  for (int k = 0; k < 3; k++)
    r.quantile[k] = 2.0 * exp(latest[(int)(share[k] * (kept - 1) + 0.5)] / 3.0);
  free(latest);
  return r;
}

static void compare_row(const char *dir, int at, const row *r) {
  static const char *const names[] = {"objects",   "above",     "modes",    "best_log_r",
                                      "reward_10", "reward_50", "reward_90"};
  const double expected[] = {r->objects,     r->above,       r->modes,      r->best_log_r,
                             r->quantile[0], r->quantile[1], r->quantile[2]};
  for (int k = 0; k < 7; k++) {
    flv_curve c;
    double *xy;
    flv_error err = {0};
    if (flv_run_curve(dir, names[k], &c, &xy, &err) != FLV_OK) fail_msg("%s", err.text);
    assert_true(at < c.n);
    if (!(fabs(c.y[at] - expected[k]) <= 1e-9 * (1.0 + fabs(expected[k]))))
      fail_msg("row %d, %s: %.12g, not %.12g", at, names[k], c.y[at], expected[k]);
    free(xy);
  }
}

// objects.csv without what follows the last comma of each line after the header.
static char *without_keys(const char *path) {
  char *text = text_of(path), *to = text;
  const char *from = strchr(text, '\n') + 1;
  while (*from) {
    const char *end = strchr(from, '\n');
    assert_non_null(end);
    assert_true(end - from > 33 && end[-33] == ',');
    memmove(to, from, (size_t)(end - 32 - from));
    to += end - 32 - from;
    *to++ = '\n';
    from = end + 1;
  }
  *to = '\0';
  return text;
}

static void follow(mirror *m, const flv_config *cfg, int iterations, const char *dir) {
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
  if (!t) fail_msg("%s", err.text);
  const size_t size = flv_trainer_env(t)->state_size;
  unsigned char *states = calloc(BATCH, size);
  double *log_r = calloc((size_t)iterations * BATCH, sizeof *log_r), again[BATCH];
  m->out = open_memstream(&m->csv, &m->csv_size);
  for (int i = 1, rows = 0; i <= iterations; i++) {
    double *now = log_r + (i - 1) * BATCH;
    step(t, NULL);
    assert_int_equal(flv_trainer_objects(t, states, now), BATCH);
    assert_int_equal(
        flv_reward_log(flv_trainer_reward(t), flv_trainer_env(t), BATCH, states, again, NULL),
        FLV_OK);
    assert_memory_equal(now, again, sizeof again);
    for (int k = 0; k < BATCH; k++) mirror_object(m, t, states + (size_t)k * size, now[k]);
    if (i % 7 != 0 && i != iterations) continue;
    const row r = mirror_row(m, i * BATCH, log_r);
    compare_row(dir, rows++, &r);
  }
  fclose(m->out);
  free(log_r);
  free(states);
  flv_trainer_free(t);
}

// ---- best.csv and diverse.csv ----

static int by_reward(const void *a, const void *b) {
  const object *x = a, *y = b;
  return x->log_r < y->log_r ? 1 : x->log_r > y->log_r ? -1 : x->line - y->line;
}

// From the mirror, which is sorted. Returns how many modes there are.
static int select_by_hand(mirror *m, const flv_env *env, int rows, double modes_above,
                          double similarity, char *best, char *diverse) {
  static uint64_t kept[MOST][WORDS];
  int n = 0, modes = 0;
  flv_error err = {0};
  qsort(m->object, (size_t)m->n, sizeof *m->object, by_reward);
  best += sprintf(best, "smiles,log_r,reward,iteration\n");
  diverse += sprintf(diverse, "smiles,log_r,reward,iteration,nearest\n");
  for (int i = 0; i < m->n; i++) {
    const object *o = &m->object[i];
    char line[512];
    uint64_t bits[WORDS];
    double nearest = 0.0;
    const double reward = 2.0 * exp(o->log_r / 3.0);
    sprintf(line, "%s,%.17g,%.6g,%d", o->text, o->log_r, reward, o->iteration);
    if (i < rows) best += sprintf(best, "%s\n", line);
    assert_int_equal(env->ops->fingerprint(env, o->text, bits, &err), FLV_OK);
    if (!unlike_all(kept, n, bits, similarity)) continue;
    for (int k = 0; k < n; k++) nearest = fmax(nearest, alike(bits, kept[k]));
    modes += reward >= modes_above;
    if (n < rows) diverse += sprintf(diverse, "%s,%.4g\n", line, nearest);
    memcpy(kept[n++], bits, sizeof bits);
  }
  return modes;
}

static void compare_best(mirror *m, const flv_env *env, const char *dir,
                         const flv_best_options *options, int rows, double modes_above,
                         double similarity) {
  static char best[1 << 20], diverse[1 << 20];
  char path[256];
  flv_error err = {0};
  flv_best found;
  if (flv_run_best(dir, options, &found, &err) != FLV_OK) fail_msg("%s", err.text);
  const int modes = select_by_hand(m, env, rows, modes_above, similarity, best, diverse);
  int high = 0;
  for (int i = 0; i < m->n; i++) high += 2.0 * exp(m->object[i].log_r / 3.0) >= modes_above;
  assert_int_equal(found.objects, m->n);
  assert_int_equal(found.modes, modes);
  assert_int_equal(found.above, high);
  assert_true(fabs(found.best - 2.0 * exp(m->object[0].log_r / 3.0)) < 1e-12);
  assert_true(found.modes_above == modes_above && found.similarity == similarity);
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/%s", dir, k ? "diverse.csv" : "best.csv");
    char *text = text_of(path);
    assert_string_equal(text, k ? diverse : best);
    free(text);
  }
}

// Few fragments, of which many molecules can be put together in several ways, with more slots free
// in some of them.
static const char *small_vocabulary(void) {
  const char *path = in("small.json");
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("{\"fragments\": [{\"smiles\": \"C\", \"attach\": [0, 0]}, "
        "{\"smiles\": \"CC\", \"attach\": [0, 1]}, {\"smiles\": \"O\", \"attach\": [0, 0]}, "
        "{\"smiles\": \"CO\", \"attach\": [0]}, {\"smiles\": \"NC=O\", \"attach\": [0, 1]}, "
        "{\"smiles\": \"NC(N)=O\", \"attach\": [0, 2]}, {\"smiles\": \"N\", \"attach\": [0, 0]}, "
        "{\"smiles\": \"c1ccccc1\", \"attach\": [0, 1, 2, 3, 4, 5]}, "
        "{\"smiles\": \"F\", \"attach\": [0]}]}",
        f);
  assert_int_equal(fclose(f), 0);
  return path;
}

static void as_plain_loops_find_it(void **unused) {
  (void)unused;
  enum { ITERATIONS = 150 };
  static mirror m;
  flv_config *cfg = molecules("150");
  put(cfg, "env.path", small_vocabulary());
  put(cfg, "env.max_blocks", "4");
  char high[32], low[32];
  snprintf(high, sizeof high, "%s", reward_above(cfg, 0.4));
  snprintf(low, sizeof low, "%s", reward_above(cfg, 0.9));
  put(cfg, "archive.modes_above", high);
  for (int k = 0; k < 2; k++) {
    memset(&m, 0, sizeof m); // too large for the stack
    m.above = k ? atof(low) : 0.0;
    m.modes_above = atof(high);
    m.similarity = 0.4;
    put(cfg, "archive.above", k ? low : "0");
    const char *dir = in(k ? "found_1" : "found_0");
    must_train(cfg, dir);
    follow(&m, cfg, ITERATIONS, dir);
    char path[256];
    snprintf(path, sizeof path, "%s/objects.csv", dir);
    char *text = without_keys(path);
    assert_string_equal(text, m.csv);
    print_message("%d objects in %d lines, %d above, %d modes\n", m.n, m.lines, m.high, m.modes);
    assert_true(m.n > 100 && m.high > 20 && m.high < m.n && m.modes > 3 && m.modes < m.high);
    assert_true(m.lines > m.n + 10); // found again with a larger reward

    flv_error err = {0};
    flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
    const flv_env *env = flv_trainer_env(t);
    compare_best(&m, env, dir, NULL, 20, atof(high), 0.4);
    compare_best(&m, env, dir, &(flv_best_options){3, -1.0, -1.0}, 3, atof(high), 0.4);
    compare_best(&m, env, dir, &(flv_best_options){1000, 0.0, 0.7}, 1000, 0.0, 0.7);
    compare_best(&m, env, dir, &(flv_best_options){50, 1e9, 1.0}, 50, 1e9, 1.0);
    flv_trainer_free(t);
    free(text);
    free(m.csv);
  }
  flv_config_free(cfg);
}

// ---- the same files however a run comes to its end ----

static const char *const files[] = {"metrics.csv", "objects.csv", "best.csv", "diverse.csv"};

static void assert_same_files(const char *a, const char *b) {
  for (int k = 0; k < 4; k++) assert_same_file(a, b, files[k]);
}

static volatile int stop_now;

static void stop_midway(void *user, const flv_progress *progress) {
  (void)user;
  if (progress->evaluated && progress->stats.iteration >= 28) {
    assert_true(progress->found.archived && progress->found.objects > 0);
    assert_true(progress->found.low <= progress->found.median &&
                progress->found.median <= progress->found.high &&
                progress->found.high <= progress->found.best);
    stop_now = 1;
  }
}

static void stopped_and_resumed(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = molecules("60");
  put(cfg, "archive.modes_above", reward_above(cfg, 0.5));
  must_train(cfg, in("whole"));
  stop_now = 0;
  const flv_run_options options = {
      .out = in("parts"), .threads = 1, .stop = &stop_now, .progress = stop_midway};
  assert_int_equal(flv_run_train(cfg, &options, &err), FLV_ESTOPPED);
  // as if it had been killed later: lines that no checkpoint knows of, the last one cut
  FILE *f = fopen(in("parts/objects.csv"), "a");
  assert_non_null(f);
  fputs("29,CC,1,2,00000000000000000000000000000001\n29,CCC", f);
  assert_int_equal(fclose(f), 0);
  if (train(NULL, NULL, in("parts"), NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_same_files(in("whole"), in("parts"));
  assert_same_tensors(in("whole"), in("parts"));
  if (train(NULL, NULL, in("parts"), NULL, &err) != FLV_OK) fail_msg("%s", err.text); // at its end
  assert_same_files(in("whole"), in("parts"));
  flv_config_free(cfg);
}

static void threads_do_not_change_files(void **unused) {
  (void)unused;
  static const char *const names[] = {"one", "two", "three"};
  flv_error err = {0};
  flv_config *cfg = molecules("40");
  put(cfg, "archive.modes_above", reward_above(cfg, 0.5));
  for (int k = 0; k < 3; k++) {
    const flv_run_options options = {.out = in(names[k]), .threads = k + 1};
    if (flv_run_train(cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
    assert_same_files(in("one"), in(names[k]));
  }
  flv_config_free(cfg);
}

typedef struct seeds_seen {
  int calls;
  flv_found last;
} seeds_seen;

static void hear(void *user, const flv_seeds_progress *now) {
  seeds_seen *s = user;
  s->calls++;
  s->last = now->all.found;
}

static void several_seeds(void **unused) {
  (void)unused;
  static const int64_t seed[] = {4, 9};
  flv_error err = {0};
  flv_config *cfg = molecules("40");
  put(cfg, "archive.modes_above", reward_above(cfg, 0.5));
  seeds_seen seen = {0};
  const flv_seeds_options options = {
      .out = in("seeds"), .n = 2, .seeds = seed, .threads = 2, .progress = hear, .user = &seen};
  flv_seeds seeds;
  if (flv_seeds_train(&seeds, cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
  double best = 0.0;
  int64_t objects = 0;
  for (int k = 0; k < 2; k++) {
    put(cfg, "seed", k ? "9" : "4");
    must_train(cfg, in(k ? "alone_9" : "alone_4"));
    assert_same_files(in(k ? "alone_9" : "alone_4"), in(k ? "seeds/seed-9" : "seeds/seed-4"));
    const flv_progress *p = &seeds.run[k].progress;
    assert_true(p->best.objects == p->found.objects && p->best.above == p->found.above);
    assert_true(p->best.best == p->found.best);
    best = fmax(best, p->best.best);
    objects += p->best.objects;
  }
  assert_true(seen.calls > 0 && seen.last.archived && seen.last.best == best);
  assert_int_equal(seen.last.objects, objects / 2);
  flv_seeds_free(&seeds);
  flv_config_free(cfg);
}

// ---- what is refused ----

static void overwrite(const char *path, const char *from, const char *to) {
  char *text = text_of(path), *at = strstr(text, from);
  assert_non_null(at);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  assert_int_equal(fclose(f), 0);
  free(text);
}

static void what_is_no_archive(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_best best = {.objects = -3};
  flv_config *grid = configure(
      SETTINGS({"env.side", "5"}, {"iterations", "3"}, {"batch", "8"}, {"policy.hidden", "[8]"}));
  must_train(grid, in("grid"));
  assert_int_equal(flv_run_best(in("grid"), NULL, &best, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "objects of environment 'hypergrid' have no texts"));
  assert_int_equal(access(in("grid/objects.csv"), F_OK), -1);
  assert_int_equal(flv_run_best(in("nowhere"), NULL, &best, &err), FLV_EIO);
  assert_int_equal(best.objects, -3);
  flv_config_free(grid);

  flv_config *cfg = molecules("5");
  must_train(cfg, in("broken"));
  char *before = text_of(in("broken/best.csv"));
  static const char *const to[] = {"\n1;", "\nx,", "\n,", "\n1,2,", "\n,,,,\n1,"};
  for (int k = 0; k < 5; k++) {
    overwrite(in("broken/objects.csv"), "\n1,", to[k]);
    assert_int_equal(flv_run_best(in("broken"), NULL, &best, &err), FLV_EINVAL);
    assert_non_null(strstr(err.text, "objects.csv: line 2 is not as it was written"));
    overwrite(in("broken/objects.csv"), to[k], "\n1,");
  }
  overwrite(in("broken/objects.csv"), "\n1,", "\n1;");
  assert_int_equal(train(NULL, NULL, in("broken"), NULL, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "line 2 is not as it was written"));
  overwrite(in("broken/objects.csv"), "\n1;", "\n1,");
  char *after = text_of(in("broken/best.csv"));
  assert_string_equal(before, after);
  assert_int_equal(truncate(in("broken/objects.csv"), 40), 0);
  assert_int_equal(train(NULL, NULL, in("broken"), NULL, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "objects.csv: shorter than its checkpoint says"));
  free(before);
  free(after);
  flv_config_free(cfg);
}

// Nothing is above: no rows, and no best.
static void nothing_found(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = molecules("5");
  put(cfg, "archive.above", "1e9");
  must_train(cfg, in("empty"));
  flv_best best;
  if (flv_run_best(in("empty"), NULL, &best, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_true(best.objects == 0 && best.modes == 0 && best.n_best == 0 && isnan(best.best));
  char *text = text_of(in("empty/objects.csv"));
  assert_string_equal(text, "iteration,smiles,log_r,reward,key\n");
  free(text);
  text = text_of(in("empty/diverse.csv"));
  assert_string_equal(text, "smiles,log_r,reward,iteration,nearest\n");
  free(text);
  flv_config_free(cfg);
}

static flv_status choose_and_sample(const char *dir, flv_error *err) {
  flv_best best;
  FLV_TRY(flv_run_best(dir, NULL, &best, err));
  return flv_run_sample(dir, 1, 0, 1, in("some.csv"), err);
}

// Of training, choosing and sampling, every seventh: most of them are of the network's file, again
// and again.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg = molecules("1");
  const char *path = in("few.json");
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("{\"fragments\": [{\"smiles\": \"CO\", \"attach\": [0, 1]}]}", f);
  assert_int_equal(fclose(f), 0);
  put(cfg, "env.path", path);
  put(cfg, "batch", "2");
  put(cfg, "archive.modes_above", reward_above(cfg, 0.5));
  put(cfg, "env.max_blocks", "2");
  put(cfg, "reward.cache_mb", "1");
  fail_allocations_in_turn(cfg, 7, choose_and_sample);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_plain_loops_find_it),
      cmocka_unit_test(stopped_and_resumed),
      cmocka_unit_test(what_is_no_archive),
      cmocka_unit_test(nothing_found),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(threads_do_not_change_files),
      cmocka_unit_test(several_seeds),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
