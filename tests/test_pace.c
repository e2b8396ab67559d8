// The choice of a way by the clock: the fastest is used, a hopeless one is seldom tried again.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "base/pace.h"

static void wait_us(long us) {
  const struct timespec pause = {0, us * 1000};
  nanosleep(&pause, NULL);
}

// Steps of 50 us in one way and 5 ms in the other: nothing but a broken clock confuses them.
static void the_fastest_is_used(void **unused) {
  (void)unused;
  for (int fast = 0; fast < 2; fast++) {
    flv_pace pace = {.ways = 2};
    int used[2] = {0};
    for (int i = 0; i < 1500; i++) {
      const int way = flv_pace_begin(&pace);
      used[way]++;
      wait_us(way == fast ? 50 : 5000);
      flv_pace_end(&pace, 1.0);
    }
    assert_true(used[!fast] >= 1);
    assert_true(used[!fast] <= 20); // a few trials of at most 4 steps
  }
}

static void one_way_is_always_taken(void **unused) {
  (void)unused;
  flv_pace pace = {.ways = 1};
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(flv_pace_begin(&pace), 0);
    flv_pace_end(&pace, 0.0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_fastest_is_used),
                                     cmocka_unit_test(one_way_is_always_taken)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
