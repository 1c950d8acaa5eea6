"""Saved documents made by hand from one that is sound, with one thing wrong: what must become of each."""

from msgpack import write

MAGIC = b'dunlin doc'
DOCUMENT = bytes([0x11]) * 32
ACTOR = bytes([0xaa]) * 16


class Raw:
    """Bytes that stand in a section as they are."""

    def __init__(self, data):
        self.data = data


def state():
    """One actor has made one change: a counter `c`, and 5 added to it.  The id of the change is filled in by with_id()."""
    return [
        1, 1, 1, Raw(b'c'),                  # keys
        ACTOR, 1, 1,                         # actors
        1, 2, 0, 4, 0,                       # totals
        1, 0, 0, 1, 0, 0, 0, Raw(bytes(32)), # heads
        b'',                                 # void
        [0, 19, 2, 0], b'',                  # containers
        1, 1,                                # the root
        1, 5,                                # the counter
        0, 1, 1, 0, 1, 1, 0, Raw(bytes([8])), 1, 2]  # the root's one write


def history():
    return [
        [0], [1], [0], [], [], [], [1], [2], [], [], [0, 1], [1, 1], [1], [],
        [45], [38], [1], [201], [0], [1],
        0, 0, 0, 1, 5]


def section(fields):
    return b''.join(field.data if isinstance(field, Raw) else write(field) for field in fields)


def file(state, history, text=b'', gone=b'', version=1, lengths=None, tail=b''):
    sections = [text, section(state), section(history), gone]
    lengths = lengths or [[len(data)] * 2 for data in sections]
    numbers = b''.join(write(number) for pair in lengths for number in pair)
    return MAGIC + write(version) + write(DOCUMENT) + numbers + b''.join(sections) + tail


def with_id(state):
    """The state with the id that its change has: a refused guess tells it."""
    from change import Change, ROOT, build, child_id
    rows = [10, 19, 1, 49 + 128, 0, 1]
    return changed(state, 19, Raw(Change(DOCUMENT, build(ACTOR, 0, [ROOT, rows, '', ['c', 0, 5]])).id))


def kinds():
    """Files of one change that makes a container and offers 5 to it: what the state may say of that."""
    from change import Change, ROOT, build
    code = 5 + 4 * 0x51
    shows = {20: ([1, 5], ([0], [1, 6], [2, 5, 5], [1, 'x'], [1, None], [1, 5, 5])), 21: ([1, 5], ([0], [1, 4], [1, 5.0])),
             22: ([1, 0, 5], ([0], [1, 0, 6], [1, 1, 5], [1, 2, 5], [2, 0, 5, 0, 5])),
             23: ([1, 5, 1, 0], ([1, 6, 1, 0], [1, 5, 0], [1, 5, 1, 1], [1, 5, 1, 2], [1, 5, 2, 0, 0], [2, 5, 1, 0, 5, 1, 0], [1, [], 1, 0], [1, 'x' * 1022, 1, 0])),
             24: ([1, 5, 1, 0], ([1, 6, 1, 0],))}
    for kind, (sound, wrong) in shows.items():
        rows = [10, kind, 1, 0x51 + 128, 0, 1]
        id = Change(DOCUMENT, build(ACTOR, 0, [ROOT, rows, '', ['c', 0, 5]])).id
        head, foot = changed(changed(state(), 19, Raw(id)), 21, [0, kind, 2, 0])[:26], state()[27:]
        past = history()[:15] + [[2 * kind], [1], [code]] + history()[18:23] + [Raw(bytes([2])), 1, 5]
        yield f'kind {kind}: sound', 'taken', file(head + sound + foot, past)
        for fields in wrong:
            yield f'kind {kind}: {fields}', 'malformed', file(head + fields + foot, past)
        yield f'kind {kind}: a removal', 'malformed', file(head + sound + foot, changed(past, 17, [5 + 4 * 0x61]))
        yield f'kind {kind}: two operations in one', 'malformed', file(
            changed(changed(changed(head, 8, 3), 10, 5), 25, 2) + sound + foot, past)


def changed(fields, at, value):
    return fields[:at] + [value] + fields[at + 1:]


def all_cases():
    """Name, verdict, file."""
    good, past = with_id(state()), history()
    yield 'sound', 'taken', file(good, past)
    yield 'nothing', 'malformed', b''
    yield 'another magic', 'malformed', b'x' + file(good, past)[1:]
    yield 'version 0', 'malformed', file(good, past, version=0)
    yield 'version 2', 'newer', file(good, past, version=2)
    yield 'a version of two bytes', 'malformed', file(good, past).replace(MAGIC + bytes([1]), MAGIC + bytes([0xcc, 1]))
    yield 'a byte at the end', 'malformed', file(good, past, tail=b'x')
    yield 'text that no text shows', 'malformed', file(good, past, text=b'x')
    yield 'text that nobody deleted', 'malformed', file(good, past, gone=b'x')
    sizes = [len(section(fields)) for fields in (good, past)]
    yield 'a section longer packed', 'malformed', file(
        good, past, lengths=[[0, 0], [sizes[0] - 1, sizes[0]], [sizes[1]] * 2, [0, 0]])
    yield 'a section that is no frame', 'malformed', file(
        good, past, lengths=[[0, 0], [sizes[0] + 1, sizes[0]], [sizes[1]] * 2, [0, 0]])
    yield 'a section of more than a GiB', 'malformed', file(
        good, past, lengths=[[(1 << 30) + 1, 0], [sizes[0]] * 2, [sizes[1]] * 2, [0, 0]])
    yield 'a section that grows too much', 'malformed', file(
        good, past, lengths=[[65537 + 16000 * (sum(sizes) + 1), 1], [sizes[0]] * 2, [sizes[1]] * 2, [0, 0]], tail=b'x')
    yield 'a state that grows too much', 'malformed', file(
        good, past, lengths=[[0, 0], [65537 + 384 * sum(sizes), sizes[0]], [sizes[1]] * 2, [0, 0]])
    for name, at, value in STATES:
        yield 'state: ' + name, 'malformed', file(changed(good, at, value), past)
    for name, at, value in HISTORIES:
        yield 'history: ' + name, 'malformed', file(good, changed(past, at, value))
    yield 'forks that are not there', 'malformed', file(changed(good, 11, 2), changed(past, 5, [0]))  # all else is as with forks
    yield from kinds()
    yield 'state: too short', 'malformed', file(good[:-1], past)
    yield 'state: too long', 'malformed', file(good + [0], past)
    yield 'history: too short', 'malformed', file(good, past[:-1])
    yield 'history: too long', 'malformed', file(good, past + [0])


STATES = [
    ('no keys', 0, 0), ('two keys in the list', 0, 2), ('a key of two bytes', 2, 2), ('a key of none', 2, 0), ('a width of 9', 1, 9),
    ('a width too large', 1, Raw(bytes([2, 0]))), ('a key that is no text', 3, Raw(b'\xff')), ('another key', 3, Raw(b'd')),
    ('an actor of 15 bytes', 4, ACTOR[1:]), ('an actor without a change', 4, ACTOR + bytes(16)), ('no changes of an actor', 5, 0),
    ('a number too many', 6, 2), ('no number', 6, 0), ('two changes', 7, 2), ('three operations', 8, 3), ('text', 9, 1),
    ('other values', 10, 3), ('more values', 10, 5), ('too many values', 10, (1 << 30) + 1), ('an unknown flag', 11, 4), ('no heads', 12, 0), ('two heads', 12, 2),
    ('a head too early', 13, 1), ('a head that ends early', 14, 1), ('a head of one operation', 15, 0), ('a head of nobody', 16, 1),
    ('a head of another number', 17, 1), ('a head of another lamport', 18, 1), ('half an id', 19, Raw(bytes(16))),
    ('void changes of 31 bytes', 20, bytes(31)), ('void changes that are not sorted', 20, bytes([1]) + bytes(63)),
    ('a void change twice', 20, bytes(64)), ('a parent that comes later', 21, [1, 19, 2, 0]), ('an unknown kind', 21, [0, 15, 2, 0]),
    ('a kind too high', 21, [0, 25, 2, 0]), ('another kind', 21, [0, 16, 2, 0]), ('a key that is not there', 21, [0, 19, 3, 0]),
    ('a generation that is not there', 21, [0, 19, 2, 1]), ('too few ids', 21, [0, 19, 1, 0]), ('too many ids', 22, bytes(16)),
    ('too few operations', 23, 0), ('two registers', 24, 2), ('no registers', 24, 0), ('another sum', 26, 6), ('a sum that is no number', 26, 'x'),
    ('a key past the last', 27, Raw(bytes([1, 1]))), ('no generation', 28, Raw(bytes([0]))), ('another generation', 29, 2),
    ('two writes', 30, Raw(bytes([1, 2]))), ('no write', 30, Raw(bytes([1, 1]))), ('more writes than operations', 30, Raw(bytes([1, 3]))),
    ('a way that is not known', 31, 49), ('a write of another operation', 32, 0), ('a write before the first', 32, 2),
    ('a write of another class', 33, Raw(bytes([1, 1]))), ('a scalar', 34, Raw(bytes([0]))), ('a tag that is not known', 34, Raw(bytes([9]))),
    ('a width of 0 bytes', 35, 0), ('a write of the root', 36, 0), ('a write of a container that is not there', 36, 4),
]

HISTORIES = [
    ('another actor', 0, [1]), ('two runs', 0, [0, 0]), ('no changes', 1, [0]), ('two changes', 1, [2]), ('a parent too many', 2, [2]),
    ('no newest change', 2, [1]), ('an actor of no parent', 3, [0]), ('a step back of no parent', 4, [0]), ('forks without the flag', 5, [1]),
    ('a length for two changes', 6, [2]), ('another length', 7, [1]), ('a time that stays', 9, [0]), ('a step of no time', 8, [0]),
    ('owners that are not there', 10, [0, 2]), ('an owner after itself', 10, [0, 0]), ('an empty owner', 11, [2, 0]),
    ('another child', 12, [0]), ('no child', 12, []), ('a child too many', 12, [1, 1]), ('half a void range', 13, [0]),
    ('an empty void range', 13, [0, 0]), ('another code', 14, [44]), ('a kind of a list', 14, [5 + 4 * 1]), ('a direction', 14, [46]), ('no effect without the flag', 14, [45 + 2048]),
    ('two operations', 16, [2]), ('none', 16, [0]), ('no log', 17, []), ('a code too high', 17, [5 + 4096]),
    ('an index below 0', 18, [1]), ('a key of the state again', 20, Raw(bytes([1, 1, 1]) + b'c')),
    ('a key that nobody uses', 20, Raw(bytes([1, 1, 1]) + b'd')), ('keys that are not sorted', 20, Raw(bytes([2, 0, 1, 1, 1]) + b'ba')),
    ('a key that shares more', 20, Raw(bytes([2, 0, 1, 1, 2]) + b'aab')), ('a key that is not there', 21, Raw(bytes([1, 1]))),
    ('another generation', 22, Raw(bytes([1, 1]))), ('no amount', 23, 0), ('another amount', 24, 6), ('half an amount', 23, 2),
]
