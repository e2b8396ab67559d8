// Vocabularies: from the entries of a file to fragments, blocks, stem types and the table of
// symmetric attachments.
//
// Atoms x and y of a fragment are alike when marking x gives the same molecule as marking y: then a
// block that is joined by y may stand for one that is joined by x. That is the test of joining a
// heavy marker at x and at y, without the marker.

#include "chem/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "chem/canonical.h"
#include "chem/element.h"
#include "chem/perceive.h"
#include "chem/smiles.h"
#include "chem/vocabulary_json.h"
#include "io/file.h"

enum { KEY_MAX = 1100 }; // bytes of the key of a fragment, at most

typedef struct builder {
  const flv_drafts *from;
  flv_molecule *molecule; // [n] of each entry
  int *sorted;            // [n] entries in byte order of their SMILES, equal ones in file order
  int *fragment_of;       // [n]
  int *first_of;          // [n_fragments] its first entry in file order
  int16_t (*same)[FLV_FRAGMENT_MAX_ATOMS]; // [n_fragments] of each atom the least one like it
  flv_vocabulary v;
  flv_canon *canon;
  flv_perception p;
  uint8_t (*key)[KEY_MAX]; // [max(64, n)]
  void *block;
  flv_error *err;
} builder;

// ---- entries: molecules and what may be attached to them

// Has an atom an allowed valence after `times` single bonds more? Each takes one of its written
// hydrogens while there are any. An aromatic atom can only give hydrogens; others may go to a
// higher valence, as phosphorus of O=PO does.
static bool can_join(const flv_perception *p, const flv_molecule *m, int i, int times) {
  flv_atom joined = m->atom[i];
  if (joined.aromatic) return times <= p->hydrogens[i];
  const int bonds = p->explicit_valence[i] - joined.eh + times;
  joined.eh = (uint8_t)(joined.eh > times ? joined.eh - times : 0);
  const int valence = bonds + joined.eh;
  return flv_valence_allowed(&joined, valence + flv_implicit_hydrogens(&joined, valence));
}

static flv_status check_attach(builder *b, int i) {
  const flv_draft *draft = &b->from->draft[i];
  const flv_molecule *m = &b->molecule[i];
  char place[48];
  int times[FLV_FRAGMENT_MAX_ATOMS] = {0};
  flv_draft_place(place, b->from, i, FLV_DRAFT_ATTACH);
  flv_perceive(&b->p, m);
  for (int k = 0; k < draft->n_attach; k++) {
    const int atom = draft->attach[k];
    if (atom >= m->n_atoms)
      return flv_fail(b->err, FLV_EINVAL, "%s[%d]: there is no atom %d, expected 0 to %d", place, k,
                      atom, m->n_atoms - 1);
    if (!can_join(&b->p, m, atom, ++times[atom]))
      return flv_fail(b->err, FLV_EINVAL,
                      "%s[%d]: atom %d (%s) has no free valence for %d attachments, expected one "
                      "with hydrogens to replace",
                      place, k, atom, flv_element_of(m->atom[atom].z)->symbol, times[atom]);
  }
  return FLV_OK;
}

static flv_status read_entry(builder *b, int i) {
  const char *text = b->from->draft[i].smiles;
  char place[48];
  flv_draft_place(place, b->from, i, FLV_DRAFT_SMILES);
  if (flv_smiles_read(&b->molecule[i], text, strlen(text), b->err) != FLV_OK)
    return flv_error_prefix(b->err, "%s", place);
  if (b->molecule[i].n_atoms > FLV_FRAGMENT_MAX_ATOMS ||
      b->molecule[i].n_bonds > FLV_FRAGMENT_MAX_BONDS)
    return flv_fail(b->err, FLV_EINVAL, "%s: %d atoms and %d bonds, expected at most %d and %d",
                    place, b->molecule[i].n_atoms, b->molecule[i].n_bonds, FLV_FRAGMENT_MAX_ATOMS,
                    FLV_FRAGMENT_MAX_BONDS);
  return check_attach(b, i);
}

// ---- fragments

static void sort_entries(builder *b) {
  const flv_draft *draft = b->from->draft;
  for (int i = 0; i < b->from->n; i++) {
    int at = i;
    for (; at > 0 && strcmp(draft[b->sorted[at - 1]].smiles, draft[i].smiles) > 0; at--)
      b->sorted[at] = b->sorted[at - 1];
    b->sorted[at] = i;
  }
  for (int k = 0; k < b->from->n; k++) {
    const int i = b->sorted[k];
    if (k == 0 || strcmp(draft[b->sorted[k - 1]].smiles, draft[i].smiles) != 0)
      b->first_of[b->v.n_fragments++] = i;
    b->fragment_of[i] = b->v.n_fragments - 1;
  }
}

static size_t key_of(builder *b, uint8_t *key, int entry, const uint8_t *label) {
  const flv_molecule *m = &b->molecule[entry];
  const flv_labels labels = {.atom = label};
  flv_canonical_key(b->canon, key, m, &labels);
  return flv_canonical_size(m->n_atoms, m->n_bonds);
}

// Ours: every molecule once, however it is written.
static flv_status check_repeated(builder *b) {
  const flv_molecule *m = b->molecule;
  for (int i = 0; i < b->from->n; i++) {
    const size_t size = key_of(b, b->key[i], i, NULL);
    for (int j = 0; j < i; j++)
      if (m[i].n_atoms == m[j].n_atoms && m[i].n_bonds == m[j].n_bonds &&
          memcmp(b->key[i], b->key[j], size) == 0)
        return flv_fail(b->err, FLV_EINVAL,
                        "fragments[%d].smiles: the same molecule as fragments[%d], expected each "
                        "once",
                        i, j);
  }
  return FLV_OK;
}

static void find_alike(builder *b, int fragment) {
  const int entry = b->first_of[fragment], n = b->molecule[entry].n_atoms;
  for (int x = 0; x < n; x++) {
    uint8_t label[FLV_FRAGMENT_MAX_ATOMS] = {0};
    label[x] = 1;
    const size_t size = key_of(b, b->key[x], entry, label);
    int least = 0;
    while (memcmp(b->key[least], b->key[x], size) != 0) least++;
    b->same[fragment][x] = (int16_t)least;
  }
}

// ---- blocks

// The attachment atoms of an entry that begin a block of their own.
static bool begins_block(const builder *b, int i, int k) {
  const flv_draft *draft = &b->from->draft[i];
  const int16_t *same = b->same[b->fragment_of[i]];
  if (b->from->published) return k == 0;
  for (int l = 0; l < k; l++)
    if (same[draft->attach[l]] == same[draft->attach[k]]) return false;
  return true;
}

static flv_status count_blocks(builder *b, size_t *n_attach, size_t *n_text) {
  *n_attach = *n_text = 0;
  for (int i = 0; i < b->from->n; i++) {
    const flv_draft *draft = &b->from->draft[i];
    *n_text += strlen(draft->smiles) + 1 + (draft->name ? strlen(draft->name) + 1 : 0);
    for (int k = 0; k < draft->n_attach; k++) {
      if (!begins_block(b, i, k)) continue;
      b->v.n_blocks++;
      *n_attach += (size_t)draft->n_attach;
    }
  }
  if (b->v.n_blocks <= FLV_VOCABULARY_MAX_BLOCKS) return FLV_OK;
  return flv_fail(b->err, FLV_EINVAL,
                  "%d blocks (fragments by attachment atoms), expected at most "
                  "%d",
                  b->v.n_blocks, FLV_VOCABULARY_MAX_BLOCKS);
}

static const char *copy_text(char **to, const char *text) {
  const size_t size = strlen(text) + 1;
  const char *copy = memcpy(*to, text, size);
  *to += size;
  return copy;
}

static void fill_blocks(builder *b, int16_t *attach, char *text) {
  flv_block *block = b->v.block;
  for (int f = 0; f < b->v.n_fragments; f++)
    b->v.fragment[f].smiles = copy_text(&text, b->from->draft[b->first_of[f]].smiles);
  for (int i = 0; i < b->from->n; i++) {
    const flv_draft *draft = &b->from->draft[i];
    const char *name = draft->name ? copy_text(&text, draft->name) : NULL;
    for (int k = 0; k < draft->n_attach; k++) {
      if (!begins_block(b, i, k)) continue;
      *block++ = (flv_block){name, b->fragment_of[i], draft->n_attach, attach};
      *attach++ = (int16_t)draft->attach[k];
      for (int l = 0; l < draft->n_attach; l++)
        if (l != k) *attach++ = (int16_t)draft->attach[l];
    }
  }
}

// Moves the molecules over.
static void fill_fragments(builder *b, int16_t *same, int16_t *joining) {
  for (int f = 0; f < b->v.n_fragments; f++) {
    flv_fragment *fragment = &b->v.fragment[f];
    flv_molecule *m = &b->molecule[b->first_of[f]];
    fragment->molecule = *m;
    memset(m, 0, sizeof *m);
    const int n = fragment->molecule.n_atoms, bonds = fragment->molecule.n_bonds;
    if (n > b->v.max_atoms) b->v.max_atoms = n;
    if (bonds > b->v.max_bonds) b->v.max_bonds = bonds;
    memcpy(same, b->same[f], sizeof *same * (size_t)n);
    for (int x = 0; x < n; x++) joining[x] = -1;
    fragment->same = same;
    fragment->joining = joining;
    same += n;
    joining += n;
  }
}

// ---- the table of joining blocks, and stem types

static flv_status fill_joining(builder *b) {
  flv_vocabulary *v = &b->v;
  for (int k = 0; k < v->n_blocks; k++) {
    int16_t *at = &v->fragment[v->block[k].fragment].joining[v->block[k].attach[0]];
    if (*at >= 0)
      return flv_fail(b->err, FLV_EINVAL,
                      "block_r[%d]: joined by atom %d of %s as block %d is, "
                      "expected one block for each",
                      k, v->block[k].attach[0], v->fragment[v->block[k].fragment].smiles, *at);
    *at = (int16_t)k;
  }
  for (int k = 0; k < v->n_blocks; k++) {
    const flv_fragment *fragment = &v->fragment[v->block[k].fragment];
    int16_t *row = fragment->joining;
    for (int l = 1; l < v->block[k].n_attach; l++) {
      const int x = v->block[k].attach[l];
      for (int y = 0; y < fragment->molecule.n_atoms && row[x] < 0; y++)
        if (fragment->same[y] == fragment->same[x]) row[x] = row[y];
      if (row[x] < 0)
        return flv_fail(b->err, FLV_EINVAL,
                        "block_r[%d][%d]: no block of %s is joined by atom %d "
                        "or one like it, expected one",
                        k, l, fragment->smiles, x);
    }
  }
  return FLV_OK;
}

static void number_stems(flv_vocabulary *v, flv_stem_rule rule) {
  int widths[FLV_VOCABULARY_MAX_BLOCKS] = {0};
  for (int k = 0; k < v->n_blocks; k++) {
    int *width = &widths[v->block[k].fragment];
    if (rule == FLV_STEMS_PUBLISHED && *width > 0) continue;
    for (int l = 0; l < v->block[k].n_attach; l++)
      if (v->block[k].attach[l] >= *width) *width = v->block[k].attach[l] + 1;
  }
  for (int f = 0; f < v->n_fragments; f++) {
    v->fragment[f].first_type = v->n_stem_types;
    v->n_stem_types += widths[f];
  }
}

// ---- the whole

static flv_status build(builder *b, flv_stem_rule rule) {
  size_t n_attach, n_text, n_atoms = 0;
  for (int i = 0; i < b->from->n; i++) FLV_TRY(read_entry(b, i));
  if (!b->from->published) FLV_TRY(check_repeated(b));
  sort_entries(b);
  for (int f = 0; f < b->v.n_fragments; f++) {
    find_alike(b, f);
    n_atoms += (size_t)b->molecule[b->first_of[f]].n_atoms;
  }
  FLV_TRY(count_blocks(b, &n_attach, &n_text));
  int16_t *attach, *same, *joining;
  char *text;
  const flv_slot slots[] = {
      FLV_SLOT(b->v.block, b->v.n_blocks), FLV_SLOT(b->v.fragment, b->v.n_fragments),
      FLV_SLOT(attach, n_attach),          FLV_SLOT(same, n_atoms),
      FLV_SLOT(joining, n_atoms),          FLV_SLOT(text, n_text)};
  b->v.memory = flv_bind((int)(sizeof slots / sizeof slots[0]), slots);
  if (!b->v.memory) return flv_fail(b->err, FLV_ENOMEM, "out of memory for a vocabulary");
  fill_fragments(b, same, joining);
  fill_blocks(b, attach, text);
  FLV_TRY(fill_joining(b));
  number_stems(&b->v, rule);
  return FLV_OK;
}

static flv_status start(builder *b) {
  const int n = b->from->n, keys = n > FLV_FRAGMENT_MAX_ATOMS ? n : FLV_FRAGMENT_MAX_ATOMS;
  const flv_slot slots[] = {FLV_SLOT(b->molecule, n),    FLV_SLOT(b->sorted, n),
                            FLV_SLOT(b->fragment_of, n), FLV_SLOT(b->first_of, n),
                            FLV_SLOT(b->same, n),        FLV_SLOT(b->key, keys)};
  b->block = flv_bind((int)(sizeof slots / sizeof slots[0]), slots);
  if (!b->block) return flv_fail(b->err, FLV_ENOMEM, "out of memory for a vocabulary");
  FLV_TRY(flv_canon_new(&b->canon, FLV_FRAGMENT_MAX_ATOMS, FLV_FRAGMENT_MAX_BONDS, b->err));
  return flv_perception_init(&b->p, FLV_FRAGMENT_MAX_ATOMS, FLV_FRAGMENT_MAX_BONDS, b->err);
}

flv_status flv_vocabulary_parse(flv_vocabulary *v, const char *text, size_t size,
                                flv_stem_rule rule, flv_error *err) {
  flv_drafts drafts;
  FLV_TRY(flv_drafts_parse(&drafts, text, size, err));
  builder b = {.from = &drafts, .err = err};
  flv_status status = start(&b);
  if (status == FLV_OK) status = build(&b, rule);
  if (status == FLV_OK)
    *v = b.v;
  else
    flv_vocabulary_free(&b.v);
  for (int i = 0; b.block && i < drafts.n; i++) flv_molecule_free(&b.molecule[i]);
  flv_canon_free(b.canon);
  flv_perception_free(&b.p);
  flv_free(b.block);
  flv_drafts_free(&drafts);
  return status;
}

flv_status flv_vocabulary_read(flv_vocabulary *v, const char *path, flv_stem_rule rule,
                               flv_error *err) {
  char *text;
  size_t size;
  FLV_TRY(flv_file_read_limited(path, FLV_VOCABULARY_MAX_BYTES, &text, &size, err));
  const flv_status status = flv_vocabulary_parse(v, text, size, rule, err);
  free(text);
  return status == FLV_OK ? status : flv_error_prefix(err, "%s", path);
}

void flv_vocabulary_free(flv_vocabulary *v) {
  if (!v) return;
  for (int f = 0; v->memory && f < v->n_fragments; f++) flv_molecule_free(&v->fragment[f].molecule);
  flv_free(v->memory);
  memset(v, 0, sizeof *v);
}
