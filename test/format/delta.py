"""A delta ("Delta" in docs/format.md): the canonical changes that it gives back."""

from change import Change, build, is_uint
from msgpack import Reader, need, read

MAX_CHANGES = 1 << 20
MAX_OPERATIONS = 1 << 24
VERSION = 1


class Newer(Exception):
    """The delta is of another version."""


def full_head(fields, ids_before):
    """refs and number of a change that names its parents."""
    parents, ids, number = fields[:3]
    need(isinstance(parents, list) and isinstance(ids, bytes), 'parents or ids of a wrong type')
    refs = b''
    for parent in parents:
        need(is_uint(parent, len(ids_before) + 1), 'a parent before the first change')
        if parent:
            refs += ids_before[-parent]
        else:
            need(len(ids) >= 32, 'too few ids')
            refs, ids = refs + ids[:32], ids[32:]
    need(len(ids) in (0, 16), 'ids are left over')
    return refs + ids, number


def canonical(fields, before):
    """The canonical bytes that one element of the delta stands for; `before` are the changes that precede it."""
    need(isinstance(fields, list) and fields, 'a change that is not an array')
    if fields[0] is None:
        need(3 <= len(fields) <= 6, 'a change of a wrong length')
        need(before, 'nothing comes before the first change')
        refs, number, tail = before[-1].id, before[-1].number + 1, fields[1:]
    else:
        need(5 <= len(fields) <= 8, 'a change of a wrong length')
        refs, number = full_head(fields, [change.id for change in before])
        tail = fields[3:]
    if tail[0] is None:
        need(before and len(before[-1].containers) <= 16, 'no containers to repeat')
        tail = [b''.join(before[-1].containers)] + tail[1:]
    return build(refs, number, tail)


def check_version(data):
    """Looks at the version alone: what follows it may be anything when it is another one."""
    need(data[:1] == b'\x92' and len(data) > 2, 'not an array of two')
    version = Reader(data[1:]).value()
    need(is_uint(version, 1 << 64), 'a version that is not a number')
    if version != VERSION:
        raise Newer


def decode(document, data):
    """The changes of a delta, in its order."""
    check_version(data)
    fields = read(data)
    need(isinstance(fields[1], list), 'not a delta')
    need(len(fields[1]) <= MAX_CHANGES, 'too many changes')
    changes, operations = [], 0
    for element in fields[1]:
        change = Change(document, canonical(element, changes))
        operations += change.operations
        need(operations <= MAX_OPERATIONS, 'too many operations')
        changes.append(change)
    return changes
