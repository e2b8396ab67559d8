#!/usr/bin/env python3
"""Makes docs/race.md, its pictures and the parts between <!-- race: begin --> and <!-- race: end --> of README.md and
docs/performance.md from results.csv of race.py, and from scenarios.json. Standard library only; pictures by gnuplot, if
it is there."""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap

from quality import PEERS, curves, mean_ratio, sections, short
from race import HERE, PROGRAMS, ROOT, Results as Rows


class Results(Rows):
    """What the page asks of the rows."""

    def numbers(self, item, **wanted):
        return [float(row['value']) for row in self.find(item, **wanted)]

    def text(self, item, **wanted):
        found = self.find(item, **wanted)
        return found[0]['value'] if found else ''

    def values(self, key, item, **wanted):
        return sorted({row[key] for row in self.find(item, **wanted)}, key=lambda v: (len(v), v))


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
    yield '| threads | against | settings | geometric mean | smallest | largest | at the floor: geometric mean | smallest |'
    yield '|---|---|---|---|---|---|---|---|'
    for threads in all_threads:
        for peer in PEERS:
            found = list(ratios(results, scenarios, threads, peer))
            most = list(bounds(results, scenarios, threads, peer))
            cells = [short(f(most)) for f in (mean_ratio, min)] if most else ['-', '-']
            if found:
                cells = [str(len(found))] + [short(f(found)) for f in (mean_ratio, min, max)] + cells
                yield f'| {threads} | {peer} | ' + ' | '.join(cells) + ' |'


# ---- the floor, and where the time goes

def floor(results, scenario, batch, threads):
    """Of fluvial: distinct rows, milliseconds of the floor, medians over turns; None where it was not measured."""
    where = {'scenario': scenario, 'batch': batch, 'threads': threads, 'program': 'fluvial'}
    floors, rows = results.numbers('floor_ms', **where), results.numbers('distinct_rows', **where)
    return (statistics.median(rows), statistics.median(floors)) if floors and rows else None


def settings(scenarios):
    return [(scenario, batch) for scenario in scenarios for batch in scenario['batches']]


def floor_table(results, scenarios, threads):
    yield '| scenario | batch | distinct states | floor, ms | fluvial, ms | of its floor | gfnx / floor | torchgfn / floor |'
    yield '|---|---|---|---|---|---|---|---|'
    for scenario, batch in settings(scenarios):
        ms, least = (of(results, scenario['name'], batch, threads) for of in (milliseconds, floor))
        if not least or 'fluvial' not in ms:
            continue
        cells = [f'{least[0]:.0f}', short(least[1]), short(ms['fluvial'][0]), f'{100 * least[1] / ms["fluvial"][0]:.0f} %']
        cells += [short(ms[p][0] / least[1]) if p in ms else '-' for p in PEERS]
        yield f'| {scenario["title"]} | {batch} | ' + ' | '.join(cells) + ' |'


def bounds(results, scenarios, threads, peer):
    """The ratios that a program at fluvial's floor would have."""
    for scenario, batch in settings(scenarios):
        ms, least = (of(results, scenario['name'], batch, threads) for of in (milliseconds, floor))
        if least and peer in ms and 'fluvial' in ms:
            yield ms[peer][0] / least[1]


PARTS = {'products: sampling': ['products_sampling'], 'forward': ['products_forward'], 'backward': ['products_backward'],
         'other layers': ['layers_sampling', 'layers_forward', 'layers_backward'], 'sampling': ['sampling'],
         'objective': ['scores'], 'optimiser': ['optimiser']}


def profile_table(results, scenarios, threads, batches):
    """batches: of a scenario, those with a line each."""
    yield '| scenario | batch | ' + ' | '.join(PARTS) + ' |'
    yield '|---|---|' + '---|' * len(PARTS)
    for scenario in scenarios:
        for batch in batches(scenario):
            where = {'scenario': scenario['name'], 'batch': batch, 'threads': threads, 'program': 'fluvial'}
            if not results.find('share_sampling', **where):
                continue
            shares = [sum(results.numbers(f'share_{part}', **where)[0] for part in parts) for parts in PARTS.values()]
            yield f'| {scenario["title"]} | {batch} | ' + ' | '.join(f'{100 * x:.0f} %' for x in shares) + ' |'


# ---- pictures

def gnuplot(script, folder):
    if not shutil.which('gnuplot'):
        return False
    (folder / 'plot.gp').write_text(script)
    return subprocess.run(['gnuplot', 'plot.gp'], cwd=folder).returncode == 0


def picture_name(scenario):
    return f'race_{scenario["name"].replace("^", "_")}.png'


def quality_picture(results, scenario, path):
    """Curves of all programs and seeds, over iterations and over seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plots = {1: [], 2: []}
        for program, runs in curves(results, scenario['name']).items():
            for k, (seed, points) in enumerate(runs.items()):
                file = f'{program}-{seed}.dat'
                (folder / file).write_text(''.join(f'{n} {s} {jsd}\n' for n, s, jsd in points))
                title = f'title "{program}"' if k == 0 else 'notitle'
                for x in plots:
                    plots[x].append(f'"{file}" using {x}:3 with linespoints pt 7 ps 0.3 '
                                    f'lc {PROGRAMS.index(program) + 1} {title}')
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


def threads_text(threads):
    return f'{threads} thread{"s" if threads != "1" else ""}'


def by_threads(table, all_threads):
    """A table for each number of threads, under its name."""
    made = {t: list(table(t)) for t in all_threads}
    return '\n\n'.join(f'{threads_text(t)}:\n\n' + '\n'.join(lines) for t, lines in made.items() if len(lines) > 2)


NOT_MEASURED = 'Not measured: these results have no profile.'


def quick(results):
    return '**A quick look only: some of it was measured with `--quick`; it is no result.** ' if results.find('quick') else ''


def page(results, scenarios):
    all_threads = results.values('threads', 'ms')
    turns = results.values('value', 'done')
    loads = results.numbers('load')
    fill = {
        '@MACHINE@': results.text('machine'), '@DATE@': results.text('date'), '@TURNS@': ' or '.join(turns),
        '@LOAD@': f'{statistics.median(loads):.1f} (at most {max(loads):.1f})' if loads else 'not known',
        '@VERSIONS@': ', '.join(f'{row["at"]} {row["value"]}' for row in sorted(
            {(r['at'], r['value']): r for r in results.find('version')}.values(), key=lambda r: r['at'])),
        '@SUMMARY@': '\n'.join(summary(results, scenarios, all_threads)),
        '@SPEED@': by_threads(lambda t: speed_table(results, scenarios, t), all_threads),
        '@FLOOR@': by_threads(lambda t: floor_table(results, scenarios, t), all_threads) or NOT_MEASURED,
        '@PROFILE@': by_threads(lambda t: profile_table(results, scenarios, t, lambda s: s['batches']),
                                all_threads[:1]) or NOT_MEASURED,
        '@QUALITY@': sections(results, scenarios, lambda s: f'pictures/{picture_name(s)}'),
        '@PARITY@': '\n'.join(parameters_table(results, scenarios)),
        '@MISSING@': '\n'.join(f'- {row["scenario"]} without {row["program"]}: {row["value"]}.'
                               for row in results.find('missing')) or '- nothing.',
        '@DIFFER@': '\n'.join(f'- {s["title"]}: {s["parameters_differ"]}.'
                              for s in scenarios if 'parameters_differ' in s),
        '@PICTURE@': '![milliseconds per iteration](pictures/race.png)' if all_threads else '',
        '@QUICK@': quick(results),
    }
    text = (HERE / 'race.md.in').read_text(encoding='utf-8')
    for key, value in fill.items():
        text = text.replace(key, value)
    return text


def spread(values, form=short):
    values = sorted(values)
    return form(values[0]) if len(values) == 1 else f'{form(values[0])} to {form(values[-1])}'


def ratio_cell(found):
    if not found:
        return '-'
    return short(found[0]) if len(found) == 1 else f'{short(mean_ratio(found))} ({spread(found)})'


def readme_rows(results, scenarios, all_threads):
    yield '| scenario | batch | ' + ' | '.join(f'{what}, {threads_text(t)}' for t in all_threads
                                               for what in ('fluvial, ms', 'gfnx / fluvial', 'torchgfn / fluvial')) + ' |'
    yield '|---|---|' + '---|---|---|' * len(all_threads)
    for scenario in scenarios:
        cells, batches = [], set()
        for threads in all_threads:
            ms = {b: milliseconds(results, scenario['name'], b, threads) for b in scenario['batches']}
            ours = {b: of['fluvial'][0] for b, of in ms.items() if 'fluvial' in of}
            batches |= set(ours)
            cells.append(spread(ours.values()) if ours else '-')
            cells += [ratio_cell([ms[b][p][0] / ours[b] for b in ours if p in ms[b]]) for p in PEERS]
        if batches:
            yield f'| {scenario["title"]} | {spread(batches, str)} | ' + ' | '.join(cells) + ' |'


def readme_block(results, scenarios):
    """Each scenario in a line, and in a sentence what comes of all of them."""
    all_threads = results.values('threads', 'ms')
    yield textwrap.fill(f'{quick(results)}{results.text("machine")}; {results.text("date")}; `make race`. Milliseconds of an '
                        'iteration, and how many times longer the others take for theirs (of several batches the geometric '
                        'mean, and the range):', 118)
    yield ''
    yield from readme_rows(results, scenarios, all_threads)
    yield ''
    for threads in all_threads:
        for peer in PEERS:
            found = list(ratios(results, scenarios, threads, peer))
            most = list(bounds(results, scenarios, threads, peer))
            if found:
                bound = f'; at [the floor](docs/race.md#the-floor) {short(mean_ratio(most))}' if most else ''
                yield (f'- {threads_text(threads)}, {len(found)} setting{"s" * (len(found) > 1)}: {peer} takes '
                       f'{short(mean_ratio(found))} times as long (geometric mean; {short(min(found))} at least){bound}.')


def performance_block(results, scenarios):
    """Of each scenario the middle one of the batches that were measured, on the smallest number of threads."""
    threads = results.values('threads', 'ms')[:1]

    def middle(scenario):
        there = [b for b in scenario['batches'] if milliseconds(results, scenario['name'], b, threads[0])]
        return there[len(there) // 2:][:1]

    yield textwrap.fill(f'{quick(results)}{results.text("machine")}; {results.text("date")}.', 118)
    yield ''
    yield by_threads(lambda t: profile_table(results, scenarios, t, middle), threads) or NOT_MEASURED


BEGIN, END = '<!-- race: begin -->', '<!-- race: end -->'


def between(path, lines):
    """The file's text with these lines between its marks."""
    text = path.read_text(encoding='utf-8')
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f'report: {path} needs one {BEGIN} and one {END}')
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return before + BEGIN + '\n' + '\n'.join(lines).rstrip() + '\n' + END + after


def texts(results, scenarios, root):
    """By file: what it should say."""
    return {root / 'docs/race.md': page(results, scenarios),
            root / 'docs/performance.md': between(root / 'docs/performance.md', performance_block(results, scenarios)),
            root / 'README.md': between(root / 'README.md', readme_block(results, scenarios))}


def pictures(results, scenarios, folder):
    all_threads = results.values('threads', 'ms')
    drawn = [speed_picture(results, scenarios, all_threads[-1], folder / 'race.png')] if all_threads else []
    drawn += [quality_picture(results, s, folder / picture_name(s)) for s in scenarios if curves(results, s['name'])]
    if not all(drawn):
        print('report: without pictures: gnuplot is missing or failed', file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('results', nargs='?', type=pathlib.Path, default=HERE / 'results.csv')
    parser.add_argument('--check', action='store_true', help='write nothing; fail when a file is not what this makes')
    parser.add_argument('--root', type=pathlib.Path, default=ROOT, help='of the tree whose files are made')
    options = parser.parse_args()
    if not options.results.exists():
        sys.exit(f'report: {options.results} is not there')
    results = Results(options.results)
    scenarios = json.loads((HERE / 'scenarios.json').read_text(encoding='utf-8'))
    made = texts(results, scenarios, options.root)
    if options.check:
        old = [str(path) for path, text in made.items() if path.read_text(encoding='utf-8') != text]
        sys.exit(f'report: run bench/race/report.py: {", ".join(old)}' if old else 0)
    (options.root / 'docs/pictures').mkdir(exist_ok=True)
    pictures(results, scenarios, (options.root / 'docs/pictures').resolve())
    for path, text in made.items():
        path.write_text(text, encoding='utf-8')
        print(path)


if __name__ == '__main__':
    main()
