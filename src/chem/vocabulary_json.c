// Vocabulary files through cJSON: keys and types.

#include "chem/vocabulary_json.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char formats[] = "an object with \"fragments\", or with \"block_smi\" and \"block_r\"";

const char *flv_draft_place(char text[48], const flv_drafts *drafts, int i, flv_draft_key key) {
  if (drafts->published)
    snprintf(text, 48, "%s[%d]", key == FLV_DRAFT_SMILES ? "block_smi" : "block_r", i);
  else
    snprintf(text, 48, "fragments[%d].%s", i, key == FLV_DRAFT_SMILES ? "smiles" : "attach");
  return text;
}

// Text from a file as it may stand in a line of message.
static const char *shown(char text[32], const char *found) {
  size_t n = 0;
  for (; found[n] && n < 28; n++)
    text[n] = (unsigned char)found[n] < 32 || (unsigned char)found[n] > 126 ? '?' : found[n];
  strcpy(text + n, found[n] ? ".." : "");
  return text;
}

// What stands there instead of what is expected, as text of a message.
static const char *found(char text[36], const cJSON *item) {
  if (cJSON_IsNumber(item))
    snprintf(text, 32, "%.12g", item->valuedouble);
  else if (cJSON_IsString(item)) {
    text[0] = '"';
    shown(text + 1, item->valuestring);
  } else if (cJSON_IsArray(item) || cJSON_IsObject(item))
    snprintf(text, 32, "%s of %d", cJSON_IsArray(item) ? "a list" : "an object",
             cJSON_GetArraySize(item));
  else
    snprintf(text, 32, "%s", cJSON_IsNull(item) ? "null" : cJSON_IsTrue(item) ? "true" : "false");
  if (cJSON_IsString(item)) strcat(text, "\"");
  return text;
}

static flv_status read_attach(flv_drafts *drafts, int i, const cJSON *list, flv_error *err) {
  char place[48], there[36];
  flv_draft *draft = &drafts->draft[i];
  flv_draft_place(place, drafts, i, FLV_DRAFT_ATTACH);
  const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
  if (n < 1 || n > FLV_BLOCK_MAX_ATTACH)
    return flv_fail(err, FLV_EINVAL, "%s: %s, expected a list of 1 to %d atoms", place,
                    found(there, list), FLV_BLOCK_MAX_ATTACH);
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    const double value = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
    if (!(value >= 0.0 && value < 1e6) || value != (double)(int)value)
      return flv_fail(err, FLV_EINVAL, "%s[%d]: %s, expected the number of an atom, from 0", place,
                      draft->n_attach, found(there, item));
    draft->attach[draft->n_attach++] = (int)value;
  }
  return FLV_OK;
}

static flv_status read_smiles(flv_drafts *drafts, int i, const cJSON *item, flv_error *err) {
  char place[48], there[36];
  if (!cJSON_IsString(item))
    return flv_fail(err, FLV_EINVAL, "%s: %s, expected SMILES as a text",
                    flv_draft_place(place, drafts, i, FLV_DRAFT_SMILES), found(there, item));
  drafts->draft[i].smiles = item->valuestring;
  return FLV_OK;
}

static flv_status make_room(flv_drafts *drafts, int n, const char *what, flv_error *err) {
  if (n < 1 || n > FLV_VOCABULARY_MAX_BLOCKS)
    return flv_fail(err, FLV_EINVAL, "%s: %d entries, expected 1 to %d", what, n,
                    FLV_VOCABULARY_MAX_BLOCKS);
  drafts->draft = calloc((size_t)n, sizeof *drafts->draft);
  if (!drafts->draft) return flv_fail(err, FLV_ENOMEM, "out of memory for a vocabulary");
  drafts->n = n;
  return FLV_OK;
}

// ---- ours

static flv_status read_fragment(flv_drafts *drafts, int i, const cJSON *entry, flv_error *err) {
  char key[32];
  if (!cJSON_IsObject(entry))
    return flv_fail(err, FLV_EINVAL,
                    "fragments[%d]: expected an object with \"smiles\" and "
                    "\"attach\"",
                    i);
  const cJSON *smiles = NULL, *attach = NULL, *name = NULL, *item;
  cJSON_ArrayForEach(item, entry) {
    const cJSON **to = strcmp(item->string, "smiles") == 0   ? &smiles
                       : strcmp(item->string, "attach") == 0 ? &attach
                       : strcmp(item->string, "name") == 0   ? &name
                                                             : NULL;
    if (!to)
      return flv_fail(err, FLV_EINVAL,
                      "fragments[%d]: unknown key \"%s\", expected \"smiles\", \"attach\" or "
                      "\"name\"",
                      i, shown(key, item->string));
    if (*to) return flv_fail(err, FLV_EINVAL, "fragments[%d]: key \"%s\" twice", i, item->string);
    *to = item;
  }
  if (!smiles || !attach)
    return flv_fail(err, FLV_EINVAL, "fragments[%d]: expected the key \"%s\"", i,
                    smiles ? "attach" : "smiles");
  if (name && !cJSON_IsString(name))
    return flv_fail(err, FLV_EINVAL, "fragments[%d].name: expected a text", i);
  drafts->draft[i].name = name ? name->valuestring : NULL;
  FLV_TRY(read_smiles(drafts, i, smiles, err));
  return read_attach(drafts, i, attach, err);
}

static flv_status read_fragments(flv_drafts *drafts, const cJSON *root, flv_error *err) {
  char key[32], there[36];
  const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(root, "fragments");
  cJSON_ArrayForEach(item, root) if (item != list) return flv_fail(
      err, FLV_EINVAL, "unknown key \"%s\" beside \"fragments\"", shown(key, item->string));
  if (!cJSON_IsArray(list))
    return flv_fail(err, FLV_EINVAL, "fragments: %s, expected a list", found(there, list));
  FLV_TRY(make_room(drafts, cJSON_GetArraySize(list), "fragments", err));
  int i = 0;
  cJSON_ArrayForEach(item, list) FLV_TRY(read_fragment(drafts, i++, item, err));
  return FLV_OK;
}

// ---- the published format

// The number that a key writes, -1 if it is not one of 0 to n-1 as they are usually written.
static int key_number(const char *key, int n) {
  char usual[16];
  const int number = isdigit((unsigned char)*key) && strlen(key) < 6 ? atoi(key) : -1;
  snprintf(usual, sizeof usual, "%d", number);
  return number < n && strcmp(usual, key) == 0 ? number : -1;
}

static flv_status read_numbered(flv_drafts *drafts, const cJSON *map, const char *name,
                                flv_status (*read)(flv_drafts *, int, const cJSON *, flv_error *),
                                flv_error *err) {
  char key[32];
  bool seen[FLV_VOCABULARY_MAX_BLOCKS] = {false};
  const cJSON *item;
  cJSON_ArrayForEach(item, map) {
    const int i = key_number(item->string, drafts->n);
    if (i < 0 || seen[i])
      return flv_fail(err, FLV_EINVAL, "%s: key \"%s\"%s, expected each of \"0\" to \"%d\" once",
                      name, shown(key, item->string), i < 0 ? "" : " twice", drafts->n - 1);
    seen[i] = true;
    FLV_TRY(read(drafts, i, item, err));
  }
  return FLV_OK;
}

static flv_status read_published(flv_drafts *drafts, const cJSON *root, flv_error *err) {
  const cJSON *smi = cJSON_GetObjectItemCaseSensitive(root, "block_smi");
  const cJSON *r = cJSON_GetObjectItemCaseSensitive(root, "block_r");
  if (!cJSON_IsObject(smi) || !cJSON_IsObject(r))
    return flv_fail(err, FLV_EINVAL, "%s: expected an object with keys \"0\", \"1\", ..",
                    cJSON_IsObject(smi) ? "block_r" : "block_smi");
  FLV_TRY(make_room(drafts, cJSON_GetArraySize(smi), "block_smi", err));
  if (cJSON_GetArraySize(r) != drafts->n)
    return flv_fail(err, FLV_EINVAL, "block_r: %d entries, expected %d as in block_smi",
                    cJSON_GetArraySize(r), drafts->n);
  FLV_TRY(read_numbered(drafts, smi, "block_smi", read_smiles, err));
  return read_numbered(drafts, r, "block_r", read_attach, err);
}

// ---- the whole

// Where the parser stopped, as a line.
static int line_of(const char *text, const char *at) {
  int line = 1;
  for (; text < at; text++) line += *text == '\n';
  return line;
}

// cJSON takes the first of two members of a name, and ends a text at a character 0: neither is what
// the file says.
static flv_status check_members(const cJSON *root, flv_error *err) {
  static const char *const names[] = {"fragments", "block_smi", "block_r"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    int times = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, root) times += item->string && strcmp(item->string, names[k]) == 0;
    if (times > 1) return flv_fail(err, FLV_EINVAL, "key \"%s\" twice", names[k]);
  }
  return FLV_OK;
}

static flv_status check_text(const char *text, size_t size, flv_error *err) {
  for (size_t i = 0; i + 6 <= size; i++) {
    if (text[i] != '\\') continue;
    if (memcmp(text + i, "\\u0000", 6) == 0)
      return flv_fail(err, FLV_EINVAL, "line %d: a text with the character \\u0000",
                      line_of(text, text + i));
    i++; // what it escapes
  }
  return FLV_OK;
}

static flv_status read_tree(flv_drafts *drafts, const cJSON *root, flv_error *err) {
  FLV_TRY(check_members(root, err));
  if (cJSON_GetObjectItemCaseSensitive(root, "fragments")) return read_fragments(drafts, root, err);
  drafts->published = cJSON_GetObjectItemCaseSensitive(root, "block_smi") ||
                      cJSON_GetObjectItemCaseSensitive(root, "block_r");
  if (drafts->published) return read_published(drafts, root, err);
  return flv_fail(err, FLV_EINVAL, "expected %s", formats);
}

flv_status flv_drafts_parse(flv_drafts *drafts, const char *text, size_t size, flv_error *err) {
  const char *end = text;
  flv_drafts made = {0};
  cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, false);
  const size_t left = size - (size_t)(end - text);
  size_t blank = 0;
  while (root && blank < left && isspace((unsigned char)end[blank])) blank++;
  if (!root || blank < left) {
    cJSON_Delete(root);
    return flv_fail(err, FLV_EINVAL, "line %d: not JSON, expected %s", line_of(text, end + blank),
                    formats);
  }
  made.tree = root;
  flv_status status = check_text(text, size, err);
  if (status == FLV_OK) status = read_tree(&made, root, err);
  if (status != FLV_OK) {
    flv_drafts_free(&made);
    return status;
  }
  *drafts = made;
  return FLV_OK;
}

void flv_drafts_free(flv_drafts *drafts) {
  free(drafts->draft);
  cJSON_Delete(drafts->tree);
  memset(drafts, 0, sizeof *drafts);
}
