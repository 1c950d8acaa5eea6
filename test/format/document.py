"""The compact form of a document ("Document" in docs/format.md): what its header and its state say, and the parts of its history.

How changes are put together from the history is in history.py.
"""

import ctypes

from change import COUNTER, ENDS, FIRST, KINDS, LIST, MAP, MAX_KEY, OFFERED, ROOT, SETS, STARTS, TEXT, child_id, is_int64, is_scalar, is_uint
from columns import Child, differences, keys, planes, scalars
from delta import Newer
from msgpack import Reader, need, write

MAGIC = b'dunlin doc'
VERSION = 1
MAX_SECTION = 1 << 30
LIMIT = 1 << 31  # of numbers of changes and operations
IDLE, PLAIN = 1, 2  # flags
NO_ID, LISTED, KEYED = 0, 1, 2  # places


def is_fair(raw, packed):
    return sum(raw) <= 65536 + 16000 * sum(packed) and raw[1] + raw[2] <= 65536 + 384 * sum(packed)


def unpack(data, raw, prefix=b''):
    """A zstd frame that must become `raw` bytes."""
    zstd = ctypes.CDLL('libzstd.so.1')
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    zstd.ZSTD_createDCtx.restype = pointer
    zstd.ZSTD_freeDCtx.argtypes = [pointer]
    zstd.ZSTD_DCtx_refPrefix.argtypes = [pointer, ctypes.c_char_p, size]
    zstd.ZSTD_decompressDCtx.argtypes = [pointer, pointer, size, ctypes.c_char_p, size]
    zstd.ZSTD_decompressDCtx.restype = size
    out, context = ctypes.create_string_buffer(raw), zstd.ZSTD_createDCtx()
    if prefix:
        zstd.ZSTD_DCtx_refPrefix(context, prefix, len(prefix))
    found = zstd.ZSTD_decompressDCtx(context, out, raw, data, len(data))  # an error is a number over any length
    zstd.ZSTD_freeDCtx(context)
    need(found == raw, 'a section that is not the frame it should be')
    return out.raw


class Fields(Reader):
    """Reads one field after the other."""

    def number(self, limit=1 << 64):
        value = self.value()
        need(is_uint(value, limit), 'not a number, or too high')
        return value

    def numbers(self, limit=1 << 64):
        column = self.value()
        need(isinstance(column, list) and all(is_uint(number, limit) for number in column), 'not a column of numbers')
        return column

    def groups(self, size, limit=1 << 64):
        column = self.numbers(limit)
        need(len(column) % size == 0, 'a column of a wrong length')
        return [column[i:i + size] for i in range(0, len(column), size)]

    def is_array(self):
        need(self.at < len(self.data), 'nothing there')
        first = self.data[self.at]
        return first & 0xf0 == 0x90 or first in (0xdc, 0xdd)

    def integers(self):
        column = self.value()
        need(isinstance(column, list) and all(is_int64(number) for number in column), 'not a column of integers')
        return column

    def bytes(self):
        value = self.value()
        need(isinstance(value, bytes), 'not a bin')
        return value

    def ids(self, size):
        data = self.bytes()
        need(len(data) % size == 0, 'ids of a wrong length')
        return [data[i:i + size] for i in range(0, len(data), size)]

    def end(self):
        need(self.at == len(self.data), 'trailing bytes')


class SavedWrite:
    """A live write: the operation, its class, and the scalar or the number of the container that it wrote."""

    def __init__(self, container, slot):
        self.container, self.slot = container, slot
        self.lv = self.priority = self.child = 0
        self.value = None


class SavedContainer:
    """`keys` of a map: key -> (generation, writes); `elements` of a list: their writes; `shown` of a text."""

    def __init__(self, parent, kind, place, generation):
        self.parent, self.kind, self.place, self.generation = parent, kind, place, generation
        self.id, self.depth = None, 1
        self.operations, self.keys, self.shown, self.sum = 0, {}, '', 0
        self.elements, self.registers = [], 0
        self.anchors, self.marks = [], []  # (place, LV, kind); (LV, key, value)
        self.offers, self.members = [], {}  # (LV or None, value); bytes of a scalar -> LVs


class Head:
    def __init__(self, numbers, totals, id):
        changes, lvs = totals
        after, lvs_after, self.length, self.actor, self.number, self.lamport = numbers
        self.change, self.last = changes - 1 - after, lvs - 1 - lvs_after
        self.length += 1
        self.id = id
        need(self.change >= 0 and self.last - self.length >= self.change - 1, 'a head before the first change')


class Saved:
    """A file, read but for what its history means."""

    def __init__(self, data):
        self._header(data)
        self._state(Fields(self.sections[1]))

    def _header(self, data):
        need(data[:len(MAGIC)] == MAGIC, 'not a document')
        header = Fields(data[len(MAGIC):])
        version = header.number()
        if version > VERSION:
            raise Newer
        need(version == VERSION, 'no such version')
        self.document = header.bytes()
        need(len(self.document) == 32, 'an id of another length')
        lengths = [(header.number(MAX_SECTION + 1), header.number(MAX_SECTION + 1)) for _ in range(4)]
        need(all(packed <= raw for raw, packed in lengths), 'sections of a wrong length')
        need(is_fair(*zip(*lengths)), 'sections that grow too much')
        packed = [header.take(length) for _, length in lengths]
        header.end()
        self.sections = []
        for i, (raw, length) in enumerate(lengths):
            prefix = self.sections[0] if i == 3 else b''
            self.sections.append(packed[i] if length == raw else unpack(packed[i], raw, prefix))

    # ---- State

    def _state(self, fields):
        self.names = keys(fields)
        self._actors(fields)
        self._heads(fields)
        self.void = fields.ids(32)
        need(all(x < y for x, y in zip(self.void, self.void[1:])), 'void changes are not sorted')
        self._containers(fields)
        fields.end()

    def _actors(self, fields):
        self.actors = fields.ids(16)
        self.counts, self.next_numbers = [[fields.number(LIMIT) for _ in self.actors] for _ in range(2)]
        need(len(set(self.actors)) == len(self.actors), 'an actor twice')
        need(all(0 < number <= count for number, count in zip(self.next_numbers, self.counts)), 'more numbers than changes')
        totals = [fields.number(1 << 32) for _ in range(5)]
        self.changes, self.lvs, self.text_bytes, self.values_bytes, self.flags = totals
        need(self.flags <= IDLE + PLAIN, 'flags that are not known')
        need(bool(self.flags & PLAIN) == (self.next_numbers != self.counts), 'a flag for forks that are not there, or none')
        need(self.changes == sum(self.counts) and self.changes <= self.lvs, 'totals that cannot be')
        need(self.changes or not self.lvs, 'operations without changes')

    def _heads(self, fields):
        count = fields.number(len(fields.data))
        numbers = [[fields.number(1 << 32) for _ in range(6)] for _ in range(count)]
        ids = [fields.take(32) for _ in range(count)]
        need(bool(ids) == bool(self.changes), 'no heads, or heads of nothing')
        self.heads = [Head(six, (self.changes, self.lvs), id) for six, id in zip(numbers, ids)]
        need(all(x.change < y.change for x, y in zip(self.heads, self.heads[1:])), 'heads that are not in order')
        need(all(head.actor < len(self.actors) for head in self.heads), 'a head of an actor that is not there')
        if self.heads:
            last = self.heads[-1]
            need(last.change == self.changes - 1 and last.last == self.lvs - 1, 'the last change is not a head')

    def _containers(self, fields):
        self.containers = [SavedContainer(None, MAP, NO_ID, 0)]
        self.containers[0].id = ROOT
        for parent, kind, place, generation in fields.groups(4, 1 << 32):
            need(parent < len(self.containers) and (kind in KINDS or not kind), 'a container that cannot be')
            container = SavedContainer(parent, kind, place, generation)
            container.depth = self.containers[parent].depth + 1
            need(container.depth <= 32, 'a container that is too deep')
            self.containers.append(container)
        ids = fields.ids(16)
        text = self.sections[0]
        for container in self.containers:
            text = self._contents(container, fields, text)
        need(not text, 'text is left over')
        self._registers(fields)
        need(sum(container.operations for container in self.containers) == self.lvs, 'operations on no container')
        self._name(ids)

    def _contents(self, container, fields, text):
        container.operations = fields.number(self.lvs + 1)
        if container.kind in (MAP, LIST):
            container.registers = fields.number(container.operations + 1)
        elif container.kind == TEXT:
            if fields.is_array():
                self._anchors(container, fields)
            scalars, length = fields.number(LIMIT), fields.number(len(text) + 1)
            container.shown, text = Reader(text[:length]).string(length), text[length:]
            need(len(container.shown) == scalars, 'a text of another length')
        elif container.kind == COUNTER:
            container.sum = fields.value()
            need(is_int64(container.sum), 'a counter that is not a number')
        elif container.kind in OFFERED:
            for _ in range(fields.number(2)):
                lv = self.lvs - 1 - fields.number(self.lvs) if container.kind == FIRST else None
                container.offers.append((lv, fields.value()))
        elif container.kind in SETS:
            self._set(container, fields)
        return text

    def _anchors(self, container, fields):
        """`anchors`: place among the entities, LV and kind of each; `marks`: LV, key and value, in winner order."""
        at = 0
        for gap, back, kind in fields.groups(3):
            need(back < self.lvs and kind in STARTS + ENDS, 'an anchor that cannot be')
            at += gap
            container.anchors.append((at + len(container.anchors), self.lvs - 1 - back, kind))
        need(container.anchors, 'no anchors')
        lvs = {lv: (place, kind) for place, lv, kind in container.anchors}
        need(len(lvs) == len(container.anchors), 'an anchor twice')
        pairs = [lv for lv in lvs if lvs[lv][1] in STARTS and lv + 1 in lvs and lvs[lv + 1][1] in ENDS]
        need(all(lvs[lv][0] < lvs[lv + 1][0] for lv in pairs), 'a mark that ends before it begins')
        for _ in pairs:
            lv = container.anchors[fields.number(len(container.anchors))][1]
            key, value = fields.value(), fields.value()
            need(isinstance(key, str) and len(key.encode()) <= MAX_KEY and is_scalar(value), 'not a key and a value')
            container.marks.append((lv, key, value))
        need(sorted(pairs) == sorted(lv for lv, _, _ in container.marks), 'other marks than anchors')

    def _set(self, container, fields):
        for _ in range(fields.number(len(fields.data))):
            member = write(fields.value())
            need(len(member) <= MAX_KEY and member not in container.members, 'not a member')
            count = fields.number(len(fields.data))
            need(count, 'a member that nobody added')
            container.members[member] = [self.lvs - 1 - fields.number(self.lvs) for _ in range(count)]

    def _registers(self, fields):
        """What the registers of all maps and lists hold."""
        filled = [container for container in self.containers if container.kind in (MAP, LIST)]
        keyed = sum(container.registers for container in filled if container.kind == MAP)
        steps, generations = planes(fields, keyed), planes(fields, keyed, (1 << 32) + 1)
        sizes = [{0: 1, 1: 0}.get(code, code) for code in planes(fields, sum(container.registers for container in filled))]
        need(sum(sizes) <= self.lvs, 'more writes than operations')
        steps, generations, sizes, registers = iter(steps), iter(generations), iter(sizes), []
        for container in filled:
            number = -1
            for _ in range(container.registers):
                size = next(sizes)
                register = [SavedWrite(container, 0) for _ in range(size)]
                registers += register
                if container.kind == LIST:
                    need(size, 'an element without a value')
                    container.elements.append(register)
                    continue
                number += 1 + next(steps)
                need(number < len(self.names), 'a key that is not there')
                for one in register:
                    one.slot = number + 1
                container.keys[self.names[number]] = next(generations), register
                need(size or container.keys[self.names[number]][0], 'a key that says nothing')
        need(set(self.names) == {key for container in filled for key in container.keys}, 'a key that nobody uses')
        self._writes(fields, registers)

    def _writes(self, fields, writes):
        backs, classes = differences(fields, [0] * len(writes)), planes(fields, len(writes), 1 << 32)
        for write, back, priority in zip(writes, backs, classes):
            need(0 <= back < self.lvs, 'a write of no operation')
            write.lv, write.priority = self.lvs - 1 - back, priority
        in_time = sorted(writes, key=lambda write: write.lv)
        for write, value in zip(in_time, scalars(fields, [write.slot for write in in_time], children=True)):
            write.value = value
            if isinstance(value, Child):
                write.child, write.value = value.number, None
                need(0 < write.child < len(self.containers), 'a container that is not there')
                made = self.containers[write.child]
                need(made.kind and self.containers[made.parent] is write.container, 'a child of another container')

    def _name(self, ids):
        """The ids of containers: the parent's is always there first."""
        for container in self.containers[1:]:
            if container.place == NO_ID:
                continue
            if container.place == LISTED:
                need(ids, 'too few ids of containers')
                container.id = ids.pop(0)
                need(container.id[0] == container.kind, 'an id of another kind')
            else:
                parent = self.containers[container.parent]
                keys = list(parent.keys.items())
                need(parent.id and container.place - KEYED < len(keys), 'a key that is not there')
                key, (generation, _) = keys[container.place - KEYED]
                need(generation > container.generation, 'a generation that is not there')
                container.id = child_id(parent.id, container.kind, container.generation, key)
        named = [container.id for container in self.containers if container.id]
        need(not ids and len(set(named)) == len(named), 'ids of containers that are left over, or twice')
