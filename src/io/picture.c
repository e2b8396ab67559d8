// One picture and its three files; how gnuplot is started.
#include "io/picture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/program.h"

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

static flv_status run_gnuplot(const flv_picture *p, flv_error *err) {
  char *set_out, *script;
  flv_program_end end = {.fault = ENOMEM};
  if (command_text(p, &set_out, &script)) {
    char name[] = "gnuplot", defaults[] = "-d", execute[] = "-e"; // -d: not the user's ~/.gnuplot
    char *argv[] = {name, defaults, execute, set_out, script, NULL};
    flv_program_run(&end, p->folder, argv);
  }
  free(set_out);
  free(script);
  if (end.fault == ENOENT)
    return flv_fail(
        err, FLV_EIO,
        "gnuplot is not installed, so %s was not drawn (Debian, Ubuntu: apt install gnuplot-nox); "
        "its data and script are kept: %s.dat, %s.gp",
        p->png, p->stem, p->stem);
  if (end.fault)
    return flv_fail(err, FLV_EIO, "%s: cannot start gnuplot: %s", p->png, strerror(end.fault));
  if (end.signal)
    return flv_fail(err, FLV_EIO, "%s: gnuplot was ended by signal %d", p->png, end.signal);
  if (end.code != 0 || !is_png(p->temporary))
    return flv_fail(err, FLV_EIO, "%s: gnuplot failed: %s", p->png,
                    *end.said ? end.said : "it drew nothing");
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
