#!/usr/bin/env python3
"""fluvial side by side with gfnx and torchgfn on this machine's cores: `make race`.

Runs the scenarios of scenarios.json and writes results.csv, in which every number that report.py prints is found.
One thing runs at a time. For each scenario, batch and number of threads the programs are started and asked what they
are: their log R of the same objects has to agree, and their numbers of parameters. Then each in turn (A B C A B C ...)
makes iterations for some seconds; after that fluvial says where its time goes, and how long its matrix products alone
would take at full rate. Where a scenario asks for quality, each trains for each seed, and the exact
divergence of its policy is taken along the way, off the clock.

Results gather in build/race/results.csv, and what is there is not measured again, unless it was a quick look and now it
is not; `make race` copies them here. Virtual environments of the peers are made in build/race when they are
not there, with the versions of requirements-*.txt. Standard library only.
"""
import argparse
import csv
import datetime
import itertools
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / 'build'
WORK = BUILD / 'race'
PROGRAMS = ['fluvial', 'gfnx', 'torchgfn']
FIELDS = ['scenario', 'batch', 'threads', 'program', 'seed', 'item', 'at', 'value']
BLOCKS = ['00000000', '11111111', '11110000', '00001111', '00111100']  # of bit sequences' modes (Malkin et al. 2022)


def say(text):
    print(f'race: {text}', flush=True)


def stop(text):
    sys.exit(f'race: {text}')


# ---- virtual environments

def python_for_peers():
    """The peers' pinned NumPy ends at Python 3.12, and their networkx begins at 3.11."""
    for name in [sys.executable, 'python3.11', 'python3.12']:
        path = shutil.which(name)
        test = 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'
        if path and subprocess.run([path, '-c', test], capture_output=True).returncode == 0:
            return path
    return stop('the peers need Python 3.11 or 3.12 with venv')


def clear(folder):
    """A link goes, not what it leads to, which may be gone."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def environment(peer):
    folder, wanted = WORK / peer, HERE / f'requirements-{peer}.txt'
    python, stamp = folder / 'bin/python', folder / 'requirements.txt'
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return python
    say(f'installing {peer} into {folder.relative_to(ROOT)} (once; minutes)')
    begun = time.time()
    clear(folder)
    subprocess.run([python_for_peers(), '-m', 'venv', folder], check=True)
    # The list is complete, so nothing is added to it: torch names triton, which only compilers of GPU code use.
    subprocess.run([python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps',
                    '-r', wanted], check=True)
    stamp.write_text(wanted.read_text())
    say(f'{peer}: {time.time() - begun:.0f} s')
    return python


# ---- what the programs are given

def objects(scenario, n=20):
    """Objects whose log R all have to agree on; corners and edges of modes among them, the rest at random."""
    env, draw = scenario['env'], random.Random(7)
    if env['name'] == 'hypergrid':
        dim, side = env['dim'], env['side']
        rows = [[c] * dim for c in range(side)][:n]
        rows += [[draw.randrange(side) for _ in range(dim)] for _ in range(n)]
    elif env['name'] == 'ising':
        sites = env['side']**2
        rows = [[0] * sites, [1] * sites] + [[draw.randrange(2) for _ in range(sites)] for _ in range(n)]
    elif env['name'] == 'bit_sequence':
        words = env['length'] // env['word']
        rows = [[draw.randrange(2**env['word']) for _ in range(words)] for _ in range(n)]
    else:
        d = env['variables']
        rows = []
        for k in range(n):
            order = draw.sample(range(d), d)
            rows.append([0] * (d * d))
            for i, j in itertools.combinations(range(d), 2):
                if draw.random() < k / n:
                    rows[-1][order[i] * d + order[j]] = 1
    return rows


def as_fluvial(env, row):
    """An object as fluvial's files have it: spins -1 and 1, words as their bits, the first bit first."""
    if env['name'] == 'ising':
        return [2 * spin - 1 for spin in row]
    if env['name'] == 'bit_sequence':
        return [word >> k & 1 for word in row for k in reversed(range(env['word']))]
    return row


def prepare(scenario):
    """The files of a scenario, which all programs read."""
    files = {}
    if 'modes' in scenario:
        draw, length = random.Random(11), scenario['env']['length']
        modes = set()
        while len(modes) < scenario['modes']:
            modes.add(''.join(draw.choice(BLOCKS) for _ in range(length // 8)))
        files['modes'] = str(WORK / f'{scenario["name"]}-modes.csv')
        pathlib.Path(files['modes']).write_text(''.join(','.join(m) + '\n' for m in sorted(modes)))
    if 'data' in scenario:
        data, folder = scenario['data'], WORK / f'{scenario["name"]}-data'
        if not (folder / 'data.csv').exists():
            subprocess.run([BUILD / 'fluvial', 'synth', 'dag', '-d', str(data['variables']), '--edges',
                            str(data['edges']), '-n', str(data['rows']), '--seed', '1', '--out', folder],
                           check=True, stdout=subprocess.DEVNULL)
        files['data'] = str(folder / 'data.csv')
    return files


class Racer:
    """A program that waits for commands."""

    def __init__(self, program, scenario, files, batch, threads, seed):
        self.program = program
        rows = objects(scenario)
        cores = sorted(os.sched_getaffinity(0))[:threads]
        if program == 'fluvial':
            states = WORK / 'states.csv'
            states.write_text(''.join(','.join(map(str, as_fluvial(scenario['env'], row))) + '\n' for row in rows))
            settings = [s.replace('=DATA', '=' + files.get('data', '')).replace('=MODES', '=' + files.get('modes', ''))
                        for s in scenario['fluvial']]
            command = [BUILD / 'bench/race', str(threads), states, 'iterations=1000000000', *settings,
                       f'batch={batch}', f'seed={seed}']
            environ = dict(os.environ, OMP_NUM_THREADS=str(threads))
        else:
            spec = dict(scenario, **files, batch=batch, threads=threads, seed=seed, states=rows)
            path = WORK / f'{program}.json'
            path.write_text(json.dumps(spec))
            command = [environment(program), HERE / f'peer_{program}.py', path]
            environ = dict(os.environ, PYTHONWARNINGS='ignore')
        self.log = open(WORK / f'{program}.log', 'w', encoding='utf-8')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True, env=environ, cwd=ROOT,
                                        preexec_fn=lambda: os.sched_setaffinity(0, cores))
        self.about = self.read()

    def read(self):
        for line in self.process.stdout:
            if line.startswith('{'):
                return json.loads(line)
        self.process.wait()
        self.log.flush()
        tail = pathlib.Path(self.log.name).read_text().strip().splitlines()[-1:]
        return stop(f'{self.program} ended: {"".join(tail)} (all of it in {self.log.name})')

    def ask(self, command):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def check(racers, scenario):
    """The same target and the same network, or no race. Returns the largest difference of log R."""
    first, largest = racers[0], 0.0
    for racer in racers[1:]:
        for k, (a, b) in enumerate(zip(first.about['log_r'], racer.about['log_r'])):
            # Single precision: large log R have fewer decimals.
            off = abs(a - b) / max(1.0, abs(a) / 100)
            largest = max(largest, off)
            if not off <= 1e-4:
                stop(f'{scenario["name"]}: log R of object {k} is {a:.6f} for {first.program}, '
                     f'{b:.6f} for {racer.program}')
        if racer.about['parameters'] != first.about['parameters'] and 'parameters_differ' not in scenario:
            stop(f'{scenario["name"]}: {first.program} has {first.about["parameters"]} parameters, '
                 f'{racer.program} {racer.about["parameters"]}')
    return largest


# ---- results

class Results:
    """Rows of results.csv: a number or a text each, by scenario, batch, threads, program, seed, item and place."""

    def __init__(self, path):
        self.path, self.rows = path, []
        if path.exists():
            with open(path, newline='', encoding='utf-8') as file:
                self.rows = list(csv.DictReader(file))

    def find(self, item, **wanted):
        wanted = {'item': item} | {key: str(value) for key, value in wanted.items()}
        return [row for row in self.rows if all(row[k] == v for k, v in wanted.items())]

    def drop(self, **wanted):
        wanted = {key: str(value) for key, value in wanted.items()}
        self.rows = [row for row in self.rows if not all(row[k] == v for k, v in wanted.items())]

    def add(self, item, value, at='', **where):
        if isinstance(value, float):
            value = f'{value:.6g}'
        row = dict.fromkeys(FIELDS, '') | {k: str(v) for k, v in where.items()}
        self.rows.append(row | {'item': item, 'at': str(at), 'value': str(value)})

    def save(self):
        part = self.path.with_suffix('.part')
        with open(part, 'w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(self.rows)
        part.replace(self.path)


def machine():
    model = memory = ''
    if pathlib.Path('/proc/cpuinfo').exists():
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
        model = next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), '')
        kilobytes = int(pathlib.Path('/proc/meminfo').read_text().split()[1])
        memory = f', {kilobytes / 2**20:.0f} GiB'
    cores = len(os.sched_getaffinity(0))
    return f'{model or platform.machine()}, {cores} core{"s" * (cores > 1)}{memory}; Python {platform.python_version()}'


def introduce(results, racer, where):
    about = racer.about
    for item in ('parameters', 'setup_s', 'compile_s', 'notes'):
        results.add(item, about[item], program=racer.program, **where)
    results.drop(item='version', program=racer.program)
    for name, version in about['versions'].items():
        results.add('version', version, at=name, program=racer.program)


def components():
    """What this fluvial has: {'env=hypergrid', 'policy=mlp', ...}."""
    listed = subprocess.run([BUILD / 'fluvial', 'list', '--markdown'], check=True, capture_output=True, text=True)
    return {f'{section}={name}' for section, name in re.findall(r'^### (\w+): `(\w+)`', listed.stdout, re.M)}


def note_missing(scenario, has):
    """A program that cannot run a scenario is left out and named, with the reason."""
    scenario.setdefault('missing', {})
    lacks = [s for s in scenario['fluvial'] if s.partition('=')[0] in ('env', 'reward', 'policy') and s not in has]
    if lacks:
        scenario['missing']['fluvial'] = 'this version has no ' + ', '.join(lacks)


def able(scenario):
    return [p for p in PROGRAMS if p not in scenario['missing']]


# ---- races

def add_floor(results, profile, flops, where):
    """The floor of each turn, and the shares of an iteration's parts."""
    for turn, count in flops.items():
        results.add('floor_ms', count / (profile['gflops'] * 1e6), at=turn, **where)
    results.add('gflops', profile['gflops'], **where)
    for part, share in profile['shares'].items():
        results.add(f'share_{part}', share, **where)


def time_cell(results, scenario, files, batch, threads, options):
    """Milliseconds per iteration of all programs in turn."""
    where = {'scenario': scenario['name'], 'batch': batch, 'threads': threads, 'seed': 1}
    racers = []
    try:
        for program in able(scenario):
            racers.append(Racer(program, scenario, files, batch, threads, 1))
        results.rows = [row for row in results.rows if row['item'].startswith('curve_') or
                        any(row[k] != str(v) for k, v in where.items())]
        for racer in racers:
            introduce(results, racer, where)
        results.add('log_r_difference', check(racers, scenario), **where)
        text, flops = [], {}
        for repetition in range(1, options.repetitions + 1):
            for racer in racers:
                load = os.getloadavg()[0]
                got = racer.ask(f'time {options.seconds}')
                for item in ('ms', 'ms_min', 'ms_max', 'iterations', 'peak_mb'):
                    results.add(item, got[item], at=repetition, program=racer.program, **where)
                results.add('load', load, at=repetition, program=racer.program, **where)
                if 'flops' in got:
                    flops[repetition] = got['flops']
                    results.add('distinct_rows', got['distinct'], at=repetition, program=racer.program, **where)
                text.append((racer.program, got['ms']))
        for racer in racers:
            if racer.program == 'fluvial':
                add_floor(results, racer.ask('profile 0.5'), flops, where | {'program': 'fluvial'})
        results.add('done', f'{options.repetitions} of {options.seconds:g} s', **where)
    finally:
        for racer in racers:
            racer.close()
    best = {racer.program: min(ms for p, ms in text if p == racer.program) for racer in racers}
    return ', '.join(f'{p} {ms:.3g} ms' for p, ms in best.items())


def check_exact(results, scenario, files, threads):
    """The programs compute divergences by themselves; those of the uniform policy have to agree."""
    found = {}
    for program in able(scenario):
        racer = Racer(program, scenario, files, scenario['batches'][0], threads, 1)
        found[program] = racer.ask('uniform')['jsd']
        racer.close()
    first = next(iter(found.values()))
    for program, jsd in found.items():
        if not abs(jsd - first) <= 1e-5 * jsd:
            stop(f'{scenario["name"]}: divergence of the uniform policy: {found}')
        results.add('uniform_jsd', f'{jsd:.9g}', scenario=scenario['name'], program=program)
    say(f'{scenario["name"]}: divergence of the uniform policy is {first:.6f} for all')


def quality_cell(results, scenario, files, program, threads, seed, options):
    """Exact divergence along one training run, and the seconds of training until then. A run ends early when it is out
    of time, or when the last ten divergences have been below the smallest that is asked for."""
    ask, batch = scenario['quality'], scenario['batches'][0]
    where = {'scenario': scenario['name'], 'batch': batch, 'threads': threads, 'seed': seed, 'program': program}
    cap = options.cap or ask['cap']
    racer = Racer(program, scenario, files, batch, threads, seed)
    try:
        results.rows = [row for row in results.rows
                        if not (row['item'].startswith('curve_') and all(row[k] == str(v) for k, v in where.items()))]
        seconds, n, below, iterations = 0.0, 0, 0, min(ask['every'][-1][1], options.iterations)
        why = 'all iterations made'
        while n < iterations:
            every = next(step for step, last in ask['every'] if n < last)
            seconds += racer.ask(f'train {every}')['seconds']
            n += every
            got = racer.ask('evaluate')
            results.add('curve_jsd', got['jsd'], at=n, **where)
            results.add('curve_s', seconds, at=n, **where)
            below = below + 1 if got['jsd'] < min(ask['until']) else 0
            if below >= 10:
                why = 'converged'
                break
            if seconds > cap:
                why = f'{cap:.0f} seconds were over'
                break
        results.add('curve_end', why, at=n, **where)
    finally:
        racer.close()
    return f'{n} iterations in {seconds:.1f} s, JSD {got["jsd"]:.2e} ({why})'


def cells(scenarios, threads, options):
    """What is to be done, in order: (what it is, is it there already, how it is done)."""
    for scenario in scenarios:
        for count, batch in itertools.product(threads, scenario['batches']):
            if not options.quick or batch == scenario['batches'][0]:
                yield scenario, 'time', {'batch': batch, 'threads': count}
    for scenario in scenarios:
        seeds = scenario.get('quality', {}).get('seeds', [])
        for seed in seeds[:1] if options.quick else seeds:
            for program in able(scenario):
                yield scenario, 'quality', {'program': program, 'threads': threads[-1], 'seed': seed}


def there(results, scenario, kind, what):
    return results.find('done' if kind == 'time' else 'curve_end', scenario=scenario['name'], **what)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--quick', action='store_true', help='a look at all of it: short, one batch, one seed')
    parser.add_argument('--only', action='append', metavar='SCENARIO', help='only this one; may be repeated')
    parser.add_argument('--kind', choices=['time', 'quality'], help='only milliseconds, or only divergences')
    parser.add_argument('--threads', metavar='LIST', help='for instance 1,4 (default: 1 and all cores)')
    parser.add_argument('--repetitions', type=int, help='turns of each program (3; quick: 2)')
    parser.add_argument('--seconds', type=float, help='of a turn (0.6; quick: 0.5)')
    parser.add_argument('--cap', type=float, help='most seconds of training for a divergence (scenarios.json; quick: 20)')
    parser.add_argument('--again', action='store_true', help='measure what is there already')
    parser.add_argument('--results', type=pathlib.Path, default=WORK / 'results.csv',
                        help='build/race/results.csv')
    parser.add_argument('--setup', action='store_true', help='only make the virtual environments')
    options = parser.parse_args()
    options.repetitions = options.repetitions or (2 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 0.6)
    options.cap = options.cap or (20.0 if options.quick else None)
    options.iterations = 2000 if options.quick else math.inf
    return options


def main():
    options = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    for peer in PROGRAMS[1:]:
        environment(peer)
    if options.setup:
        return
    if not (BUILD / 'bench/race').exists():
        stop('build first: make build')
    scenarios = json.loads((HERE / 'scenarios.json').read_text())
    if options.only:
        unknown = set(options.only) - {s['name'] for s in scenarios}
        if unknown:
            stop(f'no scenario {sorted(unknown)[0]}; there are {", ".join(s["name"] for s in scenarios)}')
        scenarios = [s for s in scenarios if s['name'] in options.only]
    cores = len(os.sched_getaffinity(0))
    threads = [int(t) for t in options.threads.split(',')] if options.threads else sorted({1, cores})
    results = Results(options.results)
    if results.find('quick') and not options.quick:
        say('what is there was a quick look; beginning anew')
        results.rows = []
    results.drop(item='machine')
    results.drop(item='date')
    results.add('machine', machine())
    results.add('date', datetime.date.today().isoformat())
    if options.quick and not results.find('quick'):
        results.add('quick', 'some of it was measured with --quick')
    has = components()
    for scenario in scenarios:
        note_missing(scenario, has)
        results.drop(item='missing', scenario=scenario['name'])
        for program, why in scenario['missing'].items():
            results.add('missing', why, scenario=scenario['name'], program=program)
            say(f'{scenario["name"]}: without {program}: {why}')
    todo = [cell for cell in cells(scenarios, threads, options) if options.kind in (None, cell[1])]
    begun = time.time()
    for k, (scenario, kind, what) in enumerate(todo, 1):
        name = f'[{k}/{len(todo)}, {time.time() - begun:.0f} s] {scenario["name"]} ' + \
            ' '.join(f'{key} {value}' for key, value in what.items())
        if there(results, scenario, kind, what) and not options.again:
            say(f'{name}: is there')
            continue
        files = prepare(scenario)
        if kind == 'quality' and not results.find('uniform_jsd', scenario=scenario['name']):
            check_exact(results, scenario, files, threads[-1])
        run = time_cell if kind == 'time' else quality_cell
        say(f'{name}: {run(results, scenario, files, options=options, **what)}')
        results.save()
    results.save()
    say(f'{options.results} after {time.time() - begun:.0f} s')


if __name__ == '__main__':
    main()
