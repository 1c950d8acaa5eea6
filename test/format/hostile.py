"""Deltas that both decoders must refuse, or take though they look odd.

Each is the delta of one change that puts `k` = 1 into the root, with one thing about it changed.
"""

import change as form
from change import ROOT, Change
from delta import canonical
from msgpack import Time, read, write, write_array_head

DOCUMENT = bytes(range(32))
ACTOR = bytes([7]) + bytes(15)
OTHER = bytes([8]) + bytes(15)
MALFORMED, REFUSED, TAKEN, NEWER = 'malformed', 'refused', 'taken', 'newer'


def array(*elements):
    """An array of elements that are bytes already."""
    return write_array_head(len(elements)) + b''.join(elements)


def change(parents=b'\x90', ids=write(ACTOR), number=b'\x00', containers=write(ROOT), rows=write([2, 0, 1]),
           tail=(write(''), write(['k', 1]))):
    """A change in its full form within a delta; every part is given as encoded bytes."""
    return array(parents, ids, number, containers, rows, *tail)


def after(containers=b'\xc0', rows=write([2, 0, 1]), tail=(write(''), write(['k', 2]))):
    """A change in its short form: what follows the one before it."""
    return array(b'\xc0', containers, rows, *tail)


def delta(*changes, version=b'\x01'):
    return array(version, array(*changes))


def id_of(*encoded):
    """The id of the last of some changes of a delta."""
    changes = []
    for each in encoded:
        changes.append(Change(DOCUMENT, canonical(read(each), changes)))
    return changes[-1].id


def put(value):
    """The delta of a change whose value is these bytes."""
    return delta(change(tail=(write(''), write_array_head(2) + write('k') + value)))


def rows(numbers, text='', values=(), containers=ROOT):
    tail = (write(text), write(list(values))) if values else (write(text),) if text else ()
    return change(rows=write(numbers), tail=tail, containers=write(containers))


def following(numbers, text='', values=(), containers=ROOT):
    tail = (write(text), write(list(values))) if values else (write(text),) if text else ()
    return after(containers=write(containers), rows=write(numbers), tail=tail)


def encodings():
    """One encoding of each value."""
    longer = {
        'an integer in 8 bits': 'cc01', 'an integer in 16 bits': 'cd0001', 'an integer in 32 bits': 'ce00000001',
        'an integer in 64 bits': 'cf0000000000000001', 'a signed 1': 'd001', 'a signed 128': 'd10080',
        'a signed 2 to the 31': 'd30000000080000000', 'a long -1': 'd0ff', 'a long -32': 'd0e0', 'a long -33': 'd1ffdf',
        'a long -129': 'd2ffffff7f', 'a long -32769': 'd3ffffffffffff7fff', '16 bits of 255': 'cd00ff',
        '32 bits of 65535': 'ce0000ffff', '64 bits of 4294967295': 'cf00000000ffffffff', 'a long string': 'd90161',
        'a longer string': 'da000161', 'a longest string': 'db0000000161', 'a long bin': 'c5000161', 'a longer bin': 'c60000000161',
        'a float of 32 bits': 'ca3f800000', 'a negative NaN': 'cbfff8000000000000', 'a NaN with a payload': 'cb7ff8000000000001',
        'a signalling NaN': 'cb7ff0000000000001', 'a map': '80', 'a long map': 'de0000', 'an unused byte': 'c1',
        'an array as a value': '90', 'an extension of another type': 'd7020000000000000000', 'a time of 32 bits': 'd60100000000',
        'a time in a general extension': 'c708010000000000000000', 'a short extension': 'd40100', 'over int64': 'cf8000000000000000',
        'a stray continuation': 'a180', 'an overlong letter': 'a2c0af', 'a surrogate': 'a3eda080', 'a cut letter': 'a1c3',
        'over U+10ffff': 'a4f4908080', 'an overlong three': 'a3e08080', 'an overlong four': 'a4f0808080', 'a string cut short': 'a561',
    }
    for name, value in longer.items():
        yield name, MALFORMED, [put(bytes.fromhex(value))]
    shortest = ['7f', 'cc80', 'ccff', 'cd0100', 'ce00010000', 'cf0000000100000000', 'cf7fffffffffffffff', 'e0', 'd0df', 'd080', 'd1ff7f',
                'd18000', 'd2ffff7fff', 'd280000000', 'd3ffffffff7fffffff', 'd38000000000000000', 'c0', 'c2', 'c3', 'cb7ff8000000000000',
                'cb7ff0000000000000', 'cb8000000000000000', 'a0', 'a3efbfbf', 'c400', 'd7018000000000000000', 'a4f48fbfbf', 'a3ed9fbf']
    for value in shortest:
        yield f'the value {value}', TAKEN, [put(bytes.fromhex(value))]


def frames():
    """The delta and the change as arrays."""
    good = delta(change())
    yield 'the change that the others are made of', TAKEN, [good]
    yield 'nothing', MALFORMED, [b'']
    yield 'no array', MALFORMED, [b'\x01']
    yield 'no changes', TAKEN, [delta()]
    yield 'an array without changes', MALFORMED, [array(b'\x01')]
    yield 'a third element', MALFORMED, [array(b'\x01', array(change()), b'\x00')]
    yield 'trailing bytes', MALFORMED, [good + b'\x00']
    yield 'version 0', NEWER, [delta(change(), version=b'\x00')]
    yield 'version 2', NEWER, [delta(change(), version=b'\x02')]
    yield 'a version in a long form', MALFORMED, [delta(change(), version=b'\xcc\x01')]
    yield 'a version below zero', MALFORMED, [delta(change(), version=b'\xff')]
    yield 'an array in a long form', MALFORMED, [b'\xdc\x00\x02\x01' + array(change())]
    yield 'changes in a long form', MALFORMED, [b'\x92\x01\xdc\x00\x01' + change()]
    yield 'a change that is no array', MALFORMED, [delta(b'\x01')]
    yield 'a change of nothing', MALFORMED, [delta(b'\x90')]
    yield 'a change without rows', MALFORMED, [delta(array(b'\x90', write(ACTOR), b'\x00', write(ROOT)))]
    yield 'a ninth element', MALFORMED, [delta(change(tail=(write(''), write(['k', 1]), write(1), write(0))))]
    yield 'a seventh element after nil', MALFORMED, [delta(change(), after(tail=(write(''), write(['k', 1]), write(1), write(0))))]
    yield 'nil before any change', MALFORMED, [delta(after(containers=write(ROOT)))]
    yield 'nil containers before any change', MALFORMED, [delta(change(containers=b'\xc0'))]
    yield 'cut short', MALFORMED, [good[:-1]]
    for time, verdict in ((write(0), MALFORMED), (write(-1), TAKEN), (write(1 << 63), MALFORMED), (write(Time(1)), MALFORMED),
                          (write(-1 << 63), TAKEN), (b'\xc0', MALFORMED), (b'\xc2', MALFORMED)):
        yield f'the time {time.hex()}', verdict, [delta(change(tail=(write(''), write(['k', 1]), time)))]
    yield 'no values at the end', MALFORMED, [delta(rows([0x0a, 16, 1]), change(tail=(write(''), write([]))))]
    yield 'a type of text that is not str', MALFORMED, [delta(change(tail=(write(b''), write(['k', 1]))))]
    yield 'nil as the text', MALFORMED, [delta(change(tail=(b'\xc0', write(['k', 1]))))]
    yield 'values that are no array', MALFORMED, [delta(change(tail=(write(''), write('k'))))]


def references():
    """Parents, actors and numbers."""
    first, last = change(), bytes([0xff]) * 32
    yield 'no actor', MALFORMED, [delta(change(ids=write(b'')))]
    yield 'half an actor', MALFORMED, [delta(change(ids=write(ACTOR[:8])))]
    yield 'two actors', MALFORMED, [delta(change(ids=write(ACTOR + ACTOR)))]
    yield 'a parent that is not there', MALFORMED, [delta(change(parents=write([1])))]
    yield 'a parent too far back', MALFORMED, [delta(first, change(parents=write([2])))]
    yield 'a parent without an id', MALFORMED, [delta(change(parents=write([0])))]
    yield 'an id without a parent', MALFORMED, [delta(change(ids=write(last + ACTOR)))]
    yield 'a parent that is no number', MALFORMED, [delta(first, change(parents=write(['']), number=b'\x01'))]
    yield 'a negative parent', MALFORMED, [delta(first, change(parents=b'\x91\xff', number=b'\x01'))]
    yield 'parents as bytes', MALFORMED, [delta(first, change(parents=write(b''), number=b'\x01'))]
    yield 'ids as a string', MALFORMED, [delta(change(ids=write('0123456789abcdef')))]
    yield 'a first number of 1', REFUSED, [delta(change(number=b'\x01'))]
    yield 'a number below zero', MALFORMED, [delta(change(number=b'\xff'))]
    yield 'the highest number', REFUSED, [delta(change(number=write((1 << 63) - 1)))]
    yield 'a number over the highest', MALFORMED, [delta(change(number=write(1 << 63)))]
    yield 'a change after the highest number', MALFORMED, [delta(change(number=write((1 << 63) - 1)), after())]
    yield 'a number in a long form', MALFORMED, [delta(change(number=b'\xcc\x00'))]
    yield 'a number that is no number', MALFORMED, [delta(change(number=b'\xa0'))]
    yield 'waiting for a parent', TAKEN, [delta(change(parents=write([0]), ids=write(last), number=b'\x01'))]
    second = change(parents=write([1]), ids=write(b''), number=b'\x01', tail=(write(''), write(['k', 2])))
    yield 'the actor of its parent', TAKEN, [delta(first, second)]
    yield 'the same number again', REFUSED, [delta(first, change(parents=write([1]), ids=write(b''), number=b'\x00'))]
    yield 'a number passed over', REFUSED, [delta(first, change(parents=write([1]), ids=write(b''), number=b'\x02'))]
    yield 'an actor who is that of its parent', REFUSED, [delta(first, change(parents=write([1]), number=b'\x01'))]
    other = change(ids=write(OTHER))
    yield 'a parent of another without an actor', REFUSED, \
        [delta(first, other, change(parents=write([1, 2]), ids=write(b''), number=b'\x02'))]
    yield 'the parent of another as its own', TAKEN, [delta(first, other, change(parents=write([1, 2]), ids=write(b''), number=b'\x01'))]
    yield 'a parent twice', MALFORMED, [delta(first, change(parents=write([1, 1]), ids=write(b''), number=b'\x01'))]
    third = change(ids=write(bytes([9]) + bytes(15)))
    ids = [id_of(first), id_of(other)]
    for order in ([1, 2], [2, 1]):
        is_sorted = ids[-order[0]] < ids[-order[1]]
        named = change(parents=write(order), ids=write(bytes([10]) + bytes(15)))
        yield f'an actor after the parents {order}', TAKEN if is_sorted else MALFORMED, [delta(first, other, named)]
    by_id = sorted([2, 1], key=lambda back: [id_of(other), id_of(third)][-back])
    for order, verdict in ((by_id, TAKEN), (by_id[::-1], MALFORMED)):
        joined = change(parents=write([3] + order), ids=write(b''), number=b'\x01')
        yield f'other parents that are {"sorted" if verdict == TAKEN else "not sorted"}', verdict, [delta(first, other, third, joined)]
    yield 'its previous change not as a parent', TAKEN, [delta(
        first, change(parents=write([1]), ids=write(OTHER)), change(parents=write([1]), number=b'\x01'))]
    yield 'a parent that another parent has seen', TAKEN, [delta(
        first, change(parents=write([1]), ids=write(OTHER)), change(parents=write([2, 1]), ids=write(b''), number=b'\x01'))]
    yield 'an older change of its own as a parent', REFUSED, [delta(
        first, second, change(parents=write([1]), ids=write(OTHER)), change(parents=write([3, 1]), ids=write(b''), number=b'\x02'))]
    yield 'what builds on a refused change', REFUSED, [delta(change(number=b'\x01'), after())]
    yield 'a fork', TAKEN, [delta(first, second, change(parents=write([2]), ids=write(b''), number=b'\x01'))]
    forks = [second, change(parents=write([2]), ids=write(b''), number=b'\x01')]
    for order in ([1, 2], [2, 1]):
        joined = change(parents=write(order), ids=write(b''), number=b'\x02')
        yield f'a fork that is joined, parents {order}', TAKEN, [delta(first, *forks, joined)]
        two = change(parents=write(order), ids=write(b''), number=b'\x02', rows=write([2, 0, 1, 2, 0, 1]),
                     tail=(write(''), write(['k', 1, 'l', 2])))
        yield f'a fork that is joined by two rows, parents {order}', TAKEN, [delta(first, *forks, two)]
        is_sorted = id_of(first, *forks) > id_of(first, forks[0]) if order == [2, 1] else id_of(first, *forks) < id_of(first, forks[0])
        named = change(parents=write(order), number=b'\x02')
        verdict = REFUSED if is_sorted else MALFORMED
        yield f'a fork that is joined with an actor, parents {order}', verdict, [delta(first, *forks, named)]
    # Its previous change is a parent, though another parent has seen it.
    seen = change(parents=write([1]), ids=write(OTHER))
    order = [1, 2] if id_of(first, seen) < id_of(first) else [2, 1]
    yield 'an actor beside its previous change that another parent has seen', REFUSED, \
        [delta(first, seen, change(parents=write(order), number=b'\x01'))]


def columns():
    """Rows, text and values that do not fit each other."""
    text = form.child_id(ROOT, form.TEXT, 0, 't')
    for containers, verdict in ((b'', MALFORMED), (ROOT[:15], MALFORMED), (ROOT + b'\x00', MALFORMED), (text, REFUSED), (bytes(16), REFUSED)):
        yield f'the containers {containers.hex()}', verdict, [delta(rows([2, 0, 1], '', ['k', 1], containers))]
    yield 'containers as a string', MALFORMED, [delta(change(containers=write('0123456789abcdef')))]
    for numbers in ([], [2], [2, 0], [2, 0, 1, 2], [2, 0, 0], [2, 0, 2], [2 + 128, 0, 1], [1 << 32, 0, 1], [2, 1 << 32, 1], [2, 0, 1 << 32]):
        yield f'the rows {numbers}', MALFORMED, [delta(rows(numbers, '', ['k', 1]))]
    yield 'rows below zero', MALFORMED, [delta(change(rows=b'\x93\x02\xff\x01'))]
    yield 'rows of strings', MALFORMED, [delta(change(rows=write([2, '', 1])))]
    yield 'rows as nil', MALFORMED, [delta(change(rows=b'\xc0'))]
    yield 'too few values', MALFORMED, [delta(rows([2, 0, 1], '', ['k']))]
    yield 'too many values', MALFORMED, [delta(rows([2, 0, 1], '', ['k', 1, 2]))]
    yield 'text that nothing takes', MALFORMED, [delta(rows([2, 0, 1], 'x', ['k', 1]))]
    yield 'a key that is bytes', MALFORMED, [delta(rows([2, 0, 1], '', [b'k', 1]))]
    yield 'a key of 1024 bytes', TAKEN, [delta(rows([2, 0, 1], '', ['k' * 1024, 1]))]
    yield 'a key of 1025 bytes', MALFORMED, [delta(rows([2, 0, 1], '', ['k' * 1025, 1]))]
    yield 'a class', TAKEN, [delta(rows([2, (1 << 32) - 1, 1], '', ['k', 1]))]
    yield 'a delete with an a', MALFORMED, [delta(rows([0x11, 1, 1], '', ['k']))]
    yield 'a delete of nothing', TAKEN, [delta(rows([0x11, 0, 1], '', ['k']))]
    made = [0x0a, form.TEXT, 1]
    yield 'a child', TAKEN, [delta(rows(made, '', ['t', 0]))]
    for kind in (0, 15, 25, 256 + 16):
        yield f'a child of kind {kind}', MALFORMED, [delta(rows([0x0a, kind, 1], '', ['t', 0]))]
    yield 'two children in a row', MALFORMED, [delta(rows([0x0a, 18, 2], '', ['t', 0, 'u', 0]))]
    yield 'a generation below zero', MALFORMED, [delta(rows(made, '', ['t', -1]))]
    yield 'a generation that is a string', MALFORMED, [delta(rows(made, '', ['t', '0']))]
    yield 'a first generation of 1', REFUSED, [delta(rows(made, '', ['t', 1]))]
    yield 'a generation of 33 bits', MALFORMED, [delta(rows(made, '', ['t', 1 << 32]))]
    yield 'too little text', MALFORMED, [delta(rows(made + [0x84, 0, 2], 'x', ['t', 0]))]
    yield 'letters of four bytes', TAKEN, [delta(rows(made + [0x84, 0, 2], '\U0001f986\U0001f986', ['t', 0]))]
    yield 'a row before what it is made by', MALFORMED, [delta(rows([0x84, 0, 1] + made, 'x', ['t', 0]))]
    yield 'a container of its own row', MALFORMED, [delta(rows([0x8a, form.TEXT, 1], '', ['t', 0]))]


def validity():
    """Changes that are well-formed and do not fit what came before."""
    names = (('map', 16), ('list', 17), ('text', 18), ('counter', 19))
    made = sum(([0x0a, kind, 1] for _, kind in names), [])
    setup = rows(made + [1 + 128 * 2, 0, 3, 4 + 128 * 3, 0, 3], 'abc', sum(([name, 0] for name, _ in names), []) + [1, 2, 3])
    ids = {name: form.child_id(ROOT, kind, 0, name) for name, kind in names}
    yield 'a child of each kind', TAKEN, [delta(setup)]

    def then(name, verdict, container, numbers, text='', values=()):
        return name, verdict, [delta(setup, following(numbers, text, values, ids.get(container, container)))]

    fitting = {'map': [([2, 0, 1], '', ['k', 1]), ([0x0a, 18, 1], '', ['k', 0]), ([0x11, 0, 1], '', ['k'])],
               'list': [([1, 3, 1], '', [1]), ([9, 3, 1], '', [16]), ([0x21, 2, 1], '', [1]), ([0x19, 2, 1], '', [19]),
                        ([0x41, 2, 1], '', [3]), ([0x41, 0, 1], '', [0]), ([0x41, 0, 1], '', [1]), ([0, 2, 1], '', [])],
               'text': [([4, 3, 1], 'x', []), ([0, 0, 3], '', []), ([0x32, 0, 1, 0x10, 4, 1], '', ['k', 1]),
                        ([0x42, 3, 1, 0x20, 4, 1], '', ['', None]), ([0x32, 1, 1, 0x20, 2, 1], '', ['k', ''])],
               'counter': [([0x31, 0, 1], '', [-1 << 63]), ([0x31, 0, 1], '', [0])]}
    for own, operations in fitting.items():
        for numbers, text, values in operations:
            for container in fitting:
                fits = container == own or (numbers[0] == 0 and numbers[1] + numbers[2] <= 3 and container in ('list', 'text'))
                yield then(f'the row {numbers} {values} on a {container}', TAKEN if fits else REFUSED, container, numbers, text, values)
    outside = [([1, 4, 1], '', [1]), ([9, 4, 1], '', [16]), ([0x21, 3, 1], '', [1]), ([0x19, 3, 1], '', [16]), ([0x41, 3, 1], '', [0]),
               ([0x41, 0, 1], '', [4]), ([0, 3, 1], '', []), ([0, 1, 3], '', []), ([0, 0, 4], '', []), ([0, (1 << 32) - 1, 1], '', []),
               ([1, (1 << 32) - 1, 1], '', [1])]
    for numbers, text, values in outside:
        yield then(f'out of range: {numbers} {values}', REFUSED, 'list', numbers, text, values)
    wrong = [([9, 0, 1], [15]), ([9, 0, 1], [25]), ([9, 0, 1], ['']), ([0x19, 0, 1], [0]), ([0x41, 0, 1], [-1]), ([0x41, 0, 1], ['']),
             ([0x41, 0, 1], [1 << 32]), ([9, 0, 2], [16, 16]), ([0x21, 0, 2], [1, 2]), ([0x41, 0, 2], [0, 0]), ([1, 0, 1], [[]]),
             ([1, (1 << 32) - 1, 2], [1, 2]), ([0, (1 << 32) - 1, 2], [])]
    for numbers, values in wrong:
        yield then(f'not of the table: {numbers} {values}', MALFORMED, 'list', numbers, '', values)
    for amount in (True, '', 1.0, 1 << 63, None):
        yield then(f'an amount of {amount!r}', MALFORMED, 'counter', [0x31, 0, 1], '', [amount])
    yield then('an amount at 1', MALFORMED, 'counter', [0x31, 1, 1], '', [1])
    yield then('a text past its end', REFUSED, 'text', [4, 4, 1], 'x')
    for name, numbers in (('begins', [0x32, 4, 1, 0x10, 5, 1]), ('ends', [0x42, 0, 1, 0x20, 5, 1])):
        yield then(f'a mark that {name} past the end', REFUSED, 'text', numbers, '', ['k', 1])
    marks = [([0x32, 0, 1], ['k', 1]), ([0x10, 1, 1], []), ([0x32, 0, 1, 0x10, 0, 1], ['k', 1]), ([0x32, 1, 1, 0x20, 1, 1], ['k', 1]),
             ([0x10, 1, 1, 0x32, 0, 1], ['k', 1]), ([0x32, 0, 1, 0x10, 2, 2], ['k', 1]), ([0x32, 0, 2, 0x10, 2, 1], ['k', 1, 'k', 1]),
             ([0x32, 0, 1, 0x32, 1, 1, 0x10, 2, 1], ['k', 1, 'k', 1]), ([0x32, 0, 1, 0, 0, 1, 0x10, 2, 1], ['k', 1]),
             ([0x32, 0, 1, 0x10, 1, 1], [1, 1]), ([0x32, 0, 1, 0x10, 1, 1], ['k' * 1025, 1]), ([0x32, 0, 1, 0x10, 1, 1], ['k', []]),
             ([0x32, 0, 1, 0x10, 1, 1, 0x20, 2, 1], ['k', 1])]
    for numbers, values in marks:
        yield then(f'not a mark: {numbers} {str(values)[:20]}', MALFORMED, 'text', numbers, '', values)
    yield then('half of it is valid', REFUSED, ROOT, [2, 0, 1, 0x0a, 18, 1, 0x84, 1, 1], 'x', ['k', 1, 'new', 0])
    yield then('a list that the change itself has shortened', REFUSED, 'list', [0, 0, 1, 0x21, 2, 1], '', [1])
    yield then('a list that the change itself has lengthened', TAKEN, 'list', [1, 0, 1, 0x21, 3, 1], '', [1, 2])
    yield then('a second generation', TAKEN, ROOT, [0x0a, 18, 1], '', ['text', 1])
    yield then('a second generation of another kind', TAKEN, ROOT, [0x0a, 16, 1], '', ['text', 1])
    yield then('a third generation', REFUSED, ROOT, [0x0a, 18, 1], '', ['text', 2])
    yield then('two generations at once', TAKEN, ROOT, [0x0a, 18, 1, 0x0a, 18, 1], '', ['text', 1, 'text', 2])
    yield then('a container by its id before it is made', REFUSED, form.child_id(ROOT, 18, 0, 'new') + ROOT,
               [4, 0, 1, 0x8a, 18, 1], 'x', ['new', 0])
    deep = [0x0a, 16, 1]
    for level in range(30):
        deep += [0x0a + 128 * (level + 1), 16, 1]
    yield 'as deep as it goes', TAKEN, [delta(rows(deep, '', ['k', 0] * 31))]
    yield 'too deep', REFUSED, [delta(rows(deep + [0x0a + 128 * 31, 16, 1], '', ['k', 0] * 32))]
    for count, verdict in ((16, REFUSED), (17, MALFORMED)):
        many = b''.join(bytes([16, 1 + i]) + bytes(14) for i in range(count))
        each = sum(([2 + 128 * i, 0, 1] for i in range(count)), [])
        values = ['k', 1] * count
        yield f'nil for {count} containers', verdict, [delta(
            setup, following(each, '', values, many), after(rows=write(each), tail=(write(''), write(values))))]


def unknown():
    """Kinds that only a newer version has: bits 0 and 1 values, bit 2 text, bit 3 a container."""
    yield 'an unknown kind', TAKEN, [delta(rows([0x40, 5, 7]))]
    yield 'an unknown kind with values', TAKEN, [delta(rows([0x73, 5, 2], '', [1, 'x', None, b'', Time(0), 1.5]))]
    yield 'an unknown kind with too few values', MALFORMED, [delta(rows([0x73, 5, 2], '', [1]))]
    yield 'an unknown kind with text', TAKEN, [delta(rows([0x74, 5, 2], 'xy'))]
    yield 'an unknown kind with too little text', MALFORMED, [delta(rows([0x74, 5, 3], 'xy'))]
    yield 'an unknown kind with an array', MALFORMED, [delta(change(rows=write([0x71, 0, 1]), tail=(write(''), write([[1, [2]]]))))]
    yield 'an unknown kind that makes two', MALFORMED, [delta(rows([0x78, 0, 2]))]
    yield 'what an unknown kind made', TAKEN, [delta(rows([0x78, 0, 1, 0x84, 9, 1], 'x'))]
    yield 'a write after an unknown kind', TAKEN, [delta(rows([2, 0, 1], '', ['k', 1]), following([0x40, 0, 1, 2, 0, 1], '', ['l', 2]))]
    yield 'another kind after an unknown kind', TAKEN, [delta(change(), following([0x40, 0, 1]), following([4, 0, 1], 'x'))]
    for at, verdict in ((0, TAKEN), (1, REFUSED)):
        yield f'a child after an unknown kind, and a write at {at}', verdict, [delta(
            change(), following([0x40, 0, 1]), following([0x0a, 18, 1, 0x84, at, 1], 'x', ['t', 0]))]
    # What a known kind makes after an unknown one has its id.
    text, items = form.child_id(ROOT, 18, 0, 't'), form.child_id(ROOT, 17, 0, 'l')
    hidden, made = following([0x40, 0, 1]), following([0x0a, 18, 1], '', ['t', 0])
    yield 'the id of a child after an unknown kind', TAKEN, [delta(change(), hidden, made, following([4, 0, 1], 'x', (), text))]
    yield 'an index past the end of a child after an unknown kind', REFUSED, [delta(change(), hidden, made, following([4, 1, 1], 'x', (), text))]
    yield 'a generation that is passed over after an unknown kind', TAKEN, [delta(change(), hidden, following([0x0a, 18, 1], '', ['t', 5]))]
    for numbers, values, named, verdict in (
            ([0x89, 9, 1], [18], (18, 1), TAKEN), ([0x99, 9, 1], [18], (18, 1), TAKEN), ([0x8a, 18, 1], ['t', 0], (18, 1), REFUSED),
            ([0x89, 9, 1], [18], (18, 0), REFUSED), ([0x09, 9, 1], [18], (18, 1), REFUSED), ([0x0a, 18, 1], ['t', 0], None, TAKEN)):
        making = following([0x48, 0, 1] + numbers, '', values)
        id = form.item_id(id_of(change(), making), *named) if named else text
        yield f'the id of what {numbers} makes in what an unknown kind made: {named}', verdict, [
            delta(change(), making, following([4, 0, 1], 'x', (), id))]
    listed = rows([0x0a, 17, 1, 0xc0, 0, 1], '', ['l', 0])
    for numbers, values, verdict in (([9, 9, 1], [18], TAKEN), ([0x19, 9, 1], [18], TAKEN), ([0x0a, 18, 1], ['t', 0], REFUSED)):
        making = following(numbers, '', values, items)
        id = form.item_id(id_of(listed, making), 18, 0) if numbers[0] != 0x0a else form.child_id(items, 18, 0, 't')
        yield f'the id of what {numbers} makes in a list after an unknown kind', verdict, [
            delta(listed, making, following([4, 0, 1], 'x', (), id))]
    yield 'a child of a child after an unknown kind', TAKEN, [delta(
        change(), hidden, following([0x0a, 16, 1, 0x8a, 18, 1, 0x104, 0, 1], 'x', ['m', 0, 't', 0]),
        following([4, 1, 1], 'y', (), form.child_id(form.child_id(ROOT, 16, 0, 'm'), 18, 0, 't')))]
    deep = sum(([0x48 + 128 * level, 0, 1] for level in range(31)), [])
    yield 'unknown kinds as deep as it goes', TAKEN, [delta(rows(deep))]
    yield 'unknown kinds too deep', REFUSED, [delta(rows(deep + [0x48 + 128 * 31, 0, 1]))]
    for kind in (0x05, 0x76, 0x7f, 0x0f):
        yield f'the kind {kind:02x} with text and values', MALFORMED, [delta(rows([kind, 0, 1], 'x', [1] * (kind & 3)))]
    child = rows([0x0a, 18, 1], '', ['t', 0])
    yield 'an unknown kind in a child', TAKEN, [delta(child, following([0x40, 0, 1], containers=text))]
    yield 'a write beside an unknown kind', TAKEN, [delta(
        child, following([0x40, 0, 1], containers=text),
        change(parents=write([2]), ids=write(OTHER), containers=write(text), rows=write([4, 0, 1]), tail=(write('x'),)))]
    yield 'a refused change with an unknown kind', REFUSED, [delta(child, following([0x40, 0, 1, 0x80, 0, 1], containers=text + ROOT),
                                                                   following([0x40, 0, 1, 0x84, 0, 1], 'x', (), text + bytes(16)))]
    for at, verdict in ((0, TAKEN), (1, REFUSED)):
        yield f'a write at {at} beside an unknown kind', verdict, [delta(
            child, following([0x40, 0, 1], containers=text),
            change(parents=write([2]), ids=write(OTHER), containers=write(text), rows=write([4, at, 1]), tail=(write('x'),)))]


def beside():
    """What concurrent changes do not see of each other."""
    child, text = rows([0x0a, 18, 1], '', ['t', 0]), form.child_id(ROOT, 18, 0, 't')

    def by_other(back, numbers, values):
        tail = (write(''), write(values))
        return change(parents=write([back]), ids=write(OTHER), rows=write(numbers), tail=tail)

    second = following([0x0a, 18, 1], '', ['t', 1])
    yield 'the same second generation', TAKEN, [delta(child, second, by_other(2, [0x0a, 18, 1], ['t', 1]))]
    yield 'a generation that only the other knows', REFUSED, [delta(child, second, by_other(2, [0x0a, 18, 1], ['t', 2]))]
    yield 'a container that only the other knows', REFUSED, [delta(child, change(
        ids=write(OTHER), containers=write(text), rows=write([4, 0, 1]), tail=(write('x'),)))]
    # Within an actor that forked, the lower number comes first, whatever the ids of the changes.
    for letter in 'abcdef':
        fork = change(parents=write([2]), ids=write(b''), number=b'\x01', tail=(write(''), write(['k', letter])))
        yield f'a fork that inserts {letter}', TAKEN, [delta(
            child, following([4, 0, 1], 'x', (), text), fork, following([4, 0, 1], letter, (), text))]


def one_form():
    """Rows and containers that could be written otherwise."""
    names = (('t', 18), ('u', 18), ('l', 17))
    made = sum(([0x0a, kind, 1] for _, kind in names), [])
    setup = rows(made + [0x84, 0, 9, 0x104, 0, 9, 0x181, 0, 9], 'abcdefghi' * 2, sum(([name, 0] for name, _ in names), []) + [0] * 9)
    text, other, items = (form.child_id(ROOT, kind, 0, name) for name, kind in names)
    touch = [0x0a, 18, 1]

    def of(container, *numbers):
        return [number + 128 * container if i % 3 == 0 else number for i, number in enumerate(numbers)]

    def then(name, is_canonical, numbers, letters='', values=(), containers=text):
        verdict = TAKEN if is_canonical else REFUSED
        return name, verdict, [delta(setup, following(numbers, letters, values, containers))]

    yield then('one row', True, [4, 0, 2], 'ab')
    yield then('an insertion at the end of the one before', False, [4, 3, 1, 4, 4, 1], 'ab')
    yield then('an insertion before the one before', True, [4, 3, 1, 4, 3, 1], 'ab')
    yield then('an insertion inside the one before', True, [4, 3, 2, 4, 4, 1], 'abc')
    yield then('an insertion past the end of the one before', True, [4, 3, 2, 4, 6, 1], 'abc')
    yield then('elements at the end of the ones before', False, [1, 3, 2, 1, 5, 1], '', (1, 2, 3), items)
    yield then('elements before the ones before', True, [1, 3, 2, 1, 3, 1], '', (1, 2, 3), items)
    yield then('an element and a child after it', True, [1, 3, 1, 9, 4, 1], '', (1, 16), items)
    yield then('two children in a row', True, [9, 3, 1, 9, 4, 1], '', (16, 16), items)
    yield then('an element twice', True, [0x21, 3, 1, 0x21, 3, 1], '', (1, 2), items)
    yield then('a key twice', True, [2, 0, 1, 2, 0, 1], '', ('k', 1, 'k', 1), ROOT)
    for kind, container in (('text', text), ('list', items)):
        yield then(f'a deletion from a {kind} at the same place', False, [0, 3, 1, 0, 3, 2], '', (), container)
        yield then(f'a deletion from a {kind} that ends where the one before begins', False, [0, 3, 1, 0, 1, 2], '', (), container)
        yield then(f'a deletion from a {kind} that ends past where the one before begins', True, [0, 3, 1, 0, 2, 2], '', (), container)
        yield then(f'a deletion from a {kind} after the one before', True, [0, 3, 1, 0, 4, 1], '', (), container)
    yield then('three deletions, of which the last two could be one', False, [0, 3, 1, 0, 5, 1, 0, 4, 1])
    yield then('three deletions, of which the outer two could be one', True, [0, 3, 1, 0, 5, 1, 0, 3, 1])
    yield then('a deletion and an insertion there', True, [0, 3, 1, 4, 3, 1], 'a')
    yield then('typing and deleting it', True, [4, 3, 1, 0, 3, 1], 'a')
    yield then('the same in two containers', True, of(0, 4, 0, 1) + of(1, 4, 1, 1), 'ab', (), text + other)
    yield then('two that could be one with another between', True, of(0, 4, 0, 1) + of(1, 4, 0, 1) + of(0, 4, 1, 1), 'abc', (), text + other)
    yield then('containers in another order', False, of(1, 4, 0, 1) + of(0, 4, 1, 1), 'ab', (), text + other)
    yield then('a container that no row names', False, [4, 0, 1], 'a', (), text + other)
    yield then('a first container that no row names', False, of(1, 4, 0, 1), 'a', (), other + text)
    yield then('a container twice', False, of(0, 4, 0, 1) + of(1, 4, 9, 1), 'ab', (), text + text)
    yield then('a container twice, the second unused', False, of(0, 4, 0, 1), 'a', (), text + text)
    yield then('a child by its number', True, touch + of(1, 4, 0, 1), 'a', ('new', 0), ROOT)
    yield then('a child by its id', False, touch + of(1, 4, 0, 1), 'a', ('new', 0), ROOT + form.child_id(ROOT, 18, 0, 'new'))
    yield then('a touched child by its number', True, touch + of(1, 4, 0, 1), 'a', ('t', 0), ROOT)
    yield then('a touched child by its id', False, touch + of(1, 4, 0, 1), 'a', ('t', 0), ROOT + text)
    yield then('a child by its id before it is touched', True, of(0, 4, 0, 1) + of(1, *touch) + of(2, 4, 0, 1), 'ab', ('t', 0), text + ROOT)
    yield then('a child by its id after it is touched', False, of(0, 4, 0, 1) + of(1, *touch) + of(0, 4, 0, 1), 'ab', ('t', 0), text + ROOT)
    yield then('two that could be one with a touch between', True, of(0, 4, 0, 1) + of(1, *touch) + of(2, 4, 1, 1), 'ab', ('t', 0), text + ROOT)
    yield then('a child by its first number', True, touch + touch + of(1, 4, 0, 1), 'a', ('t', 0, 't', 0), ROOT)
    yield then('a child by its second number', False, touch + touch + of(2, 4, 0, 1), 'a', ('t', 0, 't', 0), ROOT)
    yield then('a child inside by its second number', False, touch + touch + of(2, 4, 0, 1), 'a', ('new', 0, 'new', 0), ROOT)
    yield then('unknown rows that could be one', True, [0x40, 0, 1, 0x40, 0, 1, 0x40, 1, 1])
    yield then('insertions that could be one after an unknown row', False, [0x40, 0, 1, 4, 50, 1, 4, 51, 1], 'ab')
    yield then('insertions after an unknown row', True, [0x40, 0, 1, 4, 50, 1, 4, 52, 1], 'ab')
    yield then('an insertion up to the highest index and one at 0', True, [0x40, 0, 1, 4, (1 << 32) - 1, 1, 4, 0, 1], 'ab')
    yield then('a deletion at 0 and one at the highest index', True, [0x40, 0, 1, 0, 0, 1, 0, (1 << 32) - 1, 1])
    yield then('what unknown rows made, each by its number', True, [0x48, 0, 1, 0x48, 0, 1, 0x84, 0, 1, 0x104, 0, 1], 'ab', (), ROOT)


def limits():
    """The bounds of the page and of docs/limits.md, met and passed by one."""
    for count, verdict in ((1024, TAKEN), (1025, MALFORMED)):
        ids = b''.join(bytes(30) + i.to_bytes(2, 'big') for i in range(count))
        yield f'{count} parents', verdict, [delta(change(parents=write([0] * count), ids=write(ids + ACTOR)))]
    for over, verdict in ((0, TAKEN), (1, MALFORMED)):
        yield f'a string of 768 KiB and {over}', verdict, [put(write('x' * ((768 << 10) + over)))]
        yield f'bytes of 768 KiB and {over}', verdict, [put(write(bytes((768 << 10) + over)))]
        yield f'2 to the 24 operations and {over}', verdict, [delta(rows([0x40, 0, (1 << 24) - 1, 0x40, 0, 1 + over]))]
        yield f'2 to the 24 operations of two changes and {over}', verdict, [delta(
            rows([0x40, 0, (1 << 24) - 1]), after(rows=write([0x40, 0, 1 + over]), tail=()))]
        head = len(canonical(read(rows([0x74, 0, 1 << 16], 'x' * (1 << 16))), []))
        length = (960 << 10) - (head - (1 << 16)) + over
        yield f'a change of 960 KiB and {over}', verdict, [delta(rows([0x74, 0, length], 'x' * length))]


def all_cases():
    for group in (encodings, frames, references, columns, validity, unknown, beside, one_form, limits):
        for name, verdict, deltas in group():
            yield f'{group.__name__}: {name}', verdict, deltas
