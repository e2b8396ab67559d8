#!/usr/bin/env python3
"""Writes docs/paper/molecules.md, its results and its figure from the runs of tools/paper_molecules.sh.

usage: paper_molecules_report.py [RUNS]
Results of runs that are not there any more stay in docs/paper/molecules.csv. Needs gnuplot.
"""
import csv
import math
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent / 'docs' / 'paper'
FIELDS = ['config', 'exponent', 'rate', 'seed', 'iterations', 'seconds', 'exact', 'exact_of_8', 'legacy', 'n', 'n_of_8',
          'n_legacy', 'log_z', 'objects', 'above', 'modes', 'best', 'median']
KEY = FIELDS[:5]
LABEL = {'tb': 'TB', 'tb_unmasked': 'TB, end unmasked in training', 'rkl': 'reverse KL', 'fkl': 'forward KL',
         'db': 'detailed balance', 'subtb': 'sub-trajectory balance', 'log_variance': 'log variance'}
FIGURE = ['tb_off', 'tb_on', 'rkl_off', 'rkl_on']
SCRIPT = '''set terminal pngcairo size 1050,470 font "sans,11"
set output "molecules.png"
set multiplot layout 1,3 margins 0.06,0.985,0.12,0.74 spacing 0.055
set xlabel "reward exponent"
set xtics (4, 8, 10, 16)
set xrange [3:17]
set grid
set yrange [-0.6:1]
set xzeroaxis lc "gray" lw 2
array name[3] = ["8 blocks, exact", "all, exact", "as the released code"]
do for [k=1:3] {
  set title name[k]
  if (k == 2) {set key at screen 0.5, 0.99 center top maxrows 2 noenhanced} else {set key off}
  plot for [i=0:%d] "molecules.dat" index i using 1:k+1 with linespoints lw 2 pt 7 title columnheader(1)
}
unset multiplot
'''


def label(config):
    name, mode = config.rsplit('_', 1)
    return f'{LABEL.get(name, name)}, {mode}-policy'


def pearson(pairs):
    n = len(pairs)
    if n < 2:
        return math.nan
    a, b = (sum(pair[k] for pair in pairs) / n for k in (0, 1))
    cov = sum((x - a) * (y - b) for x, y in pairs)
    return cov / math.sqrt(sum((x - a) ** 2 for x, _ in pairs) * sum((y - b) ** 2 for _, y in pairs))


def rows_of(path):
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def result(run):
    config, exponent, rate, seed = re.fullmatch(r'(.+)-b([\d.]+)-lr(.+)-s(\d+)', run.name).groups()
    last, given = rows_of(run / 'metrics.csv')[-1], rows_of(run / 'molecules.csv')
    pairs = [(float(row['log_r']), float(row['log_p']), int(row['blocks'])) for row in given]
    large = [pair[:2] for pair in pairs if pair[2] == 8]
    legacy = [(float(row['log_r']), float(row['log_p_legacy'])) for row in given if row['log_p_legacy']]
    best = 8 * math.exp(float(last['best_log_r']) / float(exponent))  # of the reward without its exponent
    seconds = float(rows_of(run / 'timing.csv')[-1]['seconds'])
    values = [config, exponent, rate, seed, last['iteration'], f'{seconds:.0f}',
              *(f'{pearson(part):.4f}' for part in ([pair[:2] for pair in pairs], large, legacy)),
              len(pairs), len(large), len(legacy), f"{float(last['log_z']):.2f}", last['objects'], last['above'],
              last['modes'], f'{best:.2f}', f"{float(last['reward_50']):.2f}"]
    return dict(zip(FIELDS, map(str, values)))


def collect(runs):
    path, found = DOCS / 'molecules.csv', {}
    for row in rows_of(path) if path.exists() else []:
        found[tuple(row[key] for key in KEY)] = row
    for run in sorted(runs.iterdir()) if runs else []:
        if (run / 'molecules.csv').exists() and (run / 'correlation.txt').exists():
            row = result(run)
            found[tuple(row[key] for key in KEY)] = row
    rows = sorted(found.values(),
                  key=lambda row: (row['config'], float(row['exponent']), float(row['rate']), row['seed']))
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return rows


def table(rows, head, cells):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(cells(row)) + ' |' for row in rows])


def fixed(row, *keys):
    return [f'{float(row[key]):.3f}' for key in keys]


def correlations(rows):
    order = sorted(rows, key=lambda row: (FIGURE.index(row['config']), float(row['rate']), float(row['exponent'])))
    return table(order, ['objective', 'exponent', 'learning rate', '8 blocks, exact', 'all, exact', 'released code',
                         'log Z', 'seconds'],
                 lambda row: [label(row['config']), row['exponent'], row['rate'],
                              *fixed(row, 'exact_of_8', 'exact', 'legacy'), row['log_z'], row['seconds']])


def diversity(rows):
    order = sorted(rows, key=lambda row: (float(row['exponent']), -int(row['modes']), row['config']))
    return table(order, ['objective', 'exponent', 'learning rate', 'modes', 'above 7', 'distinct molecules', 'best',
                         'median of the last 1000'],
                 lambda row: [label(row['config']), row['exponent'], row['rate'], f"**{row['modes']}**", row['above'],
                              f"{int(row['objects']):,}", row['best'], row['median']])


# A line for every configuration and learning rate of which all exponents are there.
def figure(rows):
    lines = {}
    for row in rows:
        lines.setdefault((row['config'], row['rate']), []).append(row)
    most = max(len(line) for line in lines.values())
    lines = {key: line for key, line in lines.items() if len(line) == most}
    with open(DOCS / 'molecules.dat', 'w', encoding='utf-8') as file:
        for config, rate in sorted(lines, key=lambda key: (FIGURE.index(key[0]), float(key[1]))):
            print(f'"{label(config)}, {rate}" "8 blocks" all legacy', file=file)
            for row in lines[config, rate]:
                print(row['exponent'], row['exact_of_8'], row['exact'], row['legacy'], file=file)
            print('\n', file=file)
    (DOCS / 'molecules.gp').write_text(SCRIPT % (len(lines) - 1), encoding='utf-8')
    subprocess.run(['gnuplot', 'molecules.gp'], cwd=DOCS, check=True)


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__)
    rows = collect(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    longest = max(int(row['iterations']) for row in rows)
    of_figure = [row for row in rows if row['config'] in FIGURE and int(row['iterations']) == longest]
    figure(of_figure)
    head = (HERE / 'paper_molecules_head.md.in').read_text(encoding='utf-8')
    text = head.replace('@ITERATIONS@', f'{longest:,}').replace('@TRAJECTORIES@', f'{4 * longest:,}')
    text = text.replace('@CORRELATIONS@', correlations(of_figure))
    text = text.replace('@DIVERSITY@', diversity([row for row in rows if int(row['iterations']) == longest]))
    (DOCS / 'molecules.md').write_text(text, encoding='utf-8')
    print(DOCS / 'molecules.md')


if __name__ == '__main__':
    main()
