"""Saved documents made by hand from one that is sound, with one thing wrong: what must become of each."""

from msgpack import write

MAGIC = b'dunlin doc'
DOCUMENT = bytes([0x11]) * 32
ACTOR = bytes([0xaa]) * 16


def state():
    """One actor has made one change: a counter `c`, and 5 added to it.  The id of the change is filled in by file()."""
    return [
        ACTOR, [1], [1],                     # actors
        [1, 2, 0, 4, 0], [0, 0, 1, 0, 0, 0], bytes(32),
        b'',                                 # void
        [0, 19, 2, 0], b'',                  # containers
        1, 1, 'c', 1, 1, 1, 0, 1,            # the root
        1, 5]                                # the counter


def history():
    return [
        [0], [1], [0], [], [], [], [1], [2], [], [], [0, 1], [1, 1], [1], [],
        [45], [38], [1], [201], [0], [1], write('c') + write(0) + write(5)]


def file(state, history, text=b'', gone=b'', version=1, lengths=None, tail=b''):
    sections = [text, b''.join(map(write, state)), b''.join(map(write, history)), gone]
    lengths = lengths or [[len(section)] * 2 for section in sections]
    numbers = b''.join(write(number) for pair in lengths for number in pair)
    return MAGIC + write(version) + write(DOCUMENT) + numbers + b''.join(sections) + tail


def with_id(state):
    """The state with the id that its change has: a refused guess tells it."""
    from change import Change, ROOT, build, child_id
    rows = [10, 19, 1, 49 + 128, 0, 1]
    return state[:5] + [Change(DOCUMENT, build(ACTOR, 0, [ROOT, rows, '', ['c', 0, 5]])).id] + state[6:]


def kinds():
    """Files of one change that makes a container and offers 5 to it: what the state may say of that."""
    from change import Change, ROOT, build
    code = 5 + 4 * 0x51
    shows = {20: ([1, 5], ([0], [1, 6], [2, 5, 5], [1, 'x'], [1, None], [1, 5, 5])), 21: ([1, 5], ([0], [1, 4], [1, 5.0])),
             22: ([1, 0, 5], ([0], [1, 0, 6], [1, 1, 5], [1, 2, 5], [2, 0, 5, 0, 5])),
             23: ([1, 5, 1, 0], ([1, 6, 1, 0], [1, 5, 0], [1, 5, 1, 1], [1, 5, 1, 2], [2, 5, 1, 0, 5, 1, 0], [1, [], 1, 0], [1, 'x' * 1022, 1, 0])),
             24: ([1, 5, 1, 0], ([1, 6, 1, 0],))}
    for kind, (sound, wrong) in shows.items():
        rows = [10, kind, 1, 0x51 + 128, 0, 1]
        id = Change(DOCUMENT, build(ACTOR, 0, [ROOT, rows, '', ['c', 0, 5]])).id
        head = state()[:5] + [id, b'', [0, kind, 2, 0]] + state()[8:17] + [1]
        past = history()[:15] + [[2 * kind], [1], [code]] + history()[18:]
        yield f'kind {kind}: sound', 'taken', file(head + sound, past)
        for fields in wrong:
            yield f'kind {kind}: {fields}', 'malformed', file(head + fields, past)
        yield f'kind {kind}: a removal', 'malformed', file(head + sound, changed(past, 17, [5 + 4 * 0x61]))
        yield f'kind {kind}: two operations in one', 'malformed', file(
            changed(changed(head, 3, [1, 3, 0, 5, 0]), 17, 2) + sound, past)


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
    sizes = [len(b''.join(map(write, fields))) for fields in (good, past)]
    yield 'a section longer packed', 'malformed', file(
        good, past, lengths=[[0, 0], [sizes[0] - 1, sizes[0]], [sizes[1]] * 2, [0, 0]])
    yield 'a section that is no frame', 'malformed', file(
        good, past, lengths=[[0, 0], [sizes[0] + 1, sizes[0]], [sizes[1]] * 2, [0, 0]])
    yield 'a section of more than a GiB', 'malformed', file(
        good, past, lengths=[[(1 << 30) + 1, 0], [sizes[0]] * 2, [sizes[1]] * 2, [0, 0]])
    yield 'a section that grows too much', 'malformed', file(
        good, past, lengths=[[32768, 0], [sizes[0]] * 2, [sizes[1]] * 2, [0, 0]])
    for name, at, value in STATES:
        yield 'state: ' + name, 'malformed', file(changed(good, at, value), past)
    for name, at, value in HISTORIES:
        yield 'history: ' + name, 'malformed', file(good, changed(past, at, value))
    yield from kinds()
    yield 'state: too short', 'malformed', file(good[:-1], past)
    yield 'state: too long', 'malformed', file(good + [0], past)
    yield 'history: too short', 'malformed', file(good, past[:-1])
    yield 'history: too long', 'malformed', file(good, past + [0])


STATES = [
    ('an actor of 15 bytes', 0, ACTOR[1:]), ('an actor without a change', 0, ACTOR + bytes(16)), ('no changes of an actor', 1, [0]),
    ('a number too many', 2, [2]), ('four totals', 3, [1, 2, 0, 4]), ('two changes', 3, [2, 2, 0, 4, 0]), ('three operations', 3, [1, 3, 0, 4, 0]),
    ('an unknown flag', 3, [1, 2, 0, 4, 4]), ('other values', 3, [1, 2, 0, 3, 0]), ('text', 3, [1, 2, 1, 4, 0]), ('no heads', 4, []),
    ('a head too early', 4, [1, 0, 1, 0, 0, 0]), ('a head of one operation', 4, [0, 0, 0, 0, 0, 0]), ('a head of nobody', 4, [0, 0, 1, 1, 0, 0]),
    ('a head of another lamport', 4, [0, 0, 1, 0, 0, 1]), ('a head of another number', 4, [0, 0, 1, 0, 1, 0]), ('half an id', 5, bytes(16)),
    ('void changes of 31 bytes', 6, bytes(31)), ('void changes that are not sorted', 6, bytes([1]) + bytes(63)),
    ('a void change twice', 6, bytes(64)), ('a parent that comes later', 7, [1, 19, 2, 0]), ('an unknown kind', 7, [0, 15, 2, 0]),
    ('a kind too high', 7, [0, 25, 2, 0]), ('another kind', 7, [0, 16, 2, 0]), ('a key that is not there', 7, [0, 19, 3, 0]),
    ('a generation that is not there', 7, [0, 19, 2, 1]), ('too few ids', 7, [0, 19, 1, 0]), ('too many ids', 8, bytes(16)),
    ('too few operations', 9, 0), ('two keys', 10, 2), ('another key', 11, 'd'), ('two writes', 13, 2),
    ('a write of another operation', 14, 0), ('a write before the first', 14, 2), ('a write of another class', 15, 1),
    ('a write of a container that is not there', 16, 2), ('another sum', 18, 6), ('a sum that is no number', 18, 'x'),
]

HISTORIES = [
    ('another actor', 0, [1]), ('two runs', 0, [0, 0]), ('no changes', 1, [0]), ('two changes', 1, [2]), ('a parent too many', 2, [2]),
    ('no newest change', 2, [1]), ('an actor of no parent', 3, [0]), ('a step back of no parent', 4, [0]), ('forks without the flag', 5, [1]),
    ('a length for two changes', 6, [2]), ('another length', 7, [1]), ('a time that stays', 9, [0]), ('a step of no time', 8, [0]),
    ('owners that are not there', 10, [0, 2]), ('an owner after itself', 10, [0, 0]), ('an empty owner', 11, [2, 0]),
    ('another child', 12, [0]), ('no child', 12, []), ('a child too many', 12, [1, 1]), ('half a void range', 13, [0]),
    ('an empty void range', 13, [0, 0]), ('another code', 14, [44]), ('a kind of a list', 14, [5 + 4 * 1]), ('a direction', 14, [46]),
    ('two operations', 16, [2]), ('none', 16, [0]), ('no log', 17, []), ('a code too high', 17, [5 + 4096]),
    ('an index below 0', 18, [1]), ('no values', 20, b''), ('other values', 20, write('d') + write(0) + write(5)),
    ('half a value', 20, write('c') + write(0) + b'\xcc'), ('values that go on', 20, write('c') + write(0) + write(5) + write(5)),
]
