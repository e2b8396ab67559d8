// One picture and its three files; how gnuplot is started.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // NOLINT(bugprone-reserved-identifier): for posix_spawn's addchdir_np
#endif
#include "io/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH_LEN = FLV_PICTURE_PATH };

static flv_status join(char *out, const flv_picture *p, const char *ending, flv_error *err) {
  const int n = snprintf(out, PATH_LEN, "%s/%s%s", p->folder, p->stem, ending);
  if (n < 0 || n >= PATH_LEN)
    return flv_fail(err, FLV_EINVAL, "%.80s...: path is too long", p->folder);
  return FLV_OK;
}

static flv_status split_path(flv_picture *p, const char *png, flv_error *err) {
  if (!png || !*png) return flv_fail(err, FLV_EINVAL, "a picture needs a file name");
  if (strlen(png) >= PATH_LEN) return flv_fail(err, FLV_EINVAL, "%.80s...: path is too long", png);
  const char *slash = strrchr(png, '/'), *name = slash ? slash + 1 : png;
  if (!slash)
    strcpy(p->folder, ".");
  else
    snprintf(p->folder, PATH_LEN, "%.*s", slash == png ? 1 : (int)(slash - png), png);
  const size_t length = strlen(name);
  if (length < 5 || strcmp(name + length - 4, ".png") != 0)
    return flv_fail(err, FLV_EINVAL, "%s: a picture's name ends in .png", png);
  for (const char *c = name; *c; c++) // a gnuplot string cannot hold them
    if ((unsigned char)*c < ' ')
      return flv_fail(err, FLV_EINVAL, "a picture's name holds a control character");
  snprintf(p->stem, PATH_LEN, "%.*s", (int)length - 4, name);
  FLV_TRY(join(p->png, p, ".png", err));
  return join(p->temporary, p, ".png.part", err);
}

// Inside single quotes gnuplot reads everything as it stands, '' as one quote.
void flv_picture_quote(FILE *f, const char *prefix, const char *text, const char *suffix) {
  const char *part[3] = {prefix, text, suffix};
  fputc('\'', f);
  for (int i = 0; i < 3; i++)
    for (const char *c = part[i]; *c; c++) {
      if (*c == '\'') fputc('\'', f);
      fputc((unsigned char)*c < ' ' ? ' ' : *c, f);
    }
  fputc('\'', f);
}

// "./" keeps gnuplot from reading a first character such as '<' or '|' as a command.
void flv_picture_file(FILE *f, const flv_picture *p, const char *ending) {
  flv_picture_quote(f, "./", p->stem, ending);
}

flv_status flv_picture_open(flv_picture *p, const char *png, flv_error *err) {
  char dat[PATH_LEN], gp[PATH_LEN];
  FLV_TRY(split_path(p, png, err));
  FLV_TRY(join(dat, p, ".dat", err));
  FLV_TRY(join(gp, p, ".gp", err));
  FLV_TRY(flv_atomic_open(&p->dat, dat, err));
  const flv_status status = flv_atomic_open(&p->gp, gp, err);
  if (status != FLV_OK) flv_atomic_abandon(&p->dat);
  return status;
}

void flv_picture_head(flv_picture *p, int width, int height) {
  FILE *f = p->gp.f;
  fprintf(f, "# Drawn from the .dat file beside this one; `gnuplot` with this script, in this "
             "folder, draws the\n"
             "# picture again.\n"
             "reset\nset encoding utf8\nif (!exists('out')) out = ");
  flv_picture_file(f, p, ".png");
  fprintf(f,
          "\nif (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {\n"
          "  set terminal pngcairo size %d,%d font 'Sans,13' background '#ffffff'\n} else {\n"
          "  set terminal png truecolor size %d,%d font 'Sans,12' background '#ffffff'\n}\n"
          "set output out\n"
          "set border lc rgb '#404040' lw 1\nset tics textcolor rgb '#202020'\n",
          width, height, width, height);
}

// ---- gnuplot ----

static bool is_png(const char *path) {
  static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  unsigned char head[8];
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  const size_t n = fread(head, 1, sizeof head, f);
  fclose(f);
  return n == sizeof head && memcmp(head, signature, sizeof head) == 0;
}

// What gnuplot complained of: its messages end with the one that counts.
static void last_line(char *text) {
  size_t end = strlen(text);
  while (end > 0 && (unsigned char)text[end - 1] <= ' ') end--;
  text[end] = '\0';
  const char *line = strrchr(text, '\n');
  if (line) memmove(text, line + 1, strlen(line));
}

// argv for `gnuplot -d -e "out = '...'" ./X.gp`.
static bool command_text(const flv_picture *p, char **set_out, char **script) {
  size_t size;
  *set_out = *script = NULL;
  FILE *f = open_memstream(set_out, &size);
  if (!f) return false;
  fprintf(f, "out = ");
  flv_picture_file(f, p, ".png.part");
  if (fclose(f) != 0) return false;
  f = open_memstream(script, &size);
  if (!f) return false;
  fprintf(f, "./%s.gp", p->stem);
  return fclose(f) == 0;
}

// Starts gnuplot in the picture's folder with its messages going to `messages`. Returns an errno.
static int spawn_gnuplot(const flv_picture *p, int messages, pid_t *pid) {
  char *set_out, *script;
  int fault = ENOMEM;
  posix_spawn_file_actions_t actions;
  if (command_text(p, &set_out, &script) && posix_spawn_file_actions_init(&actions) == 0) {
    char name[] = "gnuplot", defaults[] = "-d", execute[] = "-e"; // -d: not the user's ~/.gnuplot
    char *argv[] = {name, defaults, execute, set_out, script, NULL};
    fault = posix_spawn_file_actions_addchdir_np(&actions, p->folder);
    if (!fault) fault = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!fault) fault = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (!fault) fault = posix_spawn_file_actions_adddup2(&actions, messages, 2);
    if (!fault) fault = posix_spawnp(pid, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
  }
  free(set_out);
  free(script);
  return fault;
}

// Reads to the end of `messages`; the last size-1 bytes stay in text.
static void read_tail(int messages, char *text, size_t size) {
  size_t kept = 0;
  char chunk[256];
  for (;;) {
    const ssize_t got = read(messages, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const size_t n = (size_t)got, excess = kept + n > size - 1 ? kept + n - (size - 1) : 0;
    memmove(text, text + excess, kept - excess);
    kept -= excess;
    memcpy(text + kept, chunk, n);
    kept += n;
  }
  text[kept] = '\0';
}

static flv_status run_gnuplot(const flv_picture *p, flv_error *err) {
  int ends[2];
  if (pipe(ends) != 0) return flv_fail(err, FLV_EIO, "pipe: %s", strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  pid_t pid;
  const int fault = spawn_gnuplot(p, ends[1], &pid);
  close(ends[1]);
  char text[400] = "";
  int state = 0;
  if (!fault) {
    read_tail(ends[0], text, sizeof text);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  if (fault == ENOENT)
    return flv_fail(
        err, FLV_EIO,
        "gnuplot is not installed, so %s was not drawn (Debian, Ubuntu: apt install gnuplot-nox); "
        "its data and script are kept: %s.dat, %s.gp",
        p->png, p->stem, p->stem);
  if (fault) return flv_fail(err, FLV_EIO, "%s: cannot start gnuplot: %s", p->png, strerror(fault));
  if (WIFSIGNALED(state))
    return flv_fail(err, FLV_EIO, "%s: gnuplot was ended by signal %d", p->png, WTERMSIG(state));
  last_line(text);
  if (state != 0 || !is_png(p->temporary))
    return flv_fail(err, FLV_EIO, "%s: gnuplot failed: %s", p->png,
                    *text ? text : "it drew nothing");
  return FLV_OK;
}

// Commits data and script, then draws.
flv_status flv_picture_finish(flv_picture *p, flv_error *err) {
  flv_status status = flv_atomic_commit(&p->dat, err);
  if (status != FLV_OK)
    flv_atomic_abandon(&p->gp);
  else
    status = flv_atomic_commit(&p->gp, err);
  if (status != FLV_OK) return status;
  status = run_gnuplot(p, err);
  if (status == FLV_OK && rename(p->temporary, p->png) != 0)
    status = flv_fail(err, FLV_EIO, "%s: %s", p->png, strerror(errno));
  if (status != FLV_OK) unlink(p->temporary);
  return status;
}
