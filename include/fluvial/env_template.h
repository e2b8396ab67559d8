// Environment template: functions of one state in, a table of batched functions out.
//
// Before including it, define
//   ENV       the type of your parameters; flv_env.self points to one
//   STATE     what a state begins with: a struct that fills the record, or, where records hold a
//             variable number of things, the type of one (the hypergrid: uint16_t, one a dimension)
//   ENV_OPS   name of the table to make: static const flv_env_ops ENV_OPS
// and, all static inline, with e your parameters and s the state's record:
//   void env_reset(const ENV *e, STATE *s)
//       s becomes s0; it is all zero on entry
//   void env_step(const ENV *e, STATE *s, int action)
//       takes a legal forward action, never the exit
//   void env_unstep(const ENV *e, STATE *s, int back)
//       takes a legal backward action
//   void env_mask(const ENV *e, const STATE *s, uint8_t *mask)
//       mask[a] = 1 for legal a, exit included
//   void env_mask_back(const ENV *e, const STATE *s, uint8_t *mask)
//       mask[b] = 1 for legal b; none at s0
//   int env_back_of(const ENV *e, const STATE *parent, int action)
//       backward action that undoes it
//   int env_action_of(const ENV *e, const STATE *child, int back)
//       forward action that it undoes
//   void env_observe(const ENV *e, const STATE *s, int32_t *hot, float *x)
//       flv_env.n_hot > 0: write hot[0 .. n_hot-1], each in [0, n_features), and leave x alone; a
//       state with fewer features writes -1 after its last one, up to the end;
//       n_hot = 0: write x[0 .. n_features-1] and leave hot alone. Distinct states look distinct.
// Optional, announced by a #define:
//   ENV_TERMINAL     bool env_terminal(const ENV *e, const STATE *s)
//       s is a finished object. For environments without exit action; without this #define no state
//       is terminal.
//   ENV_ENUMERABLE   int64_t env_index(const ENV *e, const STATE *s)
//                    void env_at(const ENV *e, int64_t index, STATE *s), s all zero on entry
//       A bijection with [0, flv_env.n_states); s0 is 0, every step leads to a larger index.
//   ENV_COLUMNS      void env_columns(const ENV *e, const STATE *s, int32_t *cell)
//                    bool env_from_columns(const ENV *e, const int32_t *cell, STATE *s), s all zero
//       How files write a state, flv_env.n_columns whole numbers, and back; false where they are
//       no state's. Without this #define they write what is observed.
//   ENV_OBJECTS      void env_identify(const ENV *e, const STATE *s, uint64_t key[2])
//                    flv_status env_text(const ENV *e, const STATE *s, char *text, size_t room,
//                                        flv_error *err)
//                    flv_status env_fingerprint(const ENV *e, const char *text, uint64_t *bits,
//                                               flv_error *err)
//       The object that a state writes, where several may write the same (flv_env_ops says more).
// All masks and x are zero on entry. One environment per .c file; the macros are undefined again at
// the end.
//
// The contract (tests/test_env.c walks every registered environment and checks it):
//   - The record has flv_env.state_size bytes, a multiple of 8, aligned to 8; sizeof(STATE) may be
//     smaller. Two states are the same object exactly when all state_size bytes are equal, so bytes
//     that mean nothing must stay zero, padding inside a struct included (order fields from large
//     to small and fill the rest).
//   - A step followed by env_unstep(env_back_of(..)) restores every byte. Several parents may lead
//     to a state; from one parent one action at most does.
//   - Every state that is not terminal has a legal action; terminal states have none.
//   - Functions are pure: no globals, no clock, no random numbers. Threads run them on the same e.
//
// A complete environment, strings of n bits written from left to right; its objects are the full
// strings:
//
//   #include "fluvial/env.h"
//
//   typedef struct bits { int n; } bits;
//   typedef struct bits_state { uint32_t word, length; } bits_state; // 8 bytes, no padding
//
//   #define ENV bits
//   #define STATE bits_state
//   #define ENV_OPS bits_ops
//   #define ENV_TERMINAL
//
//   static inline void env_reset(const bits *e, bits_state *s) { (void)e, (void)s; }
//   static inline void env_step(const bits *e, bits_state *s, int action) {
//     (void)e;
//     s->word |= (uint32_t)action << s->length++;
//   }
//   static inline void env_unstep(const bits *e, bits_state *s, int back) {
//     (void)e, (void)back;
//     s->word &= (UINT32_C(1) << --s->length) - 1;
//   }
//   static inline void env_mask(const bits *e, const bits_state *s, uint8_t *mask) {
//     mask[0] = mask[1] = s->length < (uint32_t)e->n;
//   }
//   static inline void env_mask_back(const bits *e, const bits_state *s, uint8_t *mask) {
//     (void)e;
//     mask[0] = s->length > 0;
//   }
//   static inline int env_back_of(const bits *e, const bits_state *parent, int action) {
//     (void)e, (void)parent, (void)action;
//     return 0;
//   }
//   static inline int env_action_of(const bits *e, const bits_state *child, int back) {
//     (void)e, (void)back;
//     return (int)(child->word >> (child->length - 1) & 1);
//   }
//   static inline void env_observe(const bits *e, const bits_state *s, int32_t *hot, float *x) {
//     (void)hot;
//     for (int i = 0; i < e->n; i++)
//       x[i] = i >= (int)s->length ? 0.0f : s->word >> i & 1 ? 1.0f : -1.0f;
//   }
//   static inline bool env_terminal(const bits *e, const bits_state *s) {
//     return s->length == (uint32_t)e->n;
//   }
//   #include "fluvial/env_template.h"
//
// and, where the program sets things up,
//
//   bits parameters = {.n = 8};
//   const flv_env env = {.name = "bits", .ops = &bits_ops, .self = &parameters,
//                        .state_size = sizeof(bits_state), .n_actions = 2, .n_back = 1,
//                        .exit_action = -1, .max_length = 8, .n_features = 8};
//
// flv_trainer_new(cfg, &env, &your_reward, ...) then trains on it.

#if !defined ENV || !defined STATE || !defined ENV_OPS
#error "define ENV, STATE and ENV_OPS before including fluvial/env_template.h"
#endif

#ifndef FLUVIAL_ENV_TEMPLATE_H
#define FLUVIAL_ENV_TEMPLATE_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fluvial/env.h"
#endif

// Record i of a batch.
#define ENV_RECORD(states, i)                                                                      \
  ((STATE *)(void *)((unsigned char *)(states) + (size_t)(i)*env->state_size))
#define ENV_CONST_RECORD(states, i)                                                                \
  ((const STATE *)(const void *)((const unsigned char *)(states) + (size_t)(i)*env->state_size))

_Static_assert(_Alignof(STATE) <= 8, "records are aligned to 8 bytes");

static void env_batch_reset(const flv_env *env, int n, void *states) {
  const ENV *e = env->self;
  memset(states, 0, (size_t)n * env->state_size);
  for (int i = 0; i < n; i++) env_reset(e, ENV_RECORD(states, i));
}

static void env_batch_step(const flv_env *env, int n, void *states, const int32_t *action) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++)
    if (action[i] >= 0 && action[i] != env->exit_action)
      env_step(e, ENV_RECORD(states, i), action[i]);
}

static void env_batch_unstep(const flv_env *env, int n, void *states, const int32_t *back) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++)
    if (back[i] >= 0) env_unstep(e, ENV_RECORD(states, i), back[i]);
}

static void env_batch_mask(const flv_env *env, int n, const void *states, uint8_t *mask) {
  const ENV *e = env->self;
  const size_t width = (size_t)env->n_actions;
  memset(mask, 0, (size_t)n * width);
  for (int i = 0; i < n; i++) env_mask(e, ENV_CONST_RECORD(states, i), mask + (size_t)i * width);
}

static void env_batch_mask_back(const flv_env *env, int n, const void *states, uint8_t *mask) {
  const ENV *e = env->self;
  const size_t width = (size_t)env->n_back;
  memset(mask, 0, (size_t)n * width);
  for (int i = 0; i < n; i++)
    env_mask_back(e, ENV_CONST_RECORD(states, i), mask + (size_t)i * width);
}

static void env_batch_back_of(const flv_env *env, int n, const void *parents, const int32_t *action,
                              int32_t *back) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++) {
    const bool moves = action[i] >= 0 && action[i] != env->exit_action;
    back[i] = moves ? env_back_of(e, ENV_CONST_RECORD(parents, i), action[i]) : -1;
  }
}

static void env_batch_action_of(const flv_env *env, int n, const void *children,
                                const int32_t *back, int32_t *action) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++)
    action[i] = back[i] >= 0 ? env_action_of(e, ENV_CONST_RECORD(children, i), back[i]) : -1;
}

static void env_batch_observe(const flv_env *env, int n, const void *states, int32_t *hot,
                              float *x) {
  const ENV *e = env->self;
  const size_t n_hot = (size_t)env->n_hot, n_features = (size_t)env->n_features;
  // The one not in use is NULL, which the compiler need not know: it would warn about code it
  // cannot reach.
  if (n_hot > 0) {
    for (int i = 0; i < n; i++)
      env_observe(e, ENV_CONST_RECORD(states, i), hot + (size_t)i * n_hot, x);
    return;
  }
  for (size_t k = 0; k < (size_t)n * n_features; k++) x[k] = 0.0f;
  for (int i = 0; i < n; i++)
    env_observe(e, ENV_CONST_RECORD(states, i), hot, x + (size_t)i * n_features);
}

static void env_batch_terminal(const flv_env *env, int n, const void *states, uint8_t *terminal) {
#ifdef ENV_TERMINAL
  const ENV *e = env->self;
  for (int i = 0; i < n; i++) terminal[i] = env_terminal(e, ENV_CONST_RECORD(states, i));
#else
  (void)env, (void)states;
  memset(terminal, 0, (size_t)n);
#endif
}

#ifdef ENV_ENUMERABLE
static void env_batch_index(const flv_env *env, int n, const void *states, int64_t *index) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++) index[i] = env_index(e, ENV_CONST_RECORD(states, i));
}

static void env_batch_at(const flv_env *env, int n, const int64_t *index, void *states) {
  const ENV *e = env->self;
  memset(states, 0, (size_t)n * env->state_size);
  for (int i = 0; i < n; i++) env_at(e, index[i], ENV_RECORD(states, i));
}
#endif

#ifdef ENV_COLUMNS
static void env_batch_columns(const flv_env *env, int n, const void *states, int32_t *cells) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++)
    env_columns(e, ENV_CONST_RECORD(states, i), cells + (size_t)i * (size_t)env->n_columns);
}

static bool env_one_from_columns(const flv_env *env, const int32_t *cells, void *state) {
  memset(state, 0, env->state_size);
  return env_from_columns(env->self, cells, state);
}
#endif

#ifdef ENV_OBJECTS
static void env_batch_identify(const flv_env *env, int n, const void *states, uint64_t *key) {
  const ENV *e = env->self;
  for (int i = 0; i < n; i++) env_identify(e, ENV_CONST_RECORD(states, i), key + 2 * (size_t)i);
}

static flv_status env_one_text(const flv_env *env, const void *state, char *text, size_t room,
                               flv_error *err) {
  return env_text(env->self, state, text, room, err);
}

static flv_status env_one_fingerprint(const flv_env *env, const char *text, uint64_t *bits,
                                      flv_error *err) {
  return env_fingerprint(env->self, text, bits, err);
}
#endif

static const flv_env_ops ENV_OPS = {
    .reset = env_batch_reset,
    .step = env_batch_step,
    .unstep = env_batch_unstep,
    .mask = env_batch_mask,
    .mask_back = env_batch_mask_back,
    .back_of = env_batch_back_of,
    .action_of = env_batch_action_of,
    .observe = env_batch_observe,
    .terminal = env_batch_terminal,
#ifdef ENV_ENUMERABLE
    .index = env_batch_index,
    .at = env_batch_at,
#endif
#ifdef ENV_COLUMNS
    .columns = env_batch_columns,
    .from_columns = env_one_from_columns,
#endif
#ifdef ENV_OBJECTS
    .identify = env_batch_identify,
    .text = env_one_text,
    .fingerprint = env_one_fingerprint,
#endif
};

#undef ENV_RECORD
#undef ENV_CONST_RECORD
#undef ENV
#undef STATE
#undef ENV_OPS
#undef ENV_TERMINAL
#undef ENV_ENUMERABLE
#undef ENV_COLUMNS
#undef ENV_OBJECTS
