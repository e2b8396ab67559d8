#!/usr/bin/env python3
"""Weights of the molecule reward: what the converter writes, and what it refuses.

usage: check_convert_molecule_reward.py FOLDER_OF_THE_TOOL
"""
import array
import gzip
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import types

sys.path.insert(0, sys.argv[1])
import convert_molecule_reward as tool  # noqa: E402

# As much of numpy as a pickle names, under its names; the arrays' own modules need not be there.
numpy, core, multiarray = (types.ModuleType(name) for name in ('numpy', 'numpy.core', 'numpy.core.multiarray'))


class dtype:
    def __init__(self, code, order):
        self.code, self.order = code, order

    def __reduce__(self):
        return dtype, (self.code, False, True), (3, self.order, None, None, None, -1, -1, 0)


class ndarray:
    def __init__(self, shape, data, code='f4', order='<', fortran=False):
        self.state = (1, shape, dtype(code, order), fortran, data)

    def __reduce__(self):
        return _reconstruct, (ndarray, (0,), b'b'), self.state


def _reconstruct(*_):
    raise AssertionError('only written here')


for thing, module in ((dtype, numpy), (ndarray, numpy), (_reconstruct, multiarray)):
    thing.__module__ = module.__name__
    thing.__qualname__ = thing.__name__
    setattr(module, thing.__name__, thing)
sys.modules.update({'numpy': numpy, 'numpy.core': core, 'numpy.core.multiarray': multiarray})

folder = tempfile.TemporaryDirectory()
INPUT, OUTPUT = (os.path.join(folder.name, name) for name in ('input', 'out.safetensors'))


def convert(data):
    with open(INPUT, 'wb') as file:
        file.write(data)
    if os.path.exists(OUTPUT):
        os.remove(OUTPUT)
    return subprocess.run([sys.executable, os.path.join(sys.argv[1], 'convert_molecule_reward.py'), INPUT, OUTPUT],
                          capture_output=True, text=True, check=False)


def refused(data, message):
    done = convert(data)
    expected = f'convert_molecule_reward: {INPUT}: {message}'
    assert done.returncode == 1 and done.stderr.strip().startswith(expected), (expected, done.stderr)
    assert done.stderr.count('\n') == 1 and not os.path.exists(OUTPUT)


def packed(arrays):
    return gzip.compress(pickle.dumps(arrays, protocol=3), 1)


def numbers(count, first):
    return array.array('f', [math.sin(first + i) for i in range(count)]).tobytes()


parts = [numbers(math.prod(shape), 7 * i) for i, (_, shape) in enumerate(tool.TENSORS)]
arrays = [ndarray(shape, data) for (_, shape), data in zip(tool.TENSORS, parts)]


def changed(i, *args, **kwargs):
    return packed(arrays[:i] + [ndarray(*args, **kwargs)] + arrays[i + 1:])


# Both forms give the same file, which holds the arrays under their names, but for the unused head.
written = []
for form in packed(arrays), b''.join(parts):
    done = convert(form)
    assert done.returncode == 0 and done.stdout == f'{OUTPUT}: 18 tensors\n', done.stderr
    with open(OUTPUT, 'rb') as file:
        written.append(file.read())
assert written[0] == written[1]
(length,) = struct.unpack('<Q', written[0][:8])
header, data = json.loads(written[0][8:8 + length]), written[0][8 + length:]
assert length % 8 == 0 and len(header) == 19
for (name, shape), part in zip(tool.TENSORS, parts):
    if name.startswith(('lin1.', 'lin2.')):
        assert name not in header
        continue
    begin, end = header[name]['data_offsets']
    assert header[name]['dtype'] == 'F32' and header[name]['shape'] == list(shape)
    assert data[begin:end] == part

refused(packed([os.system]), f'the pickle names {os.system.__module__}.system, which is no part of an array')
refused(packed([print]), 'the pickle names builtins.print, which is no part of an array')
refused(packed(arrays[:21]), 'holds 21 things, expected a list of 22 arrays')
refused(packed({'lin0': 1}), 'holds dict, expected a list of 22 arrays')
refused(packed(arrays[:21] + [1.5]), 'element 21 is float, expected an array')
refused(changed(0, (71, 64), parts[0]), 'array 0 (lin0.weight) has shape (71, 64), expected (64, 71)')
refused(changed(3, (64,), parts[3][4:]), 'array 3 (conv.bias): shape and data disagree')
refused(changed(3, (64,), parts[3], order='>'), 'array 3 (conv.bias) is not of little-endian float32')
refused(changed(3, (64,), parts[3], code='i4'), 'array 3 (conv.bias) is not of little-endian float32')
refused(changed(2, (64, 64), parts[2], fortran=True), 'array 2 (conv.root) is not of little-endian float32')
nan = array.array('f', [math.nan]).tobytes()
refused(changed(21, (1,), nan), 'lin3.bias holds something that is not a finite number')
refused(packed(arrays)[:-9], 'broken gzip')
refused(gzip.compress(b'nonsense'), 'not a pickle of arrays')
refused(b''.join(parts)[:-4], 'holds 2798756 bytes, expected a gzipped pickle or 2798760 bytes of float32')
refused(b'', 'holds 0 bytes')
print('check_convert_molecule_reward: all as expected')
