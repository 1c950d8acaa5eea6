"""The history of a saved document ("Document", "history" and "gone" in docs/format.md): the changes, put together from its columns."""

import change as form
from change import Change, could_be_one
from columns import differences, keys, planes, scalars
from document import IDLE, LIMIT, PLAIN, Fields
from msgpack import Reader, need, write
from sequence import Item, Sequence
from state import Write, side_of

ONE, FORWARD, BACKWARD = 0, 1, 2  # how a stretch of deletions goes on
OTHER, WITHOUT_EFFECT = 5, 2048


KEY, SCALAR, NUMBER, AMOUNT = range(4)
SORTS = {  # of the values that an operation has; those of other kinds are scalars
    form.PUT: [KEY, SCALAR], form.CHILD: [KEY, NUMBER], form.REMOVE: [KEY], form.INSERT_CHILD: [NUMBER], form.SET_CHILD: [NUMBER],
    form.MOVE: [NUMBER], form.ADD: [AMOUNT], form.PUT_OVER: [KEY, SCALAR, SCALAR], form.REMOVE_OVER: [KEY, SCALAR],
}


class Made:
    """A change as the graph has it.  `id` is its number here: until the changes are put together they have no other name."""

    def __init__(self, id, actor, number, parents):
        self.id, self.actor, self.number, self.parents = id, actor, number, parents
        self.past, self.lamport, self.time = frozenset(), 0, 0
        self.first = self.length = 0  # its operations
        self.pieces = []


class Stretch:
    def __init__(self, code, length):
        self.code, self.length, self.lv, self.a = code, length, 0, 0
        rest = code - OTHER if code >= OTHER else 0
        self.idle, self.kind, self.way = rest >= WITHOUT_EFFECT, rest % WITHOUT_EFFECT // 4, rest % 4
        if code == 0:
            self.kind = form.INSERT_TEXT
        elif code < OTHER:
            self.way = [None, ONE, FORWARD, BACKWARD, ONE][code]
        need(self.kind < 128 and self.way < 3 and (self.kind == form.DELETE or not self.way), 'a code that does not occur')
        need(length > 0, 'an empty stretch')

    def counts_from_end(self):
        return self.code in (3, 4)


MOST = {form.INSERT: 64, form.PUT: 64, form.INSERT_TEXT: 1 << 20, form.DELETE: 1 << 20}  # a stretch of several changes


def longest(kind):
    return LIMIT if kind in (form.INSERT, form.INSERT_TEXT, form.DELETE) else MOST.get(kind, 1)


class Piece:
    """What one change has of a stretch, as a row of it."""

    def __init__(self, stretch, container, skip, length):
        self.kind, self.idle, self.container, self.length = stretch.kind, stretch.idle, container, length
        self.lv, self.a = stretch.lv + skip, stretch.a
        if self.kind in (form.INSERT, form.INSERT_TEXT):
            self.a += skip
        elif stretch.way == BACKWARD:
            self.a += stretch.length - skip - length
        elif self.kind != form.PUT and stretch.way == ONE:
            need(length == stretch.length, 'a row of two changes')
        self.text, self.values, self.made = '', [], None
        self.items = []  # of its characters, when they have places


class Graph:
    """Who made which changes on top of which others."""

    def __init__(self, saved, fields):
        self.saved, self.list = saved, []
        self.own = [[] for _ in saved.actors]  # of each actor its changes so far
        self.next = [0] * len(saved.actors)    # and its next number
        self.turns = []                        # the actors of the runs so far
        columns = [fields.numbers() for _ in range(6)]
        actors, counts, shapes, self.others, self.backs, below = map(list, columns)
        need(len(actors) == len(counts) == len(shapes), 'not one number for each run')
        need(bool(below) == bool(saved.flags & PLAIN) and len(below) in (0, len(actors)), 'not one number for each fork')
        for run in zip(actors, counts, shapes, below or [0] * len(actors)):
            self._run(*run)
        need(not self.others and not self.backs, 'parents are left over')
        need([len(own) for own in self.own] == saved.counts and self.next == saved.next_numbers, 'other actors than the state has')

    def _run(self, actor, count, shape, below):
        need(actor < len(self.own) and 0 < count <= self.saved.changes - len(self.list), 'a run that cannot be')
        parents = []
        if shape & 1:
            need(self.own[actor], 'no change to go on from')
            parents.append(self.own[actor][-1].id)
        need(shape // 2 <= form.MAX_PARENTS, 'too many parents')
        parents += [self._parent(actor) for _ in range(shape // 2)]
        need(len(set(parents)) == len(parents), 'a parent twice')
        need(below <= self.next[actor], 'a number below 0')
        number = self.next[actor] - below
        for i in range(count):
            self._add(Made(len(self.list), actor, number + i, parents if i == 0 else [len(self.list) - 1]))
        self.next[actor] = max(self.next[actor], number + count)
        self.turns.append(actor)

    def _parent(self, actor):
        need(self.others and self.backs, 'too few parents')
        coded = self.others.pop(0)
        if coded:
            other = coded - 1
        else:
            turns = [turn for turn in self.turns if turn != actor]
            need(turns, 'nobody else is there')
            other = turns[-1]
        need(other < len(self.own), 'an actor that is not there')
        back = self.backs.pop(0)
        need(back < len(self.own[other]), 'a change before the first')
        return self.own[other][-1 - back].id

    def _add(self, made):
        parents = [self.list[parent] for parent in made.parents]
        made.past = frozenset().union(*(parent.past | {parent.id} for parent in parents))
        made.lamport = 1 + max((parent.lamport for parent in parents), default=-1)
        self.list.append(made)
        self.own[made.actor].append(made)

    def lengths(self, fields):
        counts, lengths = fields.numbers(LIMIT), fields.numbers(LIMIT)
        need(len(counts) == len(lengths) and sum(counts) == len(self.list), 'not a length for each change')
        need(sum(x * y for x, y in zip(counts, lengths)) == self.saved.lvs and all(counts) and all(lengths), 'another number of operations')
        each, lv = [length for count, length in zip(counts, lengths) for _ in range(count)], 0
        for made, length in zip(self.list, each):
            made.first, made.length = lv, length
            lv += length

    def times(self, fields):
        steps, by = fields.numbers(LIMIT), fields.integers()
        need(len(steps) == len(by) and all(by) and all(steps[1:]), 'times that do not change')
        need(not steps or sum(steps) < len(self.list), 'a time after the last change')
        at = 0
        for step, difference in zip(steps, by):
            at += step
            for made in self.list[at:]:
                made.time += difference
        for made in self.list:
            made.time = (made.time + (1 << 63)) % (1 << 64) - (1 << 63)


class History:
    """`changes` are the changes of the document, in order."""

    def __init__(self, saved):
        self.saved = saved
        fields = Fields(saved.sections[2])
        self.graph = Graph(saved, fields)
        self.graph.lengths(fields)
        self.graph.times(fields)
        self._check_heads()
        owners, lengths = fields.numbers(), fields.numbers()
        need(len(owners) == len(lengths) and sum(lengths) == saved.lvs and all(lengths), 'not a length for each owner')
        need(all(owner < len(saved.containers) for owner in owners), 'a container that is not there')
        need(all(x != y for x, y in zip(owners, owners[1:])), 'an owner after itself')
        makers = fields.numbers(len(saved.containers))
        self.void = self._void(fields)
        logs = [self._log(container, fields) for container in saved.containers]
        self._cut(owners, lengths, logs)
        self._fill_values(fields)
        fields.end()
        self._fill_makers(makers)
        self._fill_text()
        self.changes = []
        for made in self.graph.list:
            self.changes.append(Change(saved.document, self._canonical(made)))
        self._check_ids()

    def _check_heads(self):
        made, inside = self.graph.list, {parent for x in self.graph.list for parent in x.parents}
        need([x.id for x in made if x.id not in inside] == [head.change for head in self.saved.heads], 'other heads')
        for head in self.saved.heads:
            x = made[head.change]
            there = x.first + x.length - 1, x.length, x.actor, x.number, x.lamport
            need(there == (head.last, head.length, head.actor, head.number, head.lamport), 'a head that is another change')

    def _check_ids(self):
        need(all(self.changes[head.change].id == head.id for head in self.saved.heads), 'heads of another name')

    def _void(self, fields):
        """The numbers of the void changes."""
        void, end = set(), 0
        for after, length in fields.groups(2):
            need(length and end + after + length <= self.saved.lvs, 'void operations that are not there')
            void.update(x.id for x in self.graph.list if end + after <= x.first < end + after + length)
            end += after + length
        return void

    # ---- Rows

    def _log(self, container, fields):
        codes, indexes, lengths = fields.numbers(), fields.numbers(), fields.numbers()
        need(len(codes) == len(indexes) == len(lengths) and sum(lengths) == container.operations, 'a log of another length')
        stretches = [Stretch(code, length) for code, length in zip(codes, lengths)]
        need(all(stretch.idle or stretch.length <= longest(stretch.kind) for stretch in stretches), 'a stretch that goes on too long')
        need(self.saved.flags & IDLE or not any(stretch.idle for stretch in stretches), 'operations without effect without the flag')
        return stretches, indexes

    def _cut(self, owners, lengths, logs):
        """Gives each stretch its operations and its index, and each change its rows."""
        lv, change = 0, 0
        places, cursors = [0] * len(logs), {}
        for owner, length in zip(owners, lengths):
            end = lv + length
            while lv < end:
                stretches, indexes = logs[owner]
                need(places[owner] < len(stretches), 'too few stretches')
                stretch, coded = stretches[places[owner]], indexes[places[owner]]
                places[owner] += 1
                stretch.lv = lv
                lv += stretch.length
                need(lv <= end, 'a stretch over the end of its operations')
                change = self._pieces(stretch, coded, owner, change, cursors)

    def _pieces(self, stretch, coded, owner, change, cursors):
        made = self.graph.list
        while made[change].first + made[change].length <= stretch.lv:
            change += 1
        place = made[change].actor, owner
        stretch.a = cursors.get(place, 0) + (-(coded + 1) // 2 if coded % 2 else coded // 2)
        if stretch.counts_from_end():
            stretch.a -= stretch.length
        need(0 <= stretch.a < 1 << 32, 'an index that cannot be')
        cursors[place] = stretch.a + (stretch.length if stretch.code == 0 else 0)
        ends = made[change].first + made[change].length
        need(stretch.length <= MOST.get(stretch.kind, LIMIT) or stretch.lv + stretch.length <= ends, 'a long stretch of several changes')
        skip = 0
        while skip < stretch.length:
            while made[change].first + made[change].length <= stretch.lv + skip:
                change += 1
            length = min(stretch.length - skip, made[change].first + made[change].length - stretch.lv - skip)
            if stretch.kind == form.PUT:
                length = 1  # each is a row
            made[change].pieces.append(Piece(stretch, owner, skip, length))
            skip += length
        return change

    def _all_pieces(self):
        return [(made, piece) for made in self.graph.list for piece in made.pieces]

    def _fill_values(self, fields):
        """Each sort of value is a column of its own; the slot of a scalar is that of the key before it."""
        sorts = [sort for _, piece in self._all_pieces() for sort in self._sorts(piece) * piece.length]
        names = self.saved.names + keys(fields)
        need(len(set(names)) == len(names), 'a key twice')
        numbers = planes(fields, sorts.count(KEY))
        need(all(number < len(names) for number in numbers), 'a key that is not there')
        need(set(range(len(self.saved.names), len(names))) <= set(numbers), 'a key that nobody uses')
        columns = {KEY: iter([names[number] for number in numbers])}
        columns[NUMBER] = iter(planes(fields, sorts.count(NUMBER)))
        columns[AMOUNT] = iter(differences(fields, [0] * sorts.count(AMOUNT)))
        slots, number = [], iter(numbers)
        for _, piece in self._all_pieces():
            for _ in range(piece.length):
                slot = 0
                for sort in self._sorts(piece):
                    if sort == KEY:
                        slot = next(number) + 1
                    elif sort == SCALAR:
                        slots.append(slot)
        columns[SCALAR] = iter(scalars(fields, slots))
        for _, piece in self._all_pieces():
            piece.values = [next(columns[sort]) for sort in self._sorts(piece) * piece.length]
        length = sum(len(write(value)) for _, piece in self._all_pieces() for value in piece.values)
        need(length == self.saved.values_bytes, 'values of another length')

    def _sorts(self, piece):
        return SORTS.get(piece.kind, [SCALAR] * (piece.kind & form.VALUES_OF))

    def _fill_makers(self, makers):
        makers, found = list(makers), set()
        for _, piece in self._all_pieces():
            if piece.kind & form.MAKES:
                need(makers, 'too few makers')
                piece.made = makers.pop(0)
                need(piece.made and self.saved.containers[piece.made].parent == piece.container, 'a child of another container')
                need(piece.idle or self._makes(piece), 'a child that is another')
                found.add(piece.made)
        need(not makers and len(found) == len(self.saved.containers) - 1, 'a container that nothing made')

    def _makes(self, piece):
        """Whether the child is the one that its row says; that of a list has an id that follows from its change."""
        made = self.saved.containers[piece.made]
        if piece.kind != form.CHILD:
            return made.kind == piece.values[0]
        key, generation = piece.values
        return made.kind == piece.a and made.id == form.child_id(self.saved.containers[piece.container].id, made.kind, generation, key)

    # ---- Text

    def _fill_text(self):
        gone = self.saved.sections[3]
        gone = iter(Reader(gone).string(len(gone)))
        is_plain = self.saved.flags & PLAIN
        if not is_plain:
            for number, container in enumerate(self.saved.containers):
                if container.kind == form.TEXT:
                    self._replay(number, container)
        for _, piece in self._all_pieces():
            if piece.kind & form.TAKES_TEXT:
                shown = [item.content for item in piece.items] or [None] * piece.length
                found = [next(gone, None) if character is None else character for character in shown]
                need(None not in found, 'too little text')
                piece.text = ''.join(found)
        need(next(gone, None) is None, 'text is left over')
        texts = [piece.text for _, piece in self._all_pieces() if piece.kind & form.TAKES_TEXT]
        need(sum(len(text.encode()) for text in texts) == self.saved.text_bytes, 'text of another length')

    def _replay(self, number, saved):
        """Finds out which of a text's characters are shown."""
        sequence = Sequence()
        for made, piece in self._all_pieces():
            if piece.container != number or piece.idle:
                continue
            version = made.past | {made.id}
            visible = sequence.visible(version)
            if piece.kind == form.DELETE:
                need(piece.a + piece.length <= len(visible), 'deletes what is not there')
                for place in visible[piece.a:piece.a + piece.length]:
                    place.item.deletions.append(made.id)
                continue
            if piece.kind in form.STARTS + form.ENDS and piece.a <= len(visible):
                item, written = Item(anchor=piece), Write(self._tie(made), piece.lv)
                sequence.insert(piece.a, written, item, version, side_of(piece.kind))
                continue
            need(piece.kind == form.INSERT_TEXT and piece.a <= len(visible), 'inserts where nothing is')
            for i in range(piece.length):
                piece.items.append(Item())
                sequence.insert(piece.a + i, Write(self._tie(made), piece.lv + i), piece.items[-1], version)
        self._place(sequence, saved)

    def _tie(self, made):
        """Actors are ordered by name."""
        tie = Made(made.id, self.saved.actors[made.actor], made.number, made.parents)
        tie.past, tie.lamport = made.past, made.lamport
        return tie

    def _place(self, sequence, saved):
        now = {made.id for made in self.graph.list} - self.void
        places = sequence.visible(now)
        anchors = [(at, place.item.anchor.lv, place.item.anchor.kind) for at, place in enumerate(places) if place.item.anchor]
        need(anchors == saved.anchors, 'other anchors')
        places = [place for place in places if not place.item.anchor]
        need(len(places) == len(saved.shown), 'a text that shows another number of characters')
        for place, character in zip(places, saved.shown):
            place.item.content = character

    # ---- Changes

    def _previous(self, made):
        changes = self.graph.list
        return [x for x in made.parents if changes[x].actor == made.actor and changes[x].number == made.number - 1]

    def _refs(self, made):
        """The actor's previous change first, if it is a parent; of two, in a fork, the one that is written first."""
        own = self._previous(made)[:1]
        others = sorted(self.changes[x].id for x in made.parents if x not in own)
        first = b''.join(self.changes[x].id for x in own)
        return first + b''.join(others) + (b'' if own else self.saved.actors[made.actor])

    def _canonical(self, made):
        rows = []
        for piece in made.pieces:
            rows.append(piece)
            need(len(rows) < 2 or not could_be_one(rows[-2], rows[-1]), 'two stretches that are one row')
        ids, children, names = [], {}, []
        for row in rows:
            if row.container in children:
                names.append((True, children[row.container]))
            else:
                id = self.saved.containers[row.container].id
                need(id, 'a container without an id')
                if id not in ids:
                    ids.append(id)
                names.append((False, ids.index(id)))
            if row.made is not None:
                made_before = sum(1 for other in rows[:len(names) - 1] if other.made is not None)
                children.setdefault(row.made, made_before)
        numbers = []
        for row, (is_child, name) in zip(rows, names):
            numbers += [row.kind + 128 * (name + len(ids) * is_child), row.a, row.length]
        tail = [b''.join(ids), numbers, ''.join(row.text for row in rows), [value for row in rows for value in row.values], made.time]
        while tail[-1] in ('', [], 0):
            tail.pop()
        return form.build(self._refs(made), made.number, tail)
