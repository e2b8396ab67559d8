#include "fluvial/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_CASE(id, code, text)                                                                \
  case FLV_##id:                                                                                   \
    return text;
const char *flv_status_text(flv_status status) {
  switch (status) { FLV_STATUS(STATUS_CASE) }
  return "unknown status";
}
#undef STATUS_CASE

flv_status flv_fail(flv_error *err, flv_status status, const char *format, ...) {
  if (err) {
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
  }
  return status;
}

flv_status flv_error_prefix(flv_error *err, const char *format, ...) {
  if (!err) return FLV_EINVAL;
  char text[sizeof err->text];
  va_list args;
  va_start(args, format);
  int used = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const int room = (int)sizeof text - 3;
  if (used < 0 || used > room) used = room > 0 ? room : 0;
  text[used++] = ':';
  text[used++] = ' ';
  size_t kept = strlen(err->text), left = sizeof text - (size_t)used - 1;
  if (kept > left) kept = left;
  memcpy(text + used, err->text, kept);
  text[(size_t)used + kept] = '\0';
  memcpy(err->text, text, sizeof text);
  return err->status;
}
