"""msgpack as docs/format.md allows it: one encoding of each value, everything else refused.

Values are None, bool, int, float, str, bytes, list and Time.
"""

import math
import struct

NAN = bytes.fromhex('7ff8000000000000')
MAX_DEPTH = 64  # deeper than anything that the page describes; keeps Python's stack safe


class FormatError(Exception):
    """The bytes do not follow the page."""


class Time:
    """Microseconds since 1970."""

    def __init__(self, microseconds):
        self.microseconds = microseconds

    def __eq__(self, other):
        return isinstance(other, Time) and self.microseconds == other.microseconds

    def __hash__(self):
        return hash(('time', self.microseconds))

    def __repr__(self):
        return f'Time({self.microseconds})'


def need(condition, why):
    """Refuses the bytes unless the condition holds.  Not an assert: those can be switched off."""
    if not condition:
        raise FormatError(why)


class Reader:
    """Reads one value after the other from `data`."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        need(count <= len(self.data) - self.at, 'cut short')
        self.at += count
        return self.data[self.at - count:self.at]

    def uint(self, size, least):
        """A number of `size` bytes that would not have fitted a shorter format, which ends below `least`."""
        value = int.from_bytes(self.take(size), 'big')
        need(value >= least, 'not the shortest form')
        return value

    def negative(self, size, most):
        value = int.from_bytes(self.take(size), 'big', signed=True)
        need(value < most, 'not the shortest form of a negative integer')
        return value

    def string(self, length):
        try:
            return self.take(length).decode('utf-8')  # refuses surrogates and overlong forms
        except UnicodeDecodeError as error:
            raise FormatError('a string is not UTF-8') from error

    def array(self, length, depth):
        need(depth < MAX_DEPTH, 'nested too deeply')
        need(length <= len(self.data) - self.at, 'an array of more elements than bytes')
        return [self.value(depth + 1) for _ in range(length)]

    def float(self):
        raw = self.take(8)
        value = struct.unpack('>d', raw)[0]
        need(not math.isnan(value) or raw == NAN, 'another NaN')
        return value

    def fixed(self, tag, depth):
        """The formats that hold their value or length in the tag; None when the tag is none of these."""
        if tag < 0x80:
            return tag
        if tag >= 0xe0:
            return tag - 0x100
        if 0x90 <= tag < 0xa0:
            return self.array(tag & 15, depth)
        if 0xa0 <= tag < 0xc0:
            return self.string(tag & 31)
        return None

    def value(self, depth=0):
        tag = self.take(1)[0]
        short = self.fixed(tag, depth)
        if short is not None:
            return short
        others = {
            0xc0: lambda: None,
            0xc2: lambda: False,
            0xc3: lambda: True,
            0xc4: lambda: self.take(self.uint(1, 0)),
            0xc5: lambda: self.take(self.uint(2, 0x100)),
            0xc6: lambda: self.take(self.uint(4, 0x10000)),
            0xcb: self.float,
            0xcc: lambda: self.uint(1, 0x80),
            0xcd: lambda: self.uint(2, 0x100),
            0xce: lambda: self.uint(4, 0x10000),
            0xcf: lambda: self.uint(8, 0x100000000),
            0xd0: lambda: self.negative(1, -0x20),
            0xd1: lambda: self.negative(2, -0x80),
            0xd2: lambda: self.negative(4, -0x8000),
            0xd3: lambda: self.negative(8, -0x80000000),
            0xd7: self.time,
            0xd9: lambda: self.string(self.uint(1, 0x20)),
            0xda: lambda: self.string(self.uint(2, 0x100)),
            0xdb: lambda: self.string(self.uint(4, 0x10000)),
            0xdc: lambda: self.array(self.uint(2, 0x10), depth),
            0xdd: lambda: self.array(self.uint(4, 0x10000), depth),
        }
        need(tag in others, f'a byte {tag:02x} that does not occur')
        return others[tag]()

    def time(self):
        need(self.take(1) == b'\x01', 'an extension other than a time')
        return Time(int.from_bytes(self.take(8), 'big', signed=True))


def read(data):
    """The one value that `data` is."""
    reader = Reader(data)
    value = reader.value()
    need(reader.at == len(data), 'trailing bytes')
    return value


def write_uint(value):
    if value < 0x80:
        return bytes([value])
    for tag, size in ((0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)):
        if value < 1 << 8 * size:
            return bytes([tag]) + value.to_bytes(size, 'big')
    raise FormatError('an integer over 64 bits')


def write_int(value):
    if value >= 0:
        return write_uint(value)
    if value >= -0x20:
        return bytes([value + 0x100])
    for tag, size in ((0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)):
        if value >= -(1 << 8 * size - 1):
            return bytes([tag]) + value.to_bytes(size, 'big', signed=True)
    raise FormatError('an integer over 64 bits')


def write_length(length, small, formats):
    """The head of a string, bin or array.  `small` is (tag, limit) of the short form."""
    if small and length < small[1]:
        return bytes([small[0] + length])
    for tag, size in formats:
        if length < 1 << 8 * size:
            return bytes([tag]) + length.to_bytes(size, 'big')
    raise FormatError('a length over 32 bits')


def write_array_head(length):
    return write_length(length, (0x90, 16), ((0xdc, 2), (0xdd, 4)))


def write(value):
    """The canonical bytes of a value."""
    if value is None:
        return b'\xc0'
    if isinstance(value, bool):
        return b'\xc3' if value else b'\xc2'
    if isinstance(value, int):
        return write_int(value)
    if isinstance(value, float):
        return b'\xcb' + (NAN if math.isnan(value) else struct.pack('>d', value))
    if isinstance(value, str):
        raw = value.encode('utf-8')
        return write_length(len(raw), (0xa0, 32), ((0xd9, 1), (0xda, 2), (0xdb, 4))) + raw
    if isinstance(value, bytes):
        return write_length(len(value), None, ((0xc4, 1), (0xc5, 2), (0xc6, 4))) + value
    if isinstance(value, Time):
        return b'\xd7\x01' + value.microseconds.to_bytes(8, 'big', signed=True)
    return write_array_head(len(value)) + b''.join(write(element) for element in value)
