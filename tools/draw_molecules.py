#!/usr/bin/env python3
"""A picture of the molecules in a csv that has a column `smiles`, with RDKit (pip install rdkit; for drawing only).

usage: draw_molecules.py FILE.csv [--out FILE.png] [-n N] [--columns K]
FILE.csv is RUN/best.csv, RUN/diverse.csv, or what `fluvial sample` writes; the first N molecules (24) are drawn, K (6)
in a row, with their rewards below. The picture is a .png or a .svg; without --out it lies beside the csv.
"""
import argparse
import csv
import pathlib
import sys


def rows_of(path, n):
    with open(path, encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        if 'smiles' not in (reader.fieldnames or []):
            raise ValueError(f'{path}: no column smiles, which best.csv, diverse.csv and samples of molecules have')
        rows = [row for _, row in zip(range(n), reader)]
    if not rows:
        raise ValueError(f'{path}: no molecules in it')
    return rows


def legend(rank, row):
    text = f'{rank}'
    if row.get('reward'):
        text += f':  {float(row["reward"]):.3g}'
    if row.get('nearest') and rank > 1:
        text += f'  (similarity {float(row["nearest"]):.2f})'
    return text


def draw(rows, columns, out):
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D
    molecules = [Chem.MolFromSmiles(row['smiles']) for row in rows]
    for row, molecule in zip(rows, molecules):
        if molecule is None:
            raise ValueError(f'RDKit cannot read {row["smiles"]}')
    lines = -(-len(rows) // columns)
    width, height = 260, 230
    kind = rdMolDraw2D.MolDraw2DSVG if out.suffix == '.svg' else rdMolDraw2D.MolDraw2DCairo
    sheet = kind(width * columns, height * lines, width, height)
    sheet.DrawMolecules(molecules, legends=[legend(i + 1, row) for i, row in enumerate(rows)])
    sheet.FinishDrawing()
    text = sheet.GetDrawingText()
    out.write_bytes(text.encode() if isinstance(text, str) else text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('csv', type=pathlib.Path)
    parser.add_argument('--out', type=pathlib.Path)
    parser.add_argument('-n', type=int, default=24)
    parser.add_argument('--columns', type=int, default=6)
    given = parser.parse_args()
    out = given.out or given.csv.with_suffix('.png')
    if out.suffix not in ('.png', '.svg') or given.n < 1 or given.columns < 1:
        parser.error('expected a .png or .svg, and at least one molecule and column')
    try:
        rows = rows_of(given.csv, given.n)
        draw(rows, min(given.columns, len(rows)), out)
    except ImportError:
        print('draw_molecules: RDKit is needed for drawing: pip install rdkit', file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f'draw_molecules: {error}', file=sys.stderr)
        return 1
    print(out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
