#!/usr/bin/env python3
"""Makes docs/race.md and its pictures from results.csv of race.py, and from scenarios.json. Standard library only;
pictures by gnuplot, if it is there."""
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from race import HERE, PROGRAMS, ROOT, Results as Rows

PEERS = PROGRAMS[1:]


class Results(Rows):
    """What the page asks of the rows."""

    def numbers(self, item, **wanted):
        return [float(row['value']) for row in self.find(item, **wanted)]

    def text(self, item, **wanted):
        found = self.find(item, **wanted)
        return found[0]['value'] if found else ''

    def values(self, key, item, **wanted):
        return sorted({row[key] for row in self.find(item, **wanted)}, key=lambda v: (len(v), v))


def short(x):
    """Three digits, without an exponent."""
    if x >= 100:
        return f'{x:.0f}'
    return f'{x:.{max(0, 2 - math.floor(math.log10(x)))}f}' if x > 0 else '0'


def mean_ratio(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def milliseconds(results, scenario, batch, threads):
    """By program: median over its turns of a turn's median; the spread of turns."""
    found = {}
    for program in PROGRAMS:
        turns = results.numbers('ms', scenario=scenario, batch=batch, threads=threads, program=program)
        if turns:
            found[program] = statistics.median(turns), min(turns), max(turns)
    return found


def speed_table(results, scenarios, threads):
    yield '| scenario | batch | fluvial | gfnx | torchgfn | gfnx / fluvial | torchgfn / fluvial |'
    yield '|---|---|---|---|---|---|---|'
    for scenario in scenarios:
        for batch in scenario['batches']:
            ms = milliseconds(results, scenario['name'], batch, threads)
            if not ms:
                continue
            cells = [short(ms[p][0]) if p in ms else '-' for p in PROGRAMS]
            ratios = [short(ms[p][0] / ms['fluvial'][0]) if p in ms and 'fluvial' in ms else '-' for p in PEERS]
            yield f'| {scenario["title"]} | {batch} | ' + ' | '.join(cells + ratios) + ' |'


def ratios(results, scenarios, threads, peer):
    for scenario in scenarios:
        for batch in scenario['batches']:
            ms = milliseconds(results, scenario['name'], batch, threads)
            if 'fluvial' in ms and peer in ms:
                yield ms[peer][0] / ms['fluvial'][0]


def summary(results, scenarios, all_threads):
    yield '| threads | against | settings | geometric mean | smallest | largest |'
    yield '|---|---|---|---|---|---|'
    for threads in all_threads:
        for peer in PEERS:
            found = list(ratios(results, scenarios, threads, peer))
            if found:
                yield (f'| {threads} | {peer} | {len(found)} | {short(mean_ratio(found))} | {short(min(found))} | '
                       f'{short(max(found))} |')


# ---- quality

def curve(results, scenario, program, seed):
    """(iteration, seconds of training, divergence) along a run, and why it ended."""
    where = {'scenario': scenario, 'program': program, 'seed': seed}
    seconds = {row['at']: float(row['value']) for row in results.find('curve_s', **where)}
    points = [(int(row['at']), seconds[row['at']], float(row['value'])) for row in results.find('curve_jsd', **where)]
    return sorted(points), results.text('curve_end', **where)


def reached(points, level):
    """Iteration and seconds from which on the divergence stays below."""
    found = None
    for n, seconds, jsd in points:
        found = None if jsd >= level else found or (n, seconds)
    return found


def quality_rows(results, scenario, level):
    for program in PROGRAMS:
        runs = [curve(results, scenario['name'], program, seed)[0]
                for seed in results.values('seed', 'curve_end', scenario=scenario['name'], program=program)]
        if not runs:
            continue
        hits = [hit for hit in (reached(points, level) for points in runs) if hit]
        cells = [program, f'{level:g}', f'{len(hits)} of {len(runs)}']
        if hits:
            for k in (1, 0):
                values = [hit[k] for hit in hits]
                cells.append(f'{short(statistics.median(values))} ({short(min(values))} to {short(max(values))})')
        else:
            last = [points[-1] for points in runs]
            cells += [f'not in {short(max(p[1] for p in last))}', f'not in {max(p[0] for p in last)}']
        yield '| ' + ' | '.join(cells) + ' |'


def same_iterations(results, scenario):
    """Divergences of all programs after the same iterations: medians over seeds."""
    runs = {p: [dict((n, jsd) for n, _, jsd in curve(results, scenario['name'], p, seed)[0])
                for seed in results.values('seed', 'curve_end', scenario=scenario['name'], program=p)]
            for p in PROGRAMS}
    runs = {p: r for p, r in runs.items() if r}
    common = set.intersection(*(set(run) for r in runs.values() for run in r)) if runs else set()
    common = sorted(common)
    if not common:
        return
    at = sorted({common[round(k * (len(common) - 1) / 5)] for k in range(6)})
    yield '| iterations | ' + ' | '.join(runs) + ' |'
    yield '|---|' + '---|' * len(runs)
    for n in at:
        cells = []
        for r in runs.values():
            values = sorted(run[n] for run in r)
            spread = f' ({values[0]:.2g} to {values[-1]:.2g})' if len(values) > 1 else ''
            cells.append(f'{statistics.median(values):.3g}{spread}')
        yield f'| {n} | ' + ' | '.join(cells) + ' |'


def gnuplot(script, folder):
    if not shutil.which('gnuplot'):
        return False
    (folder / 'plot.gp').write_text(script)
    return subprocess.run(['gnuplot', 'plot.gp'], cwd=folder).returncode == 0


def quality_picture(results, scenario, path):
    """Curves of every seed over iterations, and over seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plots = {1: [], 2: []}
        for color, program in enumerate(PROGRAMS, 1):
            for k, seed in enumerate(results.values('seed', 'curve_end', scenario=scenario['name'], program=program)):
                points, _ = curve(results, scenario['name'], program, seed)
                file = f'{program}-{seed}.dat'
                (folder / file).write_text(''.join(f'{n} {s} {jsd}\n' for n, s, jsd in points))
                title = f'title "{program}"' if k == 0 else 'notitle'
                for x in plots:
                    plots[x].append(f'"{file}" using {x}:3 with linespoints pt 7 ps 0.3 lc {color} {title}')
        if not plots[1]:
            return False
        return gnuplot('\n'.join([
            f'set terminal pngcairo size 1000,400 font ",10"\nset output "{path}"',
            'set multiplot layout 1,2\nset logscale xy\nset format y "10^{%L}"\nset grid',
            'set key bottom left', 'set ylabel "exact JSD (nats)"', 'set xlabel "iterations"',
            'plot ' + ', '.join(plots[1]), 'set format x "10^{%L}"\nset xlabel "seconds of training"', 'unset key',
            'plot ' + ', '.join(plots[2]), 'unset multiplot']), folder)


def speed_picture(results, scenarios, threads, path):
    with tempfile.TemporaryDirectory() as name:
        folder, lines = pathlib.Path(name), []
        for scenario in scenarios:
            for batch in scenario['batches']:
                ms = milliseconds(results, scenario['name'], batch, threads)
                if ms:
                    cells = [f'{ms[p][0]:.6g}' if p in ms else 'NaN' for p in PROGRAMS]
                    lines.append(f'"{scenario["name"].replace("_", " ")}, {batch}" ' + ' '.join(cells))
        (folder / 'ms.dat').write_text('\n'.join(lines) + '\n')
        plots = ', '.join(f'"ms.dat" using {k + 2}:xtic(1) title "{p}" lc {k + 1}' for k, p in enumerate(PROGRAMS))
        return gnuplot('\n'.join([
            f'set terminal pngcairo size 1000,500 font ",10"\nset output "{path}"',
            'set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.8 noborder',
            'set logscale y\nset yrange [0.05:*]\nset grid ytics\nset xtics rotate by -40\nset key top left',
            f'set ylabel "milliseconds per iteration, {threads} thread{"s" if threads != "1" else ""}"',
            'plot ' + plots]), folder)


# ---- the page

def parameters_table(results, scenarios):
    yield '| scenario | parameters: fluvial | gfnx | torchgfn | log R differs by at most | seconds to compile (gfnx) | ' \
          'peak memory, MB: fluvial | gfnx | torchgfn |'
    yield '|---|---|---|---|---|---|---|---|---|'
    for scenario in scenarios:
        name = scenario['name']
        cells = [results.text('parameters', scenario=name, program=p) or '-' for p in PROGRAMS]
        differences = results.numbers('log_r_difference', scenario=name)
        cells.append(f'{max(differences):.1e}' if differences else '-')
        compiled = results.numbers('compile_s', scenario=name, program='gfnx')
        cells.append(f'{min(compiled):.1f} to {max(compiled):.1f}' if compiled else '-')
        for program in PROGRAMS:
            memory = results.numbers('peak_mb', scenario=name, program=program)
            cells.append(f'{max(memory):.0f}' if memory else '-')
        yield f'| {scenario["title"]} | ' + ' | '.join(cells) + ' |'


def quality(results, scenarios, pictures):
    for scenario in scenarios:
        if 'quality' not in scenario or not results.find('curve_end', scenario=scenario['name']):
            continue
        yield f'### {scenario["title"]}'
        yield ''
        yield '| program | JSD stays below | seeds | seconds | iterations |'
        yield '|---|---|---|---|---|'
        for level in scenario['quality']['until']:
            yield from quality_rows(results, scenario, level)
        yield ''
        yield 'Divergences after the same iterations (median over seeds, and their range):'
        yield ''
        yield from same_iterations(results, scenario)
        yield ''
        picture = pictures / f'race_{scenario["name"].replace("^", "_")}.png'
        if quality_picture(results, scenario, picture):
            yield f'![JSD over iterations and seconds](pictures/{picture.name})'
            yield ''


def page(results, scenarios, pictures):
    all_threads = results.values('threads', 'ms')
    turns = results.values('value', 'done')
    loads = results.numbers('load')
    fill = {
        '@MACHINE@': results.text('machine'), '@DATE@': results.text('date'), '@TURNS@': ' or '.join(turns),
        '@LOAD@': f'{statistics.median(loads):.1f} (at most {max(loads):.1f})' if loads else 'not known',
        '@VERSIONS@': ', '.join(f'{row["at"]} {row["value"]}' for row in sorted(
            {(r['at'], r['value']): r for r in results.find('version')}.values(), key=lambda r: r['at'])),
        '@SUMMARY@': '\n'.join(summary(results, scenarios, all_threads)),
        '@SPEED@': '\n\n'.join(f'{t} thread{"s" if t != "1" else ""}:\n\n' + '\n'.join(speed_table(results, scenarios, t))
                               for t in all_threads),
        '@QUALITY@': '\n'.join(quality(results, scenarios, pictures)).rstrip(),
        '@PARITY@': '\n'.join(parameters_table(results, scenarios)),
        '@MISSING@': '\n'.join(f'- {row["scenario"]} without {row["program"]}: {row["value"]}.'
                               for row in results.find('missing')) or '- nothing.',
        '@DIFFER@': '\n'.join(f'- {s["title"]}: {s["parameters_differ"]}.'
                              for s in scenarios if 'parameters_differ' in s),
        '@PICTURE@': '',
        '@QUICK@': '**A quick look only: some of it was measured with `--quick`; it is no result.** ' if results.find('quick') else '',
    }
    picture = pictures / 'race.png'
    if all_threads and speed_picture(results, scenarios, all_threads[-1], picture):
        fill['@PICTURE@'] = f'![milliseconds per iteration](pictures/{picture.name})'
    text = (HERE / 'race.md.in').read_text(encoding='utf-8')
    for key, value in fill.items():
        text = text.replace(key, value)
    return text


def main():
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / 'results.csv'
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / 'docs'
    if not source.exists():
        sys.exit(f'report: {source} is not there')
    results = Results(source)
    scenarios = json.loads((HERE / 'scenarios.json').read_text(encoding='utf-8'))
    (folder / 'pictures').mkdir(parents=True, exist_ok=True)
    (folder / 'race.md').write_text(page(results, scenarios, (folder / 'pictures').resolve()), encoding='utf-8')
    print(folder / 'race.md')


if __name__ == '__main__':
    main()
