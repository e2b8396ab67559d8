// A square matrix of probabilities with names on its axes.
#include <stdio.h>
#include <string.h>

#include "io/picture.h"
#include "io/plot.h"

enum { LONGEST = 24, NUMBERED = 14 }; // characters of a name; largest matrix with numbers in it

// A name cut to LONGEST characters of UTF-8.
static void shorten(const char *name, char text[4 * LONGEST + 8]) {
  size_t at = 0;
  int characters = 0;
  for (; name[at] && at < 4 * LONGEST; at++) {
    if (((unsigned char)name[at] & 0xC0) != 0x80 && characters++ == LONGEST) break;
    text[at] = name[at];
  }
  strcpy(text + at, name[at] ? "…" : "");
}

static int longest_name(int d, const char *const *names) {
  int longest = 1;
  for (int j = 0; j < d; j++) {
    char text[4 * LONGEST + 8];
    int n = 0;
    shorten(names[j], text);
    for (const char *c = text; *c; c++) n += ((unsigned char)*c & 0xC0) != 0x80;
    if (n > longest) longest = n;
  }
  return longest;
}

static void put_names(FILE *f, const char *axis, int d, const char *const *names, int size) {
  fprintf(f, "set %stics (", axis);
  for (int j = 0; j < d; j++) {
    char text[4 * LONGEST + 8];
    shorten(names[j], text);
    fputs(j ? ", " : "", f);
    flv_picture_quote(f, "", text, "");
    fprintf(f, " %d", j);
  }
  fprintf(f, ")%s noenhanced scale 0 font ',%d'\n", *axis == 'x' ? " rotate by 90 right" : "",
          size);
}

// Pixels of the page.
typedef struct page {
  int cell, font, margin, width, height;
} page;

static page plan(int d, const char *const *names) {
  page g = {.cell = d <= 8    ? 72
                    : d <= 20 ? 40
                    : d <= 40 ? 24
                              : 16,
            .font = d <= 20   ? 12
                    : d <= 40 ? 9
                              : 7};
  g.margin = 60 + g.font * 7 * longest_name(d, names) / 10;
  g.width = g.margin + d * g.cell + 100; // the colour bar
  g.height = g.margin + d * g.cell + 50; // the title
  return g;
}

static void put_frame(FILE *f, const page *g, int d) {
  const double w = g->width, h = g->height;
  fprintf(f,
          "set lmargin at screen %.6f\nset rmargin at screen %.6f\n"
          "set bmargin at screen %.6f\nset tmargin at screen %.6f\n",
          g->margin / w, (g->margin + d * g->cell) / w, g->margin / h,
          (g->margin + d * g->cell) / h);
  fprintf(f, "set palette defined (0 '#ffffff', 0.25 '#c6dbef', 0.5 '#6baed6', 0.75 '#2171b5', 1 "
             "'#08306b')\nset cbrange [0:1]\nset cbtics 0.25 scale 0.5\nunset key\n");
  fprintf(f, "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n", d - 1, d - 1);
}

// Of an axis, at the edge of the page: the names stand between.
static void put_label(FILE *f, int number, const char *text, double x, double y, int degrees) {
  fprintf(f, "set label %d ", number);
  flv_picture_quote(f, "", text, "");
  fprintf(f, " noenhanced at screen %.6f,%.6f center rotate by %d\n", x, y, degrees);
}

flv_status flv_plot_matrix(const char *png, const char *title, const char *row_label,
                           const char *column_label, int d, const char *const *names,
                           const double *value, flv_error *err) {
  if (d < 1) return flv_fail(err, FLV_EINVAL, "there is no matrix to draw");
  const page g = plan(d, names);
  flv_picture p = {0};
  FLV_TRY(flv_picture_open(&p, png, err));
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      fprintf(p.dat.f, "%.9g%c", value[i * d + j], j + 1 < d ? ' ' : '\n');
  FILE *f = p.gp.f;
  flv_picture_head(&p, g.width, g.height);
  put_frame(f, &g, d);
  fputs("set title ", f);
  flv_picture_quote(f, "", title, "");
  fputs(" noenhanced\n", f);
  put_label(f, 1, column_label, (g.margin + d * g.cell / 2.0) / g.width, 16.0 / g.height, 0);
  put_label(f, 2, row_label, 18.0 / g.width, (g.margin + d * g.cell / 2.0) / g.height, 90);
  put_names(f, "x", d, names, g.font);
  put_names(f, "y", d, names, g.font);
  fprintf(f, "plot ");
  flv_picture_file(f, &p, ".dat");
  fprintf(f, " matrix using 1:2:3 with image pixels");
  if (d <= NUMBERED) {
    fprintf(f, ", \\\n  ");
    flv_picture_file(f, &p, ".dat");
    fprintf(f,
            " matrix using 1:2:($1 == $2 ? '' : sprintf('%%.2f', $3)):($3 > 0.5 ? 0xffffff : "
            "0x202020) with labels textcolor rgb variable font ',%d'",
            d <= 8 ? 12 : 9);
  }
  fprintf(f, "\n");
  return flv_picture_finish(&p, err);
}
