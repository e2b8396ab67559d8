// What statements are checked with: expected gradients of objectives on one side, derivatives of
// exact functionals on the other, and the largest relative difference between them.
#ifndef FLUVIAL_EXACT_CHECK_H
#define FLUVIAL_EXACT_CHECK_H

#include "exact/functionals.h"
#include "exact/problem.h"

enum { FLV_CHECK_SLOPES = 4, FLV_CHECK_DIRECTIONS = 12 };

typedef struct flv_check { // one statement on one problem
  flv_problem *p;
  const flv_component *const *objectives; // where names are looked up; NULL at the end
  double residual;                        // largest so far, with respect to logits
  double parameters;                      // and to network parameters; both negative before the
                                          // first comparison
  char why[160];                          // why something could not be compared, or empty
  // Derivatives: with few parameters all of them, else along some directions of each part (the unit
  // vectors of some entries, and random signs for all of them).
  struct {
    double *value; // vectors of the problem
    int parts;
    bool whole;
  } slopes[FLV_CHECK_SLOPES];
} flv_check;

// Statements may use the problem's vectors from here on; those before hold slopes.
enum { FLV_CHECK_VECTOR = FLV_CHECK_SLOPES };

// Says why a comparison cannot be made; what was compared before stands.
void flv_check_skip(flv_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// What to take the expectation of.
typedef struct flv_spec {
  const char *objective, *options; // "tb", "weights=plain baseline=none" or ""
  flv_behaviour behaviour;
  int batch;
} flv_spec;

enum { FLV_CHOICE_BYTES = 512 };
typedef struct flv_choice { // an objective and memory for its options
  flv_chosen chosen;
  _Alignas(16) unsigned char cfg[FLV_CHOICE_BYTES];
} flv_choice;
// False, with the reason in the check: no objective of that name, or an option it does not take.
bool flv_check_choose(flv_check *check, flv_choice *choice, const char *objective,
                      const char *options);

// Whether all batches of this many trajectories are enumerated.
bool flv_check_enumerates(const flv_check *check, int batch);

// E[G], [layout.size], under the present parameters: by enumeration, or by dynamic programming when
// batches are too many and the objective is linear. Also *loss, E[loss] (NaN by dynamic
// programming), unless NULL. False, with the reason in the check, when neither can be.
bool flv_check_expect(flv_check *check, double *grad, double *loss, const flv_spec *spec);

// Derivatives of a functional into slot 0 .. FLV_CHECK_SLOPES-1. Those that walk over trajectories
// (flv_fixed.paths) are said to: they cost more.
void flv_check_derive_paths(flv_check *check, int slot, flv_functional f, const void *argument,
                            int parts);
void flv_check_derive(flv_check *check, int slot, flv_functional f, const void *argument,
                      int parts);

// grad against scale times the derivatives in the slot; both also as gradients of network
// parameters when all derivatives are there.
void flv_check_slopes(flv_check *check, const double *grad, double scale, int slot);
// a against scale times b, over the parts.
void flv_check_vectors(flv_check *check, const double *a, double scale, const double *b, int parts);
void flv_check_numbers(flv_check *check, double a, double b); // relative to max(|b|, 1e-3)
void flv_check_add(flv_check *check, double residual);

// The gradient of the expected loss, with the behaviour policy held fixed: an expected gradient
// against the derivatives of f(fixed), into slot 0 and the first vector, and the losses. f walks
// over trajectories where fixed->paths is there. False as for flv_check_expect.
bool flv_check_loss(flv_check *check, const flv_spec *spec, flv_functional f,
                    const flv_fixed *fixed, int parts);

// Learned log Z from here on, for both sides.
void flv_check_set_log_z(flv_check *check, double log_z);

// The fixed policy `behaviour`, for functionals.
flv_fixed flv_check_fixed(const flv_check *check, flv_behaviour behaviour);

#endif
