// Binding of the rewards on hypergrids.
#include "reward/grid_reward.h"

#include <stdio.h>
#include <string.h>

const char *flv_shape_format(int n, const int *number, const char *separator,
                             char text[FLV_SHAPE_TEXT]) {
  size_t used = 0;
  text[0] = '\0';
  for (int d = 0; d < n && used < FLV_SHAPE_TEXT; d++) {
    const char *before = d ? separator : "";
    used += (size_t)snprintf(text + used, FLV_SHAPE_TEXT - used, "%s%d", before, number[d]);
  }
  return text;
}

flv_status flv_grid_reward_bind(const flv_reward *reward, const flv_env *env, flv_error *err) {
  const flv_hypergrid *grid = flv_hypergrid_of(env);
  if (!grid)
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'hypergrid', not '%s'",
                    reward->name, env->name);
  const flv_shape *shape = &reward->shape;
  if (shape->n == 0) return FLV_OK;
  const size_t bytes = (size_t)shape->n * sizeof *shape->side;
  if (grid->dims == shape->n && memcmp(grid->side, shape->side, bytes) == 0) return FLV_OK;
  char theirs[FLV_SHAPE_TEXT], ours[FLV_SHAPE_TEXT];
  return flv_fail(err, FLV_EINVAL, "reward '%s' is an array of %s cells, the grid has %s",
                  reward->name, flv_shape_format(shape->n, shape->side, "x", ours),
                  flv_shape_format(grid->dims, grid->side, "x", theirs));
}
