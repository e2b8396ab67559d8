// Initial weights.
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "nn/net.h"

static void fill_uniform(const flv_weight *w, flv_rng rng, int tensor, float *entry) {
  const size_t n = (size_t)w->rows * (size_t)w->cols;
  for (size_t i = 0; i < n; i += 2) {
    double u[2];
    flv_rng_uniform2(rng, (uint32_t)tensor, (uint32_t)(i / 2), u);
    for (size_t k = 0; k < 2 && i + k < n; k++)
      entry[i + k] = (float)(w->scale * (2.0 * u[k] - 1.0));
  }
}

// A normal number beyond two deviations is drawn again, at the next iteration of the address.
static void fill_normal(const flv_weight *w, flv_rng rng, int tensor, float *entry) {
  const size_t n = (size_t)w->rows * (size_t)w->cols;
  for (size_t i = 0; i < n; i++) {
    double z[2] = {3.0, 3.0};
    for (rng.iteration = 0; !(fabs(z[i % 2]) <= 2.0); rng.iteration++)
      flv_rng_normal2(rng, (uint32_t)tensor, (uint32_t)(i / 2), z);
    entry[i] = (float)(w->scale * z[i % 2]);
  }
}

// [Vaswani et al. 2017, section 3.5]
static void fill_sines(const flv_weight *w, float *entry) {
  for (int i = 0; i < w->rows; i++)
    for (int j = 0; j < w->cols; j++) {
      const double angle = i * pow(10000.0, (double)(j % 2 - j) / w->cols);
      *entry++ = (float)(w->scale * (j % 2 == 0 ? sin(angle) : cos(angle)));
    }
}

void flv_net_init(const flv_net *net, uint64_t seed, float *params) {
  const flv_rng rng = {seed, FLV_RNG_INIT, 0};
  memset(params, 0, net->n_params * sizeof *params);
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    float *const entry = params + w->offset;
    if (w->init == FLV_INIT_UNIFORM) fill_uniform(w, rng, i, entry);
    if (w->init == FLV_INIT_NORMAL) fill_normal(w, rng, i, entry);
    if (w->init == FLV_INIT_SINES) fill_sines(w, entry);
    for (size_t k = 0; w->init == FLV_INIT_CONSTANT && k < (size_t)w->rows * (size_t)w->cols; k++)
      entry[k] = (float)w->scale;
  }
}
