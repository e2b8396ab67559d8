// Environments: objects built step by step.
//
// A state is a fixed-size record of bytes that can be compared and hashed (unused bytes are zero).
// A trajectory starts at s0, takes forward actions, and ends in one of two ways:
//   - environments with an exit action (exit_action >= 0) end by taking it; the object is the state
//     where it was taken, and P_B of that last step is 1;
//   - environments without one end in states for which `terminal` holds; these have no forward
//     actions.
// All functions work on batches: n states, state_size bytes each, one after another, the first
// aligned to 8 bytes. They cannot fail, but for those that return a status. env_template.h makes
// this table out of one-state inline functions.
#ifndef FLUVIAL_ENV_H
#define FLUVIAL_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  FLV_MAX_DIMS = 16,
  FLV_OBJECT_TEXT = 4097,  // holds the text of any object, and the zero byte after it
  FLV_FINGERPRINT_MAX = 64 // most words of a fingerprint
};

// Shape that a reward read from a file gives to the environment; n = 0: no opinion.
typedef struct flv_shape {
  int n;
  int side[FLV_MAX_DIMS];
} flv_shape;

typedef struct flv_env flv_env;

typedef struct flv_env_ops {
  void (*reset)(const flv_env *env, int n, void *states);
  // Actions are legal ones, or -1 or exit_action, which leave the state as it is; back -1 likewise.
  void (*step)(const flv_env *env, int n, void *states, const int32_t *action);
  void (*unstep)(const flv_env *env, int n, void *states, const int32_t *back);
  // mask[i*n_actions + a] = 1 where action a is legal at state i; likewise over n_back.
  void (*mask)(const flv_env *env, int n, const void *states, uint8_t *mask);
  void (*mask_back)(const flv_env *env, int n, const void *states, uint8_t *mask);
  // Backward action that undoes action[i] taken at parent i; forward action that backward action
  // back[i] of child i undoes. -1 for those that leave the state as it is.
  void (*back_of)(const flv_env *env, int n, const void *parents, const int32_t *action,
                  int32_t *back);
  void (*action_of)(const flv_env *env, int n, const void *children, const int32_t *back,
                    int32_t *action);
  // What networks read: hot[i*n_hot + k] in [0, n_features), or x[i*n_features + k] when n_hot = 0.
  // The one not in use is NULL. States with fewer than n_hot features end their list with -1, which
  // is no feature; nothing but -1 follows a -1. Where n_nodes > 0, states are directed graphs and
  // the list is of their edges, ascending: feature i*n_nodes + j is the edge i -> j.
  void (*observe)(const flv_env *env, int n, const void *states, int32_t *hot, float *x);
  void (*terminal)(const flv_env *env, int n, const void *states, uint8_t *terminal);
  // state <-> index in [0, n_states), a topological order: s0 is 0, every step leads to a larger
  // index. Only for n_states > 0; may be NULL otherwise.
  void (*index)(const flv_env *env, int n, const void *states, int64_t *index);
  void (*at)(const flv_env *env, int n, const int64_t *index, void *states);
  // State <-> the n_columns numbers that files write for it; the second says whether the numbers
  // are a state's, which it then writes to state [state_size]. Only for n_columns > 0; may be NULL
  // otherwise.
  void (*columns)(const flv_env *env, int n, const void *states, int32_t *cells);
  bool (*from_columns)(const flv_env *env, const int32_t *cells, void *state);
  // Where states are ways to write objects, of which there may be several for one (trees of
  // fragments and their molecules): the objects. Only for text_name; may be NULL otherwise.
  // 128 bits of each, key[2 i] and key[2 i + 1], both zero for s0 alone: the same for the same
  // object and, but for a chance of about n^2 2^-128 among n, for no others.
  void (*identify)(const flv_env *env, int n, const void *states, uint64_t *key);
  // One line for people and other programs, without commas, quotes and spaces, the same for the
  // same object, "" for s0. FLV_ENOMEM; FLV_EINVAL if it does not fit in `room` bytes.
  flv_status (*text)(const flv_env *env, const void *state, char *text, size_t room,
                     flv_error *err);
  // What an object of that text has in common with others: bits [n_fingerprint]. FLV_EINVAL if it
  // is no object's; FLV_ENOMEM.
  flv_status (*fingerprint)(const flv_env *env, const char *text, uint64_t *bits, flv_error *err);
} flv_env_ops;

struct flv_env { // read-only after creation; threads share it
  const char *name;
  const flv_env_ops *ops;
  void *self;                    // the environment's own parameters
  size_t state_size;             // bytes per state, a multiple of 8
  int n_actions;                 // forward actions, exit included
  int n_back;                    // backward actions
  int exit_action;               // the action that ends, or -1
  bool restricted_exit;          // it is not legal everywhere: other states are no objects
  int max_length;                // most forward actions in one trajectory, exit included
  int n_hot;                     // most hot indices of a state; 0: dense observations
  int n_features;                // width of the observation
  int n_nodes;                   // of graphs observed as edges, n_nodes^2 = n_features; else 0
  int n_positions;               // of a row of positions: hot[p] is always position p's feature,
                                 // n_hot = n_positions; else 0
  int n_symbols;                 // features of each position, p n_symbols .. (p+1) n_symbols - 1
                                 // those of p; 0: positions differ in that
  int n_columns;                 // whole numbers of an object in a file; 0: those of what is
                                 // observed (coordinates, an adjacency matrix)
  const char *text_name;         // what objects' texts are called in tables ("smiles"); NULL: they
                                 // have none
  int n_fingerprint;             // 64-bit words of a fingerprint; only with text_name
  int64_t n_states;              // 0: not enumerable
  flv_shape shape;               // grid-like environments: their sides; else n = 0
  void (*free_self)(void *self); // may be NULL
};

// Can every state be ended at, so that each is an object?
static inline bool flv_env_exits_anywhere(const flv_env *env) {
  return env->exit_action >= 0 && !env->restricted_exit;
}

// What an environment's registry entry (flv_component.impl) points to.
typedef struct flv_env_impl {
  // cfg: values of its parameters. Fills *env; on failure leaves nothing to free.
  flv_status (*create)(flv_env *env, const void *cfg, const flv_shape *shape, flv_error *err);
} flv_env_impl;

// Makes the environment that cfg names; shape NULL or from the reward. NULL on failure.
flv_env *flv_env_new(const flv_config *cfg, const flv_shape *shape, flv_error *err);
void flv_env_free(flv_env *env); // accepts NULL

#ifdef __cplusplus
}
#endif
#endif
