// Reading SMILES: one pass over the text, then the checks of smiles_check.h.

#include "chem/smiles.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "chem/element.h"
#include "chem/smiles_check.h"

enum { N_RINGS = 100, MAX_CHARGE = 4, MAX_EH = 9, NO_SYMBOL = 0 };

typedef struct ring { // an opened one
  int atom;           // -1: free
  int order, column;
} ring;

typedef struct parser {
  const char *text;
  int n, at; // at: next byte; columns count from 1
  flv_molecule mol;
  int *column;       // [n] of each atom
  int *branch;       // [n] stack of the atoms that the open branches left
  int *opened;       // [n] columns of their '('
  int depth, last;   // last: the atom that the next bond leaves, -1 at first
  int order;         // of the bond symbol just read, NO_SYMBOL
  int symbol_column; // of that symbol, 0: none was read
  ring rings[N_RINGS];
  flv_error *err;
} parser;

static int peek(const parser *p) { return p->at < p->n ? (unsigned char)p->text[p->at] : -1; }

// A byte as it may stand in a message.
static const char *shown(int c, char text[16]) {
  if (c < 0)
    snprintf(text, 16, "the end");
  else if (c > 32 && c < 127)
    snprintf(text, 16, "'%c'", c);
  else
    snprintf(text, 16, "byte 0x%02x", (unsigned)c);
  return text;
}

static flv_status unexpected(parser *p, const char *expected) {
  char text[16];
  return flv_fail(p->err, FLV_EINVAL, "column %d: %s, expected %s", p->at + 1, shown(peek(p), text),
                  expected);
}

// ---- bonds

static const char symbols[] = "-=#:"; // in the order of flv_bond_order

static bool bonded(const flv_molecule *m, int a, int b) {
  for (int k = 0; k < m->n_bonds; k++)
    if ((m->bond[k].a == a && m->bond[k].b == b) || (m->bond[k].a == b && m->bond[k].b == a))
      return true;
  return false;
}

static flv_status place_atom(parser *p, flv_atom atom, int column) {
  const int i = flv_molecule_add_atom(&p->mol, atom);
  p->column[i] = column;
  if (p->last >= 0) flv_molecule_add_bond(&p->mol, p->last, i, (flv_bond_order)p->order);
  p->last = i;
  p->order = NO_SYMBOL;
  p->symbol_column = 0;
  return FLV_OK;
}

static flv_status read_bond(parser *p) {
  const int c = peek(p);
  if (p->last < 0) return unexpected(p, "an atom before the first bond");
  if (p->symbol_column) return unexpected(p, "an atom or a ring number after the bond symbol");
  p->order = (int)(strchr(symbols, c) - symbols) + 1;
  p->symbol_column = ++p->at;
  return FLV_OK;
}

static flv_status close_ring(parser *p, int number, int column) {
  ring *r = &p->rings[number];
  if (r->atom == p->last)
    return flv_fail(p->err, FLV_EINVAL, "column %d: ring %d opens and closes at the same atom",
                    column, number);
  if (bonded(&p->mol, r->atom, p->last))
    return flv_fail(p->err, FLV_EINVAL,
                    "column %d: ring %d joins two atoms that are bonded already", column, number);
  if (r->order && p->order && r->order != p->order)
    return flv_fail(p->err, FLV_EINVAL,
                    "column %d: ring %d closes with bond '%c' and was opened at column %d with "
                    "'%c', expected the same",
                    column, number, symbols[p->order - 1], r->column, symbols[r->order - 1]);
  flv_molecule_add_bond(&p->mol, p->last, r->atom,
                        (flv_bond_order)(p->order ? p->order : r->order));
  r->atom = -1;
  return FLV_OK;
}

static flv_status read_ring(parser *p) {
  const int column = p->at + 1;
  if (p->last < 0) return unexpected(p, "an atom before the first ring number");
  int number;
  if (peek(p) == '%') {
    p->at++;
    if (!isdigit(peek(p))) return unexpected(p, "two digits of a ring number after '%'");
    number = p->text[p->at++] - '0';
    if (!isdigit(peek(p))) return unexpected(p, "two digits of a ring number after '%'");
    number = 10 * number + p->text[p->at++] - '0';
  } else {
    number = p->text[p->at++] - '0';
  }
  ring *r = &p->rings[number];
  if (r->atom >= 0)
    FLV_TRY(close_ring(p, number, column));
  else
    *r = (ring){p->last, p->order, column};
  p->order = NO_SYMBOL;
  p->symbol_column = 0;
  return FLV_OK;
}

// ---- atoms

// The element whose symbol stands here; how many letters it has. NULL if there is none.
static const flv_element *element_here(const parser *p, bool bracket, bool *aromatic,
                                       int *letters) {
  const int c = peek(p);
  *aromatic = islower(c);
  for (int n = 2; n >= 1; n--) {
    if (p->at + n > p->n) continue;
    char symbol[2] = {(char)toupper(c), n > 1 ? p->text[p->at + 1] : '\0'};
    const flv_element *e = flv_element_named(symbol, (size_t)n);
    if (!e || (*aromatic && (!e->aromatic || (e->aromatic == 2 && !bracket)))) continue;
    if (!bracket && !e->organic) continue;
    if (bracket && n == 1 && p->at + 1 < p->n && islower((unsigned char)p->text[p->at + 1]))
      continue; // of another element: [Na]
    *letters = n;
    return e;
  }
  return NULL;
}

static flv_status read_organic(parser *p) {
  bool aromatic;
  int letters;
  const flv_element *e = element_here(p, false, &aromatic, &letters);
  if (!e) {
    if (peek(p) == '/' || peek(p) == '\\')
      return unexpected(p, "no stereo marks: they are not represented");
    if (peek(p) == '.') return unexpected(p, "a molecule in one piece");
    if (isalpha(peek(p)))
      return unexpected(p, "an atom of B C N O P S F Cl Br I b c n o p s (others in brackets)");
    return unexpected(p, "an atom, a bond, a branch or a ring number");
  }
  const int column = p->at + 1;
  p->at += letters;
  return place_atom(p, (flv_atom){.z = e->z, .aromatic = aromatic}, column);
}

// Digits, or what is meant without any.
static flv_status read_count(parser *p, int without, int most, const char *of, int *count) {
  *count = without;
  if (!isdigit(peek(p))) return FLV_OK;
  const int column = p->at + 1;
  for (*count = 0; isdigit(peek(p)) && *count <= most; p->at++)
    *count = 10 * *count + p->text[p->at] - '0';
  if (*count <= most) return FLV_OK;
  return flv_fail(p->err, FLV_EINVAL, "column %d: %s above %d", column, of, most);
}

static flv_status read_charge(parser *p, int *charge) {
  const int sign = peek(p), column = p->at + 1;
  *charge = 0;
  if (sign != '+' && sign != '-') return FLV_OK;
  p->at++;
  int size = 1;
  if (peek(p) == sign)
    for (; peek(p) == sign && size <= MAX_CHARGE; size++) p->at++;
  else
    FLV_TRY(read_count(p, 1, MAX_CHARGE, "a charge", &size));
  if (size > MAX_CHARGE)
    return flv_fail(p->err, FLV_EINVAL, "column %d: a charge above %d", column, MAX_CHARGE);
  *charge = sign == '+' ? size : -size;
  return FLV_OK;
}

static flv_status no_element(parser *p) {
  static const char known[] = "expected one of B C N O F Si P S Cl As Se Br I b c n o p s as se";
  char name[3] = "";
  for (int k = 0; k < 2 && p->at + k < p->n; k++)
    if (k == 0 ? isalpha(peek(p)) : islower((unsigned char)p->text[p->at + k]))
      name[k] = p->text[p->at + k];
  if (!name[0]) return unexpected(p, "an element after '['");
  return flv_fail(p->err, FLV_EINVAL, "column %d: element '%s', %s", p->at + 1, name, known);
}

// [ element hydrogens charge ]. A neutral aromatic nitrogen with one hydrogen may lose it to a
// substituent and is then like any n; what other brackets say of hydrogens is final.
static flv_status read_bracket(parser *p) {
  const int column = ++p->at;
  if (isdigit(peek(p))) return unexpected(p, "an element: isotopes are not represented");
  bool aromatic;
  int letters, eh = 0, charge;
  const flv_element *e = element_here(p, true, &aromatic, &letters);
  if (!e) return no_element(p);
  p->at += letters;
  if (peek(p) == '@') return unexpected(p, "no stereo marks: they are not represented");
  if (peek(p) == 'H') {
    p->at++;
    FLV_TRY(read_count(p, 1, MAX_EH, "a number of hydrogens", &eh));
  }
  FLV_TRY(read_charge(p, &charge));
  if (peek(p) == ':') return unexpected(p, "']': atom classes are not represented");
  if (peek(p) != ']') return unexpected(p, "hydrogens, a charge or ']' in the bracket");
  p->at++;
  const bool loses = e->z == 7 && aromatic && eh == 1 && charge == 0;
  const flv_atom atom = {e->z, (int8_t)charge, aromatic, (uint8_t)eh, !loses};
  return place_atom(p, atom, column);
}

// ---- the whole

static flv_status read_branch(parser *p) {
  if (p->symbol_column) return unexpected(p, "an atom or a ring number after the bond symbol");
  if (peek(p) == '(') {
    if (p->last < 0) return unexpected(p, "an atom before the first branch");
    p->branch[p->depth] = p->last;
    p->opened[p->depth++] = ++p->at;
    if (peek(p) >= 0 && strchr("()%0123456789", peek(p)))
      return unexpected(p, "an atom of the branch or its bond");
    return FLV_OK;
  }
  if (p->depth == 0) return unexpected(p, "a '(' before it");
  p->last = p->branch[--p->depth];
  p->at++;
  return FLV_OK;
}

static flv_status read_all(parser *p) {
  while (p->at < p->n) {
    const int c = peek(p);
    if (c == '(' || c == ')')
      FLV_TRY(read_branch(p));
    else if (c == '[')
      FLV_TRY(read_bracket(p));
    else if (isdigit(c) || c == '%')
      FLV_TRY(read_ring(p));
    else if (c && strchr(symbols, c))
      FLV_TRY(read_bond(p));
    else
      FLV_TRY(read_organic(p));
  }
  if (p->symbol_column) return unexpected(p, "an atom after the bond symbol");
  if (p->depth > 0)
    return flv_fail(p->err, FLV_EINVAL, "column %d: '(' is never closed", p->opened[p->depth - 1]);
  for (int k = 0; k < N_RINGS; k++)
    if (p->rings[k].atom >= 0)
      return flv_fail(p->err, FLV_EINVAL, "column %d: ring %d is never closed", p->rings[k].column,
                      k);
  return flv_smiles_check(&p->mol, p->column, p->err);
}

flv_status flv_smiles_read(flv_molecule *m, const char *text, size_t n, flv_error *err) {
  if (n == 0) return flv_fail(err, FLV_EINVAL, "column 1: the end, expected an atom");
  if (n > FLV_SMILES_MAX)
    return flv_fail(err, FLV_EINVAL, "SMILES of %zu bytes, expected at most %d", n, FLV_SMILES_MAX);
  parser p = {.text = text, .n = (int)n, .last = -1, .err = err};
  for (int k = 0; k < N_RINGS; k++) p.rings[k].atom = -1;
  const flv_slot slots[] = {FLV_SLOT(p.column, n), FLV_SLOT(p.branch, n), FLV_SLOT(p.opened, n)};
  FLV_TRY(flv_molecule_init(&p.mol, p.n, p.n, err));
  void *block = flv_bind(3, slots);
  flv_status status =
      block ? read_all(&p) : flv_fail(err, FLV_ENOMEM, "out of memory for a molecule");
  flv_molecule made;
  if (status == FLV_OK) status = flv_molecule_init(&made, p.mol.n_atoms, p.mol.n_bonds, err);
  if (status == FLV_OK) {
    flv_molecule_append(&made, &p.mol);
    *m = made;
  }
  flv_free(block);
  flv_molecule_free(&p.mol);
  return status;
}
