// Progress of a training run: how the line is put together, and when it is written.
#include "progress.h"

#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum { BAR_MIN = 6, BAR_MAX = 30, FIELD = 64 };

static const double plain_every = 2.0; // seconds between plain lines, at least
static const double memory = 10.0;     // seconds over which the pace is averaged

void cli_progress_begin(cli_progress *p, bool quiet) {
  const char *term = getenv("TERM");
  *p = (cli_progress){.quiet = quiet, .printed = -plain_every, .printed_iteration = -1};
  p->live = !quiet && cli_columns(stderr) > 0 && !(term && strcmp(term, "dumb") == 0);
  p->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void measure(cli_progress *p, const flv_progress *now) {
  if (p->calls++ == 0) {
    p->first_seconds = now->seconds;
    if (now->stats.iteration > 0) p->s_per_iteration = now->seconds / (double)now->stats.iteration;
  } else {
    const double dt = now->seconds - p->last.seconds;
    const int64_t di = now->stats.iteration - p->last.stats.iteration;
    p->states +=
        (double)(now->stats.trajectories - p->last.stats.trajectories) * now->stats.mean_length;
    if (di > 0 && dt > 0.0) {
      const double pace = dt / (double)di, keep = p->calls == 2 ? 0.0 : exp(-dt / memory);
      p->s_per_iteration = keep * p->s_per_iteration + (1.0 - keep) * pace;
    }
  }
  p->last = *now;
}

bool cli_progress_nothing(const cli_progress *p) {
  return p->last.finished && p->last.stats.iteration == p->last.before;
}

double cli_progress_states_per_s(const cli_progress *p) {
  const double seconds = p->last.seconds - p->first_seconds;
  return seconds > 0.0 ? p->states / seconds : 0.0;
}

// ---- the line ----

typedef enum field {
  ITERATION,
  RATE,
  LOSS,
  LOG_Z,
  TRUE_Z,
  DISTANCE,
  REWARD,
  FOUND,
  LEFT,
  N_FIELDS
} field;

// First to go when the terminal is too narrow.
static const field dropped[N_FIELDS] = {LOSS,      RATE,  TRUE_Z, DISTANCE, LOG_Z,
                                        ITERATION, FOUND, LEFT,   REWARD};

// 14,647 or, short, 14.6k
static void write_rate(double rate, bool compact, char *text, size_t size) {
  if (!compact || rate < 1e3)
    cli_thousands((int64_t)rate, text, size);
  else
    snprintf(text, size, rate < 1e6 ? "%.1fk" : "%.2fM", rate < 1e6 ? 1e-3 * rate : 1e-6 * rate);
}

// Mean over the seeds, and how far they are apart.
static void add_range(const cli_progress *p, double low, double high, char *text) {
  const size_t used = strlen(text);
  if (p->runs > 1 && isfinite(low) && isfinite(high))
    snprintf(text + used, FIELD - used, " [%.2g %.2g]", low, high);
}

// Where objects have texts: tenth, half and nine tenths of the latest rewards and the best of all;
// distinct objects and modes. The distance to a target of which only samples are known is nothing
// then.
static void write_found(const cli_progress *p, bool compact, char text[N_FIELDS][FIELD]) {
  const flv_found *f = &p->last.found;
  const flv_evaluation *e = &p->last.evaluation;
  char objects[32], modes[32];
  text[REWARD][0] = text[FOUND][0] = '\0';
  if (!f->archived) return;
  if (!(e->n > 0 && isfinite(e->jsd)) && p->failed == 0) text[DISTANCE][0] = '\0';
  cli_thousands(f->objects, objects, sizeof objects);
  cli_thousands(f->modes, modes, sizeof modes);
  if (!isnan(f->median))
    snprintf(text[REWARD], FIELD, compact ? "R %.3g/%.3g/%.3g" : "reward %.3g/%.3g/%.3g max %.3g",
             f->low, f->median, f->high, f->best);
  snprintf(text[FOUND], FIELD, compact ? "%s/%s" : "%s objects, %s modes", objects, modes);
}

// The distance and the true log Z come from evaluations; "~" where estimated from samples.
static void write_fields(const cli_progress *p, bool compact, char text[N_FIELDS][FIELD]) {
  const flv_progress *now = &p->last;
  const flv_evaluation *e = &now->evaluation;
  char done[32], all[32], rate[32], left[32];
  cli_thousands(now->stats.iteration, done, sizeof done);
  cli_thousands(now->iterations, all, sizeof all);
  snprintf(text[ITERATION], FIELD, "%*s/%s", (int)strlen(all), done, all);
  write_rate(now->trajectories_per_s, compact, rate, sizeof rate);
  snprintf(text[RATE], FIELD, compact ? "%s traj/s" : "%7s traj/s", rate);
  snprintf(text[LOSS], FIELD, compact || p->runs > 1 ? "loss %.2g" : "loss %-9.3g",
           now->stats.loss);
  if (!compact) add_range(p, p->loss_low, p->loss_high, text[LOSS]);
  snprintf(text[LOG_Z], FIELD, compact ? "log Z %.3f" : "log Z %.4f", now->stats.log_z);
  text[TRUE_Z][0] = '\0';
  if (e->n > 0 && isfinite(e->log_z_true))
    snprintf(text[TRUE_Z], FIELD, compact ? "/%s%.3f" : " (true %s%.4f)", e->log_z_exact ? "" : "~",
             e->log_z_true);
  if (e->n > 0 && isfinite(e->jsd))
    snprintf(text[DISTANCE], FIELD, compact ? "JSD %s%.1e" : "JSD %s%.2e", e->exact ? "" : "~",
             e->jsd);
  else
    snprintf(text[DISTANCE], FIELD, "JSD -");
  if (!compact) add_range(p, p->jsd_low, p->jsd_high, text[DISTANCE]);
  if (p->failed > 0) {
    const size_t used = strlen(text[DISTANCE]);
    snprintf(text[DISTANCE] + used, FIELD - used, "  %d failed", p->failed);
  }
  write_found(p, compact, text);
  const int64_t to_do = now->iterations - now->stats.iteration;
  cli_clock(to_do > 0 ? (double)to_do * p->s_per_iteration : now->seconds, left, sizeof left);
  snprintf(text[LEFT], FIELD, to_do > 0 ? "%s left" : "in %s", left);
}

static int join(char text[N_FIELDS][FIELD], char *line, size_t size) {
  size_t used = 0;
  line[0] = '\0';
  for (int i = 0; i < N_FIELDS && used < size; i++)
    if (*text[i])
      used += (size_t)snprintf(line + used, size - used, "%s%s", i == TRUE_Z ? "" : "  ", text[i]);
  return (int)strlen(line);
}

static void write_bar(const cli_progress *p, int width, double part) {
  const int full = (int)(part * width);
  for (int i = 0; i < width; i++)
    fputs(i < full ? (p->utf8 ? "█" : "#") : (p->utf8 ? "░" : "-"), stderr);
}

// Columns left for the bar once the fields stand. When room is short and the iterations are there,
// the percentage goes.
static int bar_room(char text[N_FIELDS][FIELD], bool compact, int columns, bool *percent) {
  char line[N_FIELDS * FIELD];
  *percent = !compact || !*text[ITERATION];
  return columns - join(text, line, sizeof line) - (*percent ? 5 : 0);
}

static void show_live(cli_progress *p) {
  char text[N_FIELDS][FIELD], line[N_FIELDS * FIELD];
  const int columns = cli_columns(stderr) - 1; // a full last column wraps on some terminals
  const int64_t all = p->last.iterations;
  const double part = all > 0 ? (double)p->last.stats.iteration / (double)all : 0.0;
  bool percent;
  write_fields(p, false, text);
  int room = bar_room(text, false, columns, &percent);
  if (room < BAR_MIN) write_fields(p, true, text);
  if (room < BAR_MIN) room = bar_room(text, true, columns, &percent);
  for (int i = 0; i < N_FIELDS && room < BAR_MIN; i++) {
    text[dropped[i]][0] = '\0';
    room = bar_room(text, true, columns, &percent);
  }
  join(text, line, sizeof line);
  fputc('\r', stderr);
  write_bar(p, room > BAR_MAX ? BAR_MAX : room > 0 ? room : 0, part);
  if (percent && columns >= 5) fprintf(stderr, " %3d%%", (int)(100.0 * part));
  fprintf(stderr, "%s\033[K", line);
  fflush(stderr);
  p->line_open = true;
}

static void show_plain(cli_progress *p) {
  const flv_progress *now = &p->last;
  if (!now->evaluated && !now->finished) return;
  if (!now->finished && now->seconds - p->printed < plain_every) return;
  if (now->stats.iteration == p->printed_iteration) return;
  char text[N_FIELDS][FIELD], line[N_FIELDS * FIELD];
  write_fields(p, false, text);
  join(text, line, sizeof line);
  fprintf(stderr, "%s\n", line + 2);
  p->printed = now->seconds;
  p->printed_iteration = now->stats.iteration;
}

void cli_progress_show(void *user, const flv_progress *now) {
  cli_progress *p = user;
  measure(p, now);
  if (p->quiet || cli_progress_nothing(p)) return;
  if (p->live)
    show_live(p);
  else
    show_plain(p);
}

void cli_progress_seeds(void *user, const flv_seeds_progress *now) {
  cli_progress *p = user;
  p->runs = now->runs;
  p->failed = now->failed;
  p->loss_low = now->loss_low;
  p->loss_high = now->loss_high;
  p->jsd_low = now->jsd_low;
  p->jsd_high = now->jsd_high;
  cli_progress_show(p, &now->all);
}

void cli_progress_end(cli_progress *p) {
  if (p->line_open) fputc('\n', stderr);
  p->line_open = false;
}
