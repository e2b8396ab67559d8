// Given molecules under a trained sampler: log P_T(x) without sampling, and how well it follows log
// R [Bengio et al. 2021, arXiv:2106.04399; Malkin et al. 2023, arXiv:2210.00580, section 4.4]. For
// environment `fragments`. docs/molecules.md says what the two ways of it are.
#ifndef FLUVIAL_MOLECULE_EVAL_H
#define FLUVIAL_MOLECULE_EVAL_H

#include <stdint.h>

#include "fluvial/env.h"
#include "fluvial/status.h"
#include "fluvial/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flv_molecule_list flv_molecule_list; // read-only

// Reads molecules of env's vocabulary from text, one a line, fields between tabs. The first line
// names the columns; what follows a parenthesis, and a # before the first name, do not count:
//   blocks   their numbers, in the order in which they were joined: 3,99
//   jbonds   b1,b2,a1,a2;..: bond i joins block b2 = i + 1 to an earlier one, b1, from atom a2, the
//            one by which b2 is joined, to atom a1, each in the numbering of its fragment
//   stems    b,a;..: atoms that are still open, in any order; this column may be missing, and is
//            only compared with what blocks and bonds leave
// Others are not read. Later lines that are blank or begin with # are skipped. Where an atom has
// several slots, a bond takes the first that is free. NULL on failure; the message begins with the
// line. env is kept.
flv_molecule_list *flv_molecule_list_parse(const flv_env *env, const char *text, size_t size,
                                           flv_error *err);
void flv_molecule_list_free(flv_molecule_list *list); // accepts NULL

int64_t flv_molecule_list_count(const flv_molecule_list *list);
const void *flv_molecule_list_states(const flv_molecule_list *list);    // [n * state_size]
int flv_molecule_list_line(const flv_molecule_list *list, int64_t i);   // where it stands
int flv_molecule_list_blocks(const flv_molecule_list *list, int64_t i); // how many it has

typedef struct flv_molecule_score {
  double log_r; // exponent included
  double log_p; // exact: log of the probability of all states that write the molecule
  // As the released code computes it, with its faults; NaN where that code leaves the molecule out,
  // and everywhere if flv_molecule_evaluation.has_legacy is false.
  double log_p_legacy;
  int writings; // states that write it
} flv_molecule_score;

typedef struct flv_molecule_fit {
  int64_t n;                // molecules used: log R and log p are finite
  double pearson, spearman; // of log R and log p; NaN where undefined
} flv_molecule_fit;

typedef struct flv_molecule_evaluation {
  int64_t n;       // molecules
  bool has_legacy; // policy: fragment_network, exit: joint
  flv_molecule_fit exact, legacy;
} flv_molecule_evaluation;

// Scores the molecules of a list that was read for the trainer's environment; score [n] may be
// NULL. progress (or NULL) is told the share that is done, now and then. FLV_EINVAL: the
// environment is another; a molecule has too many writings (a million). FLV_ENAN: the network gives
// no numbers.
flv_status flv_trainer_molecules(flv_trainer *trainer, const flv_molecule_list *list,
                                 void (*progress)(void *user, double done), void *user,
                                 flv_molecule_score *score, flv_molecule_evaluation *out,
                                 flv_error *err);

#ifdef __cplusplus
}
#endif
#endif
