#include "exact/molecule_paths.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/logmath.h"
#include "base/memory.h"
#include "env/writings.h"

enum { CHUNK = FLV_PATHS_CHUNK, MOST_STATES = 1 << 26 };

typedef struct step { // parent --action--> child
  int32_t parent, child, action;
} step;

typedef struct steps {
  step *step;
  int64_t n, room;
} steps;

typedef struct rows {
  int32_t *row;
  int64_t n, room;
} rows;

struct flv_molecule_paths {
  const flv_env *env;
  flv_writings *writings;
  flv_intern states;
  int closed;     // states whose parents are in the table
  steps steps;    // into closed states, in the order of children
  rows written;   // states that write molecules, molecule after molecule
  rows last_seen; // [states] number, from 1, of the latest molecule that a state writes
  rows end;       // [molecules] of the molecule's part of `written`
};

flv_status flv_molecule_paths_new(flv_molecule_paths **paths, const flv_env *env, flv_error *err) {
  flv_molecule_paths *p = calloc(1, sizeof *p);
  if (!p) return flv_fail(err, FLV_ENOMEM, "out of memory for the ancestors of molecules");
  p->env = env;
  flv_status status = flv_writings_new(&p->writings, flv_fragments_of(env), err);
  if (status == FLV_OK && flv_intern_init(&p->states, sizeof(flv_fragments_state), 1 << 12) != 0)
    status = flv_fail(err, FLV_ENOMEM, "out of memory for the ancestors of molecules");
  if (status != FLV_OK) {
    flv_molecule_paths_free(p);
    return status;
  }
  *paths = p;
  return FLV_OK;
}

void flv_molecule_paths_free(flv_molecule_paths *paths) {
  if (!paths) return;
  flv_writings_free(paths->writings);
  flv_intern_free(&paths->states);
  free(paths->steps.step);
  free(paths->written.row);
  free(paths->last_seen.row);
  free(paths->end.row);
  free(paths);
}

void flv_molecule_paths_clear(flv_molecule_paths *paths) {
  flv_intern_clear(&paths->states);
  paths->closed = 0;
  paths->steps.n = paths->written.n = paths->last_seen.n = paths->end.n = 0;
}

int flv_molecule_paths_states(const flv_molecule_paths *paths) { return paths->states.n; }

// ---- the states below a molecule ----

static flv_status no_memory(flv_error *err) {
  return flv_fail(err, FLV_ENOMEM, "out of memory for the ancestors of molecules");
}

static flv_status push(rows *r, int32_t value, flv_error *err) {
  if (r->n == r->room) {
    const int64_t room = r->room ? 2 * r->room : 1024;
    int32_t *larger = realloc(r->row, (size_t)room * sizeof *larger);
    if (!larger) return no_memory(err);
    r->row = larger;
    r->room = room;
  }
  r->row[r->n++] = value;
  return FLV_OK;
}

static flv_status push_step(steps *s, step value, flv_error *err) {
  if (s->n == s->room) {
    const int64_t room = s->room ? 2 * s->room : 4096;
    step *larger = realloc(s->step, (size_t)room * sizeof *larger);
    if (!larger) return no_memory(err);
    s->step = larger;
    s->room = room;
  }
  s->step[s->n++] = value;
  return FLV_OK;
}

// *row: the state's, new or known.
static flv_status row_of(flv_molecule_paths *p, const flv_fragments_state *s, int *row,
                         flv_error *err) {
  if (p->states.n == MOST_STATES)
    return flv_fail(err, FLV_EINVAL, "these molecules have more than %d ancestors", MOST_STATES);
  if (flv_intern_reserve(&p->states, p->states.n + 1) != 0) return no_memory(err);
  *row = flv_intern_row(&p->states, s);
  return *row < p->last_seen.n ? FLV_OK : push(&p->last_seen, 0, err);
}

static const flv_fragments_state *state_at(const flv_molecule_paths *p, int row) {
  return flv_fragments_at(p->states.states, row);
}

// The states with one block less, and theirs.
static flv_status close_states(flv_molecule_paths *p, flv_error *err) {
  for (; p->closed < p->states.n; p->closed++) {
    const flv_fragments_state s = *state_at(p, p->closed);
    uint32_t inner = 0; // positions with children
    for (int k = 1; k < (int)s.n; k++) inner |= UINT32_C(1) << s.parent[k];
    for (int32_t k = s.n > 1; k < (int32_t)s.n; k++) {
      flv_fragments_state parent = s;
      int32_t action;
      int row = 0;
      if (inner >> k & 1) continue;
      p->env->ops->action_of(p->env, 1, &s, &k, &action);
      p->env->ops->unstep(p->env, 1, &parent, &k);
      FLV_TRY(row_of(p, &parent, &row, err));
      FLV_TRY(push_step(&p->steps, (step){row, p->closed, action}, err));
    }
  }
  return FLV_OK;
}

static flv_status add_writing(void *user, const flv_fragments_state *s, flv_error *err) {
  flv_molecule_paths *p = user;
  const int32_t molecule = (int32_t)p->end.n + 1;
  int row = 0;
  FLV_TRY(row_of(p, s, &row, err));
  if (p->last_seen.row[row] == molecule) return FLV_OK;
  p->last_seen.row[row] = molecule;
  return push(&p->written, row, err);
}

flv_status flv_molecule_paths_add(flv_molecule_paths *paths, const flv_fragments_state *x,
                                  int *writings, flv_error *err) {
  const int64_t before = paths->written.n;
  FLV_TRY(flv_writings_visit(paths->writings, x, add_writing, paths, err));
  FLV_TRY(close_states(paths, err));
  *writings = (int)(paths->written.n - before);
  return push(&paths->end, (int32_t)paths->written.n, err);
}

// ---- order ----

typedef struct placed {
  const flv_fragments_state *state;
  int32_t row;
} placed;

static int by_root(const void *a, const void *b) {
  const placed *x = a, *y = b;
  const int root = (int)x->state->block[0] - (int)y->state->block[0];
  return root ? root : (x->row > y->row) - (x->row < y->row);
}

void flv_fragments_order(int n, const flv_fragments_state *state, int32_t *order) {
  placed *list = malloc((size_t)n * sizeof *list);
  for (int i = 0; i < n; i++) order[i] = i;
  if (!list) return; // any order is right
  for (int i = 0; i < n; i++) list[i] = (placed){&state[i], i};
  qsort(list, (size_t)n, sizeof *list, by_root);
  for (int i = 0; i < n; i++) order[i] = list[i].row;
  free(list);
}

// ---- probabilities ----

typedef struct pass {
  flv_molecule_paths *p;
  int32_t *order;             // [states]
  int64_t *first;             // [states + 2] of the steps out of a state,
  int32_t *out;               // [steps] their numbers
  uint8_t *asked;             // [states] whether P_F is needed
  double *log_step;           // [steps] log P_F
  double *log_u;              // [states]
  double *log_exit;           // [states] log P_F(exit | s), 0 where P_F is not asked for
  double *log_pf;             // [CHUNK, n_actions]
  flv_fragments_state *chunk; // [CHUNK]
  int32_t row[CHUNK];         // of the chunk
  int n;                      // in the chunk
  void *block;
} pass;

static flv_status pass_init(pass *q, flv_molecule_paths *p, flv_error *err) {
  const size_t n = (size_t)p->states.n;
  *q = (pass){.p = p};
  const flv_slot slots[] = {FLV_SLOT(q->order, n),
                            FLV_SLOT(q->first, n + 2),
                            FLV_SLOT(q->out, p->steps.n),
                            FLV_SLOT(q->asked, n),
                            FLV_SLOT(q->log_step, p->steps.n),
                            FLV_SLOT(q->log_u, n),
                            FLV_SLOT(q->log_exit, n),
                            FLV_SLOT(q->log_pf, CHUNK * (size_t)p->env->n_actions),
                            FLV_SLOT(q->chunk, CHUNK)};
  q->block = flv_bind(sizeof slots / sizeof *slots, slots);
  return q->block ? FLV_OK : no_memory(err);
}

// Steps by parents; which states to ask for: parents, and molecules that need not end.
static void prepare(pass *q) {
  const flv_molecule_paths *p = q->p;
  const int n = p->states.n, most = flv_fragments_of(p->env)->max_blocks;
  for (int64_t k = 0; k < p->steps.n; k++) q->first[p->steps.step[k].parent + 2]++;
  for (int i = 0; i < n; i++) {
    q->asked[i] = q->first[i + 2] > 0;
    q->first[i + 2] += q->first[i + 1];
  }
  for (int64_t k = 0; k < p->steps.n;
       k++) // first[i + 1] goes from where i's steps begin to their end
    q->out[q->first[p->steps.step[k].parent + 1]++] = (int32_t)k;
  for (int64_t k = 0; k < p->written.n; k++)
    if ((int)state_at(p, p->written.row[k])->n < most) q->asked[p->written.row[k]] = 1;
  for (int i = 0; i < n; i++) q->log_u[i] = state_at(p, i)->n == 0 ? 0.0 : -HUGE_VAL;
  flv_fragments_order(n, state_at(p, 0), q->order);
}

// Asks for the chunk's P_F and keeps what is used of it.
static flv_status flush(pass *q, flv_log_pf_fn log_pf, void *user, flv_error *err) {
  const flv_env *env = q->p->env;
  if (q->n > 0) log_pf(user, q->n, q->chunk, q->log_pf);
  for (int i = 0; i < q->n; i++) {
    const int32_t s = q->row[i];
    const double *of = q->log_pf + (size_t)i * (size_t)env->n_actions;
    bool right = !isnan(q->log_exit[s] = of[env->exit_action]);
    for (int64_t k = q->first[s]; k < q->first[s + 1]; k++) {
      const double log_p = of[q->p->steps.step[q->out[k]].action];
      q->log_step[q->out[k]] = log_p;
      right &= !isnan(log_p);
    }
    if (!right) return flv_fail(err, FLV_ENAN, "the policy's probabilities are not numbers");
  }
  q->n = 0;
  return FLV_OK;
}

static flv_status ask(pass *q, flv_log_pf_fn log_pf, void *user, const flv_share *share,
                      flv_error *err) {
  const int n = q->p->states.n;
  for (int i = 0; i < n; i++) {
    const int32_t s = q->order[i];
    if (!q->asked[s]) continue;
    q->row[q->n] = s;
    q->chunk[q->n++] = *state_at(q->p, s);
    if (q->n < CHUNK) continue;
    FLV_TRY(flush(q, log_pf, user, err));
    flv_share_tell(share, (double)(i + 1) / n);
  }
  FLV_TRY(flush(q, log_pf, user, err));
  flv_share_tell(share, 1.0);
  return FLV_OK;
}

static void propagate(pass *q) {
  const flv_molecule_paths *p = q->p;
  const int most = flv_fragments_of(p->env)->max_blocks;
  for (int size = 0; size < most; size++)
    for (int s = 0; s < p->states.n; s++) {
      if ((int)state_at(p, s)->n != size) continue;
      for (int64_t k = q->first[s]; k < q->first[s + 1]; k++) {
        double *log_u = &q->log_u[p->steps.step[q->out[k]].child];
        *log_u = flv_logaddexp(*log_u, q->log_u[s] + q->log_step[q->out[k]]);
      }
    }
}

flv_status flv_molecule_paths_log_p(flv_molecule_paths *paths, flv_log_pf_fn log_pf, void *user,
                                    const flv_share *share, double *log_p, flv_error *err) {
  pass q;
  FLV_TRY(pass_init(&q, paths, err));
  prepare(&q);
  const flv_status status = ask(&q, log_pf, user, share, err);
  if (status == FLV_OK) propagate(&q);
  for (int64_t i = 0, k = 0; i < paths->end.n && status == FLV_OK; i++) {
    log_p[i] = -HUGE_VAL;
    for (; k < paths->end.row[i]; k++) {
      const int32_t s = paths->written.row[k];
      log_p[i] = flv_logaddexp(log_p[i], q.log_u[s] + q.log_exit[s]);
    }
  }
  flv_free(q.block);
  return status;
}
