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

typedef struct cli_settings {    // of --set, in their order
  const char *text[CLI_MAX_SET]; // "key=value"
  int n;
} cli_settings;

// The value of CLI_SET_OPTION. False after a message.
bool cli_take_set(const cli_verb *verb, const char *text, cli_settings *set);

// The configuration in the file at path, then set. NULL after a message; *code is then the exit
// code.
flv_config *cli_configure(const cli_verb *verb, const char *path, const cli_settings *set,
                          int *code);

// The second half of it, on a configuration that is there: false after a message.
bool cli_set_values(const cli_verb *verb, flv_config *cfg, const cli_settings *set, int *code);

// A folder that does not exist yet for what is made of the configuration at path: PARENT/NAME, or
// PARENT/NAME-2 ... False after a message.
bool cli_free_folder(char *out, int size, const char *parent, const char *path);

#endif
