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

// g(d) as it is written down, for the options of c.
static double penalty(const chosen *c, double d) {
  const double alpha = number_of(c, "alpha"), delta = number_of(c, "delta");
  switch (word_of(c, "loss")) {
  case 0:
    return d * d;
  case 1:
    return d * d / 2.0;
  case 2:
    return fabs(d) < delta ? d * d / 2.0 : delta * (fabs(d) - delta / 2.0);
  case 3:
    return exp(d) + exp(-d) - 2.0;
  default:
    return alpha == 0.0 ? d * d / 2.0 : (exp(-alpha * d) + alpha * d - 1.0) / (alpha * alpha);
  }
}

static double naive_tb(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  double sum = 0.0;
  for (int i = 0; i < in->n; i++) sum += penalty(c, in->log_z + log_ratio(in, i));
  return sum / in->n;
}

// Transitions of a trajectory; a single state that is the object counts as one, from s0 to it.
static int steps(const inputs *in, int i) {
  const int positions = in->offset[i + 1] - in->offset[i];
  return in->exits || positions == 1 ? positions : positions - 1;
}
// log F of node k, by its role: s0, a state, the object.
static double flow(const inputs *in, int i, int k, bool forward_looking) {
  const int p = in->offset[i] + k;
  if (k == 0) return in->log_z;
  if (k == steps(in, i)) return in->log_r[i];
  return in->log_f[p] + (forward_looking ? in->r_state[p] : 0.0);
}
// Residual of the sub-trajectory between two nodes, summed anew for each.
static double between(const inputs *in, int i, int from, int to, bool forward_looking) {
  double d = flow(in, i, from, forward_looking) - flow(in, i, to, forward_looking);
  for (int k = from; k < to; k++) {
    const int p = in->offset[i] + k, last = in->offset[i + 1] - 1;
    d += in->log_pf[p];
    if (p < last) d -= in->log_pb[p + 1];
    if (!in->exits && p + 1 == last) d += in->log_pf[last]; // 0 by contract
  }
  return d;
}

static double naive_transitions(const chosen *c, const inputs *in, bool forward_looking) {
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++)
    for (int k = 0; k < steps(in, i); k++, count++)
      sum += penalty(c, between(in, i, k, k + 1, forward_looking));
  return sum / (word_of(c, "mean") == 0 ? count : in->n);
}
static double naive_db(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  return naive_transitions(c, in, false);
}
static double naive_fl_db(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  return naive_transitions(c, in, true);
}

static double naive_sub_trajectories(const chosen *c, const inputs *in, bool forward_looking) {
  const double lambda = number_of(c, "lambda");
  double mean = 0.0;
  for (int i = 0; i < in->n; i++) {
    double sum = 0.0, weights = 0.0;
    for (int to = 1; to <= steps(in, i); to++)
      for (int from = 0; from < to; from++) {
        sum += pow(lambda, to - from) * penalty(c, between(in, i, from, to, forward_looking));
        weights += pow(lambda, to - from);
      }
    mean += sum / weights / in->n;
  }
  return mean;
}
static double naive_subtb(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  return naive_sub_trajectories(c, in, false);
}
static double naive_fl_subtb(const chosen *c, const inputs *in, const inputs *still) {
  (void)still;
  return naive_sub_trajectories(c, in, true);
}

static double naive_mdb(const chosen *c, const inputs *in, const inputs *still) {
  const double *const next = is_set(c, "detach_exit") ? still->exit : in->exit;
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++)
    for (int p = in->offset[i]; p < in->offset[i + 1] - 1; p++, count++)
      sum += penalty(c, in->r_state[p] + in->log_pf[p] + next[p + 1] - in->r_state[p + 1] -
                            in->log_pb[p + 1] - in->exit[p]);
  return sum / count;
}

// log Z's own loss, which the values reported leave out: 0 where it is held fixed.
static double naive_log_z(const inputs *in, const inputs *still) {
  double sum = 0.0;
  for (int i = 0; i < in->n; i++) sum += pow(in->log_z + log_ratio(still, i), 2.0) / in->n;
  return sum;
}

static double naive_log_variance(const chosen *c, const inputs *in, const inputs *still) {
  double mean = 0.0, sum = 0.0;
  for (int i = 0; i < in->n; i++)
    mean += log_ratio(is_set(c, "detach_mean") ? still : in, i) / in->n;
  for (int i = 0; i < in->n; i++) sum += penalty(c, log_ratio(in, i) - mean);
  return sum / in->n + naive_log_z(in, still);
}

static double naive_contrastive_balance(const chosen *c, const inputs *in, const inputs *still) {
  const bool halves = word_of(c, "pairs") == 1;
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++)
    for (int j = 0; j < in->n; j++) {
      const int low = i < j ? i : j, high = i < j ? j : i;
      if (i == j || (halves && high - low != in->n / 2) || (halves && low >= in->n / 2)) continue;
      sum += penalty(c, log_ratio(in, i) - log_ratio(in, j));
      count++;
    }
  return sum / count + naive_log_z(in, still);
}

// log Z towards l log F(s0), which these leave out of the value.
static double naive_log_z_flow(const inputs *in, const inputs *still, double l) {
  double sum = 0.0;
  for (int i = 0; i < in->n; i++)
    sum += pow(in->log_z - l * still->log_f[in->offset[i]], 2.0) / in->n;
  return sum;
}

static double naive_flow_matching(const chosen *c, const inputs *in, const inputs *still) {
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++) {
    const int first = in->offset[i], last = in->offset[i + 1] - 1;
    for (int p = first + 1; p < last + in->exits; p++)
      sum += penalty(c, in->inflow[p] - in->log_f[p]);
    if (in->exits) sum += penalty(c, in->log_f[last] + in->log_pf[last] - in->log_r[i]);
    if (!in->exits && last > first) sum += penalty(c, in->inflow[last] - in->log_r[i]);
    count += steps(in, i);
  }
  return sum / count + naive_log_z_flow(in, still, 1.0);
}

static double naive_soft_dqn(const chosen *c, const inputs *in, const inputs *still) {
  const double alpha = number_of(c, "munchausen"), clip = number_of(c, "clip"), l = 1 / (1 - alpha);
  double sum = 0.0;
  int count = 0;
  for (int i = 0; i < in->n; i++) {
    const int last = in->offset[i + 1] - 1;
    for (int p = in->offset[i]; p < last + in->exits; p++) {
      double target = alpha * l * (in->pf_target[p] < clip ? clip : in->pf_target[p]);
      if (p < last) target += still->log_pb[p + 1]; // P_B learns nothing from it
      if (p + 1 < last + in->exits) target += l * in->f_target[p + 1];
      if (p + 1 == last + in->exits) target += in->log_r[i];
      sum += penalty(c, l * (in->log_f[p] + in->log_pf[p]) - target);
    }
    count += steps(in, i);
  }
  return sum / count + naive_log_z_flow(in, still, l);
}

// Every balance objective under every value of its options, beside the regression losses.
static const struct {
  const char *name, *option, *value;
  naive loss;
} balance[] = {{"tb", NULL, NULL, naive_tb},
               {"db", "mean", "transitions", naive_db},
               {"db", "mean", "trajectories", naive_db},
               {"modified_db", "detach_exit", "false", naive_mdb},
               {"modified_db", "detach_exit", "true", naive_mdb},
               {"subtb", "lambda", "0.9", naive_subtb},
               {"subtb", "lambda", "1", naive_subtb},
               {"subtb", "lambda", "0.01", naive_subtb},
               {"subtb", "lambda", "1.9", naive_subtb},
               {"fl_db", "mean", "transitions", naive_fl_db},
               {"fl_db", "mean", "trajectories", naive_fl_db},
               {"fl_subtb", "lambda", "0.8", naive_fl_subtb},
               {"fl_subtb", "lambda", "3", naive_fl_subtb},
               {"log_variance", "detach_mean", "false", naive_log_variance},
               {"log_variance", "detach_mean", "true", naive_log_variance},
               {"contrastive_balance", "pairs", "all", naive_contrastive_balance},
               {"contrastive_balance", "pairs", "halves", naive_contrastive_balance},
               {"flow_matching", NULL, NULL, naive_flow_matching},
               {"soft_dqn", "munchausen", "0", naive_soft_dqn},
               {"soft_dqn", "munchausen", "0.15", naive_soft_dqn},
               {"soft_dqn", "clip", "-1", naive_soft_dqn}};
enum { BALANCES = sizeof balance / sizeof *balance };

static void balance_slopes(void **state) {
  (void)state;
  for (int k = 0; k < BALANCES; k++)
    for (int loss = 0; loss < REGRESSIONS; loss++)
      for (int exits = 0; exits < 2; exits++) {
        const inputs in = random_inputs(exits);
        chosen c = with_loss(choose(balance[k].name), loss);
        if (balance[k].option) set(&c, balance[k].option, balance[k].value);
        const bool beside =
            balance[k].loss == naive_log_variance || balance[k].loss == naive_contrastive_balance;
        const outputs out = evaluate(&c, &in);
        double log_z = beside ? naive_log_z(&in, &in) : 0.0;
        if (balance[k].loss == naive_flow_matching) log_z = naive_log_z_flow(&in, &in, 1.0);
        if (balance[k].loss == naive_soft_dqn)
          log_z = naive_log_z_flow(&in, &in, 1 / (1 - number_of(&c, "munchausen")));
        near(out.loss, balance[k].loss(&c, &in, &in) - log_z, 1e-13);
        near(out.ess, in.n, 0.0);
        check_slopes(balance[k].loss, &c, &in);
      }
}

// P_F follows the mean of -log P_F, P_B the score term, whose factor f - b is held fixed.
static double naive_mle(const chosen *c, const inputs *in, const inputs *still) {
  double f[MAX_N], sum = 0.0, loss = 0.0;
  for (int i = 0; i < in->n; i++)
    sum += f[i] = sum_of(still, still->log_pb, i) - sum_of(still, still->log_pf, i);
  for (int i = 0; i < in->n; i++) {
    const double others = in->n > 1 ? (sum - f[i]) / (in->n - 1) : 0.0;
    const double b[] = {0.0, sum / in->n, others};
    loss += (f[i] - b[word_of(c, "baseline")]) * sum_of(in, in->log_pb, i) / in->n;
    loss -= sum_of(in, in->log_pf, i) / in->n;
  }
  return loss;
}

static void mle_slopes(void **state) {
  (void)state;
  static const char *const baselines[] = {"none", "local", "leave_one_out"};
  for (int b = 0; b < 3; b++)
    for (int exits = 0; exits < 2; exits++)
      for (int n = 1; n <= 5; n += 4) {
        inputs in = random_inputs(exits);
        chosen c = choose("mle");
        set(&c, "baseline", baselines[b]);
        in.n = n;
        in.log_r[0] = -HUGE_VAL; // the reward is not read
        double loss = 0.0;
        for (int i = 0; i < n; i++)
          loss += (sum_of(&in, in.log_pb, i) - sum_of(&in, in.log_pf, i)) / n;
        near(evaluate(&c, &in).loss, loss, 1e-13);
        near(evaluate(&c, &in).ess, n, 0.0);
        check_slopes(naive_mle, &c, &in);
      }
}

// The list above is complete: only divergences, which take importance weights, and mle are not in
// it.
static void every_balance_objective(void **state) {
  (void)state;
  for (int i = 0; flv_objective_list[i]; i++) {
    const chosen c = choose(flv_objective_list[i]->name);
    bool listed = has(&c, "weights") || strcmp(c.component->name, "mle") == 0;
    for (int k = 0; k < BALANCES; k++)
      if (strcmp(balance[k].name, c.component->name) == 0) listed = true;
    if (!listed) fail_msg("%s is not checked", c.component->name);
  }
}

static void db_without_exits(void **state) {
  (void)state;
  const inputs in = random_inputs(false);
  const chosen db = choose("db");
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

static double read_baseline(const inputs *in, const reading *r, const double *w, int kind, int i) {
  double num = 0.0, den = 0.0;
  for (int j = 0; j < in->n; j++) {
    if (kind == LOCAL) num += r->c[j], den += 1.0;
    if (kind == LEAVE_ONE_OUT && j != i) num += w[j] * r->c[j], den += w[j];
  }
  return kind == 0 ? 0.0 : kind == GLOBAL ? -in->log_z : num / den;
}

typedef struct options {
  int weights, baseline;
  double forward_pf, forward_pb, total, cap;
  bool released, weighted;
} options;

// The surrogate of `c`, whose options sit behind its own values in cfg.
static double naive_divergence(const chosen *c, const inputs *in, const inputs *still) {
  options o;
  memcpy(&o, c->cfg + 128, sizeof o);
  const reading r = read_weights(still, o.weights, o.released, o.cap);
  double sum = 0.0;
  for (int i = 0; i < in->n; i++) {
    const double log_pf = sum_of(in, in->log_pf, i), log_pb = sum_of(in, in->log_pb, i);
    const double b_pf = read_baseline(still, &r, r.w_pf, o.baseline, i);
    const double b_pb = read_baseline(still, &r, r.w_pb, o.baseline, i);
    sum += o.total * (1.0 - o.forward_pf) * r.w_pf[i] * (r.c[i] - b_pf) * log_pf;
    sum -= o.total * o.forward_pf * r.w_pb[i] * log_pf;
    sum -= o.total * (1.0 - o.forward_pb) * r.w_pf[i] * log_pb;
    sum -= o.total * o.forward_pb * r.w_pb[i] * (r.c[i] - b_pb) * log_pb;
    const double w = o.weighted && !o.released ? r.w_pf[i] : 1.0 / in->n;
    sum += w * pow(in->log_z + r.c[i], 2.0);
  }
  return sum;
}

static void check_divergence(int kind, const inputs *in, options o) {
  chosen c = choose_with(divergence[kind].name, weights_word[o.weights], baseline_word[o.baseline]);
  if (o.released) set(&c, "released", "true");
  if (o.weighted) set(&c, "weighted_log_z", "true");
  set_real(&c, "cap", o.cap);
  o.forward_pf = divergence[kind].forward_pf, o.forward_pb = divergence[kind].forward_pb;
  o.total = divergence[kind].total;
  if (kind == MIXED_KL) set_real(&c, "forward", o.forward_pf = o.forward_pb = 0.3);
  assert_true(c.component->size <= 128);
  memcpy(c.cfg + 128, &o, sizeof o);
  check_slopes(naive_divergence, &c, in);
  // value and ESS: as with the same weights normalised; the released code's are not clipped
  const int weights = o.released && o.weights != UNCORRECTED ? 0 : o.weights;
  const reading r = read_weights(in, weights, false, o.cap);
  double value = 0.0;
  for (int i = 0; i < in->n; i++)
    value += o.total * (r.c[i] + in->log_z) *
             ((1.0 - o.forward_pf) * r.share_pf[i] - o.forward_pf * r.share_pb[i]);
  double ess = in->n;
  if (o.forward_pf < 1.0 || o.forward_pb < 1.0) ess = inverse_square(in->n, r.share_pf);
  if (o.forward_pf > 0.0 || o.forward_pb > 0.0) ess = fmin(ess, inverse_square(in->n, r.share_pb));
  const outputs out = evaluate(&c, in);
  near(out.loss, value, 1e-12);
  near(out.ess, ess, 1e-12);
}

static void divergence_slopes(void **state) {
  (void)state;
  for (int exits = 0; exits < 2; exits++) {
    const inputs in = random_inputs(exits);
    for (int kind = 0; kind < N_DIVERGENCES; kind++)
      for (int weights = 0; weights < N_WEIGHTS; weights++)
        for (int baseline = 0; baseline < N_BASELINES; baseline++)
          for (int extra = 0; extra < 4; extra++)
            check_divergence(kind, &in,
                             (options){.weights = weights,
                                       .baseline = baseline,
                                       .cap = 1.5,
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
  for (int w = 0; w < N_WEIGHTS; w++) {
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
  for (int kind = 0; kind < N_PURE; kind++) {
    chosen c = choose_with(divergence[kind].name, "self_normalised", "local");
    const outputs a = evaluate(&c, &in);
    set(&c, "released", "true");
    const outputs b = evaluate(&c, &in);
    const double pf = divergence[kind].forward_pf > 0.0 ? 1.0 / in.n : 1.0;
    const double pb = divergence[kind].forward_pb > 0.0 ? 1.0 / in.n : 1.0;
    for (int p = 0; p < in.offset[in.n]; p++) {
      near(b.log_pf[p], pf * a.log_pf[p], 1e-14);
      near(b.log_pb[p], pb * a.log_pb[p], 1e-14);
    }
  }
}

static void same_slopes(const inputs *in, const outputs *a, const outputs *b, double tolerance) {
  for (int p = 0; p < in->offset[in->n]; p++) {
    near(a->log_pf[p], b->log_pf[p], tolerance);
    near(a->log_pb[p], b->log_pb[p], tolerance);
  }
  near(a->log_z, b->log_z, tolerance);
}

// The ends of the mixture, bit for bit: a share of 0 leaves nothing behind, in the ESS neither.
static void mixture_ends(void **state) {
  (void)state;
  const inputs in = random_inputs(true);
  for (int kind = 0; kind < 2; kind++) {
    for (int w = 0; w < N_WEIGHTS; w++) {
      chosen mixed = choose_with("mixed_kl", weights_word[w], "leave_one_out");
      set_real(&mixed, "forward", divergence[kind].forward_pf);
      const chosen pure = choose_with(divergence[kind].name, weights_word[w], "leave_one_out");
      const outputs a = evaluate(&mixed, &in), b = evaluate(&pure, &in);
      assert_memory_equal(&a, &b, sizeof a);
    }
  }
}

// Clipped weights: each at most cap/B, some of them that; without any to clip they are plain. The
// ESS is that of what is left.
static void clipped_weights(void **state) {
  (void)state;
  inputs in = random_inputs(true);
  in.log_pi[0] -= 3.0, in.log_r[2] += 4.0; // P_F/pi is large for one, R P_B/(Z pi) for another
  chosen kl = choose_with("forward_kl", "clipped", "none"),
         reverse = choose_with("reverse_kl", "clipped", "none");
  set_real(&kl, "cap", 2.0), set_real(&reverse, "cap", 2.0);
  const outputs pb = evaluate(&kl, &in), pf = evaluate(&reverse, &in);
  int capped[2] = {0, 0};
  for (int i = 0; i < in.n; i++) { // cotangents that are weights and nothing else
    const int p = in.offset[i];
    assert_true(-pb.log_pf[p] <= (2.0 / in.n) * (1.0 + 1e-12));
    capped[0] += -pb.log_pf[p] > (2.0 / in.n) * (1.0 - 1e-12);
    if (in.offset[i + 1] - p < 2) continue;
    assert_true(-pf.log_pb[p + 1] <= (2.0 / in.n) * (1.0 + 1e-12));
    capped[1] += -pf.log_pb[p + 1] > (2.0 / in.n) * (1.0 - 1e-12);
  }
  assert_true(capped[0] > 0 && capped[0] < in.n && capped[1] > 0);
  const chosen plain_kl = choose_with("forward_kl", "plain", "none");
  assert_true(pb.ess > evaluate(&plain_kl, &in).ess);
  for (int kind = 0; kind < N_DIVERGENCES; kind++) {
    chosen clipped = choose_with(divergence[kind].name, "clipped", "leave_one_out");
    set(&clipped, "cap", "1e9");
    const chosen plain = choose_with(divergence[kind].name, "plain", "leave_one_out");
    const outputs a = evaluate(&clipped, &in), b = evaluate(&plain, &in);
    same_slopes(&in, &a, &b, 1e-13);
    near(a.loss, b.loss, 1e-13);
    near(a.ess, b.ess, 1e-13);
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
    for (int kind = 0; kind < N_DIVERGENCES; kind++) {
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
  static const char *const name[] = {"tb",
                                     "db",
                                     "modified_db",
                                     "subtb",
                                     "fl_db",
                                     "fl_subtb",
                                     "log_variance",
                                     "contrastive_balance",
                                     "flow_matching",
                                     "soft_dqn",
                                     "reverse_kl",
                                     "forward_kl",
                                     "wake_sleep",
                                     "reverse_wake_sleep",
                                     "mixed_kl",
                                     "symmetric_cycles",
                                     "renyi",
                                     "tsallis",
                                     "mle"};
  enum { N = sizeof name / sizeof *name };
  int n = 0;
  for (; flv_objective_list[n]; n++) {
    assert_true(n < N);
    assert_string_equal(flv_objective_list[n]->name, name[n]);
    assert_true(strlen(flv_objective_list[n]->help) > 20);
    assert_non_null(flv_objective_list[n]->impl);
  }
  assert_int_equal(n, N);
}

// ---- what people are told of them ----

// The largest difference of what P_F, P_B and log F follow, in two evaluations.
static double apart(const inputs *in, const outputs *a, const outputs *b) {
  double most = 0.0;
  for (int p = 0; p < in->offset[in->n]; p++) {
    most = fmax(most, fabs(a->log_pf[p] - b->log_pf[p]));
    most = fmax(most, fabs(a->log_pb[p] - b->log_pb[p]));
    most = fmax(most, fabs(a->log_f[p] - b->log_f[p]));
  }
  return most;
}

static void tell(const char *name, const char *what, bool told, bool measured) {
  if (told != measured) fail_msg("%s: %s: told %d, measured %d", name, what, told, measured);
}

// flv_objective.uses and formula_pb, measured: move log Z or log pi and see what moves.
static void uses_are_true(void **state) {
  (void)state;
  for (int k = 0; flv_objective_list[k]; k++) {
    const chosen c = choose(flv_objective_list[k]->name);
    const flv_objective *o = c.objective;
    const inputs in = random_inputs(true);
    const outputs before = evaluate(&c, &in);
    inputs moved = in;
    moved.log_z += 0.5;
    const outputs other_z = evaluate(&c, &moved);
    moved = in;
    for (int i = 0; i < in.n; i++) moved.log_pi[i] -= 0.3 * i;
    const outputs other_pi = evaluate(&c, &moved);
    double pb = 0.0;
    for (int p = 0; p < in.offset[in.n]; p++) pb = fmax(pb, fabs(before.log_pb[p]));
    const bool teaches_pb = !o->formula_pb || strcmp(o->formula_pb, "nothing") != 0;
    const char *const name = c.component->name;
    tell(name, "log Z is used", o->uses & FLV_USES_LOG_Z, apart(&in, &before, &other_z) > 1e-9);
    tell(name, "log pi is used", o->uses & FLV_USES_LOG_PI, apart(&in, &before, &other_pi) > 1e-9);
    tell(name, "log Z is trained", o->uses & FLV_TRAINS_LOG_Z, before.log_z != 0.0);
    tell(name, "P_B learns", teaches_pb, pb > 0.0);
    assert_true(o->formula && *o->formula && o->source && *o->source);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(registry),
      cmocka_unit_test(uses_are_true),
      cmocka_unit_test(balance_slopes),
      cmocka_unit_test(mle_slopes),
      cmocka_unit_test(every_balance_objective),
      cmocka_unit_test(db_without_exits),
      cmocka_unit_test(modified_db_of_nothing),
      cmocka_unit_test(divergence_slopes),
      cmocka_unit_test(half_of_tb),
      cmocka_unit_test(released_is_smaller),
      cmocka_unit_test(mixture_ends),
      cmocka_unit_test(clipped_weights),
      cmocka_unit_test(extreme_weights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
