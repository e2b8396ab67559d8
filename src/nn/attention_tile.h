// The attention of one state and head, 16 nodes at a time. ops_attention.c includes this once per
// instruction set, having defined TARGET, the attribute of its functions, NAME(x), their names, and
// SHUFFLE(a, b, lanes of both), where it is quick for vectors of 16: GCC cuts vectors to the width
// of the baseline before it makes the clones of FLV_SIMD.
#define INLINE TARGET __attribute__((always_inline)) static inline

// Columns of m rows side by side, times scale; further lanes 0.
INLINE void NAME(transpose_any)(int m, int key, const float *x, size_t stride, float scale,
                                lanes *t) {
  float(*at)[LANES] = (float(*)[LANES])t;
  for (int c = 0; c < key; c++) t[c] = (lanes){0};
  for (int i = 0; i < m; i++, x += stride)
    for (int c = 0; c < key; c++) at[c][i] = scale * x[c];
}

#ifdef SHUFFLE
// Eight columns of 16 rows, as two by two squares of four: rows i and i + 8 are one vector, pairs
// and then fours of rows are interleaved, and halves change places.
INLINE void NAME(transpose_8)(const float *x, size_t stride, float scale, lanes *t) {
  lanes r[8], u[8];
  for (int i = 0; i < 8; i++) {
    const octet low = *(const octet *)(x + (size_t)i * stride);
    const octet high = *(const octet *)(x + (size_t)(i + 8) * stride);
    r[i] = scale * SHUFFLE(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; i += 2) {
    u[i] = SHUFFLE(r[i], r[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    u[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; k++) {
      const lanes a = u[i + k], b = u[i + k + 2];
      r[i + 2 * k] = SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[i + 2 * k + 1] = SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  for (int c = 0; c < 4; c++) {
    const lanes a = r[c], b = r[c + 4];
    t[c] = SHUFFLE(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    t[c + 4] = SHUFFLE(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
}
#endif

INLINE void NAME(transpose)(int m, int key, const float *x, size_t stride, float scale, lanes *t) {
#ifdef SHUFFLE
  if (m == LANES && key % COLUMNS == 0) {
    for (int c = 0; c < key; c += COLUMNS) NAME(transpose_8)(x + c, stride, scale, t + c);
    return;
  }
#endif
  NAME(transpose_any)(m, key, x, stride, scale, t);
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

// y_r[c] (+)= scale sum_s w[r row + s step] x_s[c] of 8 columns and n <= GROUP rows, whose sums do
// not wait for each other.
INLINE void NAME(mix_group)(int n, int m, const float *w, size_t row, size_t step, const float *x,
                            size_t stride, float scale, bool add, float *y, size_t y_stride) {
  octet sum[GROUP] = {{0}};
  for (int s = 0; s < m; s++, x += stride, w += step) {
    const octet xs = *(const octet *)x;
    for (int r = 0; r < n; r++) sum[r] += w[(size_t)r * row] * xs;
  }
  for (int r = 0; r < n; r++, y += y_stride) {
    const octet v = scale * sum[r];
    *(octet *)y = add ? *(const octet *)y + v : v;
  }
}

INLINE void NAME(mix_rows)(int n, int m, const float *w, size_t row, size_t step, const float *x,
                           size_t stride, float scale, bool add, float *y, size_t y_stride) {
  for (; n >= GROUP; n -= GROUP, w += GROUP * row, y += GROUP * y_stride)
    NAME(mix_group)(GROUP, m, w, row, step, x, stride, scale, add, y, y_stride);
  if (n >= GROUP / 2) {
    NAME(mix_group)(GROUP / 2, m, w, row, step, x, stride, scale, add, y, y_stride);
    n -= GROUP / 2, w += GROUP / 2 * row, y += GROUP / 2 * y_stride;
  }
  for (; n > 0; n--, w += row, y += y_stride)
    NAME(mix_group)(1, m, w, row, step, x, stride, scale, add, y, y_stride);
}

INLINE void NAME(mix)(int d, int m, int key, const lanes *w, const float *x, size_t stride,
                      float scale, bool add, float *y, size_t y_stride) {
  int c = 0;
  for (; c + COLUMNS <= key; c += COLUMNS)
    NAME(mix_rows)(m, d, (const float *)w, 1, LANES, x + c, stride, scale, add, y + c, y_stride);
  if (c < key) NAME(mix_columns)(key - c, d, m, w, x + c, stride, scale, add, y + c, y_stride);
}

// y_j[c] (+)= scale sum_i w_j[i] x_i[c]
INLINE void NAME(mix_back_column)(int d, int m, const lanes *w, const float *x, size_t stride,
                                  float scale, bool add, float *y, size_t y_stride) {
  for (int j = 0; j < d; j++, y += y_stride) {
    float sum = 0.0f;
    for (int i = 0; i < m; i++) sum += ((const float *)&w[j])[i] * x[(size_t)i * stride];
    *y = (add ? *y : 0.0f) + scale * sum;
  }
}

INLINE void NAME(mix_back)(int d, int m, int key, const lanes *w, const float *x, size_t stride,
                           float scale, bool add, float *y, size_t y_stride) {
  int c = 0;
  for (; c + COLUMNS <= key; c += COLUMNS)
    NAME(mix_rows)(d, m, (const float *)w, LANES, 1, x + c, stride, scale, add, y + c, y_stride);
  for (; c < key; c++) NAME(mix_back_column)(d, m, w, x + c, stride, scale, add, y + c, y_stride);
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
    NAME(mix)(d, t->m, key, t->ds, h->k, h->in, scale, h->add, h->dq + in, h->in);
    const bool add = h->add || i0 > 0;
    NAME(mix_back)(d, t->m, key, t->ds, h->q + in, h->in, scale, add, h->dk, h->in);
    NAME(mix_back)(d, t->m, key, t->p, dy, h->out, 1.0f, add, h->dv, h->in);
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
#undef SHUFFLE
