#include "base/rng.h"

#include <Random123/philox.h>
#include <math.h>

static philox4x32_ctr_t draw(flv_rng rng, uint32_t item, uint32_t step) {
  // The key holds 64 bits: the seed, with the purpose folded into its upper half by an odd
  // multiplier, so that streams of different purposes differ for every seed.
  const philox4x32_key_t key = {
      {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32) ^ (rng.purpose * 0x9E3779B9u)}};
  const philox4x32_ctr_t counter = {
      {(uint32_t)rng.iteration, (uint32_t)(rng.iteration >> 32), item, step}};
  return philox4x32(counter, key);
}

static double unit(uint32_t hi, uint32_t lo) { // 53 bits
  return (double)(((uint64_t)hi << 32 | lo) >> 11) * 0x1p-53;
}

void flv_rng_uniform2(flv_rng rng, uint32_t item, uint32_t step, double u[2]) {
  const philox4x32_ctr_t r = draw(rng, item, step);
  u[0] = unit(r.v[0], r.v[1]);
  u[1] = unit(r.v[2], r.v[3]);
}

double flv_rng_uniform(flv_rng rng, uint32_t item, uint32_t step) {
  const philox4x32_ctr_t r = draw(rng, item, step);
  return unit(r.v[0], r.v[1]);
}

void flv_rng_normal2(flv_rng rng, uint32_t item, uint32_t step, double z[2]) {
  double u[2];
  flv_rng_uniform2(rng, item, step, u);
  const double radius = sqrt(-2.0 * log1p(-u[0])), angle = 2.0 * 3.14159265358979323846 * u[1];
  z[0] = radius * cos(angle);
  z[1] = radius * sin(angle);
}
