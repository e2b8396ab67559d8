#!/usr/bin/env python3
"""The posterior over all graphs of a data table, by a program that shares nothing with fluvial (NumPy
and the standard library), against what fluvial computes.

usage: check_dag_posterior.py FLUVIAL             compare, on examples/iris and made-up tables of 3 to 5
                                                  variables; exits with 1 and a line where they differ
       check_dag_posterior.py --table DATA.csv    print the posterior under BGe: edges and best graphs

Every acyclic adjacency matrix is tried. Scores are computed from the raw columns: BGe and the linear
Gaussian as densities of whole matrices of data (matrix t, N-variate normal), BDeu row by row. fluvial
gives log Z of the tempered target, log sum_G R(G)^beta, in metrics.csv. At six exponents beta that fixes
the distribution of log R over the graphs well enough to show any wrong score.
"""
import csv
import itertools
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print('check_dag_posterior: skipped: there is no numpy here')
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def log_gamma_p(a, p):
    """log of the p-variate gamma function."""
    return p * (p - 1) / 4 * math.log(math.pi) + sum(math.lgamma(a - i / 2) for i in range(p))


def log_matrix_t(y, dof, t):
    """log density of the rows of y [N,q]: mean 0 with prior weight 1, Wishart prior (dof, t I)."""
    n, q = y.shape
    if q == 0:
        return 0.0
    prior = np.eye(n) + np.ones((n, n))  # rows share their unknown mean
    _, log_prior = np.linalg.slogdet(prior)
    _, log_post = np.linalg.slogdet(t * np.eye(q) + y.T @ np.linalg.solve(prior, y))
    return (log_gamma_p((dof + n) / 2, q) - log_gamma_p(dof / 2, q) - n * q / 2 * math.log(math.pi)
            + dof * q / 2 * math.log(t) - q / 2 * log_prior - (dof + n) / 2 * log_post)


def bge(x):
    d = x.shape[1]

    def density(columns):
        return log_matrix_t(x[:, columns], 2 + len(columns), 0.5)  # alpha_mu = 1, alpha_w = d + 2

    return [lambda p, j=j: density(p + [j]) - density(p) for j in range(d)]


def linear_gaussian(x):
    n, d = x.shape

    def local(p, j):
        k = 0.1 * np.eye(n) + x[:, p] @ x[:, p].T
        return -0.5 * (x[:, j] @ np.linalg.solve(k, x[:, j]) + np.linalg.slogdet(k)[1]
                       + n * math.log(2 * math.pi))

    return [lambda p, j=j: local(p, j) for j in range(d)]


def bdeu(x):
    d = x.shape[1]
    levels = [len(set(x[:, c])) for c in range(d)]

    def local(p, j):
        a = 1.0 / math.prod(levels[c] for c in p) / levels[j]
        seen, score = {}, 0.0
        for row in x:
            counts = seen.setdefault(tuple(row[p]), {})
            score += math.log((a + counts.get(row[j], 0)) / (a * levels[j] + sum(counts.values())))
            counts[row[j]] = counts.get(row[j], 0) + 1
        return score

    return [lambda p, j=j: local(p, j) for j in range(d)]


def acyclic(parents, d):
    left = set(range(d))
    while left:
        free = [j for j in left if not parents[j] & left]
        if not free:
            return False
        left -= set(free)
    return True


def all_graphs(d):
    """Parent sets of every variable, of every acyclic graph."""
    sets = [[frozenset(s) for k in range(d)
             for s in itertools.combinations([i for i in range(d) if i != j], k)] for j in range(d)]
    return [g for g in itertools.product(*sets) if acyclic(g, d)]


def log_scores(x, score):
    """Graphs, and log R of each relative to the empty graph."""
    d = x.shape[1]
    local, graphs = score(x), all_graphs(d)
    table = [{} for _ in range(d)]
    for j in range(d):
        for g in graphs:
            if g[j] not in table[j]:
                table[j][g[j]] = local[j](sorted(g[j]))
    empty = frozenset()
    return graphs, np.array([sum(table[j][g[j]] - table[j][empty] for j in range(d)) for g in graphs])


def log_sum_exp(v):
    return float(v.max() + math.log(np.exp(v - v.max()).sum()))


def read_table(path):
    with open(path, encoding='utf-8', newline='') as file:
        rows = list(csv.reader(file))
    return rows[0], np.array([[float(v) for v in row] for row in rows[1:]])


def write_table(path, x):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(','.join(f'x{c}' for c in range(x.shape[1])) + '\n')
        for row in x:
            file.write(','.join(f'{v:.17g}' for v in row) + '\n')


def fluvial_log_z(program, folder, settings):
    run = folder / f'run{len(list(folder.iterdir()))}'
    config = folder / 'config.yaml'
    config.write_text('env: dag\niterations: 1\nbatch: 1\npolicy: {hidden: [2]}\n', encoding='utf-8')
    command = [program, 'train', str(config), '--out', str(run)]
    for key, value in settings.items():
        command += ['--set', f'{key}={value}']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f'check_dag_posterior: {" ".join(command)}: {done.stderr.strip()}')
    with open(run / 'metrics.csv', encoding='utf-8', newline='') as file:
        return float(list(csv.DictReader(file))[-1]['log_z_true'])


def made_up(d, n, categories, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d))
    for j in range(1, d):
        x[:, j] += 0.7 * x[:, j - 1] - (0.4 * x[:, 0] if j > 1 else 0)
    return np.floor(np.clip(x, -1, 1.9)) if categories else x


def compare(program):
    _, iris = read_table(ROOT / 'examples/iris/iris.csv')
    scores = {'bge': bge, 'linear_gaussian': linear_gaussian, 'bdeu': bdeu}
    cases = [('bge', 'iris', iris), ('linear_gaussian', 'iris', iris)]
    cases += [(name, f'{d} variables', made_up(d, 40, name == 'bdeu', d))
              for name in scores for d in (3, 4)]
    cases.append(('bge', '5 variables', made_up(5, 30, False, 5)))
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for score, what, x in cases:
            write_table(folder / 'table.csv', x)
            graphs, log_r = log_scores(x, scores[score])
            for beta in (1, 0.1) if len(graphs) > 1000 else (1, 0.5, 0.25, 0.1, 0.03, 0.01):
                expect = log_sum_exp(beta * log_r)
                found = fluvial_log_z(program, folder, {
                    'reward': score, 'reward.path': folder / 'table.csv', 'reward.exponent': beta})
                error = abs(found - expect) / max(1.0, abs(expect))
                worst = max(worst, error)
                if not error < 1e-8:
                    sys.exit(f'check_dag_posterior: {score}, {what}, exponent {beta}: log Z is {expect},'
                             f' fluvial says {found}')
            print(f'check_dag_posterior: {score}, {what}: {len(graphs)} graphs, log Z agrees')
    print(f'check_dag_posterior: all agree, to {worst:.1e}')


def show(path):
    names, x = read_table(path)
    graphs, log_r = log_scores(x, bge)
    p = np.exp(log_r - log_sum_exp(log_r))
    print(f'{len(graphs)} graphs, log Z relative to the empty graph {log_sum_exp(log_r):.10g}')
    for j, to in enumerate(names):
        for i, frm in enumerate(names):
            if i != j:
                print(f'{sum(q for g, q in zip(graphs, p) if i in g[j]):.8f}  {frm} -> {to}')
    for k in np.argsort(-p)[:5]:
        edges = [f'{names[i]} -> {names[j]}' for j in range(len(names)) for i in sorted(graphs[k][j])]
        print(f'{p[k]:.8f}  {", ".join(edges) or "no edges"}')


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--table':
        show(sys.argv[2])
    elif len(sys.argv) == 2:
        compare(sys.argv[1])
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main()
