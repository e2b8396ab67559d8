#!/usr/bin/env python3
"""Bayesian structure learning on 20 variables beside PC and GES (tools/structure_baseline.sh has the usage).

  structure_baseline.py fit METHOD DATA.csv EDGES.npy SECONDS.txt
  structure_baseline.py table RUNS "SEEDS" "METHODS"      writes docs/paper/structure_20.csv and .md

METHOD is pc or ges, with a number of bootstrap samples after a colon: without it, one fit to the data; or
mcmc:STEPS. A table also takes fluvial, and fluvial_fair with that prior.
"""
import csv
import math
import os
import sys
import time

import numpy as np
from causallearn.search.ConstraintBased.PC import pc as causal_learn_pc
from ges import fit_bic

ALPHA = 0.05  # PC: level of Fisher's z test of partial correlations


def standardised(path):
    x = np.loadtxt(path, delimiter=",", skiprows=1)
    return (x - x.mean(0)) / x.std(0)


# ---- the methods: E[i, j] is 1 for i -> j, 1/2 each way for an edge without direction ----


def pc(x):
    mark = causal_learn_pc(x, ALPHA, show_progress=False).G.graph  # mark[j, i] = 1, mark[i, j] = -1: i -> j
    joined = (mark != 0) & (mark.T != 0)
    arrow = joined & (mark == -1) & (mark.T == 1)
    return np.where(arrow, 1.0, np.where(joined & ~arrow & ~arrow.T, 0.5, 0.0))


def ges(x):
    g = fit_bic(x)[0] != 0  # both [i, j] and [j, i]: without direction
    return np.where(g & g.T, 0.5, g.astype(float))


# ---- the posterior itself: structure MCMC with the BGe score, written apart from src/reward/bge.c ----


def bge_score(x):
    """Of variable j with the set of parents `mask`, up to a constant; alpha_mu = 1, alpha_w = d + 2, mean 0."""
    n, d = x.shape
    r = x.T @ x + 0.5 * np.eye(d)  # the columns have mean 0
    lg = [math.lgamma((n + k + 3) / 2) - math.lgamma((k + 3) / 2) + (k + 1.5) * math.log(0.5) for k in range(d)]
    known = {}

    def log_det(rows):
        return np.linalg.slogdet(r[np.ix_(rows, rows)])[1] if rows else 0.0

    def score(j, mask):
        if (j, mask) not in known:
            rows = [i for i in range(d) if mask >> i & 1]
            k = len(rows)
            known[j, mask] = lg[k] + (n + k + 2) / 2 * log_det(rows) - (n + k + 3) / 2 * log_det(rows + [j])
        return known[j, mask]

    return score


def leads_to(parents, a, b):
    """Is there a directed path from a to b?"""
    seen = todo = 1 << b
    while todo:
        j = (todo & -todo).bit_length() - 1
        todo &= todo - 1
        if parents[j] >> a & 1:
            return True
        new = parents[j] & ~seen
        seen |= new
        todo |= new
    return False


def mcmc(x, steps):
    """Metropolis from the graph without edges: add, remove or reverse an edge. Mean over the last four fifths."""
    d, rng, score = x.shape[1], np.random.default_rng(1), bge_score(x)
    parents = [0] * d
    total, count = np.zeros((d, d)), 0
    for step in range(steps):
        if step % 4096 == 0:
            pairs = rng.integers(0, d, (4096, 2)).tolist()
            log_u, coin = np.log(rng.random(4096)).tolist(), (rng.random(4096) < 0.5).tolist()
        (i, j), c = pairs[step % 4096], step % 4096
        if step >= steps // 5 and step % 50 == 0:
            count += 1
            for b in range(d):
                for a in range(d):
                    total[a, b] += parents[b] >> a & 1
        if i == j or parents[i] >> j & 1:
            continue
        has = parents[j] >> i & 1
        new = {j: parents[j] ^ 1 << i}
        if not has and (not coin[c] or leads_to(parents, j, i)):
            continue
        if has and coin[c]:
            old, parents[j] = parents[j], new[j]
            cycle, parents[j] = leads_to(parents, i, j), old
            if cycle:
                continue
            new[i] = parents[i] | 1 << j
        if log_u[c] < sum(score(k, m) - score(k, parents[k]) for k, m in new.items()):
            for k, m in new.items():
                parents[k] = m
    return total / count


def fit(method, data, edges, seconds):
    name, _, resamples = method.partition(":")
    x = standardised(data)
    start = time.process_time()
    run = {"pc": pc, "ges": ges}.get(name)
    if name == "mcmc":
        e = mcmc(x, int(resamples))
    elif resamples:
        rng = np.random.default_rng(1)
        rows = [rng.integers(0, len(x), len(x)) for _ in range(int(resamples))]
        e = np.mean([run(x[r]) for r in rows], axis=0)
    else:
        e = run(x)
    np.save(edges, e)
    with open(seconds, "w", encoding="utf-8") as f:
        f.write(f"{time.process_time() - start:.2f}\n")


# ---- metrics, as src/metrics/dag_truth.h defines them ----


def matrix(path):
    with open(path, encoding="utf-8") as f:
        rows = list(csv.reader(f))[1:]
    return np.array([[float(v) for v in r[1:]] for r in rows])


def edge_probabilities(path, data):
    with open(data, encoding="utf-8") as f:
        names = next(csv.reader(f))
    e = np.zeros((len(names), len(names)))
    with open(path, encoding="utf-8") as f:
        for row in csv.DictReader(f):
            e[names.index(row["from"]), names.index(row["to"])] = float(row["probability"])
    return e


def expected_shd(e, truth):
    none = 1 - e - e.T
    right = np.where(truth == 1, e, np.where(truth.T == 1, e.T, none))
    return float(np.sum(np.triu(1 - right, 1)))


def auroc(e, truth):
    off = ~np.eye(len(e), dtype=bool)
    good, bad = e[off & (truth == 1)], e[off & (truth != 1)]
    above = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    return float(above)


def summary(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    value = lambda word: float(text.split(word)[1].split()[0])
    return {w: value(w) for w in ("expected SHD", "AUROC", "at least", "about", "correlation")}


# ---- the table ----

NAMES = {
    "fluvial": "`fluvial structure` (prior uniform)",
    "fluvial_fair": "`fluvial structure --prior fair`",
    "pc": f"PC, Fisher's z, level {ALPHA}",
    "ges": "GES, BIC",
    "mcmc": "structure MCMC on the same score",
}


def name_of(method):
    name, _, resamples = method.partition(":")
    if name == "mcmc":
        return f"{NAMES[name]}, {int(resamples):,} steps"
    return f"{NAMES[name]}, mean of {resamples} bootstrap samples" if resamples else NAMES[name]


def measure(runs, method, seed):
    data = f"{runs}/data-s{seed}"
    truth = matrix(f"{data}/graph.csv")
    out = f"{runs}/{method.replace(':', '_')}-s{seed}"
    with open(f"{out}.seconds", encoding="utf-8") as f:
        seconds = float(f.read().split()[0])
    more = {"elbo": math.nan, "log_z": math.nan, "correlation": math.nan}
    if method.startswith("fluvial"):
        e = edge_probabilities(f"{out}/report/edges.csv", f"{data}/data.csv")
        said = summary(f"{out}/report/summary.txt")
        if abs(said["AUROC"] - auroc(e, truth)) > 1e-3 or abs(said["expected SHD"] - expected_shd(e, truth)) > 1e-2:
            sys.exit(f"{out}: the summary's metrics are not those of edges.csv")
        more = {"elbo": said["at least"], "log_z": said["about"], "correlation": said["correlation"]}
    else:
        e = np.load(f"{out}.npy")
    return {
        "method": method,
        "seed": seed,
        "true_edges": int(truth.sum()),
        "expected_edges": float(e.sum()),
        "expected_shd": expected_shd(e, truth),
        "auroc": auroc(e, truth),
        "seconds": seconds,
        **more,
    }


def spread(values, form):
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(runs, seeds, methods):
    rows = [measure(runs, m, s) for m in methods for s in seeds]
    os.makedirs("docs/paper", exist_ok=True)
    with open("docs/paper/structure_20.csv", "w", encoding="utf-8", newline="") as f:
        out = csv.DictWriter(f, fieldnames=list(rows[0]), lineterminator="\n")
        out.writeheader()
        for r in rows:
            out.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()})
    with open(os.path.join(os.path.dirname(__file__), "structure_baseline_head.md.in"), encoding="utf-8") as f:
        text = f.read()
    truths = [r["true_edges"] for r in rows if r["method"] == methods[0]]
    text = text.replace("@SEEDS@", " ".join(seeds)).replace("@EDGES@", ", ".join(map(str, truths)))
    text += "| | expected SHD | AUROC | expected edges | CPU seconds |\n|---|---|---|---|---|\n"
    for method in methods:
        of = [r for r in rows if r["method"] == method]
        cells = [spread([r[k] for r in of], f) for k, f in
                 (("expected_shd", ".1f"), ("auroc", ".3f"), ("expected_edges", ".1f"), ("seconds", ".0f"))]
        text += f"| {name_of(method)} | " + " | ".join(cells) + " |\n"
    with open("docs/paper/structure_20.md", "w", encoding="utf-8") as f:
        f.write(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1] == "fit":
        fit(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] == "table":
        table(sys.argv[2], sys.argv[3].split(), sys.argv[4].split())
    else:
        sys.exit(__doc__)
