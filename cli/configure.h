// A configuration from a file and --set, for the verbs that take one.
#ifndef FLUVIAL_CLI_CONFIGURE_H
#define FLUVIAL_CLI_CONFIGURE_H

#include "fluvial/config.h"
#include "options.h"

enum { CLI_MAX_SET = 256, CLI_SET_KEY = 's' };
#define CLI_SET_OPTION                                                                             \
  {                                                                                                \
    CLI_SET_KEY, "set", "KEY=VALUE",                                                               \
        "set one value, after the file is read; may be given many times"                           \
  }

// The configuration in the file at path, then set [n_set], "key=value" each. NULL after a message;
// *code is then the exit code.
flv_config *cli_configure(const cli_verb *verb, const char *path, int n_set, const char *const *set,
                          int *code);

// The second half of it, on a configuration that is there: false after a message.
bool cli_set_values(const cli_verb *verb, flv_config *cfg, int n_set, const char *const *set,
                    int *code);

// A folder that does not exist yet for what is made of the configuration at path: PARENT/NAME, or
// PARENT/NAME-2 ... False after a message.
bool cli_free_folder(char *out, int size, const char *parent, const char *path);

#endif
