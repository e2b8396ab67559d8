#include "configure.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool cli_take_set(const cli_verb *verb, const char *text, cli_settings *set) {
  if (set->n == CLI_MAX_SET) {
    cli_misused(verb, "more than %d --set", (int)CLI_MAX_SET);
    return false;
  }
  set->text[set->n++] = text;
  return true;
}

bool cli_set_values(const cli_verb *verb, flv_config *cfg, const cli_settings *set, int *code) {
  *code = CLI_USAGE;
  for (int i = 0; i < set->n; i++) {
    char key[FLV_TEXT_MAX];
    flv_error err = {0};
    const char *text = set->text[i], *equals = strchr(text, '=');
    const int length = equals ? (int)(equals - text) : 0;
    if (length < 1 || length >= (int)sizeof key) {
      cli_misused(verb, "--set %.100s: expected KEY=VALUE", text);
      return false;
    }
    snprintf(key, sizeof key, "%.*s", length, text);
    if (flv_config_set(cfg, key, equals + 1, &err) != FLV_OK) {
      cli_fail("--set %.100s: %s", text, err.text);
      return false;
    }
  }
  *code = CLI_OK;
  return true;
}

flv_config *cli_configure(const cli_verb *verb, const char *path, const cli_settings *set,
                          int *code) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  const flv_status status = cfg ? flv_config_load(cfg, path, &err) : err.status;
  *code = CLI_FAILED;
  if (status != FLV_OK)
    cli_fail("%s", err.text);
  else if (cli_set_values(verb, cfg, set, code))
    return cfg;
  flv_config_free(cfg);
  return NULL;
}

bool cli_free_folder(char *out, int size, const char *parent, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const char *dot = strrchr(name, '.');
  const int length = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
  for (int i = 1; i < 100000; i++) {
    struct stat found;
    const int n = i == 1 ? snprintf(out, (size_t)size, "%s/%.*s", parent, length, name)
                         : snprintf(out, (size_t)size, "%s/%.*s-%d", parent, length, name, i);
    if (n >= size) break;
    if (lstat(out, &found) != 0 && errno == ENOENT) return true;
  }
  cli_fail("%s: no free name in %s/; choose one with --out", path, parent);
  return false;
}
