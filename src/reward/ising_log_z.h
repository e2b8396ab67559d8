// Exact partition function of the Ising model on a small periodic lattice.
#ifndef FLUVIAL_REWARD_ISING_LOG_Z_H
#define FLUVIAL_REWARD_ISING_LOG_Z_H

enum { FLV_ISING_LOG_Z_SIDE = 12 };

// log of the sum over all spins s of exp(k sum_i s_i (s_right(i) + s_below(i))) on a side x side
// torus, side >= 2; every bond counts once, and on side 2, where two bonds join each pair of
// neighbours, twice. Milliseconds up to side 10, a tenth of a second at 12. NaN where it is not
// known: side > 12, or side * |k| > 150, where terms leave the range of double.
double flv_ising_log_z(int side, double k);

#endif
