// A reward for molecules from another program, and what becomes of its numbers
// (reward/molecule_scores.h).
//
// The program is started once, at the first molecule, and kept alive. A line of its input is the
// canonical SMILES of a molecule; for each line it reads, in order, it writes one with a number
// that is not negative, and flushes it. It may be told up to `batch` lines before it has answered
// the first. When its input ends so should it.
//
// One that ends before is started again, and asked again from the line it left open; `restarts`
// times in a row, with no answer in between. What else goes wrong stops the run: an answer that is
// no number, silence, a line that was not asked for.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/coprocess.h"
#include "reward/molecule_scores.h"
#include "reward/reward_list.h"

#define MOLECULE_PROGRAM_KEYS(X)                                                                   \
  X(TEXT, command, "", 0, 0, "",                                                                   \
    "for the shell: a program that reads SMILES and answers numbers, a line each; required")       \
  X(REAL, timeout_s, "60", 1e-3, 1e6, "", "longest wait for an answer, seconds")                   \
  X(INT, restarts, "3", 0, 1000000, "", "times in a row that it is started again when it ends")    \
  X(INT, batch, "256", 1, 4096, "", "most lines it is told before it has answered")                \
  FLV_MOLECULE_SCORE_KEYS(X)                                                                       \
  FLV_EXPONENT_KEY(X)
typedef struct molecule_program_cfg {
  MOLECULE_PROGRAM_KEYS(FLV_FIELD)
} molecule_program_cfg;
#define FLV_STRUCT molecule_program_cfg
static const flv_param molecule_program_params[] = {MOLECULE_PROGRAM_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct molecule_program {
  flv_text command;
  double patience;
  int restarts;
  pthread_mutex_t lock; // of the program, which hears one thread at a time
  flv_coprocess program;
  int ends; // in a row
} molecule_program;

static const double grace = 2.0; // seconds to end in

// ---- questions ----

typedef struct scratch { // of one thread
  flv_smiles_list list;  // a line each
  size_t *text;          // [batch] where each begins
} scratch;

static void scratch_free(void *data) {
  scratch *s = data;
  flv_smiles_list_free(&s->list);
  free(s->text);
  free(s);
}

static void *scratch_new(void *self, int batch, int atoms, int bonds) {
  (void)self, (void)atoms, (void)bonds;
  scratch *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  if ((s->text = calloc((size_t)batch, sizeof *s->text))) return s;
  free(s);
  return NULL;
}

// ---- answers ----

typedef struct answers {
  double *p;
  char refused[80]; // what was no number
} answers;

// What it wrote, as it may stand in a line of message.
static void show_answer(char *text, size_t room, const char *line, size_t length) {
  size_t n = 0;
  for (; n < length && n + 1 < room; n++)
    text[n] = (unsigned char)line[n] < ' ' || (unsigned char)line[n] > '~' ? '?' : line[n];
  text[n] = '\0';
}

static bool hear(void *user, int k, const char *line) {
  answers *a = user;
  char *end;
  a->p[k] = strtod(line, &end);
  while (*end == ' ' || *end == '\t') end++;
  if (end > line && !*end) return true;
  show_answer(a->refused, sizeof a->refused, line, strlen(line));
  return false;
}

// "; it wrote '...' without an end of line", if it did.
static void add_unended(flv_error *err, const char *unended) {
  if (!err || !unended[0]) return;
  const size_t used = strlen(err->text);
  snprintf(err->text + used, sizeof err->text - used, "; it wrote '%s' without an end of line",
           unended);
}

// "; its last message: ..." if it left one.
static void add_message(flv_error *err, const flv_program_end *end) {
  if (!err || !end->said[0]) return;
  const size_t used = strlen(err->text);
  snprintf(err->text + used, sizeof err->text - used, "; its last message: %.200s", end->said);
}

// Letters of a line of questions that a message has room for.
static int shown(const char *asked) {
  const int length = (int)strcspn(asked, "\n");
  return length < 120 ? length : 120;
}

// It has ended, or closed its input or its output. asked: the first line it left open.
static flv_status say_ended(const molecule_program *self, bool by_itself,
                            const flv_program_end *end, const char *asked, const answers *a,
                            flv_error *err) {
  char how[64], again[64] = "";
  if (!by_itself)
    snprintf(how, sizeof how, "closed its input or its output");
  else if (end->signal)
    snprintf(how, sizeof how, "was ended by signal %d", end->signal);
  else
    snprintf(how, sizeof how, "ended with exit status %d", end->code);
  if (self->restarts > 0)
    snprintf(again, sizeof again, ", and again after %d restart%s", self->restarts,
             self->restarts == 1 ? "" : "s");
  flv_fail(err, FLV_EIO, "the program '%.80s' %s before it answered %.*s%s", self->command, how,
           shown(asked), asked, again);
  add_unended(err, a->refused);
  add_message(err, end);
  return FLV_EIO;
}

// It runs, and what it does is of no use.
static flv_status say_useless(molecule_program *self, flv_talk talk, const char *asked,
                              const answers *a, flv_error *err) {
  flv_program_end end;
  flv_coprocess_stop(&self->program, 0.0, &end);
  switch (talk) {
  case FLV_TALK_SILENT:
    flv_fail(err, FLV_EIO,
             "the program '%.80s' gave no answer to %.*s within %g s (reward.timeout_s); does it "
             "answer and flush every line?",
             self->command, shown(asked), asked, self->patience);
    add_unended(err, a->refused);
    break;
  case FLV_TALK_STOPPED:
    return flv_fail(err, FLV_ESTOPPED, "stopped while the program '%.80s' was asked for %.*s",
                    self->command, shown(asked), asked);
  case FLV_TALK_EARLY:
    flv_fail(err, FLV_EIO,
             "the program '%.80s' wrote '%s', a line that it was not asked for; expected one for "
             "each line it reads",
             self->command, a->refused);
    break;
  default:
    flv_fail(err, FLV_EIO, "the program '%.80s' answered '%s' to %.*s; expected a number",
             self->command, a->refused, shown(asked), asked);
  }
  add_message(err, &end);
  return FLV_EIO;
}

// What is left of what it wrote, up to the end of a line.
static void show_rest(const flv_coprocess *p, char *text, size_t room) {
  const char *rest = p->answer + p->begin;
  size_t n = 0;
  while (n < p->end - p->begin && rest[n] != '\n' && rest[n] != '\0') n++;
  show_answer(text, room, rest, n);
}

// Asks for molecules done .. n-1; how many were answered.
static flv_status ask_rest(molecule_program *self, const scratch *s, int done, int n, double *p,
                           int *answered, flv_error *err) {
  answers a = {.p = p + done};
  const char *text = s->list.text + s->text[done];
  *answered = 0;
  if (!flv_coprocess_running(&self->program)) {
    const int fault = flv_coprocess_start(&self->program, self->command);
    if (fault)
      return flv_fail(err, FLV_EIO, "the program '%.80s' cannot be started: %s", self->command,
                      strerror(fault));
  }
  const flv_talk talk = flv_coprocess_ask(&self->program, s->list.used - s->text[done], text,
                                          n - done, self->patience, hear, &a, answered);
  if (*answered > 0) self->ends = 0;
  if (talk == FLV_TALK_DONE) return FLV_OK;
  const char *open = done + *answered < n ? s->list.text + s->text[done + *answered] : "";
  if (talk != FLV_TALK_REFUSED) show_rest(&self->program, a.refused, sizeof a.refused);
  if (talk != FLV_TALK_ENDED) return say_useless(self, talk, open, &a, err);
  flv_program_end end;
  const bool by_itself = flv_coprocess_stop(&self->program, grace, &end);
  if (self->ends++ < self->restarts) return FLV_OK;
  self->ends = 0;
  return say_ended(self, by_itself, &end, open, &a, err);
}

static flv_status ask(void *data, void *own, int n, const flv_scored *x, double *p,
                      flv_error *err) {
  molecule_program *self = data;
  scratch *s = own;
  flv_status status = FLV_OK;
  s->list.used = 0;
  for (int k = 0; k < n; k++) {
    s->text[k] = s->list.used;
    FLV_TRY(flv_smiles_list_add(&s->list, &x[k].molecule, '\n', err));
  }
  pthread_mutex_lock(&self->lock);
  for (int done = 0, answered; done < n && status == FLV_OK; done += answered)
    status = ask_rest(self, s, done, n, p, &answered, err);
  pthread_mutex_unlock(&self->lock);
  return status;
}

static void watch(void *data, const volatile int *stop) {
  molecule_program *self = data;
  self->program.stop = stop;
}

// ---- making one ----

static void molecule_program_free(void *data) {
  molecule_program *self = data;
  flv_coprocess_stop(&self->program, grace, NULL);
  pthread_mutex_destroy(&self->lock);
  free(self);
}

static flv_status fill(molecule_program *self, const molecule_program_cfg *cfg, flv_error *err) {
  memcpy(self->command, cfg->command, sizeof self->command);
  self->patience = cfg->timeout_s;
  self->restarts = cfg->restarts;
  if (!self->command[strspn(self->command, " \t")])
    return flv_fail(err, FLV_EINVAL, "reward.command: a program that answers SMILES is needed");
  return FLV_OK;
}

static flv_status molecule_program_create(flv_reward *reward, const void *values, flv_error *err) {
  const molecule_program_cfg *cfg = values;
  molecule_program *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'molecule_program'");
  pthread_mutex_init(&self->lock, NULL);
  const flv_status status = fill(self, cfg, err);
  if (status != FLV_OK) {
    molecule_program_free(self);
    return status;
  }
  const flv_scoring rule = {.name = "molecule_program",
                            .self = self,
                            .free_self = molecule_program_free,
                            .batch = cfg->batch,
                            .cache_mb = cfg->cache_mb,
                            .r_min = cfg->r_min,
                            .norm = cfg->norm,
                            .scratch_new = scratch_new,
                            .scratch_free = scratch_free,
                            .score = ask,
                            .watch = watch};
  return flv_molecule_scores_reward(reward, &rule, cfg->exponent, err);
}

static const flv_reward_impl molecule_program_impl = {molecule_program_create};
const flv_component flv_reward_molecule_program = {
    "molecule_program",           "fragments: what another program says, asked in SMILES",
    molecule_program_params,      sizeof molecule_program_params / sizeof *molecule_program_params,
    sizeof(molecule_program_cfg), &molecule_program_impl};
