// The policy transformer against an independent naive network, written in double from the formulas
// at the head of policy_transformer.c, tensors taken by their names. Golden logits come from gfnx.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/trainer_impl.h"
#include "near.h"
#include "train_setup.h"

// ---- the naive network ----

enum { NODES = 7, WIDE = 72 };

typedef struct naive { // its shape, and a state
  const flv_net *net;
  const double *param;
  int positions, symbols, actions; // actions: of a position
  int width, layers, heads;
  bool pre, gelu, start, pooled, mask, features, exits;
  const int32_t *hot;
} naive;

typedef struct matrix {
  const double *x;
  int rows, cols;
} matrix;

static matrix take(const naive *v, const char *format, int layer) {
  char name[64];
  snprintf(name, sizeof name, format, layer);
  for (int i = 0; i < v->net->n_weights; i++)
    if (strcmp(v->net->weight[i].name, name) == 0) {
      const flv_weight *w = &v->net->weight[i];
      return (matrix){v->param + w->offset, w->rows, w->cols};
    }
  fail_msg("no tensor %s", name);
  return (matrix){0};
}

static void linear(const naive *v, const char *part, int layer, const double *x, double *y) {
  char weight[64], bias[64];
  snprintf(weight, sizeof weight, "%s.weight", part);
  snprintf(bias, sizeof bias, "%s.bias", part);
  const matrix w = take(v, weight, layer), b = take(v, bias, layer);
  for (int j = 0; j < w.cols; j++) {
    y[j] = b.x[j];
    for (int i = 0; i < w.rows; i++) y[j] += x[i] * w.x[i * w.cols + j];
  }
}

static void normalise(const naive *v, const char *part, int layer, double (*x)[WIDE], int nodes) {
  char weight[64], bias[64];
  snprintf(weight, sizeof weight, "%s.weight", part);
  snprintf(bias, sizeof bias, "%s.bias", part);
  const matrix g = take(v, weight, layer), b = take(v, bias, layer);
  for (int i = 0; i < nodes; i++) {
    double mean = 0.0, var = 0.0;
    for (int j = 0; j < v->width; j++) mean += x[i][j] / v->width;
    for (int j = 0; j < v->width; j++) var += pow(x[i][j] - mean, 2.0) / v->width;
    for (int j = 0; j < v->width; j++)
      x[i][j] = g.x[j] * (x[i][j] - mean) / sqrt(var + 1e-5) + b.x[j];
  }
}

static bool empty(const naive *v, int node) {
  const int p = node - v->start;
  return v->mask && p >= 0 && v->hot[p] == p * v->symbols;
}

static void attention(const naive *v, int layer, const double (*x)[WIDE], double (*y)[WIDE]) {
  const int nodes = v->positions + v->start, w = v->width, key = w / v->heads;
  double qkv[NODES][3 * WIDE];
  for (int i = 0; i < nodes; i++) linear(v, "p_f.%d.qkv", layer, x[i], qkv[i]);
  for (int i = 0; i < nodes; i++) {
    double mixed[WIDE];
    for (int c = 0; c < w; c++) {
      double sum = 0.0, out = 0.0;
      for (int j = 0; j < nodes; j++) {
        double score = 0.0;
        for (int k = c / key * key; k < c / key * key + key; k++)
          score += qkv[i][k] * qkv[j][w + k];
        const double weight = empty(v, i) ? 1.0 : empty(v, j) ? 0.0 : exp(score / sqrt(key));
        sum += weight;
        out += weight * qkv[j][2 * w + c];
      }
      mixed[c] = out / sum;
    }
    linear(v, "p_f.%d.attention", layer, mixed, y[i]);
  }
}

static void feed_forward(const naive *v, int layer, const double (*x)[WIDE], double (*y)[WIDE]) {
  for (int i = 0; i < v->positions + v->start; i++) {
    double h[WIDE] = {0};
    linear(v, "p_f.%d.hidden", layer, x[i], h);
    for (int j = 0; j < WIDE; j++)
      h[j] = v->gelu ? h[j] / (1.0 + exp(-2.0 * sqrt(2.0 / acos(-1.0)) *
                                         (h[j] + 0.044715 * h[j] * h[j] * h[j])))
                     : fmax(h[j], 0.0);
    linear(v, "p_f.%d.forward", layer, h, y[i]);
  }
}

typedef void (*block)(const naive *v, int layer, const double (*x)[WIDE], double (*y)[WIDE]);

// x = N(x + f(x)) or x + f(N(x))
static void residual(const naive *v, const char *norm, int layer, block f, double (*x)[WIDE]) {
  const int nodes = v->positions + v->start;
  double in[NODES][WIDE], out[NODES][WIDE];
  memcpy(in, x, sizeof in);
  if (v->pre) normalise(v, norm, layer, in, nodes);
  f(v, layer, (const double(*)[WIDE])in, out);
  for (int i = 0; i < nodes; i++)
    for (int j = 0; j < v->width; j++) x[i][j] += out[i][j];
  if (!v->pre) normalise(v, norm, layer, x, nodes);
}

// [actions, exit] of P_F, behind them P_B's where pb is not NULL, and log F.
static void logits_of(const naive *v, double *pf, double *pb, double *log_f) {
  const int nodes = v->positions + v->start;
  double x[NODES][WIDE] = {{0}}, mean[WIDE] = {0};
  const matrix tokens = take(v, "p_f.tokens", 0);
  for (int i = 0; i < nodes; i++) {
    const int p = i - v->start;
    const double *row =
        p < 0 ? take(v, "p_f.start", 0).x
              : tokens.x + (v->hot[p] - (v->features ? 0 : p * v->symbols)) * v->width;
    for (int j = 0; j < v->width; j++)
      x[i][j] = row[j] + (v->features ? 0.0 : take(v, "p_f.positions", 0).x[i * v->width + j]);
  }
  for (int l = 0; l < v->layers; l++) {
    residual(v, "p_f.%d.norm1", l, attention, x);
    residual(v, "p_f.%d.norm2", l, feed_forward, x);
  }
  if (v->pre) normalise(v, "p_f.norm", 0, x, nodes);
  for (int i = 0; i < nodes; i++)
    for (int j = 0; j < v->width; j++) mean[j] += x[i][j] / nodes;
  if (v->pooled) {
    linear(v, "p_f.head", 0, mean, pf);
    if (pb) linear(v, "p_b.head", 0, mean, pb);
  } else {
    for (int p = 0; p < v->positions; p++) {
      linear(v, "p_f.head", 0, x[p + v->start], pf + p * v->actions);
      if (pb) linear(v, "p_b.head", 0, x[p + v->start], pb + p);
    }
    if (v->exits) linear(v, "p_f.exit", 0, mean, pf + v->positions * v->actions);
  }
  if (log_f) linear(v, "log_f.head", 0, mean, log_f);
}

// ---- a policy to compare with ----

#include "policy_bench.h"

// log R of a row of positions: the sum over them of sin(1.7 times the feature).
static flv_status log_reward(const flv_reward *reward, const flv_env *env, int n,
                             const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)err;
  for (int i = 0; i < n; i++) {
    int32_t hot[128];
    env->ops->observe(env, 1, (const unsigned char *)states + (size_t)i * env->state_size, hot,
                      NULL);
    log_r[i] = 0.0;
    for (int p = 0; p < env->n_hot; p++) log_r[i] += sin(1.7 * hot[p]);
  }
  return FLV_OK;
}

static const flv_reward some_reward = {.name = "some", .exponent = 1.0, .log_reward = log_reward};

static flv_trainer *make_on_positions(int threads, int n, const setting *settings) {
  return make_rewarded(&some_reward, threads, n, settings);
}

static bench bench_new(int rows, int n, const setting *settings) {
  bench b = bench_over(make_on_positions(1, n, settings), rows);
  b.naive.exits = true;
  b.naive.positions = b.t->env->n_positions;
  b.naive.actions = (b.t->env->n_actions - 1) / b.naive.positions;
  return b;
}

static void forward(bench *b, int rows) {
  const flv_net *net = b->naive.net;
  flv_net_forward(net, b->t->policy.params, &b->acts, 0, net->mark, 0, rows, 1);
  flv_net_forward(net, b->t->policy.params, &b->acts, net->mark, net->n_ops, 0, rows, 1);
}

// ---- golden logits ----

// gfnx 0.0.1 (jax 0.10.2, equinox 0.13.8, float32): Encoder of 2 layers, width 16, 2 heads, 24
// hidden units, and the mean over a Linear of its last layer, as its policy for bit sequences has
// it; 4 positions, 4 words, a start token, empty positions masked. Weights (i its number here, k
// the entry) splitmix64(i 2^32 + k) made uniform in +-0.5, and 1 more for gains of layer
// normalisation. It has vectors for 4 places and reads the last for the fifth.
static void golden(void **state) {
  (void)state;
  static const int words[3][4] = {{-1, -1, -1, -1}, {-1, 2, -1, 0}, {3, 1, 0, 2}};
  static const double logits[3][16] = {
      {0.2039078, 0.8076811, 0.8746724, -1.533982, -0.9312531, 2.291413, 0.7146809, -0.4566776,
       -0.576074, -0.1498222, -2.744363, -1.755983, 1.978267, 0.254092, 0.6378888, 0.1283371},
      {0.627952, 0.8533554, 1.275561, -0.782694, -0.3669876, 1.880821, 0.3923441, -0.3906099,
       -0.616504, -0.4745557, -3.381902, -2.291422, 1.356587, 0.2565516, 0.833349, 0.3090298},
      {0.6949452, 0.7901961, 1.096358, -0.8941092, -0.2699434, 1.878684, 0.6184835, -0.2685076,
       -0.4512269, -0.3990761, -3.499063, -2.182371, 1.36512, 0.157954, 0.5597662, 0.4118309}};
  bench b = bench_new(3, SETTINGS({"env", "bit_sequence"}, {"env.length", "8"}, {"env.word", "2"},
                                  {"policy", "transformer"}, {"policy.width", "16"},
                                  {"policy.layers", "2"}, {"policy.heads", "2"},
                                  {"policy.feed_forward", "24"}, {"policy.embedding", "sines"},
                                  {"policy.start", "true"}, {"policy.mask", "true"},
                                  {"policy.head", "pooled"}, {"policy.p_b", "uniform"}));
  const flv_policy *p = &b.t->policy;
  for (int i = 0; i < p->net->n_weights; i++) {
    const flv_weight *w = &p->net->weight[i];
    const bool gain = strstr(w->name, "norm") && strstr(w->name, "weight");
    for (int k = 0; k < w->rows * w->cols; k++)
      p->params[w->offset + (size_t)k] = (float)(0.5 * golden_entry(i, k) + gain);
    float *row = p->params + w->offset;
    if (strcmp(w->name, "p_f.positions") == 0)
      memcpy(row + 4 * w->cols, row + 3 * w->cols, (size_t)w->cols * sizeof *row);
  }
  for (int s = 0; s < 3; s++)
    for (int k = 0; k < 4; k++) b.acts.hot[4 * s + k] = 5 * k + 1 + words[s][k];
  forward(&b, 3);
  for (int s = 0; s < 3; s++)
    for (int a = 0; a < 16; a++)
      assert_near((double)b.acts.value[p->pf][17 * s + a], logits[s][a], 3e-6);
  bench_free(&b);
}

// ---- every option, and gradients ----

enum { ROWS = 5, MOST_ACTIONS = 40 };

typedef struct cotangents {
  float pf[ROWS * MOST_ACTIONS], pb[ROWS * NODES], log_f[ROWS];
} cotangents;

static double functional(bench *b, const void *context) {
  const cotangents *d = context;
  const flv_env *env = b->t->env;
  double pf[MOST_ACTIONS], pb[NODES], log_f, sum = 0.0;
  for (int r = 0; r < ROWS; r++) {
    b->naive.hot = b->acts.hot + r * env->n_hot;
    logits_of(&b->naive, pf, pb, &log_f);
    for (int a = 0; a < env->n_actions; a++) sum += (double)d->pf[r * env->n_actions + a] * pf[a];
    for (int a = 0; a < env->n_back; a++) sum += (double)d->pb[r * env->n_back + a] * pb[a];
    sum += (double)d->log_f[r] * log_f;
  }
  return sum;
}

static void check_logits(bench *b) {
  const flv_policy *p = &b->t->policy;
  const flv_env *env = b->t->env;
  double pf[MOST_ACTIONS], pb[NODES], log_f;
  for (int r = 0; r < ROWS; r++) {
    b->naive.hot = b->acts.hot + r * env->n_hot;
    logits_of(&b->naive, pf, pb, &log_f);
    for (int a = 0; a < env->n_actions; a++)
      assert_near((double)b->acts.value[p->pf][r * env->n_actions + a], pf[a], 1e-5);
    for (int a = 0; a < env->n_back; a++)
      assert_near((double)b->acts.value[p->pb][r * env->n_back + a], pb[a], 1e-5);
    assert_near((double)b->acts.value[p->log_f][r], log_f, 1e-5);
  }
}

// Every entry of a small array, every fifth of a large one.
static void check_gradient(bench *b, const cotangents *d, const float *grad) {
  for (int i = 0; i < b->naive.net->n_weights; i++) {
    const flv_weight *w = &b->naive.net->weight[i];
    const int entries = w->rows * w->cols, every = entries > 40 ? 5 : 1;
    for (int k = i % every; k < entries; k += every) {
      const size_t at = w->offset + (size_t)k;
      const double slope = slope_at(b, at, functional, d);
      if (!(fabs((double)grad[at] - slope) <= 2e-4 * (1.0 + fabs(slope))))
        fail_msg("%s[%d]: %g, finite difference %g", w->name, k, (double)grad[at], slope);
    }
  }
}

static void compare(bench *b, uint64_t stream) {
  const flv_policy *p = &b->t->policy;
  const flv_env *env = b->t->env;
  const flv_rng rng = {6, FLV_RNG_TEST, stream};
  cotangents d;
  float *const cotangent[] = {d.pf, d.pb, d.log_f};
  const int y[] = {p->pf, p->pb, p->log_f}, n[] = {env->n_actions, env->n_back, 1};
  for (size_t i = 0; i < p->net->n_params; i++) // not only gains of 1
    p->params[i] += (float)(0.3 * (2.0 * flv_rng_uniform(rng, (uint32_t)i, 0) - 1.0));
  copy_params(b);
  for (int r = 0; r < ROWS; r++) { // of a random walk
    unsigned char s[256] = {0};
    assert_true(env->state_size <= sizeof s);
    env->ops->reset(env, 1, s);
    for (int k = 0; k < r; k++) {
      uint8_t mask[MOST_ACTIONS] = {0};
      env->ops->mask(env, 1, s, mask);
      int32_t a = (int32_t)(flv_rng_uniform(rng, 7, (uint32_t)(r * ROWS + k)) * env->n_actions);
      for (int i = 0; i < env->n_actions && (!mask[a] || a == env->exit_action); i++)
        a = (a + 1) % env->n_actions;
      if (a == env->exit_action || !mask[a]) break;
      env->ops->step(env, 1, s, &a);
    }
    flv_policy_observe(p, &b->acts, r, 1, s, NULL);
  }
  forward(b, ROWS);
  check_logits(b);
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < ROWS * n[k]; i++)
      cotangent[k][i] = (float)(2.0 * flv_rng_uniform(rng, (uint32_t)i, 1 + (uint32_t)k) - 1.0);
    memcpy(b->acts.grad[y[k]], cotangent[k], (size_t)(ROWS * n[k]) * sizeof(float));
  }
  float *grad = flv_alloc(p->n_params * sizeof *grad);
  assert_non_null(grad);
  flv_net_backward(p->net, p->params, &b->acts, ROWS, grad, 1);
  check_gradient(b, &d, grad);
  flv_free(grad);
}

static void against_naive(void **state) {
  (void)state;
  static const struct {
    const char *env, *shape, *value;
    const char *width, *layers, *heads, *units, *activation, *norm, *embedding, *head;
    bool start, mask;
  } all[] = {{"bit_sequence", "env.length", "6", "12", "2", "3", "0", "relu", "post", "learned",
              "positions", false, false},
             {"bit_sequence", "env.length", "6", "16", "2", "2", "9", "gelu", "pre", "sines",
              "pooled", true, true},
             {"bit_sequence", "env.length", "6", "8", "1", "1", "30", "gelu", "post", "features",
              "positions", true, true},
             {"ising", "env.side", "2", "10", "3", "5", "4", "relu", "pre", "features", "pooled",
              false, false},
             {"hypergrid", "env.sides", "[3, 5, 2, 4]", "9", "2", "3", "0", "relu", "pre",
              "features", "positions", true, false},
             {"hypergrid", "env.dim", "1", "6", "1", "2", "7", "gelu", "post", "learned",
              "positions", false, false}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const bool bits = strcmp(all[i].env, "bit_sequence") == 0;
    bench b = bench_new(
        ROWS,
        SETTINGS({"env", all[i].env}, {all[i].shape, all[i].value}, {"objective", "subtb"},
                 {"policy", "transformer"}, {"policy.width", all[i].width},
                 {"policy.layers", all[i].layers}, {"policy.heads", all[i].heads},
                 {"policy.feed_forward", all[i].units}, {"policy.activation", all[i].activation},
                 {"policy.norm", all[i].norm}, {"policy.embedding", all[i].embedding},
                 {"policy.start", all[i].start ? "true" : "false"},
                 {"policy.mask", all[i].mask ? "true" : "false"}, {"policy.head", all[i].head},
                 {bits ? "env.word" : "batch", "2"}));
    naive *v = &b.naive;
    v->width = atoi(all[i].width);
    v->layers = atoi(all[i].layers);
    v->heads = atoi(all[i].heads);
    v->pre = strcmp(all[i].norm, "pre") == 0;
    v->gelu = strcmp(all[i].activation, "gelu") == 0;
    v->start = all[i].start;
    v->pooled = strcmp(all[i].head, "pooled") == 0;
    v->mask = all[i].mask;
    v->features = strcmp(all[i].embedding, "features") == 0;
    v->symbols = b.t->env->n_symbols;
    if (v->mask) assert_int_equal(b.t->env->n_symbols, 5);
    compare(&b, i);
    bench_free(&b);
  }
}

// ---- size and initial weights ----

// Parameters of gfnx's policy for n = 120, k = 8 are 342784 (its encoder's 93184, of which 960 are
// places and 64 a token it never reads; its head's 64 * 3840 + 3840). Here the head has the exit.
static void as_many_parameters(void **state) {
  (void)state;
  bench b = bench_new(1, SETTINGS({"env", "bit_sequence"}, {"policy", "transformer"},
                                  {"policy.embedding", "sines"}, {"policy.start", "true"},
                                  {"policy.mask", "true"}, {"policy.head", "pooled"},
                                  {"policy.p_b", "uniform"}, {"batch", "2"}));
  int parameters = 0;
  for (int i = 0; i < b.naive.net->n_weights; i++) {
    const flv_weight *w = &b.naive.net->weight[i];
    const float *x = b.t->policy.params + w->offset;
    double top = 0.0;
    parameters += w->rows * w->cols;
    for (int k = 0; k < w->rows * w->cols; k++) top = fmax(top, fabs((double)x[k]));
    if (strstr(w->name, "qkv") || strstr(w->name, "head")) assert_true(top > 0.12 && top <= 0.125);
    if (strcmp(w->name, "p_f.positions") != 0) continue;
    NEAR((double)x[0], 0.0, 1e-7);
    NEAR((double)x[1], 1.0, 1e-7);
    NEAR((double)x[3 * 64 + 2], sin(3.0 / pow(10.0, 4.0 * 2.0 / 64.0)), 1e-6);
    NEAR((double)x[15 * 64 + 63], cos(15.0 / pow(10.0, 4.0 * 62.0 / 64.0)), 1e-6);
  }
  assert_int_equal(parameters, 342784 + 64 + 1);
  bench_free(&b);
}

// ---- training ----

typedef struct way {
  const char *env, *key, *value, *objective, *p_b, *head, *norm;
} way;

static const way ways[] = {{"bit_sequence", "env.length", "4", "tb", "tied", "positions", "post"},
                           {"hypergrid", "env.side", "6", "subtb", "learned", "pooled", "pre"},
                           {"ising", "env.side", "2", "db", "max_entropy", "positions", "pre"}};
enum { WAYS = sizeof ways / sizeof *ways };

static flv_trainer *make_way(int k, int threads) {
  const way *w = &ways[k];
  return make_on_positions(
      threads, SETTINGS({"env", w->env}, {w->key, w->value}, {k == 0 ? "env.word" : "seed", "2"},
                        {"objective", w->objective}, {"policy", "transformer"},
                        {"policy.width", "16"}, {"policy.layers", "2"}, {"policy.heads", "2"},
                        {"policy.p_b", w->p_b}, {"policy.head", w->head}, {"policy.norm", w->norm},
                        {"policy.start", k == 1 ? "true" : "false"}, {"batch", "64"},
                        {"optimiser.lr", "3e-3"}, {"optimiser.lr_log_z", "0.05"}));
}

static void trains(void **state) {
  (void)state;
  for (int k = 0; k < WAYS; k++) {
    flv_trainer *t = make_way(k, 1);
    flv_evaluation before, after;
    flv_error err = {0};
    assert_int_equal(flv_trainer_evaluate(t, 0, &before, &err), FLV_OK);
    for (int i = 0; i < 400; i++) step(t, NULL);
    assert_int_equal(flv_trainer_evaluate(t, 0, &after, &err), FLV_OK);
    if (!(after.exact && before.jsd > 0.02 && after.jsd < 0.002))
      fail_msg("%s: JSD %g, then %g", ways[k].env, before.jsd, after.jsd);
    flv_trainer_free(t);
  }
}

static void threads_change_no_bit(void **state) {
  (void)state;
  assert_threads_do_not_change_bits(make_way, WAYS);
}

static void what_is_saved_is_enough(void **state) {
  (void)state;
  assert_what_is_saved_is_enough(make_way, WAYS);
}

static void nothing_is_allocated(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  for (int k = 0; k < WAYS; k++) {
    flv_trainer *t = make_way(k, 1);
    step(t, NULL);
    const long before = alloc_count;
    for (int i = 0; i < 5; i++) step(t, NULL);
    assert_int_equal(alloc_count - before, 0);
    flv_trainer_free(t);
  }
}

// ---- what it can stand in for ----

static void refuses(const char *text, int n, const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  assert_null(flv_trainer_new(cfg, NULL, &some_reward, 1, &err));
  if (!strstr(err.text, text)) fail_msg("'%s' without '%s'", err.text, text);
  flv_config_free(cfg);
}

static void misfits_are_refused(void **state) {
  (void)state;
  refuses("rows of positions with one symbol each, and those of 'graph' are not",
          SETTINGS({"env", "graph"}, {"policy", "transformer"}));
  refuses("reads 128 positions at most, and 'ising' has 144",
          SETTINGS({"env", "ising"}, {"env.side", "12"}, {"policy", "transformer"}));
  refuses("policy.embedding: positions of 'hypergrid' have different numbers of symbols",
          SETTINGS({"env.sides", "[3, 4]"}, {"policy", "transformer"}));
  refuses("policy.mask: positions of 'hypergrid' have different numbers of symbols",
          SETTINGS({"env.sides", "[3, 4]"}, {"policy", "transformer"},
                   {"policy.embedding", "features"}, {"policy.mask", "true"}));
  refuses("policy.heads: 8 does not divide the width, 20",
          SETTINGS({"policy", "transformer"}, {"policy.width", "20"}));
  refuses("exploration.heads: not with policy: transformer but with its head: pooled",
          SETTINGS({"policy", "transformer"}, {"exploration.heads", "2"}));
  flv_trainer_free(make(1, SETTINGS({"policy", "transformer"}, {"exploration.heads", "2"},
                                    {"policy.head", "pooled"}, {"batch", "4"})));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden),
      cmocka_unit_test(against_naive),
      cmocka_unit_test(as_many_parameters),
      cmocka_unit_test(trains),
      cmocka_unit_test(threads_change_no_bit),
      cmocka_unit_test(what_is_saved_is_enough),
      cmocka_unit_test(nothing_is_allocated),
      cmocka_unit_test(misfits_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
