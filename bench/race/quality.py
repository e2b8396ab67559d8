"""The report's part on divergences along training runs: when they are below a level, how much sooner than the others'
that is, and whether the programs' curves lie on each other. Standard library only."""
import itertools
import math
import statistics

from race import PROGRAMS

PEERS = PROGRAMS[1:]


def short(x):
    """Three digits, without an exponent."""
    if x >= 100:
        return f'{x:.0f}'
    return f'{x:.{max(0, 2 - math.floor(math.log10(x)))}f}' if x > 0 else '0'


def mean_ratio(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def curve(results, scenario, program, seed):
    """(iteration, seconds of training, divergence) along a run."""
    where = {'scenario': scenario, 'program': program, 'seed': seed}
    seconds = {row['at']: float(row['value']) for row in results.find('curve_s', **where)}
    return sorted((int(row['at']), seconds[row['at']], float(row['value']))
                  for row in results.find('curve_jsd', **where))


def curves(results, scenario):
    """By program, by seed."""
    found = {}
    for row in results.find('curve_end', scenario=scenario):
        found.setdefault(row['program'], {})[row['seed']] = curve(results, scenario, row['program'], row['seed'])
    return {p: dict(sorted(found[p].items())) for p in PROGRAMS if p in found}


def reached(points, level):
    """Iteration and seconds from which on the divergence stays below."""
    found = None
    for n, seconds, jsd in points:
        found = None if jsd >= level else found or (n, seconds)
    return found


def level_rows(runs, level):
    for program, by_seed in runs.items():
        hits = [hit for hit in (reached(points, level) for points in by_seed.values()) if hit]
        cells = [program, f'{level:g}', f'{len(hits)} of {len(by_seed)}']
        if hits:
            for k in (1, 0):
                values = [hit[k] for hit in hits]
                cells.append(f'{short(statistics.median(values))} ({short(min(values))} to {short(max(values))})')
        else:
            last = [points[-1] for points in by_seed.values()]
            cells += [f'not in {short(max(p[1] for p in last))}', f'not in {max(p[0] for p in last)}']
        yield '| ' + ' | '.join(cells) + ' |'


def speedups(runs, level):
    """For each seed with which fluvial gets there: how many times longer the better peer takes, and whether that is
    only known to be more, as the peer that might have been the better one was stopped before. A peer without a run of
    that seed does not count."""
    for seed, points in runs.get('fluvial', {}).items():
        ours, theirs = reached(points, level), []
        for peer in PEERS:
            points = runs.get(peer, {}).get(seed)
            if points:
                hit = reached(points, level)
                theirs.append((hit[1], False) if hit else (points[-1][1], True))
        if ours and theirs:
            seconds, stopped = min(theirs)
            yield seconds / ours[1], stopped


def speedup_text(runs, level):
    found = sorted(speedups(runs, level))
    if not found:
        return 'not known'
    middle = statistics.median(x for x, _ in found)
    at_least = 'at least ' if any(stopped for _, stopped in found) else ''
    spread = f' ({short(found[0][0])} to {short(found[-1][0])})' if len(found) > 1 else ''
    return f'{at_least}{short(middle)}{spread}, {len(found)} seed{"s" * (len(found) > 1)}'


def speedup_table(runs, levels):
    yield '| JSD stays below | the better peer\'s seconds / fluvial\'s: median (range) over seeds |'
    yield '|---|---|'
    for level in levels:
        yield f'| {level:g} | {speedup_text(runs, level)} |'


def common(by_seed):
    """By iteration that all of a program's seeds evaluated: their divergences."""
    tables = [{n: jsd for n, _, jsd in points} for points in by_seed.values()]
    return {n: [table[n] for table in tables] for n in sorted(set.intersection(*map(set, tables)))}


def same_iterations(runs):
    """Divergences after the same iterations: geometric means over seeds, where at least two programs have them."""
    tables = {program: common(by_seed) for program, by_seed in runs.items()}
    shared = sorted(n for n in set().union(*tables.values()) if sum(n in table for table in tables.values()) > 1)
    if not shared:
        yield '(no iteration that two of them evaluated)'
        return
    at = sorted({shared[round(k * (len(shared) - 1) / 5)] for k in range(6)})
    yield '| iterations | ' + ' | '.join(runs) + ' |'
    yield '|---|' + '---|' * len(runs)
    for n in at:
        cells = []
        for table in tables.values():
            values = table.get(n, [])
            spread = f' ({min(values):.2g} to {max(values):.2g})' if len(values) > 1 else ''
            cells.append(f'{mean_ratio(values):.3g}{spread}' if values else '-')
        yield f'| {n} | ' + ' | '.join(cells) + ' |'


def agreement(runs):
    """For two programs: common iterations; the largest ratio of their means, the iteration, and there the spread: the
    larger of the two programs' ratios of largest to smallest seed; at how many iterations the first is no more than the
    second."""
    first, second = map(common, runs.values())
    best, within = (0.0, 0, 1.0), 0
    shared = [n for n in first if n in second]
    for n in shared:
        a, b = mean_ratio(first[n]), mean_ratio(second[n])
        ratio = max(a / b, b / a)
        spread = max(max(values) / min(values) for values in (first[n], second[n]))
        within += ratio <= spread
        best = max(best, (ratio, n, spread))
    return len(shared), *best, within


def agreement_table(runs):
    if len(runs) < 2:
        return
    yield '| programs | largest ratio of their mean divergences | at iteration | seeds of one program there | ' \
          'ratio within the spread of seeds |'
    yield '|---|---|---|---|---|'
    for pair in itertools.combinations(runs, 2):
        count, ratio, n, spread, within = agreement({p: runs[p] for p in pair})
        several = min(len(runs[p]) for p in pair) > 1
        cells = [short(ratio), str(n), f'up to {short(spread)}' if several else 'one seed only',
                 f'{within} of {count} evaluations' if several else '-'] if count else ['-'] * 4
        yield f'| {pair[0]}, {pair[1]} | ' + ' | '.join(cells) + ' |'


def section(results, scenario, picture):
    """Of one scenario; picture: its name beside the page."""
    runs = curves(results, scenario['name'])
    if not runs:
        return
    levels = scenario['quality']['until']
    yield f'### {scenario["title"]}'
    yield ''
    yield '| program | JSD stays below | seeds | seconds | iterations |'
    yield '|---|---|---|---|---|'
    for level in levels:
        yield from level_rows(runs, level)
    yield ''
    yield from speedup_table(runs, levels)
    yield ''
    yield f'![JSD over iterations, and over seconds, of every seed]({picture})'
    yield ''
    yield 'Divergences after the same iterations (geometric mean over seeds, and their range):'
    yield ''
    yield from same_iterations(runs)
    yield ''
    yield from agreement_table(runs)
    yield ''


def sections(results, scenarios, name_of):
    lines = [line for s in scenarios if 'quality' in s for line in section(results, s, name_of(s))]
    return '\n'.join(lines).rstrip() or 'Not measured: these results have no training runs (`--kind quality`).'
