"""The race without the other programs. What build/bench/race says is held to log R and a dynamic programme written
here; the driver refuses programs that differ; the report's means and times are those of made-up results, and what is
committed is what it makes.

usage: check_race.py build/bench/race
"""
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench/race'))
import quality  # noqa: E402
import race  # noqa: E402
import report  # noqa: E402

SIDE = 8


def log_r(row, r0=0.1, r1=0.5, r2=2.0):
    a = [abs(x / (SIDE - 1) - 0.5) for x in row]
    return math.log(r0 + r1 * all(x > 0.25 for x in a) + r2 * all(0.3 < x < 0.4 for x in a))


def uniform_jsd():
    """Of the terminating distribution of the uniform policy on the grid, and R."""
    flow, p = {(0, 0): 1.0}, {}
    for x, y in itertools.product(range(SIDE), repeat=2):
        children = [c for c in ((x + 1, y), (x, y + 1)) if max(c) < SIDE]
        p[x, y] = flow[x, y] / (len(children) + 1)
        for child in children:
            flow[child] = flow.get(child, 0.0) + p[x, y]
    q = {s: math.exp(log_r(s)) for s in p}
    z = sum(q.values())
    half = 0.0
    for s in p:
        m = 0.5 * (p[s] + q[s] / z)
        half += 0.5 * p[s] * math.log(p[s] / m) + 0.5 * q[s] / z * math.log(q[s] / z / m)
    return half


def check_program(program, work):
    scenario = next(s for s in json.loads((race.HERE / 'scenarios.json').read_text()) if s['name'] == 'hypergrid_8x8')
    rows = race.objects(scenario)
    (work / 'states.csv').write_text(''.join(','.join(map(str, row)) + '\n' for row in rows))
    command = [program, '1', work / 'states.csv', *scenario['fluvial'], 'batch=32']
    asked = 'time 0.02\nprofile 0.02\ntrain 10\nevaluate\nuniform\nquit\n'
    said = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    about, time, profile, train, evaluate, uniform = map(json.loads, said.splitlines())
    assert about['parameters'] == 71430, about['parameters']  # as torchgfn publishes for this network
    for row, got in zip(rows, about['log_r'], strict=True):
        assert abs(got - log_r(row)) < 1e-12, (row, got)
    assert 0 < time['ms_min'] <= time['ms'] <= time['ms_max'] and time['iterations'] >= 3, time
    # Two hidden layers of 256, 3 actions, 2 backward ones; the first layer is a sum of rows.
    flops = 6 * (256 * 256 + 256 * (3 + 2))
    assert 2 * SIDE < time['distinct'] <= SIDE**2, time
    assert abs(time['flops'] / (time['distinct'] * flops) - 1) < 1e-4, time
    floor_ms = profile['distinct'] * flops / (profile['gflops'] * 1e6)
    assert abs(profile['floor_ms'] / floor_ms - 1) < 1e-4, profile
    shares = profile['shares']
    assert abs(sum(shares.values()) - 1) < 1e-3 and min(shares.values()) >= 0, shares
    # Nothing can be too short to be seen; P_B's head is all that sampling leaves of the network.
    assert all(shares[part] > 0 for part in set(shares) - {'layers_forward'}), shares
    assert shares['products_forward'] < shares['products_sampling'] + shares['products_backward'], shares
    assert 32 < profile['states'] and profile['distinct'] <= SIDE**2 and profile['iterations'] >= 3, profile
    assert train['seconds'] > 0 and 0 < evaluate['jsd'] < math.log(2), (train, evaluate)
    assert abs(uniform['jsd'] - uniform_jsd()) < 1e-8, (uniform, uniform_jsd())
    bad = subprocess.run(command, input='hurry\n', capture_output=True, text=True)
    assert bad.returncode == 1 and 'commands' in bad.stderr, bad


class Fake:
    def __init__(self, program, log_r, parameters):
        self.program, self.about = program, {'log_r': log_r, 'parameters': parameters}


def refused(racers, scenario):
    try:
        race.check(racers, scenario)
    except SystemExit:
        return True
    return False


def check_parity():
    scenario = {'name': 'one'}
    racers = [Fake('a', [0.0, -1.0], 5), Fake('b', [0.0, -1.00005], 5)]
    assert abs(race.check(racers, scenario) - 5e-5) < 1e-12
    assert refused([racers[0], Fake('b', [0.0, -1.0002], 5)], scenario)
    assert refused([racers[0], Fake('b', [0.0, math.nan], 5)], scenario)
    assert refused([racers[0], Fake('b', [0.0, -1.0], 6)], scenario)
    assert not refused([racers[0], Fake('b', [0.0, -1.0], 6)], scenario | {'parameters_differ': 'why'})
    lacking = {'fluvial': ['env=ising', 'policy.p_b=tied']}
    race.note_missing(lacking, {'env=hypergrid'})
    assert 'env=ising' in lacking['missing']['fluvial'] and race.able(lacking) == ['gfnx', 'torchgfn']


def check_target(program, work):
    """The states of a target network count too, forward alone."""
    command = [program, '1', work / 'states.csv', 'env.side=8', 'policy.p_b=uniform', 'batch=32', 'objective=modified_db']
    perstate = {}
    for target in ('false', 'true'):
        said = subprocess.run(command + [f'objective.target_exit={target}'], input='time 0.02\n', capture_output=True,
                              text=True, check=True).stdout
        time = json.loads(said.splitlines()[1])
        perstate[target] = time['flops'] / time['distinct']
    assert abs(perstate['true'] / perstate['false'] - 4 / 3) < 1e-4, perstate


def check_clear(work):
    """A virtual environment that is a link to one that is gone."""
    (work / 'gone').symlink_to(work / 'nowhere')
    (work / 'full').mkdir()
    (work / 'full/file').write_text('')
    (work / 'kept').symlink_to(work / 'full')
    for name in ('gone', 'kept', 'never'):
        race.clear(work / name)
        assert not (work / name).is_symlink() and (work / 'full/file').exists()
    race.clear(work / 'full')
    assert not (work / 'full').exists()


def made_up(found):
    """Runs by program and seed from (iteration, divergence); a second for ten iterations of fluvial, for five of others."""
    return {program: {str(seed): [(n, n / (10 if program == 'fluvial' else 5), jsd) for n, jsd in points]
                      for seed, points in enumerate(runs, 1)} for program, runs in found.items()}


def check_quality():
    points = [(10, 1.0, 0.5), (20, 2.0, 0.05), (30, 3.0, 0.2), (40, 4.0, 0.05), (50, 5.0, 0.01)]
    assert quality.reached(points, 0.1) == (40, 4.0) and quality.reached(points, 0.01) is None
    runs = made_up({'fluvial': [[(10, 0.5), (20, 0.05)], [(10, 0.05), (20, 0.05)]],
                    'gfnx': [[(10, 0.5), (20, 0.05), (30, 0.05)], [(10, 0.5)]],
                    'torchgfn': [[(10, 0.5), (20, 0.5)], [(10, 0.5), (20, 0.5)]]})
    # Seed 1: gfnx needs 4 s where fluvial needs 2, and torchgfn was stopped after 4. Seed 2: gfnx was stopped after 2.
    assert list(quality.speedups(runs, 0.1)) == [(2.0, False), (2.0, True)], list(quality.speedups(runs, 0.1))
    assert quality.speedup_text(runs, 0.1) == 'at least 2.00 (2.00 to 2.00), 2 seeds'
    assert quality.speedup_text({p: {'1': of['1']} for p, of in runs.items()}, 0.1) == '2.00, 1 seed'
    assert quality.speedup_text(runs, 0.001) == 'not known'
    rows = list(quality.level_rows(runs, 0.1))
    assert rows[0] == '| fluvial | 0.1 | 2 of 2 | 1.50 (1.00 to 2.00) | 15.0 (10.0 to 20.0) |', rows
    assert rows[2] == '| torchgfn | 0.1 | 0 of 2 | not in 4.00 | not in 20 |', rows


def check_agreement():
    # Means 0.2, 0.1 and 0.1, 0.3: apart by 2 and by 3; seeds by 4 and by 2.25. Iteration 30 is not common.
    runs = made_up({'fluvial': [[(10, 0.1), (20, 0.1), (30, 9.0)], [(10, 0.4), (20, 0.1), (30, 9.0)]],
                    'gfnx': [[(10, 0.1), (20, 0.2)], [(10, 0.1), (20, 0.45)]]})
    count, ratio, n, spread, within = quality.agreement(runs)
    assert (count, n, within) == (2, 20, 1) and abs(ratio - 3) < 1e-9 and abs(spread - 2.25) < 1e-9
    assert list(quality.agreement_table(runs))[2] == '| fluvial, gfnx | 3.00 | 20 | up to 2.25 | 1 of 2 evaluations |'
    assert list(quality.same_iterations(runs))[2] == '| 10 | 0.2 (0.1 to 0.4) | 0.1 (0.1 to 0.1) |'
    apart = made_up({'fluvial': [[(10, 0.1)]], 'gfnx': [[(20, 0.1)]]})
    assert list(quality.agreement_table(apart))[2] == '| fluvial, gfnx | - | - | - | - |'


def check_made():
    """What is committed is what report.py makes of the committed results."""
    results = report.Results(race.HERE / 'results.csv')
    scenarios = json.loads((race.HERE / 'scenarios.json').read_text())
    for path, text in report.texts(results, scenarios, race.ROOT).items():
        assert path.read_text(encoding='utf-8') == text, f'{path.name} is not what bench/race/report.py makes'


def check_report(work):
    results = race.Results(work / 'results.csv')
    where = {'scenario': 'hypergrid_8x8', 'batch': 32, 'threads': 1, 'seed': 1}
    for program, turns in (('fluvial', [1.0, 2.0, 9.0]), ('gfnx', [30.0, 16.0, 10.0])):
        for k, ms in enumerate(turns):
            results.add('ms', ms, at=k, program=program, **where)
    results.save()
    race.Results(work / 'results.csv')
    read = report.Results(work / 'results.csv')
    scenarios = [{'name': 'hypergrid_8x8', 'title': 'a grid', 'batches': [32]}]
    assert list(report.speed_table(read, scenarios, '1'))[2] == '| a grid | 32 | 2.00 | 16.0 | - | 8.00 | - |'
    assert abs(report.mean_ratio([2.0, 8.0]) - 4.0) < 1e-12
    assert not report.by_threads(lambda t: report.floor_table(read, scenarios, t), ['1'])
    fluvial = where | {'program': 'fluvial'}
    race.add_floor(read, {'gflops': 50.0, 'shares': dict.fromkeys(sum(report.PARTS.values(), []), 1 / 9)},
                   {1: 4e7, 2: 5e7, 3: 9e7}, fluvial)
    for turn, rows in enumerate([10, 20, 90]):
        read.add('distinct_rows', rows, at=turn, **fluvial)
    assert list(report.floor_table(read, scenarios, '1'))[2] == '| a grid | 32 | 20 | 1.00 | 2.00 | 50 % | 16.0 | - |'
    assert list(report.summary(read, scenarios, ['1']))[2] == '| 1 | gfnx | 1 | 8.00 | 8.00 | 8.00 | 16.0 | 16.0 |'
    assert list(report.profile_table(read, scenarios, '1', lambda s: [32]))[2] == \
        '| a grid | 32 | 11 % | 11 % | 11 % | 33 % | 11 % | 11 % | 11 % |'
    assert list(report.readme_rows(read, scenarios, ['1']))[2] == '| a grid | 32 | 2.00 | 8.00 | - |'
    assert [report.short(x) for x in (0.0123, 1.0, 12.34, 1234.0)] == ['0.0123', '1.00', '12.3', '1234']


def main():
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        check_program(sys.argv[1], work)
        check_target(sys.argv[1], work)
        check_clear(work)
        check_parity()
        check_quality()
        check_agreement()
        check_report(work)
        check_made()
    print('check_race: all as it should be')


if __name__ == '__main__':
    main()
