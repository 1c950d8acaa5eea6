"""A change's canonical bytes ("Change" in docs/format.md): reading, every check of their form, the ids that follow from them.

What depends on other changes (who the actor is, whether an index is in range) is not here but in state.py.
"""

import hashlib
import struct

from msgpack import Time, need, read, write, write_array_head

MAX_PARENTS = 1024
# From docs/limits.md, not from the page.
MAX_CHANGE = 960 * 1024
MAX_KEY = 1024
MAX_VALUE = 768 * 1024
MAX_NAMES, NAME = 64, 36

MAP, LIST, TEXT, COUNTER = 16, 17, 18, 19
MAXIMUM, MINIMUM, FIRST, MEMBERS, GROWING = 20, 21, 22, 23, 24
OFFERED, SETS = (MAXIMUM, MINIMUM, FIRST), (MEMBERS, GROWING)
KINDS = (MAP, LIST, TEXT, COUNTER) + OFFERED + SETS
ROOT = bytes([MAP]) + bytes(15)

DELETE, INSERT_TEXT, INSERT, INSERT_CHILD, SET, SET_CHILD, MOVE = 0x00, 0x04, 0x01, 0x09, 0x21, 0x19, 0x41
PUT, CHILD, REMOVE, ADD = 0x02, 0x0a, 0x11, 0x31
OFFER, TAKE_OUT = 0x51, 0x61
PUT_OVER, REMOVE_OVER, SET_OVER = 0x03, 0x12, 0x22
STARTS = START, START_GROWS = 0x32, 0x42
ENDS = END, END_GROWS = 0x10, 0x20
RUNS = (DELETE, INSERT_TEXT, INSERT)  # the kinds whose rows may be longer than one operation

VALUES_OF, TAKES_TEXT, MAKES = 3, 4, 8  # the bits of a kind


def blake(label, data):
    return hashlib.blake2b(data, digest_size=32, person=label.encode()).digest()


def child_id(parent, kind, generation, key):
    made = blake('dunlin.child.1', parent + bytes([kind]) + struct.pack('>I', generation) + key.encode())
    return bytes([kind]) + made[1:16]


def item_id(change, kind, index):
    made = blake('dunlin.item.1', change + bytes([kind]) + struct.pack('>I', index))
    return bytes([kind]) + made[1:16]


def is_uint(value, limit):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit


def is_int64(value):
    return isinstance(value, int) and not isinstance(value, bool) and -1 << 63 <= value < 1 << 63


def is_scalar(value):
    if isinstance(value, (str, bytes)):
        return len(value.encode() if isinstance(value, str) else value) <= MAX_VALUE
    return value is None or isinstance(value, (bool, float, Time)) or is_int64(value)


def is_key(value):
    return isinstance(value, str) and len(value.encode()) <= MAX_KEY


def is_kind(value):
    return is_uint(value, 256) and value in KINDS


def names_in(value):
    """The writes that a bin names: (change, index)."""
    need(isinstance(value, bytes) and len(value) % NAME == 0 and len(value) <= MAX_NAMES * NAME, 'not names')
    names = [value[i:i + NAME] for i in range(0, len(value), NAME)]
    need(all(x < y for x, y in zip(names, names[1:])), 'names that are not sorted')
    return {(name[:32], struct.unpack('>I', name[32:])[0]) for name in names}


class Row:
    """`length` operations of one kind, the first of them with the index `first`."""

    def __init__(self, numbers, first):
        self.kind, self.container = numbers[0] & 0x7f, numbers[0] >> 7
        self.a, self.length = numbers[1], numbers[2]
        self.first = first
        self.text = ''
        self.values = []

    def check(self):
        """What the table of kinds says of rows."""
        kind, values = self.kind, self.values
        need(not (kind & TAKES_TEXT and kind & VALUES_OF), 'text and values')
        need(kind not in RUNS or self.a + self.length <= 1 << 32, 'a row over the highest index')
        if kind == INSERT:
            need(all(is_scalar(value) for value in values), 'an element is not a scalar')
        elif kind in (INSERT_CHILD, SET_CHILD):
            need(is_kind(values[0]), 'not a kind of container')
        elif kind == SET:
            need(is_scalar(values[0]), 'an element is not a scalar')
        elif kind == MOVE:
            need(is_uint(values[0], 1 << 32), 'not an index')
        elif kind == PUT or kind in STARTS:
            need(is_key(values[0]) and is_scalar(values[1]), 'not a key and a scalar')
        elif kind == CHILD:
            need(is_kind(self.a), 'not a kind of container')
            need(is_key(values[0]) and is_uint(values[1], 1 << 32), 'not a key and a generation')
        elif kind == REMOVE:
            need(self.a == 0 and is_key(values[0]), 'not a key')
        elif kind == PUT_OVER:
            need(is_key(values[0]) and is_scalar(values[1]), 'not a key and a scalar')
        elif kind == REMOVE_OVER:
            need(self.a == 0 and is_key(values[0]), 'not a key')
        elif kind == SET_OVER:
            need(is_scalar(values[0]), 'an element is not a scalar')
        elif kind in (OFFER, TAKE_OUT):
            need(self.a == 0 and is_scalar(values[0]), 'not a scalar')
        elif kind == ADD:
            need(self.a == 0 and is_int64(values[0]), 'not an amount')
        elif kind not in KNOWN:
            need(all(is_scalar(value) for value in values), 'a value is not a scalar')
        self.names = names_in(values[-1]) if kind in OVER else None
        if kind in KNOWN and kind not in RUNS:
            need(self.length == 1, 'a row of this kind is one operation')


KNOWN = RUNS + (INSERT_CHILD, SET, SET_CHILD, MOVE, PUT, CHILD, REMOVE, ADD, OFFER, TAKE_OUT)
OVER = (PUT_OVER, REMOVE_OVER, SET_OVER)
KNOWN += OVER + STARTS + ENDS


class Change:
    """`parents` are ids in the order of refs; `actor` is None when it is that of the first parent."""

    def __init__(self, document, data):
        need(len(data) <= MAX_CHANGE, 'a change over 960 KiB')
        self.data = data
        self.id = blake('dunlin.change.1', document + data)
        self.fields = fields = read(data)
        need(isinstance(fields, list) and 4 <= len(fields) <= 7, 'not an array of 4 to 7')
        self._refs(fields[0])
        self.number = fields[1]
        need(is_uint(self.number, 1 << 63), 'number is not a number')
        self._containers(fields[2])
        text, values, self.time = self._tail(fields[4:])
        self._rows(fields[3], text, values)

    def _refs(self, refs):
        need(isinstance(refs, bytes) and len(refs) % 32 in (0, 16) and refs, 'refs of a wrong length')
        count = len(refs) // 32
        need(count <= MAX_PARENTS, 'too many parents')
        self.parents = [refs[32 * i:32 * i + 32] for i in range(count)]
        self.actor = refs[32 * count:] or None
        is_sorted = self.parents if self.actor else self.parents[1:]
        need(all(x < y for x, y in zip(is_sorted, is_sorted[1:])), 'parents are not sorted')
        need(len(set(self.parents)) == count, 'a parent twice')

    def _containers(self, containers):
        need(isinstance(containers, bytes) and len(containers) % 16 == 0, 'containers of a wrong length')
        self.containers = [containers[i:i + 16] for i in range(0, len(containers), 16)]

    def _tail(self, tail):
        text, values, time = tail + ['', [], 0][len(tail):]
        need(isinstance(text, str) and isinstance(values, list) and is_int64(time), 'a column of a wrong type')
        need(not tail or tail[-1] not in ('', [], 0), 'an empty element at the end')
        return text, values, time

    def _rows(self, numbers, text, values):
        need(isinstance(numbers, list) and numbers and len(numbers) % 3 == 0, 'rows are not threes')
        need(all(is_uint(number, 1 << 32) for number in numbers), 'a row of other things than numbers')
        self.rows, self.operations, made = [], 0, 0
        for i in range(0, len(numbers), 3):
            row = Row(numbers[i:i + 3], self.operations)
            need(row.length >= 1, 'an empty row')
            need(row.container < len(self.containers) + made, 'a row of a container that is not named')
            if row.kind & TAKES_TEXT:
                need(row.length <= len(text), 'too little text')
                row.text, text = text[:row.length], text[row.length:]
            taken = (row.kind & VALUES_OF) * row.length
            need(taken <= len(values), 'too few values')
            row.values, values = values[:taken], values[taken:]
            if row.kind & MAKES:
                need(row.length == 1, 'a row that makes more than one container')
                made += 1
            row.check()
            self.operations += row.length
            self.rows.append(row)
        need(not text and not values, 'a column is not used up')
        for row, after in zip([None] + self.rows, self.rows + [None]):
            if row and row.kind in STARTS:
                need(after and after.kind in ENDS and after.container == row.container and after.a > row.a, 'a mark without an end')
            else:
                need(not after or after.kind not in ENDS, 'an end without a mark')


def could_be_one(row, after):
    """Whether two neighbouring rows say what one row could say."""
    if row.kind != after.kind or row.container != after.container:
        return False
    if row.kind in (INSERT_TEXT, INSERT):
        return after.a == row.a + row.length
    return row.kind == DELETE and (after.a == row.a or after.a + after.length == row.a)


def is_canonical(change, named):
    """Whether rows and containers are written in the one way that there is for them; `named` says what each number stands for."""
    rows, given, there = change.rows, len(change.containers), len(change.containers)
    by_id = []
    for row in rows:
        numbers = [*range(given, there), *range(given)]  # made ones before ids
        if row.container != next(number for number in numbers if named[number] == named[row.container]):
            return False
        if row.container < given and row.container not in by_id:
            by_id.append(row.container)
        there += bool(row.kind & MAKES)
    is_in_order = by_id == list(range(given))
    return is_in_order and not any(could_be_one(row, after) for row, after in zip(rows, rows[1:]))


def build(refs, number, tail):
    """The canonical bytes of a change from its columns; `tail` is containers, rows, text, values, time as far as they are there."""
    fields = [refs, number] + tail
    return write_array_head(len(fields)) + b''.join(write(field) for field in fields)
