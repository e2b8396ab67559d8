#!/usr/bin/env python3
"""Compares fluvial's molecules with RDKit's (pip install rdkit; an optional check, never needed at run time).

usage: check_molecules.py VOCABULARY [N] [EVALUATION]
       check_molecules.py --smiles FILE
Needs build/bench/molecules. N random molecules (2000), then those of EVALUATION (eval_mols.tsv), if given, are
assembled by both from the fragments' SMILES and compared:
  atoms: element, charge, aromatic flag, hydrogens, hybridisation; bonds: order, conjugation
  SMILES that fluvial writes: RDKit reads the same molecule
  canonical keys and canonical forms: equal exactly where RDKit's canonical SMILES are
With --smiles, the first words of the lines of FILE, freed of stereochemistry and isotopes and written anew in
random order by RDKit, are read by both; what fluvial refuses is counted by its message.
Prints what differs, and exits with 1 when anything does.
"""
import collections
import json
import pathlib
import subprocess
import sys

import rdkit
from rdkit import Chem, RDLogger

ROOT = pathlib.Path(__file__).resolve().parent.parent
HYBRIDS = {'S': 0, 'SP': 1, 'SP2': 2, 'SP3': 3, 'SP3D': 4, 'SP3D2': 5}
ORDERS = {'SINGLE': 1, 'DOUBLE': 2, 'TRIPLE': 3, 'AROMATIC': 4}


def blocks_of(vocabulary):
    """The SMILES of every block of a file in the published format, and of ours, block by block."""
    data = json.loads(pathlib.Path(vocabulary).read_text(encoding='utf-8'))
    if 'block_smi' in data:
        return [data['block_smi'][str(i)] for i in range(len(data['block_smi']))]
    blocks = []
    for entry in data['fragments']:
        rank = list(Chem.CanonicalRankAtoms(Chem.MolFromSmiles(entry['smiles']), breakTies=False))
        blocks += [entry['smiles']] * len({rank[a] for a in entry['attach']})
    return blocks


def numbers(field):
    return [[int(n) for n in item.split(',')] for item in field.split(';') if item]


def assemble(fragments, blocks, junctions):
    mol, first = None, []
    for block in blocks:
        first.append(mol.GetNumAtoms() if mol else 0)
        mol = Chem.CombineMols(mol, fragments[block]) if mol else fragments[block]
    mol = Chem.RWMol(mol)
    for b1, b2, a1, a2 in junctions:
        ends = first[b1] + a1, first[b2] + a2
        for atom in map(mol.GetAtomWithIdx, ends):
            if atom.GetNumExplicitHs():
                atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
        mol.AddBond(*ends, Chem.BondType.SINGLE)
    mol = mol.GetMol()
    Chem.SanitizeMol(mol)
    return mol


def atoms_of(mol):
    return [[a.GetAtomicNum(), a.GetFormalCharge(), int(a.GetIsAromatic()), a.GetTotalNumHs(),
             HYBRIDS[str(a.GetHybridization())]] for a in mol.GetAtoms()]


def bonds_of(mol):
    return {(min(b.GetBeginAtomIdx(), b.GetEndAtomIdx()), max(b.GetBeginAtomIdx(), b.GetEndAtomIdx())):
            (ORDERS[str(b.GetBondType())], int(b.GetIsConjugated())) for b in mol.GetBonds()}


class Comparison:
    def __init__(self, fragments):
        self.fragments = fragments
        self.molecules = self.atoms = 0
        self.wrong = dict.fromkeys(['atoms', 'bonds', 'SMILES', 'keys', 'forms'], 0)
        self.key_of, self.smiles_of, self.form_of = {}, {}, {}
        self.refused = collections.Counter()

    def fault(self, what, line, detail):
        self.wrong[what] += 1
        if self.wrong[what] <= 5:
            print(f'{what}: {line[3]}: {detail}')

    def add(self, text):
        line = text.rstrip('\n').split('\t')
        if self.fragments:
            mol = assemble(self.fragments, [int(n) for n in line[0].split(',')], numbers(line[1]))
        else:
            mol = Chem.MolFromSmiles(line[0])
        if len(line) == 2:
            self.refused[line[1].split(': ', 1)[-1]] += 1
            return
        self.molecules += 1
        self.atoms += mol.GetNumAtoms()
        ours, theirs = numbers(line[5]), atoms_of(mol)
        if ours != theirs:
            self.fault('atoms', line, [(i, a, b) for i, (a, b) in enumerate(zip(ours, theirs)) if a != b])
        bonds = {(min(a, b), max(a, b)): (o, c) for a, b, o, c in numbers(line[6])}
        if bonds != bonds_of(mol):
            self.fault('bonds', line, [(k, v, bonds_of(mol).get(k)) for k, v in bonds.items()
                                       if v != bonds_of(mol).get(k)])
        canonical = Chem.MolToSmiles(mol)
        for written in (line[3], line[7]):
            read = Chem.MolFromSmiles(written)
            if read is None or Chem.MolToSmiles(read) != canonical:
                self.fault('SMILES', line, canonical)
        key, form = line[4], line[7]
        if self.key_of.setdefault(canonical, key) != key or self.smiles_of.setdefault(key, canonical) != canonical:
            self.fault('keys', line, (canonical, self.smiles_of.get(key)))
        if self.form_of.setdefault(key, form) != form:
            self.fault('forms', line, self.form_of[key])

    def report(self, what):
        print(f'check_molecules: {what}: {self.molecules} molecules, {self.atoms} atoms, {len(self.smiles_of)} distinct;'
              + ''.join(f' {n} wrong {name},' for name, n in self.wrong.items()).rstrip(',')
              + f' (RDKit {rdkit.__version__})')
        return sum(self.wrong.values())


def random_texts(path):
    for line in pathlib.Path(path).read_text(encoding='utf-8').splitlines():
        mol = Chem.MolFromSmiles((line.replace(',', ' ').split() or [''])[0])
        if mol is None or mol.GetNumAtoms() == 0:
            continue
        Chem.RemoveStereochemistry(mol)
        for atom in mol.GetAtoms():
            atom.SetIsotope(0)
        mol = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
        if mol is not None:
            yield Chem.MolToSmiles(mol, doRandom=True)


def run(arguments, given):
    program = ROOT / 'build' / 'bench' / 'molecules'
    return subprocess.run([program, *arguments], input=given, text=True, capture_output=True,
                          check=True).stdout.splitlines()


def check_texts(path):
    comparison = Comparison(None)
    given = '\n'.join(random_texts(path)) + '\n'
    for line in run(['read', ROOT / 'examples' / 'molecules' / 'fragments.json'], given):
        comparison.add(line)
    for message, n in comparison.refused.most_common():
        print(f'refused: {n}: {message}')
    return comparison.report(path)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--smiles':
        RDLogger.DisableLog('rdApp.*')
        return 1 if check_texts(sys.argv[2]) else 0
    if not 2 <= len(sys.argv) <= 4:
        print(__doc__, file=sys.stderr)
        return 2
    RDLogger.DisableLog('rdApp.*')
    vocabulary, n = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else '2000'
    fragments = [Chem.MolFromSmiles(smiles) for smiles in blocks_of(vocabulary)]
    wrong = 0
    jobs = [('random', ['dump', vocabulary, n], None)]
    if len(sys.argv) > 3:
        with open(sys.argv[3], encoding='utf-8') as file:
            rows = [line.split('\t')[2:5] for line in file if not line.startswith('#')]
        jobs.append(('evaluation set', ['list', vocabulary], '\n'.join('\t'.join(row) for row in rows) + '\n'))
    for what, arguments, given in jobs:
        comparison = Comparison(fragments)
        for line in run(arguments, given):
            comparison.add(line)
        wrong += comparison.report(what)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
