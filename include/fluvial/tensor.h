// A named array with a type and a shape: what a checkpoint is made of.
#ifndef FLUVIAL_TENSOR_H
#define FLUVIAL_TENSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum flv_dtype { FLV_F32, FLV_F64, FLV_I32, FLV_I64, FLV_U8 } flv_dtype;

typedef struct flv_tensor { // C order; `data` belongs to whoever filled it in
  char name[96];
  flv_dtype dtype;
  int n_dims;
  int64_t dim[4];
  void *data;
} flv_tensor;

#ifdef __cplusplus
}
#endif
#endif
