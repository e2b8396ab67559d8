// Rewards of the environments that fill positions, against torchgfn 2.4.1 and gfnx 0.0.1, closed
// forms and brute force; modes made and read.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "env/fill.h"
#include "exact/terminating.h"
#include "reward/bit_modes.h"
#include "reward/ising_log_z.h"
#include "scratch.h"
#include "train_setup.h"

typedef struct problem {
  flv_env *env;
  flv_reward *reward;
} problem;

static problem open_problem(int n, const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  problem p = {.reward = flv_reward_new(cfg, &err)};
  p.env = p.reward ? flv_env_new(cfg, &p.reward->shape, &err) : NULL;
  if (!p.env || p.reward->bind(p.reward, p.env, &err) != FLV_OK) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return p;
}

static void close_problem(problem *p) {
  flv_env_free(p->env);
  flv_reward_free(p->reward);
}

static void near(double x, double y, double bound) {
  if (!(fabs(x - y) <= bound)) fail_msg("%.17g is not %.17g", x, y);
}

// log R where position p has word[p], or nothing if that is negative.
static double log_r_of(const problem *p, const int *word) {
  const flv_fill *fill = flv_fill_of(p->env);
  uint64_t state[FLV_FILL_BITS / 32] = {0};
  double log_r = 0.0;
  for (int i = 0; i < fill->positions; i++) {
    const int32_t action = (i << fill->word) + word[i];
    if (word[i] >= 0) p->env->ops->step(p->env, 1, state, &action);
  }
  assert_int_equal(flv_reward_log(p->reward, p->env, 1, state, &log_r, NULL), FLV_OK);
  return log_r;
}

// Spin of site i from bit i of code.
static double log_r_of_spins(const problem *p, unsigned code) {
  int word[16];
  for (int i = 0; i < flv_fill_of(p->env)->positions; i++) word[i] = (int)(code >> i & 1);
  return log_r_of(p, word);
}

// ---- ising ----

// log_reward of DiscreteEBM(L^2, IsingModel(J A), alpha) in double, with A the adjacency matrix of
// the torus (1 for each pair of neighbours, once or, on side 2, twice joined), where site i has bit
// i of the code; columns: J = 0.44, alpha = 1 and J = -0.3, alpha = 0.7.
static void torchgfn_lattice(void **unused) {
  (void)unused;
  static const struct {
    const char *side, *exponent[2];
    unsigned code;
    double log_r[2];
  } rows[] = {
      {"2", {"1", "0.7"}, 0x5, {0.0, 0.0}},         {"2", {"1", "0.7"}, 0x9, {-3.52, 1.68}},
      {"2", {"1", "0.7"}, 0x1, {0.0, 0.0}},         {"3", {"2", "1.4"}, 0x155, {-5.28, 2.52}},
      {"3", {"2", "1.4"}, 0x1b, {1.76, -0.84}},     {"3", {"2", "1.4"}, 0xf0, {-1.76, 0.84}},
      {"3", {"2", "1.4"}, 0x123, {-5.28, 2.52}},    {"4", {"2", "1.4"}, 0x1, {21.12, -10.08}},
      {"4", {"2", "1.4"}, 0x5a5a, {-28.16, 13.44}}, {"4", {"2", "1.4"}, 0xff0, {14.08, -6.72}},
      {"4", {"2", "1.4"}, 0x1234, {0.0, 0.0}},      {"4", {"2", "1.4"}, 0xcafe, {3.52, -1.68}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int k = 0; k < 2; k++) {
      problem p = open_problem(SETTINGS({"env", "ising"}, {"env.side", rows[i].side},
                                        {"reward", "ising"}, {"reward.j", k ? "-0.3" : "0.44"},
                                        {"reward.exponent", rows[i].exponent[k]}));
      near(log_r_of_spins(&p, rows[i].code), rows[i].log_r[k], 1e-13);
      close_problem(&p);
    }
}

// IsingRewardModule with J = get_true_ising_J(L, 0.1): s'Js.
static void gfnx_lattice(void **unused) {
  (void)unused;
  static const struct {
    const char *side, *exponent;
    unsigned code;
    double log_r;
  } rows[] = {{"2", "1", 0x1, 0.0},  {"2", "1", 0x9, -0.8}, {"3", "2", 0x155, -1.2},
              {"3", "2", 0x1b, 0.4}, {"4", "2", 0x1, 4.8},  {"4", "2", 0xcafe, 0.8}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    problem p =
        open_problem(SETTINGS({"env", "ising"}, {"env.side", rows[i].side}, {"reward", "ising"},
                              {"reward.j", "0.1"}, {"reward.exponent", rows[i].exponent}));
    near(log_r_of_spins(&p, rows[i].code), rows[i].log_r, 1e-13);
    close_problem(&p);
  }
}

// Sites without a spin take no part.
static void partial_lattice(void **unused) {
  (void)unused;
  problem p = open_problem(
      SETTINGS({"env", "ising"}, {"env.side", "3"}, {"reward", "ising"}, {"reward.j", "1"}));
  near(log_r_of(&p, (int[]){-1, -1, -1, -1, -1, -1, -1, -1, -1}), 0.0, 0.0);
  near(log_r_of(&p, (int[]){-1, -1, -1, -1, 1, -1, -1, -1, -1}), 0.0, 0.0);
  near(log_r_of(&p, (int[]){1, -1, 1, -1, 1, -1, -1, -1, 0}), 1.0 - 1.0, 0.0); // 0~2 alike, 2~8 not
  near(log_r_of(&p, (int[]){1, 1, -1, 1, -1, -1, 1, -1, -1}), 4.0, 0.0);       // 01 03 06 36
  close_problem(&p);
}

// log_partition of the same torchgfn environments.
static void torchgfn_log_z(void **unused) {
  (void)unused;
  near(flv_ising_log_z(2, 0.44), 4.37736649052529, 1e-12);
  near(flv_ising_log_z(3, 0.88), 16.541695727236192, 1e-12);
  near(flv_ising_log_z(4, 0.88), 28.868067937889553, 1e-12);
  near(flv_ising_log_z(2, -0.3 * 0.7), 3.139999698561262, 1e-12);
  near(flv_ising_log_z(3, -0.3 * 1.4), 7.433007582698055, 1e-12);
  near(flv_ising_log_z(4, -0.3 * 1.4), 15.018189206889126, 1e-12);
}

// The reward itself over all 2^(L^2) lattices.
static double brute_force(const char *side, const char *j) {
  problem p = open_problem(
      SETTINGS({"env", "ising"}, {"env.side", side}, {"reward", "ising"}, {"reward.j", j}));
  const int n = 1 << flv_fill_of(p.env)->positions;
  double *log_r = calloc((size_t)n, sizeof *log_r);
  assert_non_null(log_r);
  for (int code = 0; code < n; code++) log_r[code] = log_r_of_spins(&p, (unsigned)code);
  const double log_z = flv_logsumexp(n, log_r);
  near(flv_reward_log_z(p.reward, p.env), log_z, 1e-11);
  free(log_r);
  close_problem(&p);
  return log_z;
}

static void brute_force_log_z(void **unused) {
  (void)unused;
  static const char *const sides[] = {"2", "3", "4"}, *const j[] = {"0.44", "-0.44", "0.1", "3"};
  for (int s = 0; s < 3; s++)
    for (int k = 0; k < 4; k++)
      near(flv_ising_log_z(s + 2, strtod(j[k], NULL)), brute_force(sides[s], j[k]), 1e-11);
}

// Kaufman 1949 for n x n and k > 0, in logarithms: with cosh g_l = cosh 2k coth 2k - cos(pi l / n),
// g_0 = 2k + log tanh k,
//   Z = (2 sinh 2k)^(n n / 2) / 2 [prod 2 cosh(n g_odd / 2) + prod 2 sinh(n g_odd / 2)
//                                  + prod 2 cosh(n g_even / 2) + prod 2 sinh(n g_even / 2)]
static double kaufman(int n, double k) {
  double term[4] = {0.0}, sign = 1.0, top = -HUGE_VAL, sum = 0.0;
  for (int l = 0; l < 2 * n; l++) {
    const double c = cosh(2 * k) / tanh(2 * k) - cos(acos(-1.0) * l / n);
    const double g = l == 0 ? 2 * k + log(tanh(k)) : acosh(c), h = fabs(n * g / 2);
    if (l == 0 && g < 0) sign = -1.0;
    term[l % 2 ? 0 : 2] += h + log1p(exp(-2 * h));
    term[l % 2 ? 1 : 3] += h + log1p(-exp(-2 * h));
  }
  for (int i = 0; i < 4; i++) top = fmax(top, term[i]);
  for (int i = 0; i < 4; i++) sum += (i == 3 ? sign : 1.0) * exp(term[i] - top);
  return 0.5 * n * n * log(2 * sinh(2 * k)) - log(2.0) + top + log(sum);
}

static void kaufmans_log_z(void **unused) {
  (void)unused;
  static const double k[] = {0.05, 0.2, 0.44, 0.88, 2.0};
  for (int side = 2; side <= FLV_ISING_LOG_Z_SIDE; side++)
    for (int i = 0; i < 5; i++) near(flv_ising_log_z(side, k[i]) / kaufman(side, k[i]), 1.0, 1e-12);
}

static void limits_of_log_z(void **unused) {
  (void)unused;
  near(flv_ising_log_z(7, 0.0), 49 * log(2.0), 1e-11);
  for (int side = 2; side <= 12; side += 2) // on even sides every other spin can be turned over
    near(flv_ising_log_z(side, -0.5), flv_ising_log_z(side, 0.5), 1e-10);
  near(flv_ising_log_z(12, 12.0), log(2.0) + 288 * 12.0, 1e-9);
  near(flv_ising_log_z(2, 75.0), log(2.0) + 8 * 75.0, 1e-9);
  // on side 3 every row and column has a bond that does not fit, and no more: states by brute force
  int least = 0;
  for (unsigned code = 0; code < 512; code++) {
    int sum = 0;
    for (int i = 0; i < 9; i++) {
      const unsigned s = code >> i & 1;
      sum += s == (code >> (i / 3 * 3 + (i + 1) % 3) & 1) ? 1 : -1;
      sum += s == (code >> (i + 3) % 9 & 1) ? 1 : -1;
    }
    assert_true(sum >= -6);
    least += sum == -6;
  }
  near(flv_ising_log_z(3, -50.0), log(least) + 6 * 50.0, 1e-9);
  assert_true(isnan(flv_ising_log_z(1, 0.1)) && isnan(flv_ising_log_z(13, 0.1)));
  assert_true(isnan(flv_ising_log_z(12, 13.0)) && isnan(flv_ising_log_z(2, (double)NAN)));
}

// ---- bits ----

static const char *const torchgfn_modes = "0,0,1,1,1,1,0,0\n0,0,0,0,1,1,1,1\n"
                                          "0,0,0,0,0,0,0,0\n1,1,1,1,0,0,0,0\n";

// NonAutoregressiveBitSequence(word_size=2, seq_size=8, n_modes=4, reward_exponent=2, seed=0) and
// BitSequence(word_size=2, seq_size=8, n_modes=4, temperature=1.5, seed=0), which have these modes.
static void torchgfn_bits(void **unused) {
  (void)unused;
  const char *path = write_text("modes.csv", torchgfn_modes);
  problem share =
      open_problem(SETTINGS({"env", "bit_sequence"}, {"env.word", "2"}, {"reward", "hamming_modes"},
                            {"reward.path", path}, {"reward.exponent", "2"}));
  problem bit = open_problem(SETTINGS(
      {"env", "bit_sequence"}, {"env.word", "2"}, {"reward", "hamming_modes"},
      {"reward.path", path}, {"reward.unit", "bit"}, {"reward.exponent", "0.66666666666666667"}));
  static const struct {
    int word[4];
    double share, bit;
  } rows[] = {{{0, 0, 0, 0}, 0.0, 0.0},
              {{1, 2, 3, 0}, -0.5, -1.3333333333333333},
              {{3, 3, 1, 2}, -0.5, -1.3333333333333333},
              {{2, 0, 1, 3}, -0.5, -1.3333333333333333},
              {{-1, -1, -1, -1}, 0.0, 0.0}, // ours: where there are no bits they do not differ
              {{1, 2, -1, -1}, -0.5, -1.3333333333333333},
              {{-1, 3, -1, 2}, -0.25, -0.66666666666666667}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    near(log_r_of(&share, rows[i].word), rows[i].share, 1e-14);
    near(log_r_of(&bit, rows[i].word), rows[i].bit, 1e-14);
  }
  double *log_target = calloc((size_t)share.env->n_states, sizeof *log_target), log_z;
  flv_error err = {0};
  assert_int_equal(flv_target(share.env, share.reward, 1, log_target, &log_z, &err), FLV_OK);
  near(log_z, 4.941160678863525, 1e-6); // theirs in single precision
  free(log_target);
  close_problem(&share);
  close_problem(&bit);
}

// BitseqRewardModule(120, 8, reward_exponent=3) with the first two modes of PRNGKey(0).
static const char *const gfnx_modes = "000000001111111100000000111100000000111100000000001111000000"
                                      "111100111100001111000000111100000000"
                                      "001111001111000000111100\n"
                                      "000011111111000000001111111100000011110000000000111100001111"
                                      "111111111111111100000000000000111100"
                                      "111111110000000011110000\n";

static void gfnx_bits(void **unused) {
  (void)unused;
  const char *path = write_text("gfnx.txt", gfnx_modes);
  problem p = open_problem(SETTINGS({"env", "bit_sequence"}, {"reward", "hamming_modes"},
                                    {"reward.path", path}, {"reward.exponent", "3"}));
  assert_int_equal(p.env->n_actions, 3841); // the length is the modes'
  int word[3][15];
  for (int i = 0; i < 15; i++) word[0][i] = 7 * i % 256, word[1][i] = 255, word[2][i] = 0x3c;
  near(log_r_of(&p, word[0]), -1.25, 1e-14);
  near(log_r_of(&p, word[1]), -1.5, 1e-14);
  near(log_r_of(&p, word[2]), -1.0, 1e-14);
  close_problem(&p);
}

// Modes made: different after `least` bits, of blocks, the same for a seed.
static void check_made(int n, int least) {
  static const int blocks[5] = {0x00, 0xff, 0xf0, 0x0f, 0x3c};
  flv_error err = {0};
  flv_bit_modes a, b, c;
  int used[5] = {0};
  assert_int_equal(flv_bit_modes_make(&a, n, 1, &err), FLV_OK);
  assert_int_equal(flv_bit_modes_make(&b, n, 1, &err), FLV_OK);
  assert_int_equal(flv_bit_modes_make(&c, n, 2, &err), FLV_OK);
  assert_true(a.n == n && a.length == 0 && a.least == least);
  assert_memory_equal(a.bits, b.bits, (size_t)n * FLV_BIT_MODES_WORDS * sizeof *a.bits);
  assert_memory_not_equal(a.bits, c.bits, (size_t)n * FLV_BIT_MODES_WORDS * sizeof *a.bits);
  for (int m = 0; m < n; m++) {
    for (int at = 0; at < FLV_FILL_BITS; at += 8) {
      int byte = 0, kind = 0;
      for (int i = 0; i < 8; i++) byte = 2 * byte + flv_bit_modes_bit(&a, m, at + i);
      while (kind < 5 && blocks[kind] != byte) kind++;
      assert_true(kind < 5);
      used[kind]++;
    }
    for (int k = 0; k < m; k++) {
      int differ = 0;
      for (int i = 0; i < least; i++)
        differ += flv_bit_modes_bit(&a, m, i) != flv_bit_modes_bit(&a, k, i);
      assert_true(differ > 0);
    }
  }
  for (int k = 0; k < 5; k++) assert_true(n < 60 || abs(5 * used[k] - n * 128) < n * 32);
  flv_bit_modes_free(&a);
  flv_bit_modes_free(&b);
  flv_bit_modes_free(&c);
}

static void modes_are_made(void **unused) {
  (void)unused;
  check_made(1, 0);
  check_made(2, 8);
  check_made(5, 8); // all there are
  check_made(6, 16);
  check_made(60, 24);
  check_made(125, 24);
}

// The reward against a twin that takes bit for bit.
static void distances_bit_by_bit(void **unused) {
  (void)unused;
  static const char *const words[] = {"1", "3", "7", "12"};
  for (int w = 0; w < 4; w++) {
    const int k = (int)strtol(words[w], NULL, 10), n = 84;
    problem p =
        open_problem(SETTINGS({"env", "bit_sequence"}, {"env.length", "84"}, {"env.word", words[w]},
                              {"reward", "hamming_modes"}, {"reward.modes", "20"},
                              {"reward.seed", "9"}, {"reward.unit", "bit"}));
    flv_error err = {0};
    flv_bit_modes modes;
    assert_int_equal(flv_bit_modes_make(&modes, 20, 9, &err), FLV_OK);
    for (int trial = 0; trial < 20; trial++) {
      int word[84], nearest = n;
      for (int i = 0; i < n / k; i++) word[i] = (i * 7919 + trial * 104729) % (1 << k);
      for (int m = 0; m < 20; m++) {
        int d = 0;
        for (int i = 0; i < n; i++)
          d += (word[i / k] >> (k - 1 - i % k) & 1) != flv_bit_modes_bit(&modes, m, i);
        nearest = d < nearest ? d : nearest;
      }
      near(log_r_of(&p, word), -nearest, 0.0);
    }
    flv_bit_modes_free(&modes);
    close_problem(&p);
  }
}

// Which modes an object at 0, 1, 2 .. bits from one of them has found; they may be several.
static void modes_are_found(void **unused) {
  (void)unused;
  static const char *const deltas[] = {"-1", "0", "3", "8"};
  static const int found[4][5] = {// by 00000000, 10000000, 00000011, 01000111, 00111000
                                  {1, 1, 0, 0, 1},
                                  {1, 0, 0, 0, 0},
                                  {1, 2, 2, 1, 3},
                                  {4, 4, 4, 4, 4}};
  static const int word[5][8] = {{0, 0, 0, 0, 0, 0, 0, 0},
                                 {1, 0, 0, 0, 0, 0, 0, 0},
                                 {0, 0, 0, 0, 0, 0, 1, 1},
                                 {0, 1, 0, 0, 0, 1, 1, 1},
                                 {0, 0, 1, 1, 1, 0, 0, 0}};
  const char *path = write_text("modes.csv", torchgfn_modes);
  for (int d = 0; d < 4; d++) {
    problem p = open_problem(SETTINGS({"env", "bit_sequence"}, {"env.word", "1"},
                                      {"reward", "hamming_modes"}, {"reward.path", path},
                                      {"reward.delta", deltas[d]}));
    assert_int_equal(p.reward->modes(p.reward, p.env), 4);
    for (int i = 0; i < 5; i++) {
      uint8_t seen[4] = {0};
      uint64_t state = 0;
      for (int32_t b = 0; b < 8; b++)
        p.env->ops->step(p.env, 1, &state, &(int32_t){2 * b + word[i][b]});
      p.reward->mark_modes(p.reward, p.env, &state, seen);
      assert_int_equal(seen[0] + seen[1] + seen[2] + seen[3], found[d][i]);
    }
    close_problem(&p);
  }
}

static void modes_are_read(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_bit_modes a;
  const char *path = write_text("a", "# two, one of them twice\n0101\r\n\n 0 ,1;0\t1\n1 1 1 1");
  if (flv_bit_modes_read(&a, path, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_true(a.n == 2 && a.length == 4);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(flv_bit_modes_bit(&a, 0, i), i % 2);
    assert_int_equal(flv_bit_modes_bit(&a, 1, i), 1);
  }
  flv_bit_modes_free(&a);
  static const char *const wrong[][2] = {
      {"01\n0x1\n", "line 2, column 2: expected a 0 or a 1"},
      {"# none\n01\n011\n", "line 3 has 3 bits, those before it 2"},
      {"# none\n", "no modes in it"},
      {"", "no modes in it"}};
  for (int i = 0; i < 4; i++) {
    path = write_text("wrong", wrong[i][0]);
    assert_int_equal(flv_bit_modes_read(&a, path, &err), FLV_EINVAL);
    if (!strstr(err.text, wrong[i][1])) fail_msg("'%s' without '%s'", err.text, wrong[i][1]);
  }
  char longest[1100];
  memset(longest, '1', sizeof longest);
  longest[1025] = '\0';
  path = write_text("long", longest);
  assert_int_equal(flv_bit_modes_read(&a, path, &err), FLV_EINVAL);
  assert_int_equal(flv_bit_modes_read(&a, in("none"), &err), FLV_EIO);
}

// What does not fit together, in one line each.
static void refusals(void **unused) {
  (void)unused;
  const char *path = write_text("modes.csv", torchgfn_modes);
  const struct {
    const char *env, *key, *value, *reward, *reward_key, *reward_value, *text;
  } rows[] = {
      {"ising", "side", "3", "hamming_modes", "path", path,
       "has modes of 8 bits, objects of 'ising' have 9"},
      {"bit_sequence", "length", "16", "hamming_modes", "path", path,
       "env.length is 16, and the reward's modes have 8"},
      {"bit_sequence", "length", "16", "hamming_modes", "modes", "26",
       "26 different modes are made of at least 24 bits"},
      {"bit_sequence", "length", "16", "ising", "j", "1",
       "needs environment 'ising', not 'bit_sequence'"},
      {"hypergrid", "side", "8", "ising", "j", "1", "needs environment 'ising', not 'hypergrid'"},
      {"hypergrid", "side", "8", "hamming_modes", "modes", "2",
       "needs environment 'bit_sequence', not 'hypergrid'"},
      {"bit_sequence", "length", "16", "corners", "r0", "1",
       "needs environment 'hypergrid', not 'bit_sequence'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char env_key[40], reward_key[40];
    snprintf(env_key, sizeof env_key, "env.%s", rows[i].key);
    snprintf(reward_key, sizeof reward_key, "reward.%s", rows[i].reward_key);
    flv_error err = {0};
    flv_config *cfg =
        configure(SETTINGS({"env", rows[i].env}, {env_key, rows[i].value},
                           {"reward", rows[i].reward}, {reward_key, rows[i].reward_value}));
    assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
    assert_int_equal(err.status, FLV_EINVAL);
    if (!strstr(err.text, rows[i].text)) fail_msg("'%s' without '%s'", err.text, rows[i].text);
    flv_config_free(cfg);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(torchgfn_lattice),
      cmocka_unit_test(gfnx_lattice),
      cmocka_unit_test(partial_lattice),
      cmocka_unit_test(torchgfn_log_z),
      cmocka_unit_test(brute_force_log_z),
      cmocka_unit_test(kaufmans_log_z),
      cmocka_unit_test(limits_of_log_z),
      cmocka_unit_test(torchgfn_bits),
      cmocka_unit_test(gfnx_bits),
      cmocka_unit_test(modes_are_made),
      cmocka_unit_test(distances_bit_by_bit),
      cmocka_unit_test(modes_are_found),
      cmocka_unit_test(modes_are_read),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
