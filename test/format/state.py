"""The state of a document and its hash ("Document state" in docs/format.md), by a naive replay of its changes.

What a change sees is found by asking of each earlier operation whether its change is in a set of ids.  Slow, and easy to compare with the page.
"""

import math

import change as form
from change import ADD, CHILD, DELETE, INSERT, INSERT_CHILD, INSERT_TEXT, MOVE, PUT, REMOVE, SET, SET_CHILD
from change import OFFER, OFFERED, PUT_OVER, REMOVE_OVER, SET_OVER, SETS, TAKE_OUT
from change import FIRST, GROWING, LIST, MAP, MAXIMUM, MEMBERS, MINIMUM, ROOT, TEXT, COUNTER
from msgpack import Time, write, write_array_head
from sequence import CLOSING, OPENING, Item, Sequence

MAX_DEPTH = 32


class Refused(Exception):
    """The change is well-formed, but not valid after its past."""


def require(condition, why):
    if not condition:
        raise Refused(why)


class Write:
    """An operation, and the value that it writes to a register if it writes one."""

    def __init__(self, applied, index, priority=0, value=None, container=None, names=None):
        self.applied, self.index, self.change = applied, index, applied.id
        self.priority, self.value, self.container = priority, value, container
        self.names = names  # of what it replaces; None: all that it has seen

    def tie(self):
        """Sequence ties: the lower comes first."""
        return self.applied.actor, self.applied.number, self.change, self.index

    def rank(self):
        """Winners: the higher comes first."""
        return self.priority, self.applied.lamport, self.applied.actor, self.change, self.index

    def sees(self, other):
        if other.change == self.change:
            return other.index < self.index
        return other.change in self.applied.past

    def replaces(self, other):
        if self.names is None or other.change == self.change:
            return self.sees(other)
        return self.sees(other) and (other.change, other.index) in self.names

    def encoded(self):
        kind, value = self.container[0] if self.container else None, self.container
        if kind is None:
            kind, value = scalar_kind(self.value), self.value
        fields = [self.priority, self.applied.lamport, self.applied.actor, self.change, kind, value]
        return write(fields)


def order(value):
    """Of what is offered to a max or min."""
    if isinstance(value, Time):
        return True, value.microseconds
    return False, value, isinstance(value, float), math.copysign(1, value)  # Python compares int and float exactly


def shown(kind, offers):
    """The offer that a container of that kind shows: a list of none or one."""
    if kind == FIRST:
        return sorted(offers, key=Write.rank)[:1]
    return sorted(offers, key=lambda x: order(x.value), reverse=kind == MAXIMUM)[:1]


def side_of(kind):
    return OPENING if kind in (form.START, form.END_GROWS) else CLOSING


def scalar_kind(value):
    types = [type(None), bool, int, float, str, bytes, Time]
    return types.index(type(value))


class Applied:
    """A change that is in the document, with what follows from its past (the ids of the changes before it)."""

    def __init__(self, change, actor, lamport, past):
        self.id, self.actor, self.number = change.id, actor, change.number
        self.lamport, self.past = lamport, past


class Container:
    """`key` of a map gives all writes and deletions at the key, ever; kind None: made by an operation that is not known."""

    def __init__(self, kind, depth):
        self.kind, self.depth = kind, depth
        self.makers = []      # the changes that made or touched it
        self.unknown = []     # the changes with unknown operations on it
        self.keys = {}        # key -> writes; a deletion is a write of nothing
        self.generations = {} # key -> [(generation, change)]
        self.sequence = Sequence()
        self.adds = []
        self.offers = []
        self.members = {}     # the bytes of a scalar -> writes


REMOVED = object()


def live(writes):
    """The writes that no other one has seen, winner first."""
    left = [x for x in writes if not any(y.replaces(x) for y in writes)]
    return sorted((x for x in left if x.value is not REMOVED), key=Write.rank, reverse=True)


class Document:
    def __init__(self, document):
        self.id = document
        self.applied, self.accepted = {}, []
        self.pending, self.refused, self.refused_ids = {}, 0, set()
        self.containers = {ROOT: Container(MAP, 1)}

    # ---- Taking changes in

    def add(self, change):
        """Takes a change in when its parents are there, else keeps it until they are.  What builds on a refused change is refused."""
        if change.id not in self.applied:
            self.pending[change.id] = change
        ready = True
        while ready:
            ready = [x for x in self.pending.values() if self._is_ready(x)]
            for x in ready:
                del self.pending[x.id]
                self._judge(x)

    def _is_ready(self, change):
        return (all(parent in self.applied for parent in change.parents)
                or any(parent in self.refused_ids for parent in change.parents))

    def _judge(self, change):
        try:
            self._apply(change)
            self.accepted.append(change)
        except Refused:
            self.refused += 1
            self.refused_ids.add(change.id)
            self._rebuild()

    def _apply(self, change):
        if any(parent in self.refused_ids for parent in change.parents):
            raise Refused("builds on a refused change")
        applied = self._judge_head(change)
        self.applied[change.id] = applied
        Replay(self, change, applied).run()

    def _rebuild(self):
        """Undoes half a change, by beginning anew."""
        accepted = self.accepted
        self.applied, self.accepted = {}, []
        self.containers = {ROOT: Container(MAP, 1)}
        for change in accepted:
            self._apply(change)
            self.accepted.append(change)

    def _judge_head(self, change):
        parents = [self.applied[parent] for parent in change.parents]
        past = frozenset().union(*(parent.past | {parent.id} for parent in parents))
        lamport = 1 + max((parent.lamport for parent in parents), default=-1)
        actor = change.actor or parents[0].actor
        own = [self.applied[id].number for id in past if self.applied[id].actor == actor]
        previous = max(own, default=-1)
        require(change.number == previous + 1, 'not the next number of its actor')
        is_previous = [x.actor == actor and x.number == previous for x in parents]
        if change.actor:
            require(not any(is_previous), 'names its actor though its previous change is a parent')
        else:
            require(is_previous[0], 'its first parent is not its previous change')
        return Applied(change, actor, lamport, past)

    # ---- The state

    def hash(self):
        return form.blake('dunlin.state.1', self.id + self._container(ROOT))

    def _container(self, id):
        container = self.containers[id]
        if container.unknown:
            return write(id) + write(None)
        content = {MAP: self._map, LIST: self._list, TEXT: self._text, COUNTER: self._counter, FIRST: self._first,
                   MAXIMUM: self._extreme, MINIMUM: self._extreme, MEMBERS: self._set, GROWING: self._set}[container.kind]
        return write(id) + content(container)

    def _map(self, container):
        entries = {key.encode(): live(writes) for key, writes in container.keys.items()}
        shown = [(key, writes) for key, writes in sorted(entries.items()) if writes]
        return write_array_head(len(shown)) + b''.join(write(key.decode()) + self._register(x) for key, x in shown)

    def _list(self, container):
        shown = container.sequence.visible(self.applied)
        return write_array_head(len(shown)) + b''.join(self._register(live(place.item.writes)) for place in shown)

    def _text(self, container):
        places = container.sequence.visible(self.applied)
        marks = [self._mark(at, places) for at in range(len(places))]
        marks = [mark for mark in marks if mark]
        text = ''.join(place.item.content for place in places if not place.item.anchor)
        return (write_array_head(len(marks)) if marks else b'') + b''.join(marks) + write(len(text)) + text.encode()

    def _mark(self, at, places):
        """The mark whose first anchor is that visible place, if its other one is visible too."""
        start, row = places[at].write, places[at].item.anchor
        if not row or row.kind not in form.STARTS:
            return None
        for end, place in enumerate(places):
            if place.write.change == start.change and place.write.index == start.index + 1:
                grows = (row.kind == form.START_GROWS) + 2 * (place.item.anchor.kind == form.END_GROWS)
                key, value = row.values
                made = start.applied
                return write([at, end, grows, made.lamport, made.actor, start.change, key, scalar_kind(value), value])
        return None

    def _counter(self, container):
        total = sum(container.adds)
        return write((total + (1 << 63)) % (1 << 64) - (1 << 63))

    def _first(self, container):
        return self._register(shown(FIRST, container.offers))

    def _extreme(self, container):
        found = shown(container.kind, container.offers)
        return write_array_head(len(found)) + b''.join(write(x.value) for x in found)

    def _set(self, container):
        found = [(member, live(writes)) for member, writes in sorted(container.members.items()) if live(writes)]
        return write_array_head(len(found)) + b''.join(member + self._register(writes) for member, writes in found)

    def _register(self, writes):
        inside = dict.fromkeys(x.container for x in writes if x.container)
        return write_array_head(len(writes)) + b''.join(x.encoded() for x in writes) + b''.join(map(self._container, inside))


class Replay:
    """Applies the rows of one change at the merge of its parents."""

    def __init__(self, document, change, applied):
        self.document, self.change, self.applied = document, change, applied
        self.version = applied.past | {change.id}  # with the rows so far: later ones are not there yet
        self.named = list(change.containers)

    def run(self):
        for row in self.change.rows:
            id = self.named[row.container]
            container = self.find(id)
            if self.is_readable(container, row.kind):
                made = self.row(id, container, row)
            else:
                made = self.idle_row(id, container, row)
            if row.kind & form.MAKES:
                self.named.append(made)
        require(form.is_canonical(self.change, self.named), 'it could be written otherwise')

    def idle_row(self, id, container, row):
        """A row without effect, which may make something all the same; what has no id is a Container."""
        if row.kind not in form.KNOWN:
            container.unknown.append(self.change.id)
        if row.kind == CHILD and container.kind == MAP:
            return self.make(container, form.child_id(id, row.a, row.values[1], row.values[0]))
        if row.kind in (INSERT_CHILD, SET_CHILD) and container.kind in (LIST, None):
            return self.make(container, form.item_id(self.change.id, row.values[0], row.first))
        if row.kind & form.MAKES:
            require(container.depth < MAX_DEPTH, 'too deep')
        return Container(None, container.depth + 1)

    def find(self, id):
        """A container by its id, or one that has none because no known operation made it."""
        if isinstance(id, Container):
            return id
        container = self.document.containers.get(id)
        known = container and (id == ROOT or any(maker in self.version for maker in container.makers))
        require(known, 'a container that is not known in its past')
        return container

    def is_readable(self, container, kind):
        if kind not in form.KNOWN or container.kind is None:
            return False
        return not any(change in self.version for change in container.unknown)

    def row(self, id, container, row):
        kinds = dict.fromkeys(form.STARTS + form.ENDS, (TEXT,)) | {
                 DELETE: (TEXT, LIST), INSERT_TEXT: (TEXT,), PUT: (MAP,), CHILD: (MAP,), REMOVE: (MAP,), ADD: (COUNTER,),
                 PUT_OVER: (MAP,), REMOVE_OVER: (MAP,), OFFER: OFFERED + SETS, TAKE_OUT: (MEMBERS,)}
        require(container.kind in kinds.get(row.kind, (LIST,)), 'a container of another kind')
        if row.kind == ADD:
            container.adds.append(row.values[0])
            return None
        if container.kind in OFFERED:
            return self.offer_row(container, row)
        if container.kind in SETS:
            return self.set_row(container, row)
        if container.kind == MAP:
            return self.map_row(id, container, row)
        return self.sequence_row(container, row)

    def make(self, parent, id):
        container = self.document.containers.setdefault(id, Container(id[0], parent.depth + 1))
        require(container.depth <= MAX_DEPTH, 'too deep')
        container.makers.append(self.change.id)
        return id

    def write(self, row, at=0, **more):
        return Write(self.applied, row.first + at, **more)

    def offer_row(self, container, row):
        value = row.values[0]
        is_number = isinstance(value, (int, float, Time)) and not isinstance(value, bool) and value == value
        require(container.kind == FIRST or is_number, 'not a number')
        container.offers.append(self.write(row, value=value))

    def set_row(self, container, row):
        member = write(row.values[0])
        require(len(member) <= form.MAX_KEY, 'a member that is too long')
        written = self.write(row, value=REMOVED if row.kind == TAKE_OUT else None)
        container.members.setdefault(member, []).append(written)

    def map_row(self, id, map, row):
        key, made = row.values[0], None
        if row.kind in (PUT, PUT_OVER):
            written = self.write(row, priority=row.a, value=row.values[1], names=row.names)
        elif row.kind in (REMOVE, REMOVE_OVER):
            written = self.write(row, value=REMOVED, names=row.names)
        else:
            generation = row.values[1]
            generations = map.generations.setdefault(key, [])
            seen = [number for number, change in generations if change in self.version]
            require(not generation or generation in seen or generation - 1 in seen, 'a generation is passed over')
            generations.append((generation, self.change.id))
            made = self.make(map, form.child_id(id, row.a, generation, key))
            written = self.write(row, container=made)
        map.keys.setdefault(key, []).append(written)
        return made

    def sequence_row(self, container, row):
        sequence = container.sequence
        visible = sequence.visible(self.version)
        if row.kind == DELETE:
            require(row.a + row.length <= len(visible), 'deletes what is not there')
            for place in visible[row.a:row.a + row.length]:
                place.item.deletions.append(self.change.id)
            return None
        if row.kind in (SET, SET_OVER, SET_CHILD, MOVE):
            require(row.a < len(visible), 'an element that is not there')
            item = visible[row.a].item
        if row.kind == MOVE:
            require(row.values[0] <= len(visible), 'moves to where nothing is')
            sequence.insert(row.values[0], self.write(row), item, self.version)
            return None
        if row.kind in (SET, SET_OVER, SET_CHILD):
            return self.write_element(container, item, row)
        require(row.a <= len(visible), 'inserts where nothing is')
        if row.kind in form.STARTS + form.ENDS:
            sequence.insert(row.a, self.write(row), Item(anchor=row), self.version, side_of(row.kind))
            return None
        return self.insert(container, row)

    def write_element(self, list, item, row):
        if row.kind in (SET_CHILD, INSERT_CHILD):
            made = self.make(list, form.item_id(self.change.id, row.values[0], row.first))
            item.writes.append(self.write(row, container=made))
            return made
        item.writes.append(self.write(row, value=row.values[0], names=row.names))
        return None

    def insert(self, container, row):
        if row.kind == INSERT_CHILD:
            item = Item()
            container.sequence.insert(row.a, self.write(row), item, self.version)
            return self.write_element(container, item, row)
        for i in range(row.length):
            item, written = Item(row.text[i] if row.text else None), self.write(row, i)
            if row.kind == INSERT:
                written.value = row.values[i]
                item.writes.append(written)
            container.sequence.insert(row.a + i, written, item, self.version)
        return None
