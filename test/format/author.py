"""Documents that no replica would write like this: changes by several actors on any versions, written here and read by the library.

A change stands on one to three changes chosen at random and on its actor's last one, so that branches cross as they never do when
documents exchange everything they have.  Now and then an index is out of range, an actor forks, a row could be
written otherwise, or is of a kind that nobody knows.
"""

import change as form
from change import ROOT, Change
from hostile import DOCUMENT
from msgpack import Time, write, write_array_head
from state import Document

TEXTS = [form.child_id(ROOT, form.TEXT, 0, name) for name in 'tu']
KINDS = [form.MAXIMUM, form.MINIMUM, form.FIRST, form.MEMBERS, form.GROWING]
OTHERS = [form.child_id(ROOT, kind, 0, f'o{kind}') for kind in KINDS]
LISTS = [form.child_id(ROOT, form.LIST, 0, name) for name in 'lm']
KEYS = 'abc'
NAMES = [('t', form.TEXT), ('u', form.TEXT), ('l', form.LIST), ('m', form.LIST)] + [(f'o{kind}', kind) for kind in KINDS]


class Author:
    def __init__(self, random, actors):
        self.random, self.document = random, Document(DOCUMENT)
        self.actors = [bytes([1 + i]) + random.randbytes(15) for i in range(actors)]
        self.last = {}     # of each actor
        self.changes = []  # those that are refused too
        self.has_unknown = not random.randrange(4)  # else all shows
        rows = sum(([form.CHILD, kind, 1] for _, kind in NAMES), [])
        self.commit(self.actors[0], [], 0, [ROOT, rows, '', sum(([name, 0] for name, _ in NAMES), [])])

    def commit(self, actor, parents, number, tail):
        while tail[-1] in ('', []):
            tail.pop()
        own = [id for id in parents if self.document.applied[id].actor == actor and self.document.applied[id].number == number - 1]
        others = sorted(id for id in parents if id not in own[:1])
        refs = b''.join(own[:1] + others) + (b'' if own else actor)
        change = Change(DOCUMENT, form.build(refs, number, tail))
        self.changes.append(change)
        self.document.add(change)
        if change.id in self.document.applied:
            self.last[actor] = change.id
        return change

    def step(self):
        """One more change."""
        random, applied = self.random, self.document.applied
        actor = random.choice(self.actors)
        parents = set(random.sample(sorted(applied), min(len(applied), random.choice([1, 1, 2, 3]))))
        last = self.last.get(actor)
        if last and not any(last == id or last in applied[id].past for id in parents) and random.randrange(30):
            parents.add(last)  # else the actor forks
        # A change that another parent has seen is usually left out, as every writer does.
        if random.randrange(8):
            parents = {id for id in parents if not any(id in applied[other].past for other in parents)}
        past = set(parents).union(*(applied[id].past for id in parents))
        own = [applied[id].number for id in past if applied[id].actor == actor]
        self.commit(actor, parents, max(own, default=-1) + 1, self.operations(past))

    def operations(self, past):
        """containers, rows, text and values of one to four rows."""
        self.containers, self.rows, self.text, self.values, self.sizes = [], [], '', [], {}
        self.made, self.made_count = {}, 0
        for _ in range(self.random.choice([1, 1, 2, 4])):
            target = self.random.choice(TEXTS + LISTS * 2 + [ROOT] * 2 + OTHERS)
            if target != ROOT and target not in self.sizes:
                container = self.document.containers[target]
                is_known = any(id in past for id in container.makers)
                self.sizes[target] = len(container.sequence.visible(past)) if is_known else 0
            if self.has_unknown and not self.random.randrange(20):
                self.row(target, self.random.choice([0x40, 0x48]), 0, 1)
            elif target == ROOT:
                self.map_row()
            elif target in OTHERS:
                self.other_row(target)
            else:
                self.sequence_row(target)
        if len(self.containers) > 1 and not self.random.randrange(20):
            self.containers.reverse()
        numbers = []
        for kind, number, a, length in self.rows:
            numbers += [kind + 128 * (number if number >= 0 else len(self.containers) - 1 - number), a, length]
        return [b''.join(self.containers), numbers, self.text, self.values]

    def number(self, target):
        """Of a container for a row: as a parent by its place among the ids, as one made below 0."""
        if target in self.made and (isinstance(target, tuple) or self.random.randrange(8)):
            return -1 - self.made[target]
        if target not in self.containers:
            self.containers.append(target)
        return self.containers.index(target)

    def row(self, target, kind, a, length, *values, made=None):
        number = self.number(target)
        self.values += values
        if kind & form.MAKES:
            self.made.setdefault(made or ('made', self.made_count), self.made_count)
            self.made_count += 1
        if self.rows and self.rows[-1][:2] == [kind, number] and self.random.randrange(5):
            before, before_length = self.rows[-1][2:]  # one row where two could be one
            is_insertion = kind in (form.INSERT, form.INSERT_TEXT) and a == before + before_length
            if is_insertion or kind == form.DELETE and before in (a, a + length):
                self.rows[-1][2:] = [min(before, a), before_length + length]
                return
        self.rows.append([kind, number, a, length])

    def map_row(self):
        key = self.random.choice(KEYS)
        if not self.random.randrange(3):
            name, kind = self.random.choice(NAMES)
            generation = self.random.choice([0, 0, 0, 1])
            self.row(ROOT, form.CHILD, kind, 1, name, generation, made=form.child_id(ROOT, kind, generation, name))
        elif not self.random.randrange(3):
            over = self.names()
            if self.random.randrange(3):
                self.row(ROOT, form.PUT_OVER, self.random.choice([0, 0, 1]), 1, key, self.random.randrange(100), over)
            else:
                self.row(ROOT, form.REMOVE_OVER, 0, 1, key, over)
        elif self.random.randrange(3):
            self.row(ROOT, form.PUT, self.random.choice([0, 0, 1]), 1, key, self.random.randrange(100))
        else:
            self.row(ROOT, form.REMOVE, 0, 1, key)

    def names(self):
        """Names of up to two writes to the root, perhaps of another key, or not in the version."""
        writes = [x for key in KEYS for x in self.document.containers[ROOT].keys.get(key, [])]
        some = self.random.sample(writes, min(len(writes), self.random.randrange(3)))
        return b''.join(sorted({x.change + x.index.to_bytes(4, 'big') for x in some}))

    def element_names(self, target):
        places = self.document.containers[target].sequence.visible(self.document.applied)
        writes = self.random.choice(places).item.writes if places else []
        some = self.random.sample(writes, min(len(writes), self.random.randrange(3)))
        return b''.join(sorted(x.change + x.index.to_bytes(4, 'big') for x in some))

    def other_row(self, target):
        kind = form.TAKE_OUT if target[0] == form.MEMBERS and self.random.randrange(2) else form.OFFER
        value = self.random.choice([0, 1, 2, -1, 0.5, -0.0, 1.0, Time(0), Time(1)])
        if target[0] >= form.FIRST and not self.random.randrange(3):
            value = self.random.choice(['a', None, b'', True])
        self.row(target, kind, 0, 1, value)

    def sequence_row(self, target):
        random, size = self.random, self.sizes[target]
        size += not random.randrange(60)  # out of range, perhaps
        kind = random.choice([form.INSERT, form.INSERT, form.DELETE, form.SET, form.SET_OVER, form.MOVE, form.MOVE, form.INSERT_CHILD, form.SET_CHILD])
        if target in TEXTS:
            kind = random.choice([form.INSERT_TEXT, form.INSERT_TEXT, form.DELETE])
        if not size and kind not in (form.INSERT, form.INSERT_CHILD, form.INSERT_TEXT):
            kind = form.INSERT_TEXT if target in TEXTS else form.INSERT
        length = random.choice([1, 1, 2, 3])
        if kind == form.INSERT_TEXT:
            self.text += ''.join(random.choices('aé€\U0001f986', k=length))
            self.row(target, kind, random.randrange(size + 1), length)
        elif kind == form.INSERT:
            self.row(target, kind, random.randrange(size + 1), length, *range(length))
        elif kind == form.DELETE:
            length = min(length, size)
            self.row(target, kind, random.randrange(size - length + 1), length)
        elif kind == form.SET:
            self.row(target, kind, random.randrange(size), 1, random.randrange(100))
        elif kind == form.SET_OVER:
            self.row(target, kind, random.randrange(size), 1, random.randrange(100), self.element_names(target))
        elif kind in (form.INSERT_CHILD, form.SET_CHILD):
            self.row(target, kind, random.randrange(size + (kind == form.INSERT_CHILD)), 1, form.TEXT)
            self.text += 'x'
            self.row(('made', self.made_count - 1), form.INSERT_TEXT, 0, 1)
        else:
            self.row(target, kind, random.randrange(size), 1, random.randrange(size + 1))
        grown = {form.DELETE: -length, form.INSERT: length, form.INSERT_TEXT: length, form.INSERT_CHILD: 1}.get(kind, 0)
        self.sizes[target] = max(self.sizes[target] + grown, 0)


def encode(changes, random):
    """A delta of the changes; where it may be written in several ways, one of them."""
    return b'\x92\x01' + write_array_head(len(changes)) + b''.join(
        encode_one(changes, at, random) for at in range(len(changes)))


def encode_one(changes, at, random):
    change, before = changes[at], changes[at - 1] if at else None
    fields = change.fields[2:]
    if before and change.containers == before.containers and len(change.containers) <= 16 and random.randrange(4):
        fields[0] = None
    is_next = before and change.actor is None and change.parents == [before.id] and change.number == before.number + 1
    if is_next and random.randrange(4):
        return write([None] + fields)
    places = {other.id: at - i for i, other in enumerate(changes[:at])}
    parents = [places.get(id, 0) if random.randrange(4) else 0 for id in change.parents]
    ids = b''.join(id for id, place in zip(change.parents, parents) if not place)
    return write([parents, ids + (change.actor or b''), change.number] + fields)


def deltas(random):
    """The deltas of a random document, in an order that makes some of them wait."""
    author = Author(random, random.choice([2, 3, 5]))
    for _ in range(random.choice([10, 30])):
        author.step()
    cuts = sorted(random.randrange(len(author.changes) + 1) for _ in range(random.randrange(3)))
    parts = [author.changes[a:b] for a, b in zip([0] + cuts, cuts + [len(author.changes)])]
    random.shuffle(parts)
    return [encode(part, random) for part in parts if part]
