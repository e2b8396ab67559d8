#!/usr/bin/env python3
"""Checks what the documentation says of the tree.

In every *.md: relative links lead to files, and their #anchors to headings; in blocks of commands, files
of the tree, targets of make, programs and verbs of fluvial are there. docs/README.md has a link to
every page in docs/. The rooms of CONTRIBUTING.md are those of tools/check_includes.py, with the same arrows.

usage: check_docs.py [--self-test]
Prints FILE:LINE: what is wrong, and exits with 1 when there is anything.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import check_includes

LINK = re.compile(r'\]\(([^)\s]+)\)')
FENCE = re.compile(r'^\s*```(\w*)')
FILE = re.compile(r'(?<![\w./-])((?:tools|configs|examples|docs|bench|cli|\.ci)/[\w./-]+)')
PROGRAM = re.compile(r'(?<![\w./-])build/(bench|examples)/(\w+)')
VERB = re.compile(r'(?<![\w/-])(?:build/)?fluvial ([a-z]\w*)')
MAKE = re.compile(r'^\s*make ([a-z][a-z ]*)')
INLINE = re.compile(r'build/|fluvial |tools/|make |configs/|examples/')  # is a command, between ` and `
ROW = re.compile(r'^\| (`[^|]*) \|[^|]*\| ([^|]*) \|$')


def files(root):
    """Of the working tree, without what git ignores; of a copy of it, all."""
    if not (root / '.git').exists():
        return sorted(str(one.relative_to(root)) for one in root.rglob('*') if one.is_file())
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                            cwd=root, text=True, capture_output=True, check=True).stdout.split('\0')
    return sorted(one for one in set(listed) if one and (root / one).is_file())


def pages(root):
    return [one for one in files(root) if one.endswith('.md')]


def anchors(text):
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r'^#+ +(.*?)\s*$', re.sub(r'^```.*?^```', '', text, flags=re.M | re.S), re.M)
    return {re.sub(r'[^\w\- ]', '', one.lower()).replace(' ', '-') for one in headings}


def check_link(root, page, link):
    if re.match(r'[a-z]+:', link):
        return None
    path, _, anchor = link.partition('#')
    target = root / page if not path else (root / page).parent / path
    if not target.exists():
        return f'{link}: there is no such file'
    if anchor and anchor not in anchors(target.read_text(encoding='utf-8')):
        return f'{link}: {target.name} has no such heading'
    return None


def check_command(root, line):
    """What a line of a block of commands names and is not there."""
    line = re.sub(r'\s#.*', '', line)
    made = '' if '>' not in line else line.split('>', 1)[1]  # a file that the line writes
    made += ' '.join(re.findall(r'--out (\S+)', line))
    for file in FILE.findall(line):
        if not (root / file.rstrip('.')).exists() and file not in made:
            yield f'{file}: there is no such file'
    for folder, name in PROGRAM.findall(line):
        if not (root / folder / f'{name}.c').exists():
            yield f'build/{folder}/{name}: there is no {folder}/{name}.c'
    for verb in VERB.findall(line):
        if not (root / 'cli' / f'verb_{verb}.c').exists():
            yield f'fluvial {verb}: there is no such verb'
    make = MAKE.match(line)
    targets = re.findall(r'^([a-z]+):', (root / 'Makefile').read_text(encoding='utf-8'), re.M)
    for target in make[1].split() if make else []:
        if target not in targets:
            yield f'make {target}: there is no such target'


def check_page(root, page):
    language = None  # of the block of code that the line is in; None: prose
    for number, line in enumerate((root / page).read_text(encoding='utf-8').splitlines(), 1):
        fence = FENCE.match(line)
        if fence:
            language = fence[1] if language is None else None
            continue
        if language is None:
            for link in LINK.findall(re.sub(r'`[^`]*`', '', line)):
                why = check_link(root, page, link)
                if why:
                    yield f'{page}:{number}: {why}'
            commands = [one for one in re.findall(r'`([^`]+)`', line) if INLINE.match(one)]
        else:
            commands = [line] if language == 'sh' else []
        for command in commands:
            for why in check_command(root, command):
                yield f'{page}:{number}: {why}'


def check_index(root):
    """Every page of docs/ is in docs/README.md."""
    linked = set(LINK.findall((root / 'docs/README.md').read_text(encoding='utf-8')))
    for page in sorted((root / 'docs').rglob('*.md')):
        name = str(page.relative_to(root / 'docs'))
        if name != 'README.md' and name not in linked:
            yield f'docs/README.md:1: no link to {name}'


def check_rooms(root):
    """The table of CONTRIBUTING.md against MAY_INCLUDE."""
    said = {}
    for number, line in enumerate((root / 'CONTRIBUTING.md').read_text(encoding='utf-8').splitlines(), 1):
        row = ROW.match(line)
        for room in re.findall(r'`(?:src/)?(\w+)`', row[1]) if row else []:
            words = re.sub(r'\([^)]*\)', '', row[2])
            seen = {one.strip() for one in words.split(',')} - {'nothing of ours', 'public headers'}
            everything = seen & {'everything in src', 'everything'}
            said[room] = number, set(check_includes.SRC) if everything else seen
    for room, seen in check_includes.MAY_INCLUDE.items():
        if room not in said:
            yield f'CONTRIBUTING.md:1: no row for {room}'
        elif said[room][1] - {room} != set(seen) - {room}:
            rooms = ', '.join(sorted(seen)) or 'nothing'
            yield f'CONTRIBUTING.md:{said[room][0]}: by tools/check_includes.py, {room} may include {rooms}'
    for room in sorted(set(said) - set(check_includes.MAY_INCLUDE)):
        yield f'CONTRIBUTING.md:{said[room][0]}: tools/check_includes.py knows no room {room}'


def check_tree(root):
    faults = [one for page in pages(root) for one in check_page(root, page)]
    return faults + list(check_index(root)) + list(check_rooms(root))


PLANTS = [  # page, what is added to it
    ('README.md', '[a](docs/nowhere.md)'),
    ('docs/cli.md', '[a](../docs/engine.md#no-such-heading)'),
    ('README.md', '```sh\nbuild/fluvial nothing\n```'),
    ('README.md', '```sh\nmake nothing\n```'),
    ('README.md', '```sh\ntools/nothing.sh\n```'),
    ('README.md', 'see `build/bench/nothing`'),
    ('docs/new.md', '# A page that is not listed'),
    ('CONTRIBUTING.md', '| `src/stray` | what | base |'),
    ('CONTRIBUTING.md', '| `src/nn` | networks | base, learn |'),
]


def self_test(root):
    if check_tree(root):
        print('self-test: the tree itself has faults; run without --self-test first')
        return 1
    wrong = 0
    listed = files(root)
    for page, text in PLANTS:
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / 'tree'
            for file in listed:
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / file, copy / file)
            with (copy / page).open('a', encoding='utf-8') as stream:
                stream.write(f'\n{text}\n')
            faults = check_tree(copy)
        if len(faults) != 1:
            wrong += 1
            print(f'self-test: {text!r} in {page} should be one fault: got {faults}')
    print(f'check_docs: self-test of {len(PLANTS)} planted faults: '
          + (f'{wrong} went wrong' if wrong else 'all found'))
    return 1 if wrong else 0


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    if sys.argv[1:] == ['--self-test']:
        return self_test(root)
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    faults = check_tree(root)
    for one in faults:
        print(one)
    print(f'check_docs: {len(pages(root))} pages, {len(faults)} faults')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
