// Objects as rows of numbers.
#include "env/columns.h"

int flv_columns_count(const flv_env *env) {
  if (env->n_columns > 0) return env->n_columns;
  return env->n_hot > 0 && env->n_nodes == 0 ? env->n_hot : env->n_features;
}

bool flv_columns_whole(const flv_env *env) { return env->n_hot > 0 || env->n_columns > 0; }

bool flv_columns_grid(const flv_env *env) {
  return env->n_columns == 0 && env->n_hot > 0 && env->shape.n == env->n_hot;
}

// A list of edges, ascending, becomes a matrix where it stands: entry p is written when no edge
// before it can be stored there any more.
static void spread(int n_hot, int n_features, int32_t *row) {
  int left = n_hot;
  while (left > 0 && row[left - 1] < 0) left--;
  for (int p = n_features - 1; p >= 0; p--) {
    const bool edge = left > 0 && row[left - 1] == p;
    left -= edge;
    row[p] = edge;
  }
}

void flv_columns_fill(const flv_env *env, int n, const void *states, void *cells) {
  if (env->n_columns > 0) {
    env->ops->columns(env, n, states, cells);
    return;
  }
  if (!flv_columns_whole(env)) {
    env->ops->observe(env, n, states, NULL, cells);
    return;
  }
  int32_t *hot = cells;
  if (env->n_nodes > 0) {
    for (int i = 0; i < n; i++, hot += env->n_features) {
      env->ops->observe(env, 1, (const unsigned char *)states + (size_t)i * env->state_size, hot,
                        NULL);
      spread(env->n_hot, env->n_features, hot);
    }
    return;
  }
  env->ops->observe(env, n, states, hot, NULL);
  if (!flv_columns_grid(env)) return;
  for (int i = 0; i < n; i++)
    for (int d = 0, before = 0; d < env->n_hot; before += env->shape.side[d++])
      hot[i * env->n_hot + d] -= before;
}
