#include "chem/fingerprint.h"

#include <string.h>

#include "base/memory.h"
#include "base/mix.h"
#include "chem/perceive.h"

enum { LEVELS = FLV_FINGERPRINT_RADIUS + 1 };

typedef struct circles {
  const flv_molecule *m;
  flv_perception p;
  uint64_t *hash;  // [LEVELS][n_atoms] x_r(i)
  uint64_t *bonds; // [LEVELS][n_atoms][words] what it speaks of, a bit a bond
  size_t words;
  int32_t *queue; // [n_atoms]
  uint8_t *seen;  // [n_atoms]
  uint8_t *ring;  // [n_atoms] on a ring
} circles;

static uint64_t *hash_at(const circles *c, int r, int i) {
  return c->hash + (size_t)r * (size_t)c->m->n_atoms + (size_t)i;
}

static uint64_t *bonds_at(const circles *c, int r, int i) {
  return c->bonds + ((size_t)r * (size_t)c->m->n_atoms + (size_t)i) * c->words;
}

// Are the ends of bond k joined without it?
static bool on_ring(circles *c, int k) {
  const flv_bond *bond = &c->m->bond[k];
  int head = 0, tail = 0;
  memset(c->seen, 0, (size_t)c->m->n_atoms);
  c->queue[tail++] = bond->a;
  c->seen[bond->a] = 1;
  while (head < tail && !c->seen[bond->b]) {
    const int i = c->queue[head++];
    for (int l = c->p.at[i]; l < c->p.at[i + 1]; l++) {
      const int other = flv_bond_other(&c->m->bond[c->p.of[l]], i);
      if (c->p.of[l] == k || c->seen[other]) continue;
      c->seen[other] = 1;
      c->queue[tail++] = other;
    }
  }
  return c->seen[bond->b];
}

static void begin(circles *c) {
  const flv_molecule *m = c->m;
  for (int k = 0; k < m->n_bonds; k++)
    if (on_ring(c, k)) c->ring[m->bond[k].a] = c->ring[m->bond[k].b] = 1;
  for (int i = 0; i < m->n_atoms; i++) {
    const uint64_t h = (uint64_t)c->p.hydrogens[i];
    const uint64_t degree = (uint64_t)(c->p.at[i + 1] - c->p.at[i]) + h;
    *hash_at(c, 0, i) = flv_mix((uint64_t)m->atom[i].z | (uint64_t)(m->atom[i].q + 128) << 8 |
                                h << 16 | degree << 32 | (uint64_t)c->ring[i] << 48);
  }
}

static void grow(circles *c, int r) {
  const flv_molecule *m = c->m;
  for (int i = 0; i < m->n_atoms; i++) {
    uint64_t *bonds = bonds_at(c, r, i), around = 0;
    memcpy(bonds, bonds_at(c, r - 1, i), c->words * sizeof *bonds);
    for (int l = c->p.at[i]; l < c->p.at[i + 1]; l++) {
      const int k = c->p.of[l], other = flv_bond_other(&m->bond[k], i);
      const uint64_t *theirs = bonds_at(c, r - 1, other);
      around += flv_mix(*hash_at(c, r - 1, other) ^ flv_mix(m->bond[k].order));
      for (size_t w = 0; w < c->words; w++) bonds[w] |= theirs[w];
      bonds[k / 64] |= UINT64_C(1) << k % 64;
    }
    *hash_at(c, r, i) = flv_mix(flv_mix(*hash_at(c, r - 1, i) + (uint64_t)r) ^ around);
  }
}

static bool is_feature(const circles *c, int r, int i) {
  const uint64_t *bonds = bonds_at(c, r, i);
  if (r == 0) return true;
  if (c->p.at[i] == c->p.at[i + 1]) return false;
  for (int q = 1; q <= r; q++)
    for (int j = 0; j < c->m->n_atoms; j++)
      if ((q < r || *hash_at(c, r, j) < *hash_at(c, r, i)) &&
          memcmp(bonds_at(c, q, j), bonds, c->words * sizeof *bonds) == 0)
        return false;
  return true;
}

static void fold(const circles *c, uint64_t *bits) {
  for (int r = 0; r < LEVELS; r++)
    for (int i = 0; i < c->m->n_atoms; i++) {
      if (!is_feature(c, r, i)) continue;
      const uint64_t bit = *hash_at(c, r, i) % FLV_FINGERPRINT_BITS;
      bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

flv_status flv_fingerprint(uint64_t bits[FLV_FINGERPRINT_WORDS], const flv_molecule *m,
                           flv_error *err) {
  const size_t n = (size_t)m->n_atoms;
  circles c = {.m = m, .words = ((size_t)m->n_bonds + 63) / 64};
  FLV_TRY(flv_perception_init(&c.p, m->n_atoms, m->n_bonds, err));
  const flv_slot slots[] = {FLV_SLOT(c.hash, LEVELS * n), FLV_SLOT(c.bonds, LEVELS * n * c.words),
                            FLV_SLOT(c.queue, n), FLV_SLOT(c.seen, n), FLV_SLOT(c.ring, n)};
  void *block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!block) {
    flv_perception_free(&c.p);
    return flv_fail(err, FLV_ENOMEM, "out of memory for a fingerprint");
  }
  flv_perceive(&c.p, m);
  begin(&c);
  for (int r = 1; r < LEVELS; r++) grow(&c, r);
  memset(bits, 0, FLV_FINGERPRINT_WORDS * sizeof *bits);
  fold(&c, bits);
  flv_free(block);
  flv_perception_free(&c.p);
  return FLV_OK;
}
