// Functionals of flows of edges, which are P_F's logits L(s -> s') here: log F(s) is the logsumexp
// of L over the moves from s, log inflow(s) that over the moves into s.
#include <math.h>

#include "exact/functionals.h"

static flv_complex log_out(const flv_model *x, int s) {
  const int m = x->graph->dag.first[s];
  return x->x[m] - x->log_pf[m];
}

static flv_complex log_in(const flv_model *x, int s) {
  const flv_graph *g = x->graph;
  const int begin = g->first_into[s], end = g->first_into[s + 1];
  double top = -HUGE_VAL;
  for (int k = begin; k < end; k++) top = fmax(top, creal(x->x[g->into[k]]));
  flv_complex sum = 0.0;
  for (int k = begin; k < end; k++) sum += cexp(x->x[g->into[k]] - top);
  return clog(sum) + top;
}

// What flows into the state at position k of trajectory i less what flows out, or R(x) at an object
// that ends it; of an exit, the flow into its object less R(x).
static flv_complex mismatch(const flv_model *x, const flv_paths *p, int i, int k) {
  const flv_graph *g = x->graph;
  const int m = p->move[p->offset[i] + k], s = g->dag.from[m];
  if (flv_move_ends(g, m) && !g->exits) return log_in(x, s) - g->log_r[s];
  return log_in(x, s) - log_out(x, s);
}

flv_complex flv_flow_matching_loss(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_paths *p = q->paths;
  const flv_graph *g = model->graph;
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++) {
    const int length = p->offset[i + 1] - p->offset[i], end = p->move[p->offset[i + 1] - 1];
    flv_complex sum = 0.0;
    for (int k = 1; k < length; k++) sum += flv_penalise(q, mismatch(model, p, i, k));
    if (g->exits) sum += flv_penalise(q, model->x[end] - g->log_r[g->dag.from[end]]);
    total += exp(q->log_path[i]) * sum / (g->exits ? length : length - 1);
  }
  return total;
}

flv_complex flv_soft_dqn_loss(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const flv_paths *p = q->paths;
  const flv_graph *g = model->graph;
  const double l = 1.0 / (1.0 - q->munchausen);
  flv_complex total = 0.0;
  for (int i = 0; i < p->n; i++) {
    const int length = p->offset[i + 1] - p->offset[i], steps = g->exits ? length : length - 1;
    flv_complex sum = 0.0;
    for (int k = 0; k < steps; k++) {
      const int m = p->move[p->offset[i] + k], t = g->dag.to[m];
      double follows = q->munchausen * l * fmax(q->target->log_pf[m], q->clip);
      if (flv_move_ends(g, m))
        follows += g->log_r[g->dag.from[m]];
      else
        follows +=
            creal(model->log_pb[m]) + (k + 1 == steps ? g->log_r[t] : l * q->target->log_sum[t]);
      sum += flv_penalise(q, l * model->x[m] - follows);
    }
    total += exp(q->log_path[i]) * sum / steps;
  }
  return total;
}

flv_complex flv_flow_log_z(const flv_model *model, const void *argument) {
  const flv_fixed *q = argument;
  const double flow = creal(log_out(model, 0)) / (1.0 - q->munchausen);
  const flv_complex gap = flv_model_log_z(model) - flow;
  return gap * gap;
}
