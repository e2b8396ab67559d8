// Checkpoints: writing and reading of safetensors files, with a checksum of the whole file.

#include "io/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io/file.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian; this machine would need byte swaps here"
#endif

// How every header of ours begins; cJSON writes what is added first, first, and without spaces.
static const char opening[] = "{\"__metadata__\":{\"xxh3\":\"";
static const char zeros[] = "0000000000000000";

enum {
  LENGTH = 8, // bytes of header length
  DIGITS_AT =
      LENGTH + (int)sizeof opening - 1, // where the digits of the checksum stand in the file
  DIGITS = (int)sizeof zeros - 1,
  HEADER_LIMIT = 100 * 1000 * 1000, // as in the reference implementation
  MAX_DIMS = 4,
  SHAPE_TEXT = 4 * 24
};

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {[FLV_F32] = {"F32", 4},
              [FLV_F64] = {"F64", 8},
              [FLV_I32] = {"I32", 4},
              [FLV_I64] = {"I64", 8},
              [FLV_U8] = {"U8", 1}};

enum { N_DTYPES = (int)(sizeof dtypes / sizeof dtypes[0]) };

// Bytes of a tensor; false if they do not fit a size_t or a dimension is negative.
static bool tensor_bytes(flv_dtype dtype, int n_dims, const int64_t *dim, size_t *bytes) {
  *bytes = dtypes[dtype].size;
  for (int i = 0; i < n_dims; i++)
    if (dim[i] < 0 || __builtin_mul_overflow(*bytes, (size_t)dim[i], bytes)) return false;
  return true;
}

static const char *shape_text(int n_dims, const int64_t *dim, char text[SHAPE_TEXT]) {
  size_t used = (size_t)snprintf(text, SHAPE_TEXT, "[");
  for (int i = 0; i < n_dims; i++)
    used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%" PRId64, i ? ", " : "", dim[i]);
  snprintf(text + used, SHAPE_TEXT - used, "]");
  return text;
}

// The digits of a file given as pieces; the first piece begins with length and opening, and holds
// the digits' place. False when out of memory.
typedef struct piece {
  const void *bytes;
  size_t size;
} piece;

static bool checksum(int n, const piece *pieces, char digits[DIGITS + 1]) {
  XXH3_state_t *state = XXH3_createState();
  if (!state) return false;
  const char *head = pieces[0].bytes;
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, head, DIGITS_AT);
  XXH3_64bits_update(state, zeros, DIGITS);
  XXH3_64bits_update(state, head + DIGITS_AT + DIGITS, pieces[0].size - DIGITS_AT - DIGITS);
  for (int i = 1; i < n; i++)
    if (pieces[i].size > 0) XXH3_64bits_update(state, pieces[i].bytes, pieces[i].size);
  snprintf(digits, DIGITS + 1, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(state));
  XXH3_freeState(state);
  return true;
}

// ---- writing ----

static flv_status check_tensors(int n, const flv_tensor *tensor, flv_error *err) {
  for (int i = 0; i < n; i++) {
    const flv_tensor *t = &tensor[i];
    size_t bytes;
    if (!memchr(t->name, '\0', sizeof t->name) || !*t->name || strcmp(t->name, "__metadata__") == 0)
      return flv_fail(err, FLV_EINVAL, "tensor %d has no usable name", i);
    const bool shaped = t->n_dims >= 0 && t->n_dims <= MAX_DIMS && (unsigned)t->dtype < N_DTYPES &&
                        tensor_bytes(t->dtype, t->n_dims, t->dim, &bytes);
    if (!shaped)
      return flv_fail(err, FLV_EINVAL, "tensor '%s' has an impossible shape or dtype", t->name);
    if (bytes > 0 && !t->data) return flv_fail(err, FLV_EINVAL, "tensor '%s' has no data", t->name);
    for (int j = 0; j < i; j++)
      if (strcmp(t->name, tensor[j].name) == 0)
        return flv_fail(err, FLV_EINVAL, "two tensors are called '%s'", t->name);
  }
  return FLV_OK;
}

// Tensors in the order of the file: widest elements first, so that each begins at a multiple of its
// width.
static void order_pieces(int n, const flv_tensor *tensor, piece *pieces, int *which) {
  int placed = 0;
  for (size_t width = 8; width > 0; width /= 2) {
    for (int i = 0; i < n; i++) {
      const flv_tensor *t = &tensor[i];
      if (dtypes[t->dtype].size != width) continue;
      pieces[placed].bytes = t->data;
      tensor_bytes(t->dtype, t->n_dims, t->dim, &pieces[placed].size);
      which[placed++] = i;
    }
  }
}

static bool add_number(cJSON *array, double value) {
  cJSON *number = cJSON_CreateNumber(value);
  if (number && cJSON_AddItemToArray(array, number)) return true;
  cJSON_Delete(number);
  return false;
}

static bool add_tensor(cJSON *root, const flv_tensor *t, size_t begin, size_t end) {
  cJSON *item = cJSON_AddObjectToObject(root, t->name);
  bool good = item && cJSON_AddStringToObject(item, "dtype", dtypes[t->dtype].name);
  cJSON *shape = good ? cJSON_AddArrayToObject(item, "shape") : NULL;
  good = shape != NULL;
  for (int i = 0; good && i < t->n_dims; i++) good = add_number(shape, (double)t->dim[i]);
  cJSON *offsets = good ? cJSON_AddArrayToObject(item, "data_offsets") : NULL;
  return offsets && add_number(offsets, (double)begin) && add_number(offsets, (double)end);
}

// The JSON text (freed by the caller), or NULL when out of memory.
static char *header_json(int n, const flv_tensor *tensor, const piece *pieces, const int *which,
                         int n_meta, const flv_meta *meta) {
  cJSON *root = cJSON_CreateObject();
  cJSON *strings = root ? cJSON_AddObjectToObject(root, "__metadata__") : NULL;
  bool good = strings && cJSON_AddStringToObject(strings, "xxh3", zeros);
  for (int i = 0; good && i < n_meta; i++)
    good = cJSON_AddStringToObject(strings, meta[i].key, meta[i].value) != NULL;
  size_t end = 0;
  for (int i = 0; good && i < n; i++) {
    const size_t begin = end;
    end += pieces[i].size;
    good = add_tensor(root, &tensor[which[i]], begin, end);
  }
  char *json = good ? cJSON_PrintUnformatted(root) : NULL;
  cJSON_Delete(root);
  return json;
}

// Length and padded header as they stand in the file, the digits still zeros. NULL when out of
// memory.
static char *header_bytes(const char *json, size_t *size) {
  const size_t length = strlen(json), padded = (length + 7) / 8 * 8;
  char *bytes = malloc(LENGTH + padded);
  if (!bytes) return NULL;
  const uint64_t written = padded;
  memcpy(bytes, &written, LENGTH);
  memcpy(bytes + LENGTH, json, length);
  memset(bytes + LENGTH + length, ' ', padded - length);
  *size = LENGTH + padded;
  return bytes;
}

static flv_status write_pieces(const char *path, int n, const piece *pieces, flv_error *err) {
  flv_atomic file;
  FLV_TRY(flv_atomic_open(&file, path, err));
  for (int i = 0; i < n; i++) {
    if (pieces[i].size == 0) continue;
    errno = 0;
    if (fwrite(pieces[i].bytes, 1, pieces[i].size, file.f) == pieces[i].size) continue;
    const int number = errno ? errno : EIO;
    flv_atomic_abandon(&file);
    return flv_fail(err, FLV_EIO, "%s: cannot write: %s", path, strerror(number));
  }
  return flv_atomic_commit(&file, err);
}

flv_status flv_safetensors_write(const char *path, int n, const flv_tensor *tensor, int n_meta,
                                 const flv_meta *meta, flv_error *err) {
  const flv_status checked = check_tensors(n, tensor, err);
  if (checked != FLV_OK) {
    flv_error_prefix(err, "%s", path);
    return checked;
  }
  for (int i = 0; i < n_meta; i++)
    if (strcmp(meta[i].key, "xxh3") == 0)
      return flv_fail(err, FLV_EINVAL, "%s: the metadata key 'xxh3' is taken", path);
  piece *pieces = calloc((size_t)n + 1, sizeof *pieces);
  int *which = calloc((size_t)n + 1, sizeof *which);
  char *json = NULL, *header = NULL, digits[DIGITS + 1];
  if (pieces && which) {
    order_pieces(n, tensor, pieces + 1, which);
    json = header_json(n, tensor, pieces + 1, which, n_meta, meta);
  }
  if (json) header = header_bytes(json, &pieces[0].size);
  flv_status status = FLV_ENOMEM;
  if (header) {
    pieces[0].bytes = header;
    if (checksum(n + 1, pieces, digits)) {
      memcpy(header + DIGITS_AT, digits, DIGITS);
      status = write_pieces(path, n + 1, pieces, err);
    }
  }
  if (!header || status == FLV_ENOMEM) flv_fail(err, FLV_ENOMEM, "%s: out of memory", path);
  free(header);
  cJSON_free(json);
  free(which);
  free(pieces);
  return status;
}

// ---- reading ----

typedef struct entry { // one tensor of the file
  const char *name;
  flv_dtype dtype;
  int n_dims;
  int64_t dim[MAX_DIMS];
  size_t begin, end; // within the data
} entry;

typedef struct view { // a file in memory, verified
  const char *name, *data;
  cJSON *json;
  int n;
  entry *entries; // [n] in the order of the data
} view;

static void view_free(view *v) {
  cJSON_Delete(v->json);
  free(v->entries);
}

// A whole number that a double holds exactly; -1 if it is not one.
static int64_t whole(const cJSON *item) {
  if (!cJSON_IsNumber(item)) return -1;
  const double value = item->valuedouble;
  return value >= 0.0 && value <= 9007199254740992.0 && (double)(int64_t)value == value
             ? (int64_t)value
             : -1;
}

static flv_status read_entry(const view *v, const cJSON *item, entry *e, flv_error *err) {
  *e = (entry){.name = item->string};
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
  const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
  if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || !cJSON_IsArray(offsets))
    return flv_fail(err, FLV_EINVAL, "%s: tensor '%.95s' lacks dtype, shape or offsets", v->name,
                    e->name);
  int kind = 0;
  while (kind < N_DTYPES && strcmp(dtypes[kind].name, dtype->valuestring) != 0) kind++;
  if (kind == N_DTYPES)
    return flv_fail(err, FLV_EINVAL,
                    "%s: tensor '%.95s' has dtype '%.16s', expected F32, F64, I32, I64 or U8",
                    v->name, e->name, dtype->valuestring);
  e->dtype = (flv_dtype)kind;
  const cJSON *dim;
  cJSON_ArrayForEach(dim, shape) {
    if (e->n_dims == MAX_DIMS)
      return flv_fail(err, FLV_EINVAL, "%s: tensor '%.95s' has more than %d dimensions", v->name,
                      e->name, MAX_DIMS);
    e->dim[e->n_dims++] = whole(dim);
  }
  const int64_t begin = whole(offsets->child),
                end = whole(offsets->child ? offsets->child->next : NULL);
  size_t bytes;
  const bool sound = tensor_bytes(e->dtype, e->n_dims, e->dim, &bytes) && begin >= 0 &&
                     end >= begin && (size_t)(end - begin) == bytes && !offsets->child->next->next;
  if (!sound)
    return flv_fail(err, FLV_EINVAL, "%s: tensor '%.95s': shape and offsets disagree", v->name,
                    e->name);
  e->begin = (size_t)begin;
  e->end = (size_t)end;
  return FLV_OK;
}

static int by_begin(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end; // empty tensors before the one that begins there
}

// All tensors of the header, which must tile `size` bytes of data without gaps or overlap.
static flv_status read_entries(view *v, size_t size, flv_error *err) {
  v->entries = calloc((size_t)cJSON_GetArraySize(v->json) + 1, sizeof *v->entries);
  if (!v->entries) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", v->name);
  const cJSON *item;
  cJSON_ArrayForEach(item, v->json) {
    if (strcmp(item->string, "__metadata__") == 0) continue;
    FLV_TRY(read_entry(v, item, &v->entries[v->n], err));
    v->n++;
  }
  qsort(v->entries, (size_t)v->n, sizeof *v->entries, by_begin);
  size_t end = 0;
  for (int i = 0; i < v->n; i++) {
    const entry *e = &v->entries[i];
    if (e->begin != end)
      return flv_fail(err, FLV_EINVAL,
                      "%s: tensor '%.95s' begins at byte %zu of the data, expected %zu", v->name,
                      e->name, e->begin, end);
    end = e->end;
  }
  if (size < end)
    return flv_fail(err, FLV_EINVAL, "%s: truncated: %zu bytes of data, the header says %zu",
                    v->name, size, end);
  if (size > end)
    return flv_fail(err, FLV_EINVAL, "%s: %zu bytes of data, the header says %zu", v->name, size,
                    end);
  return FLV_OK;
}

static flv_status verify_checksum(const char *name, const char *bytes, size_t size,
                                  flv_error *err) {
  char digits[DIGITS + 1];
  if (!checksum(1, &(piece){bytes, size}, digits))
    return flv_fail(err, FLV_ENOMEM, "%s: out of memory", name);
  if (memcmp(digits, bytes + DIGITS_AT, DIGITS) == 0) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "%s: checksum mismatch, the file was altered", name);
}

// Everything that can be said about a file without knowing what it should hold. The checksum comes
// last, so that a truncated file is called truncated. foreign: may lack one.
static flv_status view_open(view *v, const char *name, const char *bytes, size_t size, bool foreign,
                            flv_error *err) {
  *v = (view){.name = name};
  uint64_t length = 0;
  if (size < LENGTH)
    return flv_fail(err, FLV_EINVAL, "%s: truncated: %zu bytes in all", name, size);
  memcpy(&length, bytes, LENGTH);
  if (length > HEADER_LIMIT) return flv_fail(err, FLV_EINVAL, "%s: not a safetensors file", name);
  if (length > size - LENGTH)
    return flv_fail(err, FLV_EINVAL, "%s: truncated: %zu bytes, the header alone is %" PRIu64, name,
                    size - LENGTH, length);
  const char *header = bytes + LENGTH;
  const bool ours =
      length >= sizeof opening - 1 + DIGITS && memcmp(header, opening, sizeof opening - 1) == 0;
  if (!ours && !foreign)
    return flv_fail(err, FLV_EINVAL, "%s: no checksum: not a checkpoint of fluvial, or altered",
                    name);
  v->data = header + length;
  v->json = cJSON_ParseWithLength(header, (size_t)length);
  if (!cJSON_IsObject(v->json)) {
    if (!ours) return flv_fail(err, FLV_EINVAL, "%s: not a safetensors file", name);
    FLV_TRY(verify_checksum(name, bytes, size, err));
    return flv_fail(err, FLV_ENOMEM, "%s: out of memory, or a header that is not JSON", name);
  }
  FLV_TRY(read_entries(v, size - LENGTH - (size_t)length, err));
  return ours ? verify_checksum(name, bytes, size, err) : FLV_OK;
}

static flv_status match(const view *v, const flv_tensor *t, const entry **found, flv_error *err) {
  const entry *e = NULL;
  for (int i = 0; i < v->n && !e; i++)
    if (strcmp(v->entries[i].name, t->name) == 0) e = &v->entries[i];
  if (!e) return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' is missing", v->name, t->name);
  if (e->dtype != t->dtype)
    return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' has dtype %s, expected %s", v->name, t->name,
                    dtypes[e->dtype].name, dtypes[t->dtype].name);
  const size_t dims = sizeof e->dim[0] * (size_t)e->n_dims;
  if (e->n_dims != t->n_dims || memcmp(e->dim, t->dim, dims) != 0) {
    char has[SHAPE_TEXT], expected[SHAPE_TEXT];
    return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' has shape %s, expected %s", v->name, t->name,
                    shape_text(e->n_dims, e->dim, has), shape_text(t->n_dims, t->dim, expected));
  }
  *found = e;
  return FLV_OK;
}

// The file's first tensor that nobody asked for.
static flv_status fail_extra(const view *v, int n, const flv_tensor *tensor, flv_error *err) {
  for (int i = 0; i < v->n; i++) {
    int asked = 0;
    while (asked < n && strcmp(tensor[asked].name, v->entries[i].name) != 0) asked++;
    if (asked == n)
      return flv_fail(err, FLV_EINVAL, "%s: tensor '%.95s' is not expected", v->name,
                      v->entries[i].name);
  }
  return flv_fail(err, FLV_EINVAL, "%s: a tensor is there twice", v->name);
}

static flv_status match_all(const view *v, int n, const flv_tensor *tensor, const entry **found,
                            flv_error *err) {
  for (int i = 0; i < n; i++) FLV_TRY(match(v, &tensor[i], &found[i], err));
  return v->n == n ? FLV_OK : fail_extra(v, n, tensor, err);
}

flv_status flv_safetensors_parse(const char *name, const char *bytes, size_t size, int n,
                                 const flv_tensor *tensor, flv_error *err) {
  const flv_status checked = check_tensors(n, tensor, err);
  if (checked != FLV_OK) return checked;
  const entry **found = calloc((size_t)n + 1, sizeof *found);
  if (!found) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", name);
  view v;
  flv_status status = view_open(&v, name, bytes, size, false, err);
  if (status == FLV_OK) status = match_all(&v, n, tensor, found, err);
  for (int i = 0; status == FLV_OK && i < n; i++) {
    const size_t wide = found[i]->end - found[i]->begin;
    if (wide > 0) memcpy(tensor[i].data, v.data + found[i]->begin, wide);
  }
  view_free(&v);
  free(found);
  return status;
}

flv_status flv_safetensors_read(const char *path, int n, const flv_tensor *tensor, flv_error *err) {
  char *bytes;
  size_t size;
  FLV_TRY(flv_file_read(path, &bytes, &size, err));
  const flv_status status = flv_safetensors_parse(path, bytes, size, n, tensor, err);
  free(bytes);
  return status;
}

char *flv_safetensors_meta(const char *path, const char *key, flv_error *err) {
  char *bytes, *text = NULL;
  size_t size;
  if (flv_file_read(path, &bytes, &size, err) != FLV_OK) return NULL;
  view v;
  if (view_open(&v, path, bytes, size, false, err) == FLV_OK) {
    const cJSON *strings = cJSON_GetObjectItemCaseSensitive(v.json, "__metadata__");
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(strings, key));
    if (value) text = strdup(value);
    if (!value)
      flv_fail(err, FLV_EINVAL, "%s: no metadata '%s'", path, key);
    else if (!text)
      flv_fail(err, FLV_ENOMEM, "%s: out of memory", path);
  }
  view_free(&v);
  free(bytes);
  return text;
}

// ---- weights ----

struct flv_weights {
  view v;
  char *name, *bytes;
};

static flv_status weights_of(flv_weights **weights, const char *name, char *bytes, size_t size,
                             flv_error *err) {
  flv_weights *w = calloc(1, sizeof *w);
  char *copy = w ? strdup(name) : NULL;
  if (!copy) {
    free(w);
    free(bytes);
    return flv_fail(err, FLV_ENOMEM, "%s: out of memory", name);
  }
  w->name = copy;
  w->bytes = bytes;
  const flv_status status = view_open(&w->v, copy, bytes, size, true, err);
  if (status == FLV_OK)
    *weights = w;
  else
    flv_weights_close(w);
  return status;
}

flv_status flv_weights_open(flv_weights **weights, const char *path, flv_error *err) {
  char *bytes;
  size_t size;
  FLV_TRY(flv_file_read(path, &bytes, &size, err));
  return weights_of(weights, path, bytes, size, err);
}

flv_status flv_weights_parse(flv_weights **weights, const char *name, const char *bytes,
                             size_t size, flv_error *err) {
  char *copy = malloc(size + 1);
  if (!copy) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", name);
  if (size > 0) memcpy(copy, bytes, size);
  return weights_of(weights, name, copy, size, err);
}

void flv_weights_close(flv_weights *w) {
  if (!w) return;
  view_free(&w->v);
  free(w->name);
  free(w->bytes);
  free(w);
}

bool flv_weights_tensor(const flv_weights *w, int i, const char **name, flv_tensor *tensor) {
  if (i < 0 || i >= w->v.n) return false;
  const entry *e = &w->v.entries[i];
  if (name) *name = e->name;
  if (!tensor) return true;
  *tensor = (flv_tensor){.dtype = e->dtype, .n_dims = e->n_dims};
  snprintf(tensor->name, sizeof tensor->name, "%s", e->name);
  memcpy(tensor->dim, e->dim, sizeof tensor->dim);
  tensor->data = w->bytes + (w->v.data - w->bytes) + e->begin;
  return true;
}
