"""Reads and prints vectors in the lines that make_vectors.c describes, and finds out by itself what becomes of their deltas."""

import sys

import agreement
import cursor
from delta import Newer, decode
from msgpack import FormatError
from state import Document


class Vector:
    def __init__(self, name):
        self.name = name
        self.document = b''
        self.deltas = []
        self.files = []  # (word, bytes): its compact forms
        self.cursors = []  # (container, bytes)
        self.lines = [f'name {name}']  # all of it, as it was read

    def verdict(self):
        """What became of its deltas, in one word: a well-formed delta may bring changes that are refused."""
        found = dict(line.split(' ', 1) for line in self.lines if line.startswith(('result', 'counts')))
        return 'refused' if found['counts'].split()[2] != '0' else found['result']


def parse(text):
    """The vectors of a text; lines that begin with # and empty ones are for the reader."""
    vectors = []
    for line in text.splitlines():
        if not line or line.startswith('#'):
            continue
        word, _, value = line.partition(' ')
        if word == 'name':
            vectors.append(Vector(value))
            continue
        vector = vectors[-1]
        vector.lines.append(line)
        if word == 'document':
            vector.document = bytes.fromhex(value)
        elif word == 'delta':
            vector.deltas.append(bytes.fromhex(value))
        elif word in ('saved', 'packed', 'file'):
            vector.files.append((word, bytes.fromhex(value)))
        elif word == 'cursor':
            vector.cursors.append(tuple(map(bytes.fromhex, value.split()[:2])))
    return vectors


def unparse(name, document, deltas):
    """The part of a vector that a decoder needs."""
    lines = [f'name {name}', f'document {document.hex()}'] + [f'delta {delta.hex()}' for delta in deltas]
    return '\n'.join(lines) + '\n'


def judge(vector):
    """The lines of the vector, with results of this decoder alone."""
    document, result = Document(vector.document), 'taken'
    for delta in vector.deltas:
        try:
            changes, result = decode(vector.document, delta), 'taken'
        except FormatError:
            changes, result = [], 'malformed'
        except Newer:
            changes, result = [], 'newer'
        for change in changes:
            document.add(change)
    lines = unparse(vector.name, vector.document, vector.deltas).splitlines()
    lines.append(f'result {result}')
    lines.append(f'counts {len(document.accepted)} {len(document.pending)} {document.refused}')
    lines += [f'change {id.hex()}' for id in sorted(document.applied)]
    lines.append(f'hash {document.hash().hex()}')
    for word, file in vector.files:  # there is no second writer: what is read must be this document
        why = agreement.difference(file, document)
        lines.append(f'{word} {why or file.hex()}')
    for container, data in vector.cursors:
        lines.append(f'cursor {container.hex()} {data.hex()} {cursor.judge(document, container, data)}')
    return lines


def judge_file(vector):
    """The lines of a vector that has a file alone, with results of this decoder."""
    file = vector.files[0][1]
    lines = [f'name {vector.name}', f'file {file.hex()}']
    try:
        document = agreement.open(file)
    except FormatError:
        return lines + ['result malformed']
    except Newer:
        return lines + ['result newer']
    lines.append('result taken')
    lines += [f'change {id.hex()}' for id in sorted(document.applied)]
    return lines + [f'hash {document.hash().hex()}']


def main():
    """Makes vectors.txt anew: make_vectors | vectors.py > vectors.txt, with TEST_RUNS=3."""
    print('# Vectors that both decoders check, so that the format cannot drift unnoticed: the lines are described in make_vectors.c.')
    print('# A change of the format makes them anew (see vectors.py), and says so in the changelog.')
    for vector in parse(sys.stdin.read()):
        if sum(map(len, vector.lines)) < 40000:  # the others are only long
            print('', *vector.lines, sep='\n')


if __name__ == '__main__':
    main()
