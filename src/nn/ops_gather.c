// Rows of one buffer summed into rows of another, along the graphs of the states: gathering to the
// ends of edges, spreading a state's row over its nodes or edges, and sums over edges and nodes are
// all lists of pairs (row of y, row of x),
//
//   y[to] += x[from],     backward: dx[from] += dy[to]
//
// taken in the order of states, then of nodes or of the list of edges.
//
// TABLE: y = a block of a tensor.
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"

typedef struct place {           // where a pair is
  size_t state, node, edge, row; // node: within the state; edge: within the call
  size_t pair;                   // i d + j of the edge i -> j
} place;

static inline size_t row_at(flv_numbering by, size_t d, const place *p) {
  switch (by) {
  case FLV_BY_STATE:
    return p->state;
  case FLV_BY_NODE:
    return p->state * d + p->node;
  case FLV_BY_EDGE:
    return p->edge;
  case FLV_BY_VARIABLE:
    return p->node;
  case FLV_BY_PAIR:
    return p->pair;
  case FLV_BY_ROW:
    return p->row;
  case FLV_BY_ONE:
    break;
  }
  return 0;
}

typedef struct way { // from x to y, or back
  const float *source;
  float *target;
  size_t n;
  bool back;
} way;

static inline void pair(const way *w, size_t y, size_t x) {
  const float *restrict source = w->source + (w->back ? y : x) * w->n;
  float *restrict target = w->target + (w->back ? x : y) * w->n;
  for (size_t j = 0; j < w->n; j++) target[j] += source[j];
}

static inline void along_edges(const flv_call *c, const flv_arg *a, const way *w) {
  const size_t d = (size_t)c->n_nodes;
  for (size_t s = 0; s < (size_t)c->states; s++) {
    const int32_t *hot = c->hot + s * (size_t)c->n_hot;
    const size_t begin = (size_t)(c->first_edge[s] - c->first_edge[0]);
    const size_t n = (size_t)(c->first_edge[s + 1] - c->first_edge[s]);
    for (size_t k = 0; k < n; k++) {
      const uint32_t edge = (uint32_t)hot[k], from = edge / (uint32_t)d, to = edge % (uint32_t)d;
      const place x = {s, a->role == FLV_TO ? to : from, begin + k, 0, edge};
      const size_t y = c->per == FLV_PER_EDGE   ? begin + k
                       : c->per == FLV_PER_NODE ? s * d + (a->role == FLV_IN ? to : from)
                                                : s;
      pair(w, y, row_at(a->by, d, &x));
    }
  }
}

static inline void along_nodes(const flv_call *c, const flv_arg *a, const way *w) {
  const size_t d = (size_t)c->n_nodes;
  for (size_t s = 0; s < (size_t)c->states; s++)
    for (size_t i = 0; i < d; i++) {
      const place x = {s, i, 0, 0, 0};
      pair(w, c->per == FLV_PER_NODE ? s * d + i : s, row_at(a->by, d, &x));
    }
}

// Of trees: from nodes to their slots, or from rows to the same rows.
static inline void along_slots(const flv_call *c, const flv_arg *a, const way *w) {
  const int32_t *first = c->tree->first_slot + c->node0;
  if (a->by != FLV_BY_NODE || c->per == FLV_PER_NODE) {
    for (size_t r = 0; r < (size_t)c->rows; r++) pair(w, r, a->by == FLV_BY_ONE ? 0 : r);
    return;
  }
  for (size_t v = 0; v < (size_t)c->nodes; v++)
    for (int k = first[v]; k < first[v + 1]; k++) pair(w, (size_t)(k - first[0]), v);
}

// A table's rows: of d^2, one a pair of nodes, where the role is that of an end.
static inline void along_table(const flv_call *c, const flv_arg *a, const way *w) {
  const size_t d = (size_t)c->n_nodes;
  for (size_t r = 0; r < (size_t)c->rows; r++) {
    const place x = {0, a->role == FLV_TO ? r % d : r / d, 0, r, 0};
    pair(w, r, row_at(a->by, d, &x));
  }
}

FLV_SIMD static void gather_pairs(const flv_call *c, const flv_arg *a, const way *w) {
  if (c->per == FLV_PER_NET)
    along_table(c, a, w);
  else if (c->tree)
    along_slots(c, a, w);
  else if (c->per == FLV_PER_EDGE || a->role == FLV_OUT || a->role == FLV_IN ||
           a->role == FLV_EDGES)
    along_edges(c, a, w);
  else if (c->per == FLV_PER_NODE || a->role == FLV_NODES)
    along_nodes(c, a, w);
  else
    for (size_t s = 0; s < (size_t)c->states; s++) {
      const place x = {.state = s};
      pair(w, s, row_at(a->by, 0, &x));
    }
}

void flv_gather_forward(const flv_call *c, const flv_arg *a) {
  const way w = {a->x, c->y, (size_t)c->n, false};
  gather_pairs(c, a, &w);
}

void flv_gather_backward(const flv_call *c, const flv_arg *a) {
  const way w = {c->dy, a->dx, (size_t)c->n, true};
  if (!a->add_dx) memset(a->dx, 0, (size_t)a->rows * (size_t)a->in * sizeof *a->dx);
  gather_pairs(c, a, &w);
}

void flv_table_forward(const flv_call *c) {
  const size_t n = (size_t)c->n;
  for (size_t r = 0; r < (size_t)c->rows; r++)
    memcpy(c->y + r * n, c->w + r * c->w_stride, n * sizeof *c->y);
}

void flv_table_backward(const flv_call *c) { // of graphs: the gradient adds to what is there
  const size_t n = (size_t)c->n;
  for (size_t r = 0; r < (size_t)c->rows; r++)
    for (size_t j = 0; j < n; j++) c->dw[r * c->w_stride + j] += c->dy[r * n + j];
}
