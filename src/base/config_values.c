// Values of parameters: text to value, value to text, and names that resemble each other.

#include "base/config_values.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD = 64 }; // longest number, choice or name, with its zero byte

static const struct {
  size_t size;
  const char *text;
} kinds[] = {
    [FLV_INT] = {sizeof(int), "a whole number"},
    [FLV_LONG] = {sizeof(int64_t), "a whole number"},
    [FLV_REAL] = {sizeof(double), "a number"},
    [FLV_BOOL] = {sizeof(bool), "true or false"},
    [FLV_TEXT] = {sizeof(flv_text), "a text"},
    [FLV_CHOICE] = {sizeof(int), "a word"},
    [FLV_INTS] = {sizeof(flv_ints), "a list of whole numbers"},
    [FLV_REALS] = {sizeof(flv_reals), "a list of numbers"},
};

const char *flv_kind_text(flv_kind kind) { return kinds[kind].text; }

// ---- names ----

static int least(int a, int b) { return a < b ? a : b; }

int flv_name_distance(const char *word, const char *name) {
  const int n = (int)strnlen(word, WORD), m = (int)strnlen(name, WORD);
  if (n == WORD || m == WORD) return FLV_FAR;
  int row[3][WORD]; // rows i-2, i-1, i of the table of distances between prefixes
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3];
    const int *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      const int replace = last[j - 1] + (word[i - 1] != name[j - 1]);
      now[j] = least(replace, 1 + least(last[j], now[j - 1]));
      const bool swap = i > 1 && j > 1 && word[i - 1] == name[j - 2] && word[i - 2] == name[j - 1];
      if (swap) now[j] = least(now[j], before[j - 2] + 1);
    }
  }
  const int longer = n > m ? n : m, distance = row[n % 3][m];
  return distance == 0 || (distance < longer && distance <= (longer + 2) / 3) ? distance : FLV_FAR;
}

int flv_nearest_name(const char *word, int n, const char *const *names) {
  int nearest = -1, nearest_distance = FLV_FAR;
  for (int i = 0; i < n; i++) {
    const int distance = flv_name_distance(word, names[i]);
    if (distance < nearest_distance) nearest = i, nearest_distance = distance;
  }
  return nearest;
}

const char *flv_text_shown(const char *text, char shown[FLV_SHOWN_TEXT]) {
  size_t n = 0;
  for (; text[n] && n < FLV_SHOWN_TEXT - 4; n++) {
    const bool control = (unsigned char)text[n] < 0x20 || text[n] == 0x7f;
    shown[n] = control ? '?' : text[n];
  }
  if (text[n]) {
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--; // not inside a UTF-8 sequence
    memcpy(shown + n, "...", 3);
    n += 3;
  }
  shown[n] = '\0';
  return shown;
}

// ---- numbers ----

// A host program may have set a locale with a decimal comma; numbers here always have a point.
// glibc's "C" needs no memory, so this cannot fail there; elsewhere the present locale is then
// used.
static locale_t enter_c_locale(locale_t *old) {
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  *old = c ? uselocale(c) : (locale_t)0;
  return c;
}

static void leave_c_locale(locale_t c, locale_t old) {
  if (!c) return;
  uselocale(old);
  freelocale(c);
}

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

void flv_real_format(double value, char text[FLV_REAL_TEXT]) {
  if (!isfinite(value)) {
    strcpy(text, isnan(value) ? "nan" : value < 0.0 ? "-inf" : "inf");
    return;
  }
  char digits[FLV_REAL_TEXT], plain[2 * FLV_REAL_TEXT] = "", powers[2 * FLV_REAL_TEXT];
  locale_t old;
  const locale_t c = enter_c_locale(&old);
  int n = 0;
  do snprintf(digits, sizeof digits, "%.*e", n++, fabs(value));
  while (!same_bits(strtod(digits, NULL), fabs(value)) && n < 17);
  leave_c_locale(c, old);

  const int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10); // value = d.ddd 10^exponent
  if (n > 1) memmove(digits + 1, digits + 2, (size_t)n - 1);
  digits[n] = '\0';
  const char *sign = signbit(value) ? "-" : "", *point = n > 1 ? "." : "";
  snprintf(powers, sizeof powers, "%s%c%s%se%d", sign, digits[0], point, digits + 1, exponent);
  if (exponent >= n - 1 && exponent < 20) {
    snprintf(plain, sizeof plain, "%s%s%.*s", sign, digits, exponent - n + 1,
             "0000000000000000000");
  } else if (exponent >= 0 && exponent < n - 1) {
    snprintf(plain, sizeof plain, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
  } else if (exponent < 0 && exponent > -6) {
    snprintf(plain, sizeof plain, "%s0.%.*s%s", sign, -exponent - 1, "00000", digits);
  }
  strcpy(text, plain[0] && strlen(plain) <= strlen(powers) ? plain : powers);
}

static void bound_format(flv_kind kind, double bound, char text[FLV_REAL_TEXT]) {
  const bool whole = kind == FLV_INT || kind == FLV_LONG || kind == FLV_INTS;
  if (whole && fabs(bound) < 1e19)
    snprintf(text, FLV_REAL_TEXT, "%.0f", bound);
  else
    flv_real_format(bound, text);
}

static flv_status out_of_range(const flv_param *param, const char *text, flv_error *err) {
  char lo[FLV_REAL_TEXT], hi[FLV_REAL_TEXT], shown[FLV_SHOWN_TEXT];
  bound_format(param->kind, param->lo, lo);
  bound_format(param->kind, param->hi, hi);
  return flv_fail(err, FLV_EINVAL, "%s is out of range [%s, %s]", flv_text_shown(text, shown), lo,
                  hi);
}

static flv_status unexpected(const char *expected, const char *text, flv_error *err) {
  char shown[FLV_SHOWN_TEXT];
  return flv_fail(err, FLV_EINVAL, "expected %s, got '%s'", expected, flv_text_shown(text, shown));
}

// False unless text is a decimal number from beginning to end. strtod alone would take hexadecimal,
// "nan" and leading spaces as well.
static bool decimal(const char *text, double *value) {
  if (!*text || text[strspn(text, "+-.0123456789eE")]) return false;
  locale_t old;
  char *end;
  const locale_t c = enter_c_locale(&old);
  *value = strtod(text, &end);
  leave_c_locale(c, old);
  return end != text && !*end;
}

static flv_status parse_real(const flv_param *param, const char *text, double *value,
                             flv_error *err) {
  const char *size = text + (*text == '-' || *text == '+');
  if (strcasecmp(size, "inf") == 0 || strcasecmp(size, ".inf") == 0) {
    *value = *text == '-' ? -HUGE_VAL : HUGE_VAL;
  } else {
    errno = 0;
    if (!decimal(text, value)) return unexpected("a number", text, err);
    const bool lost = errno == ERANGE && (isinf(*value) || *value == 0.0); // subnormals are kept
    char shown[FLV_SHOWN_TEXT];
    if (lost)
      return flv_fail(err, FLV_EINVAL, "%s does not fit a double", flv_text_shown(text, shown));
  }
  return *value >= param->lo && *value <= param->hi ? FLV_OK : out_of_range(param, text, err);
}

static flv_status parse_whole(const flv_param *param, const char *text, int64_t *value,
                              flv_error *err) {
  double real;
  if (!decimal(text, &real) || real != floor(real)) return unexpected("a whole number", text, err);
  errno = 0;
  char *end;
  *value = strtoll(text, &end, 10);
  if (errno == ERANGE || fabs(real) > 9.3e18) return out_of_range(param, text, err);
  if (*end) { // 1e6, 8.0: exact while doubles hold every whole number
    if (fabs(real) > 9007199254740992.0)
      return unexpected("all digits of a whole number", text, err);
    *value = (int64_t)real;
  }
  const bool fits = param->kind == FLV_LONG || (*value >= INT_MIN && *value <= INT_MAX);
  const bool within = (long double)*value >= (long double)param->lo &&
                      (long double)*value <= (long double)param->hi;
  return fits && within ? FLV_OK : out_of_range(param, text, err);
}

// ---- parsing ----

// text[0, n) without the spaces around it; false if longer than any number or word.
static bool trim(const char *text, size_t n, char word[WORD]) {
  while (n > 0 && (*text == ' ' || *text == '\t')) text++, n--;
  while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
  if (n >= WORD) return false;
  memcpy(word, text, n);
  word[n] = '\0';
  return true;
}

static flv_status parse_list(const flv_param *param, const char *text, void *field,
                             flv_error *err) {
  flv_ints ints = {0};
  flv_reals reals = {0};
  const char *at = text + strspn(text, " \t"), *end = text + strlen(text);
  while (end > at && (end[-1] == ' ' || end[-1] == '\t')) end--;
  const bool brackets = at < end && *at == '[';
  if (brackets && (end - at < 2 || end[-1] != ']'))
    return unexpected(flv_kind_text(param->kind), text, err);
  if (brackets) at++, end--;
  if (brackets) at += strspn(at, " \t");
  int n = 0;
  for (bool more = !brackets || at < end; more; n++) {
    const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
    char word[WORD];
    if (n == FLV_LIST_MAX) return flv_fail(err, FLV_EINVAL, "at most %d entries", FLV_LIST_MAX);
    if (!trim(at, (size_t)(stop - at), word))
      return unexpected(flv_kind_text(param->kind), text, err);
    int64_t whole = 0;
    if (param->kind == FLV_REALS)
      FLV_TRY(parse_real(param, word, &reals.v[n], err));
    else
      FLV_TRY(parse_whole(param, word, &whole, err));
    ints.v[n] = (int)whole;
    more = comma;
    at = stop + 1;
  }
  ints.n = reals.n = n;
  if (param->kind == FLV_REALS)
    memcpy(field, &reals, sizeof reals);
  else
    memcpy(field, &ints, sizeof ints);
  return FLV_OK;
}

static flv_status parse_bool(const char *text, bool *value, flv_error *err) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
  for (int i = 0; i < 6; i++) {
    if (strcasecmp(text, words[i]) != 0) continue;
    *value = i & 1;
    return FLV_OK;
  }
  return unexpected("true or false", text, err);
}

// Word number `index` of "a|b|c"; false if there are fewer.
static bool choice_word(const char *choices, int index, char word[WORD]) {
  for (; index > 0; index--) {
    choices = strchr(choices, '|');
    if (!choices) return false;
    choices++;
  }
  return *choices && trim(choices, strcspn(choices, "|"), word);
}

static flv_status parse_choice(const flv_param *param, const char *text, int *value,
                               flv_error *err) {
  char word[WORD], nearest[WORD], shown[FLV_SHOWN_TEXT];
  int nearest_distance = FLV_FAR;
  for (int i = 0; choice_word(param->choices, i, word); i++) {
    const int distance = flv_name_distance(text, word);
    if (distance == 0) {
      *value = i;
      return FLV_OK;
    }
    if (distance >= nearest_distance) continue;
    nearest_distance = distance;
    strcpy(nearest, word);
  }
  flv_text_shown(text, shown);
  if (nearest_distance == FLV_FAR)
    return flv_fail(err, FLV_EINVAL, "'%s' is not one of %s", shown, param->choices);
  return flv_fail(err, FLV_EINVAL, "'%s' is not one of %s; did you mean '%s'?", shown,
                  param->choices, nearest);
}

// Bytes of the printable code point at s, or 0. Control characters, line separators, byte-order
// marks and broken UTF-8 are refused, so that every text can be written in one line of YAML, JSON
// or a message.
static int printable(const unsigned char *s) {
  if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  const int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  uint32_t code = s[0] & (0x7fu >> n);
  for (int i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (s[i] & 0x3fu);
  }
  const bool overlong = (n == 3 && code < 0x800) || (n == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool control = code < 0xa0 || code == 0x2028 || code == 0x2029;
  const bool mark = code == 0xfeff || code == 0xfffe || code == 0xffff || code > 0x10ffff;
  return overlong || surrogate || control || mark ? 0 : n;
}

static flv_status parse_text(const char *text, char *field, flv_error *err) {
  flv_text value = {0};
  const size_t n = strlen(text);
  if (n >= sizeof value)
    return flv_fail(err, FLV_EINVAL, "a text of %zu bytes is too long (at most %d)", n,
                    FLV_TEXT_MAX - 1);
  for (size_t i = 0; i < n;) {
    const int bytes = printable((const unsigned char *)text + i);
    if (bytes == 0) return unexpected("printable UTF-8 text", text, err);
    i += (size_t)bytes;
  }
  memcpy(value, text, n);
  memcpy(field, value, sizeof value);
  return FLV_OK;
}

flv_status flv_param_parse(const flv_param *param, const char *text, void *values, flv_error *err) {
  char *field = (char *)values + param->offset, word[WORD];
  if (param->kind == FLV_TEXT) return parse_text(text, field, err);
  if (param->kind == FLV_INTS || param->kind == FLV_REALS)
    return parse_list(param, text, field, err);
  if (!trim(text, strlen(text), word)) return unexpected(flv_kind_text(param->kind), text, err);
  double real = 0.0;
  int64_t whole = 0;
  bool truth = false;
  int index = 0;
  switch (param->kind) {
  case FLV_INT:
    FLV_TRY(parse_whole(param, word, &whole, err));
    index = (int)whole;
    memcpy(field, &index, sizeof index);
    break;
  case FLV_LONG:
    FLV_TRY(parse_whole(param, word, &whole, err));
    memcpy(field, &whole, sizeof whole);
    break;
  case FLV_REAL:
    FLV_TRY(parse_real(param, word, &real, err));
    memcpy(field, &real, sizeof real);
    break;
  case FLV_BOOL:
    FLV_TRY(parse_bool(word, &truth, err));
    memcpy(field, &truth, sizeof truth);
    break;
  default:
    FLV_TRY(parse_choice(param, word, &index, err));
    memcpy(field, &index, sizeof index);
  }
  return FLV_OK;
}

// ---- formatting ----

static int format_list(const flv_param *param, const char *field, char *text, size_t size) {
  char list[FLV_VALUE_TEXT] = "[", entry[FLV_REAL_TEXT];
  size_t used = 1;
  flv_ints ints = {0};
  flv_reals reals = {0};
  if (param->kind == FLV_REALS)
    memcpy(&reals, field, sizeof reals);
  else
    memcpy(&ints, field, sizeof ints);
  const int n = param->kind == FLV_REALS ? reals.n : ints.n;
  for (int i = 0; i < n; i++) {
    if (param->kind == FLV_REALS)
      flv_real_format(reals.v[i], entry);
    else
      snprintf(entry, sizeof entry, "%d", ints.v[i]);
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", entry);
  }
  return snprintf(text, size, "%s]", list);
}

int flv_param_format(const flv_param *param, const void *values, char *text, size_t size) {
  const char *field = (const char *)values + param->offset;
  char word[WORD];
  int whole;
  int64_t large;
  double real;
  bool truth;
  switch (param->kind) {
  case FLV_INT:
    memcpy(&whole, field, sizeof whole);
    return snprintf(text, size, "%d", whole);
  case FLV_LONG:
    memcpy(&large, field, sizeof large);
    return snprintf(text, size, "%lld", (long long)large);
  case FLV_REAL:
    memcpy(&real, field, sizeof real);
    flv_real_format(real, word);
    return snprintf(text, size, "%s", word);
  case FLV_BOOL:
    memcpy(&truth, field, sizeof truth);
    return snprintf(text, size, "%s", truth ? "true" : "false");
  case FLV_TEXT:
    return snprintf(text, size, "%s", field);
  case FLV_CHOICE:
    memcpy(&whole, field, sizeof whole);
    return snprintf(text, size, "%s", choice_word(param->choices, whole, word) ? word : "");
  default:
    return format_list(param, field, text, size);
  }
}

// ---- whole components ----

const flv_param *flv_param_find(const flv_component *component, const char *name) {
  for (int i = 0; i < component->n_params; i++)
    if (strcmp(component->params[i].name, name) == 0) return &component->params[i];
  return NULL;
}

flv_status flv_params_default(const flv_component *component, void *values, flv_error *err) {
  if (component->size > 0) memset(values, 0, component->size);
  for (int i = 0; i < component->n_params; i++) {
    const flv_param *param = &component->params[i];
    const bool fits = param->offset + kinds[param->kind].size <= component->size;
    flv_status status = FLV_OK;
    if (!fits || strcmp(param->name, "name") == 0)
      status = flv_fail(err, FLV_EINVAL, fits ? "a reserved name" : "outside its struct");
    if (status == FLV_OK) status = flv_param_parse(param, param->def, values, err);
    if (status == FLV_OK) continue;
    flv_error_prefix(err, "table of '%s': default of '%s'", component->name, param->name);
    return status;
  }
  return FLV_OK;
}
