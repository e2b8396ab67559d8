// Atomic writing (write beside, flush, sync, rename, sync the directory) and reading of whole
// files.

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static flv_status fail_io(flv_error *err, const char *what, const char *path, int number) {
  return flv_fail(err, FLV_EIO, "%s: %s: %s", path, what, strerror(number));
}

// Opens and locks the temporary. Between opening and locking, its former writer may have renamed it
// into place; then it is no longer the file of that name, and we begin again. Returns -1 with errno
// set.
static int open_locked(const char *temporary) {
  for (int attempt = 0; attempt < 100; attempt++) {
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return -1;
    struct stat opened, named;
    int number = 0;
    const bool busy =
        flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; // else: cannot lock here
    if (busy)
      number = EWOULDBLOCK;
    else if (fstat(fd, &opened) != 0)
      number = errno;
    else if (stat(temporary, &named) == 0 && opened.st_ino == named.st_ino &&
             opened.st_dev == named.st_dev) {
      if (ftruncate(fd, 0) == 0) return fd;
      number = errno;
    }
    close(fd);
    if (!number) continue;
    errno = number;
    return -1;
  }
  errno = EWOULDBLOCK;
  return -1;
}

flv_status flv_atomic_open(flv_atomic *file, const char *path, flv_error *err) {
  *file = (flv_atomic){0};
  if (strlen(path) >= sizeof file->path)
    return flv_fail(err, FLV_EINVAL, "a path of %zu bytes is too long: %.60s...", strlen(path),
                    path);
  struct stat present;
  if (stat(path, &present) == 0 && !S_ISREG(present.st_mode))
    return flv_fail(err, FLV_EIO, "%s: cannot write: not a regular file", path);
  snprintf(file->path, sizeof file->path, "%s", path);
  snprintf(file->temporary, sizeof file->temporary, "%s.tmp", path);
  const int fd = open_locked(file->temporary);
  if (fd < 0 && errno == EWOULDBLOCK)
    return flv_fail(err, FLV_EBUSY, "%s: is being written by another process", path);
  if (fd < 0) return fail_io(err, "cannot write", path, errno);
  file->f = fdopen(fd, "wb");
  if (file->f) return FLV_OK;
  const int number = errno;
  unlink(file->temporary);
  close(fd);
  return fail_io(err, "cannot write", path, number);
}

void flv_atomic_abandon(flv_atomic *file) {
  if (!file->f) return;
  unlink(file->temporary); // before closing, which gives up the lock on it
  fclose(file->f);
  file->f = NULL;
}

// A rename is durable once its directory is synced. Some file systems cannot sync one and say
// EINVAL.
static int sync_directory(const char *path) {
  char directory[1024];
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (!slash)
    strcpy(directory, ".");
  else
    slash[slash == directory] = '\0';
  const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int number = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return number;
}

flv_status flv_atomic_commit(flv_atomic *file, flv_error *err) {
  FILE *f = file->f;
  file->f = NULL;
  // A second descriptor of the same open file keeps the lock while the first is closed and its
  // errors seen.
  const int lock = dup(fileno(f));
  int number = lock < 0 ? errno : 0;
  errno = 0;
  if (!number && (ferror(f) || fflush(f) != 0)) number = errno ? errno : EIO;
  if (!number && fsync(fileno(f)) != 0) number = errno;
  if (fclose(f) != 0 && !number) number = errno;
  if (!number && rename(file->temporary, file->path) != 0) number = errno;
  if (number) unlink(file->temporary);
  if (lock >= 0) close(lock);
  if (!number) number = sync_directory(file->path);
  return number ? fail_io(err, "cannot write", file->path, number) : FLV_OK;
}

// All bytes of f, whatever kind of file it is, into *data. Returns 0 or an errno, EFBIG beyond the
// limit.
static int read_all(FILE *f, size_t limit, char **data, size_t *size) {
  struct stat status;
  if (fstat(fileno(f), &status) != 0) return errno;
  if (S_ISREG(status.st_mode) && (uintmax_t)status.st_size > limit) return EFBIG;
  size_t room = S_ISREG(status.st_mode) ? (size_t)status.st_size + 1 : 4096, used = 0;
  char *bytes = malloc(room + 1);
  int number = bytes ? 0 : ENOMEM;
  while (!number) {
    errno = 0;
    used += fread(bytes + used, 1, room - used, f);
    if (ferror(f))
      number = errno ? errno : EIO;
    else if (used > limit)
      number = EFBIG;
    if (number || used < room) break;
    char *larger = room < SIZE_MAX / 4 ? realloc(bytes, 2 * room + 1) : NULL;
    if (!larger)
      number = ENOMEM;
    else
      bytes = larger, room *= 2;
  }
  if (number) {
    free(bytes);
    return number;
  }
  bytes[used] = '\0';
  *data = bytes;
  *size = used;
  return 0;
}

flv_status flv_file_read_limited(const char *path, size_t limit, char **data, size_t *size,
                                 flv_error *err) {
  FILE *f = fopen(path, "rbe");
  const int number = f ? read_all(f, limit, data, size) : errno;
  if (f) fclose(f);
  if (number == 0) return FLV_OK;
  if (number == ENOMEM) return flv_fail(err, FLV_ENOMEM, "%s: out of memory", path);
  if (number == EFBIG)
    return flv_fail(err, FLV_EIO, "%s: too large: more than %zu bytes", path, limit);
  return fail_io(err, "cannot read", path, number);
}

flv_status flv_file_read(const char *path, char **data, size_t *size, flv_error *err) {
  return flv_file_read_limited(path, SIZE_MAX / 8, data, size, err);
}
