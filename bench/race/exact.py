"""Exact divergences of a peer's policy, from its probabilities at every state. NumPy, double precision."""
import numpy as np


def jsd(p, q):
    """Jensen-Shannon divergence in nats."""
    m = 0.5 * (p + q)

    def half(x):
        seen = x > 0.0
        return 0.5 * float(np.sum(x[seen] * np.log(x[seen] / m[seen])))

    return half(p) + half(q)


def hypergrid_states(dim, side):
    """[side^dim, dim], the last coordinate fastest."""
    return np.stack(np.unravel_index(np.arange(side**dim), (side,) * dim), axis=1)


def hypergrid_terminating(log_pf, dim, side):
    """P_T of every state: flow(s) P_F(exit|s), flows from the origin on, by sums of coordinates.

    log_pf [side^dim, dim + 1] in the order of hypergrid_states, the exit last, -inf where illegal.
    """
    states = hypergrid_states(dim, side)
    stride = side**np.arange(dim - 1, -1, -1)
    pf = np.exp(log_pf.astype(np.float64))
    flow = np.zeros(len(states))
    flow[0] = 1.0
    level = states.sum(axis=1)
    order = np.argsort(level, kind='stable')
    bound = np.searchsorted(level[order], np.arange(dim * (side - 1) + 2))
    for first, last in zip(bound[:-1], bound[1:]):
        at = order[first:last]
        for d in range(dim):
            go = at[states[at, d] < side - 1]
            flow[go + stride[d]] += flow[go] * pf[go, d]
    return flow * pf[:, dim]


def log_softmax(logits, legal):
    x = np.where(legal, logits.astype(np.float64), -np.inf)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def hypergrid_jsd(logits, log_r, dim, side):
    """logits [side^dim, dim + 1] of P_F, log_r [side^dim], both in the order of hypergrid_states."""
    legal = np.ones((side**dim, dim + 1), dtype=bool)
    legal[:, :dim] = hypergrid_states(dim, side) < side - 1
    p = hypergrid_terminating(log_softmax(logits, legal), dim, side)
    target = np.exp(np.asarray(log_r, dtype=np.float64))
    return jsd(p / p.sum(), target / target.sum())


class Dags:
    """All directed acyclic graphs of d variables, by numbers of edges; bit i d + j of a code is the edge i -> j."""

    def __init__(self, d):
        self.d = d
        levels = [np.zeros(1, dtype=np.int64)]
        while len(levels[-1]):
            codes = levels[-1]
            grown = np.concatenate([(codes | (1 << a))[self.legal(codes, a)] for a in range(d * d)])
            levels.append(np.unique(grown))
        self.levels = levels[:-1]
        self.codes = np.concatenate(self.levels)
        self.order = np.argsort(self.codes)
        self.sorted = self.codes[self.order]

    def adjacency(self, codes):
        bits = (codes[:, None] >> np.arange(self.d * self.d)) & 1
        return bits.reshape(-1, self.d, self.d).astype(bool)

    def legal(self, codes, a):
        """May the edge a be added: it is not there, and no path leads back."""
        edges = self.adjacency(codes)
        reach = edges | np.eye(self.d, dtype=bool)
        for k in range(self.d):
            reach |= reach[:, :, k:k + 1] & reach[:, k:k + 1, :]
        i, j = divmod(a, self.d)
        return ~edges[:, i, j] & ~reach[:, j, i]

    def jsd(self, logits, log_r):
        """logits [n, d^2 + 1] of P_F, the exit last; log_r [n], both in the order of codes."""
        n_edges = self.d * self.d
        if not hasattr(self, 'mask'):
            self.mask = np.stack([self.legal(self.codes, a) for a in range(n_edges)], axis=1)
        mask = np.concatenate([self.mask, np.ones((len(self.codes), 1), dtype=bool)], axis=1)
        pf = np.exp(log_softmax(logits, mask))
        flow = np.zeros(len(self.codes))
        flow[0] = 1.0
        first = 0
        for level in self.levels:
            at = np.arange(first, first + len(level))
            for a in range(n_edges):
                go = at[mask[at, a]]
                child = self.order[np.searchsorted(self.sorted, self.codes[go] | (1 << a))]
                np.add.at(flow, child, flow[go] * pf[go, a])
            first += len(level)
        p = flow * pf[:, n_edges]
        target = np.exp(np.asarray(log_r, dtype=np.float64) - np.max(log_r))
        return jsd(p / p.sum(), target / target.sum())
