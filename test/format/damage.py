"""Deltas and saved documents with something changed at random, in their bytes or in the values that they hold."""

import document
import history
from delta import Newer
from msgpack import FormatError, Time, read, write

HEADER = 60  # bytes of a saved document that are refused at once when they are changed

NUMBERS = [0, 1, 2, 3, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 31, 32, 127, 128, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63,
           (1 << 64) - 1, -1, -32, -33, -(1 << 63)]
KINDS = [0x00, 0x04, 0x01, 0x09, 0x21, 0x19, 0x41, 0x02, 0x0a, 0x11, 0x31, 0x51, 0x61, 0x03, 0x12, 0x22, 0x32, 0x42, 0x10, 0x20, 0x40, 0x73, 0x7c]
OTHERS = [None, True, False, 0.5, '', 'k', '\0', '\U0001f986', b'', bytes(16), bytes(32), Time(0), [], [0]]


def damage_bytes(data, random):
    data = bytearray(data or b'\x00')
    at = random.randrange(len(data))
    what = random.randrange(4)
    if what == 0:
        data[at] ^= 1 << random.randrange(8)
    elif what == 1:
        data[at] = random.randrange(256)
    elif what == 2:
        del data[at:at + random.randrange(1, 4)]
    else:
        data.insert(at, random.randrange(256))
    return bytes(data)


def spots(value, found):
    """All lists inside a value, itself included."""
    if isinstance(value, list):
        found.append(value)
        for element in value:
            spots(element, found)
    return found


def other_value(value, random):
    if isinstance(value, int) and not isinstance(value, bool) and random.randrange(8):
        kind = random.choice(KINDS) + 128 * random.randrange(4)
        return random.choice([value + 1, max(value - 1, 0), value ^ 1, kind, random.choice(NUMBERS)])
    if isinstance(value, bytes) and value and random.randrange(8):
        return random.choice([damage_bytes(value, random), value[16:], value[:-16], value + value[-16:], value[16:] + value[:16]])
    if isinstance(value, str) and value and random.randrange(8):
        return random.choice([value[1:], value + 'x', value[::-1]])
    return random.choice(OTHERS)


def damage_values(data, random):
    value = read(data)
    lists = spots(value, [])
    if not lists:
        return data
    inside = random.choice(lists[1:] or lists)  # the version is not worth a try
    if not inside:
        inside.append(random.choice(OTHERS))
        return write(value)
    at, what = random.randrange(len(inside)), random.randrange(8)
    if what == 0:
        del inside[at]
    elif what == 1:
        inside.insert(at, inside[random.randrange(len(inside))])
    elif what == 2:
        other = random.randrange(len(inside))
        inside[at], inside[other] = inside[other], inside[at]
    else:
        inside[at] = other_value(inside[at], random)
    return write(value)


def damaged(data, random):
    """The delta with one to three things changed."""
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        try:
            change = random.choice([damage_values, damage_values, damage_values, damage_bytes])
            data = change(data, random)
        except FormatError:  # the bytes are damaged already, or would be an integer over 64 bits
            pass
    return data


def damage_numbers(file, random):
    """A saved document with one number changed, or two swapped."""
    data = bytearray(file)
    at, other, what = random.randrange(HEADER, len(data)), random.randrange(HEADER, len(data)), random.randrange(4)
    if what == 0:
        data[at] = (data[at] + random.choice([1, -1, 2, -2])) % 256
    elif what == 1:
        data[at] ^= 1 << random.randrange(8)
    elif what == 2:
        data[at] = random.randrange(20)
    else:
        data[at], data[other] = data[other], data[at]
    return bytes(data)


class Unnamed(history.History):
    """A history whose heads may have any names."""

    def _check_ids(self):
        pass


def resealed(file):
    """The same with the ids that its heads then have; None when its changes cannot be told."""
    try:
        saved = document.Saved(file)
        changes = Unnamed(saved).changes
    except (FormatError, Newer):
        return None
    for head in saved.heads:
        if file.count(head.id) == 1:
            file = file.replace(head.id, changes[head.change].id)
    return file
