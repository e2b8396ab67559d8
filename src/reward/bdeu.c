// BDeu: log marginal likelihood of discrete networks under Dirichlet priors that give Markov
// equivalent graphs the same score. [Buntine 1991; Heckerman, Geiger & Chickering 1995]
//
// Variable j has r categories, its parents together q configurations, N_k rows have configuration k
// and N_kc of them category c. With a_k = ess / q and a = ess / (q r),
//   local = sum_k [ lgamma(a_k) - lgamma(a_k + N_k) + sum_c (lgamma(a + N_kc) - lgamma(a)) ]
// where configurations and categories that no row has contribute nothing, so only the rows are
// walked: they are grouped by one parent after another, which takes O(N) for each.
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "reward/dag_score.h"

#define BDEU_KEYS(X)                                                                               \
  X(REAL, ess, "1", 1e-9, 1e9, "", "equivalent sample size: weight of the prior, in observations")
typedef struct bdeu_cfg {
  flv_dag_keys dag;
  BDEU_KEYS(FLV_FIELD)
} bdeu_cfg;
#define FLV_STRUCT bdeu_cfg
static const flv_param bdeu_params[] = {FLV_DAG_KEYS(FLV_DAG_PARAM) BDEU_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// Rows in groups: group g is row[first[g]] .. row[first[g + 1] - 1].
typedef struct groups {
  int n;
  int *row;   // [rows]
  int *first; // [rows + 1]
} groups;

// What one thread counts in.
typedef struct desk {
  _Atomic int taken;
  groups now, next;
} desk;

typedef struct bdeu {
  double ess;
  const flv_dataset *data;
  int n_desks;
  desk *desks; // [n_desks]
  void *block;
} bdeu;

// Categories in rows[0, n), in order of appearance: which, and how many rows each. Returns their
// number.
static int count(const unsigned char *code, const int *rows, int n,
                 int which[FLV_DATA_MAX_CATEGORIES], int times[FLV_DATA_MAX_CATEGORIES]) {
  int seen = 0;
  for (int r = 0; r < n; r++) {
    const int c = code[rows[r]];
    if (times[c]++ == 0) which[seen++] = c;
  }
  return seen;
}

// Splits every group by one column; next <- now.
static void split(const unsigned char *code, const groups *now, groups *next) {
  int which[FLV_DATA_MAX_CATEGORIES], at[FLV_DATA_MAX_CATEGORIES] = {0};
  next->n = 0;
  for (int g = 0; g < now->n; g++) {
    const int *rows = now->row + now->first[g], n = now->first[g + 1] - now->first[g];
    const int seen = count(code, rows, n, which, at);
    for (int k = 0, place = now->first[g]; k < seen; k++) {
      const int times = at[which[k]];
      next->first[next->n++] = at[which[k]] = place;
      place += times;
    }
    for (int r = 0; r < n; r++) next->row[at[code[rows[r]]]++] = rows[r];
    for (int k = 0; k < seen; k++) at[which[k]] = 0;
  }
  next->first[next->n] = now->first[now->n];
}

// lgamma(a + n) - lgamma(a)
static double rise(double a, int n) {
  int sign = 0;
  return lgamma_r(a + n, &sign) - lgamma_r(a, &sign);
}

static double count_score(const bdeu *self, desk *at, int j, uint64_t parents) {
  const flv_dataset *data = self->data;
  const size_t n = (size_t)data->rows;
  double a_k = self->ess;
  at->now.n = 1;
  at->now.first[0] = 0;
  at->now.first[1] = data->rows;
  for (int r = 0; r < data->rows; r++) at->now.row[r] = r;
  for (int i = 0; i < data->columns; i++) {
    if (!(parents >> i & 1)) continue;
    a_k /= data->levels[i];
    split(data->code + (size_t)i * n, &at->now, &at->next);
    const groups kept = at->now;
    at->now = at->next;
    at->next = kept;
  }
  int which[FLV_DATA_MAX_CATEGORIES], times[FLV_DATA_MAX_CATEGORIES] = {0};
  double sum = 0.0;
  for (int g = 0; g < at->now.n; g++) {
    const int begin = at->now.first[g], size = at->now.first[g + 1] - begin;
    const int seen = count(data->code + (size_t)j * n, at->now.row + begin, size, which, times);
    sum -= rise(a_k, size);
    for (int k = 0; k < seen; k++) {
      sum += rise(a_k / data->levels[j], times[which[k]]);
      times[which[k]] = 0;
    }
  }
  return sum;
}

// Whoever finds every desk taken waits for one: there are as many as cores.
static double bdeu_local(const void *model, int j, uint64_t parents) {
  const bdeu *self = model;
  for (int k = 0;; k = (k + 1) % self->n_desks) {
    desk *at = &self->desks[k];
    if (!atomic_exchange_explicit(&at->taken, 1, memory_order_acquire)) {
      const double score = count_score(self, at, j, parents);
      atomic_store_explicit(&at->taken, 0, memory_order_release);
      return score;
    }
    if (k == self->n_desks - 1) sched_yield();
  }
}

static void bdeu_free(void *model) {
  bdeu *self = model;
  if (self) {
    flv_free(self->block);
    free(self->desks);
  }
  free(self);
}

static flv_status bdeu_fill(bdeu *self, const bdeu_cfg *cfg, const flv_dataset *data,
                            flv_error *err) {
  const size_t rows = (size_t)data->rows + 1;
  self->ess = cfg->ess;
  self->data = data;
  self->n_desks = flv_cores();
  self->desks = calloc((size_t)self->n_desks, sizeof *self->desks);
  int *lines = NULL;
  const flv_slot slot = FLV_SLOT(lines, 4 * rows * (size_t)self->n_desks);
  self->block = self->desks ? flv_bind(1, &slot) : NULL;
  if (!self->block) return flv_fail(err, FLV_ENOMEM, "out of memory to count %d rows", data->rows);
  for (int k = 0; k < self->n_desks; k++, lines += 4 * rows) {
    self->desks[k].now = (groups){0, lines, lines + rows};
    self->desks[k].next = (groups){0, lines + 2 * rows, lines + 3 * rows};
  }
  return FLV_OK;
}

static flv_status bdeu_create(flv_reward *reward, const void *values, flv_error *err) {
  const bdeu_cfg *cfg = values;
  flv_dag_score *score = NULL;
  FLV_TRY(flv_dag_score_new(&score, "bdeu", &cfg->dag, FLV_DATA_CATEGORIES, err));
  bdeu *self = calloc(1, sizeof *self);
  score->local = bdeu_local;
  score->free_model = bdeu_free;
  score->model = self;
  const flv_status status = self ? bdeu_fill(self, cfg, &score->data, err)
                                 : flv_fail(err, FLV_ENOMEM, "out of memory for reward 'bdeu'");
  if (status == FLV_OK)
    flv_dag_score_reward(reward, "bdeu", &cfg->dag, score);
  else
    flv_dag_score_free(score);
  return status;
}

static const flv_reward_impl bdeu_impl = {bdeu_create};
const flv_component flv_reward_bdeu = {
    "bdeu",           "graphs: discrete data, Dirichlet priors, equivalent graphs score the same",
    bdeu_params,      sizeof bdeu_params / sizeof *bdeu_params,
    sizeof(bdeu_cfg), &bdeu_impl};
