"""What the two peers' harnesses share: the protocol, and time.

A harness is started with one argument, a file of JSON that holds a scenario of scenarios.json and beside it
batch, threads, seed, states (objects whose log R it prints). It confines itself to that many cores before the
peer is loaded, builds everything, and answers with one line of JSON to its start and to each line that it reads:

    time SECONDS     iterations for that long (the first such line warms up before): milliseconds of one
    train N          N iterations: how long they took
    evaluate         exact Jensen-Shannon divergence of its policy from the target
    uniform          that of the uniform policy, by which all programs' evaluations are compared

bench/race.c answers the same lines for fluvial.
"""
import json
import os
import resource
import statistics
import sys
import time


def specification():
    with open(sys.argv[1], encoding='utf-8') as file:
        spec = json.load(file)
    cores = sorted(os.sched_getaffinity(0))[:spec['threads']]
    os.sched_setaffinity(0, cores)
    for library in ('OMP', 'MKL', 'OPENBLAS'):
        os.environ[library + '_NUM_THREADS'] = str(len(cores))
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    os.environ['JAX_PLATFORMS'] = 'cpu'
    return spec


def answer(**values):
    print(json.dumps(values), flush=True)


def peak_mb():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def linear(schedule, iteration, least=min):
    """From epsilon to epsilon_end over the first `iterations`; least: min of numbers, or of arrays."""
    share = least(iteration / schedule['iterations'], 1.0)
    return schedule['epsilon'] + (schedule['epsilon_end'] - schedule['epsilon']) * share


def modes(spec):
    """Rows of 0 and 1, from the file that fluvial reads too."""
    with open(spec['modes'], encoding='utf-8') as file:
        return [[int(bit) for bit in line.strip().replace(',', '')] for line in file if line.strip()]


def columns(path):
    """The rows of a table of numbers with names in its first line."""
    with open(path, encoding='utf-8') as file:
        next(file)
        return [[float(x) for x in line.split(',')] for line in file]


class Program:
    """What a peer has to bring. One call of step() makes `block` iterations. Where a peer can make an iteration in
    several ways, each is tried, and the fastest one is used."""

    name = ''
    notes = ''
    versions = {}
    parameters = 0
    compile_seconds = 0.0
    block = 1

    def choose(self, ways, use, reset):
        """Times each of the ways that use() switches to, for half a second, and stays with the fastest."""
        best = []
        for way in ways:
            use(way)
            self.step()
            best.append((statistics.median(measure(self, 0.5)), way))
        use(min(best)[1])
        reset()
        self.notes = ', '.join(f'{way} {ms:.3g} ms' for ms, way in sorted(best))

    def log_r(self, states):
        raise NotImplementedError

    def step(self):
        raise NotImplementedError

    def train(self, n):
        """n iterations, finished on return."""
        for _ in range(n // self.block):
            self.step()

    def jsd(self, uniform=False):
        raise NotImplementedError


def measure(program, seconds):
    """Milliseconds of an iteration, of every call of step() in turn."""
    times = []
    begin = last = time.perf_counter()
    while last - begin < seconds or len(times) < 3:
        program.step()
        now = time.perf_counter()
        times.append((now - last) * 1e3 / program.block)
        last = now
    return times


def serve(program, spec, begun):
    answer(program=program.name, versions=program.versions, parameters=program.parameters,
           log_r=program.log_r(spec['states']), compile_s=round(program.compile_seconds, 3),
           setup_s=round(time.perf_counter() - begun, 3), notes=program.notes)
    warm = False
    for line in sys.stdin:
        word, *arguments = line.split() or ['']
        if word == 'time':
            seconds = float(arguments[0])
            if not warm:
                measure(program, min(1.0, seconds))
                warm = True
            times = measure(program, seconds)
            answer(ms=statistics.median(times), ms_min=min(times), ms_max=max(times),
                   iterations=len(times) * program.block, peak_mb=peak_mb())
        elif word == 'train':
            before = time.perf_counter()
            program.train(int(arguments[0]))
            answer(seconds=time.perf_counter() - before, peak_mb=peak_mb())
        elif word == 'evaluate':
            answer(jsd=program.jsd(), log_z=program.log_z())
        elif word == 'uniform':
            answer(jsd=program.jsd(uniform=True))
        else:
            answer(error=f'no such command: {line.strip()}')
