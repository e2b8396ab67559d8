#include "env/molecules.h"

#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "chem/smiles.h"

int flv_molecules_max_atoms(const flv_fragments *env) {
  return env->max_blocks * env->vocabulary.max_atoms;
}

int flv_molecules_max_bonds(const flv_fragments *env) {
  return env->max_blocks * (env->vocabulary.max_bonds + 1);
}

flv_status flv_molecules_init(flv_molecules *m, const flv_fragments *env, flv_error *err) {
  const int atoms = flv_molecules_max_atoms(env), bonds = flv_molecules_max_bonds(env);
  flv_molecules made = {.env = env};
  const size_t blocks = (size_t)env->max_blocks;
  const flv_slot slots[] = {
      FLV_SLOT(made.first, blocks + 1), FLV_SLOT(made.stem, blocks * (size_t)env->slots),
      FLV_SLOT(made.open, (size_t)atoms), FLV_SLOT(made.key, flv_canonical_size(atoms, bonds))};
  made.block = flv_bind(sizeof slots / sizeof *slots, slots);
  flv_status status =
      made.block ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for a molecule");
  if (status == FLV_OK) status = flv_molecule_init(&made.molecule, atoms, bonds, err);
  if (status == FLV_OK) status = flv_molecule_init(&made.ordered, atoms, bonds, err);
  if (status == FLV_OK) status = flv_canon_new(&made.canon, atoms, bonds, err);
  if (status != FLV_OK) {
    flv_molecules_free(&made);
    return status;
  }
  *m = made;
  return FLV_OK;
}

void flv_molecules_free(flv_molecules *m) {
  flv_canon_free(m->canon);
  flv_molecule_free(&m->ordered);
  flv_molecule_free(&m->molecule);
  flv_free(m->block);
  *m = (flv_molecules){0};
}

void flv_molecules_assemble(flv_molecules *m, const flv_fragments_state *s) {
  const flv_vocabulary *v = &m->env->vocabulary;
  int16_t block[FLV_FRAGMENTS_MAX];
  flv_junction junction[FLV_FRAGMENTS_MAX];
  m->n_stems = 0;
  for (int p = 0; p < (int)s->n; p++) {
    const flv_block *b = &v->block[s->block[p]], *to = &v->block[s->block[s->parent[p]]];
    const uint32_t used = flv_fragments_used(s, p);
    block[p] = (int16_t)s->block[p];
    if (p > 0)
      junction[p - 1] =
          (flv_junction){{s->parent[p], (int16_t)p}, {to->attach[s->slot[p]], b->attach[0]}};
    for (int j = 0; j < b->n_attach; j++)
      if (!(used >> j & 1)) m->stem[m->n_stems++] = (flv_stem){(int16_t)p, b->attach[j]};
  }
  flv_molecule_clear(&m->molecule);
  flv_assemble(&m->molecule, m->first, v, (int)s->n, block, (int)s->n - 1, junction);
}

// The bonds that join blocks come last.
static void mark_joints(const flv_molecules *m, uint8_t *joint) {
  int blocks = 0;
  while (m->first[blocks] < m->molecule.n_atoms) blocks++;
  memset(joint, 0, (size_t)m->molecule.n_bonds);
  for (int k = 1; k < blocks; k++) joint[m->molecule.n_bonds - k] = 1;
}

void flv_molecules_key(flv_molecules *m, unsigned tell, uint64_t key[2]) {
  const int atoms = m->molecule.n_atoms, bonds = m->molecule.n_bonds;
  uint8_t stem[FLV_FRAGMENTS_MAX * FLV_FRAGMENT_MAX_ATOMS];
  uint8_t joint[FLV_FRAGMENTS_MAX * (FLV_FRAGMENT_MAX_BONDS + 1)];
  if (tell & FLV_TELL_STEMS) flv_stem_counts(stem, atoms, m->first, m->n_stems, m->stem);
  if (tell & FLV_TELL_JOINTS) mark_joints(m, joint);
  const flv_labels labels = {tell & FLV_TELL_STEMS ? stem : NULL,
                             tell & FLV_TELL_JOINTS ? joint : NULL};
  flv_canonical_key(m->canon, m->key, &m->molecule, &labels);
  const XXH128_hash_t hash = XXH3_128bits(m->key, flv_canonical_size(atoms, bonds));
  key[0] = hash.low64;
  key[1] = hash.high64;
}

void flv_molecules_order(flv_molecules *m) {
  flv_canonical_reorder(m->canon, &m->ordered, &m->molecule);
  memset(m->open, 0, (size_t)m->molecule.n_atoms);
  for (int k = 0; k < m->n_stems; k++)
    m->open[flv_canonical_place(m->canon, m->first[m->stem[k].block] + m->stem[k].atom)]++;
}

flv_status flv_molecules_smiles(flv_molecules *m, char *text, size_t room, flv_error *err) {
  size_t length = 0;
  flv_molecule_clear(&m->ordered);
  flv_canonical_form(m->canon, &m->ordered, &m->molecule);
  FLV_TRY(flv_smiles_write(text, room, &length, &m->ordered, err));
  return length < room ? FLV_OK
                       : flv_fail(err, FLV_EINVAL, "SMILES of %zu bytes, expected fewer than %zu",
                                  length, room);
}
