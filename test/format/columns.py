"""The columns of the compact form that are not msgpack ("Document", "Planes", "Differences", "Keys" and "Scalars" in docs/format.md)."""

import struct

from change import MAX_KEY, MAX_VALUE
from msgpack import Time, need

PLAIN_NUMBERS, LAST, SAME_SLOT = 0, 1, 2
NIL, FALSE, INT, FLOAT, STR, BIN, TIME, TRUE, CHILD = range(9)


class Child:
    """The number of a container that stands for a scalar."""

    def __init__(self, number):
        self.number = number


def take_planes(fields, count, width):
    """The highest bytes of all numbers come first."""
    need(width <= 8, 'numbers of more than 8 bytes')
    columns = [fields.take(count) for _ in range(width)]
    need(not width or any(columns[0]), 'numbers that need fewer bytes')
    return [int.from_bytes(bytes(number), 'big') for number in zip(*columns)] if width else [0] * count


def planes(fields, count, limit=1 << 64):
    numbers = take_planes(fields, count, fields.number()) if count else []
    need(all(number < limit for number in numbers), 'a number that is too high')
    return numbers


def signed(number):
    """The integer that has these 64 bits."""
    number %= 1 << 64
    return number - (1 << 64) if number >> 63 else number


def unfold(number):
    """0, 1, 2 ... for 0, 2, 4 ..., and -1, -2 ... for 1, 3 ..."""
    return -(number // 2) - 1 if number % 2 else number // 2


def differences(fields, slots):
    """One integer for each of `slots`."""
    if not slots:
        return []
    way, width = divmod(fields.number(), 16)
    need(way <= SAME_SLOT, 'differences to nothing that is known')
    numbers = take_planes(fields, len(slots), width)
    if way == PLAIN_NUMBERS:
        return [signed(number) for number in numbers]
    last, found = {}, []
    for slot, number in zip(slots, numbers):
        place = slot if way == SAME_SLOT else None
        last[place] = signed(last.get(place, 0) + unfold(number))
        found.append(last[place])
    return found


def keys(fields):
    count = fields.number(len(fields.data))
    shared = [0] + planes(fields, count - 1) if count else []
    found, last = [], b''
    for same, more in zip(shared, planes(fields, count)):
        need(same <= len(last) and same + more <= MAX_KEY, 'a key that cannot be')
        key = last[:same] + fields.take(more)
        need(not found or key > last, 'keys that are not sorted')
        need(same == len(last) or key[same:same + 1] != last[same:same + 1], 'a key that shares more')
        found.append(key)
        last = key
    try:
        return [key.decode() for key in found]
    except UnicodeDecodeError:
        need(False, 'a key that is no text')


def scalars(fields, slots, children=False):
    """One scalar for each of `slots`; with `children` a Child where a container is."""
    tags = fields.take(len(slots))
    need(all(tag <= (CHILD if children else TRUE) for tag in tags), 'a scalar of an unknown kind')
    ints = iter(differences(fields, [slot for slot, tag in zip(slots, tags) if tag == INT]))
    times = iter(differences(fields, [slot for slot, tag in zip(slots, tags) if tag == TIME]))
    floats = [struct.unpack('>d', bits.to_bytes(8, 'big'))[0] for bits in float_bits(fields, tags.count(FLOAT))]
    lengths = planes(fields, tags.count(STR) + tags.count(BIN), MAX_VALUE + 1)
    numbers = planes(fields, tags.count(CHILD))
    values = {INT: ints, TIME: map(Time, times), FLOAT: iter(floats), CHILD: iter(made(numbers))}
    strings, found = [fields.take(length) for length in lengths], []
    for tag in tags:
        if tag in (STR, BIN):
            found.append(text(strings.pop(0)) if tag == STR else strings.pop(0))
        elif tag in values:
            found.append(next(values[tag]))
        else:
            found.append({NIL: None, FALSE: False, TRUE: True}[tag])
    return found


def float_bits(fields, count):
    for bits in planes(fields, count):
        is_nan = bits >> 52 & 0x7ff == 0x7ff and bits & (1 << 52) - 1
        need(not is_nan or bits == 0x7ff8000000000000, 'another NaN')
        yield bits


def made(numbers):
    """Containers, as the difference to the one after the last."""
    next_one = 0
    for number in numbers:
        child = (next_one + unfold(number)) % (1 << 64)
        need(child < (1 << 32) - 1, 'a container that cannot be')
        next_one = child + 1
        yield Child(child)


def text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        need(False, 'a string that is no text')
