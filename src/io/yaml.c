// Configurations from YAML, by libyaml's documents, whose nodes know their lines.
//
//   seed: 3                       keys of the section ""
//   objective: tb                 a section: the name of its component,
//   env: {name: hypergrid, side: 64}   or a mapping; `name` takes effect before the other keys
//
// Values are read into a copy, which takes the place of the configuration at the end.

#include "io/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/config_values.h"
#include "io/file.h"

enum { FILE_LIMIT = 1 << 16, ENTRY_LIMIT = 64, DEPTH_LIMIT = 16 };

typedef struct reader {
  const char *name;
  yaml_document_t document;
  flv_config *cfg;
  flv_error *err; // never NULL
} reader;

static yaml_node_t *node_at(reader *r, int index) {
  return yaml_document_get_node(&r->document, index);
}

static size_t line_of(const yaml_node_t *node) { return node->start_mark.line + 1; }

// Puts file and line before the message in r->err.
static flv_status locate(reader *r, const yaml_node_t *node) {
  return flv_error_prefix(r->err, "%s:%zu", r->name, line_of(node));
}

static flv_status unexpected(reader *r, const yaml_node_t *node, const char *key,
                             const char *expected) {
  char shown[FLV_SHOWN_TEXT];
  if (node->type == YAML_SCALAR_NODE)
    flv_fail(r->err, FLV_EINVAL, "%s: expected %s, got '%s'", key, expected,
             flv_text_shown((const char *)node->data.scalar.value, shown));
  else
    flv_fail(r->err, FLV_EINVAL, "%s: expected %s, got %s", key, expected,
             node->type == YAML_SEQUENCE_NODE ? "a list" : "a mapping");
  return locate(r, node);
}

// The text of a scalar, or NULL: not a scalar, or zero bytes inside.
static const char *scalar(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE) return NULL;
  const char *text = (const char *)node->data.scalar.value;
  return strlen(text) == node->data.scalar.length ? text : NULL;
}

static bool is_null(const yaml_node_t *node) {
  const char *text = scalar(node);
  if (!text || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
  return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static flv_status set(reader *r, const yaml_node_t *node, const char *key, const char *value) {
  return flv_config_set(r->cfg, key, value, r->err) == FLV_OK ? FLV_OK : locate(r, node);
}

// A YAML sequence as the text that flv_config_set takes, "[1, 2]".
static flv_status set_list(reader *r, const yaml_node_t *node, const char *key, flv_kind kind) {
  char text[FLV_LIST_MAX * (ENTRY_LIMIT + 2) + 3] = "[";
  size_t used = 1;
  const yaml_node_item_t *first = node->data.sequence.items.start,
                         *end = node->data.sequence.items.top;
  if (end - first > FLV_LIST_MAX) {
    flv_fail(r->err, FLV_EINVAL, "%s: at most %d entries", key, FLV_LIST_MAX);
    return locate(r, node);
  }
  for (const yaml_node_item_t *item = first; item < end; item++) {
    const yaml_node_t *entry = node_at(r, *item);
    const char *value = scalar(entry);
    if (!value || strlen(value) >= ENTRY_LIMIT || strpbrk(value, ",[]"))
      return unexpected(r, entry, key, flv_kind_text(kind));
    used +=
        (size_t)snprintf(text + used, sizeof text - used, "%s%s", item > first ? ", " : "", value);
  }
  strcpy(text + used, "]");
  return set(r, node, key, text);
}

static flv_status apply_value(reader *r, const yaml_node_t *node, const char *key, flv_kind kind) {
  const char *value = scalar(node);
  if (value) return set(r, node, key, value);
  const bool list = kind == FLV_INTS || kind == FLV_REALS;
  if (list && node->type == YAML_SEQUENCE_NODE) return set_list(r, node, key, kind);
  return unexpected(r, node, key, flv_kind_text(kind));
}

// The pair's key as text, refused if the mapping had it before. The scan backwards is short: every
// pair before this one was a known key, and different.
static flv_status pair_key(reader *r, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
                           char *text) {
  const yaml_node_t *node = node_at(r, pair->key);
  const char *key = scalar(node);
  if (!key) return unexpected(r, node, "a key", "a word");
  flv_text_shown(key, text);
  for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
    const yaml_node_t *other = node_at(r, p->key);
    const char *earlier = scalar(other);
    if (!earlier || strcmp(earlier, key) != 0) continue;
    flv_fail(r->err, FLV_EINVAL, "%s: given twice, first on line %zu", text, line_of(other));
    return locate(r, node);
  }
  return FLV_OK;
}

static flv_status unknown_key(reader *r, const yaml_node_t *node, const char *key) {
  char hint[2 * FLV_KEY_TEXT] = "; the keys of a section are written below its name, indented";
  if (node->start_mark.column > 0 || !strchr(key, '.')) // "env.side: 8" is for the command line
    flv_config_hint(r->cfg, key, true, hint, sizeof hint);
  flv_fail(r->err, FLV_EINVAL, "%s: unknown key%s", key, hint);
  return locate(r, node);
}

static flv_status apply_name(reader *r, const yaml_node_t *mapping, const char *section) {
  const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
  for (; pair < mapping->data.mapping.pairs.top; pair++) {
    const char *key = scalar(node_at(r, pair->key));
    if (!key || strcmp(key, "name") != 0) continue;
    const yaml_node_t *node = node_at(r, pair->value);
    const char *name = scalar(node);
    return name ? set(r, node, section, name) : unexpected(r, node, section, "a name");
  }
  return FLV_OK;
}

static flv_status apply_section(reader *r, const yaml_node_t *node, const char *section) {
  if (is_null(node)) return FLV_OK; // all its keys are commented out
  const char *name = scalar(node);
  if (name) return set(r, node, section, name);
  if (node->type != YAML_MAPPING_NODE) return unexpected(r, node, section, "a name or a mapping");
  FLV_TRY(apply_name(r, node, section));
  const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
  for (; pair < node->data.mapping.pairs.top; pair++) {
    char key[FLV_SHOWN_TEXT], full[FLV_KEY_TEXT + FLV_SHOWN_TEXT];
    FLV_TRY(pair_key(r, node, pair, key));
    if (strcmp(key, "name") == 0) continue;
    snprintf(full, sizeof full, "%s.%s", section, key);
    const flv_param *param = flv_param_find(flv_config_component(r->cfg, section), key);
    if (!param) return unknown_key(r, node_at(r, pair->key), full);
    FLV_TRY(apply_value(r, node_at(r, pair->value), full, param->kind));
  }
  return FLV_OK;
}

static flv_status apply_root(reader *r, const yaml_node_t *root) {
  if (!root || is_null(root)) return FLV_OK;
  if (root->type != YAML_MAPPING_NODE) {
    flv_fail(r->err, FLV_EINVAL, "expected keys and values, as in 'seed: 1'");
    return locate(r, root);
  }
  const flv_component *top = flv_config_component(r->cfg, "");
  const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
  for (; pair < root->data.mapping.pairs.top; pair++) {
    char key[FLV_SHOWN_TEXT];
    FLV_TRY(pair_key(r, root, pair, key));
    const yaml_node_t *value = node_at(r, pair->value);
    const flv_param *param = top ? flv_param_find(top, key) : NULL;
    if (param)
      FLV_TRY(apply_value(r, value, key, param->kind));
    else if (*key && flv_config_component(r->cfg, key))
      FLV_TRY(apply_section(r, value, key));
    else
      return unknown_key(r, node_at(r, pair->key), key);
  }
  return FLV_OK;
}

// What libyaml has to say. Errors of its reader (bytes that are not text) come with an offset only.
static flv_status syntax_error(const yaml_parser_t *parser, const char *name, const char *text,
                               size_t size, flv_error *err) {
  // libyaml's loader does not always say that it was memory it lacked.
  if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR)
    return flv_fail(err, FLV_ENOMEM, "%s: out of memory", name);
  const char *problem = parser->problem ? parser->problem : "not YAML";
  if (parser->error == YAML_READER_ERROR) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < parser->problem_offset && i < size; i++)
      if (text[i] == '\n')
        line++, column = 1;
      else
        column++;
    return flv_fail(err, FLV_EINVAL, "%s:%zu:%zu: %s", name, line, column, problem);
  }
  const yaml_mark_t at = parser->problem_mark;
  if (!parser->context)
    return flv_fail(err, FLV_EINVAL, "%s:%zu:%zu: %s", name, at.line + 1, at.column + 1, problem);
  return flv_fail(err, FLV_EINVAL, "%s:%zu:%zu: %s, %s that begins on line %zu", name, at.line + 1,
                  at.column + 1, problem, parser->context, parser->context_mark.line + 1);
}

// libyaml's time grows with the square of the depth of nested brackets, so a file of these is
// refused before it is loaded. Events come one by one, and scanning stops at the limit.
static flv_status check_depth(yaml_parser_t *parser, const char *name, const char *text,
                              size_t size, flv_error *err) {
  yaml_event_type_t type = YAML_NO_EVENT;
  for (int depth = 0; type != YAML_STREAM_END_EVENT;) {
    yaml_event_t event;
    if (!yaml_parser_parse(parser, &event)) return syntax_error(parser, name, text, size, err);
    type = event.type;
    const size_t line = event.start_mark.line + 1;
    yaml_event_delete(&event);
    depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
    depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
    if (depth > DEPTH_LIMIT)
      return flv_fail(err, FLV_EINVAL, "%s:%zu: nested more than %d deep", name, line, DEPTH_LIMIT);
  }
  return FLV_OK;
}

// Applies the first document, and refuses a second.
static flv_status apply_text(reader *r, yaml_parser_t *parser, const char *text, size_t size) {
  if (!yaml_parser_load(parser, &r->document))
    return syntax_error(parser, r->name, text, size, r->err);
  flv_status status = apply_root(r, yaml_document_get_root_node(&r->document));
  yaml_document_delete(&r->document);
  if (status != FLV_OK) return status;
  if (!yaml_parser_load(parser, &r->document))
    return syntax_error(parser, r->name, text, size, r->err);
  const yaml_node_t *second = yaml_document_get_root_node(&r->document);
  if (second) {
    flv_fail(r->err, FLV_EINVAL, "a second document; a configuration is one");
    status = locate(r, second);
  }
  yaml_document_delete(&r->document);
  return status;
}

static flv_status with_parser(reader *r, const char *text, size_t size, bool apply) {
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser))
    return flv_fail(r->err, FLV_ENOMEM, "%s: out of memory", r->name);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
  const flv_status status = apply ? apply_text(r, &parser, text, size)
                                  : check_depth(&parser, r->name, text, size, r->err);
  yaml_parser_delete(&parser);
  return status;
}

flv_status flv_config_parse(flv_config *cfg, const char *name, const char *text, size_t size,
                            flv_error *err) {
  flv_error own = {0};
  reader r = {.name = name, .cfg = flv_config_clone(cfg, err), .err = err ? err : &own};
  if (!r.cfg) return FLV_ENOMEM;
  flv_status status = with_parser(&r, text, size, false);
  if (status == FLV_OK) status = with_parser(&r, text, size, true);
  if (status == FLV_OK) flv_config_swap(cfg, r.cfg);
  flv_config_free(r.cfg);
  return status;
}

flv_status flv_config_load(flv_config *cfg, const char *path, flv_error *err) {
  char *text;
  size_t size;
  FLV_TRY(flv_file_read_limited(path, FILE_LIMIT, &text, &size, err));
  const flv_status status = flv_config_parse(cfg, path, text, size, err);
  free(text);
  return status;
}
