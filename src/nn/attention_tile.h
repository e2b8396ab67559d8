// The attention of one state and head, 16 nodes at a time. ops_attention.c includes this once per
// instruction set, having defined TARGET, the attribute of its functions, and NAME(x), their names:
// GCC cuts vectors to the width of the baseline before it makes the clones of FLV_SIMD.
#define INLINE TARGET __attribute__((always_inline)) static inline

// Columns of m rows side by side, times scale; further lanes 0.
INLINE void NAME(transpose)(int m, int key, const float *x, size_t stride, float scale, lanes *t) {
  float(*at)[LANES] = (float(*)[LANES])t;
  for (int c = 0; c < key; c++) t[c] = (lanes){0};
  for (int i = 0; i < m; i++, x += stride)
    for (int c = 0; c < key; c++) at[c][i] = scale * x[c];
}

// out_j[i] = sum_c t_c[i] x_j[c]
INLINE void NAME(scores)(int d, int key, const float *x, size_t stride, const lanes *restrict t,
                         lanes *restrict out) {
  for (int j = 0; j < d; j++, x += stride) {
    lanes sum = x[0] * t[0];
    for (int c = 1; c < key; c++) sum += x[c] * t[c];
    out[j] = sum;
  }
}

// *a = max(*a, *b), or the first of the two that is NaN
INLINE void NAME(greater)(lanes *a, const lanes *b) {
  const ints less = *a < *b;
  *a = (lanes)(((ints)*b & less) | ((ints)*a & ~less));
}

INLINE void NAME(softmax)(int d, lanes *p) {
  const lanes least = (lanes){0} - 87.0f;
  lanes top = p[0], sum = {0};
  for (int j = 1; j < d; j++) NAME(greater)(&top, &p[j]);
  for (int j = 0; j < d; j++) {
    lanes e = p[j] - top;
    NAME(greater)(&e, &least);
    FLV_EXP(lanes, words, &e);
    p[j] = e;
    sum += e;
  }
  sum = 1.0f / sum;
  for (int j = 0; j < d; j++) p[j] *= sum;
}

// y_i[c] (+)= scale sum_j w_j[i] x_j[c] of n <= COLUMNS columns.
INLINE void NAME(mix_columns)(int n, int d, int m, const lanes *restrict w, const float *x,
                              size_t stride, float scale, bool add, float *y, size_t y_stride) {
  lanes sum[COLUMNS] = {{0}};
  for (int j = 0; j < d; j++, x += stride)
    for (int c = 0; c < n; c++) sum[c] += x[c] * w[j];
  for (int i = 0; i < m; i++, y += y_stride)
    for (int c = 0; c < n; c++) y[c] = (add ? y[c] : 0.0f) + scale * sum[c][i];
}

INLINE void NAME(mix)(int d, int m, int key, const lanes *restrict w, const float *x, size_t stride,
                      float scale, bool add, float *y, size_t y_stride) {
  int c = 0;
  for (; c + COLUMNS <= key; c += COLUMNS)
    NAME(mix_columns)(COLUMNS, d, m, w, x + c, stride, scale, add, y + c, y_stride);
  if (c < key) NAME(mix_columns)(key - c, d, m, w, x + c, stride, scale, add, y + c, y_stride);
}

// y_j[c] += scale sum_i w_j[i] x_i[c] of 8 columns and n <= GROUP rows, whose sums do not wait for
// each other.
INLINE void NAME(mix_back_rows)(int n, int m, const lanes *w, const float *x, size_t stride,
                                float scale, float *y, size_t y_stride) {
  octet sum[GROUP] = {{0}};
  for (int i = 0; i < m; i++, x += stride) {
    const octet xi = *(const octet *)x;
    for (int j = 0; j < n; j++) sum[j] += ((const float *)&w[j])[i] * xi;
  }
  for (int j = 0; j < n; j++, y += y_stride) *(octet *)y += scale * sum[j];
}

INLINE void NAME(mix_back_column)(int d, int m, const lanes *w, const float *x, size_t stride,
                                  float scale, float *y, size_t y_stride) {
  for (int j = 0; j < d; j++) {
    float sum = 0.0f;
    for (int i = 0; i < m; i++) sum += ((const float *)&w[j])[i] * x[(size_t)i * stride];
    y[(size_t)j * y_stride] += scale * sum;
  }
}

INLINE void NAME(mix_back)(int d, int m, int key, const lanes *w, const float *x, size_t stride,
                           float scale, float *y, size_t y_stride) {
  int c = 0;
  for (; c + COLUMNS <= key; c += COLUMNS) {
    int j = 0;
    for (; j + GROUP <= d; j += GROUP) NAME(mix_back_rows)
    (GROUP, m, w + j, x + c, stride, scale, y + (size_t)j * y_stride + c, y_stride);
    if (j < d) NAME(mix_back_rows)
    (d - j, m, w + j, x + c, stride, scale, y + (size_t)j * y_stride + c, y_stride);
  }
  for (; c < key; c++) NAME(mix_back_column)(d, m, w, x + c, stride, scale, y + c, y_stride);
}

// Scores of masked nodes i are all 0.
INLINE void NAME(hide_queries)(const head *h, int i0, int key, tile *t) {
  memcpy(&t->seen, h->seen + i0, sizeof t->seen);
  for (int c = 0; c < key; c++) t->qt[c] *= t->seen;
}

INLINE void NAME(hide_keys)(const head *h, tile *t) {
  for (int j = 0; j < h->d; j++)
    if (!(h->seen[j] > 0.0f)) t->p[j] = HIDDEN * t->seen;
}

INLINE void NAME(attend_tile)(const head *h, int i0, int key, tile *t) {
  const int d = h->d;
  t->m = d - i0 < LANES ? d - i0 : LANES;
  NAME(transpose)(t->m, key, h->q + (size_t)i0 * h->in, h->in, 1.0f / sqrtf((float)key), t->qt);
  if (h->seen) NAME(hide_queries)(h, i0, key, t);
  NAME(scores)(d, key, h->k, h->in, t->qt, t->p);
  if (h->seen) NAME(hide_keys)(h, t);
  NAME(softmax)(d, t->p);
}

INLINE void NAME(attend_head)(const head *h, int key, float *y, tile *t) {
  for (int i = 0; i < h->d; i += LANES) {
    NAME(attend_tile)(h, i, key, t);
    NAME(mix)(h->d, t->m, key, t->p, h->v, h->in, 1.0f, false, y + (size_t)i * h->out, h->out);
  }
}

INLINE void NAME(attend_back_head)(const head *h, int key, tile *t) {
  const int d = h->d;
  const float scale = 1.0f / sqrtf((float)key);
  for (int i0 = 0; i0 < d; i0 += LANES) {
    const size_t in = (size_t)i0 * h->in, out = (size_t)i0 * h->out;
    const float *dy = h->dy + out;
    lanes mean = {0};
    NAME(attend_tile)(h, i0, key, t);
    NAME(transpose)(t->m, key, dy, h->out, 1.0f, t->dyt);
    NAME(scores)(d, key, h->v, h->in, t->dyt, t->ds);
    for (int j = 0; j < d; j++) mean += t->p[j] * t->ds[j];
    for (int j = 0; j < d; j++) t->ds[j] = t->p[j] * (t->ds[j] - mean);
    for (int j = 0; h->seen && j < d; j++) t->ds[j] *= t->seen;
    NAME(mix)(d, t->m, key, t->ds, h->k, h->in, scale, true, h->dq + in, h->in);
    NAME(mix_back)(d, t->m, key, t->ds, h->q + in, h->in, scale, h->dk, h->in);
    NAME(mix_back)(d, t->m, key, t->p, dy, h->out, 1.0f, h->dv, h->in);
  }
}

// Narrow heads by constants, so that sums over their columns are in registers.
TARGET static void NAME(attend)(const flv_call *c) {
  tile t;
  float seen[MOST];
  for (size_t s = 0; s < (size_t)c->states; s++) {
    if (c->symbols > 0) find_seen(c, s, seen);
    for (int number = 0; number < c->heads; number++) {
      const head h = head_of(c, s, number, seen);
      float *y = c->y + s * (size_t)(c->n_nodes * c->n) + (size_t)(number * h.key);
      if (h.key == 8)
        NAME(attend_head)(&h, 8, y, &t);
      else if (h.key == 16)
        NAME(attend_head)(&h, 16, y, &t);
      else
        NAME(attend_head)(&h, h.key, y, &t);
    }
  }
}

TARGET static void NAME(attend_back)(const flv_call *c) {
  tile t;
  float seen[MOST];
  for (size_t s = 0; s < (size_t)c->states; s++) {
    if (c->symbols > 0) find_seen(c, s, seen);
    for (int number = 0; number < c->heads; number++) {
      const head h = head_of(c, s, number, seen);
      if (h.key == 8)
        NAME(attend_back_head)(&h, 8, &t);
      else if (h.key == 16)
        NAME(attend_back_head)(&h, 16, &t);
      else
        NAME(attend_back_head)(&h, h.key, &t);
    }
  }
}

#undef INLINE
#undef TARGET
#undef NAME
