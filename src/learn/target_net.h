// Target network: a slow copy of the parameters, for objectives that pull towards their own
// estimates.
//
//   target <- target + tau (parameters - target), after every `every`-th update
//
// It evaluates the rows of a batch beside the network proper, without gradients.
#ifndef FLUVIAL_LEARN_TARGET_NET_H
#define FLUVIAL_LEARN_TARGET_NET_H

#include "learn/batch.h"

typedef struct flv_target_net {
  flv_policy policy; // shares everything with the policy proper but params
  flv_batch batch;   // the same rows; its log_pf, log_pb, log_sum are the target's
  double tau;
  int64_t every;
} flv_target_net;

extern const flv_component *const flv_target_net_list[];

// cfg: values of section `target_network`. batch: the one it will shadow.
flv_status flv_target_net_init(flv_target_net *target, const void *cfg, const flv_policy *policy,
                               const flv_batch *batch, flv_error *err);
void flv_target_net_free(flv_target_net *target);

// Evaluates all rows of the batch by the target's parameters.
void flv_target_net_evaluate(flv_target_net *target, const flv_batch *batch, int threads);
// After an update; updates: how many there have been.
void flv_target_net_update(flv_target_net *target, const flv_policy *policy, int64_t updates);

#endif
