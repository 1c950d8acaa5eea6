"""Cursors, from docs/format.md alone: places in texts and lists, carried from their version to now."""

from msgpack import FormatError


class Absent(Exception):
    """The version is not here."""


class Beyond(Exception):
    """The place is not in the version."""


def parse(data):
    """Side, place, heads."""
    if len(data) < 6 or data[0] != 1 or data[1] > 1 or (len(data) - 6) % 32 or len(data) > 6 + 8 * 32:
        raise FormatError('cursor')
    heads = [data[at:at + 32] for at in range(6, len(data), 32)]
    if any(a >= b for a, b in zip(heads, heads[1:])):
        raise FormatError('heads of a cursor')
    return data[1], int.from_bytes(data[2:6], 'big'), heads


def version_of(document, heads):
    if any(head not in document.applied for head in heads):
        raise Absent
    return frozenset(heads).union(*(document.applied[head].past for head in heads))


def position(document, container, data):
    """Before which item, or character, of those that show now."""
    side, place, heads = parse(data)
    sequence, version = document.containers[container].sequence, version_of(document, heads)
    then, now = sequence.visible(version), sequence.visible(document.applied)
    if place > len(then):
        raise Beyond
    kept = place - (side == 0)  # the item that it keeps to
    if not 0 <= kept < len(then):
        before = now if side else []
    else:
        shown = then[kept].item.place_at(document.applied)
        order = {id(other): i for i, other in enumerate(sequence.places())}
        at = order[id(shown or then[kept])]
        before = [other for other in now if order[id(other)] < at or (other is shown and side == 0)]
    return sum(not other.item.anchor for other in before)


def judge(document, container, data):
    """As make_vectors says it."""
    try:
        return str(position(document, container, data))
    except FormatError:
        return 'malformed'
    except Absent:
        return 'absent'
    except Beyond:
        return 'beyond'
