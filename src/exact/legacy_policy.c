#include "exact/legacy_policy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "exact/legacy_paths.h"

bool flv_legacy_possible(const flv_trainer *trainer) {
  return flv_fragments_of(trainer->env) && trainer->policy.net->kind == FLV_INPUT_TREES &&
         !trainer->policy.gated;
}

// Every kind of block with a slot more, behind its own; the empty state's has only that.
static flv_status add_slots(flv_legacy_policy *p, const flv_fragments *e, flv_error *err) {
  const int kinds = e->vocabulary.n_blocks + 1, slots = e->slots + 1;
  p->kinds = calloc((size_t)kinds * (size_t)(1 + slots), sizeof *p->kinds);
  if (!p->kinds) return flv_fail(err, FLV_ENOMEM, "out of memory for %d blocks", kinds - 1);
  p->fragments = *e;
  p->fragments.slots = slots;
  p->fragments.n_slots = p->kinds;
  p->fragments.stem_type = p->kinds + kinds;
  for (int k = 0; k < kinds; k++) {
    const bool empty = k == kinds - 1;
    int32_t *type = p->fragments.stem_type + k * slots;
    memcpy(type, e->stem_type + k * e->slots, (size_t)e->slots * sizeof *type);
    p->fragments.n_slots[k] = e->n_slots[k] + !empty;
    if (!empty) type[e->n_slots[k]] = e->vocabulary.n_stem_types;
  }
  return FLV_OK;
}

static void widen(flv_env *env, const flv_env *of, flv_fragments *e) {
  const int m = e->max_blocks, k = e->vocabulary.n_blocks;
  *env = *of;
  env->self = e;
  env->exit_action = (m - 1) * e->slots * k;
  env->n_actions = env->exit_action + 1;
  env->n_features = m * (k + m * e->slots + 1);
  env->free_self = NULL;
}

flv_status flv_legacy_policy_init(flv_legacy_policy *policy, const flv_trainer *trainer,
                                  flv_error *err) {
  flv_legacy_policy *p = policy;
  const flv_policy *of = &trainer->policy;
  *p = (flv_legacy_policy){.kinds = NULL};
  flv_status status = add_slots(p, flv_fragments_of(trainer->env), err);
  if (status == FLV_OK) {
    widen(&p->env, trainer->env, &p->fragments);
    status = flv_policy_init(&p->policy, &p->env, flv_config_component(trainer->cfg, "policy"),
                             flv_config_values(trainer->cfg, "policy"), of->needs, 0, err);
  }
  if (status == FLV_OK) { // no tensor's shape depends on the number of slots
    assert(p->policy.n_params == of->n_params);
    memcpy(p->policy.params, of->params, of->n_params * sizeof *of->params);
    status = flv_pf_rows_init(&p->rows, &p->policy, FLV_PATHS_CHUNK, trainer->threads, err);
  }
  if (status != FLV_OK) flv_legacy_policy_free(p);
  return status;
}

void flv_legacy_policy_free(flv_legacy_policy *policy) {
  flv_pf_rows_free(&policy->rows);
  if (policy->policy.net) flv_policy_free(&policy->policy);
  free(policy->kinds);
  *policy = (flv_legacy_policy){.kinds = NULL};
}

void flv_legacy_policy_logits(void *policy, int n, const void *states, float *logits) {
  flv_legacy_policy *p = policy;
  const size_t width = (size_t)p->env.n_actions;
  memcpy(logits, flv_pf_rows_logits(&p->rows, n, states), (size_t)n * width * sizeof *logits);
}
