// Checkpoints in the safetensors format: 8 bytes of header length, a JSON header, the data.
// The header's __metadata__ holds strings: ours include "format": "fluvial", the resolved configuration,
// and "xxh3": a checksum of the data, so that an altered file is refused.
#ifndef FLUVIAL_IO_SAFETENSORS_H
#define FLUVIAL_IO_SAFETENSORS_H

#include "fluvial/status.h"
#include "fluvial/tensor.h"

typedef struct flv_meta {
  const char *key, *value;
} flv_meta;

// Writes atomically (io/file.h).
flv_status flv_safetensors_write(const char *path, int n, const flv_tensor *tensor, int n_meta,
                                 const flv_meta *meta, flv_error *err);

// Reads into the data of `tensor`, which must match the file by name, dtype and shape, all of them. On failure
// nothing of the tensors has changed. meta_value(key) after reading: see flv_safetensors_meta.
flv_status flv_safetensors_read(const char *path, int n, const flv_tensor *tensor, flv_error *err);

// One metadata string (freed by the caller), or NULL with err set.
char *flv_safetensors_meta(const char *path, const char *key, flv_error *err);
#endif
