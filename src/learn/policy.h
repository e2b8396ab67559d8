// Policies: heads on a network program.
//
// The program's part before its mark gives P_F's logits and runs while sampling; the part after
// gives P_B's logits and log F(s) and runs once over all distinct states. log Z is one more
// parameter behind the block.
#ifndef FLUVIAL_LEARN_POLICY_H
#define FLUVIAL_LEARN_POLICY_H

#include "fluvial/config.h"
#include "fluvial/env.h"
#include "nn/net.h"

// Beside FLV_NEEDS_*: log n(s), which backward: max_entropy learns (learn/backward.h), and, shifted
// by FLV_HEADS_SHIFT, how many further heads P_F has (learn/heads.h).
enum { FLV_NEEDS_WAYS = 1 << 16, FLV_HEADS_SHIFT = 20 };

typedef struct flv_policy {
  const flv_env *env;
  flv_net *net;
  unsigned needs;       // FLV_NEEDS_* that it was made for
  bool tabular;         // networks read the state's index instead of its observation
  bool gated, unmasked; // how the exit's logit is read (learn/logits.h)
  int pf;               // buffer of P_F logits [rows, n_actions]
  int n_heads, heads;   // further heads of P_F; buffer of their logits [rows, n_heads, n_actions]
  int pb;               // buffer of P_B logits [rows, n_back]; -1: P_B is fixed
  double *fixed_log_pb; // [n_states, n_back] fixed P_B by state index; NULL: uniform
  int log_f;            // buffer of log F [rows, 1]; -1: none
  int log_n;            // buffer of log n, on P_B's trunk, [rows, 1]; -1: none
  float *params;        // [n_params]: the net's block, then log Z, then padding
  size_t n_params;
} flv_policy;

extern const flv_component *const flv_policy_list[]; // learn/policy_list.h

// needs: FLV_NEEDS_* of the objective and of the rule by which P_B learns, and the number of heads.
// On failure nothing is left to free.
flv_status flv_policy_init(flv_policy *policy, const flv_env *env, const flv_component *component,
                           const void *cfg, unsigned needs, uint64_t seed, flv_error *err);
void flv_policy_free(flv_policy *policy);

static inline float *flv_policy_log_z(const flv_policy *policy) {
  return policy->params + policy->net->n_params;
}

// Writes the observations of n states into rows row0 .. of acts; index_scratch [n] is used when
// tabular.
void flv_policy_observe(const flv_policy *policy, flv_acts *acts, int row0, int n,
                        const void *states, int64_t *index_scratch);

#endif
