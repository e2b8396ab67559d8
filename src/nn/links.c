// Linked rows: a state's sum of embedding rows (EMBED) from that of the state that it was reached
// from. With H the hot lists and p the row that r is linked to,
//
//   forward:   v_r = v_p + sum over H_r \ H_p of W - sum over H_p \ H_r of W
//   backward:  dW_k = sum over rows r with k in H_r of dv_r. With D_r the sum of dv over r and all
//              that is linked to it, directly or not, a row adds D_r to the dW of what it has that
//              p has not, takes it off that of what p has alone, and hands it to D_p. A row that is
//              linked to none adds D_r to all it has.
//
// D and dW are in double. Where a unit is silent in all states that have a feature, that weight's
// gradient is a difference of equal numbers: what float would leave of it is noise that Adam, which
// divides by its size, makes steps of.
//
// D_r is needed from the last row linked to r down to r itself. Such rows share the parts of `tree`
// (branch[r] is r's), which are few, so in cache, where rows follow one another closely.
#include <string.h>

#include "base/parallel.h"
#include "base/simd.h"
#include "nn/ops.h"

// ---- what differs ----

static int count_hot(int n_hot, const int32_t *hot) {
  int low = 0, high = n_hot; // -1 from somewhere in [low, high] on
  if (hot[n_hot - 1] >= 0) return n_hot;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (hot[middle] >= 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

enum { AT_ONCE = 16 };

static inline int32_t differ(const int32_t *a, const int32_t *b) {
  int32_t any = 0;
  for (int k = 0; k < AT_ONCE; k++) any |= a[k] ^ b[k];
  return any;
}

// How long two lists are equal from their beginnings, and backwards from their ends.
static inline int equal_ahead(int n, const int32_t *a, const int32_t *b) {
  int k = 0;
  while (k + AT_ONCE <= n && !differ(a + k, b + k)) k += AT_ONCE;
  while (k < n && a[k] == b[k]) k++;
  return k;
}

static inline int equal_behind(int n, const int32_t *a_end, const int32_t *b_end) {
  int k = 0;
  while (k + AT_ONCE <= n && !differ(a_end - k - AT_ONCE, b_end - k - AT_ONCE)) k += AT_ONCE;
  while (k < n && a_end[-1 - k] == b_end[-1 - k]) k++;
  return k;
}

FLV_SIMD static void links_find_rows(int n_hot, int row0, int rows, const int32_t *all,
                                     flv_change *change) {
  for (int r = row0; r < row0 + rows; r++) {
    flv_change *c = &change[r];
    if (c->from < 0) continue;
    const int32_t *hot = all + (size_t)r * (size_t)n_hot;
    const int32_t *other = all + (size_t)c->from * (size_t)n_hot;
    const int n = count_hot(n_hot, hot), n_other = count_hot(n_hot, other);
    const int least = n < n_other ? n : n_other, ahead = equal_ahead(least, hot, other);
    const int behind = equal_behind(least - ahead, hot + n, other + n_other);
    c->at = ahead;
    c->added = n - ahead - behind;
    c->removed = n_other - ahead - behind;
    if (c->added > 0) c->in = hot[ahead];
    if (c->removed > 0) c->out = other[ahead];
    if (c->added + c->removed + 2 >= n) c->from = -1;
  }
}

void flv_links_find(const flv_net *net, const flv_acts *acts, int row0, int rows) {
  links_find_rows(net->n_hot, row0, rows, acts->hot, acts->change);
}

// ---- gradients of weights ----

// Weights in double are written and read once whatever the rows, shards besides: several rows for
// each are worth it.
bool flv_links_pay(const flv_net *net, const flv_acts *acts, int rows) {
  return acts->change && (double)rows * net->n_hot >= 4.0 * net->n_features;
}

// A row takes its branch when the last row linked to it has been met and gives it back at its own.
static void share_branches(flv_acts *acts, int rows) {
  int taken = 0, n_spare = 0;
  memset(acts->branch, -1, (size_t)rows * sizeof *acts->branch);
  for (int r = rows - 1; r >= 0; r--) {
    const int from = acts->change[r].from;
    if (acts->branch[r] >= 0) acts->spare[n_spare++] = acts->branch[r];
    if (from >= 0 && acts->branch[from] < 0)
      acts->branch[from] = n_spare > 0 ? acts->spare[--n_spare] : taken++;
  }
}

enum { COLUMNS = 64 }; // of a task

typedef struct sweep {
  const flv_net *net;
  const flv_acts *acts;
  int rows, n;
  const float *dv; // [rows, n]
  float *dw;       // [n_features, n]
} sweep;

static inline void add_to(int n, const double *restrict d, double *restrict sum) {
  for (int j = 0; j < n; j++) sum[j] += d[j];
}

static inline void take_from(int n, const double *restrict d, double *restrict sum) {
  for (int j = 0; j < n; j++) sum[j] -= d[j];
}

// Most rows: one feature comes in, one goes out. The row it is linked to goes on with its branch,
static inline void pass_on(int n, const float *restrict dv, double *restrict own,
                           double *restrict in, double *restrict out) {
  for (int j = 0; j < n; j++) {
    const double d = (double)dv[j] + own[j];
    own[j] = d;
    in[j] += d;
    out[j] -= d;
  }
}

// or has one of its own.
static inline void join(int n, const float *restrict dv, double *restrict own,
                        double *restrict joined, double *restrict in, double *restrict out) {
  for (int j = 0; j < n; j++) {
    const double d = (double)dv[j] + own[j];
    own[j] = 0.0;
    joined[j] += d;
    in[j] += d;
    out[j] -= d;
  }
}

typedef struct scratch { // of a task
  double *tree, *dw;
  double zero[COLUMNS]; // the branch of a row that has none
  double in[COLUMNS], out[COLUMNS];
} scratch;

static inline double *branch_of(const sweep *s, scratch *t, int n, int r) {
  return s->acts->branch[r] < 0 ? t->zero : t->tree + (size_t)s->acts->branch[r] * (size_t)n;
}

static inline void follow(const sweep *s, scratch *t, int n, const flv_change *c, int r,
                          const float *dv) {
  double *own = branch_of(s, t, n, r), *joined = branch_of(s, t, n, c->from);
  double *in = c->added > 0 ? t->dw + (size_t)c->in * (size_t)n : t->in;
  double *out = c->removed > 0 ? t->dw + (size_t)c->out * (size_t)n : t->out;
  if (own == joined)
    pass_on(n, dv, own, in, out);
  else
    join(n, dv, own, joined, in, out);
}

// Any row.
static inline void hand_out(const sweep *s, scratch *t, int n, const flv_change *c, int r,
                            const float *dv) {
  const int n_hot = s->net->n_hot;
  const int32_t *hot = s->acts->hot + (size_t)r * (size_t)n_hot;
  double d[COLUMNS], *own = branch_of(s, t, n, r);
  for (int j = 0; j < n; j++) d[j] = (double)dv[j] + own[j];
  memset(own, 0, (size_t)n * sizeof *own);
  if (c->from < 0) {
    for (int k = 0; k < n_hot && hot[k] >= 0; k++) add_to(n, d, t->dw + (size_t)hot[k] * (size_t)n);
    return;
  }
  const int32_t *other = s->acts->hot + (size_t)c->from * (size_t)n_hot;
  add_to(n, d, branch_of(s, t, n, c->from));
  for (int k = c->at; k < c->at + c->added; k++) add_to(n, d, t->dw + (size_t)hot[k] * (size_t)n);
  for (int k = c->at; k < c->at + c->removed; k++)
    take_from(n, d, t->dw + (size_t)other[k] * (size_t)n);
}

// Columns [j0, j0 + n). All of tree is zero before and after.
FLV_SIMD static void links_sweep_columns(const sweep *s, int j0, int n, scratch *t) {
  const size_t features = (size_t)s->net->n_features, columns = (size_t)n, stride = (size_t)s->n;
  memset(t->dw, 0, features * columns * sizeof *t->dw);
  for (int r = s->rows - 1; r >= 0; r--) {
    const flv_change *c = &s->acts->change[r];
    const float *dv = s->dv + (size_t)r * stride + j0;
    if (c->from < 0 || c->added > 1 || c->removed > 1)
      hand_out(s, t, n, c, r, dv);
    else if (n == COLUMNS)
      follow(s, t, COLUMNS, c, r, dv);
    else
      follow(s, t, n, c, r, dv);
  }
  for (size_t f = 0; f < features; f++)
    for (size_t j = 0; j < columns; j++)
      s->dw[f * stride + (size_t)j0 + j] = (float)t->dw[f * columns + j];
}

static void sweep_task(void *context, int task) {
  const sweep *s = context;
  const flv_acts *acts = s->acts;
  const int j0 = task * COLUMNS, n = s->n - j0 < COLUMNS ? s->n - j0 : COLUMNS;
  scratch t = {0};
  t.tree = acts->tree + (size_t)(acts->max_rows / 2 + 1) * (size_t)j0;
  t.dw = acts->weights + (size_t)s->net->n_features * (size_t)j0;
  links_sweep_columns(s, j0, n, &t);
}

void flv_links_sweep(const flv_net *net, flv_acts *acts, int rows, float *grad, int threads) {
  share_branches(acts, rows);
  for (int i = 0; i < net->n_ops; i++) {
    const int y = net->op[i].y;
    if (net->op[i].id != FLV_OP_EMBED || !acts->plan.live[i]) continue;
    sweep s = {.net = net, .acts = acts, .rows = rows, .n = net->width[y]};
    s.dv = net->output[y] ? acts->grad[y] : acts->sum[y];
    s.dw = grad + net->weight[net->op[i].w].offset;
    flv_parallel(threads, (s.n + COLUMNS - 1) / COLUMNS, sweep_task, &s);
  }
}
