#include "base/pace.h"

#include <math.h>
#include <time.h>

enum {
  TRIAL = 4,       // steps of a trial, the first of which only warms up
  PERIOD = 384,    // steps between trials
  PATIENCE = 8,    // steps in a row, twice as slow as in the trial, that end the period early
  MAX_PENALTY = 63 // most trials that a way sits out
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fastest(const flv_pace *p) {
  int best = 0;
  for (int k = 1; k < p->ways; k++)
    if (p->cost[k] < p->cost[best]) best = k;
  return best;
}

static void use_fastest(flv_pace *p) {
  p->trial = 0;
  p->way = fastest(p);
  p->left = PERIOD;
  p->slow = 0;
  for (int k = 0; k < p->ways; k++) {
    if (isinf(p->cost[k])) continue; // it sat out
    const int penalty = 2 * p->penalty[k] + 1;
    p->penalty[k] = p->cost[k] < 2.0 * p->cost[p->way] ? 0
                    : penalty < MAX_PENALTY            ? penalty
                                                       : MAX_PENALTY;
    p->rest[k] = p->penalty[k];
  }
}

static void next_phase(flv_pace *p) {
  for (int k = p->trial; k < p->ways; k++) {
    p->cost[k] = HUGE_VAL;
    if (p->rest[k] > 0) {
      p->rest[k]--;
      continue;
    }
    p->trial = k + 1;
    p->way = k;
    p->left = TRIAL;
    return;
  }
  use_fastest(p);
}

int flv_pace_begin(flv_pace *pace) {
  if (pace->left == 0) next_phase(pace);
  pace->left--;
  pace->begun = now();
  return pace->way;
}

void flv_pace_end(flv_pace *pace, double work) {
  flv_pace *p = pace;
  if (p->ways < 2) return;
  const double cost = (now() - p->begun) / (work > 0.0 ? work : 1.0);
  double *best = &p->cost[p->way];
  if (p->trial) {
    const double other = p->cost[fastest(p)];
    if (p->left < TRIAL - 1 && cost < *best) *best = cost;
    if (cost > 4.0 * other) { // hopeless, the warm-up included
      if (cost < *best) *best = cost;
      p->left = 0;
    }
    return;
  }
  p->slow = cost > 2.0 * *best ? p->slow + 1 : 0;
  if (p->slow >= PATIENCE) p->left = 0;
}
