#!/usr/bin/env python3
"""Bayesian structure learning on 20 variables beside PC and GES (tools/structure_baseline.sh has the usage).

  structure_baseline.py fit METHOD DATA.csv EDGES.npy SECONDS.txt
  structure_baseline.py table RUNS "SEEDS" "METHODS"      writes docs/paper/structure_20.csv and .md

METHOD is pc or ges, with a number of bootstrap samples after a colon: without it, one fit to the data. A table also
takes fluvial, and fluvial_fair with that prior.
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


def fit(method, data, edges, seconds):
    name, _, resamples = method.partition(":")
    run = {"pc": pc, "ges": ges}[name]
    x = standardised(data)
    start = time.process_time()
    if resamples:
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
}


def name_of(method):
    name, _, resamples = method.partition(":")
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
    with open(os.path.join(os.path.dirname(__file__), "structure_baseline_head.md"), encoding="utf-8") as f:
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
