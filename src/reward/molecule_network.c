// A network's prediction p(x) for molecules joined from fragments (reward/mpnn.h), and a reward of
// it (reward/molecule_scores.h); published with R_min 0.1, norm 8 and exponents 4 to 16 [Malkin et
// al. 2023, arXiv:2210.00580, section 4.4].
//
// The network reads the molecule and which of its atoms have slots left, so p is a function of
// that.
#include <stdlib.h>

#include "chem/perceive.h"
#include "reward/molecule_scores.h"
#include "reward/mpnn.h"
#include "reward/reward_list.h"

enum { ROOT_PLAIN, ROOT_TRANSPOSED };

#define MOLECULE_NETWORK_KEYS(X)                                                                   \
  X(TEXT, path, "", 0, 0, "", "weights of the network, safetensors; required")                     \
  X(REAL, r_min, "0.1", 1e-9, 1e9, "", "least prediction, to which smaller ones are raised")       \
  X(REAL, norm, "8", 1e-9, 1e9, "", "prediction at which R is 1")                                  \
  X(INT, steps, "12", 1, 64, "", "steps of message passing")                                       \
  X(CHOICE, root, "plain", 0, 0, "plain|transposed",                                               \
    "how the weights of a node's own state stand in the file: W h, or W' h (older files)")         \
  X(CHOICE, precision, "double", 0, 0, "double|single", "of the network's arithmetic")             \
  X(INT, cache_mb, "64", 0, 65536, "", "memory for predictions, MiB")                              \
  FLV_EXPONENT_KEY(X)
typedef struct molecule_network_cfg {
  MOLECULE_NETWORK_KEYS(FLV_FIELD)
} molecule_network_cfg;
#define FLV_STRUCT molecule_network_cfg
static const flv_param molecule_network_params[] = {MOLECULE_NETWORK_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct molecule_network {
  flv_mpnn *net;
} molecule_network;

// ---- what it predicts ----

typedef struct scratch { // of one thread
  flv_perception perception;
  flv_mpnn_work *work;
  double *x;
  flv_edge *edge;
} scratch;

static void scratch_free(void *data) {
  scratch *s = data;
  flv_perception_free(&s->perception);
  flv_mpnn_work_free(s->work);
  free(s->x);
  free(s->edge);
  free(s);
}

static void *scratch_new(void *data, int batch, int atoms, int bonds) {
  const molecule_network *self = data;
  (void)batch;
  scratch *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  if (flv_perception_init(&s->perception, atoms, bonds, NULL) == FLV_OK &&
      (s->work = flv_mpnn_work_new(self->net, 1, atoms, 2 * bonds + 1)) &&
      (s->x = calloc((size_t)atoms * FLV_ATOM_FEATURES, sizeof *s->x)) &&
      (s->edge = calloc(2 * (size_t)bonds + 1, sizeof *s->edge)))
    return s;
  scratch_free(s);
  return NULL;
}

// One by one: in a batch the products have other shapes, and may round otherwise.
static flv_status predict(void *data, void *own, int n, const flv_scored *x, double *p,
                          flv_error *err) {
  const molecule_network *self = data;
  scratch *s = own;
  (void)err;
  for (int k = 0; k < n; k++) {
    const flv_molecule *m = &x[k].molecule;
    flv_perceive(&s->perception, m);
    flv_atom_features(s->x, m, &s->perception, x[k].open);
    const int first_atom[2] = {0, m->n_atoms}, first_edge[2] = {0, flv_atom_edges(s->edge, m)};
    const flv_atom_graphs graph = {1, first_atom, first_edge, s->x, s->edge};
    flv_mpnn_eval(self->net, s->work, &graph, &p[k]);
  }
  return FLV_OK;
}

// ---- making one ----

static void molecule_network_free(void *data) {
  molecule_network *self = data;
  flv_mpnn_free(self->net);
  free(self);
}

static flv_status load(molecule_network *self, const molecule_network_cfg *cfg, flv_error *err) {
  const flv_mpnn_options options = {.steps = cfg->steps,
                                    .readout_steps = 3,
                                    .root_transposed = cfg->root == ROOT_TRANSPOSED,
                                    .precision = cfg->precision == 0 ? FLV_F64 : FLV_F32};
  if (!cfg->path[0])
    return flv_fail(err, FLV_EINVAL, "reward.path: the weights of a network are needed");
  FLV_TRY(flv_mpnn_load(&self->net, cfg->path, &options, err));
  if (flv_mpnn_columns(self->net) != FLV_ATOM_FEATURES ||
      flv_mpnn_kinds(self->net) != FLV_BOND_FEATURES + 1)
    return flv_fail(err, FLV_EINVAL,
                    "%s: the network reads %d features of atoms and %d of bonds; expected %d "
                    "and %d",
                    cfg->path, flv_mpnn_columns(self->net), flv_mpnn_kinds(self->net) - 1,
                    (int)FLV_ATOM_FEATURES, (int)FLV_BOND_FEATURES);
  return FLV_OK;
}

static flv_status molecule_network_create(flv_reward *reward, const void *values, flv_error *err) {
  const molecule_network_cfg *cfg = values;
  molecule_network *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'molecule_network'");
  const flv_status status = load(self, cfg, err);
  if (status != FLV_OK) {
    molecule_network_free(self);
    return status;
  }
  const flv_scoring rule = {.name = "molecule_network",
                            .self = self,
                            .free_self = molecule_network_free,
                            .tell = FLV_TELL_STEMS,
                            .signed_numbers = true,
                            .batch = 1,
                            .cache_mb = cfg->cache_mb,
                            .r_min = cfg->r_min,
                            .norm = cfg->norm,
                            .scratch_new = scratch_new,
                            .scratch_free = scratch_free,
                            .score = predict};
  return flv_molecule_scores_reward(reward, &rule, cfg->exponent, err);
}

static const flv_reward_impl molecule_network_impl = {molecule_network_create};
const flv_component flv_reward_molecule_network = {
    "molecule_network",           "fragments: what a network of message passing predicts",
    molecule_network_params,      sizeof molecule_network_params / sizeof *molecule_network_params,
    sizeof(molecule_network_cfg), &molecule_network_impl};
