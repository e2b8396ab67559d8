// Which estimators the laboratory compares: objectives with their options, importance weights and
// baselines.
#ifndef FLUVIAL_LAB_SPEC_H
#define FLUVIAL_LAB_SPEC_H

#include "exact/walks.h"
#include "fluvial/estimators.h"
#include "learn/policy.h"

enum { FLV_LAB_CFG = 512 }; // bytes of an objective's options

typedef struct flv_lab_values {
  _Alignas(16) unsigned char bytes[FLV_LAB_CFG];
} flv_lab_values;

typedef struct flv_lab_spec {
  const flv_component *component;
  const flv_param *baseline, *weights, *constant; // NULL: it has none
  int objective;                                  // place in the list of objectives
  char name[96];                                  // as given
  char baseline_word[16], weights_word[20];
  bool optimal;   // the baseline is a constant to be found
  bool scores[2]; // a baseline has an effect on the gradient of P_F, of P_B
  bool first;     // first of its objective and weights: stands for policies without
                  // score terms
  flv_lab_values cfg;
} flv_lab_spec;

typedef struct flv_lab_specs {
  int n, n_objectives;
  unsigned needs; // of all of them
  flv_lab_spec *spec;
} flv_lab_specs;

// From options' lists. cfg: an objective that it names keeps the options it has there. The policy
// and environment must have what objectives need.
flv_status flv_lab_specs_init(flv_lab_specs *specs, const flv_config *cfg,
                              const flv_estimators_options *options, const flv_policy *policy,
                              flv_error *err);
void flv_lab_specs_free(flv_lab_specs *specs);

static inline flv_chosen flv_lab_chosen(const flv_lab_spec *spec, const flv_lab_values *cfg) {
  return (flv_chosen){spec->component->impl, cfg->bytes};
}

// The options with this number as baseline.
flv_lab_values flv_lab_with_constant(const flv_lab_spec *spec, double constant);

// The options whose expectation is the divergence's gradient: plain weights (unbiased where log Z
// is the true one) or self-normalised ones, and a baseline that needs no other trajectory. Of
// objectives without weights: as they are.
flv_lab_values flv_lab_unbiased(const flv_lab_spec *spec, bool plain);

#endif
