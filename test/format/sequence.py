"""The order of a text or list: FugueMax (Weidner & Kleppmann, "The Art of the Fugue"), written as that paper's tree.

Naive on purpose: every operation walks the whole tree, and what is visible at a version is found by asking of each place whether the
changes that made, moved and deleted it are in that version.
"""


class Place:
    """A node of the tree: a scalar value of a text, or one of the places where a list element stands or stood."""

    def __init__(self, write, item):
        self.write = write          # the operation that made it
        self.item = item            # what stands here
        self.right_origin = None    # of a right child: what followed it when it was made; None is the end
        self.left, self.right = [], []


class Item:
    """A scalar value or a list element."""

    def __init__(self, content=None):
        self.content = content
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
        self.root = Place(None, None)

    def places(self):
        """All places in order: those left of a node, the node, those right of it."""
        found, stack = [], [(self.root, False)]
        while stack:
            place, is_left_done = stack.pop()
            if is_left_done:
                found.append(place)
                stack += [(child, False) for child in reversed(place.right)]
            else:
                stack.append((place, True))
                stack += [(child, False) for child in reversed(place.left)]
        found.remove(self.root)
        return found

    def visible(self, version):
        """The places of the items that are there, in order."""
        return [place for place in self.places() if place.item.place_at(version) is place]

    def insert(self, index, write, item, version):
        """Puts a new place of the item before visible place `index` of the version."""
        visible = self.visible(version)
        left = visible[index - 1] if index else self.root
        place = Place(write, item)
        in_version = [self.root] + [other for other in self.places() if other.write.change in version]
        at = next(i for i, other in enumerate(in_version) if other is left)
        place.right_origin = in_version[at + 1] if at + 1 < len(in_version) else None
        if any(child.write.change in version for child in left.right):
            place.right_origin.left.append(place)
            place.right_origin.left.sort(key=lambda child: child.write.tie())
        else:
            order = {id(other): i for i, other in enumerate(self.places())}
            order[id(None)] = len(order)
            left.right.append(place)
            left.right.sort(key=lambda child: (-order[id(child.right_origin)], child.write.tie()))
        item.places.append(place)
