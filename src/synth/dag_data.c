// Erdos-Renyi graphs and ancestral sampling. Every number has its address: (what, edge or row,
// variable), so nothing depends on what else is drawn.
#include "synth/dag_data.h"

#include <math.h>

#include "base/rng.h"

enum { DRAW_EDGE, DRAW_ORDER, DRAW_WEIGHT, DRAW_NOISE };

static flv_rng rng_for(uint64_t seed, uint64_t what) {
  return (flv_rng){seed, FLV_RNG_SYNTH, what};
}

static flv_status check(const flv_synth_dag *s, flv_error *err) {
  if (s->variables < 2 || s->variables > FLV_SYNTH_MAX)
    return flv_fail(err, FLV_EINVAL, "variables: %d; expected 2 to %d", s->variables,
                    (int)FLV_SYNTH_MAX);
  const int most = s->variables * (s->variables - 1) / 2;
  if (!(s->edges >= 0.0 && s->edges <= most))
    return flv_fail(err, FLV_EINVAL, "edges: %g; %d variables have at most %d", s->edges,
                    s->variables, most);
  if (s->samples < 1 || s->samples > INT32_MAX)
    return flv_fail(err, FLV_EINVAL, "samples: %lld; expected 1 to %d", (long long)s->samples,
                    INT32_MAX);
  if (!(s->noise >= 0.0 && s->noise <= 1e100))
    return flv_fail(err, FLV_EINVAL, "noise: %g; expected a number from 0 to 1e100", s->noise);
  return FLV_OK;
}

// Uniform over all orders (Fisher and Yates).
static void draw_order(flv_dag_model *m) {
  for (int k = 0; k < m->d; k++) {
    const double u = flv_rng_uniform(rng_for(m->seed, DRAW_ORDER), (uint32_t)k, 0);
    const int other = (int)(u * (k + 1));
    m->order[k] = m->order[other];
    m->order[other] = k;
  }
}

flv_status flv_dag_model_draw(flv_dag_model *m, const flv_synth_dag *s, flv_error *err) {
  FLV_TRY(check(s, err));
  *m = (flv_dag_model){.d = s->variables, .noise = s->noise, .seed = s->seed};
  draw_order(m);
  const double p = s->edges / (0.5 * m->d * (m->d - 1));
  for (int a = 0; a < m->d; a++)
    for (int b = a + 1; b < m->d; b++) {
      const uint32_t edge = (uint32_t)(a * FLV_SYNTH_MAX + b);
      if (!(flv_rng_uniform(rng_for(m->seed, DRAW_EDGE), edge, 0) < p)) continue;
      const int i = m->order[a], j = m->order[b];
      double z[2];
      flv_rng_normal2(rng_for(m->seed, DRAW_WEIGHT), edge, 0, z);
      m->parents[j] |= UINT64_C(1) << i;
      m->weight[i * m->d + j] = z[0];
    }
  return FLV_OK;
}

void flv_dag_model_sample(const flv_dag_model *m, uint32_t row, double *x) {
  const int d = m->d;
  for (int j = 0; j < d; j += 2) {
    double z[2];
    flv_rng_normal2(rng_for(m->seed, DRAW_NOISE), row, (uint32_t)(j / 2), z);
    x[j] = m->noise * z[0];
    if (j + 1 < d) x[j + 1] = m->noise * z[1];
  }
  for (int k = 0; k < d; k++) {
    const int j = m->order[k];
    for (uint64_t rest = m->parents[j]; rest; rest &= rest - 1) {
      const int i = __builtin_ctzll(rest);
      x[j] += m->weight[i * d + j] * x[i];
    }
  }
}

void flv_synth_name(int j, char name[FLV_SYNTH_NAME]) {
  int at = 0;
  if (j >= 26) name[at++] = (char)('A' + j / 26 - 1);
  name[at++] = (char)('A' + j % 26);
  name[at] = '\0';
}
