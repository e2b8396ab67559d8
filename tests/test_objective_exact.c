// Objectives in expectation: on small state graphs, where every trajectory can be enumerated,
// expected gradients against finite differences of the exact divergences (Malkin et al. 2023, arXiv
// 2210.00580, Proposition 1, equations 7-9).
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "objective_fixture.h"

// ---- small state graphs and their policies ----

enum { MAX_S = 16, MAX_A = 48, MAX_L = 8, MAX_T = 64 };

typedef struct problem { // moves 0 .. n_edges-1 are edges; an exit at s is move exit[s]
  bool exits;
  int n_states, n_edges, n_moves;
  int from[MAX_A], to[MAX_A], exit[MAX_S];
  double log_r[MAX_S];
  int n_trajectories, length[MAX_T], move[MAX_T][MAX_L], object[MAX_T];
} problem;

typedef struct model {
  double theta[MAX_A], phi[MAX_A], eta[MAX_A];
} model; // logits of P_F, P_B, pi

// x[m] - logsumexp over the moves (edges) that share key[m]
static void log_softmax_by(int n, const int *key, const double *x, double *log_p) {
  for (int m = 0; m < n; m++) {
    double sum = 0.0;
    for (int k = 0; k < n; k++)
      if (key[k] == key[m]) sum += exp(x[k]);
    log_p[m] = x[m] - log(sum);
  }
}

static void walk(problem *g, int s, int depth, int *path) {
  bool stuck = true;
  for (int m = 0; m < g->n_moves; m++) {
    if (g->from[m] != s) continue;
    stuck = false;
    assert_true(depth < MAX_L);
    path[depth] = m;
    if (m < g->n_edges) walk(g, g->to[m], depth + 1, path);
    if (m < g->n_edges) continue;
    assert_true(g->n_trajectories < MAX_T);
    memcpy(g->move[g->n_trajectories], path, sizeof(int) * MAX_L);
    g->length[g->n_trajectories] = depth + 1;
    g->object[g->n_trajectories++] = s;
  }
  if (!stuck) return;
  memcpy(g->move[g->n_trajectories], path, sizeof(int) * MAX_L);
  g->length[g->n_trajectories] = depth;
  g->object[g->n_trajectories++] = s;
}

static void add_edge(problem *g, int from, int to) {
  g->from[g->n_edges] = from;
  g->to[g->n_edges++] = to;
}

static void finish(problem *g) {
  g->n_moves = g->n_edges;
  for (int s = 0; s < g->n_states; s++) {
    g->log_r[s] = 3.0 * uniform(s, 20) - 1.0;
    if (g->exits) g->from[g->exit[s] = g->n_moves++] = s;
  }
  int path[MAX_L] = {0};
  walk(g, 0, 0, path);
}

static problem grid_problem(void) { // 3 x 3 hypergrid: 19 trajectories
  problem g = {.exits = true, .n_states = 9};
  for (int s = 0; s < 9; s++) {
    if (s % 3 < 2) add_edge(&g, s, s + 1);
    if (s / 3 < 2) add_edge(&g, s, s + 3);
  }
  finish(&g);
  assert_int_equal(g.n_trajectories, 19);
  return g;
}

static problem web_problem(void) { // not graded: 5 and 6 end, after 1 to 4 steps
  static const int edge[][2] = {{0, 1}, {0, 2}, {0, 5}, {1, 2}, {1, 5}, {2, 3},
                                {2, 5}, {3, 5}, {3, 6}, {1, 4}, {4, 6}};
  problem g = {.exits = false, .n_states = 7};
  for (size_t i = 0; i < sizeof edge / sizeof *edge; i++) add_edge(&g, edge[i][0], edge[i][1]);
  finish(&g);
  return g;
}

static model random_model(int item) {
  model m;
  for (int k = 0; k < MAX_A; k++) {
    m.theta[k] = 2.0 * uniform(item, 100 + k) - 1.0;
    m.phi[k] = 2.0 * uniform(item, 200 + k) - 1.0;
    m.eta[k] = 2.0 * uniform(item, 300 + k) - 1.0;
  }
  return m;
}

typedef struct tables { // log-probabilities of moves, and of trajectories
  double pf[MAX_A], pb[MAX_A], pi[MAX_A];
  double log_pf[MAX_T], log_pb[MAX_T], log_pi[MAX_T], log_post[MAX_T], log_z; // log_z: the true one
} tables;

static tables tabulate(const problem *g, const model *m) {
  tables t;
  double z = 0.0;
  log_softmax_by(g->n_moves, g->from, m->theta, t.pf);
  log_softmax_by(g->n_moves, g->from, m->eta, t.pi);
  log_softmax_by(g->n_edges, g->to, m->phi, t.pb);
  for (int i = 0; i < g->n_trajectories; i++) {
    t.log_pf[i] = t.log_pb[i] = t.log_pi[i] = 0.0;
    for (int k = 0; k < g->length[i]; k++) {
      const int move = g->move[i][k];
      t.log_pf[i] += t.pf[move];
      t.log_pi[i] += t.pi[move];
      if (move < g->n_edges) t.log_pb[i] += t.pb[move];
    }
    z += exp(g->log_r[g->object[i]] + t.log_pb[i]); // sum over tau of R P_B is sum over x of R
  }
  t.log_z = log(z);
  for (int i = 0; i < g->n_trajectories; i++)
    t.log_post[i] = g->log_r[g->object[i]] + t.log_pb[i] - t.log_z;
  return t;
}

// Exact functionals of (theta, phi).
typedef double (*functional)(const problem *g, const tables *t, double log_z);
static double kl_reverse(const problem *g, const tables *t, double log_z) {
  (void)log_z;
  double sum = 0.0;
  for (int i = 0; i < g->n_trajectories; i++)
    sum += exp(t->log_pf[i]) * (t->log_pf[i] - t->log_post[i]);
  return sum;
}
static double kl_forward(const problem *g, const tables *t, double log_z) {
  (void)log_z;
  double sum = 0.0;
  for (int i = 0; i < g->n_trajectories; i++)
    sum += exp(t->log_post[i]) * (t->log_post[i] - t->log_pf[i]);
  return sum;
}
static double equation_9(const problem *g, const tables *t, double log_z) {
  double sum = 0.0;
  for (int i = 0; i < g->n_trajectories; i++)
    sum += exp(t->log_pf[i]) * pow(t->log_post[i] - t->log_pf[i], 2.0);
  return sum + 2.0 * (log_z - t->log_z) * kl_reverse(g, t, log_z);
}

typedef struct gradient {
  double theta[MAX_A], phi[MAX_A];
} gradient;

static gradient differentiate(const problem *g, const model *m, functional f, double log_z) {
  const double h = 1e-3;
  static const int step[4] = {-2, -1, 1, 2};
  static const double weight[4] = {1.0, -8.0, 8.0, -1.0};
  gradient d = {0};
  for (int k = 0; k < g->n_moves; k++) {
    for (int s = 0; s < 4; s++) {
      model a = *m, b = *m;
      a.theta[k] += step[s] * h;
      b.phi[k] += step[s] * h;
      const tables ta = tabulate(g, &a), tb = tabulate(g, &b);
      d.theta[k] += weight[s] * f(g, &ta, log_z) / (12.0 * h);
      d.phi[k] += weight[s] * f(g, &tb, log_z) / (12.0 * h);
    }
  }
  return d;
}

// The batch of trajectories id[0 .. n-1], made by `log_pi`.
static inputs gather(const problem *g, const tables *t, const double *log_pi, int n, const int *id,
                     double log_z) {
  inputs in = {.n = n, .log_z = log_z, .exits = g->exits};
  for (int i = 0; i < n; i++) {
    int p = in.offset[i];
    for (int k = 0; k < g->length[id[i]]; k++) {
      const int move = g->move[id[i]][k];
      in.log_pf[p++] = t->pf[move];
      if (move < g->n_edges) in.log_pb[p] = t->pb[move];
    }
    if (!g->exits) in.log_pf[p++] = 0.0;
    in.offset[i + 1] = p;
    in.log_r[i] = g->log_r[g->object[id[i]]];
    in.log_pi[i] = log_pi[id[i]];
  }
  return in;
}

// Cotangents of log-probabilities, through the softmaxes, times a.
static void pull_back(const problem *g, const tables *t, int n, const int *id, const inputs *in,
                      const outputs *out, double a, gradient *d) {
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < g->length[id[i]]; k++) {
      const int p = in->offset[i] + k, move = g->move[id[i]][k];
      for (int m = 0; m < g->n_moves; m++)
        if (g->from[m] == g->from[move])
          d->theta[m] += a * out->log_pf[p] * ((m == move) - exp(t->pf[m]));
      for (int m = 0; m < g->n_edges && move < g->n_edges; m++)
        if (g->to[m] == g->to[move])
          d->phi[m] += a * out->log_pb[p + 1] * ((m == move) - exp(t->pb[m]));
    }
  }
}

// Expected gradient over all batches of n trajectories drawn from exp(log_pi).
static gradient expect(const problem *g, const model *m, const chosen *c, const double *log_pi,
                       int n, double log_z) {
  const tables t = tabulate(g, m);
  gradient d = {0};
  int batches = 1;
  for (int i = 0; i < n; i++) batches *= g->n_trajectories;
  for (int b = 0; b < batches; b++) {
    int id[MAX_N];
    double log_p = 0.0;
    for (int i = 0, rest = b; i < n; i++, rest /= g->n_trajectories)
      log_p += log_pi[id[i] = rest % g->n_trajectories];
    const inputs in = gather(g, &t, log_pi, n, id, log_z);
    const outputs out = evaluate(c, &in);
    pull_back(g, &t, n, id, &in, &out, exp(log_p), &d);
  }
  return d;
}

enum { THETA = 1, PHI = 2 };
static void same(const problem *g, const gradient *a, double scale, const gradient *b, int which) {
  double size = 0.0;
  for (int k = 0; k < g->n_moves; k++) {
    if (which & THETA) near(a->theta[k], scale * b->theta[k], 1e-9);
    if (which & PHI) near(a->phi[k], scale * b->phi[k], 1e-9);
    size += fabs(which & THETA ? b->theta[k] : b->phi[k]);
  }
  assert_true(size > 0.1); // not vacuous
}

// Runs a check on both graphs with two models each.
typedef void (*check)(const problem *g, const model *m, const tables *t);
static void everywhere(check f) {
  const problem graphs[] = {grid_problem(), web_problem()};
  for (int i = 0; i < 2; i++) {
    for (int item = 0; item < 2; item++) {
      const model m = random_model(item);
      const tables t = tabulate(&graphs[i], &m);
      f(&graphs[i], &m, &t);
    }
  }
}

// (7), (8): half of the expected TB gradient, under P_B for P_B and under P_F for P_F, whatever log
// Z is.
static void check_proposition_1(const problem *g, const model *m, const tables *t) {
  const chosen tb = choose("tb");
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  const gradient forward = differentiate(g, m, kl_forward, 0.0);
  for (double log_z = -2.0; log_z <= 3.0; log_z += 2.5) {
    const gradient on_policy = expect(g, m, &tb, t->log_pf, 1, log_z);
    const gradient posterior = expect(g, m, &tb, t->log_post, 1, log_z);
    const gradient nine = differentiate(g, m, equation_9, log_z);
    same(g, &on_policy, 2.0, &reverse, THETA);
    same(g, &posterior, 2.0, &forward, PHI);
    same(g, &on_policy, 1.0, &nine, PHI); // (9)
  }
}
static void proposition_1(void **state) {
  (void)state;
  everywhere(check_proposition_1);
}

// Divergences with plain weights: unbiased for every behaviour policy, with baselines that do not
// depend on the sample. E_PB's weights need the true Z.
static void check_unbiased(const problem *g, const model *m, const tables *t) {
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  const gradient forward = differentiate(g, m, kl_forward, 0.0);
  const double *const behaviour[] = {t->log_pf, t->log_pi, t->log_post};
  for (int kind = 0; kind < 4; kind++) {
    const gradient *pf = divergence[kind].forward_pf ? &forward : &reverse;
    const gradient *pb = divergence[kind].forward_pb ? &forward : &reverse;
    for (int b = 0; b < 4; b++) {
      const chosen c = choose_with(divergence[kind].name, "plain", baseline_word[b]);
      const double local = b == 1 ? 0.5 : 1.0; // (B-1)/B for score terms
      const double scale_pf = divergence[kind].forward_pf ? 1.0 : local;
      const double scale_pb = divergence[kind].forward_pb ? local : 1.0;
      for (int k = 0; k < 3; k++) {
        const gradient d = expect(g, m, &c, behaviour[k], 2, t->log_z);
        same(g, &d, scale_pf, pf, THETA);
        same(g, &d, scale_pb, pb, PHI);
      }
    }
  }
}
static void unbiased(void **state) {
  (void)state;
  everywhere(check_unbiased);
}

// On-policy, E_PF's estimators need no weights and no Z: exact with the default options, batches of
// one, and of three with leave_one_out.
static void check_on_policy(const problem *g, const model *m, const tables *t) {
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  for (int w = 0; w < 3; w++) {
    for (int b = 0; b < 4; b += 2) {
      const chosen c = choose_with("reverse_kl", weights_word[w], baseline_word[b]);
      const gradient d = expect(g, m, &c, t->log_pf, 1, 1.7);
      same(g, &d, 1.0, &reverse, THETA | PHI);
    }
  }
  if (g->exits) return; // 19^3 batches
  const chosen loo = choose_with("reverse_kl", "self_normalised", "leave_one_out");
  const chosen local = choose_with("reverse_kl", "self_normalised", "local");
  const gradient three = expect(g, m, &loo, t->log_pf, 3, 1.7);
  const gradient biased = expect(g, m, &local, t->log_pf, 3, 1.7);
  same(g, &three, 1.0, &reverse, THETA | PHI);
  same(g, &biased, 2.0 / 3.0, &reverse, THETA);
}
static void on_policy(void **state) {
  (void)state;
  everywhere(check_on_policy);
}

// At the optimum (P_F the flow policy, Z true) balance losses and all their slopes vanish.
static void optimum(void **state) {
  (void)state;
  const problem g = grid_problem();
  model m = random_model(0);
  const tables t0 = tabulate(&g, &m);
  double log_f[MAX_S];
  for (int s = g.n_states - 1; s >= 0; s--) { // F(s) = R(s) + sum over children of F(s') P_B(s|s')
    double f = exp(g.log_r[s]);
    for (int e = 0; e < g.n_edges; e++)
      if (g.from[e] == s) f += exp(log_f[g.to[e]] + t0.pb[e]);
    log_f[s] = log(f);
    m.theta[g.exit[s]] = g.log_r[s] - log_f[s];
    for (int e = 0; e < g.n_edges; e++)
      if (g.from[e] == s) m.theta[e] = log_f[g.to[e]] + t0.pb[e] - log_f[s];
  }
  const tables t = tabulate(&g, &m);
  near(log_f[0], t.log_z, 1e-13);
  const int id[MAX_N] = {0, 3, 7, 18, 11, 5, 5, 9};
  inputs in = gather(&g, &t, t.log_pi, MAX_N, id, t.log_z);
  for (int i = 0; i < MAX_N; i++) {
    for (int p = in.offset[i], k = 0; p < in.offset[i + 1]; p++, k++) {
      const int s = g.from[g.move[id[i]][k]];
      in.log_f[p] = log_f[s];
      in.exit[p] = t.pf[g.exit[s]];
      in.r_state[p] = g.log_r[s];
    }
  }
  const char *const name[] = {"tb", "db", "modified_db"};
  for (int b = 0; b < 3; b++) {
    const chosen c = choose(name[b]);
    const outputs out = evaluate(&c, &in);
    near(out.loss, 0.0, 1e-24);
    near(out.log_z, 0.0, 1e-12);
    for (int p = 0; p < in.offset[MAX_N]; p++) {
      near(out.log_pf[p], 0.0, 1e-12);
      near(out.log_pb[p], 0.0, 1e-12);
      near(out.log_f[p], 0.0, 1e-12);
      near(out.exit[p], 0.0, 1e-12);
    }
  }
  for (int kind = 0; kind < 4;
       kind++) { // divergences: zero estimate, zero variance with b = -log Z
    const chosen c = choose(divergence[kind].name);
    const outputs out = evaluate(&c, &in);
    near(out.loss, 0.0, 1e-12);
    near(out.log_z, 0.0, 1e-12);
    if (divergence[kind].forward_pf) continue;
    for (int p = 0; p < in.offset[MAX_N]; p++) near(out.log_pf[p], 0.0, 1e-12);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(proposition_1),
      cmocka_unit_test(unbiased),
      cmocka_unit_test(on_policy),
      cmocka_unit_test(optimum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
