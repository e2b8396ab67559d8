// The archive of a run: the objects that training finds, where they have texts (flv_env.text_name).
//
//   DIR/objects.csv   iteration,TEXT,log_r,reward,key
//
// A line for each object when it is first found, and another whenever it is found with a larger
// reward: a reward may read more of a state than its object (free slots of a molecule). So the last
// line of a key is its best. Objects of less than archive.above are neither written nor counted.
// What is in memory follows from the lines, in their order: a resumed run reads them again.
#ifndef FLUVIAL_RUN_ARCHIVE_H
#define FLUVIAL_RUN_ARCHIVE_H

#include "base/key_table.h"
#include "fluvial/run.h"
#include "metrics/diverse.h"
#include "run/run_dir.h"

typedef struct flv_archive {
  const flv_env *env; // NULL: objects have no texts, there is no archive
  const flv_reward *reward;
  double log_above, log_modes; // least log R: of what is kept, of modes
  flv_key_table known;         // largest log R of each object
  flv_diverse modes;
  int64_t above; // objects of log_modes or more
  double best;   // largest log R
  // scratch
  unsigned char *states; // [batch * state_size]
  double *log_r;         // [batch]
  uint64_t *key;         // [batch, 2]
  double *sorted;        // [FLV_LATEST]
  void *block;
} flv_archive;

// Empty, for a trainer's environment and reward, which it keeps. FLV_ENOMEM.
flv_status flv_archive_init(flv_archive *archive, const flv_trainer *trainer, flv_error *err);
void flv_archive_free(flv_archive *archive); // accepts a zeroed one

// Takes what is in dir/objects.csv. FLV_EINVAL where a line is none of it.
flv_status flv_archive_read(flv_archive *archive, const char *dir, flv_error *err);

// After a step of the trainer: writes what it found that is new, and the rewards of all into the
// tally.
flv_status flv_archive_step(flv_archive *archive, const flv_trainer *trainer, FILE *objects,
                            flv_tally *tally, flv_error *err);

flv_found flv_archive_found(const flv_archive *archive, const flv_tally *tally);

// ---- lines of objects.csv ----

typedef struct flv_found_line {
  int64_t iteration;
  const char *text; // within the line
  double log_r;
  uint64_t key[2];
} flv_found_line;

// From a line, which is cut into its fields; false if it is none.
bool flv_found_line_cut(flv_found_line *out, char *line);
// Its end, where a zero byte takes the place of the line break; NULL if there is no whole line.
char *flv_line_end(char *line);

#endif
