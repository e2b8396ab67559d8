#include "exact/molecule_list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NUMBER = INT16_MAX };

// ---- molecules that grow ----

int flv_grown_state(const flv_env *env, const flv_grown *g, flv_fragments_state *s,
                    uint8_t *place) {
  const flv_fragments *e = flv_fragments_of(env);
  *s = (flv_fragments_state){0};
  for (int i = 0; i < g->n; i++) {
    int32_t action = g->block[i], at;
    if (i > 0) {
      const int p = place[g->to[i]], slot = flv_fragments_free_slot(e, s, p, g->at[i]);
      if (slot < 0 || e->vocabulary.block[g->block[i]].attach[0] != g->by[i]) return i;
      action = flv_fragments_action(e, p, slot, g->block[i]);
    }
    env->ops->back_of(env, 1, s, &action, &at);
    env->ops->step(env, 1, s, &action);
    for (int k = 0; k < i; k++) place[k] = (uint8_t)(place[k] + (place[k] >= at));
    place[i] = (uint8_t)at;
  }
  return g->n;
}

int flv_grown_open(const flv_fragments *e, const flv_grown *g, int b, int atom) {
  const flv_block *block = &e->vocabulary.block[g->block[b]];
  // cppcheck-suppress arrayIndexOutOfBoundsCond; b is a block of g
  int n = -(b > 0 && g->by[b] == atom);
  for (int j = 0; j < block->n_attach; j++) n += block->attach[j] == atom;
  for (int i = b + 1; i < g->n; i++) n -= g->to[i] == b && g->at[i] == atom;
  return n;
}

static void list_stem(flv_grown *g, int b, int atom) {
  g->stem[g->n_stems] = (uint8_t)b;
  g->stem_atom[g->n_stems++] = (uint8_t)atom;
}

static void unlist_stem(flv_grown *g, int b, int atom) {
  int k = 0;
  while (k < g->n_stems && (g->stem[k] != b || g->stem_atom[k] != atom)) k++;
  if (k == g->n_stems) return;
  for (g->n_stems--; k < g->n_stems; k++) {
    g->stem[k] = g->stem[k + 1];
    g->stem_atom[k] = g->stem_atom[k + 1];
  }
}

void flv_grown_list_stems(const flv_fragments *e, flv_grown *g) {
  g->n_stems = 0;
  for (int b = 0; b < g->n; b++) {
    const flv_block *block = &e->vocabulary.block[g->block[b]];
    for (int j = 1; j < block->n_attach; j++) list_stem(g, b, block->attach[j]);
    if (b == 0)
      list_stem(g, b, block->attach[0]);
    else
      unlist_stem(g, g->to[b], g->at[b]);
  }
}

// ---- text ----

typedef struct span {
  const char *at, *end; // at NULL: nothing left
} span;

// Cuts off what stands before the next `mark`.
static bool cut(span *text, char mark, span *piece) {
  if (!text->at) return false;
  const char *end = memchr(text->at, mark, (size_t)(text->end - text->at));
  *piece = (span){text->at, end ? end : text->end};
  text->at = end ? end + 1 : NULL;
  return true;
}

static bool cut_line(span *text, span *line) {
  if (text->at == text->end || !cut(text, '\n', line)) return false;
  if (line->end > line->at && line->end[-1] == '\r') line->end--;
  return true;
}

static bool is_blank(span s) {
  while (s.at < s.end && isspace((unsigned char)*s.at)) s.at++;
  return s.at == s.end;
}

// The number that a text begins with; -1: none, or one above MOST_NUMBER.
static int take_number(span *s) {
  const char *from = s->at;
  int v = 0;
  while (s->at < s->end && isdigit((unsigned char)*s->at) && v <= MOST_NUMBER)
    v = 10 * v + (*s->at++ - '0');
  return s->at > from && v <= MOST_NUMBER ? v : -1;
}

enum { BLOCKS, BONDS, STEMS, COLUMNS };
static const struct column {
  const char *name, *form;
  int per; // numbers of a group
} columns[COLUMNS] = {
    {"blocks", "whole numbers with commas between them", 1},
    {"jbonds", "b1,b2,a1,a2 for each bond, with semicolons between them", 4},
    {"stems", "b,a for each stem, with semicolons between them", 2},
};

typedef struct reader {
  const flv_env *env;
  const flv_fragments *e;
  int at[COLUMNS]; // which field, -1: there is none
  int line;
  flv_error *err;
} reader;

// Groups of numbers, at most `room` of them.
static flv_status read_groups(const reader *r, int column, span field, int room, int16_t *number,
                              int *n) {
  const struct column *c = &columns[column];
  int k = 0;
  bool right = true;
  while (right && field.at < field.end) {
    if (k == c->per * room)
      return flv_fail(r->err, FLV_EINVAL, "line %d: %s: more than %d", r->line, c->name, room);
    const int v = take_number(&field);
    right = v >= 0;
    number[k++] = (int16_t)v;
    if (!right || field.at == field.end) break;
    right = *field.at++ == (c->per > 1 && k % c->per == 0 ? ';' : ',') && field.at < field.end;
  }
  *n = k / c->per;
  if (right && k % c->per == 0) return FLV_OK;
  return flv_fail(r->err, FLV_EINVAL, "line %d: %s: expected %s", r->line, c->name, c->form);
}

// ---- what it says ----

static flv_status read_blocks(const reader *r, span field, flv_grown *g) {
  const int blocks = r->e->vocabulary.n_blocks;
  FLV_TRY(read_groups(r, BLOCKS, field, FLV_FRAGMENTS_MAX, g->block, &g->n));
  for (int i = 0; i < g->n; i++)
    if (g->block[i] >= blocks)
      return flv_fail(r->err, FLV_EINVAL, "line %d: block %d; expected 0 to %d", r->line,
                      g->block[i], blocks - 1);
  if (g->n >= 1 && g->n <= r->e->max_blocks) return FLV_OK;
  return flv_fail(r->err, FLV_EINVAL, "line %d: %d blocks; expected 1 to env.max_blocks, %d",
                  r->line, g->n, r->e->max_blocks);
}

static flv_status read_bonds(const reader *r, span field, flv_grown *g) {
  int16_t number[4 * FLV_FRAGMENTS_MAX];
  int n;
  FLV_TRY(read_groups(r, BONDS, field, FLV_FRAGMENTS_MAX, number, &n));
  if (n != g->n - 1)
    return flv_fail(r->err, FLV_EINVAL, "line %d: %d bonds for %d blocks; expected %d", r->line, n,
                    g->n, g->n - 1);
  for (int i = 1; i < g->n; i++) {
    const int16_t *b = number + 4 * (i - 1);
    if (b[1] != i || b[0] >= i)
      return flv_fail(
          r->err, FLV_EINVAL,
          "line %d: bond %d is between blocks %d and %d; expected an earlier one and %d", r->line,
          i - 1, b[0], b[1], i);
    g->to[i] = b[0];
    g->at[i] = b[2];
    g->by[i] = b[3];
  }
  return FLV_OK;
}

static flv_status read_stems(const reader *r, span field, flv_grown *g) {
  int16_t stem[2 * FLV_GROWN_STEMS];
  int n, open = 0;
  FLV_TRY(read_groups(r, STEMS, field, FLV_GROWN_STEMS, stem, &n));
  for (int b = 0; b < g->n; b++) open += r->e->vocabulary.block[g->block[b]].n_attach;
  bool right = n == open - 2 * (g->n - 1);
  for (int i = 0; i < n && right; i++) {
    int same = 0;
    for (int k = 0; k < n; k++)
      same += stem[2 * k] == stem[2 * i] && stem[2 * k + 1] == stem[2 * i + 1];
    right = stem[2 * i] < g->n && flv_grown_open(r->e, g, stem[2 * i], stem[2 * i + 1]) == same;
  }
  g->n_stems = 0;
  for (int i = 0; i < n && right; i++) list_stem(g, stem[2 * i], stem[2 * i + 1]);
  if (right) return FLV_OK;
  return flv_fail(r->err, FLV_EINVAL,
                  "line %d: the stems are not those that blocks and bonds leave open", r->line);
}

static flv_status make_state(const reader *r, const flv_grown *g, flv_fragments_state *s) {
  uint8_t place[FLV_FRAGMENTS_MAX];
  const flv_vocabulary *v = &r->e->vocabulary;
  const int i = flv_grown_state(r->env, g, s, place);
  if (i < g->n) {
    const flv_block *block = &v->block[g->block[i]];
    if (g->by[i] != block->attach[0])
      return flv_fail(r->err, FLV_EINVAL,
                      "line %d: bond %d joins block %d by its atom %d; it can be joined by atom %d",
                      r->line, i - 1, g->block[i], g->by[i], block->attach[0]);
    return flv_fail(r->err, FLV_EINVAL, "line %d: bond %d: atom %d of block %d (%s) is not open",
                    r->line, i - 1, g->at[i], g->block[g->to[i]],
                    v->fragment[v->block[g->block[g->to[i]]].fragment].smiles);
  }
  const bool ends = g->n >= r->e->min_blocks; // with fewer, where nothing is open
  for (int b = 0, j; b < g->n && !ends; b++) {
    const flv_block *block = &v->block[g->block[b]];
    for (j = 0; j < block->n_attach && flv_grown_open(r->e, g, b, block->attach[j]) == 0;) j++;
    if (j < block->n_attach)
      return flv_fail(r->err, FLV_EINVAL,
                      "line %d: %d blocks with open atoms; expected at least env.min_blocks, %d",
                      r->line, g->n, r->e->min_blocks);
  }
  return FLV_OK;
}

// ---- lines ----

static flv_status read_names(reader *r, span line) {
  span field;
  if (line.at < line.end && *line.at == '#') line.at++;
  for (int c = 0; c < COLUMNS; c++) r->at[c] = -1;
  for (int k = 0; cut(&line, '\t', &field); k++) {
    const char *stop = memchr(field.at, '(', (size_t)(field.end - field.at));
    if (stop) field.end = stop;
    while (field.at < field.end && *field.at == ' ') field.at++;
    while (field.at < field.end && field.end[-1] == ' ') field.end--;
    for (int c = 0; c < COLUMNS; c++)
      if ((size_t)(field.end - field.at) == strlen(columns[c].name) &&
          memcmp(field.at, columns[c].name, strlen(columns[c].name)) == 0)
        r->at[c] = k;
  }
  for (int c = BLOCKS; c <= BONDS; c++)
    if (r->at[c] < 0)
      return flv_fail(r->err, FLV_EINVAL,
                      "line %d: no column is named '%s'; expected the names of columns with tabs "
                      "between them, blocks and jbonds among them",
                      r->line, columns[c].name);
  return FLV_OK;
}

static flv_status read_molecule(const reader *r, span line, flv_grown *g, flv_fragments_state *s) {
  span field, found[COLUMNS] = {{NULL, NULL}};
  int n = 0;
  for (; cut(&line, '\t', &field); n++)
    for (int c = 0; c < COLUMNS; c++)
      if (r->at[c] == n) found[c] = field;
  for (int c = 0; c < COLUMNS; c++)
    if (r->at[c] >= n)
      return flv_fail(r->err, FLV_EINVAL, "line %d: %d fields; '%s' is field %d", r->line, n,
                      columns[c].name, r->at[c] + 1);
  FLV_TRY(read_blocks(r, found[BLOCKS], g));
  FLV_TRY(read_bonds(r, found[BONDS], g));
  FLV_TRY(make_state(r, g, s));
  if (r->at[STEMS] >= 0) return read_stems(r, found[STEMS], g);
  flv_grown_list_stems(r->e, g);
  return FLV_OK;
}

static flv_status make_room(flv_molecule_list *list, flv_error *err) {
  if (list->n < list->room) return FLV_OK;
  const int64_t room = list->room ? 2 * list->room : 1024;
  flv_grown *grown = realloc(list->grown, (size_t)room * sizeof *grown);
  if (grown) list->grown = grown;
  flv_fragments_state *state = realloc(list->state, (size_t)room * sizeof *state);
  if (state) list->state = state;
  int *line = realloc(list->line, (size_t)room * sizeof *line);
  if (line) list->line = line;
  if (!grown || !state || !line)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld molecules", (long long)room);
  list->room = room;
  return FLV_OK;
}

static flv_status read_list(reader *r, span text, flv_molecule_list *list) {
  span line;
  bool named = false;
  while (cut_line(&text, &line)) {
    r->line++;
    if (!named) {
      FLV_TRY(read_names(r, line));
      named = true;
      continue;
    }
    if (is_blank(line) || *line.at == '#') continue;
    FLV_TRY(make_room(list, r->err));
    FLV_TRY(read_molecule(r, line, &list->grown[list->n], &list->state[list->n]));
    list->line[list->n++] = r->line;
  }
  if (list->n > 0) return FLV_OK;
  return flv_fail(r->err, FLV_EINVAL, "there are no molecules in it");
}

flv_molecule_list *flv_molecule_list_parse(const flv_env *env, const char *text, size_t size,
                                           flv_error *err) {
  reader r = {.env = env, .e = flv_fragments_of(env), .err = err};
  if (!r.e) {
    flv_fail(err, FLV_EINVAL, "molecules are read for environment 'fragments', not '%s'",
             env->name);
    return NULL;
  }
  flv_molecule_list *list = calloc(1, sizeof *list);
  if (!list) {
    flv_fail(err, FLV_ENOMEM, "out of memory for molecules");
    return NULL;
  }
  list->env = env;
  if (read_list(&r, (span){text, text + size}, list) != FLV_OK) {
    flv_molecule_list_free(list);
    return NULL;
  }
  return list;
}

void flv_molecule_list_free(flv_molecule_list *list) {
  if (!list) return;
  free(list->grown);
  free(list->state);
  free(list->line);
  free(list);
}

int64_t flv_molecule_list_count(const flv_molecule_list *list) { return list->n; }
const void *flv_molecule_list_states(const flv_molecule_list *list) { return list->state; }
int flv_molecule_list_line(const flv_molecule_list *list, int64_t i) { return list->line[i]; }
int flv_molecule_list_blocks(const flv_molecule_list *list, int64_t i) { return list->grown[i].n; }
