// Rewards for molecules from a program that does not do as it should: it ends, hangs, writes too
// much or nonsense; and training with one.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "alloc.h"
#include "molecule_reward_fixture.h"

// ---- programs that fail ----

static void failing(const char *command, int n, const setting *more, flv_status status,
                    const char *text) {
  flv_error err;
  setting all[8] = {{"reward.command", command}, {"reward.timeout_s", "20"}};
  for (int k = 0; k < n; k++) all[2 + k] = more[k];
  problem *p = open_problem("molecule_program", "3", 40, 2 + n, all);
  assert_int_equal(ask(p, &err), status);
  if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
  close_problem(p);
}
#define ONCE SETTINGS(NO_RESTARTS)

static void programs_fail(void **unused) {
  (void)unused;
  flv_error err = {0};
  problem *p = calloc(1, sizeof *p);
  try_open(p, "molecule_program", "3", 0, NULL, &err);
  assert_null(p->reward);
  assert_string_equal(err.text, "reward.command: a program that answers SMILES is needed");
  flv_config_free(p->cfg);
  free(p);
  failing("no-such-program-here", ONCE, FLV_EIO,
          "'no-such-program-here' ended with exit status 127");
  failing("no-such-program-here", ONCE, FLV_EIO, "not found");
  failing("read -r s; echo first >&2; echo last words >&2; exit 3", ONCE, FLV_EIO,
          "ended with exit status 3 before it answered ");
  failing("read -r s; echo first >&2; echo last words >&2; exit 3", ONCE, FLV_EIO,
          "; its last message: last words");
  failing("exit 0", ONCE, FLV_EIO, "ended with exit status 0 before it answered ");
  failing("read -r s; kill -9 $$", ONCE, FLV_EIO, "was ended by signal 9");
  failing("read -r s; echo 1; read -r s; exit 4", ONCE, FLV_EIO, "exit status 4");
  failing("while read -r s; do echo hello; done", ONCE, FLV_EIO, "answered 'hello' to ");
  failing("while read -r s; do echo; done", ONCE, FLV_EIO, "answered '' to ");
  failing("while read -r s; do echo 1 2; done", ONCE, FLV_EIO, "answered '1 2' to ");
  failing("while read -r s; do printf '\\001x\\n'; done", ONCE, FLV_EIO, "answered '?x' to ");
  failing("while read -r s; do echo nan; done", ONCE, FLV_ENAN, ": nan for ");
  failing("while read -r s; do echo -1; done", ONCE, FLV_EINVAL, ": -1 for ");
  failing("while read -r s; do echo 1e999; done", ONCE, FLV_EINVAL, ": inf for ");
  failing("read -r s; printf 3", ONCE, FLV_EIO, "; it wrote '3' without an end of line");
  failing("read -r s; printf 3; echo oh no >&2; exit 1", ONCE, FLV_EIO,
          "'3' without an end of line; its last message: oh no");
  failing("read -r s; head -c 100000 /dev/zero | tr '\\0' x", ONCE, FLV_EIO, // without an end
          "answered 'xxxxxxxxxx");
}

static void programs_are_slow(void **unused) {
  (void)unused;
  const int n = 2;
  const setting soon[] = {{"reward.timeout_s", "0.3"}, {"reward.restarts", "5"}};
  failing("exec sleep 1000", n, soon, FLV_EIO, "gave no answer to ");
  failing("read -r s; echo 1; cat >/dev/null; true", n, soon, FLV_EIO,
          " within 0.3 s (reward.timeout_s)");
  failing("while read -r s; do printf 2.5; done", n, soon, FLV_EIO,
          "; it wrote '2.5' without an end of line");
  // Answers that are not flushed, which is what most languages do to a pipe.
  failing("exec sed s/.*/1/", n, soon, FLV_EIO, "flush");
  // It is gone afterwards, and what it has started.
  char command[256], text[64];
  snprintf(command, sizeof command, "sleep 1000 & echo $! >%s; wait", in("pid"));
  failing(command, n, soon, FLV_EIO, "gave no answer to ");
  FILE *f = fopen(in("pid"), "r");
  assert_non_null(f);
  assert_non_null(fgets(text, sizeof text, f));
  fclose(f);
  const pid_t pid = (pid_t)atoi(text);
  assert_true(pid > 1);
  for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) {
    // Nobody may have waited for it yet: then it is there as a zombie.
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    if (!stat) break;
    if (fscanf(stat, "%*d %*s %c", &state) != 1) state = '?';
    fclose(stat);
    if (state == 'Z') break;
    if (i == 199) fail_msg("it still runs (state %c)", state);
    usleep(10000);
  }
}

// Once per start, for every molecule, a line into the file.
static void programs_are_started_again(void **unused) {
  (void)unused;
  char command[256];
  flv_error err;
  // Five answers, then the end: as often as need be, since there are answers in between.
  problem *p =
      open_problem("molecule_program", "4", 100,
                   PROGRAM("i=0; while [ $i -lt 5 ] && read -r s; do echo ${#s}; i=$((i+1)); done",
                           {"reward.restarts", "1"}));
  assert_lengths(p, 1e-6, 1.0, 1.0);
  fill(p, 1000, 100);
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
  // None: 1 + 3 starts, and again when it is asked again.
  unlink(in("starts"));
  snprintf(command, sizeof command, "echo start >>%s; read -r s; exit 2", in("starts"));
  p = open_problem("molecule_program", "4", 10, PROGRAM(command, {"reward.restarts", "3"}));
  for (int round = 1; round <= 2; round++) {
    assert_int_equal(ask(p, &err), FLV_EIO);
    assert_non_null(strstr(err.text, "exit status 2 before it answered "));
    assert_non_null(strstr(err.text, "and again after 3 restarts"));
    int starts = 0;
    FILE *f = fopen(in("starts"), "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;) starts += c == '\n';
    fclose(f);
    assert_int_equal(starts, 4 * round);
  }
  close_problem(p);
  // What fails may be mended, and the same reward goes on.
  write_text("broken", "");
  snprintf(command, sizeof command,
           "while read -r s; do if [ -e %s ]; then exit 1; fi; echo ${#s}; done", in("broken"));
  p = open_problem("molecule_program", "4", 50, PROGRAM(command, NO_RESTARTS));
  assert_int_equal(ask(p, &err), FLV_EIO);
  unlink(in("broken"));
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
}

// More text than a pipe holds, to a program that does not read it; and more answers than one holds
// before it has read all.
static void pipes_are_full(void **unused) {
  (void)unused;
  flv_error err;
  struct sigaction before, after;
  sigset_t waiting;
  sigaction(SIGPIPE, NULL, &before);
  assert_true(before.sa_handler == SIG_DFL); // a signal would end this test
  problem *p =
      open_problem("molecule_program", "16", 2000,
                   PROGRAM("exec <&-; sleep 0.2; exit 5", NO_RESTARTS, {"reward.batch", "4096"}));
  size_t size = 0;
  for (int i = 1; i < p->n; i++) {
    char text[TEXT];
    text_of(p, i, text);
    size += strlen(text) + 1;
  }
  assert_true(size > 100000); // 65536 on Linux
  assert_int_equal(ask(p, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "ended with exit status 5"));
  sigaction(SIGPIPE, NULL, &after);
  assert_true(after.sa_handler == SIG_DFL);
  sigpending(&waiting);
  assert_false(sigismember(&waiting, SIGPIPE));
  close_problem(p);
  p = open_problem("molecule_program", "16", 2000,
                   PROGRAM("exec <&- >&-; exec sleep 1000", NO_RESTARTS, {"reward.batch", "4096"}));
  assert_int_equal(ask(p, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "closed its input or its output"));
  close_problem(p);
  p = open_problem("molecule_program", "16", 2000,
                   PROGRAM("while read -r s; do printf '%2000s\\n' ${#s}; echo moan moan >&2; done",
                           {"reward.batch", "4096"}));
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
}

// Lines that nobody asked for would shift all answers behind them.
static void lines_too_many(void **unused) {
  (void)unused;
  flv_error err;
  // At once, before any is taken for the answer to another.
  problem *p = open_problem("molecule_program", "4", 60,
                            PROGRAM("while read -r s; do echo 1; echo 2; done", NO_RESTARTS));
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ask(p, &err), FLV_EIO);
    assert_non_null(strstr(err.text, "wrote '2', a line that it was not asked for"));
  }
  close_problem(p);
  p = open_problem("molecule_program", "4", 60, PROGRAM("echo 7; " COUNT, NO_RESTARTS));
  assert_int_equal(ask(p, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "wrote '")); // '7', or what it answered next
  assert_non_null(strstr(err.text, "a line that it was not asked for"));
  close_problem(p);
  // Later: when all that was asked is answered, at the latest when it is asked again.
  p = open_problem(
      "molecule_program", "4", 60,
      PROGRAM("read -r s; echo 1; while read -r s; do echo 1; echo 1; done", NO_RESTARTS));
  flv_status status = ask(p, &err);
  if (status == FLV_OK) {
    usleep(300000);
    fill(p, 5000, 60);
    status = ask(p, &err);
  }
  assert_int_equal(status, FLV_EIO);
  assert_non_null(strstr(err.text, "a line that it was not asked for"));
  close_problem(p);
  p = open_problem("molecule_program", "4", 60, PROGRAM("echo loading; " COUNT, NO_RESTARTS));
  assert_int_equal(ask(p, &err), FLV_EIO);
  if (!strstr(err.text, "'loading'") && !strstr(err.text, "not asked for"))
    fail_msg("%s", err.text);
  close_problem(p);
}

// A program is not there before it is needed, and does not stay.
static void begins_and_ends(void **unused) {
  (void)unused;
  char command[256];
  flv_error err;
  unlink(in("begun")), unlink(in("over"));
  snprintf(command, sizeof command, "echo >%s; %s; echo >%s", in("begun"), COUNT, in("over"));
  problem *p = open_problem("molecule_program", "4", 1, PROGRAM(command, DEFAULTS));
  must(ask(p, &err), &err); // of nothing
  assert_int_equal(access(in("begun"), F_OK), -1);
  fill(p, 0, 20);
  must(ask(p, &err), &err);
  assert_int_equal(access(in("begun"), F_OK), 0);
  assert_int_equal(access(in("over"), F_OK), -1);
  close_problem(p);
  assert_int_equal(access(in("over"), F_OK), 0); // it was told, and given time
}

// Told to stop, it soon gives up, whatever the program's patience is; and the program is gone.
static void waiting_is_given_up(void **unused) {
  (void)unused;
  char command[256];
  flv_error err;
  volatile int stop = 0;
  snprintf(command, sizeof command, "%s", "read -r s; echo 1; exec sleep 1000");
  problem *p = open_problem("molecule_program", "4", 20,
                            PROGRAM(command, NO_RESTARTS, {"reward.timeout_s", "900"}));
  flv_reward_watch(p->reward, &stop);
  stop = 1;
  assert_int_equal(ask(p, &err), FLV_ESTOPPED);
  assert_non_null(strstr(err.text, "stopped while the program 'read -r s; echo 1; exec sleep"));
  close_problem(p);
  // One that answers goes on.
  p = open_problem("molecule_program", "4", 20, PROGRAM(COUNT, NO_RESTARTS));
  flv_reward_watch(p->reward, &stop);
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
}

// ---- in training ----

static void a_run_stops_with_the_program(void **unused) {
  (void)unused;
  char command[256];
  snprintf(command, sizeof command,
           "while read -r s; do if [ -e %s ]; then exit 9; fi; echo ${#s}; done", in("gone"));
  unlink(in("gone"));
  const setting s[] = {{"env", "fragments"},
                       {"env.path", FRAGMENTS},
                       {"env.max_blocks", "3"},
                       {"reward", "molecule_program"},
                       {"reward.command", command},
                       {"reward.restarts", "1"},
                       {"batch", "8"},
                       {"policy.hidden", "[8]"}};
  const int n = sizeof s / sizeof *s;
  flv_trainer *whole = make(1, n, s), *parts = make(1, n, s);
  for (int i = 0; i < 4; i++) step(whole, NULL), step(parts, NULL);
  write_text("gone", "");
  flv_error err = {0};
  flv_status status = FLV_OK;
  int64_t reached = 0;
  for (int i = 0; i < 50 && status == FLV_OK; i++) { // one that meets a new molecule
    reached = flv_trainer_iteration(parts);
    status = flv_trainer_step(parts, NULL, &err);
  }
  assert_int_equal(status, FLV_EIO);
  assert_int_equal(flv_trainer_iteration(parts), reached);
  assert_non_null(strstr(err.text, "exit status 9"));
  assert_memory_equal(err.text, "iteration ", 10);
  flv_evaluation e;
  assert_int_equal(flv_trainer_evaluate(parts, 500, &e, &err), FLV_EIO);
  unlink(in("gone"));
  while (flv_trainer_iteration(parts) < 20) step(parts, NULL);
  while (flv_trainer_iteration(whole) < 20) step(whole, NULL);
  assert_same_state(whole, parts);
  flv_trainer_free(whole);
  flv_trainer_free(parts);
}

// Fails the k-th allocation of making a reward and asking it, for every k.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  problem *model = open_problem("molecule_program", "2", 30, PROGRAM(COUNT, NO_RESTARTS));
  long failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    double log_r[30];
    alloc_fail(k);
    flv_reward *reward = flv_reward_new(model->cfg, &err);
    flv_status status = reward ? reward->bind(reward, model->env, &err) : err.status;
    if (status == FLV_OK)
      status = flv_reward_log(reward, model->env, model->n, model->state, log_r, &err);
    const bool none = alloc_none_failed();
    flv_reward_free(reward);
    if (none) break;
    failures += status != FLV_OK;
    assert_true(status == FLV_OK || status == FLV_ENOMEM ||
                status == FLV_EIO); // it cannot be started
    if (status != FLV_OK) assert_true(err.text[0] && !strchr(err.text, '\n'));
  }
  assert_true(failures > 20);
  close_problem(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(programs_fail),
      cmocka_unit_test(programs_are_slow),
      cmocka_unit_test(programs_are_started_again),
      cmocka_unit_test(pipes_are_full),
      cmocka_unit_test(lines_too_many),
      cmocka_unit_test(begins_and_ends),
      cmocka_unit_test(waiting_is_given_up),
      cmocka_unit_test(a_run_stops_with_the_program),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
