// Log-space arithmetic in double. -INFINITY is an ordinary value here: log 0.
#ifndef FLUVIAL_BASE_LOGMATH_H
#define FLUVIAL_BASE_LOGMATH_H

#include <stdint.h>

// log sum_i exp x_i; -INFINITY when n is 0 or all are -INFINITY.
double flv_logsumexp(int n, const double *x);

// y_i = x_i; -INFINITY where mask[i] is 0.
void flv_mask_logits(int n, const float *x, const uint8_t *mask, double *y);

// log_p[i] = x_i - logsumexp over the legal i; -INFINITY where mask[i] is 0. Returns the logsumexp.
double flv_log_softmax(int n, const float *x, const uint8_t *mask, double *log_p);

// log_p[i] = -log(number of legal i); -INFINITY where mask[i] is 0.
void flv_log_uniform(int n, const uint8_t *mask, double *log_p);

// log(exp a + exp b)
double flv_logaddexp(double a, double b);

// y_i = exp x_i, to 2 units in the last place; returns their sum. y and x do not overlap.
double flv_exp_row(int n, const double *x, double *y);

// p[i] = softmax of x; 0 when all are -INFINITY. p may be x.
void flv_softmax(int n, const double *x, double *p);

#endif
