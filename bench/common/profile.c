#include "profile.h"

#include "base/clock.h"
#include "floor.h"
#include "nn/ops.h"

#define NAME(ID, name) #name,
const char *const bench_part_names[BENCH_N_PARTS] = {BENCH_PARTS(NAME)};
#undef NAME

// What a wrapped function is about. What it makes of the time depends on where it is called.
typedef enum phase { SAMPLE, FORWARD, BACKWARD, PRODUCT, UPDATE } phase;

typedef struct stopwatch {
  bench_part part; // that time goes to at present
  double last;
  double seconds[BENCH_N_PARTS];
} stopwatch;

// NULL where nothing is measured, as in the helpers of the thread that is.
static _Thread_local stopwatch *running;

static bench_part part_of(phase of, bench_part outer) {
  switch (of) {
  case SAMPLE:
    return BENCH_SAMPLING;
  case FORWARD:
    return outer == BENCH_SAMPLING ? BENCH_LAYERS_SAMPLING : BENCH_LAYERS_FORWARD;
  case BACKWARD:
    return BENCH_LAYERS_BACKWARD;
  case PRODUCT:
    return outer == BENCH_LAYERS_SAMPLING   ? BENCH_PRODUCTS_SAMPLING
           : outer == BENCH_LAYERS_BACKWARD ? BENCH_PRODUCTS_BACKWARD
                                            : BENCH_PRODUCTS_FORWARD;
  case UPDATE:
    return BENCH_OPTIMISER;
  }
  return BENCH_SCORES;
}

static bench_part turn_to(bench_part part) {
  const double now = flv_clock();
  const bench_part was = running->part;
  running->seconds[was] += now - running->last;
  running->last = now;
  running->part = part;
  return was;
}

static bench_part enter(phase of) {
  return running ? turn_to(part_of(of, running->part)) : BENCH_SCORES;
}

static void leave(bench_part was) {
  if (running) turn_to(was);
}

// The linker (--wrap, in CMakeLists.txt, which has to name the same functions) makes of every call
// of f from another file one of __wrap_f, and of __real_f the function itself.
#define TIMED(PHASE, f, parameters, ...)                                                           \
  __typeof__(f) __real_##f, __wrap_##f;                                                            \
  void __wrap_##f parameters {                                                                     \
    const bench_part was = enter(PHASE);                                                           \
    __real_##f(__VA_ARGS__);                                                                       \
    leave(was);                                                                                    \
  }

TIMED(FORWARD, flv_net_forward,
      (const flv_net *net, const float *params, flv_acts *acts, int op0, int op1, int row0,
       int row1, int threads),
      net, params, acts, op0, op1, row0, row1, threads)
TIMED(BACKWARD, flv_net_backward,
      (const flv_net *net, const float *params, flv_acts *acts, int rows, float *grad, int threads),
      net, params, acts, rows, grad, threads)
TIMED(PRODUCT, flv_linear_forward, (const flv_call *c), c)
TIMED(PRODUCT, flv_linear_backward, (const flv_call *c), c)
TIMED(UPDATE, flv_optim_step,
      (flv_optim * optim, float *params, const float *grad, double grad_norm, int threads), optim,
      params, grad, grad_norm, threads)
TIMED(UPDATE, flv_target_net_update,
      (flv_target_net * target, const flv_policy *policy, int64_t updates), target, policy, updates)

__typeof__(flv_collector_fill) __real_flv_collector_fill, __wrap_flv_collector_fill;
flv_status __wrap_flv_collector_fill(flv_trainer *trainer, int threads, flv_error *err) {
  const bench_part was = enter(SAMPLE);
  const flv_status status = __real_flv_collector_fill(trainer, threads, err);
  leave(was);
  return status;
}

__typeof__(flv_grad_norm) __real_flv_grad_norm, __wrap_flv_grad_norm;
double __wrap_flv_grad_norm(size_t n, const float *grad) {
  const bench_part was = enter(UPDATE);
  const double norm = __real_flv_grad_norm(n, grad);
  leave(was);
  return norm;
}

static flv_status train(flv_trainer *t, double seconds, bench_parts *m, flv_error *err) {
  const double begin = flv_clock();
  while (m->iterations < 3 || flv_clock() - begin < seconds) {
    flv_stats stats;
    FLV_TRY(flv_trainer_step(t, &stats, err));
    m->iterations++;
    m->states += stats.states;
    m->distinct += stats.distinct;
    m->flops += bench_iteration_flops(t);
  }
  return FLV_OK;
}

flv_status bench_profile(flv_trainer *t, double seconds, bench_parts *parts, flv_error *err) {
  stopwatch watch = {.part = BENCH_SCORES, .last = flv_clock()};
  bench_parts m = {0};
  running = &watch;
  const flv_status status = train(t, seconds, &m, err);
  turn_to(BENCH_SCORES);
  running = NULL;
  FLV_TRY(status);
  if (!(watch.seconds[BENCH_SAMPLING] > 0.0))
    return flv_fail(err, FLV_EINVAL, "a profile needs the engine linked statically");
  for (int i = 0; i < BENCH_N_PARTS; i++) m.seconds += watch.seconds[i];
  for (int i = 0; i < BENCH_N_PARTS; i++) m.share[i] = watch.seconds[i] / m.seconds;
  m.states /= m.iterations;
  m.distinct /= m.iterations;
  m.flops /= m.iterations;
  *parts = m;
  return FLV_OK;
}
