// The objectives, one line each; the first is the default. A new one is a file (or a function in
// one) that defines flv_objective_<name> as a flv_component whose impl is a flv_objective, and a
// line here.
#ifndef FLUVIAL_LEARN_OBJECTIVE_LIST_H
#define FLUVIAL_LEARN_OBJECTIVE_LIST_H

#define FLV_OBJECTIVES(X)                                                                          \
  X(tb)                                                                                            \
  X(db)                                                                                            \
  X(modified_db)                                                                                   \
  X(subtb)                                                                                         \
  X(fl_db)                                                                                         \
  X(fl_subtb)                                                                                      \
  X(log_variance)                                                                                  \
  X(contrastive_balance)                                                                           \
  X(flow_matching)                                                                                 \
  X(soft_dqn)                                                                                      \
  X(reverse_kl)                                                                                    \
  X(forward_kl)                                                                                    \
  X(wake_sleep)                                                                                    \
  X(reverse_wake_sleep)                                                                            \
  X(mixed_kl)                                                                                      \
  X(symmetric_cycles)                                                                              \
  X(renyi)                                                                                         \
  X(tsallis)                                                                                       \
  X(mle)

#endif
