// The policy graph_network against an independent naive network, written in double from the
// formulas at the head of policy_graph.c as they stand: concatenations, one edge at a time. Golden
// logits come from a transcription of the authors' network in NumPy.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "env/dag.h"
#include "learn/logits.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

// ---- the naive network ----

enum { D = 5, MOST = 3 * D * D, WIDE = 4 * 128 };

typedef struct naive {
  const flv_net *net;
  const double *param;
  int d, n_edges, width, layers, heads, key;
  int from[MOST], to[MOST];
  int next; // tensor to be read next, in the order of creation
} naive;

typedef struct matrix {
  const double *x;
  int rows, cols;
} matrix;

static matrix take(naive *v) {
  const flv_weight *w = &v->net->weight[v->next++];
  return (matrix){v->param + w->offset, w->rows, w->cols};
}

static void affine(matrix w, matrix b, const double *x, double *y) {
  for (int j = 0; j < w.cols; j++) {
    y[j] = b.x[j];
    for (int i = 0; i < w.rows; i++) y[j] += x[i] * w.x[i * w.cols + j];
  }
}

typedef struct mlp {
  matrix w1, b1, w2, b2;
} mlp;

static mlp take_mlp(naive *v) {
  mlp m;
  m.w1 = take(v), m.b1 = take(v), m.w2 = take(v), m.b2 = take(v);
  return m;
}

static void run(const mlp *m, int in, const double *x, double *y) {
  double hidden[WIDE];
  assert_int_equal(in, m->w1.rows);
  affine(m->w1, m->b1, x, hidden);
  for (int j = 0; j < m->w1.cols; j++) hidden[j] = hidden[j] > 0.0 ? hidden[j] : 0.0;
  affine(m->w2, m->b2, hidden, y);
}

static int append(double *x, int at, int n, const double *part) {
  memcpy(x + at, part, (size_t)n * sizeof *x);
  return at + n;
}

typedef struct features {
  double n[D][WIDE], e[MOST][WIDE], g[WIDE];
  int g_width;
} features;

static void add_to(double *sum, const double *x, int n) {
  for (int j = 0; j < n; j++) sum[j] += x[j];
}

static void graph_layer(naive *v, features *f, features *new) {
  const int h = v->width;
  const mlp edge = take_mlp(v), node = take_mlp(v), global = take_mlp(v);
  double x[WIDE], nodes[WIDE] = {0}, edges[WIDE] = {0};
  for (int k = 0; k < v->n_edges; k++) {
    int at = append(x, 0, h, f->e[k]);
    at = append(x, at, h, f->n[v->from[k]]);
    at = append(x, at, h, f->n[v->to[k]]);
    run(&edge, append(x, at, f->g_width, f->g), x, new->e[k]);
    add_to(edges, new->e[k], h);
  }
  for (int i = 0; i < v->d; i++) {
    double out[WIDE] = {0}, in[WIDE] = {0};
    for (int k = 0; k < v->n_edges; k++) {
      if (v->from[k] == i) add_to(out, new->e[k], h);
      if (v->to[k] == i) add_to(in, new->e[k], h);
    }
    int at = append(x, 0, h, f->n[i]);
    at = append(x, at, h, out);
    at = append(x, at, h, in);
    run(&node, append(x, at, f->g_width, f->g), x, new->n[i]);
    add_to(nodes, new->n[i], h);
  }
  int at = append(x, 0, h, nodes);
  at = append(x, at, h, edges);
  run(&global, append(x, at, f->g_width, f->g), x, new->g);
  for (int i = 0; i < v->d; i++) add_to(f->n[i], new->n[i], h);
  for (int k = 0; k < v->n_edges; k++) add_to(f->e[k], new->e[k], h);
  for (int j = 0; j < h; j++) f->g[j] = (f->g_width == h ? f->g[j] : 0.0) + new->g[j];
  f->g_width = h;
}

static void attend(naive *v, features *f) {
  const int a = v->heads * v->key, h = v->width;
  const matrix pw = take(v), pb = take(v);
  double qkv[3 * WIDE], x[3][D][WIDE];
  matrix w[4], b[4];
  for (int k = 0; k < 4; k++) w[k] = take(v), b[k] = take(v);
  for (int i = 0; i < v->d; i++) {
    affine(pw, pb, f->n[i], qkv);
    for (int k = 0; k < 3; k++) affine(w[k], b[k], qkv + k * h, x[k][i]);
  }
  for (int i = 0; i < v->d; i++) {
    double y[WIDE] = {0};
    for (int c = 0; c < a; c++) {
      double sum = 0.0;
      for (int j = 0; j < v->d; j++) {
        double score = 0.0;
        for (int k = c / v->key * v->key; k < (c / v->key + 1) * v->key; k++)
          score += x[0][i][k] * x[1][j][k];
        const double weight = exp(score / sqrt(v->key));
        sum += weight;
        y[c] += weight * x[2][j][c];
      }
      y[c] /= sum;
    }
    affine(w[3], b[3], y, f->n[i]);
  }
}

// The logits [d^2 + 1] of one graph.
static void logits_of(naive *v, double *logits) {
  static features f, new;
  static double s[D][WIDE], r[D][WIDE];
  const int d = v->d, h = v->width;
  v->next = 0;
  const matrix nodes = take(v), edge = take(v);
  for (int i = 0; i < d; i++) memcpy(f.n[i], nodes.x + i * h, (size_t)h * sizeof(double));
  for (int k = 0; k < v->n_edges; k++) memcpy(f.e[k], edge.x, (size_t)h * sizeof(double));
  f.g[0] = 0.0;
  f.g_width = 1;
  for (int l = 0; l < v->layers; l++) graph_layer(v, &f, &new);
  attend(v, &f);
  const mlp senders = take_mlp(v), receivers = take_mlp(v), stop = take_mlp(v);
  const double temperature = log(1.0 + exp(take(v).x[0]));
  for (int i = 0; i < d; i++) {
    run(&senders, v->heads * v->key, f.n[i], s[i]);
    run(&receivers, v->heads * v->key, f.n[i], r[i]);
  }
  for (int i = 0; i < d * d; i++) {
    logits[i] = 0.0;
    for (int k = 0; k < h; k++) logits[i] += s[i / d][k] * r[i % d][k] / temperature;
  }
  run(&stop, h, f.g, logits + d * d);
}

// ---- a policy to compare with ----

#include "policy_bench.h"

typedef struct sizes {
  const char *d, *width, *layers, *heads, *key;
} sizes;

// log R of a graph: each edge i -> j adds (3 i + j) mod 4 - 1, halved.
static flv_status log_reward(const flv_reward *reward, const flv_env *env, int n,
                             const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)err;
  const flv_dag_env *dag = flv_dag_env_of(env);
  const int d = flv_dag_variables(dag);
  for (int s = 0; s < n; s++) {
    const unsigned char *state = (const unsigned char *)states + (size_t)s * env->state_size;
    log_r[s] = 0.0;
    for (int k = 0; k < d * d; k++)
      if (flv_dag_parents(dag, state, k % d) >> (k / d) & 1u)
        log_r[s] += 0.5 * ((3 * (k / d) + k % d) % 4 - 1);
  }
  return FLV_OK;
}

static const flv_reward some_reward = {.name = "some", .exponent = 1.0, .log_reward = log_reward};

static flv_trainer *make_on_graphs(int threads, int n, const setting *settings) {
  return make_rewarded(&some_reward, threads, n, settings);
}

static bench bench_new(const sizes *z, int rows) {
  bench b = bench_over(
      make_on_graphs(1, SETTINGS({"env", "dag"}, {"env.variables", z->d},
                                 {"policy", "graph_network"}, {"policy.width", z->width},
                                 {"policy.layers", z->layers}, {"policy.heads", z->heads},
                                 {"policy.key_size", z->key}, {"batch", "8"})),
      rows);
  b.naive.d = atoi(z->d);
  b.naive.width = atoi(z->width);
  b.naive.layers = atoi(z->layers);
  b.naive.heads = atoi(z->heads);
  b.naive.key = atoi(z->key);
  return b;
}

// One graph, from a list of edges i d + j, into a row.
static void set_graph(bench *b, int row, int n, const int *edges) {
  int32_t *hot = b->acts.hot + row * b->naive.net->n_hot;
  for (int k = 0; k < b->naive.net->n_hot; k++) hot[k] = k < n ? edges[k] : -1;
}

static void set_naive(bench *b, int row) {
  const int32_t *hot = b->acts.hot + row * b->naive.net->n_hot;
  naive *v = &b->naive;
  for (v->n_edges = 0; v->n_edges < v->net->n_hot && hot[v->n_edges] >= 0; v->n_edges++) {
    v->from[v->n_edges] = hot[v->n_edges] / v->d;
    v->to[v->n_edges] = hot[v->n_edges] % v->d;
  }
}

static void forward(bench *b, int rows) {
  flv_net_forward(b->naive.net, b->t->policy.params, &b->acts, 0, b->naive.net->n_ops, 0, rows, 1);
}

// ---- golden logits ----

static void near(double got, double want, double tolerance, const char *what, int i) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("%s %d: %.9g, not %.9g", what, i, got, want);
}

static void golden(void **state) {
  (void)state;
  static const sizes paper = {"3", "128", "2", "4", "32"};
  static const int edge = 1; // 0 -> 1
  static const double logits[2][10] = {{-6.235003, -6.687509, -8.508832, -5.373828, -5.830933,
                                        -7.631162, -5.480706, -5.938317, -7.707844, -2.48283359},
                                       {-82.038515, -42.516887, 67.0546, 87.846528, 42.97724,
                                        279.208843, -35.451724, -2.778303, 182.937227,
                                        -2.64638198}};
  static const double log_p[2][10] = {{-HUGE_VAL, -2.453146, -4.2744689, -1.1394644, -HUGE_VAL,
                                       -3.396799, -1.2463431, -1.7039544, -HUGE_VAL, -2.5630359},
                                      {-HUGE_VAL, -HUGE_VAL, -212.22275, -HUGE_VAL, -HUGE_VAL,
                                       -0.068506227, -314.72907, -282.05565, -HUGE_VAL,
                                       -2.7148882}};
  bench b = bench_new(&paper, 2);
  const flv_policy *p = &b.t->policy;
  assert_true(p->gated);
  for (int i = 0; i < p->net->n_weights - 1; i++) { // the last, the temperature, stays 1
    const flv_weight *w = &p->net->weight[i];
    for (int k = 0; k < w->rows * w->cols; k++)
      p->params[w->offset + (size_t)k] = (float)(0.2 * golden_entry(i, k));
  }
  copy_params(&b);
  unsigned char states[2][64] = {{0}};
  const size_t size = b.t->env->state_size;
  assert_true(size <= 32);
  const int32_t none[2] = {-1, edge};
  b.t->env->ops->reset(b.t->env, 2, states);
  b.t->env->ops->step(b.t->env, 2, states, none);
  uint8_t mask[20];
  b.t->env->ops->mask(b.t->env, 2, states, mask);
  flv_policy_observe(p, &b.acts, 0, 2, states, NULL);
  forward(&b, 2);
  for (int r = 0; r < 2; r++) {
    double wide[10], log_pf[10];
    const float *got = b.acts.value[p->pf] + 10 * r;
    set_naive(&b, r);
    logits_of(&b.naive, wide);
    flv_policy_log_pf(p, got, mask + 10 * r, log_pf);
    for (int a = 0; a < 10; a++) {
      const double scale = r == 0 ? 10.0 : 300.0;
      near(wide[a], logits[r][a], 1e-5 * (1.0 + fabs(logits[r][a])), "the naive network's logit",
           a);
      near((double)got[a], logits[r][a], 1e-5 * scale, "logit", a);
      if (log_p[r][a] > -HUGE_VAL)
        near(log_pf[a], log_p[r][a], 1e-5 * (1.0 + fabs(log_p[r][a])), "log P", a);
      else
        assert_true(log_pf[a] == -HUGE_VAL);
    }
  }
  bench_free(&b);
}

// ---- other sizes, other graphs, and gradients ----

// Edges i -> j with order[i] < order[j], each with probability about 1/2; row 0: none, row 1: all.
static void random_graph(bench *b, int row) {
  const int d = b->naive.d;
  int edges[MOST], n = 0;
  for (int k = 0; k < d * d; k++) {
    const int i = (k / d * 2 + row) % d,
              j = (k % d * 2 + row) % d; // an order by row where d is odd
    const double u = flv_rng_uniform((flv_rng){5, FLV_RNG_TEST, (uint64_t)row}, (uint32_t)k, 0);
    if ((d % 2 ? i < j : k / d < k % d) && (row == 1 || (row > 1 && u < 0.5))) edges[n++] = k;
  }
  set_graph(b, row, n, edges);
}

typedef struct cotangents {
  int rows;
  const float *d; // [rows, d^2 + 1]
} cotangents;

static double functional(bench *b, const void *context) {
  const cotangents *c = context;
  const int n = b->naive.d * b->naive.d + 1;
  double logits[D * D + 1], sum = 0.0;
  for (int r = 0; r < c->rows; r++) {
    set_naive(b, r);
    logits_of(&b->naive, logits);
    for (int a = 0; a < n; a++) sum += (double)c->d[r * n + a] * logits[a];
  }
  return sum;
}

static void check_logits(bench *b, int rows) {
  const int n = b->naive.d * b->naive.d + 1;
  double logits[D * D + 1];
  for (int r = 0; r < rows; r++) {
    set_naive(b, r);
    logits_of(&b->naive, logits);
    for (int a = 0; a < n; a++)
      near((double)b->acts.value[b->t->policy.pf][r * n + a], logits[a],
           1e-5 * (1.0 + fabs(logits[a])), "logit", a);
  }
}

// Every entry of a small array, every seventh of a large one. Rounding spreads through a network
// whose attention is sharp, whatever an entry's own size: errors are measured by the largest slope.
static void check_gradient(bench *b, const cotangents *c, const float *grad) {
  const flv_net *net = b->naive.net;
  double *slope = flv_alloc(net->n_params * sizeof *slope), largest = 1.0;
  assert_non_null(slope);
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    const int entries = w->rows * w->cols, step = entries > 40 ? 7 : 1;
    for (int k = i % step; k < entries; k += step) {
      const size_t at = w->offset + (size_t)k;
      slope[at] = slope_at(b, at, functional, c);
      largest = fmax(largest, fabs(slope[at]));
    }
  }
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    const int entries = w->rows * w->cols, step = entries > 40 ? 7 : 1;
    for (int k = i % step; k < entries; k += step) {
      const size_t at = w->offset + (size_t)k;
      near((double)grad[at], slope[at], 2e-5 * largest, w->name, k);
    }
  }
  flv_free(slope);
}

static void against_naive(void **state) {
  (void)state;
  enum { ROWS = 5 };
  static const sizes all[] = {{"3", "6", "2", "2", "3"},  {"4", "5", "2", "3", "2"},
                              {"5", "6", "2", "1", "4"},  {"3", "4", "1", "2", "2"},
                              {"4", "16", "3", "2", "8"}, {"2", "5", "4", "1", "3"}};
  for (size_t z = 0; z < sizeof all / sizeof *all; z++) {
    bench b = bench_new(&all[z], ROWS);
    const flv_policy *p = &b.t->policy;
    const flv_net *net = p->net;
    const int n = b.naive.d * b.naive.d + 1;
    float d[ROWS * (D * D + 1)];
    for (size_t i = 0; i < net->n_params; i++) { // not only biases of 0
      const double u = flv_rng_uniform((flv_rng){6, FLV_RNG_TEST, z}, (uint32_t)i, 0);
      p->params[i] = (float)(0.6 * (double)p->params[i] + 0.3 * (2.0 * u - 1.0));
    }
    copy_params(&b);
    for (int r = 0; r < ROWS; r++) random_graph(&b, r);
    forward(&b, ROWS);
    check_logits(&b, ROWS);
    for (int i = 0; i < ROWS * n; i++)
      d[i] = (float)(2.0 * flv_rng_uniform((flv_rng){7, FLV_RNG_TEST, z}, (uint32_t)i, 0) - 1.0);
    memcpy(b.acts.grad[p->pf], d, (size_t)(ROWS * n) * sizeof *d);
    float *grad = flv_alloc(p->n_params * sizeof *grad);
    flv_net_backward(net, p->params, &b.acts, ROWS, grad, 1);
    check_gradient(&b, &(cotangents){ROWS, d}, grad);
    flv_free(grad);
    bench_free(&b);
  }
}

// ---- size and initial weights ----

static void initial_weights(void **state) {
  (void)state;
  static const sizes paper = {"5", "128", "2", "4", "32"};
  bench b = bench_new(&paper, 1);
  const flv_net *net = b.t->policy.net;
  int parameters = 0;
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    const int n = w->rows * w->cols;
    double square = 0.0, top = 0.0;
    parameters += n;
    for (int k = 0; k < n; k++) {
      const double x = (double)b.t->policy.params[w->offset + (size_t)k];
      square += x * x / n;
      top = fmax(top, fabs(x));
    }
    if (strstr(w->name, "bias")) {
      assert_true(top == 0.0);
      continue;
    }
    if (strstr(w->name, "temperature")) {
      assert_true(fabs(top - 0.541324854612918) < 1e-7);
      continue;
    }
    const bool table = strcmp(w->name, "p_f.nodes") == 0 || strcmp(w->name, "p_f.edge") == 0;
    const bool attention = strstr(w->name, "query") || strstr(w->name, "key") ||
                           strstr(w->name, "value") || strstr(w->name, "attention");
    // deviation before truncation, and after it: 0.8796 times that
    double s = table ? 1.0 : 1.0 / sqrt(w->rows);
    if (attention) s *= sqrt(2.0) / 0.87962566103423978;
    assert_true(top <= 2.0 * s * (1.0 + 1e-6));
    near(sqrt(square) / (0.87962566103423978 * s), 1.0, 4.0 / sqrt(2.0 * n), w->name, n);
  }
  assert_int_equal(parameters, 610562);
  bench_free(&b);
}

// ---- training ----

// The exact distribution of a trained policy, with each P_B and with objectives that read log F;
// the same bits on two threads.
static void trains(void **state) {
  (void)state;
  static const char *const how[][3] = {{"tb", "uniform", "gated"},
                                       {"modified_db", "tied", "gated"},
                                       {"subtb", "learned", "joint"},
                                       {"db", "max_entropy", "gated"}};
  for (size_t k = 0; k < sizeof how / sizeof *how; k++) {
    flv_trainer *t[2];
    flv_stats stats;
    flv_evaluation e[2] = {{0}};
    flv_error err = {0};
    for (int i = 0; i < 2; i++) {
      t[i] = make_on_graphs(i + 1, SETTINGS({"env", "dag"}, {"env.variables", "3"},
                                            {"objective", how[k][0]}, {"policy", "graph_network"},
                                            {"policy.width", "16"}, {"policy.key_size", "8"},
                                            {"policy.p_b", how[k][1]}, {"policy.exit", how[k][2]},
                                            {"batch", "64"}, {"optimiser.lr", "3e-3"},
                                            {"optimiser.lr_log_z", "0.05"}));
      assert_int_equal(flv_trainer_evaluate(t[i], 0, &e[i], &err), FLV_OK);
    }
    for (int i = 0; i < 300; i++)
      for (int j = 0; j < 2; j++) step(t[j], &stats);
    assert_same_state(t[0], t[1]);
    assert_int_equal(flv_trainer_evaluate(t[0], 0, &e[1], &err), FLV_OK);
    if (!(e[0].jsd > 0.05 && e[1].jsd < 0.005))
      fail_msg("%s, p_b %s: JSD %g, then %g", how[k][0], how[k][1], e[0].jsd, e[1].jsd);
    for (int j = 0; j < 2; j++) flv_trainer_free(t[j]);
  }
}

// ---- what it can stand in for ----

static void other_environments_are_refused(void **state) {
  (void)state;
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"policy", "graph_network"}));
  assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
  assert_non_null(strstr(err.text, "graph_network needs an environment whose states are graphs"));
  flv_config_free(cfg);
  cfg =
      configure(SETTINGS({"env", "dag"}, {"policy", "graph_network"}, {"exploration.heads", "2"}));
  assert_null(flv_trainer_new(cfg, NULL, &some_reward, 1, &err));
  assert_string_equal(err.text, "exploration.heads: not with policy: graph_network");
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden),
      cmocka_unit_test(against_naive),
      cmocka_unit_test(initial_weights),
      cmocka_unit_test(trains),
      cmocka_unit_test(other_environments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
