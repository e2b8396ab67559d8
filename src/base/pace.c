#include "base/pace.h"

#include <time.h>

enum {
  TRIAL = 4,    // steps of a trial, the first of which only warms up
  PERIOD = 384, // steps from trials to trials
  PATIENCE = 8  // steps in a row, twice as slow as in the trial, that end the period early
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int flv_pace_begin(flv_pace *pace) {
  const int step = (int)(pace->steps++ % PERIOD);
  if (step < TRIAL * pace->ways) {
    pace->way = step / TRIAL;
    if (step % TRIAL == 0) pace->cost[pace->way] = -1.0; // unknown
  } else if (step == TRIAL * pace->ways) {
    pace->way = 0;
    for (int k = 1; k < pace->ways; k++)
      if (pace->cost[k] < pace->cost[pace->way]) pace->way = k;
  }
  pace->begun = now();
  return pace->way;
}

void flv_pace_end(flv_pace *pace, double work) {
  const int step = (int)((pace->steps - 1) % PERIOD);
  const double cost = (now() - pace->begun) / (work > 0.0 ? work : 1.0);
  double *best = &pace->cost[pace->way];
  if (step < TRIAL * pace->ways) {
    if (step % TRIAL > 0 && (*best < 0.0 || cost < *best)) *best = cost;
    return;
  }
  pace->slow = cost > 2.0 * *best ? pace->slow + 1 : 0;
  if (pace->slow < PATIENCE || pace->ways < 2) return;
  pace->slow = 0;
  pace->steps += PERIOD - 1 - step; // the next step begins new trials
}
