"""Whether a saved document is the one that its changes make: its state is compared with the naive replay."""

from change import COUNTER, FIRST, LIST, MAP, OFFERED, SETS, STARTS, TEXT
from delta import Newer
from document import IDLE, Saved
from history import History
from msgpack import FormatError, need, write
from state import Document, live, shown


def replayed(saved, history):
    document = Document(saved.document)
    for change in history.changes:
        document.add(change)
    need(len(document.accepted) == len(history.changes), 'a change that is not valid')
    return document


def writes_of(saved, history, writes):
    """What a register in the state says, in the words of the replay."""
    found = []
    for x in writes:
        made = next(made for made in history.graph.list if made.first <= x.lv < made.first + made.length)
        child = saved.containers[x.child].id if x.child else None
        found.append((history.changes[made.id].id, x.lv - made.first, x.priority, child, None if child else write(x.value)))
    return found


def map_of(saved, history, container):
    return {key: (generation, writes_of(saved, history, writes)) for key, (generation, writes) in container.keys.items()}


def replayed_writes(writes):
    return [(x.change, x.index, x.priority, x.container, None if x.container else write(x.value)) for x in live(writes)]


def replayed_map(container):
    keys = {}
    for key in sorted([*container.keys, *container.generations], key=str.encode):
        writes = replayed_writes(container.keys.get(key, []))
        generation = 1 + max((number for number, _ in container.generations.get(key, [])), default=-1)
        if writes or generation:
            keys[key] = generation, writes
    return keys


def place(saved, history, lv):
    """An operation: its change and its index."""
    made = next(made for made in history.graph.list if made.first <= lv < made.first + made.length)
    return history.changes[made.id].id, lv - made.first


def check_offers(saved, history, container, there):
    found = [(place(saved, history, lv) if lv is not None else None, write(value)) for lv, value in container.offers]
    expected = [((x.change, x.index) if container.kind == FIRST else None, write(x.value)) for x in shown(container.kind, there.offers)]
    need(found == expected, 'another offer')


def check_marks(saved, history, container, places):
    anchors = [(at, x.write.change, x.write.index, x.item.anchor.kind) for at, x in enumerate(places) if x.item.anchor]
    need([(at, *place(saved, history, lv), kind) for at, lv, kind in container.anchors] == anchors, 'other anchors')
    there = {(x.write.change, x.write.index): x for x in places}
    marks = [x for (change, index), x in there.items()
             if x.item.anchor and x.item.anchor.kind in STARTS and (change, index + 1) in there]
    marks = [(x.write.change, x.write.index, *map(write, x.item.anchor.values)) for x in sorted(marks, key=lambda x: x.write.rank())]
    need([(*place(saved, history, lv), write(key), write(value)) for lv, key, value in container.marks] == marks, 'other marks')


def check_members(saved, history, container, there):
    found = {member: [place(saved, history, lv) for lv in lvs] for member, lvs in container.members.items()}
    members = {member: [(x.change, x.index) for x in live(writes)] for member, writes in sorted(there.members.items()) if live(writes)}
    need(list(found.items()) == list(members.items()), 'other members')


def check_state(saved, history, document):
    """Maps, lists, texts and counters, one by one."""
    for container in saved.containers:
        need(not container.id or container.id in document.containers, 'a container that nothing makes')
        there = document.containers.get(container.id)
        if container.kind == TEXT and there:
            places = there.sequence.visible(document.applied)
            text = ''.join(place.item.content for place in places if not place.item.anchor)
            need(container.shown == text, 'a text that shows something else')
            check_marks(saved, history, container, places)
        elif container.kind == COUNTER and there:
            need((container.sum - sum(there.adds)) % (1 << 64) == 0, 'another sum')
        elif container.kind in OFFERED and there:
            check_offers(saved, history, container, there)
        elif container.kind in SETS and there:
            check_members(saved, history, container, there)
        elif container.kind == LIST and there:
            elements = [replayed_writes(place.item.writes) for place in there.sequence.visible(document.applied)]
            need([writes_of(saved, history, writes) for writes in container.elements] == elements, 'a list that shows something else')
        elif container.kind == MAP and there:
            keys = map_of(saved, history, container)
            need(list(keys.items()) == list(replayed_map(there).items()), 'a map of other registers')
    ids = {container.id for container in saved.containers if container.id}
    need(ids == set(document.containers), 'other containers')
    unknown = any(container.unknown for container in document.containers.values())
    need(not unknown or saved.flags & IDLE, 'unknown operations without the flag')


def open(file):
    """The document that a file says.  FormatError, Newer."""
    saved = Saved(file)
    history = History(saved)
    document = replayed(saved, history)
    check_state(saved, history, document)
    return document


def difference(file, document):
    """Nothing, or how a file differs from a document."""
    try:
        found = open(file)
    except (FormatError, Newer) as error:
        return f'{type(error).__name__}: {error}'
    if found.id != document.id or set(found.applied) != set(document.applied):
        return 'other changes'
    return None if found.hash() == document.hash() else 'another hash'
