#!/usr/bin/env python3
"""Converts the published weights of the molecule synthesis reward to safetensors, as src/reward/mpnn.h reads them.

usage: convert_molecule_reward.py INPUT OUTPUT.safetensors

INPUT is best_params.pkl.gz as published (a gzipped pickle of a list of 22 float32 arrays), or their numbers alone,
little-endian float32 one array after the other (proxy_params.f32). The four arrays of the stem head, which the reward
does not use, are left out. Needs the standard library only: the pickle is read without numpy, and nothing in it can name
anything but the parts of an array, so a file from a stranger can do no harm.
"""
import array
import gzip
import io
import json
import math
import os
import pickle
import struct
import sys

D, F, E, A = 64, 71, 128, 4  # width, feature columns, units and attribute columns of the edge network
TENSORS = [  # in the order of the published list; names are those of a PyTorch state_dict
    ('lin0.weight', (D, F)),
    ('lin0.bias', (D,)),
    ('conv.root', (D, D)),
    ('conv.bias', (D,)),
    ('conv.nn.0.weight', (E, A)),
    ('conv.nn.0.bias', (E,)),
    ('conv.nn.2.weight', (D * D, E)),
    ('conv.nn.2.bias', (D * D,)),
    ('gru.weight_ih_l0', (3 * D, D)),
    ('gru.weight_hh_l0', (3 * D, D)),
    ('gru.bias_ih_l0', (3 * D,)),
    ('gru.bias_hh_l0', (3 * D,)),
    ('lin1.weight', (512, D)),
    ('lin1.bias', (512,)),
    ('lin2.weight', (105, 512)),
    ('lin2.bias', (105,)),
    ('set2set.lstm.weight_ih_l0', (4 * D, 2 * D)),
    ('set2set.lstm.weight_hh_l0', (4 * D, D)),
    ('set2set.lstm.bias_ih_l0', (4 * D,)),
    ('set2set.lstm.bias_hh_l0', (4 * D,)),
    ('lin3.weight', (1, 2 * D)),
    ('lin3.bias', (1,)),
]
UNUSED = ('lin1.', 'lin2.')
LIMIT = 64 << 20  # bytes that an input may unpack to


class Refused(Exception):
    """Said in one line."""


class Dtype:
    """What a pickle says of numpy.dtype: its code and the order of its bytes."""

    def __init__(self, code, *_):
        self.code, self.order = code, '='

    def __setstate__(self, state):
        self.order = state[1]


class Array:
    """What a pickle says of numpy.ndarray."""

    shape, data = None, b''

    def __setstate__(self, state):
        _version, self.shape, self.dtype, self.fortran, self.data = state


ALLOWED = {
    ('numpy.core.multiarray', '_reconstruct'): lambda *_: Array(),
    ('numpy', 'ndarray'): Array,
    ('numpy', 'dtype'): Dtype,
}


class Unpickler(pickle.Unpickler):
    """Knows the three names that an array needs, and refuses every other."""

    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise Refused(f'the pickle names {module}.{name}, which is no part of an array')
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        raise Refused('the pickle refers to something outside of itself')


def unpickle(data):
    """The bytes of each of the 22 arrays of a pickle."""
    try:
        arrays = Unpickler(io.BytesIO(data)).load()
    except Refused:
        raise
    except Exception as error:  # broken pickles raise whatever they come upon
        raise Refused(f'not a pickle of arrays: {error}') from None
    if not isinstance(arrays, list) or len(arrays) != len(TENSORS):
        found = f'{len(arrays)} things' if isinstance(arrays, list) else type(arrays).__name__
        raise Refused(f'holds {found}, expected a list of {len(TENSORS)} arrays')
    parts = []
    for number, (one, (name, shape)) in enumerate(zip(arrays, TENSORS)):
        if not isinstance(one, Array):
            raise Refused(f'element {number} is {type(one).__name__}, expected an array')
        if one.shape != shape:
            raise Refused(f'array {number} ({name}) has shape {one.shape}, expected {shape}')
        if not isinstance(one.dtype, Dtype) or one.dtype.code != 'f4' or one.dtype.order != '<' or one.fortran:
            raise Refused(f'array {number} ({name}) is not of little-endian float32 in C order')
        if not isinstance(one.data, bytes) or len(one.data) != 4 * math.prod(shape):
            raise Refused(f'array {number} ({name}): shape and data disagree')
        parts.append(one.data)
    return parts


def cut(data):
    """The same of the numbers alone."""
    sizes = [4 * math.prod(shape) for _, shape in TENSORS]
    if len(data) != sum(sizes):
        raise Refused(f'holds {len(data)} bytes, expected a gzipped pickle or {sum(sizes)} bytes of float32')
    begins = [sum(sizes[:i]) for i in range(len(sizes))]
    return [data[b:b + n] for b, n in zip(begins, sizes)]


def read(path):
    with open(path, 'rb') as file:
        data = file.read(LIMIT + 1)
    if data[:2] == b'\x1f\x8b':
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            try:
                data = file.read(LIMIT + 1)
            except (OSError, EOFError) as error:
                raise Refused(f'broken gzip: {error}') from None
        parts = unpickle(data) if len(data) <= LIMIT else None
    else:
        parts = cut(data) if len(data) <= LIMIT else None
    if parts is None:
        raise Refused('is too large')
    for (name, _), part in zip(TENSORS, parts):
        numbers = array.array('f', part)
        if sys.byteorder == 'big':
            numbers.byteswap()
        if not all(map(math.isfinite, numbers)):
            raise Refused(f'{name} holds something that is not a finite number')
    return parts


def write(path, parts):
    """8 bytes of header length, a JSON header padded to a multiple of 8, the data."""
    header, kept, end = {'__metadata__': {'network': 'molecule synthesis reward'}}, [], 0
    for (name, shape), part in zip(TENSORS, parts):
        if name.startswith(UNUSED):
            continue
        header[name] = {'dtype': 'F32', 'shape': list(shape), 'data_offsets': [end, end + len(part)]}
        end += len(part)
        kept.append(part)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    temporary = path + '.tmp'
    with open(temporary, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(kept))
    os.replace(temporary, path)
    return len(kept)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    source, target = sys.argv[1:]
    try:
        count = write(target, read(source))
    except Refused as error:
        sys.exit(f'convert_molecule_reward: {source}: {error}')
    except OSError as error:
        sys.exit(f'convert_molecule_reward: {error.filename}: {error.strerror}')
    print(f'{target}: {count} tensors')


if __name__ == '__main__':
    main()
