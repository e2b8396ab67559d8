#include "exact/state_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"

typedef struct scan { // what is read off the environment before moves can be counted
  uint8_t *mask;      // [n_states, n_actions]
  uint8_t *mask_back; // [n_back] of one state
  uint8_t *object;    // [n_states]
  uint8_t *reached;   // [n_states] s0 leads there
  int32_t *child;     // [n_states, n_actions]
  int64_t *index;     // [n_states]
  void *next;         // [state_size]
  void *block;
} scan;

static flv_status check_size(const flv_env *env, flv_error *err) {
  if (env->n_states <= 0 || !env->ops->at || !env->ops->index)
    return flv_fail(err, FLV_EINVAL, "environment '%s' cannot be enumerated", env->name);
  if (env->n_states <= FLV_GRAPH_MAX_PAIRS / env->n_actions) return FLV_OK;
  return flv_fail(err, FLV_EINVAL,
                  "'%s' has %lld states and %d actions; exact gradients take up to %d states times "
                  "actions",
                  env->name, (long long)env->n_states, env->n_actions, (int)FLV_GRAPH_MAX_PAIRS);
}

static flv_status scan_open(scan *s, flv_graph *g, flv_error *err) {
  const flv_env *env = g->env;
  const size_t n = (size_t)g->n_states, pairs = n * (size_t)env->n_actions;
  const flv_slot slots[] = {FLV_SLOT(s->mask, pairs),   FLV_SLOT(s->mask_back, env->n_back),
                            FLV_SLOT(s->object, n),     FLV_SLOT(s->reached, n),
                            FLV_SLOT(s->child, pairs),  FLV_SLOT(s->index, n),
                            {&s->next, env->state_size}};
  s->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!s->block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d states", g->n_states);
  for (int i = 0; i < g->n_states; i++) s->index[i] = i;
  env->ops->at(env, g->n_states, s->index, g->states);
  env->ops->mask(env, g->n_states, g->states, s->mask);
  env->ops->terminal(env, g->n_states, g->states, s->object);
  for (size_t i = 0; i < n && g->exits; i++)
    s->object[i] = s->mask[i * (size_t)env->n_actions + (size_t)env->exit_action];
  return FLV_OK;
}

static void *state_at(const flv_graph *g, int s) {
  return g->states + (size_t)s * g->env->state_size;
}

// Children of every state that s0 leads to; counts moves and objects.
static flv_status find_children(scan *sc, flv_graph *g, flv_error *err) {
  const flv_env *env = g->env;
  sc->reached[0] = 1;
  for (int s = 0; s < g->n_states; s++) {
    for (int32_t a = 0; a < env->n_actions; a++) {
      const size_t pair = (size_t)s * (size_t)env->n_actions + (size_t)a;
      sc->child[pair] = -1;
      if (!sc->reached[s] || !sc->mask[pair] || a == env->exit_action) continue;
      int64_t child;
      memcpy(sc->next, state_at(g, s), env->state_size);
      env->ops->step(env, 1, sc->next, &a);
      env->ops->index(env, 1, sc->next, &child);
      if (child <= s || child >= g->n_states)
        return flv_fail(err, FLV_EINVAL, "%s: action %d leads from state %d to state %lld of %d",
                        env->name, (int)a, s, (long long)child, g->n_states);
      sc->child[pair] = (int32_t)child;
      sc->reached[child] = 1;
      g->n_moves++;
    }
    g->n_objects += sc->reached[s] && sc->object[s];
    g->n_moves += sc->reached[s] && sc->object[s];
  }
  return FLV_OK;
}

static flv_status take_arrays(flv_graph *g, flv_error *err) {
  const size_t n = (size_t)g->n_states, m = (size_t)g->n_moves;
  const flv_slot slots[] = {FLV_SLOT(g->dag.first, n + 2),  FLV_SLOT(g->dag.from, m),
                            FLV_SLOT(g->dag.to, m),         FLV_SLOT(g->action, m),
                            FLV_SLOT(g->back, m),           FLV_SLOT(g->into, m),
                            FLV_SLOT(g->first_into, n + 1), FLV_SLOT(g->depth, n),
                            FLV_SLOT(g->log_r, n),          FLV_SLOT(g->log_r_state, n)};
  g->arrays = flv_bind(sizeof slots / sizeof *slots, slots);
  return g->arrays ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for %d moves", g->n_moves);
}

static void add_move(flv_graph *g, int s, int to, int32_t action, int32_t back) {
  const int m = g->dag.n_moves++;
  g->dag.from[m] = s;
  g->dag.to[m] = to;
  g->action[m] = action;
  g->back[m] = back;
}

static void fill_moves(const scan *sc, flv_graph *g) {
  const flv_env *env = g->env;
  for (int s = 0; s < g->n_states; s++) {
    g->dag.first[s] = g->dag.n_moves;
    for (int32_t a = 0; a < env->n_actions; a++) {
      const int child = sc->child[(size_t)s * (size_t)env->n_actions + (size_t)a];
      if (child < 0) continue;
      int32_t back;
      env->ops->back_of(env, 1, state_at(g, s), &a, &back);
      add_move(g, s, child, a, back);
    }
    if (sc->reached[s] && sc->object[s]) add_move(g, s, g->n_states, env->exit_action, -1);
  }
  g->dag.n_nodes = g->n_states + 1;
  g->dag.first[g->n_states] = g->dag.first[g->n_states + 1] = g->n_moves;
}

// Sorts moves by where they lead. P_B spreads over all legal backward actions, so each of them has
// to be a move that s0 leads to.
static flv_status fill_into(scan *sc, flv_graph *g, flv_error *err) {
  const flv_env *env = g->env;
  const int n = g->n_states;
  for (int m = 0; m < g->n_moves; m++)
    if (!flv_move_ends(g, m)) g->first_into[g->dag.to[m] + 1]++;
  for (int s = 0; s < n; s++) g->first_into[s + 1] += g->first_into[s];
  for (int m = g->n_moves - 1; m >= 0; m--) // fills each list from its end
    if (!flv_move_ends(g, m)) g->into[--g->first_into[g->dag.to[m] + 1]] = m;
  for (int s = 0; s < n; s++) g->first_into[s] = g->first_into[s + 1];
  g->first_into[n] = g->n_moves - g->n_objects;
  for (int s = 0; s < n; s++) {
    if (!sc->reached[s]) continue;
    int legal = 0;
    memset(sc->mask_back, 0, (size_t)env->n_back);
    env->ops->mask_back(env, 1, state_at(g, s), sc->mask_back);
    for (int b = 0; b < env->n_back; b++) legal += sc->mask_back[b];
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
      if (!sc->mask_back[g->back[g->into[k]]]) legal = -1;
    if (legal != g->first_into[s + 1] - g->first_into[s])
      return flv_fail(err, FLV_EINVAL,
                      "%s: the backward actions of state %d are not those of the moves that lead "
                      "to it from s0",
                      env->name, s);
  }
  return FLV_OK;
}

static void fill_depths(flv_graph *g) {
  g->graded = true;
  for (int m = 0; m < g->n_moves; m++) {
    const int there = g->depth[g->dag.from[m]] + 1, to = g->dag.to[m];
    if (!flv_move_ends(g, m)) {
      if (there > g->depth[to]) g->depth[to] = there;
    } else if (there > g->length) {
      g->length = there;
    }
  }
  for (int m = 0; m < g->n_moves; m++)
    if (!flv_move_ends(g, m)) g->graded &= g->depth[g->dag.to[m]] == g->depth[g->dag.from[m]] + 1;
}

static flv_status fill_rewards(const scan *sc, flv_graph *g, const flv_reward *reward,
                               flv_error *err) {
  FLV_TRY(flv_reward_log(reward, g->env, g->n_states, g->states, g->log_r_state, err));
  for (int s = 0; s < g->n_states; s++)
    g->log_r[s] = sc->reached[s] && sc->object[s] ? g->log_r_state[s] : -HUGE_VAL;
  g->log_z = flv_logsumexp(g->n_states, g->log_r);
  if (g->log_z > -HUGE_VAL) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "reward %s: R is 0 at every object of %s", reward->name,
                  g->env->name);
}

static flv_status fill_graph(flv_graph *g, scan *sc, const flv_reward *reward, flv_error *err) {
  FLV_TRY(scan_open(sc, g, err));
  FLV_TRY(find_children(sc, g, err));
  FLV_TRY(take_arrays(g, err));
  fill_moves(sc, g);
  FLV_TRY(fill_into(sc, g, err));
  fill_depths(g);
  return fill_rewards(sc, g, reward, err);
}

flv_graph *flv_graph_new(const flv_env *env, const flv_reward *reward, flv_error *err) {
  if (check_size(env, err) != FLV_OK) return NULL;
  flv_graph *g = NULL;
  unsigned char *states = NULL;
  const flv_slot slots[] = {FLV_SLOT(g, 1),
                            FLV_SLOT(states, (size_t)env->n_states * env->state_size)};
  void *block = flv_bind(2, slots);
  if (!block) {
    flv_fail(err, FLV_ENOMEM, "out of memory for %lld states", (long long)env->n_states);
    return NULL;
  }
  *g = (flv_graph){.env = env,
                   .n_states = (int)env->n_states,
                   .exits = env->exit_action >= 0,
                   .states = states,
                   .block = block};
  scan sc = {0};
  const flv_status status = fill_graph(g, &sc, reward, err);
  flv_free(sc.block);
  if (status == FLV_OK) return g;
  flv_graph_free(g);
  return NULL;
}

void flv_graph_free(flv_graph *graph) {
  if (!graph) return;
  flv_free(graph->arrays);
  flv_free(graph->block);
}

double flv_graph_trajectories(const flv_graph *graph) {
  const flv_dag *dag = &graph->dag;
  double *ways = flv_alloc((size_t)dag->n_nodes * sizeof *ways);
  if (!ways) return HUGE_VAL;
  ways[0] = 1.0;
  for (int m = 0; m < dag->n_moves; m++) ways[dag->to[m]] += ways[dag->from[m]];
  const double n = ways[graph->n_states];
  flv_free(ways);
  return n;
}
