#include "seeds.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "measures.h"
#include "pictures.h"
#include "training.h"

// ---- command line ----

bool cli_take_seeds(const cli_verb *verb, const char *text, cli_seed_list *list) {
  *list = (cli_seed_list){.counted = !strchr(text, ',')};
  if (list->counted) return cli_int(verb, "--seeds", text, 1, FLV_SEEDS_MAX, &list->n);
  for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    char word[32];
    if (list->n == FLV_SEEDS_MAX) {
      cli_misused(verb, "--seeds: more than %d", (int)FLV_SEEDS_MAX);
      return false;
    }
    snprintf(word, sizeof word, "%.*s", (int)strcspn(at, ","), at);
    if (!cli_integer(verb, "--seeds", word, 0, INT64_C(9000000000000000000), &list->seed[list->n]))
      return false;
    for (int k = 0; k < list->n; k++)
      if (list->seed[k] == list->seed[list->n]) {
        cli_misused(verb, "--seeds: %s is there twice", word);
        return false;
      }
    list->n++;
  }
  return true;
}

static void count_up(const flv_config *cfg, cli_seed_list *list) {
  char first[64] = "0";
  flv_config_get(cfg, "seed", first, sizeof first, NULL);
  for (int k = 0; k < list->n; k++) list->seed[k] = strtoll(first, NULL, 10) + k;
}

// ---- pictures, and the end ----

typedef struct watch {
  cli_progress progress;
  atomic_flag warned; // the same would be said of every run
  flv_error warning;
} watch;

static void show(void *user, const flv_seeds_progress *now) {
  cli_progress_seeds(&((watch *)user)->progress, now);
}

// Called by several threads at once.
static void draw(void *user, const flv_seed_run *run) {
  watch *w = user;
  cli_drawn drawn;
  cli_draw_run(&drawn, run->dir, 1, &run->progress.evaluation);
  for (int i = 0; i < 2; i++)
    if (drawn.failed[i].text[0] && !atomic_flag_test_and_set(&w->warned))
      w->warning = drawn.failed[i];
}

static void report(const cli_seeds *how, const char *dir, const flv_seeds *seeds, const watch *w,
                   bool drawn) {
  const flv_evaluation *e[FLV_SEEDS_MAX];
  const flv_best *best[FLV_SEEDS_MAX];
  int n = 0;
  for (int k = 0; k < seeds->n; k++) {
    if (seeds->run[k].status != FLV_OK) continue;
    e[n] = &seeds->run[k].progress.evaluation;
    best[n++] = &seeds->run[k].progress.best;
  }
  putchar('\n');
  cli_measures_row(stdout, "runs", "%d in %s, %d trained to the end", seeds->n, dir, n);
  if (n > 0) cli_measures_spread(stdout, n, e);
  if (n > 0) cli_found_spread(stdout, n, best);
  const cli_training training = {.resume = how->resume, .progress = w->progress};
  if (!cli_progress_nothing(&w->progress)) cli_train_speed(&training);
  cli_measures_row(stdout, "summary", "%s/summary.csv", dir);
  if (drawn) cli_measures_row(stdout, "curves", "%s/seeds.png", dir);
}

// 0, 1 or 2 warnings; without gnuplot the second would be the first again.
static bool summarise(const char *dir, const watch *w) {
  flv_error err = {0};
  if (w->warning.text[0]) cli_warn("%s", w->warning.text);
  if (flv_seeds_summarise(dir, &err) == FLV_OK) return true;
  if (!w->warning.text[0]) cli_warn("%s", err.text);
  return false;
}

int cli_train_seeds(const cli_seeds *how) {
  const char *dir = how->resume ? how->resume : how->out;
  if (how->list->counted) count_up(how->cfg, how->list);
  if (!how->quiet && how->resume) fprintf(stderr, "going on with the runs in %s\n", dir);
  if (!how->quiet && !how->resume) fprintf(stderr, "training %d seeds in %s\n", how->list->n, dir);
  watch w = {.warned = ATOMIC_FLAG_INIT};
  cli_progress_begin(&w.progress, how->quiet);
  const flv_seeds_options options = {.out = how->resume ? NULL : how->out,
                                     .n = how->list->n,
                                     .seeds = how->list->seed,
                                     .resume = how->resume,
                                     .threads = how->threads,
                                     .progress = show,
                                     .ended = draw,
                                     .user = &w,
                                     .stop = cli_stop()};
  flv_seeds seeds = {0};
  flv_error err = {0};
  cli_catch_signals(true);
  const flv_status status = flv_seeds_train(&seeds, how->cfg, &options, &err);
  cli_catch_signals(false);
  cli_progress_end(&w.progress);
  if (seeds.n > 0 && status != FLV_ESTOPPED) {
    const bool drawn = summarise(dir, &w);
    if (!how->quiet) report(how, dir, &seeds, &w, drawn);
  }
  flv_seeds_free(&seeds);
  if (status == FLV_OK) return CLI_OK;
  cli_fail("%s", err.text);
  return status == FLV_ESTOPPED ? CLI_INTERRUPTED : CLI_FAILED;
}
