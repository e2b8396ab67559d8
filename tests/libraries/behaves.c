// A library for test_molecule_rewards.c: does what its configuration says.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fluvial/molecule_reward.h"

FLV_MOLECULE_REWARD_LIBRARY;

int lengths(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
            size_t error_size);
int sums(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
         size_t error_size);
int behaves(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
            size_t error_size);

// Letters of the SMILES; config, if there is one, names a file to which they are appended, and
// after each call an empty line.
int lengths(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
            size_t error_size) {
  FILE *f = config[0] ? fopen(config, "a") : NULL;
  if (config[0] && !f) return snprintf(error, error_size, "cannot write %s", config);
  for (int i = 0; i < n; i++) {
    reward[i] = (double)strlen(x[i].smiles);
    if (f) fprintf(f, "%s\n", x[i].smiles);
  }
  if (f) fprintf(f, "\n");
  return f ? fclose(f) : 0;
}

// A number that all that is known of a molecule enters, in its order.
int sums(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
         size_t error_size) {
  (void)config, (void)error, (void)error_size;
  for (int i = 0; i < n; i++) {
    double sum = 0.0;
    for (int k = 0; k < x[i].n_atoms; k++) {
      const flv_reward_atom *a = &x[i].atom[k];
      sum += (k + 1) * (a->z + 0.5 * a->charge + 0.25 * a->hydrogens + 0.125 * a->aromatic);
    }
    for (int k = 0; k < x[i].n_bonds; k++) {
      const flv_reward_bond *b = &x[i].bond[k];
      sum += (k + 1) * (b->a + 3.0 * b->b + 7.0 * b->order);
      if (b->a >= b->b) return 1;
    }
    reward[i] = sum;
  }
  return 0;
}

int behaves(const char *config, int n, const flv_reward_molecule *x, double *reward, char *error,
            size_t error_size) {
  (void)x;
  for (int i = 0; i < n && strcmp(config, "nothing") != 0; i++) reward[i] = 1.0;
  if (strcmp(config, "fails") == 0)
    return snprintf(error, error_size, "no licence\nfor this\n") > 0 ? 7 : 0;
  if (strcmp(config, "says nothing") == 0) return -3;
  if (strcmp(config, "says too much") == 0) return memset(error, '!', error_size) ? 1 : 0;
  if (strcmp(config, "nan") == 0) reward[n - 1] = (double)NAN;
  if (strcmp(config, "negative") == 0) reward[n - 1] = -0.5;
  if (strcmp(config, "infinite") == 0) reward[n - 1] = HUGE_VAL;
  if (strcmp(config, "zero") == 0) reward[n - 1] = 0.0;
  return 0;
}
