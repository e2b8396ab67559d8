#include "base/pace.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"

enum {
  TRIAL = 4,   // steps of a trial, the first of which only warms up
  PERIOD = 32, // steps between trials at first; doubled while they agree on the winner
  MAX_PERIOD = 512,
  PATIENCE = 8,    // steps in a row, twice as slow as in the trial, that end the period early
  MAX_PENALTY = 63 // most trials that a way sits out
};

static int fastest(const flv_pace *p) {
  int best = 0;
  for (int k = 1; k < p->ways; k++)
    if (p->cost[k] < p->cost[best]) best = k;
  return best;
}

static double median(double a, double b, double c) { return fmax(fmin(a, b), fmin(fmax(a, b), c)); }

// One trial says little on a busy machine, so ways are compared by the medians of their last three.
static void judge(flv_pace *p, int k) {
  double *last = p->last[k];
  const bool first = !(last[0] > 0.0);
  last[2] = first ? p->cost[k] : last[1];
  last[1] = first ? p->cost[k] : last[0];
  last[0] = p->cost[k];
  p->cost[k] = median(last[0], last[1], last[2]);
}

static void use_fastest(flv_pace *p) {
  const int before = p->winner;
  p->trial = 0;
  for (int k = 0; k < p->ways; k++)
    if (!isinf(p->cost[k])) judge(p, k);
  p->way = p->winner = fastest(p);
  p->period = p->period == 0 || p->way != before ? PERIOD
              : p->period < MAX_PERIOD           ? 2 * p->period
                                                 : MAX_PERIOD;
  p->left = p->period;
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
  pace->begun = flv_clock();
  return pace->way;
}

void flv_pace_end(flv_pace *pace, double work) {
  flv_pace_took(pace, (flv_clock() - pace->begun) / (work > 0.0 ? work : 1.0));
}

void flv_pace_took(flv_pace *pace, double cost) {
  flv_pace *p = pace;
  if (p->ways < 2) return;
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
  if (p->slow < PATIENCE) return;
  p->left = p->period = 0; // the machine has changed: what was learned of it says nothing now
  memset(p->last, 0, sizeof p->last);
  memset(p->rest, 0, sizeof p->rest);
  memset(p->penalty, 0, sizeof p->penalty);
}
