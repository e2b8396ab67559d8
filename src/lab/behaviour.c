#include "lab/behaviour.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "lab/words.h"

static const char default_words[] =
    "on_policy,epsilon=0.01,epsilon=0.05,epsilon=0.1,epsilon=0.25,epsilon=0.5,exit_bias=0.5,"
    "exit_bias=1,exit_bias=2,replay=100,replay=1000";

static const struct kind {
  const char *name; // as a word begins
  double lo, hi;
  bool whole;
} kinds[] = {{"on_policy", 0.0, 0.0, false},
             {"epsilon=", 0.0, 1.0, false},
             {"exit_bias=", -100.0, 100.0, false},
             {"replay=", 1.0, 1e12, true}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool parse(flv_lab_behaviour *b, const char *word) {
  for (int k = 0; k < KINDS; k++) {
    const size_t length = strlen(kinds[k].name);
    if (strncmp(word, kinds[k].name, length) != 0) continue;
    char *end = NULL;
    const double value = word[length] ? strtod(word + length, &end) : 0.0;
    if (k == FLV_LAB_ON_POLICY ? end != NULL : !end || end == word + length || *end) return false;
    if (!(value >= kinds[k].lo && value <= kinds[k].hi)) return false;
    if (kinds[k].whole && floor(value) != value) return false;
    b->kind = (flv_lab_kind)k;
    b->value = value;
    return true;
  }
  return false;
}

flv_status flv_lab_behaviours(flv_lab_behaviour *list, int *n, const char *words, flv_error *err) {
  char word[FLV_LAB_WORD];
  *n = 0;
  for (const char *at = words ? words : default_words; flv_lab_word(&at, word);) {
    flv_lab_behaviour *b = &list[*n];
    if (*n == FLV_LAB_BEHAVIOURS)
      return flv_fail(err, FLV_EINVAL, "behaviours: more than %d", (int)FLV_LAB_BEHAVIOURS);
    if (strlen(word) >= sizeof b->name || !parse(b, word))
      return flv_fail(err, FLV_EINVAL,
                      "behaviours: '%s': expected on_policy, epsilon=E (0 to 1), exit_bias=B (-100 "
                      "to 100) or replay=K (iterations, from 1)",
                      word);
    strcpy(b->name, word);
    ++*n;
  }
  return *n > 0 ? FLV_OK : flv_fail(err, FLV_EINVAL, "behaviours: none is named");
}

int64_t flv_lab_age(const flv_lab_behaviour *behaviour) {
  return behaviour->kind == FLV_LAB_REPLAY ? (int64_t)behaviour->value : 0;
}

flv_explore flv_lab_explore(const flv_lab_behaviour *behaviour) {
  const double v = behaviour->value;
  flv_explore e = {.temperature = 1.0};
  if (behaviour->kind == FLV_LAB_EPSILON) e.epsilon = v;
  if (behaviour->kind == FLV_LAB_EXIT_BIAS) e.exit_bias = v;
  e.active = e.epsilon > 0.0 || e.exit_bias < 0.0 || e.exit_bias > 0.0;
  return e;
}

void flv_lab_log_pi(double *log_pi, const flv_graph *graph, const double *log_pf,
                    const flv_lab_behaviour *behaviour) {
  const flv_explore e = flv_lab_explore(behaviour);
  memcpy(log_pi, log_pf, (size_t)graph->n_moves * sizeof *log_pi);
  if (!e.active) return;
  for (int s = 0; s < graph->n_states; s++) {
    const int begin = graph->dag.first[s], n = graph->dag.first[s + 1] - begin;
    for (int m = begin; m < begin + n; m++)
      if (graph->exits && flv_move_ends(graph, m)) log_pi[m] -= e.exit_bias;
    const double norm = flv_logsumexp(n, log_pi + begin);
    for (int m = begin; m < begin + n; m++) {
      log_pi[m] -= norm;
      if (e.epsilon > 0.0) log_pi[m] = log((1.0 - e.epsilon) * exp(log_pi[m]) + e.epsilon / n);
    }
  }
}
