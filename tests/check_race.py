"""The race without the other programs. What build/bench/race says is held to log R and a dynamic programme written
here; the driver refuses programs that differ; the report's means and times are those of made-up results.

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
    asked = 'time 0.02\ntrain 10\nevaluate\nuniform\nquit\n'
    said = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    about, time, train, evaluate, uniform = map(json.loads, said.splitlines())
    assert about['parameters'] == 71430, about['parameters']  # as torchgfn publishes for this network
    for row, got in zip(rows, about['log_r'], strict=True):
        assert abs(got - log_r(row)) < 1e-12, (row, got)
    assert 0 < time['ms_min'] <= time['ms'] <= time['ms_max'] and time['iterations'] >= 3, time
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
    points = [(10, 1.0, 0.5), (20, 2.0, 0.05), (30, 3.0, 0.2), (40, 4.0, 0.05), (50, 5.0, 0.01)]
    assert report.reached(points, 0.1) == (40, 4.0) and report.reached(points, 0.01) is None
    assert [report.short(x) for x in (0.0123, 1.0, 12.34, 1234.0)] == ['0.0123', '1.00', '12.3', '1234']


def main():
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        check_program(sys.argv[1], work)
        check_parity()
        check_report(work)
    print('check_race: all as it should be')


if __name__ == '__main__':
    main()
