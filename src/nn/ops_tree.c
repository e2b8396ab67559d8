// Ops of trees (tree.h).
//
// LOOKUP: y = W[number of the row], 0 where it has none; backward: dW[..] += dy
// MESSAGE: y_v = (x_u . x2_v) x3_v of a node v with parent u, 0 of a root. With s = x_u . x2_v and
//   ds = dy_v . x3_v: dx_u += ds x2_v, dx2_v = ds x_u, dx3_v = s dy_v.
// DEAL: y = the rows x of slots at the actions that belong to them, then x2; 0 elsewhere.
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"

FLV_SIMD static void tree_add_row(size_t n, const float *restrict x, float *restrict y) {
  for (size_t j = 0; j < n; j++) y[j] += x[j];
}

// Calls of nodes and of slots know where their first row stands among all.
static inline int number_of_slot(const flv_call *c, int v, int slot_row) {
  const int slot = slot_row - c->tree->first_slot[v] + !flv_tree_is_root(c->tree, v);
  return flv_tree_type(c->shape, c->tree->kind[v], slot);
}

typedef void numbered(const flv_call *c, size_t row, int number);

static void for_numbers(const flv_call *c, numbered *visit) {
  const flv_tree_rows *t = c->tree;
  const int first = t->first_slot[c->node0];
  for (int v = c->node0; v < c->node0 + c->nodes; v++) {
    if (c->number != FLV_TYPE) {
      visit(c, (size_t)(v - c->node0), flv_tree_number(t, c->shape, c->number, v));
      continue;
    }
    for (int k = t->first_slot[v]; k < t->first_slot[v + 1]; k++)
      visit(c, (size_t)(k - first), number_of_slot(c, v, k));
  }
}

static void look_up(const flv_call *c, size_t row, int number) {
  const size_t n = (size_t)c->n;
  if (number < 0)
    memset(c->y + row * n, 0, n * sizeof *c->y);
  else
    memcpy(c->y + row * n, c->w + (size_t)number * n, n * sizeof *c->y);
}

static void look_back(const flv_call *c, size_t row, int number) {
  const size_t n = (size_t)c->n;
  if (number >= 0) tree_add_row(n, c->dy + row * n, c->dw + (size_t)number * n);
}

void flv_lookup_forward(const flv_call *c) { for_numbers(c, look_up); }
void flv_lookup_backward(const flv_call *c) { for_numbers(c, look_back); } // adds to what is there

// ---- messages ----

enum { LANES = 16 };

static inline float dot(size_t n, const float *restrict a, const float *restrict b) {
  float lane[LANES] = {0}, sum = 0.0f;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++) lane[k] += a[i + k] * b[i + k];
  for (; i < n; i++) lane[i % LANES] += a[i] * b[i];
  for (size_t k = 0; k < LANES; k++) sum += lane[k];
  return sum;
}

FLV_SIMD static void message_rows(const flv_call *c) {
  const size_t n = (size_t)c->n;
  for (int i = 0; i < c->nodes; i++) {
    const int u = c->tree->parent[c->node0 + i];
    float *y = c->y + (size_t)i * n;
    if (u < 0) {
      memset(y, 0, n * sizeof *y);
      continue;
    }
    const float *x = c->arg[0].x + ((ptrdiff_t)u - c->node0) * (ptrdiff_t)n;
    const float s = dot(n, x, c->arg[1].x + (size_t)i * n);
    const float *x3 = c->arg[2].x + (size_t)i * n;
    for (size_t j = 0; j < n; j++) y[j] = s * x3[j];
  }
}

void flv_message_forward(const flv_call *c) { message_rows(c); }

static inline void scaled(size_t n, bool add, float s, const float *restrict x, float *restrict y) {
  for (size_t j = 0; j < n; j++) y[j] = (add ? y[j] : 0.0f) + s * x[j];
}

FLV_SIMD static void message_rows_back(const flv_call *c) {
  const size_t n = (size_t)c->n;
  const flv_arg *x = &c->arg[0], *x2 = &c->arg[1], *x3 = &c->arg[2];
  for (size_t i = 0; i < (size_t)c->nodes; i++) {
    const int u = c->tree->parent[c->node0 + (int)i];
    const size_t v = i * n;
    if (u < 0) {
      if (x2->dx && !x2->add_dx) memset(x2->dx + v, 0, n * sizeof *x2->dx);
      if (x3->dx && !x3->add_dx) memset(x3->dx + v, 0, n * sizeof *x3->dx);
      continue;
    }
    const size_t from = (size_t)(u - c->node0) * n;
    const float *dy = c->dy + v;
    const float s = dot(n, x->x + from, x2->x + v), ds = dot(n, dy, x3->x + v);
    if (x->dx) scaled(n, true, ds, x2->x + v, x->dx + from);
    if (x2->dx) scaled(n, x2->add_dx, ds, x->x + from, x2->dx + v);
    if (x3->dx) scaled(n, x3->add_dx, s, dy, x3->dx + v);
  }
}

void flv_message_backward(const flv_call *c) {
  const flv_arg *x = &c->arg[0];
  if (x->dx && !x->add_dx) memset(x->dx, 0, (size_t)x->rows * (size_t)x->in * sizeof *x->dx);
  message_rows_back(c);
}

// ---- actions ----

typedef void dealing(const flv_call *c, size_t action, size_t row);

// Of every slot of a state that has actions: where these begin in y, and the row of the slot.
static void for_deals(const flv_call *c, dealing *visit) {
  const flv_tree_rows *t = c->tree;
  const size_t each = (size_t)c->arg[0].in;
  const int m = c->shape->nodes;
  for (int s = 0; s < c->states; s++)
    for (int p = 0; p < m - 1; p++) {
      const int v = t->node[(size_t)(c->state0 + s) * (size_t)m + (size_t)p];
      if (v < 0) break;
      for (int k = t->first_slot[v]; k < t->first_slot[v + 1]; k++) {
        const int slot = k - t->first_slot[v] + !flv_tree_is_root(t, v);
        visit(c, (size_t)s * (size_t)c->n + (size_t)(p * c->shape->slots + slot) * each, (size_t)k);
      }
    }
}

// Rows of slots count from those of all states.
static const float *all_slots(const flv_call *c, const float *x) {
  return x - (size_t)c->tree->first_slot[c->node0] * (size_t)c->arg[0].in;
}

static void deal(const flv_call *c, size_t action, size_t row) {
  const size_t each = (size_t)c->arg[0].in;
  memcpy(c->y + action, all_slots(c, c->arg[0].x) + row * each, each * sizeof *c->y);
}

static void deal_back(const flv_call *c, size_t action, size_t row) {
  const size_t each = (size_t)c->arg[0].in;
  tree_add_row(each, c->dy + action, c->arg[0].dx + row * each);
}

void flv_deal_forward(const flv_call *c) {
  const size_t n = (size_t)c->n;
  memset(c->y, 0, (size_t)c->rows * n * sizeof *c->y);
  for_deals(c, deal);
  for (size_t r = 0; r < (size_t)c->rows; r++) c->y[(r + 1) * n - 1] = c->arg[1].x[r];
}

void flv_deal_backward(const flv_call *c) { // all states at once, so that rows begin at 0
  const flv_arg *x = &c->arg[0], *x2 = &c->arg[1];
  const size_t n = (size_t)c->n;
  if (x->dx) {
    if (!x->add_dx) memset(x->dx, 0, (size_t)x->rows * (size_t)x->in * sizeof *x->dx);
    for_deals(c, deal_back);
  }
  for (size_t r = 0; r < (size_t)c->rows && x2->dx; r++)
    x2->dx[r] = (x2->add_dx ? x2->dx[r] : 0.0f) + c->dy[(r + 1) * n - 1];
}

// ---- the mean over the nodes of a state ----

FLV_SIMD static void tree_mean(const flv_call *c, bool back) {
  const size_t n = (size_t)c->n, m = (size_t)c->shape->nodes;
  for (size_t s = 0; s < (size_t)c->states; s++) {
    const int32_t *node = c->tree->node + ((size_t)c->state0 + s) * m;
    size_t count = 0;
    while (count < m && node[count] >= 0) count++;
    const float scale = 1.0f / (float)count;
    float *y = (back ? c->dy : c->y) + s * n;
    if (!back) memset(y, 0, n * sizeof *y);
    for (size_t p = 0; p < count; p++) {
      const ptrdiff_t at = ((ptrdiff_t)node[p] - c->node0) * (ptrdiff_t)n;
      if (back)
        scaled(n, true, scale, y, c->arg[0].dx + at);
      else
        scaled(n, true, scale, c->arg[0].x + at, y);
    }
  }
}

void flv_tree_mean_forward(const flv_call *c) { tree_mean(c, false); }

void flv_tree_mean_backward(const flv_call *c) {
  const flv_arg *x = &c->arg[0];
  if (!x->add_dx) memset(x->dx, 0, (size_t)x->rows * (size_t)x->in * sizeof *x->dx);
  tree_mean(c, true);
}
