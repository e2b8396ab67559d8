// One picture X.png drawn by gnuplot, with its data X.dat and its script X.gp: opened, written by
// whoever draws (plot.c), finished.
#ifndef FLUVIAL_IO_PICTURE_H
#define FLUVIAL_IO_PICTURE_H

#include <stdio.h>

#include "fluvial/status.h"
#include "io/file.h"

enum { FLV_PICTURE_PATH = 1024 };

typedef struct flv_picture {
  char folder[FLV_PICTURE_PATH];    // "." if the path names none
  char stem[FLV_PICTURE_PATH];      // file name without ".png"
  char png[FLV_PICTURE_PATH];       // the picture
  char temporary[FLV_PICTURE_PATH]; // the picture being drawn
  flv_atomic dat, gp;               // write to dat.f and gp.f
} flv_picture;

// On failure there is nothing to close.
flv_status flv_picture_open(flv_picture *picture, const char *png, flv_error *err);

// First lines of the script: terminal of that many pixels (pngcairo, or png where gnuplot has no
// Cairo) and output.
void flv_picture_head(flv_picture *picture, int width, int height);

// Keeps data and script, runs gnuplot in their folder, puts the picture in place when it is
// complete.
flv_status flv_picture_finish(flv_picture *picture, flv_error *err);

// A gnuplot string literal of prefix, text, suffix; control characters become spaces.
void flv_picture_quote(FILE *f, const char *prefix, const char *text, const char *suffix);

// The file with that ending beside the script, as a literal.
void flv_picture_file(FILE *f, const flv_picture *picture, const char *ending);

#endif
