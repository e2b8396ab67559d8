// Weights of message passing networks: from the tensors of a file to the matrices of the passes.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "nn/blas.h"
#include "reward/mpnn_impl.h"

// Sizes by which the file's shapes are told. A_ columns of attributes, E_ hidden units of the
// network that makes kernels of them; the first four are read from the file.
enum { D_, F_, E_, A_, ONE_, D2_, D3_, D4_, DD_, N_SIZES };

// X(id, name, rows, columns, dimensions).
#define TENSORS(X)                                                                                 \
  X(EMBED, "lin0.weight", D_, F_, 2)                                                               \
  X(EMBED_B, "lin0.bias", D_, ONE_, 1)                                                             \
  X(ROOT, "conv.root", D_, D_, 2)                                                                  \
  X(CONV_B, "conv.bias", D_, ONE_, 1)                                                              \
  X(EDGE_1, "conv.nn.0.weight", E_, A_, 2)                                                         \
  X(EDGE_1_B, "conv.nn.0.bias", E_, ONE_, 1)                                                       \
  X(EDGE_2, "conv.nn.2.weight", DD_, E_, 2)                                                        \
  X(EDGE_2_B, "conv.nn.2.bias", DD_, ONE_, 1)                                                      \
  X(GRU_I, "gru.weight_ih_l0", D3_, D_, 2)                                                         \
  X(GRU_H, "gru.weight_hh_l0", D3_, D_, 2)                                                         \
  X(GRU_I_B, "gru.bias_ih_l0", D3_, ONE_, 1)                                                       \
  X(GRU_H_B, "gru.bias_hh_l0", D3_, ONE_, 1)                                                       \
  X(LSTM_I, "set2set.lstm.weight_ih_l0", D4_, D2_, 2)                                              \
  X(LSTM_H, "set2set.lstm.weight_hh_l0", D4_, D_, 2)                                               \
  X(LSTM_I_B, "set2set.lstm.bias_ih_l0", D4_, ONE_, 1)                                             \
  X(LSTM_H_B, "set2set.lstm.bias_hh_l0", D4_, ONE_, 1)                                             \
  X(HEAD, "lin3.weight", ONE_, D2_, 2)                                                             \
  X(HEAD_B, "lin3.bias", ONE_, ONE_, 1)

#define ID(id, name, rows, columns, n_dims) id,
enum { TENSORS(ID) N_TENSORS };
#undef ID

static const struct {
  const char *name;
  int rows, columns, n_dims;
} wanted[] = {
#define ROW(id, name, rows, columns, n_dims) {name, rows, columns, n_dims},
    TENSORS(ROW)
#undef ROW
};

enum { LIMIT = 1 << 14 }; // of a size, so that products of two are int

typedef struct source { // a file and what it was found to hold
  const char *path;
  flv_weights *file;
  flv_tensor tensor[N_TENSORS];
  int64_t size[N_SIZES];
  double *value[N_TENSORS]; // in double, in one block
  double *block;
} source;

static void shape_text(int n_dims, const int64_t *dim, char *text, size_t room) {
  size_t used = (size_t)snprintf(text, room, "[");
  for (int i = 0; i < n_dims; i++)
    used += (size_t)snprintf(text + used, room - used, "%s%" PRId64, i ? ", " : "", dim[i]);
  snprintf(text + used, room - used, "]");
}

// One that has no place; it may be the misspelt name of one that is missing.
static flv_status fail_unknown(const source *s, const char *name, const bool *found,
                               flv_error *err) {
  const char *missing[N_TENSORS];
  int n = 0;
  for (int id = 0; id < N_TENSORS; id++)
    if (!found[id]) missing[n++] = wanted[id].name;
  const int k = flv_nearest_name(name, n, missing);
  return flv_fail(err, FLV_EINVAL, "%s: tensor '%.95s' is not expected%s%s%s", s->path, name,
                  k >= 0 ? "; did you mean '" : "", k >= 0 ? missing[k] : "", k >= 0 ? "'?" : "");
}

// The place of every tensor in the file; lin1 and lin2 are another head's.
static flv_status find_tensors(source *s, flv_error *err) {
  bool found[N_TENSORS] = {false};
  const char *name, *unknown = NULL;
  flv_tensor tensor;
  for (int i = 0; flv_weights_tensor(s->file, i, &name, &tensor); i++) {
    int id = 0;
    while (id < N_TENSORS && strcmp(name, wanted[id].name) != 0) id++;
    if (id == N_TENSORS) {
      if (!unknown && strncmp(name, "lin1.", 5) != 0 && strncmp(name, "lin2.", 5) != 0)
        unknown = name;
      continue;
    }
    if (found[id])
      return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' is there twice", s->path, name);
    if (tensor.dtype != FLV_F32 && tensor.dtype != FLV_F64)
      return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' holds integers, expected F32 or F64",
                      s->path, name);
    found[id] = true;
    s->tensor[id] = tensor;
  }
  if (unknown) return fail_unknown(s, unknown, found, err);
  for (int id = 0; id < N_TENSORS; id++)
    if (!found[id])
      return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' is missing", s->path, wanted[id].name);
  return FLV_OK;
}

static flv_status fail_shape(const source *s, int id, const char *expected, flv_error *err) {
  char has[4 * 24];
  shape_text(s->tensor[id].n_dims, s->tensor[id].dim, has, sizeof has);
  return flv_fail(err, FLV_EINVAL, "%s: tensor '%s' has shape %s, expected %s", s->path,
                  wanted[id].name, has, expected);
}

// Both sizes of a matrix, each at most LIMIT.
static flv_status read_sizes(source *s, int id, const char *expected, flv_error *err) {
  const flv_tensor *t = &s->tensor[id];
  for (int i = 0; i < 2; i++)
    if (t->n_dims != 2 || t->dim[i] < 1 || t->dim[i] > LIMIT)
      return fail_shape(s, id, expected, err);
  s->size[wanted[id].rows] = t->dim[0];
  s->size[wanted[id].columns] = t->dim[1];
  return FLV_OK;
}

static flv_status check_shapes(source *s, flv_error *err) {
  FLV_TRY(read_sizes(s, EMBED, "[width, feature columns], each at most 16384", err));
  FLV_TRY(read_sizes(s, EDGE_1, "[units, attribute columns], each at most 16384", err));
  const int64_t d = s->size[D_];
  s->size[ONE_] = 1;
  s->size[D2_] = 2 * d;
  s->size[D3_] = 3 * d;
  s->size[D4_] = 4 * d;
  s->size[DD_] = d * d;
  for (int id = 0; id < N_TENSORS; id++) {
    const flv_tensor *t = &s->tensor[id];
    const int64_t dim[] = {s->size[wanted[id].rows], s->size[wanted[id].columns]};
    if (t->n_dims == wanted[id].n_dims && memcmp(t->dim, dim, (size_t)t->n_dims * sizeof *dim) == 0)
      continue;
    char expected[4 * 24];
    shape_text(wanted[id].n_dims, dim, expected, sizeof expected);
    return fail_shape(s, id, expected, err);
  }
  return FLV_OK;
}

// All tensors in double, every number finite.
static flv_status read_values(source *s, flv_error *err) {
  size_t count[N_TENSORS], total = 0;
  for (int id = 0; id < N_TENSORS; id++) {
    count[id] = (size_t)(s->size[wanted[id].rows] * s->size[wanted[id].columns]);
    total += count[id];
  }
  s->block = calloc(total, sizeof *s->block);
  if (!s->block) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", s->path);
  double *at = s->block;
  for (int id = 0; id < N_TENSORS; at += count[id++]) {
    const char *data = s->tensor[id].data;
    s->value[id] = at;
    for (size_t i = 0; i < count[id]; i++) {
      float narrow;
      if (s->tensor[id].dtype == FLV_F64) {
        memcpy(&at[i], data + i * sizeof *at, sizeof *at);
      } else {
        memcpy(&narrow, data + i * sizeof narrow, sizeof narrow);
        at[i] = (double)narrow;
      }
      if (!isfinite(at[i]))
        return flv_fail(err, FLV_EINVAL, "%s: tensor '%s': element %zu is %g, expected a number",
                        s->path, wanted[id].name, i, at[i]);
    }
  }
  return FLV_OK;
}

// to[i][j] (rows of `width` columns) = from[j][i] of a matrix of n_out rows and n_in columns, the
// first of `stride`.
static void put_transposed(double *to, int width, int n_in, int n_out, const double *from,
                           int stride) {
  for (int i = 0; i < n_in; i++)
    for (int j = 0; j < n_out; j++)
      to[(size_t)i * (size_t)width + (size_t)j] = from[(size_t)j * (size_t)stride + (size_t)i];
}

// K_k = reshape(W2 lrelu(W1 e_k + b1) + b2), of every one-hot attribute and, last, of none.
static void make_kernels(const source *s, const flv_mpnn *net, double *kernel, double *hidden) {
  const int e = (int)s->size[E_], a = (int)s->size[A_], dd = net->width * net->width;
  for (int k = 0; k < net->kinds; k++, kernel += dd) {
    for (int i = 0; i < e; i++) {
      const double sum = (k < a ? s->value[EDGE_1][i * a + k] : 0.0) + s->value[EDGE_1_B][i];
      hidden[i] = sum < 0.0 ? 0.01 * sum : sum;
    }
    memcpy(kernel, s->value[EDGE_2_B], (size_t)dd * sizeof *kernel);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, dd, e, 1.0, s->value[EDGE_2], e, hidden, 1, 1.0,
                kernel, 1);
  }
}

static void make_weights(const source *s, const flv_mpnn *net, bool transposed, double *const *w,
                         double *hidden) {
  const int d = net->width;
  const size_t wide = (size_t)d;
  put_transposed(w[FLV_MPNN_embed], d, net->columns, d, s->value[EMBED], net->columns);
  memcpy(w[FLV_MPNN_embed_b], s->value[EMBED_B], wide * sizeof(double));
  memcpy(w[FLV_MPNN_message_b], s->value[CONV_B], wide * sizeof(double));
  double *self = w[FLV_MPNN_self];
  put_transposed(self, 4 * d, d, d, s->value[ROOT], d);
  if (transposed)
    for (size_t i = 0; i < wide; i++)
      memcpy(self + 4 * wide * i, s->value[ROOT] + wide * i, wide * sizeof(double));
  put_transposed(self + d, 4 * d, d, 3 * d, s->value[GRU_H], d);
  put_transposed(w[FLV_MPNN_input], 3 * d, d, 3 * d, s->value[GRU_I], d);
  make_kernels(s, net, w[FLV_MPNN_kernel], hidden);
  double *b = w[FLV_MPNN_gate_b];
  for (int j = 0; j < 3 * d; j++) b[j] = s->value[GRU_I_B][j];
  for (int j = 0; j < 2 * d; j++) b[j] += s->value[GRU_H_B][j];
  for (int j = 2 * d; j < 3 * d; j++) b[j + d] = s->value[GRU_H_B][j];
  double *lstm = w[FLV_MPNN_lstm];
  put_transposed(lstm, 4 * d, 2 * d, 4 * d, s->value[LSTM_I], 2 * d);
  for (int i = 0; i < d; i++)
    for (int j = 0; j < 4 * d; j++) lstm[i * 4 * d + j] += s->value[LSTM_H][j * d + i];
  for (int j = 0; j < 4 * d; j++)
    w[FLV_MPNN_lstm_b][j] = s->value[LSTM_I_B][j] + s->value[LSTM_H_B][j];
  memcpy(w[FLV_MPNN_head], s->value[HEAD], 2 * wide * sizeof(double));
  w[FLV_MPNN_head][2 * wide] = s->value[HEAD_B][0];
}

static void weight_counts(const flv_mpnn *net, size_t count[FLV_MPNN_N_WEIGHTS]) {
  const size_t D = (size_t)net->width, F = (size_t)net->columns, K = (size_t)net->kinds;
#define COUNT(name, size) count[FLV_MPNN_##name] = size;
  FLV_MPNN_WEIGHTS(COUNT)
#undef COUNT
}

// The network's matrices, made in double and kept in its precision.
static flv_status fill(flv_mpnn *net, const source *s, bool transposed, flv_error *err) {
  size_t count[FLV_MPNN_N_WEIGHTS];
  double *w[FLV_MPNN_N_WEIGHTS], *hidden;
  flv_slot exact[FLV_MPNN_N_WEIGHTS + 1], kept[FLV_MPNN_N_WEIGHTS];
  const bool narrow = net->precision == FLV_F32;
  weight_counts(net, count);
  for (int i = 0; i < FLV_MPNN_N_WEIGHTS; i++) {
    exact[i] = (flv_slot)FLV_SLOT(w[i], count[i]);
    kept[i] = (flv_slot){&net->w[i], count[i] * (narrow ? sizeof(float) : sizeof(double))};
  }
  exact[FLV_MPNN_N_WEIGHTS] = (flv_slot)FLV_SLOT(hidden, s->size[E_]);
  void *block = flv_bind(FLV_MPNN_N_WEIGHTS + 1, exact);
  net->block = block ? flv_bind(FLV_MPNN_N_WEIGHTS, kept) : NULL;
  if (!net->block) {
    flv_free(block);
    return flv_fail(err, FLV_ENOMEM, "%s: out of memory", s->path);
  }
  make_weights(s, net, transposed, w, hidden);
  for (int i = 0; i < FLV_MPNN_N_WEIGHTS; i++) {
    float *rounded = net->w[i];
    if (!narrow) memcpy(net->w[i], w[i], count[i] * sizeof(double));
    for (size_t k = 0; narrow && k < count[i]; k++) rounded[k] = (float)w[i][k];
  }
  flv_free(block);
  return FLV_OK;
}

static flv_status load(flv_mpnn *net, source *s, const flv_mpnn_options *options, flv_error *err) {
  FLV_TRY(flv_weights_open(&s->file, s->path, err));
  FLV_TRY(find_tensors(s, err));
  FLV_TRY(check_shapes(s, err));
  FLV_TRY(read_values(s, err));
  net->columns = (int)s->size[F_];
  net->width = (int)s->size[D_];
  net->kinds = (int)s->size[A_] + 1;
  net->steps = options->steps;
  net->readout_steps = options->readout_steps;
  net->precision = options->precision;
  return fill(net, s, options->root_transposed, err);
}

flv_status flv_mpnn_load(flv_mpnn **net, const char *path, const flv_mpnn_options *options,
                         flv_error *err) {
  if (options->precision != FLV_F64 && options->precision != FLV_F32)
    return flv_fail(err, FLV_EINVAL, "%s: the precision must be double or float", path);
  if (options->steps < 1 || options->readout_steps < 1)
    return flv_fail(err, FLV_EINVAL, "%s: %d message and %d readout steps, expected at least 1",
                    path, options->steps, options->readout_steps);
  FLV_TRY(flv_blas_check(err));
  flv_mpnn *made = calloc(1, sizeof *made);
  if (!made) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", path);
  source s = {.path = path};
  const flv_status status = load(made, &s, options, err);
  flv_weights_close(s.file);
  free(s.block);
  if (status == FLV_OK)
    *net = made;
  else
    flv_mpnn_free(made);
  return status;
}

void flv_mpnn_free(flv_mpnn *net) {
  if (!net) return;
  flv_free(net->block);
  free(net);
}

int flv_mpnn_columns(const flv_mpnn *net) { return net->columns; }
int flv_mpnn_kinds(const flv_mpnn *net) { return net->kinds; }
int flv_mpnn_width(const flv_mpnn *net) { return net->width; }
