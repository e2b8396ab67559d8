#!/usr/bin/env python3
"""A reward for molecules as a program (reward: molecule_program): SMILES in, numbers out, a line each.

    python3 examples/molecules/reward.py [SIZE]

The score is made up from the text alone, to show how it is done, and means nothing in chemistry; reward.c
computes the same from the atoms:

    R = 10 exp(-((n - size) / 6)^2) exp(-((h / n - 0.25) / 0.15)^2) (1 + min(rings, 4)) / 5

of n heavy atoms, h of them N, O or S. With RDKit it would begin with Chem.MolFromSmiles(smiles).
"""
import math
import re
import sys

ATOM = re.compile(r'\[([A-Z][a-z]?|[a-z])[^\]]*\]|Br|Cl|[BCNOPSFI]|[bcnops]')
RING = re.compile(r'%\d\d|\d')  # each ring has two


def score(smiles, size):
    atoms = [match.group(1) or match.group() for match in ATOM.finditer(smiles)]
    n, hetero = len(atoms), sum(atom.upper() in ('N', 'O', 'S') for atom in atoms)
    rings = len(RING.findall(ATOM.sub('', smiles))) // 2
    return (10 * math.exp(-((n - size) / 6) ** 2) * math.exp(-((hetero / n - 0.25) / 0.15) ** 2)
            * (1 + min(rings, 4)) / 5)


def main():
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    for line in sys.stdin:
        print(score(line.strip(), size), flush=True)


if __name__ == '__main__':
    main()
