// fluvial train --seeds: several runs that differ in their seed, and what is said of them.
#ifndef FLUVIAL_CLI_SEEDS_H
#define FLUVIAL_CLI_SEEDS_H

#include <stdbool.h>

#include "fluvial/seeds.h"
#include "options.h"

typedef struct cli_seed_list { // of --seeds
  int n;
  bool counted; // so many from the configuration's seed on; else the seeds are listed
  int64_t seed[FLV_SEEDS_MAX];
} cli_seed_list;

// The value of --seeds: "5" or "1,2,5". False after a message.
bool cli_take_seeds(const cli_verb *verb, const char *text, cli_seed_list *list);

typedef struct cli_seeds {
  const flv_config *cfg; // NULL with resume
  const char *out, *resume;
  cli_seed_list *list; // n = 0 with resume
  int threads;
  bool quiet;
} cli_seeds;

// Trains all and reports. Returns an exit code, after a message if it is not CLI_OK.
int cli_train_seeds(const cli_seeds *seeds);

#endif
