// Checkpoints in the safetensors format: 8 bytes of header length (little-endian), a JSON header
// padded with spaces to a multiple of 8, the data without gaps, widest elements first.
// [https://huggingface.co/docs/safetensors, "Format"]
//
// The header's __metadata__ holds strings. Ours begins with "xxh3": 16 hexadecimal digits, the XXH3
// hash (64 bits) of the whole file, header and length included, with these digits read as zeros. It
// stands at a fixed place, so that no bit of the file can change unnoticed; files without it are
// refused.
#ifndef FLUVIAL_IO_SAFETENSORS_H
#define FLUVIAL_IO_SAFETENSORS_H

#include <stddef.h>

#include "fluvial/status.h"
#include "fluvial/tensor.h"

typedef struct flv_meta {
  const char *key, *value; // UTF-8; the key "xxh3" is taken
} flv_meta;

// Writes atomically (io/file.h). Names must differ.
flv_status flv_safetensors_write(const char *path, int n, const flv_tensor *tensor, int n_meta,
                                 const flv_meta *meta, flv_error *err);

// Reads into the data of `tensor`, which must match the file by name, dtype and shape, all of them,
// in any order. On failure nothing of the tensors has changed.
flv_status flv_safetensors_read(const char *path, int n, const flv_tensor *tensor, flv_error *err);

// The same from bytes in memory; name stands for the file in messages.
flv_status flv_safetensors_parse(const char *name, const char *bytes, size_t size, int n,
                                 const flv_tensor *tensor, flv_error *err);

// One metadata string (freed by the caller), or NULL with err set. The whole file is verified.
char *flv_safetensors_meta(const char *path, const char *key, flv_error *err);
#endif
