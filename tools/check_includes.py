#!/usr/bin/env python3
"""Include directions: reads every #include and fails when an arrow points the wrong way.

    tools/check_includes.py              check this tree, and that every public header compiles alone
    tools/check_includes.py --self-test  check that planted mistakes are found

Rooms are folders (CONTRIBUTING.md says what each is for). A room may include itself and the
rooms named here, and the public headers that belong to them.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SRC = ['base', 'nn', 'chem', 'env', 'reward', 'learn', 'exact', 'metrics', 'lab', 'io', 'synth', 'run']
MAY_INCLUDE = {
    'base': [],
    'nn': ['base'],
    'chem': ['base', 'io'],  # io: vocabularies come from a file
    'env': ['base', 'chem'],  # chem: fragments that molecules are joined from
    'metrics': ['base'],
    'io': ['base'],
    'reward': ['base', 'chem', 'env', 'io', 'nn'],  # io: array files, data tables, weights, programs; nn: matrix products
    'learn': ['base', 'nn', 'env', 'reward', 'metrics', 'io'],  # io: given objects come from a file
    'exact': ['base', 'env', 'reward', 'learn', 'metrics'],
    'lab': ['base', 'nn', 'env', 'reward', 'learn', 'exact', 'metrics'],
    'synth': ['base', 'io'],
    'run': SRC,
    'cli': [],
    'examples': [],
    'bench': ['base', 'nn', 'chem', 'reward', 'learn', 'io'],  # it counts flops, switches interning off, writes weights
    'tests': SRC,
    'fuzz': SRC,
}
SEES_EVERY_PUBLIC_HEADER = ['cli', 'examples', 'bench', 'tests', 'fuzz', 'run']

# The room that each public header speaks for.
PUBLIC = {
    'blas': 'nn',
    'status': 'base', 'version': 'base', 'config': 'base', 'tensor': 'base',
    'env': 'env', 'env_template': 'env',
    'reward': 'reward', 'molecule_reward': 'reward',
    'objective': 'learn', 'objects': 'learn', 'trainer': 'learn',
    'assess': 'exact', 'gradients': 'exact', 'molecule_eval': 'exact',
    'estimators': 'lab',
    'table': 'io',
    'synth': 'synth',
    'run': 'run', 'seeds': 'run', 'structure': 'run', 'fluvial': 'run',
}
# Included in the middle of a file that has set it up, so it does not compile alone.
TEMPLATES = ['env_template']

# Single arrows that go against the rule, with the reason.
EXCEPTIONS = {
    ('include/fluvial/table.h', 'fluvial/env.h'): 'flv_shape',
}

# Other people's headers that only some rooms may use: the library proper links BLAS, OpenMP,
# cJSON and xxHash alone.
FOREIGN = {
    'cblas.h': ['nn', 'bench', 'tests'],
    'omp.h': ['base', 'bench', 'tests'],
    'yaml.h': ['io', 'run', 'tests', 'fuzz'],
    'cJSON.h': ['chem', 'io', 'run', 'tests', 'fuzz'],
    'cmocka.h': ['tests'],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(relative):
    parts = relative.parts
    if parts[0] == 'src':
        return parts[1] if len(parts) > 2 else None
    if parts[0] == 'include':
        return PUBLIC.get(relative.stem)
    return parts[0]


def sources(root):
    for top in ['include', 'src', 'cli', 'examples', 'bench', 'tests', 'fuzz']:
        for path in sorted((root / top).rglob('*')):
            if path.suffix in ('.c', '.h'):
                yield path.relative_to(root)


def fault(root, file, room, quoted, target):
    """Why `file` may not include `target`, or None."""
    if (str(file), target) in EXCEPTIONS:
        return None
    if '..' in pathlib.PurePosixPath(target).parts:
        return 'a path with ..'
    first = target.split('/')[0]
    if first == 'fluvial':
        stem = pathlib.PurePosixPath(target).stem
        if stem not in PUBLIC:
            return 'not in the table PUBLIC of tools/check_includes.py'
        owner = PUBLIC[stem]
        if owner == room or owner in MAY_INCLUDE[room] or room in SEES_EVERY_PUBLIC_HEADER:
            return None
        return f'{room} may not know {owner}'
    if not quoted:
        rooms = FOREIGN.get(target.split('/')[-1])
        return f'only for {", ".join(rooms)}' if rooms and room not in rooms else None
    if file.parts[0] == 'include':
        return 'a public header includes public headers only'
    if first in SRC and '/' in target:
        if first == room or first in MAY_INCLUDE[room]:
            return None
        return f'{room} may not know {first}'
    if (root / file).parent.joinpath(target).is_file():
        return None
    return 'no such header (write "room/name.h" or "fluvial/name.h")'


def check_tree(root):
    faults = []
    for file in sources(root):
        room = room_of(file)
        if room not in MAY_INCLUDE:
            faults.append(f'{file}:1: belongs to no room that tools/check_includes.py knows')
            continue
        text = (root / file).read_text(encoding='utf-8')
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                why = fault(root, file, room, match[1] == '"', match[2])
                if why:
                    faults.append(f'{file}:{number}: includes {match[2]}: {why}')
    return faults


def check_alone(root):
    """Every public header compiles alone, twice in a row, as C17 and as C++17."""
    faults = []
    warnings = ['-Wall', '-Wextra', '-Wstrict-prototypes', '-Werror']
    for header in sorted((root / 'include' / 'fluvial').glob('*.h')):
        if header.stem in TEMPLATES:
            continue
        unit = f'#include "fluvial/{header.name}"\n' * 2
        for compiler, language, flags in [('gcc', 'c', ['-std=c17', *warnings]),
                                          ('g++', 'c++', ['-std=c++17', '-Wall', '-Wextra', '-Werror'])]:
            done = subprocess.run(
                [compiler, '-fsyntax-only', *flags, f'-I{root / "include"}', '-x', language, '-'],
                input=unit, text=True, capture_output=True, check=False)
            if done.returncode != 0:
                faults.append(f'include/fluvial/{header.name}: does not compile alone with {compiler}:\n'
                              + done.stderr.rstrip())
    return faults


PLANTS = [  # file, what is added to it, is it a fault?
    ('src/base/status.c', '#include "learn/policy.h"', True),
    ('src/base/status.c', '  #  include "fluvial/trainer.h"', True),
    ('src/base/status.c', '#include <fluvial/env.h>', True),
    ('src/nn/plant.c', '#include "env/hypergrid.h"', True),
    ('src/nn/plant.c', '#include <yaml.h>', True),
    ('src/nn/plant.c', '#include <cblas.h>', False),
    ('src/env/plant.h', '#include "nn/net.h"', True),
    ('src/env/plant.h', '#include "base/rng.h"', False),
    ('src/io/plant.c', '#include "run/run_dir.h"', True),
    ('src/learn/plant.c', '#include "exact/terminating.h"', True),
    ('src/learn/plant.c', '#include <cjson/cJSON.h>', True),
    ('src/learn/plant.c', '#include "nn/net.h"', False),
    ('src/stray/plant.c', '#include <math.h>', True),
    ('cli/plant.c', '#include "base/memory.h"', True),
    ('cli/plant.c', '#include "../src/base/memory.h"', True),
    ('cli/plant.c', '#include "nowhere.h"', True),
    ('cli/plant.c', '#include "fluvial/run.h"', False),
    ('bench/plant.c', '#include "run/run_dir.h"', True),
    ('examples/plant.c', '#include "nn/net.h"', True),
    ('include/fluvial/status.h', '#include "fluvial/run.h"', True),
    ('include/fluvial/status.h', '#include "base/memory.h"', True),
    ('include/fluvial/surprise.h', '', True),
]


def self_test(root):
    wrong = 0
    if check_tree(root):
        print('self-test: the tree itself has faults; run without --self-test first')
        return 1
    for file, line, is_fault in PLANTS:
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder)
            for top in ['include', 'src', 'cli', 'examples']:
                if (root / top).is_dir():
                    shutil.copytree(root / top, copy / top)
            target = copy / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open('a', encoding='utf-8') as stream:
                stream.write(f'\n{line}\n')
            faults = check_tree(copy)
        if bool(faults) != is_fault or any(not one.startswith(file) for one in faults):
            wrong += 1
            print(f'self-test: {line!r} in {file} should be {"refused" if is_fault else "accepted"}:'
                  f' got {faults}')
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        shutil.copytree(root / 'include', copy / 'include')
        (copy / 'include/fluvial/status.h').write_text('size_t n;\n', encoding='utf-8')
        if not check_alone(copy):
            wrong += 1
            print('self-test: a header that cannot compile alone was accepted')
    print(f'check_includes: self-test of {len(PLANTS) + 1} planted cases: '
          + (f'{wrong} went wrong' if wrong else 'all as expected'))
    return 1 if wrong else 0


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    if sys.argv[1:] == ['--self-test']:
        return self_test(root)
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    faults = check_tree(root) + check_alone(root)
    for one in faults:
        print(one)
    print(f'check_includes: {len(list(sources(root)))} files, {len(faults)} faults')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
