// A reward for molecules as a shared library (reward: molecule_library). The score is made up, to
// show how it is done, and means nothing in chemistry: reward.py computes the same from the text.
//
//   R = 10 exp(-((n - size) / 6)^2) exp(-((h / n - 0.25) / 0.15)^2) (1 + min(rings, 4)) / 5
//
// of n heavy atoms, h of them N, O or S. reward.config: "size=20".
//
//   cc -shared -fPIC -Iinclude examples/molecules/reward.c -o reward.so -lm
#include <math.h>
#include <stdio.h>

#include "fluvial/molecule_reward.h"

FLV_MOLECULE_REWARD_LIBRARY;

// For compilers that want functions declared.
int reward(const char *config, int n, const flv_reward_molecule *molecule, double *reward,
           char *error, size_t error_size);

static double square(double x) { return x * x; }

static double score(const flv_reward_molecule *m, double size) {
  int hetero = 0;
  for (int i = 0; i < m->n_atoms; i++)
    hetero += m->atom[i].z == 7 || m->atom[i].z == 8 || m->atom[i].z == 16;
  const int rings = m->n_bonds - m->n_atoms + 1; // of a molecule in one piece
  return 10.0 * exp(-square((m->n_atoms - size) / 6.0)) *
         exp(-square(((double)hetero / m->n_atoms - 0.25) / 0.15)) * (1 + (rings < 4 ? rings : 4)) /
         5.0;
}

int reward(const char *config, int n, const flv_reward_molecule *molecule, double *reward,
           char *error, size_t error_size) {
  double size = 20.0;
  if (config[0] && sscanf(config, "size=%lf", &size) != 1) {
    snprintf(error, error_size, "reward.config is '%s', expected size=NUMBER", config);
    return 1;
  }
  for (int i = 0; i < n; i++) reward[i] = score(&molecule[i], size);
  return 0;
}
