#include "lab/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "lab/words.h"
#include "learn/objective.h"

static const char default_objectives[] =
    "tb:loss=half_squared,log_variance:loss=half_squared,reverse_kl,forward_kl";
static const char default_baselines[] = "none,local,global,leave_one_out,optimal";
static const char default_weights[] = "none,plain,self_normalised,clipped";
static const char optimal[] = "optimal";

// ---- one objective ----

// ":alpha=2:loss=huber" into the values.
static flv_status set_options(const flv_component *c, flv_lab_values *cfg, const char *options,
                              flv_error *err) {
  for (; *options; options += strcspn(options, ":")) {
    char name[48], value[48];
    int used = 0;
    const flv_param *param = NULL;
    if (sscanf(options, ":%47[^=:]=%47[^:]%n", name, value, &used) == 2 && used > 0)
      param = flv_param_find(c, name);
    if (!param)
      return flv_fail(err, FLV_EINVAL, "objectives: '%s': expected %s:KEY=VALUE, of its own keys",
                      options, c->name);
    if (flv_param_parse(param, value, cfg->bytes, err) != FLV_OK)
      return flv_error_prefix(err, "objectives: %s:%s=%s", c->name, name, value);
    options++;
  }
  return FLV_OK;
}

static flv_status check_needs(const flv_component *c, const void *cfg, const flv_policy *policy,
                              flv_error *err) {
  const unsigned needs = flv_objective_needs(c->impl, cfg);
  if (needs & (FLV_NEEDS_FLOWS | FLV_NEEDS_INFLOW | FLV_NEEDS_TARGET))
    return flv_fail(err, FLV_EINVAL,
                    "objectives: '%s' reads flows of edges or a target network, which the "
                    "laboratory has not",
                    c->name);
  if (needs & FLV_NEEDS_LOG_F && policy->log_f < 0)
    return flv_fail(err, FLV_EINVAL,
                    "objectives: '%s' reads log F, which the configuration's own objective does "
                    "not learn",
                    c->name);
  if (needs & FLV_NEEDS_EXIT && !flv_env_exits_anywhere(policy->env))
    return flv_fail(err, FLV_EINVAL,
                    "objectives: '%s' needs an exit from every state, which '%s' has not", c->name,
                    policy->env->name);
  return FLV_OK;
}

static flv_status find(flv_lab_spec *s, const char *word, const flv_config *cfg,
                       const flv_policy *policy, flv_error *err) {
  const size_t length = strcspn(word, ":");
  const flv_component *own = flv_config_component(cfg, "objective");
  const flv_component *const *list = flv_objective_list;
  while (*list && (strncmp((*list)->name, word, length) != 0 || (*list)->name[length])) list++;
  s->component = *list;
  if (!s->component && strncmp(own->name, word, length) == 0 && !own->name[length])
    s->component = own; // one of the caller's own
  if (!s->component)
    return flv_fail(err, FLV_EINVAL, "objectives: there is no '%.*s'", (int)length, word);
  if (s->component->size > FLV_LAB_CFG || strlen(word) >= sizeof s->name)
    return flv_fail(err, FLV_EINVAL, "objectives: '%s' is too large", word);
  strcpy(s->name, word);
  if (s->component == own)
    memcpy(s->cfg.bytes, flv_config_values(cfg, "objective"), own->size);
  else
    FLV_TRY(flv_params_default(s->component, s->cfg.bytes, err));
  s->baseline = flv_param_find(s->component, "baseline");
  s->weights = flv_param_find(s->component, "weights");
  s->constant = flv_param_find(s->component, "constant");
  FLV_TRY(set_options(s->component, &s->cfg, word + length, err));
  return check_needs(s->component, s->cfg.bytes, policy, err);
}

static bool set_word(const flv_param *param, const char *word, flv_lab_values *cfg) {
  flv_error ignored = {0};
  return flv_param_parse(param, word, cfg->bytes, &ignored) == FLV_OK;
}

// ---- what a baseline has an effect on ----

enum { PROBE = 2, POSITIONS = 2 * PROBE };

// Cotangents of log P_F and log P_B of a made-up batch.
static void ask(const flv_lab_spec *s, const flv_lab_values *cfg, double d[2][POSITIONS]) {
  static const int32_t offset[PROBE + 1] = {0, 2, 4};
  static const double log_pf[] = {-0.3, -0.9, -0.7, -0.2}, log_pb[] = {0.0, -0.4, 0.0, -0.6};
  static const double log_r[] = {-0.1, 0.8}, log_pi[] = {-1.5, -0.6}, zero[POSITIONS] = {0.0};
  double scratch[6 * PROBE + 2 * POSITIONS], log_f[POSITIONS] = {0.0}, exit[POSITIONS] = {0.0};
  const flv_trajectories t = {.n = PROBE,
                              .offset = offset,
                              .log_pf = log_pf,
                              .log_pb = log_pb,
                              .log_f = zero,
                              .log_pf_exit = log_pf,
                              .log_r_state = zero,
                              .log_r = log_r,
                              .log_pi = log_pi,
                              .log_z = 0.5,
                              .exits = true,
                              .scratch = scratch};
  memset(d, 0, 2 * sizeof d[0]);
  flv_cotangents out = {
      .log_pf = d[0], .log_pb = d[1], .log_f = log_f, .log_pf_exit = exit, .ess = PROBE};
  const flv_chosen chosen = flv_lab_chosen(s, cfg);
  chosen.objective->loss(chosen.cfg, &t, &out);
}

static void probe_scores(flv_lab_spec *s) {
  if (!s->baseline || !s->constant) return;
  double zero[2][POSITIONS], one[2][POSITIONS];
  const flv_lab_values a = flv_lab_with_constant(s, 0.0), b = flv_lab_with_constant(s, 1.0);
  ask(s, &a, zero);
  ask(s, &b, one);
  for (int side = 0; side < 2; side++)
    s->scores[side] = memcmp(zero[side], one[side], sizeof zero[side]) != 0;
}

// ---- the list ----

static flv_status add(flv_lab_specs *l, const flv_lab_spec *s, flv_error *err) {
  flv_lab_spec *more = realloc(l->spec, ((size_t)l->n + 1) * sizeof *more);
  if (!more) return flv_fail(err, FLV_ENOMEM, "out of memory for %d estimators", l->n + 1);
  l->spec = more;
  l->spec[l->n++] = *s;
  return FLV_OK;
}

static flv_status add_baselines(flv_lab_specs *l, const flv_lab_spec *base, const char *words,
                                flv_error *err) {
  char word[FLV_LAB_WORD];
  bool first = true;
  for (const char *at = words; flv_lab_word(&at, word); first = false) {
    flv_lab_spec s = *base;
    s.first = first;
    s.optimal = strcmp(word, optimal) == 0;
    if (s.baseline && !s.optimal && !set_word(s.baseline, word, &s.cfg))
      return flv_fail(err, FLV_EINVAL, "baselines: '%s': expected %s or optimal", word,
                      s.baseline->choices);
    snprintf(s.baseline_word, sizeof s.baseline_word, "%.15s", s.baseline ? word : "-");
    FLV_TRY(add(l, &s, err));
    if (!s.scores[0] && !s.scores[1]) break; // it has none: one will do
  }
  return FLV_OK;
}

static flv_status add_weights(flv_lab_specs *l, const flv_lab_spec *base,
                              const flv_estimators_options *o, flv_error *err) {
  char word[FLV_LAB_WORD];
  const char *baselines = o->baselines ? o->baselines : default_baselines;
  for (const char *at = o->weights ? o->weights : default_weights; flv_lab_word(&at, word);) {
    flv_lab_spec s = *base;
    if (s.weights && !set_word(s.weights, word, &s.cfg))
      return flv_fail(err, FLV_EINVAL, "weights: '%s': expected %s", word, s.weights->choices);
    snprintf(s.weights_word, sizeof s.weights_word, "%.19s", s.weights ? word : "-");
    FLV_TRY(add_baselines(l, &s, baselines, err));
    if (!s.weights) break;
  }
  return FLV_OK;
}

flv_status flv_lab_specs_init(flv_lab_specs *specs, const flv_config *cfg,
                              const flv_estimators_options *options, const flv_policy *policy,
                              flv_error *err) {
  flv_lab_specs l = {0};
  char word[FLV_LAB_WORD];
  flv_status status = FLV_OK;
  const char *at = options->objectives ? options->objectives : default_objectives;
  while (status == FLV_OK && flv_lab_word(&at, word)) {
    flv_lab_spec s = {.objective = l.n_objectives++};
    status = find(&s, word, cfg, policy, err);
    if (status != FLV_OK) break;
    l.needs |= flv_objective_needs(s.component->impl, s.cfg.bytes);
    probe_scores(&s);
    status = add_weights(&l, &s, options, err);
  }
  if (status == FLV_OK && l.n == 0)
    status = flv_fail(err, FLV_EINVAL, "objectives, baselines and weights: none is named");
  if (status != FLV_OK)
    flv_lab_specs_free(&l);
  else
    *specs = l;
  return status;
}

void flv_lab_specs_free(flv_lab_specs *specs) {
  free(specs->spec);
  *specs = (flv_lab_specs){0};
}

flv_lab_values flv_lab_with_constant(const flv_lab_spec *spec, double constant) {
  flv_lab_values cfg = spec->cfg;
  set_word(spec->baseline, "constant", &cfg);
  memcpy(cfg.bytes + spec->constant->offset, &constant, sizeof constant);
  return cfg;
}

flv_lab_values flv_lab_unbiased(const flv_lab_spec *spec, bool plain) {
  flv_lab_values cfg = spec->cfg;
  if (!spec->weights) return cfg;
  set_word(spec->weights, plain ? "plain" : "self_normalised", &cfg);
  if (spec->baseline) set_word(spec->baseline, plain ? "none" : "global", &cfg);
  const flv_param *released = flv_param_find(spec->component, "released");
  if (released) set_word(released, "false", &cfg);
  return cfg;
}
