// Distances between two distributions over the same n states, in nats.
//
// p and q are probabilities [n], not negative, each summing to 1 (they are not rescaled). 0 log 0 =
// 0. A NaN in either comes out as NaN.
#ifndef FLUVIAL_METRICS_DISTANCE_H
#define FLUVIAL_METRICS_DISTANCE_H

#include <stdint.h>

// D(p||q) = sum p log (p/q); infinite where q = 0 < p.
double flv_kl(int64_t n, const double *p, const double *q);

// Jensen-Shannon divergence, 1/2 D(p||m) + 1/2 D(q||m) with m = (p+q)/2; symmetric, in [0, log 2].
// (Malkin et al. 2023, App. E, eqs 34-35.)
double flv_jsd(int64_t n, const double *p, const double *q);

// Total variation, 1/2 sum |p - q|, in [0, 1]; 2 TV^2 <= D(p||q) (Pinsker).
double flv_tv(int64_t n, const double *p, const double *q);

// Mean over states of |p - q|, i.e. 2 TV / n: what other libraries call l1_dist.
double flv_l1_mean(int64_t n, const double *p, const double *q);

// Largest k-th value of x [n], values not negative, 1 <= k <= n. Linear time, no scratch.
double flv_kth_largest(int64_t n, const double *x, int64_t k);

// |top k of p, intersected with top k of target|, 0 <= k <= n: the released code's count of mode
// cells found (Malkin et al. 2023, arXiv 2210.00580), made independent of the order of states. Ties
// at the edge of the target's set are all in (values within a relative 1e-9 count as equal, so that
// rounding cannot split a flat mode). Ties at the edge of p's set are all out: a p that cannot tell
// states apart, such as the uniform one, has found none of them. Divided by the number of cells per
// mode it is the number of modes found.
int64_t flv_modes_found(int64_t n, const double *p, const double *target, int64_t k);

// Number of states in the target's flat modes: those within a relative 1e-9 of its maximum.
int64_t flv_mode_cells(int64_t n, const double *target);

// Share in [0, 1] of the target's flat modes that p covers: flv_modes_found with k =
// flv_mode_cells, over k. Times the number of modes, it is the paper's "modes found".
double flv_modes_covered(int64_t n, const double *p, const double *target);

#endif
