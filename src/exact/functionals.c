#include "exact/functionals.h"

#include <math.h>

static double log_r_at(const flv_graph *g, int m) {
  return flv_move_ends(g, m) ? g->log_r[g->dag.from[m]] : 0.0;
}

// c of one move.
static flv_complex ratio_at(const flv_model *x, int m) {
  return x->log_pf[m] - x->log_pb[m] - log_r_at(x->graph, m);
}

static flv_complex squared(flv_complex a) { return a * a; }

static flv_complex *zeroed(flv_complex *a, int n) {
  for (int k = 0; k < n; k++) a[k] = 0.0;
  return a;
}

// ---- divergences ----

flv_complex flv_reverse_kl(const flv_model *model, const void *argument) {
  (void)argument;
  const flv_graph *g = model->graph;
  flv_complex *const visit = zeroed(model->work, g->dag.n_nodes), sum = 0.0;
  visit[0] = 1.0;
  for (int m = 0; m < g->n_moves; m++) {
    const flv_complex here = visit[g->dag.from[m]] * model->pf[m];
    visit[g->dag.to[m]] += here;
    sum += here * ratio_at(model, m);
  }
  return sum + g->log_z;
}

// With P_B(tau) = R(x) P_B(tau|x) / Z^: the probability of visiting s is F(s) / Z^, and that of a
// move s -> s' is F(s') P_B(s|s') / Z^.
flv_complex flv_forward_kl(const flv_model *model, const void *argument) {
  (void)argument;
  const flv_graph *g = model->graph;
  flv_complex *const share = zeroed(model->work, g->dag.n_nodes), sum = 0.0;
  for (int m = g->n_moves - 1; m >= 0; m--) {
    const int s = g->dag.from[m];
    const flv_complex here = flv_move_ends(g, m) ? (flv_complex)exp(g->log_r[s] - g->log_z)
                                                 : share[g->dag.to[m]] * model->pb[m];
    share[s] += here;
    sum -= here * ratio_at(model, m);
  }
  return sum - g->log_z;
}

flv_complex flv_power_sum(const flv_model *model, const void *argument) {
  const double a = *(const double *)argument;
  const flv_graph *g = model->graph;
  flv_complex *const sum = zeroed(model->work, g->dag.n_nodes);
  sum[0] = 1.0;
  for (int m = 0; m < g->n_moves; m++) {
    const double log_end = flv_move_ends(g, m) ? log_r_at(g, m) - g->log_z : 0.0;
    const flv_complex log_w = model->log_pb[m] + log_end - model->log_pf[m];
    sum[g->dag.to[m]] += sum[g->dag.from[m]] * cexp(model->log_pf[m] + a * log_w);
  }
  return sum[g->n_states];
}

flv_complex flv_mixed_kl(const flv_model *model, const void *argument) {
  const double r = *(const double *)argument;
  return (1.0 - r) * flv_reverse_kl(model, NULL) + r * flv_forward_kl(model, NULL);
}

flv_complex flv_renyi(const flv_model *model, const void *argument) {
  const double a = *(const double *)argument;
  if (a == 1.0) return flv_forward_kl(model, NULL);
  return clog(flv_power_sum(model, argument)) / (a - 1.0);
}

flv_complex flv_tsallis(const flv_model *model, const void *argument) {
  const double a = *(const double *)argument;
  if (a == 1.0) return flv_forward_kl(model, NULL);
  return (flv_power_sum(model, argument) - 1.0) / (a - 1.0);
}

// ---- penalties ----

// e^x, along its tangent beyond 40.
static flv_complex tangent_exp(flv_complex x) {
  return creal(x) > 40.0 ? exp(40.0) * (x - 39.0) : cexp(x);
}

// e^x - x - 1, by its series where that would cancel.
static flv_complex exp_rest(flv_complex x) {
  if (cabs(x) > 0.5) return tangent_exp(x) - x - 1.0;
  flv_complex term = x, sum = 0.0;
  for (int n = 2; n < 20; n++) sum += term *= x / n;
  return sum;
}

flv_complex flv_penalise(const flv_fixed *q, flv_complex residual) {
  const flv_complex d = residual, magnitude = creal(d) < 0.0 ? -d : d;
  switch (q->penalty) {
  case FLV_PENALTY_HALF_SQUARED:
    return 0.5 * d * d;
  case FLV_PENALTY_HUBER:
    return creal(magnitude) <= q->knob ? 0.5 * d * d : q->knob * (magnitude - 0.5 * q->knob);
  case FLV_PENALTY_SHIFTED_COSH:
    return exp_rest(d) + exp_rest(-d);
  case FLV_PENALTY_LINEX:
    return q->knob == 0.0 ? 0.5 * d * d : exp_rest(-q->knob * d) / (q->knob * q->knob);
  default:
    return d * d;
  }
}

// ---- moments of c under a fixed policy ----

typedef struct moments {
  flv_complex one, two; // E_q[c], E_q[c^2]
} moments;

// For each node: q's probability of the ways to it, and c and c^2 summed over these with it.
static moments ratio_moments(const flv_model *x, const flv_fixed *q) {
  const flv_graph *g = x->graph;
  const int n = g->dag.n_nodes;
  flv_complex *const a = zeroed(x->work, 3 * n), *const b = a + n, *const c = b + n;
  a[0] = 1.0;
  for (int m = 0; m < g->n_moves; m++) {
    const int s = g->dag.from[m], t = g->dag.to[m];
    const double p = exp(q->log_q[m]);
    const flv_complex r = ratio_at(x, m);
    a[t] += p * a[s];
    b[t] += p * (b[s] + r * a[s]);
    c[t] += p * (c[s] + 2.0 * r * b[s] + r * r * a[s]);
  }
  return (moments){b[g->n_states], c[g->n_states]};
}

flv_complex flv_mean_ratio(const flv_model *model, const void *argument) {
  return ratio_moments(model, argument).one;
}

flv_complex flv_variance_ratio(const flv_model *model, const void *argument) {
  const moments x = ratio_moments(model, argument);
  return x.two - squared(x.one);
}

flv_complex flv_mean_square(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const moments x = ratio_moments(model, q);
  return x.two + 2.0 * q->shift * x.one + q->shift * q->shift;
}

flv_complex flv_tb_loss(const flv_model *model, const void *argument) {
  const moments x = ratio_moments(model, argument);
  const flv_complex log_z = flv_model_log_z(model);
  return x.two + 2.0 * log_z * x.one + squared(log_z);
}

flv_complex flv_equation_9(const flv_model *model, const void *argument) {
  flv_fixed q = *(const flv_fixed *)argument;
  const double log_z_true = q.shift = model->graph->log_z;
  const flv_complex d_log2 = flv_mean_square(model, &q);
  return d_log2 + 2.0 * (flv_model_log_z(model) - log_z_true) * flv_reverse_kl(model, NULL);
}

// ---- losses of transitions and sub-trajectories ----

flv_complex flv_db_sum(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_graph *g = model->graph;
  flv_complex *const visit = zeroed(model->work, g->dag.n_nodes), sum = 0.0;
  visit[0] = 1.0;
  for (int m = 0; m < g->n_moves; m++) {
    const int s = g->dag.from[m], t = g->dag.to[m];
    const flv_complex here = visit[s] * exp(q->log_q[m]);
    visit[t] += here;
    const bool ends = flv_move_ends(g, m);
    if (ends && !g->exits) continue; // no transition: s is the object
    flv_complex d = (s == 0 ? flv_model_log_z(model) : model->log_f[s]) + ratio_at(model, m);
    if (!ends && !g->exits && g->log_r[t] > -HUGE_VAL)
      d -= g->log_r[t]; // a terminal state's flow is its reward
    else if (!ends)
      d -= model->log_f[t];
    sum += here * flv_penalise(q, d);
  }
  return sum;
}

// One trajectory: its steps, and log F at node k of 0 .. n.
static int n_steps(const flv_graph *g, const flv_paths *p, int i) {
  return p->offset[i + 1] - p->offset[i] - !g->exits;
}

static flv_complex log_flow(const flv_model *x, const flv_paths *p, int i, int k, bool forward) {
  const flv_graph *g = x->graph;
  const int last = p->move[p->offset[i + 1] - 1];
  if (k == n_steps(g, p, i)) return g->log_r[g->dag.from[last]];
  const int s = g->dag.from[p->move[p->offset[i] + k]];
  if (k == 0) return flv_model_log_z(x);
  return x->log_f[s] + (forward ? g->log_r_state[s] : 0.0);
}

// The residual between nodes j < k of trajectory i.
static flv_complex residual_between(const flv_model *x, const flv_paths *p, int i, int j, int k,
                                    bool forward) {
  flv_complex d = log_flow(x, p, i, j, forward) - log_flow(x, p, i, k, forward);
  for (int l = j; l < k; l++) {
    const int m = p->move[p->offset[i] + l];
    d += x->log_pf[m] - x->log_pb[m];
  }
  return d;
}

// lambda^length, or its limits.
static double weight_of(double lambda, int length, int longest) {
  if (lambda == 0.0) return length == 1;
  return isinf(lambda) ? length == longest : pow(lambda, length);
}

// E_q of the mean of penalties over sub-trajectories, weighted by lambda^length; longest: of what
// length at most.
static flv_complex mean_between(const flv_model *x, const flv_fixed *q, int longest, bool forward) {
  const flv_paths *p = q->paths;
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++) {
    const int n = n_steps(x->graph, p, i);
    flv_complex sum = 0.0;
    double weights = 0.0;
    for (int j = 0; j < n; j++)
      for (int k = j + 1; k <= n && k - j <= longest; k++) {
        const double w = weight_of(q->lambda, k - j, n);
        sum += w * flv_penalise(q, residual_between(x, p, i, j, k, forward));
        weights += w;
      }
    if (n > 0) total += exp(q->log_path[i]) * sum / weights;
  }
  return total;
}

flv_complex flv_db_mean(const flv_model *model, const void *argument) {
  return mean_between(model, argument, 1, false);
}

flv_complex flv_fl_db_mean(const flv_model *model, const void *argument) {
  return mean_between(model, argument, 1, true);
}

flv_complex flv_fl_db_sum(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_paths *p = q->paths;
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++)
    for (int k = 0; k < n_steps(model->graph, p, i); k++)
      total += exp(q->log_path[i]) * flv_penalise(q, residual_between(model, p, i, k, k + 1, true));
  return total;
}

flv_complex flv_tb_paths(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_paths *p = q->paths;
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++) {
    const int n = n_steps(model->graph, p, i);
    total += exp(q->log_path[i]) * flv_penalise(q, residual_between(model, p, i, 0, n, false));
  }
  return total;
}

flv_complex flv_subtb_loss(const flv_model *model, const void *argument) {
  return mean_between(model, argument, model->graph->length, false);
}

flv_complex flv_fl_subtb_loss(const flv_model *model, const void *argument) {
  return mean_between(model, argument, model->graph->length, true);
}

flv_complex flv_modified_db_loss(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_paths *p = q->paths;
  const flv_graph *g = model->graph;
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++) {
    const int steps = p->offset[i + 1] - p->offset[i] - 1;
    for (int k = 0; k < steps; k++) {
      const int m = p->move[p->offset[i] + k], s = g->dag.from[m], t = g->dag.to[m];
      const flv_complex exit = model->log_pf[g->dag.first[t + 1] - 1];
      const flv_complex d = g->log_r[s] + model->log_pf[m] + (q->detach ? creal(exit) : exit) -
                            g->log_r[t] - model->log_pb[m] - model->log_pf[g->dag.first[s + 1] - 1];
      total += exp(q->log_path[i]) / steps * flv_penalise(q, d);
    }
  }
  return total;
}

// ---- pairs of trajectories ----

// c of trajectory i.
static flv_complex ratio_of(const flv_model *x, const flv_paths *p, int i) {
  flv_complex c = 0.0;
  for (int k = p->offset[i]; k < p->offset[i + 1]; k++) c += ratio_at(x, p->move[k]);
  return c;
}

flv_complex flv_variance_pairs(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  flv_complex total = 0.0;
  for (int i = 0; i < q->paths->n; i++) {
    const flv_complex a = ratio_of(model, q->paths, i);
    for (int j = 0; j < q->paths->n; j++) {
      const flv_complex b = ratio_of(model, q->paths, j);
      const flv_complex mean = q->detach ? creal(0.5 * (a + b)) : 0.5 * (a + b);
      const double p = exp(q->log_path[i] + q->log_path[j]);
      total += p * 0.5 * (flv_penalise(q, a - mean) + flv_penalise(q, b - mean));
    }
  }
  return total;
}

flv_complex flv_contrastive_pairs(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  flv_complex total = 0.0;
  for (int i = 0; i < q->paths->n; i++) {
    const flv_complex a = ratio_of(model, q->paths, i);
    for (int j = 0; j < q->paths->n; j++) {
      const flv_complex b = ratio_of(model, q->paths, j);
      const double p = exp(q->log_path[i] + q->log_path[j]);
      total += p * 0.5 * (flv_penalise(q, a - b) + flv_penalise(q, b - a));
    }
  }
  return total;
}

flv_complex flv_contrastive_halves(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const int half = q->paths->n / 2;
  flv_complex total = 0.0;
  for (int i = 0; i < half; i++) {
    const flv_complex d = ratio_of(model, q->paths, i) - ratio_of(model, q->paths, i + half);
    total += 0.5 * (flv_penalise(q, d) + flv_penalise(q, -d));
  }
  return total / half;
}
