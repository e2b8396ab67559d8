// The policies, one line each; the first is the default. A new one is a file that defines
// flv_policy_<name>, a flv_component whose impl is a flv_policy_impl, and a line here.
#ifndef FLUVIAL_LEARN_POLICY_LIST_H
#define FLUVIAL_LEARN_POLICY_LIST_H

#include "learn/policy.h"

#define FLV_POLICIES(X)                                                                            \
  X(mlp)                                                                                           \
  X(tabular)                                                                                       \
  X(graph_network)                                                                                 \
  X(transformer)                                                                                   \
  X(fragment_network)

#define FLV_POLICY_DECLARE(name) extern const flv_component flv_policy_##name;
FLV_POLICIES(FLV_POLICY_DECLARE)
#undef FLV_POLICY_DECLARE

// Keys that policies share: where P_B comes from, and how the exit's logit is read.
enum { FLV_PB_LEARNED, FLV_PB_TIED, FLV_PB_UNIFORM, FLV_PB_MAX_ENTROPY };
#define FLV_PB_WORDS "learned|tied|uniform|max_entropy"
enum { FLV_EXIT_JOINT, FLV_EXIT_GATED, FLV_EXIT_UNMASKED };
#define FLV_EXIT_WORDS "joint|gated|unmasked"
#define FLV_EXIT_HELP                                                                              \
  "how P_F ends: a softmax over all actions, or P_F(exit) = sigmoid of its logit and a softmax "   \
  "over the others; unmasked: joint, but P_F in a loss gives the exit probability even where it "  \
  "is not legal, and never taken (released code for molecules)"

typedef struct flv_policy_shared {
  int p_b, exit;
  double log_z; // initial
} flv_policy_shared;

typedef struct flv_policy_impl {
  // Can it act in env? FLV_EINVAL and why if not.
  flv_status (*check)(const flv_env *env, const void *cfg, unsigned needs, flv_error *err);
  // Records the network into policy->net, whose env and needs are set, and fills in the buffers of
  // the heads; returns its values of the shared keys.
  flv_policy_shared (*record)(flv_policy *policy, const void *cfg);
} flv_policy_impl;

static inline bool flv_pb_has_network(int p_b) {
  return p_b == FLV_PB_LEARNED || p_b == FLV_PB_TIED;
}

#endif
