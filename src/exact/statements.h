// The statements that `fluvial gradients` checks, one line each.
//
// A statement computes two sides by ways that share nothing but the policy's logits, and reports
// the largest relative difference. One side calls the objectives' own loss functions, the other
// differentiates exact functionals in complex numbers, unless a line says otherwise.
#ifndef FLUVIAL_EXACT_STATEMENTS_H
#define FLUVIAL_EXACT_STATEMENTS_H

#include "exact/check.h"

typedef struct flv_statement {
  const char *text, *source;
  void (*run)(flv_check *check, const char *objective);
  const char *objective; // for run
} flv_statement;

extern const flv_statement flv_statement_list[]; // ended by one without text

// One in each theme's file; `objective` is not used where there is one to a statement.
#define FLV_STATEMENTS(X)                                                                          \
  X(tb_for_pf) /* statements_balance.c */                                                          \
  X(tb_for_pb)                                                                                     \
  X(tb_equation_9)                                                                                 \
  X(tb_any_log_z)                                                                                  \
  X(tb_by_reverse_kl)                                                                              \
  X(tb_loss)                                                                                       \
  X(db_loss)                                                                                       \
  X(path_loss)                                                                                     \
  X(regression)                                                                                    \
  X(pairs)                                                                                         \
  X(flow_matching) /* statements_flow.c */                                                         \
  X(soft_dqn)                                                                                      \
  X(soft_dqn_db)                                                                                   \
  X(fragments)                                                                                     \
  X(soft_dqn_optimum)                                                                              \
  X(divergence) /* statements_divergence.c */                                                      \
  X(divergence_log_z)                                                                              \
  X(mixture)                                                                                       \
  X(baseline_local)                                                                                \
  X(baseline_alone)                                                                                \
  X(log_variance)                                                                                  \
  X(contrastive)                                                                                   \
  X(maximum_likelihood)                                                                            \
  X(data_processing)                                                                               \
  X(alpha) /* statements_alpha.c */                                                                \
  X(tsallis)                                                                                       \
  X(renyi)                                                                                         \
  X(order)                                                                                         \
  X(order_one)                                                                                     \
  X(estimator) /* statements_weights.c */                                                          \
  X(subtb)     /* statements_subtb.c */                                                            \
  X(subtb_ends)                                                                                    \
  X(optimum) /* statements_engine.c */                                                             \
  X(two_ways)                                                                                      \
  X(pipeline)                                                                                      \
  X(network)

#define FLV_STATEMENT_DECLARE(name) void flv_state_##name(flv_check *check, const char *objective);
FLV_STATEMENTS(FLV_STATEMENT_DECLARE)
#undef FLV_STATEMENT_DECLARE

#endif
