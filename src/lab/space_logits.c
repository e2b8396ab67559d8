// Gradients with respect to logits: the policy as tables on the state graph, in double. Behaviour
// policies are probabilities of moves, so trajectories are walks on the graph.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lab/space.h"

typedef struct logits {
  flv_problem *p;
  const flv_policy *policy; // the trainer's
  int large, workers;
  flv_lab_space *space;
  bool on_policy;
  double *log_pi, *log_past; // [n_moves] of the behaviour, and of the P_F it is made of
  double *cumulative;        // [n_moves] of exp(log_pi), within each state
  double *log_path;          // [paths.n]
  int64_t *offset;           // [pool + 1]
  int32_t *move;             // [pool * length]
  double *log_pi_walk;       // [pool]
  flv_walks *walks;          // [workers]
  void *block;
} logits;

void flv_lab_read(flv_problem *problem, const flv_policy *policy, const float *params) {
  const flv_net *from = policy->net, *to = problem->policy.net;
  for (int i = 0; i < to->n_weights; i++)
    for (int k = 0; k < from->n_weights; k++) {
      const flv_weight *a = &from->weight[k], *b = &to->weight[i];
      if (strcmp(a->name, b->name) == 0)
        memcpy(problem->policy.params + b->offset, params + a->offset,
               (size_t)a->rows * (size_t)a->cols * sizeof *params);
    }
  *flv_policy_log_z(&problem->policy) = params[from->n_params];
  flv_problem_read(problem);
}

flv_lab_source flv_lab_source_of(const flv_lab_space *space) {
  const logits *l = space->self;
  return (flv_lab_source){l->log_pi, l->p->enumerated ? l->log_path : NULL, l->on_policy};
}

// E_pi[log pi - log P_F], by recursion.
static double divergence(logits *l) {
  flv_moments *x = &l->p->moments;
  for (int m = 0; m < l->p->graph->n_moves; m++)
    x->c[m] = l->on_policy ? 0.0 : l->log_pi[m] - l->p->tables.log_pf[m];
  flv_chain_run(&x->chain, l->log_pi, x->c);
  return x->chain.mean;
}

static void place(void *self, const float *now, const float *past,
                  const flv_lab_behaviour *behaviour) {
  logits *l = self;
  const flv_graph *g = l->p->graph;
  const size_t bytes = (size_t)g->n_moves * sizeof *l->log_past;
  flv_lab_read(l->p, l->policy, past);
  memcpy(l->log_past, l->p->tables.log_pf, bytes);
  if (past != now) flv_lab_read(l->p, l->policy, now);
  flv_lab_log_pi(l->log_pi, g, l->log_past, behaviour);
  l->on_policy = past == now && !flv_lab_explore(behaviour).active;
  for (int s = 0; s < g->n_states; s++) {
    double sum = 0.0;
    for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++)
      l->cumulative[m] = sum += exp(l->log_pi[m]);
  }
  if (l->p->enumerated) flv_paths_sum(l->log_path, &l->p->paths, l->log_pi);
  l->space->off_policy = divergence(l);
}

// The move whose interval of the cumulative distribution holds u; rounding at the top falls to the
// last one that has any probability.
static int draw_move(const logits *l, int state, double u) {
  const int32_t *first = l->p->graph->dag.first;
  int last = first[state];
  for (int m = first[state]; m < first[state + 1]; m++) {
    if (!(l->log_pi[m] > -HUGE_VAL)) continue;
    last = m;
    if (u < l->cumulative[m]) break;
  }
  return last;
}

static void draw(void *self, flv_rng rng, int chunks) {
  logits *l = self;
  const flv_graph *g = l->p->graph;
  const uint64_t iteration = rng.iteration;
  for (int k = 0; k < chunks; k++) {
    rng.iteration = iteration + (uint64_t)k;
    for (int i = 0; i < l->large; i++) {
      const int walk = k * l->large + i;
      int64_t at = l->offset[walk];
      double log_pi = 0.0;
      for (int s = 0, step = 0; s < g->n_states; step++) {
        const int m = draw_move(l, s, flv_rng_uniform(rng, (uint32_t)i, (uint32_t)step));
        l->move[at++] = m;
        log_pi += l->log_pi[m];
        s = g->dag.to[m];
      }
      l->offset[walk + 1] = at;
      l->log_pi_walk[walk] = log_pi;
    }
  }
}

static double gradient(void *self, int worker, const flv_chosen *chosen, int first, int n,
                       double *g) {
  const logits *l = self;
  const flv_tables *t = &l->p->tables;
  flv_walks *w = &l->walks[worker];
  flv_walks_clear(w);
  for (int i = first; i < first + n; i++)
    flv_walks_add(w, t, (int)(l->offset[i + 1] - l->offset[i]), l->move + l->offset[i],
                  l->log_pi_walk[i]);
  flv_walks_loss(w, chosen, t);
  memset(g, 0, l->space->size * sizeof *g);
  flv_walks_spread(w, 1.0, g);
  flv_walks_pull_back(w, chosen, t, g);
  return w->d.ess;
}

static void free_self(void *self) {
  logits *l = self;
  for (int i = 0; l->walks && i < l->workers; i++) flv_walks_free(&l->walks[i]);
  free(l->walks);
  flv_free(l->block);
  free(l);
}

static flv_status make_memory(logits *l, int chunks, flv_error *err) {
  const flv_graph *g = l->p->graph;
  const size_t m = (size_t)g->n_moves, pool = (size_t)chunks * (size_t)l->large;
  const flv_slot slots[] = {
      FLV_SLOT(l->log_pi, m),        FLV_SLOT(l->log_past, m),
      FLV_SLOT(l->cumulative, m),    FLV_SLOT(l->log_path, l->p->enumerated ? l->p->paths.n : 0),
      FLV_SLOT(l->offset, pool + 1), FLV_SLOT(l->move, pool * (size_t)g->length),
      FLV_SLOT(l->log_pi_walk, pool)};
  l->block = flv_bind(sizeof slots / sizeof *slots, slots);
  l->walks = calloc((size_t)l->workers, sizeof *l->walks);
  if (!l->block || !l->walks)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %zu trajectories", pool);
  for (int i = 0; i < l->workers; i++) FLV_TRY(flv_walks_init(&l->walks[i], g, l->large, err));
  return FLV_OK;
}

flv_status flv_lab_space_logits(flv_lab_space *space, flv_problem *problem,
                                const flv_policy *policy, int large, int chunks, int workers,
                                flv_error *err) {
  logits *l = calloc(1, sizeof *l);
  if (!l) return flv_fail(err, FLV_ENOMEM, "out of memory for the laboratory");
  *l = (logits){.p = problem, .policy = policy, .large = large, .workers = workers, .space = space};
  const flv_status status = make_memory(l, chunks, err);
  if (status != FLV_OK) {
    free_self(l);
    return status;
  }
  const flv_layout at = flv_layout_of(problem->graph);
  *space = (flv_lab_space){
      .self = l,
      .workers = workers,
      .size = flv_walks_size(problem->graph),
      .n_tensors = 2,
      .tensor = {{(size_t)at.pf, (size_t)at.pb, 0}, {(size_t)at.pb, (size_t)at.log_f, 1}},
      .place = place,
      .draw = draw,
      .gradient = gradient,
      .free_self = free_self};
  return FLV_OK;
}
