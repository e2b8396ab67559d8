// Rewards: unnormalised log-densities on objects. Separate from environments, so that one
// environment serves many targets.
#ifndef FLUVIAL_REWARD_H
#define FLUVIAL_REWARD_H

#include "fluvial/config.h"
#include "fluvial/env.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flv_reward flv_reward;

struct flv_reward { // read-only after creation; threads share it
  const char *name;
  void *self;      // the reward's own parameters
  flv_shape shape; // shape the environment must take; n = 0: any
  // beta: flv_reward_log gives beta log R(x) (tempering). 0 means 1, so that a reward written with
  // designated initialisers need not name it.
  double exponent;
  // What R = 1 is in the unit in which people speak of it (a prediction of 8, say): the value of an
  // object is scale R, tempering left out. 0 means 1.
  double scale;
  // log_r[i] = log R(x_i), not yet multiplied by beta; -INFINITY where R = 0. Thread-safe. A
  // function of x_i alone, so that a run that goes on after a failure becomes what it would have
  // been. Where it can fail (a program that dies), it says so in err and log_r is of no use; nobody
  // asks for less when one object of a batch is at fault. States need not be objects:
  // forward-looking objectives and enumeration ask for all.
  flv_status (*log_reward)(const flv_reward *reward, const flv_env *env, int n, const void *states,
                           double *log_r, flv_error *err);
  // Checks that it can score this environment's states; may be NULL.
  flv_status (*bind)(const flv_reward *reward, const flv_env *env, flv_error *err);
  // Where the target has named modes, which may overlap: how many, and seen[m] = 1 for every mode m
  // that one object is in; else NULL.
  int (*modes)(const flv_reward *reward, const flv_env *env);
  void (*mark_modes)(const flv_reward *reward, const flv_env *env, const void *state,
                     uint8_t *seen);
  // Where there is a closed form: log of the sum of R(x)^beta over all objects, beta included; NaN
  // where there is none for this environment. NULL: there is none at all.
  double (*log_z)(const flv_reward *reward, const flv_env *env);
  // Of a reward that has to wait for something: once *stop is 1 (a signal handler sets it) it soon
  // gives up, with FLV_ESTOPPED. Called before it is asked; stop NULL: never. NULL: it never waits.
  void (*watch)(const flv_reward *reward, const volatile int *stop);
  void (*free_self)(void *self); // may be NULL
};

// What a reward's registry entry (flv_component.impl) points to.
typedef struct flv_reward_impl {
  flv_status (*create)(flv_reward *reward, const void *cfg, flv_error *err);
} flv_reward_impl;

// Makes the reward that cfg names (before the environment, which may take its shape). NULL on
// failure.
flv_reward *flv_reward_new(const flv_config *cfg, flv_error *err);
void flv_reward_free(flv_reward *reward); // accepts NULL

// Has a reward that waits (see `watch`) give up once *stop is 1; nothing to others.
void flv_reward_watch(const flv_reward *reward, const volatile int *stop);

// exponent * log R(x_i) for n states; -INFINITY where R = 0. What the reward fails with, or
// FLV_ENAN if a log R is NaN or +INFINITY; the message names the reward and the object.
flv_status flv_reward_log(const flv_reward *reward, const flv_env *env, int n, const void *states,
                          double *log_r, flv_error *err);

// The value that a log-reward of flv_reward_log stands for, scale exp(log_r / exponent); and back,
// -INFINITY for 0.
double flv_reward_value(const flv_reward *reward, double log_r);
double flv_reward_log_of(const flv_reward *reward, double value);

// log sum_x R(x)^exponent by the reward's closed form; NaN if it has none.
double flv_reward_log_z(const flv_reward *reward, const flv_env *env);

#ifdef __cplusplus
}
#endif
#endif
