// What the rewards on hypergrids share.
#ifndef FLUVIAL_REWARD_GRID_REWARD_H
#define FLUVIAL_REWARD_GRID_REWARD_H

#include "env/hypergrid.h"
#include "fluvial/reward.h"

// flv_reward.bind: the environment must be a hypergrid, of the reward's shape if it has one.
flv_status flv_grid_reward_bind(const flv_reward *reward, const flv_env *env, flv_error *err);

// Numbers for messages: "64x32" with separator "x", "3, 0" with ", ". Returns text.
enum { FLV_SHAPE_TEXT = 12 * FLV_MAX_DIMS + 1 };
const char *flv_shape_format(int n, const int *number, const char *separator,
                             char text[FLV_SHAPE_TEXT]);

#endif
