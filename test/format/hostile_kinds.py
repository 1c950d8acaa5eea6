"""Deltas with what is offered to maxima and the like, with sets, and with writes that name others: as in hostile.py."""

import math
import struct

import change as form
from change import ROOT
from hostile import ACTOR, MALFORMED, OTHER, REFUSED, TAKEN, change, delta, following, id_of, rows
from msgpack import Time, write

KINDS = (('map', 16), ('list', 17), ('text', 18), ('counter', 19), ('max', 20), ('min', 21), ('first', 22), ('set', 23), ('growing', 24))
IDS = {name: form.child_id(ROOT, kind, 0, name) for name, kind in KINDS}
SETUP = rows(sum(([0x0a, kind, 1] for _, kind in KINDS), []), '', sum(([name, 0] for name, _ in KINDS), []))
OFFERS, SETS = ('max', 'min', 'first'), ('set', 'growing')


def then(name, verdict, container, numbers, values):
    return name, verdict, [delta(SETUP, following(numbers, '', values, IDS.get(container, container)))]


def offers():
    for container, _ in KINDS:
        yield then(f'an offer to a {container}', TAKEN if container in OFFERS + SETS else REFUSED, container, [0x51, 0, 1], [1])
        yield then(f'a member taken out of a {container}', TAKEN if container == 'set' else REFUSED, container, [0x61, 0, 1], [1])
    scalars = (None, True, 0, -1, 1 << 62, -(1 << 63), 0.5, -0.0, math.inf, -math.inf, math.nan, '', 'k', b'', b'\0', Time(0), Time(-1))
    for container in OFFERS + SETS:
        for value in scalars:
            is_number = isinstance(value, (int, float, Time)) and not isinstance(value, bool) and value == value
            fits = is_number or container not in ('max', 'min')
            yield then(f'{value!r} for a {container}', TAKEN if fits else REFUSED, container, [0x51, 0, 1], [value])
        for length, fits in ((1021, True), (1022, container == 'first')):
            if container in ('max', 'min'):
                break
            for text in ('x' * length, b'x' * length):
                yield then(f'{type(text).__name__} of {length} bytes for a {container}', TAKEN if fits else REFUSED, container, [0x51, 0, 1], [text])
        yield then(f'an array for a {container}', MALFORMED, container, [0x51, 0, 1], [[]])
    for length, verdict in ((1021, TAKEN), (1022, REFUSED)):
        yield then(f'a member of {length} bytes taken out', verdict, 'set', [0x61, 0, 1], ['x' * length])
    for kind in (0x51, 0x61):
        yield then(f'a {kind:02x} at 1', MALFORMED, 'set', [kind, 1, 1], [1])
        yield then(f'two of {kind:02x} in a row', MALFORMED, 'set', [kind, 0, 2], [1, 2])
        yield then(f'two rows of {kind:02x}', TAKEN, 'set', [kind, 0, 1, kind, 0, 1], [1, 1])
        yield then(f'a {kind:02x} of nothing', MALFORMED, 'set', [kind, 0, 1], [])
    for container in OFFERS:
        hidden = following([0x40, 0, 1], containers=IDS[container])
        yield f'an offer to a {container} after an unknown kind', TAKEN, [delta(SETUP, hidden, following([0x51, 0, 1], '', ['x'], IDS[container]))]


def order():
    """Several offers in one delta, each of one change: both sides must show the same one."""
    numbers = [0, 0.0, -0.0, 1, 1.0, -1, -1.0, 0.5, (1 << 53) + 1, float(1 << 53), (1 << 63) - 1, float(1 << 63), -(1 << 63), -float(1 << 63),
               math.inf, -math.inf, 5e-324, Time(0), Time(-(1 << 63)), Time((1 << 63) - 1)]
    for container in ('max', 'min'):
        for i, a in enumerate(numbers):
            for b in numbers[:i]:
                for x, y in ((a, b), (b, a)):
                    yield then(f'{x!r} and {y!r} for a {container}', TAKEN, container, [0x51, 0, 1, 0x51, 0, 1], [x, y])
    for actors in ((ACTOR, OTHER), (OTHER, ACTOR)):
        offers = [change(ids=write(actor), rows=write([0x0a, 22, 1, 0x80 + 0x51, 0, 1]), tail=(write(''), write(['f', 0, actor]))) for actor in actors]
        yield f'two firsts, {actors[0][0]} before {actors[1][0]}', TAKEN, [delta(*offers)]


def name(id, index):
    return id + struct.pack('>I', index)


def names():
    put = following([2, 0, 1], '', ['k', 1])
    other = change(parents=write([2]), ids=write(OTHER), rows=write([2, 3, 1]), tail=(write(''), write(['k', 2])))
    base = [SETUP, put, other]
    ids = [id_of(*base[:2]), id_of(*base)]
    both = sorted(name(id, 0) for id in ids)

    def join(numbers, values, containers=ROOT):
        """A change on both writes."""
        return change(parents=write([2, 1]), ids=write(b''), number=b'\x02', containers=write(containers), rows=write(numbers),
                      tail=(write(''), write(values)))

    named = {'nothing': b'', 'one': both[0], 'the other': both[1], 'both': b''.join(both), 'what is not there': name(bytes(32), 0),
             'an operation that is not there': name(ids[0], 1), 'the highest index': name(ids[0], (1 << 32) - 1),
             'the change that made the map': name(id_of(SETUP), 0), 'many': b''.join(name(bytes([i]) * 32, i) for i in range(64))}
    for what, over in named.items():
        yield f'a put over {what}', TAKEN, [delta(*base, join([3, 1, 1], ['k', 5, over]))]
        yield f'a deletion of {what}', TAKEN, [delta(*base, join([0x12, 0, 1], ['k', over]))]
        yield f'a put over {what} at another key', TAKEN, [delta(*base, join([3, 0, 1], ['l', 5, over]))]
        yield f'a put over {what} twice', TAKEN, [delta(*base, join([3, 0, 1, 3, 0, 1], ['k', 5, over, 'k', 6, b'']))]
        yield f'a put over {what} and one over all', TAKEN, [delta(*base, join([3, 0, 1, 2, 0, 1], ['k', 5, over, 'k', 6]))]
        yield f'a put over all and one over {what}', TAKEN, [delta(*base, join([2, 0, 1, 3, 0, 1], ['k', 5, 'k', 6, over]))]
        yield f'a put over {what} by who has not seen the other', TAKEN, [delta(*base[:2], following([3, 0, 1], '', ['k', 5, over]), change(
            parents=write([3]), ids=write(OTHER), rows=write([2, 0, 1]), tail=(write(''), write(['k', 2]))))]
        yield f'an element over {what}', TAKEN, [delta(SETUP, following([1, 0, 1], '', [1], IDS['list']), following([0x22, 0, 1], '', [5, over], IDS['list']))]
    wrong = {'half a name': both[0][:35], 'no order': b''.join(reversed(both)), 'one twice': both[0] * 2,
             'too many': b''.join(name(bytes([i]) * 32, i) for i in range(65)), 'a text': 'x' * 36, 'nil': None}
    for what, over in wrong.items():
        yield f'a put with names: {what}', MALFORMED, [delta(*base, join([3, 0, 1], ['k', 5, over]))]
        yield f'a deletion with names: {what}', MALFORMED, [delta(*base, join([0x12, 0, 1], ['k', over]))]
        yield f'an element with names: {what}', MALFORMED, [delta(*base, join([0x22, 0, 1], [5, over], IDS['list']))]
    yield 'an element of a list that is empty', REFUSED, [delta(SETUP, following([0x22, 0, 1], '', [5, b''], IDS['list']))]
    yield 'a deletion with names at 1', MALFORMED, [delta(*base, join([0x12, 1, 1], ['k', b'']))]
    yield 'a key that is none', MALFORMED, [delta(*base, join([3, 0, 1], [1, 1, b'']))]
    for kind, values in ((3, ['k', 1, b''] * 2), (0x12, ['k', b''] * 2), (0x22, [1, b''] * 2)):
        yield f'two of {kind:02x} in a row', MALFORMED, [delta(*base, join([kind, 0, 2], values))]
        yield f'a {kind:02x} in a counter', REFUSED, [delta(SETUP, following([kind, 0, 1], '', values[:len(values) // 2], IDS['counter']))]


def all_cases():
    for cases in (offers, order, names):
        for what, verdict, deltas in cases():
            yield f'kinds: {what}', verdict, deltas
