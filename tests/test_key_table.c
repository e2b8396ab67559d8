// Numbers by 128-bit key: against a sorted list, through many growths, and when memory is short.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/key_table.h"
#include "base/mix.h"

enum { N = 20000 };

// Keys that fall into few slots, and pairs that share one half.
static void key_at(int i, uint64_t key[2]) {
  key[0] = i % 3 == 0 ? (uint64_t)(i / 30) : flv_mix((uint64_t)i);
  key[1] = i % 7 == 0 ? 1 : flv_mix((uint64_t)i + N);
  if (i % 21 == 0) key[1] = (uint64_t)i + 2;
}

static void finds_what_was_added(void **unused) {
  (void)unused;
  flv_key_table t = {0};
  uint64_t key[2];
  for (int i = 0; i < N; i++) {
    key_at(i, key);
    assert_null(flv_key_table_find(&t, key));
    assert_true(flv_key_table_add(&t, key, 0.5 * i));
    assert_true(t.n == (size_t)i + 1 && 4 * t.n <= 3 * t.slots);
    double *value = flv_key_table_find(&t, key);
    assert_true(value && *value == 0.5 * i);
    *value = -i;
  }
  for (int i = 0; i < N; i++) {
    key_at(i, key);
    assert_true(*flv_key_table_find(&t, key) == -i);
    key[1] ^= UINT64_C(1) << 63;
    assert_null(flv_key_table_find(&t, key));
  }
  flv_key_table_free(&t);
  assert_null(flv_key_table_find(&t, key));
}

static void memory_may_be_short(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_key_table t = {0};
  uint64_t key[2];
  int failures = 0;
  for (int i = 0; i < N; i++) {
    key_at(i, key);
    alloc_fail(0);
    const bool added = flv_key_table_add(&t, key, i);
    if (alloc_none_failed()) {
      assert_true(added);
      continue;
    }
    failures++;
    assert_false(added);
    assert_null(flv_key_table_find(&t, key));
    assert_true(flv_key_table_add(&t, key, i));
  }
  assert_int_equal(failures, 6); // 1024 to 32768 slots
  for (int i = 0; i < N; i++) {
    key_at(i, key);
    assert_true(*flv_key_table_find(&t, key) == i);
  }
  flv_key_table_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_was_added),
      cmocka_unit_test(memory_may_be_short),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
