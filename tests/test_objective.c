// Objectives: cotangents against finite differences of naive losses, invariants, and edge cases.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "objective_fixture.h"

// ---- cotangents against finite differences of naive losses ----

// A naive loss: f(in, still) where every quantity with a stopped gradient is read from `still`.
typedef double (*naive)(const chosen *c, const inputs *in, const inputs *still);

static double slope(naive f, const chosen *c, const inputs *in, size_t offset) {
  const double h = 1e-3;
  double value[4];
  static const int step[4] = {-2, -1, 1, 2};
  for (int k = 0; k < 4; k++) {
    inputs moved = *in;
    *(double *)(void *)((unsigned char *)&moved + offset) += step[k] * h;
    value[k] = f(c, &moved, in);
  }
  return (value[0] - 8.0 * value[1] + 8.0 * value[2] - value[3]) / (12.0 * h);
}

static void check_slopes(naive f, const chosen *c, const inputs *in) {
  const outputs out = evaluate(c, in);
  for (int i = 0; i < in->n; i++) {
    for (int p = in->offset[i]; p < in->offset[i + 1]; p++) {
      const size_t at = (size_t)p * sizeof(double);
      near(out.log_pf[p], slope(f, c, in, offsetof(inputs, log_pf) + at), 1e-9);
      near(out.log_f[p], slope(f, c, in, offsetof(inputs, log_f) + at), 1e-9);
      near(out.exit[p], slope(f, c, in, offsetof(inputs, exit) + at), 1e-9);
      if (p == in->offset[i])
        assert_true(out.log_pb[p] == 0.0); // no step leads there
      else
        near(out.log_pb[p], slope(f, c, in, offsetof(inputs, log_pb) + at), 1e-9);
    }
  }
  near(out.log_z, slope(f, c, in, offsetof(inputs, log_z)), 1e-9);
}

static double naive_tb(const chosen *c, const inputs *in, const inputs *still) {
  (void)c, (void)still;
  double sum = 0.0;
  for (int i = 0; i < in->n; i++) sum += pow(in->log_z + log_ratio(in, i), 2.0);
  return sum / in->n;
}

// Flow of the state at p, by its role; then every transition in turn.
static double flow(const inputs *in, int i, int p) {
  if (p == in->offset[i]) return in->log_z;
  return !in->exits && p == in->offset[i + 1] - 1 ? in->log_r[i] : in->log_f[p];
}
static double naive_db_sum(const inputs *in, int *count) {
  double sum = 0.0;
  *count = 0;
  for (int i = 0; i < in->n; i++) {
    const int last = in->offset[i + 1] - 1;
    for (int p = in->offset[i]; p < last; p++, ++*count)
      sum += pow(flow(in, i, p) + in->log_pf[p] - flow(in, i, p + 1) - in->log_pb[p + 1], 2.0);
    if (in->exits) {
      sum += pow(flow(in, i, last) + in->log_pf[last] - in->log_r[i], 2.0);
      ++*count;
    }
  }
  return sum;
}
static double naive_db(const chosen *c, const inputs *in, const inputs *still) {
  (void)c, (void)still;
  int count;
  const double sum = naive_db_sum(in, &count);
  return sum / count;
}
static double naive_db_trajectories(const chosen *c, const inputs *in, const inputs *still) {
  (void)c, (void)still;
  int count;
  return naive_db_sum(in, &count) / in->n;
}

static double naive_modified(const inputs *in, const inputs *next, bool huber) {
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++) {
    for (int p = in->offset[i]; p < in->offset[i + 1] - 1; p++, count++) {
      const double d = in->r_state[p + 1] + in->log_pb[p + 1] + in->exit[p] - in->r_state[p] -
                       in->log_pf[p] - next->exit[p + 1];
      sum += !huber ? d * d : fabs(d) < 1.0 ? d * d / 2.0 : fabs(d) - 0.5;
    }
  }
  return sum / count;
}
static double naive_mdb(const chosen *c, const inputs *in, const inputs *still) {
  (void)c, (void)still;
  return naive_modified(in, in, false);
}
static double naive_mdb_huber_detached(const chosen *c, const inputs *in, const inputs *still) {
  (void)c;
  return naive_modified(in, still, true);
}

static void balance_slopes(void **state) {
  (void)state;
  for (int exits = 0; exits < 2; exits++) {
    const inputs in = random_inputs(exits);
    const chosen tb = choose("tb");
    near(evaluate(&tb, &in).loss, naive_tb(&tb, &in, &in), 1e-14);
    near(evaluate(&tb, &in).ess, in.n, 0.0);
    check_slopes(naive_tb, &tb, &in);

    // A one-position trajectory without exits has no transition, and the naive sum does not hold
    // its residual log Z - log R; with exits it is an ordinary exit.
    inputs longer = in;
    if (!exits) longer.n = 1;
    chosen db = choose("db");
    near(evaluate(&db, &longer).loss, naive_db(&db, &longer, &longer), 1e-14);
    // Without exits nothing is played at the last position: log_pf is 0 there by contract, and its
    // cotangent is not part of the naive loss.
    if (exits) check_slopes(naive_db, &db, &longer);
    set(&db, "mean", "trajectories");
    near(evaluate(&db, &longer).loss, naive_db_trajectories(&db, &longer, &longer), 1e-14);
    if (exits) check_slopes(naive_db_trajectories, &db, &longer);

    chosen mdb = choose("modified_db");
    near(evaluate(&mdb, &in).loss, naive_mdb(&mdb, &in, &in), 1e-14);
    check_slopes(naive_mdb, &mdb, &in);
    set(&mdb, "loss", "huber");
    set(&mdb, "detach_exit", "true");
    near(evaluate(&mdb, &in).loss, naive_mdb_huber_detached(&mdb, &in, &in), 1e-14);
    check_slopes(naive_mdb_huber_detached, &mdb, &in);
  }
}

// Without exits, the objective's own loss (checked by value above) is the function to
// differentiate.
static double own_loss(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  return evaluate(c, in).loss;
}

static void db_without_exits(void **state) {
  (void)state;
  const inputs in = random_inputs(false);
  const chosen db = choose("db");
  check_slopes(own_loss, &db, &in);
  for (int i = 0; i < in.n; i++) // log F is learned neither at s0 nor at the object
    assert_true(evaluate(&db, &in).log_f[in.offset[i]] == 0.0 &&
                evaluate(&db, &in).log_f[in.offset[i + 1] - 1] == 0.0);
  inputs one = in; // s0 is the object: log Z - log R remains
  one.n = 1, one.offset[1] = 1, one.log_pf[0] = 0.0;
  near(evaluate(&db, &one).loss, pow(one.log_z - one.log_r[0], 2.0), 1e-14);
}

// Nothing but exits at s0: no step, no loss, no NaN.
static void modified_db_of_nothing(void **state) {
  (void)state;
  inputs in = random_inputs(true);
  in.n = 3;
  for (int i = 0; i <= in.n; i++) in.offset[i] = i;
  const chosen mdb = choose("modified_db");
  const outputs out = evaluate(&mdb, &in);
  assert_true(out.loss == 0.0 && out.log_z == 0.0);
  for (int p = 0; p < in.n; p++) assert_true(out.log_pf[p] == 0.0 && out.exit[p] == 0.0);
}

// What a naive reader of the paper's Table 1 and the released code would write. w: weights of E_PF
// and E_PB.
typedef struct reading {
  double c[MAX_N], w_pf[MAX_N], w_pb[MAX_N];
} reading;

static reading read_weights(const inputs *in, int weights, bool released) {
  reading r;
  double v[MAX_N], u[MAX_N], sum_v = 0.0, sum_u = 0.0, sum_e = 0.0;
  for (int i = 0; i < in->n; i++) {
    r.c[i] = log_ratio(in, i);
    v[i] = weights == 2 ? 1.0 : exp(sum_of(in, in->log_pf, i) - in->log_pi[i]);
    u[i] = v[i] * exp(-r.c[i]);
    sum_v += v[i], sum_u += u[i], sum_e += exp(-r.c[i]);
  }
  for (int i = 0; i < in->n; i++) {
    r.w_pf[i] = released || weights == 1 ? v[i] / in->n : v[i] / sum_v;
    if (released)
      r.w_pb[i] = v[i] * (exp(-r.c[i]) / sum_e) / in->n;
    else
      r.w_pb[i] = weights == 1 ? u[i] / (in->n * exp(in->log_z)) : u[i] / sum_u;
  }
  return r;
}

static double read_baseline(const inputs *in, const reading *r, const double *w, int kind, int i) {
  double num = 0.0, den = 0.0;
  for (int j = 0; j < in->n; j++) {
    if (kind == 1) num += r->c[j], den += 1.0;
    if (kind == 3 && j != i) num += w[j] * r->c[j], den += w[j];
  }
  return kind == 0 ? 0.0 : kind == 2 ? -in->log_z : num / den;
}

typedef struct options {
  int weights, baseline;
  bool forward_pf, forward_pb, released, weighted;
} options;

// The surrogate of `c`, whose options sit behind its own values in cfg.
static double naive_divergence(const chosen *c, const inputs *in, const inputs *still) {
  options o;
  memcpy(&o, c->cfg + 128, sizeof o);
  const reading r = read_weights(still, o.weights, o.released);
  double sum = 0.0;
  for (int i = 0; i < in->n; i++) {
    const double log_pf = sum_of(in, in->log_pf, i), log_pb = sum_of(in, in->log_pb, i);
    const double b_pf = read_baseline(still, &r, r.w_pf, o.baseline, i);
    const double b_pb = read_baseline(still, &r, r.w_pb, o.baseline, i);
    sum += o.forward_pf ? -r.w_pb[i] * log_pf : r.w_pf[i] * (r.c[i] - b_pf) * log_pf;
    sum += o.forward_pb ? -r.w_pb[i] * (r.c[i] - b_pb) * log_pb : -r.w_pf[i] * log_pb;
    const double w = o.weighted && !o.released ? r.w_pf[i] : 1.0 / in->n;
    sum += w * pow(in->log_z + r.c[i], 2.0);
  }
  return sum;
}

static void check_divergence(int kind, const inputs *in, options o) {
  chosen c = choose_with(divergence[kind].name, weights_word[o.weights], baseline_word[o.baseline]);
  if (o.released) set(&c, "released", "true");
  if (o.weighted) set(&c, "weighted_log_z", "true");
  o.forward_pf = divergence[kind].forward_pf, o.forward_pb = divergence[kind].forward_pb;
  assert_true(c.component->size <= 128);
  memcpy(c.cfg + 128, &o, sizeof o);
  check_slopes(naive_divergence, &c, in);
  const reading r = read_weights(in, o.weights == 1 ? 0 : o.weights, false); // shares
  double value = 0.0, square_pf = 0.0, square_pb = 0.0;
  for (int i = 0; i < in->n; i++) {
    value += o.forward_pf ? -r.w_pb[i] * (r.c[i] + in->log_z) : r.w_pf[i] * (r.c[i] + in->log_z);
    square_pf += r.w_pf[i] * r.w_pf[i], square_pb += r.w_pb[i] * r.w_pb[i];
  }
  const outputs out = evaluate(&c, in);
  near(out.loss, value, 1e-12);
  const double ess_pf = 1.0 / square_pf, ess_pb = 1.0 / square_pb;
  const bool both = o.forward_pf != o.forward_pb;
  near(out.ess, both ? fmin(ess_pf, ess_pb) : o.forward_pf ? ess_pb : ess_pf, 1e-12);
}

static void divergence_slopes(void **state) {
  (void)state;
  for (int exits = 0; exits < 2; exits++) {
    const inputs in = random_inputs(exits);
    for (int kind = 0; kind < 4; kind++)
      for (int weights = 0; weights < 3; weights++)
        for (int baseline = 0; baseline < 4; baseline++)
          for (int extra = 0; extra < 4; extra++)
            check_divergence(kind, &in,
                             (options){.weights = weights,
                                       .baseline = baseline,
                                       .released = extra & 1,
                                       .weighted = extra & 2});
  }
}

// ---- invariants ----

// Trajectory by trajectory: reverse KL with baseline -log Z is half of TB, and trains log Z as TB
// does.
static void half_of_tb(void **state) {
  (void)state;
  inputs in = random_inputs(true);
  for (int i = 0; i < in.n; i++) in.log_pi[i] = sum_of(&in, in.log_pf, i); // on-policy
  const chosen tb = choose("tb");
  for (int w = 0; w < 3; w++) {
    const chosen reverse = choose_with("reverse_kl", weights_word[w], "global");
    const outputs a = evaluate(&tb, &in), b = evaluate(&reverse, &in);
    for (int p = 0; p < in.offset[in.n]; p++) near(b.log_pf[p], 0.5 * a.log_pf[p], 1e-15);
    near(b.log_z, a.log_z, 1e-15);
    near(b.ess, in.n, 1e-14);
  }
}

// The released code divides E_PB's self-normalised weights by B once more.
static void released_is_smaller(void **state) {
  (void)state;
  inputs in = random_inputs(true);
  for (int i = 0; i < in.n; i++) in.log_pi[i] = sum_of(&in, in.log_pf, i);
  for (int kind = 0; kind < 4; kind++) {
    chosen c = choose_with(divergence[kind].name, "self_normalised", "local");
    const outputs a = evaluate(&c, &in);
    set(&c, "released", "true");
    const outputs b = evaluate(&c, &in);
    const double pf = divergence[kind].forward_pf ? 1.0 / in.n : 1.0;
    const double pb = divergence[kind].forward_pb ? 1.0 / in.n : 1.0;
    for (int p = 0; p < in.offset[in.n]; p++) {
      near(b.log_pf[p], pf * a.log_pf[p], 1e-14);
      near(b.log_pb[p], pb * a.log_pb[p], 1e-14);
    }
  }
}

// Weights far beyond the range of double keep their shares; a zero reward has zero weight under
// P_B.
static void extreme_weights(void **state) {
  (void)state;
  inputs in = random_inputs(true);
  for (int i = 0; i < in.n; i++) in.log_pi[i] -= 5000.0;
  in.log_pi[2] -= 2000.0; // takes all the weight
  for (int b = 0; b < 4; b++) {
    for (int kind = 0; kind < 4; kind++) {
      const chosen c = choose_with(divergence[kind].name, "self_normalised", baseline_word[b]);
      const outputs out = evaluate(&c, &in);
      near(out.ess, 1.0, 1e-14);
      for (int p = 0; p < in.offset[in.n]; p++) {
        assert_true(isfinite(out.log_pf[p]) && isfinite(out.log_pb[p]));
        const bool third = p >= in.offset[2] && p < in.offset[3];
        if (!third) assert_true(out.log_pf[p] == 0.0 && out.log_pb[p] == 0.0);
      }
    }
  }
  in = random_inputs(true);
  in.log_r[0] = -HUGE_VAL;
  const chosen c = choose_with("forward_kl", "self_normalised", "leave_one_out");
  const outputs out = evaluate(&c, &in);
  assert_true(isfinite(out.loss) &&
              !isfinite(out.log_z)); // the trainer refuses; see the file's head
  for (int p = 0; p < in.offset[in.n]; p++)
    assert_true(isfinite(out.log_pf[p]) && isfinite(out.log_pb[p]));
  assert_true(out.log_pf[0] == 0.0 && out.log_pf[3] < 0.0);
}

static void registry(void **state) {
  (void)state;
  static const char *const name[] = {"tb",         "db",         "modified_db",       "reverse_kl",
                                     "forward_kl", "wake_sleep", "reverse_wake_sleep"};
  int n = 0;
  for (; flv_objective_list[n]; n++) {
    assert_true(n < 7);
    assert_string_equal(flv_objective_list[n]->name, name[n]);
    assert_true(strlen(flv_objective_list[n]->help) > 20);
    assert_non_null(flv_objective_list[n]->impl);
  }
  assert_int_equal(n, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(registry),
      cmocka_unit_test(balance_slopes),
      cmocka_unit_test(db_without_exits),
      cmocka_unit_test(modified_db_of_nothing),
      cmocka_unit_test(divergence_slopes),
      cmocka_unit_test(half_of_tb),
      cmocka_unit_test(released_is_smaller),
      cmocka_unit_test(extreme_weights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
