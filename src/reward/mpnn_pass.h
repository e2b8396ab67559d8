// One evaluation of a chunk of graphs, for mpnn.c, which includes this twice: REAL is float or
// double, PASS(name) a name of that version, GEMM its matrix product, EXP its exponential.

enum { PASS(LANES) = 64 / (int)sizeof(REAL) };

static void PASS(product)(int rows, int in, int out, const REAL *x, const REAL *w, REAL *y) {
  if (rows > 0)
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, out, in, 1, x, in, w, out, 0, y, out);
}

FLV_INLINE REAL PASS(lrelu)(REAL x) { return x < 0 ? (REAL)0.01 * x : x; }
FLV_INLINE REAL PASS(sigmoid)(REAL x) { return 1 / (1 + EXP(-x)); }
FLV_INLINE REAL PASS(tanh)(REAL x) { return 1 - 2 / (1 + EXP(2 * x)); }

// In lanes, whose sums are then added from the left.
FLV_INLINE REAL PASS(dot)(int n, const REAL *restrict a, const REAL *restrict b) {
  enum { LANES = PASS(LANES) };
  REAL lane[LANES] = {0}, sum = 0;
  int j = 0;
  for (; j + LANES <= n; j += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += a[j + l] * b[j + l];
  for (int l = 0; j < n; j++, l++) lane[l] += a[j] * b[j];
  for (int l = 0; l < LANES; l++) sum += lane[l];
  return sum;
}

// h = lrelu(W0 x + b0). Nearly all features are zero: the sum of the rows of the others.
FLV_SIMD static void PASS(mpnn_embed)(int n, int columns, int width, const double *restrict x,
                                      const REAL *restrict w, const REAL *restrict b,
                                      REAL *restrict h) {
  for (int v = 0; v < n; v++, x += columns, h += width) {
    for (int j = 0; j < width; j++) h[j] = b[j];
    for (int c = 0; c < columns; c++) {
      const REAL value = (REAL)x[c];
      if (value == 0) continue;
      const REAL *restrict row = w + (size_t)c * (size_t)width;
      for (int j = 0; j < width; j++) h[j] += value * row[j];
    }
    for (int j = 0; j < width; j++) h[j] = PASS(lrelu)(h[j]);
  }
}

// sum[i] = sum of h over the sources of pair i, in the order of the edges.
FLV_SIMD static void PASS(mpnn_gather)(int n_pairs, int width, const int *restrict first,
                                       const int *restrict source, const REAL *restrict h,
                                       REAL *restrict sum) {
  for (int i = 0; i < n_pairs; i++, sum += width) {
    const REAL *restrict a = h + (size_t)source[first[i]] * (size_t)width;
    for (int j = 0; j < width; j++) sum[j] = a[j];
    for (int e = first[i] + 1; e < first[i + 1]; e++) {
      const REAL *restrict b = h + (size_t)source[e] * (size_t)width;
      for (int j = 0; j < width; j++) sum[j] += b[j];
    }
  }
}

// m_v = lrelu(mean of the messages to v + W h_v + b); the pairs of an atom by kind.
FLV_SIMD static void PASS(mpnn_combine)(const flv_mpnn_slot *s, int width, int kinds,
                                        const REAL *restrict self, const REAL *restrict b,
                                        const REAL *restrict message, REAL *restrict m) {
  for (int v = 0; v < s->n; v++, self += 4 * width, m += width) {
    const REAL scale = s->degree[v] > 0 ? 1 / (REAL)s->degree[v] : 0;
    for (int j = 0; j < width; j++) m[j] = 0;
    for (int i = 0; i < s->n_of[v]; i++) {
      const REAL *restrict row = message + (size_t)s->pair[v * kinds + i] * (size_t)width;
      for (int j = 0; j < width; j++) m[j] += row[j];
    }
    for (int j = 0; j < width; j++) m[j] = PASS(lrelu)(m[j] * scale + self[j] + b[j]);
  }
}

// The gates of the GRU. self is [W h | of r | of z | of n], input [of r | of z | of n].
FLV_SIMD static void PASS(mpnn_gru)(int n, int width, const REAL *restrict self,
                                    const REAL *restrict input, const REAL *restrict b,
                                    REAL *restrict h) {
  const REAL *restrict b_z = b + width, *restrict b_in = b_z + width, *restrict b_hn = b_in + width;
  for (int v = 0; v < n; v++, self += 4 * width, input += 3 * width, h += width) {
    const REAL *restrict hr = self + width, *restrict hz = hr + width, *restrict hn = hz + width;
    const REAL *restrict iz = input + width, *restrict in = iz + width;
    for (int j = 0; j < width; j++) {
      const REAL r = PASS(sigmoid)(input[j] + hr[j] + b[j]);
      const REAL z = PASS(sigmoid)(iz[j] + hz[j] + b_z[j]);
      const REAL t = PASS(tanh)(in[j] + b_in[j] + r * (hn[j] + b_hn[j]));
      h[j] = t + z * (h[j] - t);
    }
  }
}

// The gates i, f, g, o of the LSTM; the hidden state is the first half of a row of q.
FLV_SIMD static void PASS(mpnn_lstm)(int n, int width, const REAL *restrict gates,
                                     const REAL *restrict b, REAL *restrict cell,
                                     REAL *restrict q) {
  for (int g = 0; g < n; g++, gates += 4 * width, cell += width, q += 2 * width)
    for (int j = 0; j < width; j++) {
      const REAL in = PASS(sigmoid)(gates[j] + b[j]);
      const REAL forget = PASS(sigmoid)(gates[width + j] + b[width + j]);
      const REAL new = PASS(tanh)(gates[2 * width + j] + b[2 * width + j]);
      const REAL out = PASS(sigmoid)(gates[3 * width + j] + b[3 * width + j]);
      cell[j] = forget * cell[j] + in * new;
      q[j] = out * PASS(tanh)(cell[j]);
    }
}

// The second half of q: the mean of h over the atoms of one graph, with weights softmax(h . s).
FLV_SIMD static void PASS(mpnn_attend)(int n, int width, const REAL *restrict h,
                                       REAL *restrict weight, REAL *restrict q) {
  REAL most = -(REAL)INFINITY, total = 0, *restrict mean = q + width;
  for (int v = 0; v < n; v++) {
    weight[v] = PASS(dot)(width, h + (size_t)v * (size_t)width, q);
    most = weight[v] > most ? weight[v] : most;
  }
  for (int v = 0; v < n; v++) weight[v] = EXP(weight[v] - most);
  for (int v = 0; v < n; v++) total += weight[v];
  for (int j = 0; j < width; j++) mean[j] = 0;
  for (int v = 0; v < n; v++) {
    const REAL share = weight[v] / total, *restrict row = h + (size_t)v * (size_t)width;
    for (int j = 0; j < width; j++) mean[j] += share * row[j];
  }
}

static void PASS(step)(const flv_mpnn *net, flv_mpnn_slot *s) {
  const int d = net->width;
  const REAL *kernel = net->w[FLV_MPNN_kernel];
  REAL *sum = s->sum, *message = s->message;
  PASS(product)(s->n, d, 4 * d, s->h, net->w[FLV_MPNN_self], s->self);
  PASS(mpnn_gather)(s->n_pairs, d, s->first, s->source, s->h, sum);
  for (int k = 0; k < net->kinds; k++) {
    const size_t row = (size_t)s->begin[k] * (size_t)d;
    PASS(product)
    (s->begin[k + 1] - s->begin[k], d, d, sum + row, kernel + (size_t)k * (size_t)d * (size_t)d,
     message + row);
  }
  PASS(mpnn_combine)(s, d, net->kinds, s->self, net->w[FLV_MPNN_message_b], message, s->m);
  PASS(product)(s->n, d, 3 * d, s->m, net->w[FLV_MPNN_input], s->input);
  PASS(mpnn_gru)(s->n, d, s->self, s->input, net->w[FLV_MPNN_gate_b], s->h);
}

// first_atom: of the n_graphs graphs of the chunk, and where the last one ends.
static void PASS(read_out)(const flv_mpnn *net, flv_mpnn_slot *s, int n_graphs,
                           const int *first_atom, double *p) {
  const int d = net->width;
  const size_t wide = (size_t)d;
  const REAL *h = s->h, *head = net->w[FLV_MPNN_head];
  REAL *q = s->q, *attention = s->attention;
  memset(q, 0, (size_t)n_graphs * 2 * wide * sizeof(REAL));
  memset(s->cell, 0, (size_t)n_graphs * wide * sizeof(REAL));
  for (int t = 0; t < net->readout_steps; t++) {
    PASS(product)(n_graphs, 2 * d, 4 * d, q, net->w[FLV_MPNN_lstm], s->gates);
    PASS(mpnn_lstm)(n_graphs, d, s->gates, net->w[FLV_MPNN_lstm_b], s->cell, q);
    for (int g = 0; g < n_graphs; g++) {
      const int at = first_atom[g] - first_atom[0];
      PASS(mpnn_attend)
      (first_atom[g + 1] - first_atom[g], d, h + (size_t)at * wide, attention + at,
       q + (size_t)g * 2 * wide);
    }
  }
  for (int g = 0; g < n_graphs; g++)
    p[g] = (double)(PASS(dot)(2 * d, head, q + (size_t)g * 2 * wide) + head[2 * d]);
}

static void PASS(evaluate)(const flv_mpnn *net, flv_mpnn_slot *s, int n_graphs, const double *x,
                           const int *first_atom, double *p) {
  PASS(mpnn_embed)
  (s->n, net->columns, net->width, x, net->w[FLV_MPNN_embed], net->w[FLV_MPNN_embed_b], s->h);
  for (int t = 0; t < net->steps; t++) PASS(step)(net, s);
  PASS(read_out)(net, s, n_graphs, first_atom, p);
}
