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

#include "objective_graphs.h"

static double equation_9(const problem *g, const tables *t, double log_z) {
  double sum = 0.0;
  for (int i = 0; i < g->n_trajectories; i++)
    sum += exp(t->log_pf[i]) * pow(t->log_post[i] - t->log_pf[i], 2.0);
  return sum + 2.0 * (log_z - t->log_z) * kl_reverse(g, t, log_z);
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

// What a divergence's expected gradient should be, for one policy: a and b times the two KLs'.
static gradient combine(const gradient *reverse, double a, const gradient *forward, double b) {
  gradient d;
  for (int k = 0; k < MAX_A; k++) {
    d.theta[k] = a * reverse->theta[k] + b * forward->theta[k];
    d.phi[k] = a * reverse->phi[k] + b * forward->phi[k];
  }
  return d;
}

// Divergences with plain weights: unbiased for every behaviour policy and every size of batch, with
// baselines that do not depend on the sample. E_PB's weights need the true Z.
static void check_unbiased(const problem *g, const model *m, const tables *t) {
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  const gradient forward = differentiate(g, m, kl_forward, 0.0);
  const double *const behaviour[] = {t->log_pf, t->log_pi, t->log_post};
  for (int kind = 0; kind < N_DIVERGENCES; kind++) {
    const double total = divergence[kind].total;
    const double pf = kind == MIXED_KL ? 0.3 : divergence[kind].forward_pf;
    const double pb = kind == MIXED_KL ? 0.3 : divergence[kind].forward_pb;
    for (int b = 0; b < N_BASELINES; b++) {
      chosen c = choose_with(divergence[kind].name, "plain", baseline_word[b]);
      if (kind == MIXED_KL) set_real(&c, "forward", 0.3);
      for (int n = b == LOCAL ? 2 : 1; n <= 2; n++) {
        const double local = b == LOCAL ? (n - 1.0) / n : 1.0; // for score terms
        const gradient theta = combine(&reverse, total * (1.0 - pf) * local, &forward, total * pf);
        const gradient phi = combine(&reverse, total * (1.0 - pb), &forward, total * pb * local);
        for (int k = 0; k < 3; k++) {
          const gradient d = expect(g, m, &c, behaviour[k], n, t->log_z);
          same(g, &d, 1.0, &theta, THETA);
          same(g, &d, 1.0, &phi, PHI);
        }
      }
    }
  }
}
static void unbiased(void **state) {
  (void)state;
  everywhere(check_unbiased);
}

// Every trajectory once: the loss reported is the divergence, and the gradients are its own.
static void check_census(const problem *g, const model *m, const tables *t) {
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  const gradient forward = differentiate(g, m, kl_forward, 0.0);
  for (int kind = 0; kind < N_DIVERGENCES; kind++) {
    const double total = divergence[kind].total;
    const double pf = divergence[kind].forward_pf, pb = divergence[kind].forward_pb;
    for (int w = 0; w <= PLAIN; w++) {
      const chosen c = choose_with(divergence[kind].name, weights_word[w], "global");
      double loss;
      const gradient d = census_gradient(g, t, &c, t->log_z, &loss);
      const gradient theta = combine(&reverse, total * (1.0 - pf), &forward, total * pf);
      const gradient phi = combine(&reverse, total * (1.0 - pb), &forward, total * pb);
      same(g, &d, 1.0, &theta, THETA);
      same(g, &d, 1.0, &phi, PHI);
      near(loss, total * ((1.0 - pf) * kl_reverse(g, t, 0.0) + pf * kl_forward(g, t, 0.0)), 1e-12);
    }
  }
}
static void every_trajectory_once(void **state) {
  (void)state;
  everywhere(check_census);
}

// On-policy, E_PF's estimators need no weights and no Z: exact with the default options, batches of
// one, and of three with leave_one_out.
static void check_on_policy(const problem *g, const model *m, const tables *t) {
  const gradient reverse = differentiate(g, m, kl_reverse, 0.0);
  for (int w = 0; w < N_WEIGHTS; w++) {
    for (int b = 0; b < N_BASELINES; b += 2) {
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

// At the optimum (P_F the flow policy, Z true) divergences estimate zero, with zero variance where
// b = -log Z. (test_objective_balance.c has the balance losses.)
static void optimum(void **state) {
  (void)state;
  const problem g = grid_problem();
  model m = random_model(0);
  double log_f[MAX_S];
  flow_model(&g, &m, log_f);
  const tables t = tabulate(&g, &m);
  near(log_f[0], t.log_z, 1e-13);
  const int id[] = {0, 3, 7, 18, 11, 5, 5, 9};
  const inputs in = gather(&g, &t, t.log_pi, sizeof id / sizeof *id, id, t.log_z);
  for (int kind = 0; kind < N_DIVERGENCES; kind++) {
    const chosen c = choose(divergence[kind].name);
    const outputs out = evaluate(&c, &in);
    near(out.loss, 0.0, 1e-12);
    near(out.log_z, 0.0, 1e-12);
    if (divergence[kind].forward_pf > 0.0) continue;
    for (int p = 0; p < in.offset[in.n]; p++) near(out.log_pf[p], 0.0, 1e-12);
  }
}

// Objects given by a distribution that has nothing to do with R.
static void log_given(const problem *g, double *log_q) {
  double sum = 0.0;
  bool seen[MAX_S] = {false};
  for (int i = 0; i < g->n_trajectories; i++) {
    log_q[g->object[i]] = 2.0 * uniform(g->object[i], 40);
    if (!seen[g->object[i]]) sum += exp(log_q[g->object[i]]);
    seen[g->object[i]] = true;
  }
  for (int s = 0; s < g->n_states; s++) log_q[s] -= log(sum);
}

// Bound on the cross-entropy -sum q(x) log p(x).
static double bound_of_given(const problem *g, const tables *t, double log_z) {
  (void)log_z;
  double log_q[MAX_S], sum = 0.0;
  log_given(g, log_q);
  for (int i = 0; i < g->n_trajectories; i++)
    sum += exp(log_q[g->object[i]] + t->log_pb[i]) * (t->log_pb[i] - t->log_pf[i]);
  return sum;
}

// mle: both gradients are those of the bound, which is one.
static void check_mle(const problem *g, const model *m, const tables *t) {
  const gradient exact = differentiate(g, m, bound_of_given, 0.0);
  double log_q[MAX_S], log_pi[MAX_T], p[MAX_S] = {0}, entropy = 0.0;
  log_given(g, log_q);
  for (int i = 0; i < g->n_trajectories; i++) {
    log_pi[i] = log_q[g->object[i]] + t->log_pb[i];
    p[g->object[i]] += exp(t->log_pf[i]);
  }
  for (int s = 0; s < g->n_states; s++)
    if (p[s] > 0.0) entropy -= exp(log_q[s]) * log(p[s]);
  assert_true(bound_of_given(g, t, 0.0) > entropy);
  chosen c = choose("mle");
  for (int b = 0; b < 3; b++) {
    set(&c, "baseline", b == 0 ? "none" : b == 1 ? "local" : "leave_one_out");
    for (int n = 1 + (b > 0); n <= 2; n++) {
      const gradient d = expect(g, m, &c, log_pi, n, 1.3);
      same(g, &d, 1.0, &exact, THETA);
      same(g, &d, b == 1 ? (n - 1.0) / n : 1.0, &exact, PHI);
    }
  }
}
static void likelihood_of_given_objects(void **state) {
  (void)state;
  everywhere(check_mle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(proposition_1),
      cmocka_unit_test(unbiased),
      cmocka_unit_test(every_trajectory_once),
      cmocka_unit_test(on_policy),
      cmocka_unit_test(optimum),
      cmocka_unit_test(likelihood_of_given_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
