// YAML configurations.
#ifndef FLUVIAL_IO_YAML_H
#define FLUVIAL_IO_YAML_H

#include <stddef.h>

#include "fluvial/config.h"

// flv_config_load of a text in memory; name stands for the file in messages.
flv_status flv_config_parse(flv_config *cfg, const char *name, const char *text, size_t size,
                            flv_error *err);

#endif
