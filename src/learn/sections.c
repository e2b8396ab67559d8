#include "learn/sections.h"

#include "base/config_values.h"
#include "env/env_list.h"
#include "learn/backward.h"
#include "learn/explore.h"
#include "learn/given.h"
#include "learn/objective.h"
#include "learn/policy.h"
#include "learn/replay.h"
#include "learn/search.h"
#include "learn/stepwise.h"
#include "learn/target_net.h"
#include "nn/optim.h"
#include "reward/reward_list.h"

#define FLV_STRUCT flv_train_cfg
static const flv_param train_params[] = {TRAIN_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
static const flv_component train = {"train",
                                    "the run as a whole",
                                    train_params,
                                    sizeof train_params / sizeof *train_params,
                                    sizeof(flv_train_cfg),
                                    NULL};
static const flv_component *const train_list[] = {&train, NULL};

#define FLV_STRUCT flv_archive_cfg
static const flv_param archive_params[] = {ARCHIVE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
static const flv_component archive = {
    "found",
    "objects in the order in which training finds them, once each",
    archive_params,
    sizeof archive_params / sizeof *archive_params,
    sizeof(flv_archive_cfg),
    NULL};
static const flv_component *const archive_list[] = {&archive, NULL};

static const flv_section sections[] = {
    {"", "top level", train_list},
    {"env", "environment: how objects are built", flv_env_list},
    {"reward", "target: log R of an object", flv_reward_list},
    {"policy", "networks of P_F, P_B and log F", flv_policy_list},
    {"objective", "what training minimises", flv_objective_list},
    {"backward", "backward policy: how P_B learns", flv_backward_list},
    {"exploration", "behaviour policy that makes the trajectories", flv_explore_list},
    {"collect", "how fresh data are collected", flv_collect_list},
    {"local_search", "local search around fresh trajectories", flv_search_list},
    {"replay", "past trajectories used again", flv_replay_list},
    {"data", "given objects to train on", flv_given_list},
    {"target_network", "target network: slow copy of the parameters, for what needs one",
     flv_target_net_list},
    {"optimiser", "how gradients change parameters", flv_optim_list},
    {"schedule", "multiplier on all learning rates", flv_schedule_list},
    {"archive", "archive of the objects that training finds, where they have texts (molecules)",
     archive_list},
    {NULL, NULL, NULL},
};

const flv_section *flv_config_sections(void) { return sections; }

flv_config *flv_config_new(flv_error *err) { return flv_config_create(sections, err); }
