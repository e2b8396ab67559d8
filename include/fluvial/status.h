// Status codes and error messages.
//
// Every fallible call returns a flv_status (or NULL) and writes one line of text for people into
// the flv_error it was given. The library never prints and never exits; a failed call changes
// nothing.
#ifndef FLUVIAL_STATUS_H
#define FLUVIAL_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define FLV_STATUS(X)                                                                              \
  X(OK, 0, "ok")                                                                                   \
  X(ENOMEM, -1, "out of memory")                                                                   \
  X(EINVAL, -2, "invalid value")                                                                   \
  X(EIO, -3, "file error")                                                                         \
  X(ENAN, -4, "not a finite number")                                                               \
  X(EBUSY, -5, "already in use")                                                                   \
  X(ESTOPPED, -6, "stopped on request")

#define FLV_STATUS_ENUM(id, code, text) FLV_##id = (code),
typedef enum flv_status { FLV_STATUS(FLV_STATUS_ENUM) } flv_status;
#undef FLV_STATUS_ENUM

typedef struct flv_error {
  flv_status status; // FLV_OK until something failed
  char text[600];    // one line, no newline at its end
} flv_error;

// Text of a status code, never NULL.
const char *flv_status_text(flv_status status);

// Records a failure and returns `status`, so a caller writes `return flv_fail(err, FLV_EINVAL,
// ...)`. err may be NULL.
flv_status flv_fail(flv_error *err, flv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "prefix: " before the message already in err (a file name, a key); returns err's status.
flv_status flv_error_prefix(flv_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define FLV_TRY(expr)                                                                              \
  do {                                                                                             \
    const flv_status flv_try_ = (expr);                                                            \
    if (flv_try_ != FLV_OK) return flv_try_;                                                       \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
