// A library for test_molecule_rewards.c that was made with another version of the header.
#include "fluvial/molecule_reward.h"

FLV_MOLECULE_REWARD_EXPORT extern const int32_t flv_molecule_reward_version;
const int32_t flv_molecule_reward_version = FLV_MOLECULE_REWARD_VERSION + 1;
