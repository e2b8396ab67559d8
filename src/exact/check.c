#include "exact/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_values.h"

// All derivatives are taken one by one while a functional costs at most this many steps in all.
static const double max_whole = 2e7;

enum { DRAW_DIRECTION = 16 }; // address of random numbers

void flv_check_skip(flv_check *check, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(check->why, sizeof check->why, format, args);
  va_end(args);
}

// ---- objectives ----

// "name=value" words, into the values of a component.
static bool set_options(flv_check *c, const flv_component *component, void *cfg,
                        const char *options) {
  while (*(options += strspn(options, " "))) {
    char name[32], value[32];
    int used = 0;
    flv_error err = {0};
    const flv_param *param = NULL;
    if (sscanf(options, "%31[^= ]=%31[^ ]%n", name, value, &used) == 2)
      param = flv_param_find(component, name);
    if (!param || flv_param_parse(param, value, cfg, &err) != FLV_OK) {
      flv_check_skip(c, "'%s' does not take %s", component->name, options);
      return false;
    }
    options += used;
  }
  return true;
}

bool flv_check_choose(flv_check *check, flv_choice *choice, const char *objective,
                      const char *options) {
  const flv_component *const *list = check->objectives;
  while (*list && strcmp((*list)->name, objective) != 0) list++;
  if (!*list || (*list)->size > sizeof choice->cfg) {
    flv_check_skip(check, "there is no objective '%s'", objective);
    return false;
  }
  const flv_objective *impl = (*list)->impl;
  if (impl->needs & FLV_NEEDS_EXIT && !flv_env_exits_anywhere(check->p->env)) {
    flv_check_skip(check, "'%s' needs an exit from every state, which '%s' has not", objective,
                   check->p->env->name);
    return false;
  }
  flv_error err = {0};
  if (flv_params_default(*list, choice->cfg, &err) != FLV_OK) {
    flv_check_skip(check, "%s", err.text);
    return false;
  }
  choice->chosen = (flv_chosen){impl, choice->cfg};
  return set_options(check, *list, choice->cfg, options);
}

bool flv_check_enumerates(const flv_check *check, int batch) {
  return check->p->enumerated && flv_expect_can(&check->p->paths, batch);
}

bool flv_check_expect(flv_check *check, double *grad, double *loss, const flv_spec *spec) {
  flv_problem *p = check->p;
  flv_choice choice;
  flv_linear linear;
  if (!flv_check_choose(check, &choice, spec->objective, spec->options)) return false;
  const size_t bytes = (size_t)flv_layout_of(p->graph).size * sizeof *grad;
  if (flv_check_enumerates(check, spec->batch)) {
    const double *log_q = p->log_path[spec->behaviour];
    flv_expect_run(&p->expect, &choice.chosen, &p->tables, log_q, spec->batch, false);
    memcpy(grad, p->expect.mean, bytes);
    if (loss) *loss = p->expect.loss;
    return true;
  }
  if (!flv_linear_probe(&linear, &choice.chosen, spec->batch, p->tables.log_z, p->graph->exits,
                        spec->behaviour == FLV_FROM_PF)) {
    flv_check_skip(check, "%.4g trajectories, and '%s' is not linear in their log-ratios",
                   p->n_paths, spec->objective);
    return false;
  }
  flv_moments_run(&p->moments, &linear, &p->tables, p->log_move[spec->behaviour], spec->batch,
                  false);
  memcpy(grad, p->moments.mean, bytes);
  if (loss) *loss = (double)NAN;
  return true;
}

flv_fixed flv_check_fixed(const flv_check *check, flv_behaviour behaviour) {
  const flv_problem *p = check->p;
  return (flv_fixed){.log_q = p->log_move[behaviour],
                     .paths = p->enumerated ? &p->paths : NULL,
                     .log_path = p->log_path[behaviour]};
}

void flv_check_set_log_z(flv_check *check, double log_z) {
  check->p->x[flv_layout_of(check->p->graph).log_z] = log_z;
  flv_problem_refresh(check->p);
}

// ---- derivatives ----

enum { PARTS = 4 }; // FLV_PART_PF << 0 .. 3

// Direction d of one part: unit vectors first, then random signs.
static void fill_direction(const flv_check *c, double *v, int d, int part) {
  const flv_layout at = flv_layout_of(c->p->graph);
  const bool unit = d < FLV_CHECK_DIRECTIONS / 2;
  int count = 0, picked = 0;
  for (int k = 0; k < at.size; k++) count += flv_layout_part(&at, k) == part;
  if (unit) picked = (int)(0.5 * (1.0 + flv_problem_random(c->p, DRAW_DIRECTION, d, 0)) * count);
  for (int k = 0; k < at.size; k++) {
    v[k] = 0.0;
    if (flv_layout_part(&at, k) != part) continue;
    if (unit)
      v[k] = picked-- == 0;
    else
      v[k] = flv_problem_random(c->p, DRAW_DIRECTION, d, k + 1) < 0.0 ? -1.0 : 1.0;
  }
}

// steps: what one evaluation costs.
static void derive(flv_check *check, int slot, flv_functional f, const void *argument, int parts,
                   double steps) {
  flv_problem *p = check->p;
  const int size = flv_layout_of(p->graph).size;
  check->slopes[slot].value = p->vector[slot];
  check->slopes[slot].parts = parts;
  check->slopes[slot].whole = size * steps <= max_whole || size < PARTS * FLV_CHECK_DIRECTIONS;
  if (check->slopes[slot].whole) {
    flv_model_gradient(p->vector[slot], &p->model, f, argument, parts);
    return;
  }
  double *const v = p->vector[FLV_PROBLEM_VECTORS - 1];
  for (int i = 0; i < PARTS * FLV_CHECK_DIRECTIONS; i++) {
    const int part = FLV_PART_PF << i / FLV_CHECK_DIRECTIONS;
    if (!(part & parts)) continue;
    fill_direction(check, v, i % FLV_CHECK_DIRECTIONS, part);
    p->vector[slot][i] = flv_model_along(&p->model, f, argument, v);
  }
}

void flv_check_derive(flv_check *check, int slot, flv_functional f, const void *argument,
                      int parts) {
  derive(check, slot, f, argument, parts, check->p->graph->n_moves);
}

void flv_check_derive_paths(flv_check *check, int slot, flv_functional f, const void *argument,
                            int parts) {
  const double length = check->p->graph->length;
  derive(check, slot, f, argument, parts, check->p->n_paths * length * length);
}

bool flv_check_loss(flv_check *check, const flv_spec *spec, flv_functional f,
                    const flv_fixed *fixed, int parts) {
  double loss;
  double *const grad = check->p->vector[FLV_CHECK_VECTOR];
  if (!flv_check_expect(check, grad, &loss, spec)) return false;
  if (fixed->paths)
    flv_check_derive_paths(check, 0, f, fixed, parts);
  else
    flv_check_derive(check, 0, f, fixed, parts);
  flv_check_slopes(check, grad, 1.0, 0);
  if (flv_check_enumerates(check, spec->batch))
    flv_check_numbers(check, loss, flv_model_value(&check->p->model, f, fixed));
  return true;
}

// ---- comparisons ----

// NaN is larger than anything.
static void keep_largest(double *largest, double x) {
  if (!isnan(*largest) && !(x <= *largest)) *largest = x;
}

void flv_check_add(flv_check *check, double residual) { keep_largest(&check->residual, residual); }

void flv_check_numbers(flv_check *check, double a, double b) {
  flv_check_add(check, fabs(a - b) / fmax(fabs(b), FLV_SMALL_GRADIENT));
}

// The vectors without what is not in the parts, through the network.
static void compare_parameters(flv_check *c, const double *a, double scale, const double *b,
                               int parts) {
  flv_problem *p = c->p;
  const flv_layout at = flv_layout_of(p->graph);
  double *const masked = p->vector[FLV_PROBLEM_VECTORS - 1];
  double worst = 0.0, largest = FLV_SMALL_GRADIENT;
  for (int side = 0; side < 2; side++) {
    for (int k = 0; k < at.size; k++)
      masked[k] = !(flv_layout_part(&at, k) & parts) ? 0.0 : side == 0 ? a[k] : scale * b[k];
    flv_problem_parameters(p, masked, p->parameter[side]);
  }
  for (size_t k = 0; k < p->policy.n_params; k++) {
    keep_largest(&worst, fabs(p->parameter[0][k] - p->parameter[1][k]));
    largest = fmax(largest, fabs(p->parameter[1][k]));
  }
  keep_largest(&c->parameters, worst / largest);
}

void flv_check_vectors(flv_check *check, const double *a, double scale, const double *b,
                       int parts) {
  flv_check_add(check, flv_residual(check->p->graph, a, scale, b, parts));
  compare_parameters(check, a, scale, b, parts);
}

void flv_check_slopes(flv_check *check, const double *grad, double scale, int slot) {
  flv_problem *p = check->p;
  const double *value = check->slopes[slot].value;
  if (check->slopes[slot].whole) {
    flv_check_vectors(check, grad, scale, value, check->slopes[slot].parts);
    return;
  }
  const int size = flv_layout_of(p->graph).size;
  double *const v = p->vector[FLV_PROBLEM_VECTORS - 1];
  double worst = 0.0, largest = FLV_SMALL_GRADIENT;
  for (int i = 0; i < PARTS * FLV_CHECK_DIRECTIONS; i++) {
    const int part = FLV_PART_PF << i / FLV_CHECK_DIRECTIONS;
    if (!(part & check->slopes[slot].parts)) continue;
    double along = 0.0;
    fill_direction(check, v, i % FLV_CHECK_DIRECTIONS, part);
    for (int k = 0; k < size; k++) along += v[k] * grad[k];
    keep_largest(&worst, fabs(along - scale * value[i]));
    largest = fmax(largest, fabs(scale * value[i]));
  }
  flv_check_add(check, worst / largest);
}
