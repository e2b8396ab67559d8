// Checkpoints in the safetensors format: 8 bytes of header length (little-endian), a JSON header
// padded with spaces to a multiple of 8, the data without gaps, widest elements first.
// [https://huggingface.co/docs/safetensors, "Format"]
//
// The header's __metadata__ holds strings. Ours begins with "xxh3": 16 hexadecimal digits, the XXH3
// hash (64 bits) of the whole file, header and length included, with these digits read as zeros. It
// stands at a fixed place, so that no bit of the file can change unnoticed; files without it are
// refused as checkpoints, but may be opened as weights, which other programs write too.
#ifndef FLUVIAL_IO_SAFETENSORS_H
#define FLUVIAL_IO_SAFETENSORS_H

#include <stdbool.h>
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

// Any safetensors file in memory, to look up tensors whose shapes are not known beforehand. One
// that begins as ours do is verified by its checksum; others have none. Tensors must be of the
// types of flv_dtype.
typedef struct flv_weights flv_weights;
flv_status flv_weights_open(flv_weights **weights, const char *path, flv_error *err);
// The same from a copy of bytes in memory; name stands for the file in messages.
flv_status flv_weights_parse(flv_weights **weights, const char *name, const char *bytes,
                             size_t size, flv_error *err);
void flv_weights_close(flv_weights *weights); // accepts NULL

// Tensor i, in the order of the data, and false if there are no more. name is the file's, not cut
// as the tensor's may be; the data, which need not be aligned, lives as long as weights. Either may
// be NULL.
bool flv_weights_tensor(const flv_weights *weights, int i, const char **name, flv_tensor *tensor);

// One metadata string (freed by the caller), or NULL with err set. The whole file is verified.
char *flv_safetensors_meta(const char *path, const char *key, flv_error *err);
#endif
