#include "learn/inflow.h"

#include <math.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"

flv_status flv_inflow_init(flv_inflow *inflow, const flv_batch *batch, flv_error *err) {
  flv_inflow f = {0};
  const size_t r = (size_t)batch->max_rows, pairs = r * (size_t)batch->env->n_back;
  const flv_slot slots[] = {
      FLV_SLOT(f.parent, pairs), FLV_SLOT(f.action, pairs),
      FLV_SLOT(f.log_inflow, r), FLV_SLOT(f.d_log_inflow, r),
      FLV_SLOT(f.from, r),       FLV_SLOT(f.back, r),
      FLV_SLOT(f.taken, r),      FLV_SLOT(f.states, r * batch->env->state_size)};
  f.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!f.block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for the parents of %d states", batch->max_rows);
  *inflow = f;
  return FLV_OK;
}

void flv_inflow_free(flv_inflow *inflow) {
  flv_free(inflow->block);
  *inflow = (flv_inflow){0};
}

// One batched step back along action `back` from the rows where it is legal.
static void expand_along(flv_inflow *f, flv_batch *b, int back) {
  const flv_env *env = b->env;
  const size_t size = env->state_size, width = (size_t)env->n_back;
  int n = 0;
  for (int r = 0; r < f->n; r++) {
    f->parent[(size_t)r * width + (size_t)back] = -1;
    if (!b->mask_back[(size_t)r * width + (size_t)back]) continue;
    memcpy(f->states + (size_t)n * size, flv_batch_state(b, r), size);
    f->from[n] = r;
    f->back[n++] = back;
  }
  if (n == 0) return;
  env->ops->action_of(env, n, f->states, f->back, f->taken);
  env->ops->unstep(env, n, f->states, f->back);
  for (int k = 0; k < n; k++) {
    const size_t at = (size_t)f->from[k] * width + (size_t)back;
    f->parent[at] = flv_batch_row(b, f->states + (size_t)k * size, f->from[k]);
    f->action[at] = f->taken[k];
  }
}

void flv_inflow_expand(flv_inflow *inflow, flv_batch *batch) {
  const flv_env *env = batch->env;
  inflow->n = batch->rows.n;
  env->ops->mask_back(env, inflow->n, flv_batch_state(batch, 0), batch->mask_back);
  for (int back = 0; back < env->n_back; back++) expand_along(inflow, batch, back);
}

static double log_edge_flow(const flv_inflow *f, const flv_batch *b, size_t at) {
  const size_t row = (size_t)f->parent[at];
  return b->log_sum[row] + b->log_pf[row * (size_t)b->env->n_actions + (size_t)f->action[at]];
}

void flv_inflow_gather(flv_inflow *inflow, const flv_batch *batch) {
  flv_inflow *f = inflow;
  const size_t width = (size_t)batch->env->n_back;
  for (int r = 0; r < f->n; r++) {
    double sum = -HUGE_VAL;
    for (size_t at = (size_t)r * width; at < (size_t)(r + 1) * width; at++)
      if (f->parent[at] >= 0) sum = flv_logaddexp(sum, log_edge_flow(f, batch, at));
    f->log_inflow[r] = sum;
    f->d_log_inflow[r] = 0.0;
  }
}

void flv_inflow_scatter(const flv_inflow *inflow, const flv_batch *batch, double *d_pf,
                        double *d_log_f) {
  const flv_inflow *f = inflow;
  const size_t width = (size_t)batch->env->n_back, actions = (size_t)batch->env->n_actions;
  for (int r = 0; r < f->n; r++) {
    for (size_t at = (size_t)r * width; at < (size_t)(r + 1) * width; at++) {
      if (f->parent[at] < 0) continue;
      const double share = exp(log_edge_flow(f, batch, at) - f->log_inflow[r]);
      d_pf[(size_t)f->parent[at] * actions + (size_t)f->action[at]] += share * f->d_log_inflow[r];
      d_log_f[f->parent[at]] += share * f->d_log_inflow[r];
    }
  }
}
