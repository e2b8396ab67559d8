#!/usr/bin/env python3
"""Compares similarities of fluvial's fingerprints with RDKit's Morgan fingerprints of radius 2 and 2048 bits.

usage: check_fingerprints.py VOCABULARY [N] [SEED]
Needs build/bench/molecules and RDKit (pip install rdkit; an optional check, never needed at run time). Draws N (2000)
random molecules, and 20 N pairs of them, half at random, half among the 40 that are most like a molecule by RDKit;
reports the rank correlation of the two Tanimoto similarities, the largest difference, and how often the two disagree
about a threshold of 0.7. Exits with 1 when the rank correlation over all pairs is below 0.98.
"""
import pathlib
import random
import subprocess
import sys

from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

ROOT = pathlib.Path(__file__).resolve().parent.parent
BITS = 2048


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for k in range(at, end):
            out[order[k]] = 0.5 * (at + end - 1)
        at = end
    return out


def correlation(x, y):
    n = len(x)
    mx, my = sum(x) / n, sum(y) / n
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    xx, yy = sum((a - mx) ** 2 for a in x), sum((b - my) ** 2 for b in y)
    return xy / (xx * yy) ** 0.5


def main():
    if not 2 <= len(sys.argv) <= 4:
        print(__doc__, file=sys.stderr)
        return 2
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    lines = subprocess.run([ROOT / 'build' / 'bench' / 'molecules', 'fingerprint', sys.argv[1], str(n)], text=True,
                           capture_output=True, check=True).stdout.splitlines()
    table = dict(line.split('\t') for line in lines)
    texts = sorted(table)
    ours = [int(table[text], 16) for text in texts]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    theirs = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in texts]

    pairs = [tuple(rng.sample(range(len(texts)), 2)) for _ in range(10 * n)]
    for _ in range(n // 4):
        i = rng.randrange(len(texts))
        like = DataStructs.BulkTanimotoSimilarity(theirs[i], theirs)
        nearest = sorted((k for k in range(len(texts)) if k != i), key=lambda k, s=like: -s[k])[:40]
        pairs += [(i, k) for k in nearest]
    a, b = [], []
    for i, k in pairs:
        a.append((ours[i] & ours[k]).bit_count() / (ours[i] | ours[k]).bit_count())
        b.append(DataStructs.TanimotoSimilarity(theirs[i], theirs[k]))
    rank = correlation(ranks(a), ranks(b))
    difference = [abs(x - y) for x, y in zip(a, b)]
    split = sum((x < 0.7) != (y < 0.7) for x, y in zip(a, b))
    high = sum(y >= 0.7 for y in b)
    print(f'check_fingerprints: {len(texts)} molecules, {len(pairs)} pairs: rank correlation {rank:.5f}, '
          f'correlation {correlation(a, b):.5f}, mean difference {sum(difference) / len(difference):.4f}, '
          f'largest {max(difference):.3f}; {high} pairs at 0.7 or more, {split} on the other side of it')
    return 0 if rank >= 0.98 else 1


if __name__ == '__main__':
    sys.exit(main())
