// Fragments: objectives that are sums over steps give the same for trajectories cut to pieces, as
// pure functions and through the networks. And the losses of the released code for graphs, from its
// golden values.
#include "objective_fixture.h"

#include "learn/trainer_impl.h"
#include "train_setup.h"

// ---- pure functions ----

typedef struct cut {
  inputs in;
  int from[MAX_P]; // position of the whole trajectory that each stands for
} cut;

// Copies positions [begin, end] as a fragment of its own.
static void add_fragment(cut *c, const inputs *whole, int i, int begin, int end, unsigned open) {
  inputs *x = &c->in;
  int at = x->offset[x->n];
  assert_true(x->n < MAX_N && at + end - begin < MAX_P);
  for (int p = begin; p <= end; p++, at++) {
    const bool idle = p == end && open & FLV_OPEN_END;
    c->from[at] = p;
    x->log_pf[at] = idle ? 0.0 : whole->log_pf[p];
    x->log_pb[at] = p == begin ? 0.0 : whole->log_pb[p];
    x->log_f[at] = whole->log_f[p];
    x->exit[at] = whole->exit[p];
    x->r_state[at] = whole->r_state[p];
    x->inflow[at] = whole->inflow[p];
    x->pf_target[at] = idle ? 0.0 : whole->pf_target[p];
    x->f_target[at] = whole->f_target[p];
    x->exit_target[at] = whole->exit_target[p];
  }
  x->open[x->n] = (uint8_t)open;
  x->log_r[x->n] = open & FLV_OPEN_END ? (double)NAN : whole->log_r[i];
  x->log_pi[x->n] = (double)NAN; // not to be read
  x->offset[++x->n] = at;
}

// Every trajectory in pieces of `length` steps.
static cut cut_up(const inputs *whole, int length) {
  cut c = {.in = {.log_z = whole->log_z, .exits = whole->exits}};
  for (int i = 0; i < whole->n; i++) {
    const int first = whole->offset[i], last = whole->offset[i + 1] - 1;
    int p = first;
    do {
      const int left = last - p + (whole->exits ? 1 : 0);
      const bool ends = left <= length;
      const unsigned open = (p > first ? FLV_OPEN_START : 0u) | (ends ? 0u : FLV_OPEN_END);
      add_fragment(&c, whole, i, p, ends ? last : p + length, open);
      p += length;
    } while (p < last + (whole->exits ? 1 : 0));
  }
  return c;
}

static void compare_cut(const chosen *c, const inputs *whole, int length) {
  const cut pieces = cut_up(whole, length);
  const outputs a = evaluate(c, whole), b = evaluate(c, &pieces.in);
  double pf[MAX_P] = {0}, pb[MAX_P] = {0}, f[MAX_P] = {0}, exit[MAX_P] = {0}, inflow[MAX_P] = {0};
  for (int i = 0; i < pieces.in.n; i++)
    for (int p = pieces.in.offset[i]; p < pieces.in.offset[i + 1]; p++) {
      const bool idle = p + 1 == pieces.in.offset[i + 1] && pieces.in.open[i] & FLV_OPEN_END;
      const int q = pieces.from[p];
      if (!idle) pf[q] += b.log_pf[p]; // no action is taken there
      pb[q] += b.log_pb[p], f[q] += b.log_f[p], exit[q] += b.exit[p], inflow[q] += b.inflow[p];
    }
  assert_true(isfinite(a.loss) && a.loss > 0.0);
  if (strcmp(c->component->name, "modified_db") == 0) assert_true(a.loss == b.loss);
  near(b.loss, a.loss, 1e-14);
  near(b.log_z, a.log_z, 1e-14);
  for (int q = 0; q < whole->offset[whole->n]; q++) {
    near(pf[q], a.log_pf[q], 1e-14), near(pb[q], a.log_pb[q], 1e-14);
    near(f[q], a.log_f[q], 1e-14), near(exit[q], a.exit[q], 1e-14);
    near(inflow[q], a.inflow[q], 1e-14);
  }
}

static void sums_over_steps(void **unused) {
  (void)unused;
  int taken = 0;
  for (int k = 0; flv_objective_list[k]; k++) {
    const unsigned needs = ((const flv_objective *)flv_objective_list[k]->impl)->needs;
    if (!(needs & FLV_TAKES_FRAGMENTS)) continue;
    taken++;
    for (int exits = needs & FLV_NEEDS_EXIT ? 1 : 0; exits < 2; exits++)
      for (int loss = 0; loss < REGRESSIONS; loss++)
        for (int length = 1; length < 4; length++) {
          const inputs whole = random_inputs(exits != 0);
          const chosen c = with_loss(choose(flv_objective_list[k]->name), loss);
          compare_cut(&c, &whole, length);
        }
  }
  assert_int_equal(taken, 5);
}

// An exit alone adds nothing to an objective that says so.
static void exits_are_skipped(void **unused) {
  (void)unused;
  for (int k = 0; flv_objective_list[k]; k++) {
    const chosen c = choose(flv_objective_list[k]->name);
    if (!(c.objective->needs & FLV_TAKES_FRAGMENTS)) continue;
    const inputs whole = random_inputs(true);
    cut x = {.in = {.exits = true}};
    add_fragment(&x, &whole, 0, whole.offset[1] - 1, whole.offset[1] - 1, FLV_OPEN_START);
    const outputs out = evaluate(&c, &x.in);
    assert_int_equal(out.loss == 0.0, (c.objective->needs & FLV_SKIPS_EXITS) != 0);
  }
}

// log P_F(exit|s') of the target network: a constant.
static void exits_of_the_target(void **unused) {
  (void)unused;
  const inputs in = random_inputs(true);
  chosen c = choose("modified_db");
  assert_false(flv_objective_needs(c.objective, c.cfg) & FLV_NEEDS_TARGET);
  set(&c, "target_exit", "true");
  assert_true(flv_objective_needs(c.objective, c.cfg) & FLV_NEEDS_TARGET);
  const outputs out = evaluate(&c, &in);
  double loss = 0.0, steps = 0.0;
  for (int i = 0; i < in.n; i++) steps += in.offset[i + 1] - in.offset[i] - 1;
  for (int i = 0; i < in.n; i++)
    for (int p = in.offset[i]; p < in.offset[i + 1]; p++) {
      double exit = 0.0;
      if (p + 1 < in.offset[i + 1]) {
        const double d = in.log_pf[p] + in.r_state[p] + in.exit_target[p + 1] - in.r_state[p + 1] -
                         in.log_pb[p + 1] - in.exit[p];
        loss += d * d / steps;
        exit = -2.0 * d / steps;
        near(out.log_pf[p], -exit, 1e-14);
      }
      near(out.exit[p], exit, 1e-14);
    }
  near(out.loss, loss, 1e-14);
}

// ---- through the networks ----

static double gradient_of_batch(flv_trainer *t) {
  flv_batch *b = &t->batch;
  flv_score_expand(&t->score, b);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  if (t->has_target) flv_target_net_evaluate(&t->target, b, 1);
  assert_int_equal(flv_score_rewards(&t->score, b, t->reward, NULL), FLV_OK);
  flv_score_gather(&t->score, b, &t->policy, b->n, t->has_target ? &t->target.batch : NULL, false);
  const double loss = t->objective->loss(t->objective_cfg, &t->score.in, &t->score.out);
  flv_score_scatter(&t->score, b, &t->policy, 1);
  flv_net_backward(t->policy.net, t->policy.params, &b->acts, b->rows.n, t->grad, 1);
  t->grad[t->policy.net->n_params] = (float)t->score.out.log_z;
  return loss;
}

enum { N_WHOLE = 12 };

static void networks_see_the_same(flv_trainer *t) {
  flv_batch *b = &t->batch;
  const flv_rng rng = {5, FLV_RNG_TEST, 0};
  const size_t size = t->env->state_size, n = t->policy.n_params;
  flv_batch_clear(b);
  flv_sampler_run(&t->sampler, b, &t->policy, &(flv_explore){.temperature = 1.0}, rng, N_WHOLE, 1);
  const int positions = b->offset[N_WHOLE];
  int32_t *action = calloc((size_t)positions, sizeof *action);
  unsigned char *state = calloc((size_t)positions, size);
  float *grad = calloc(n, sizeof *grad);
  for (int p = 0; p < positions; p++) {
    action[p] = b->action[p];
    memcpy(state + (size_t)p * size, flv_batch_state(b, b->row[p]), size);
  }
  const double loss = gradient_of_batch(t);
  memcpy(grad, t->grad, n * sizeof *grad);
  flv_batch_clear(b);
  for (int p = 0; p < positions; p++)
    if (action[p] >= 0)
      flv_sampler_append_fragment(&t->sampler, b, state + (size_t)p * size, 1, action + p, 0.0);
  near(gradient_of_batch(t), loss, 1e-6);
  double most = 0.0;
  for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)grad[i]));
  assert_true(most > 1e-3);
  for (size_t i = 0; i < n; i++)
    if (!(fabs((double)t->grad[i] - (double)grad[i]) <= 2e-5 * most))
      fail_msg("%s: gradient %zu: %g, of fragments %g",
               flv_config_component(t->cfg, "objective")->name, i, (double)grad[i],
               (double)t->grad[i]);
  free(action);
  free(state);
  free(grad);
}

static void the_engine_sees_the_same(void **unused) {
  (void)unused;
  for (int k = 0; flv_objective_list[k]; k++) {
    const flv_objective *o = flv_objective_list[k]->impl;
    if (!(o->needs & FLV_TAKES_FRAGMENTS)) continue;
    flv_trainer *t =
        make(1, SETTINGS({"env.side", "4"}, {"batch", "128"}, {"policy.hidden", "[16]"},
                         {"objective", flv_objective_list[k]->name}, {"policy.p_b", "learned"}));
    networks_see_the_same(t);
    flv_trainer_free(t);
  }
}

// ---- the released code's golden values ----

static const double F[] = {-1.0, -2.5, -0.7, -3.0}, R[] = {-2.0, -1.0, -4.0, -0.5};
static const double B[] = {-0.5, -1.2, 0.0, -2.0}, S[] = {-1.1, -2.0, -0.9, -2.5};

static inputs golden(void) {
  inputs in = {.n = 4, .log_z = 0.3, .exits = true};
  for (int i = 0; i < 4; i++) { // in two steps, the exit the second
    in.offset[i + 1] = 2 * (i + 1);
    in.log_pf[2 * i] = 0.25 * F[i], in.log_pf[2 * i + 1] = 0.75 * F[i];
    in.log_pb[2 * i + 1] = B[i];
    in.log_r[i] = R[i], in.log_pi[i] = S[i];
  }
  return in;
}

// The surrogate sum_i F_i sg(..), whose slopes these are.
static void check_surrogate(const chosen *c, double loss, const double *dF, double tolerance) {
  const inputs in = golden();
  const outputs out = evaluate(c, &in);
  double sum = 0.0;
  for (int i = 0; i < 4; i++) {
    near(out.log_pf[2 * i], dF[i], tolerance);
    assert_true(out.log_pf[2 * i] == out.log_pf[2 * i + 1]);
    sum += F[i] * out.log_pf[2 * i];
  }
  near(sum, loss, 1e-12);
}

static void golden_losses(void **unused) {
  (void)unused;
  const inputs in = golden();
  chosen tb = choose("tb");
  near(evaluate(&tb, &in).loss, 4.06, 1e-14); // molecules
  set(&tb, "loss", "half_squared");
  near(evaluate(&tb, &in).loss, 2.03, 1e-14); // graphs
  const double off_policy[] = {0.13814636, -0.19712246, 0.70230659, -0.227449};
  const double on_policy[] = {0.125, -0.325, 0.575, -0.375};
  const double normalised[] = {0.15611368, -0.22276022, 0.7936486, -0.25703102};
  chosen c = choose_with("reverse_kl", "plain", "local");
  check_surrogate(&c, 0.545392178274, off_policy, 5e-9);
  c = choose_with("reverse_kl", "none", "local");
  check_surrogate(&c, 1.41, on_policy, 1e-14);
  c = choose_with("reverse_kl", "self_normalised", "local"); // molecules
  const outputs out = evaluate(&c, &in);
  for (int i = 0; i < 4; i++) near(out.log_pf[2 * i], normalised[i], 5e-9);
  const double forward[] = {0.11684973, 0.38795475, 0.02134652, 0.473849};
  c = choose_with("forward_kl", "self_normalised", "none"); // molecules
  const outputs away = evaluate(&c, &in);
  for (int i = 0; i < 4; i++) near(away.log_pf[2 * i], -forward[i], 5e-9);
}

static void golden_modified_db(void **unused) {
  (void)unused;
  inputs in = {.n = 1, .exits = true};
  in.offset[1] = 2;
  in.log_pf[0] = -1.3, in.log_pf[1] = in.exit[1] = -0.4, in.exit[0] = -2.0;
  in.log_pb[1] = -log(3.0); // two edges, now three
  in.r_state[0] = 1.1, in.r_state[1] = in.r_state[0] + 0.8;
  chosen c = choose("modified_db");
  set(&c, "loss", "huber");
  const outputs out = evaluate(&c, &in);
  near(out.loss, 0.179168336072, 1e-11);
  near(-out.log_pf[0], -0.598612288668, 1e-11); // Huber's slope is the error itself up to 1
  assert_true(out.exit[0] == -out.log_pf[0] && out.exit[1] == out.log_pf[0]); // both terms learn
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_over_steps),     cmocka_unit_test(exits_are_skipped),
      cmocka_unit_test(exits_of_the_target), cmocka_unit_test(the_engine_sees_the_same),
      cmocka_unit_test(golden_losses),       cmocka_unit_test(golden_modified_db),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
