// A random linear-Gaussian model and its samples, in memory.
#ifndef FLUVIAL_SYNTH_DAG_DATA_H
#define FLUVIAL_SYNTH_DAG_DATA_H

#include "fluvial/synth.h"

enum { FLV_SYNTH_MAX = 64 };

typedef struct flv_dag_model {
  int d;
  int order[FLV_SYNTH_MAX];                     // variables, parents before children
  uint64_t parents[FLV_SYNTH_MAX];              // bit i of parents[j]: the edge i -> j
  double weight[FLV_SYNTH_MAX * FLV_SYNTH_MAX]; // [d*d], row i, column j; 0 without an edge
  double noise;
  uint64_t seed;
} flv_dag_model;

// FLV_EINVAL: a number out of range.
flv_status flv_dag_model_draw(flv_dag_model *model, const flv_synth_dag *synth, flv_error *err);

// Sample number `row` into x [d].
void flv_dag_model_sample(const flv_dag_model *model, uint32_t row, double *x);

// A, B .. Z, AA, AB .. of variable j < 702.
enum { FLV_SYNTH_NAME = 4 };
void flv_synth_name(int j, char name[FLV_SYNTH_NAME]);

#endif
