"""The order of a text or list: FugueMax (Weidner & Kleppmann, "The Art of the Fugue"), written as that paper's tree.

Naive on purpose: every operation walks the whole tree, and what is visible at a version is found by asking of each place whether the
changes that made, moved and deleted it are in that version.
"""


PLAIN, CLOSING, OPENING = range(3)  # what an anchor keeps to: what is before it, or what is behind it


class Place:
    """A node of the tree: a scalar value of a text, or one of the places where a list element stands or stood."""

    def __init__(self, write, item, side=PLAIN):
        self.write = write          # the operation that made it
        self.item = item            # what stands here
        self.side = side
        self.parent, self.is_right = None, False
        self.right_origin = None    # of a right child: what followed it when it was made; None is the end
        self.left, self.right = [], []


class Item:
    """A scalar value, an anchor or a list element."""

    def __init__(self, content=None, anchor=None):
        self.content = content
        self.anchor = anchor # of an anchor: its row, or piece
        self.places = []    # one, and one more for each move
        self.writes = []    # of a list element: its register
        self.deletions = [] # the changes that deleted it

    def place_at(self, version):
        """Where the item stands: the highest of the moves in the version, the insertion being the lowest; None when it is not there."""
        if any(change in version for change in self.deletions):
            return None
        places = [place for place in self.places if place.write.change in version]
        return max(places, key=lambda place: place.write.rank()) if places else None


class Sequence:
    def __init__(self):
        self.root, self.end = Place(None, None), Place(None, None)

    def places(self):
        """All places in order: those left of a node, the node, those right of it; what hangs on the end comes last."""
        found, stack = [], [(self.end, False), (self.root, False)]
        while stack:
            place, is_left_done = stack.pop()
            if is_left_done:
                found.append(place)
                stack += [(child, False) for child in reversed(place.right)]
            else:
                stack.append((place, True))
                stack += [(child, False) for child in reversed(place.left)]
        found.remove(self.root)
        found.remove(self.end)
        return found

    def visible(self, version):
        """The places of the items that are there, in order."""
        return [place for place in self.places() if place.item.place_at(version) is place]

    def insert(self, index, write, item, version, side=PLAIN):
        """Puts a new place of the item before visible place `index` of the version."""
        visible = self.visible(version)
        left = visible[index - 1] if index else self.root
        place = Place(write, item, side)
        if side == CLOSING:
            self._hang(place, left, True)
        elif side == OPENING:
            self._hang(place, visible[index] if index < len(visible) else self.end, False)
        else:
            self._insert(place, left, version)
        item.places.append(place)

    def _insert(self, place, left, version):
        in_version = [self.root] + [other for other in self.places() if other.write.change in version] + [self.end]
        right = in_version[next(i for i, other in enumerate(in_version) if other is left) + 1]
        while left.side == CLOSING and not self._is_right_of(right, left):
            left = left.parent
        while right.side == OPENING:
            right = right.parent
        place.right_origin = right
        is_left = self._is_right_of(right, left)
        self._hang(place, right if is_left else left, not is_left)

    def _is_right_of(self, place, above):
        """Whether it is in what hangs on the right of the other."""
        while place.parent:
            if place.parent is above:
                return place.is_right
            place = place.parent
        return False

    def _hang(self, place, parent, is_right):
        place.parent, place.is_right = parent, is_right
        children = parent.right if is_right else parent.left
        children.append(place)
        anchors = sorted((child for child in children if child.side != PLAIN), key=lambda child: child.write.rank())
        others = [child for child in children if child.side == PLAIN]
        if is_right:
            order = {id(other): i for i, other in enumerate(self.places() + [self.end])}
            others.sort(key=lambda child: (-order[id(child.right_origin)], child.write.tie()))
            children[:] = anchors[::-1] + others
        else:
            others.sort(key=lambda child: child.write.tie())
            children[:] = others + anchors
