#!/usr/bin/env python3
"""Mutants of the objectives' sources, each built and put to `fluvial gradients`.

    tools/mutate_objectives.sh [options]        builds what this needs, then calls it

Layout is clang-format's, so binary operators stand between blanks and pointers do not. Comments, strings and
preprocessor lines are left alone.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time

SOURCES = ['src/learn/objective.c', 'src/learn/divergence.c', 'src/learn/regression.c']
GLOB = 'src/learn/objective_*.c'
ALLOWED = 'tools/mutants_allowed.txt'

# A problem of a few trajectories, where most mutants are caught at once.
QUICK = 'env:\n  sides: [3, 2]\nreward: cosine\npolicy: tabular\n'


def masked(text):
    """The text with comments, literals and preprocessor lines blanked out, at the same length."""
    blank = lambda m: re.sub(r'[^\n]', ' ', m.group())
    text = re.sub(r'//[^\n]*|/\*.*?\*/', blank, text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', lambda m: '"' + ' ' * (len(m.group()) - 2) + '"',
                  text)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', blank, text, flags=re.M)


def doubled(number):
    return '1.0' if float(number) == 0.0 else repr(2.0 * float(number))


# What is looked for, what it becomes, and what the change is called.
RULES = [
    (r'(?<= )\+(?=\s)', lambda m: '-', 'sign'),
    (r'(?<= )-(?=\s)', lambda m: '+', 'sign'),
    (r'\+=', lambda m: '-=', 'sign'),
    (r'-=', lambda m: '+=', 'sign'),
    (r'(?<=[(\[ !])-(?=[\w(])', lambda m: '', 'sign'),
    (r'(?<= )\*(?=\s)', lambda m: '/', 'factor'),
    (r'(?<= )/(?=\s)', lambda m: '*', 'factor'),
    (r'\*=', lambda m: '/=', 'factor'),
    (r'/=', lambda m: '*=', 'factor'),
    (r'(?<![\w.])\d+\.\d+(?![\w.])', lambda m: doubled(m.group()), 'factor'),
    (r'(?<=[+-]= )[^;{}]+(?=;)', lambda m: f'0.0 * ({m.group()})', 'term'),
    (r'(?:(?<=^)|(?<=\) )|(?<=else )|(?<=  ))(?!(?:if|for|while|switch|return)\b)[a-z]\w*\((?:[^;{}=]|==)*\)(?=;)',
     lambda m: '', 'call'),
    (r'==', lambda m: '!=', 'condition'),
    (r'!=', lambda m: '==', 'condition'),
    (r'&&', lambda m: '||', 'condition'),
    (r'\|\|', lambda m: '&&', 'condition'),
]


class Mutant:
    def __init__(self, path, text, begin, end, new, kind):
        self.path, self.kind = path, kind
        self.text = text[:begin] + new + text[end:]
        self.line = text.count('\n', 0, begin) + 1
        first, last = text.rfind('\n', 0, begin) + 1, text.find('\n', end)
        self.before = ' '.join(text[first:last].split())
        self.after = ' '.join((text[first:begin] + new + text[end:last]).split())


def mutants_of(path):
    text = pathlib.Path(path).read_text()
    code = masked(text)
    found = []
    for pattern, become, kind in RULES:
        for m in re.finditer(pattern, code, flags=re.M):
            # the real text: a literal within a term is blank in code
            new = become(re.compile(r'.*', re.S).match(text[m.start():m.end()]))
            found.append(Mutant(path, text, m.start(), m.end(), new, kind))
    return sorted(found, key=lambda x: x.line)


class Bench:
    """Builds and tries mutants in a scratch directory, with the command lines of the build folder."""

    def __init__(self, build, scratch):
        self.scratch, self.root = scratch, os.getcwd()
        self.quick = os.path.join(scratch, 'quick.yaml')
        pathlib.Path(self.quick).write_text(QUICK)
        self.build = build
        with open(os.path.join(build, 'compile_commands.json')) as f:
            self.compile = {os.path.relpath(c['file']): shlex.split(c['command']) for c in json.load(f)}
        commands = subprocess.run(['ninja', '-C', build, '-t', 'commands', 'fluvial'], check=True,
                                  capture_output=True, text=True).stdout.splitlines()
        self.link = shlex.split(commands[-1])
        self.limit = 600.0
        begin = time.monotonic()
        if self.judge(os.path.join(build, 'fluvial')) != 'survived':
            sys.exit('mutate: `fluvial gradients` fails without any mutation')
        self.limit = 5.0 + 5.0 * (time.monotonic() - begin)

    def judge(self, program):
        """'survived' where every statement holds, on the quick problem and then on all of fluvial's own."""
        environment = dict(os.environ, OMP_NUM_THREADS='1')
        for operands in ([self.quick], []):
            try:
                done = subprocess.run([program, 'gradients', '--seeds', '1'] + operands, env=environment,
                                      timeout=self.limit, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            except subprocess.TimeoutExpired:
                return 'too slow'
            if done.returncode != 0:
                return 'caught'
        return 'survived'

    def run(self, command, where):
        return subprocess.run(command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def try_mutant(self, number, mutant):
        """'caught', 'too slow' (which is caught as well), 'survived', or 'no program': it does not compile."""
        stem = os.path.join(self.scratch, f'{number}')
        source, object_, program = stem + '.c', stem + '.o', stem + '.out'
        pathlib.Path(source).write_text(mutant.text)
        command = list(self.compile[mutant.path])
        command[command.index('-o') + 1] = object_
        command[command.index('-c') + 1] = source
        link = list(self.link)
        link[link.index('-o') + 1] = program
        link.insert(link.index('-o'), object_)  # before the archive that holds the original
        try:
            if self.run(command + ['-w', '-O1'], self.build) or self.run(self.shell(link), self.build):
                return 'no program'
            return self.judge(program)
        finally:
            for path in (source, object_, program):
                if os.path.exists(path):
                    os.remove(path)

    @staticmethod
    def shell(link):
        """Ninja's link lines are wrapped in ': && ... && :'."""
        return [word for word in link if word not in (':', '&&')]


def read_allowed():
    """(path, mutated line) -> reason, from lines 'path: mutated line' below '# reason' lines."""
    allowed, reason, fresh = {}, '', False
    for line in pathlib.Path(ALLOWED).read_text().splitlines():
        if line.startswith('#'):
            reason, fresh = (reason + ' ' if fresh else '') + line[1:].strip(), True
        elif line.strip():
            path, after = line.split(': ', 1)
            allowed[path, ' '.join(after.split())] = reason
            fresh = False
    return allowed


def try_all(bench, chosen, allowed, jobs, verbose):
    counts = {'caught': 0, 'too slow': 0, 'survived': 0, 'allowed': 0, 'no program': 0}
    survivors, begin, told = [], time.monotonic(), 0.0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(bench.try_mutant, k, m): m for k, m in enumerate(chosen)}
        for done, future in enumerate(concurrent.futures.as_completed(waiting), 1):
            mutant, verdict = waiting[future], future.result()
            if verdict == 'survived' and (mutant.path, mutant.after) in allowed:
                verdict = 'allowed'
            counts[verdict] += 1
            if verdict == 'survived':
                survivors.append(mutant)
            if verbose or verdict not in ('caught', 'allowed'):
                print(f'{verdict:10} {mutant.path}:{mutant.line} ({mutant.kind}): {mutant.after}', flush=True)
            spent = time.monotonic() - begin
            if spent - told > 10.0 or done == len(chosen):
                told = spent
                print(f'mutate: {done} of {len(chosen)}, {spent:.0f} s', flush=True)
    return counts, survivors


def main():
    parser = argparse.ArgumentParser(prog='tools/mutate_objectives.sh')
    parser.add_argument('build', help=argparse.SUPPRESS)
    parser.add_argument('--sample', type=int, metavar='N', help='only N mutants, drawn at random')
    parser.add_argument('--seed', type=int, default=1, help='of that draw (default: 1)')
    parser.add_argument('--only', default='', metavar='TEXT', help='only of source files whose path contains TEXT')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='mutants at a time (default: processors)')
    parser.add_argument('--list', action='store_true', help='print the mutants and try none')
    parser.add_argument('--verbose', action='store_true', help='print those that are caught, too')
    args = parser.parse_args()
    paths = [p for p in SOURCES + sorted(map(str, pathlib.Path().glob(GLOB))) if args.only in p]
    chosen = [m for path in paths for m in mutants_of(path)]
    allowed = read_allowed()
    stale = [key for key in allowed if args.only in key[0] and key not in {(m.path, m.after) for m in chosen}]
    for path, after in stale:
        print(f'mutate: {ALLOWED} excuses what is no mutant: {path}: {after}')
    if args.sample and args.sample < len(chosen):
        chosen = random.Random(args.seed).sample(chosen, args.sample)
    if args.list:
        for m in chosen:
            print(f'{m.path}:{m.line} ({m.kind}): {m.before}  ->  {m.after}')
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        counts, survivors = try_all(Bench(args.build, scratch), chosen, allowed, args.jobs, args.verbose)
    tried, caught = len(chosen) - counts['no program'], counts['caught'] + counts['too slow']
    print(f'mutate: of {tried} mutants {caught} were caught ({counts["too slow"]} of them by the time they took), '
          f'{counts["allowed"]} are excused in {ALLOWED}, {len(survivors)} survived'
          + (f'; {counts["no program"]} did not compile' if counts['no program'] else ''))
    return 1 if survivors or stale else 0


if __name__ == '__main__':
    sys.exit(main())
