// Runs in which allocations fail, one after another. cmocka is included before.
#ifndef FLUVIAL_TESTS_RUN_ALLOC_H
#define FLUVIAL_TESTS_RUN_ALLOC_H

#include "alloc.h"
#include "run_fixture.h"

static inline flv_status train(const flv_config *cfg, const char *out, const char *resume,
                               const volatile int *stop, flv_error *err) {
  const flv_run_options options = {.out = out, .resume = resume, .threads = 1, .stop = stop};
  return flv_run_train(cfg, &options, err);
}

// Fails allocation k = 0, every, 2 every .. of training and of `then`, until there are no more:
// each time one clear error, and the run on disk goes on from where it was.
static inline void fail_allocations_in_turn(const flv_config *cfg, long every,
                                            flv_status (*then)(const char *dir, flv_error *err)) {
  long failures = 0;
  for (long k = 0;; k += every) {
    char name[32];
    snprintf(name, sizeof name, "fail%ld", k);
    flv_error err = {0};
    alloc_fail(k);
    flv_status status = train(cfg, in(name), NULL, NULL, &err);
    if (status == FLV_OK) status = then(in(name), &err);
    const bool done = alloc_none_failed();
    if (status != FLV_OK) {
      failures++;
      if (err.text[0] == '\0') fail_msg("allocation %ld: no message for status %d", k, status);
      const bool begun = access(in(name), F_OK) == 0;
      err = (flv_error){0};
      const flv_status again =
          begun ? train(NULL, NULL, in(name), NULL, &err) : train(cfg, in(name), NULL, NULL, &err);
      if (again != FLV_OK) fail_msg("allocation %ld: %s", k, err.text);
    }
    if (done) break;
  }
  print_message("%ld allocations failed in turn\n", failures);
  assert_true(failures > 100);
}

#endif
