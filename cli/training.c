// Training with progress on standard error and an orderly end on Ctrl-C.
#include "training.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "measures.h"
#include "options.h"

// A signal handler can reach nothing else.
static volatile int stop;

static void on_signal(int number) {
  (void)number;
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED); // several threads may be reading it
}

// The first signal asks for a checkpoint and an end; the second finds the default action: it kills.
void cli_catch_signals(bool on) {
  struct sigaction action = {.sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  action.sa_handler = on ? on_signal : SIG_DFL;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

const volatile int *cli_stop(void) { return &stop; }

int cli_train_run(cli_training *t) {
  if (!t->quiet)
    fprintf(stderr, t->resume ? "going on with %s\n" : "training in %s\n",
            t->resume ? t->resume : t->out);
  cli_progress_begin(&t->progress, t->quiet);
  const flv_run_options how = {.out = t->resume ? NULL : t->out,
                               .resume = t->resume,
                               .threads = t->threads,
                               .progress = cli_progress_show,
                               .user = &t->progress,
                               .stop = cli_stop()};
  flv_error err = {0};
  cli_catch_signals(true);
  const flv_status status = flv_run_train(t->cfg, &how, &err);
  cli_catch_signals(false);
  cli_progress_end(&t->progress);
  if (status == FLV_OK && !t->quiet && cli_progress_nothing(&t->progress))
    fprintf(stderr, "already trained to its end\n");
  if (status == FLV_OK) return CLI_OK;
  cli_fail("%s", err.text);
  return status == FLV_ESTOPPED ? CLI_INTERRUPTED : CLI_FAILED;
}

void cli_train_speed(const cli_training *t) {
  char time[32], trajectories[32], rate[32], states[32];
  const flv_progress *now = &t->progress.last;
  cli_clock(now->seconds, time, sizeof time);
  cli_thousands(now->stats.trajectories, trajectories, sizeof trajectories);
  cli_measures_row(stdout, "trajectories", "%s", trajectories);
  cli_measures_row(stdout, t->resume ? "time since resuming" : "training time", "%s (%.1f s)", time,
                   now->seconds);
  const double states_per_s = cli_progress_states_per_s(&t->progress);
  if (states_per_s <= 0.0) return;
  cli_thousands((int64_t)states_per_s, states, sizeof states);
  cli_thousands((int64_t)(states_per_s / fmax(now->stats.mean_length, 1.0)), rate, sizeof rate);
  cli_measures_row(stdout, "speed", "%s states/s, %s trajectories/s", states, rate);
}
