"""The heads that clients send again and again: what was read out of such a head before is known by its bytes.

Nothing in a head but its bytes, its peer and the sources decides how it is served. So the same bytes need no second look.

A provider's head is never the same: it has a signature, an id, a length. But its names are, and how long its values are.
So a head has a shape: all its bytes but the values that may differ. Such a value is plain, and so is whatever stands
in its place later: it has no byte that could end it, and no field of that name tells the parser anything. So a parser
would read a head of a known shape as it read the first one, with other values. A property test holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct

import msgspec

from rfctl.ingest.head import Head
from rfctl.sources.contract import ServedSource

_MOST, _MOST_SEEN, _MOST_ALIKE = 512, 4096, 4
_LARGEST = 1024
"""Bytes. Strangers decide which heads come: all that are kept together stay below ten megabytes."""
_LENGTH = b"content-length"
_STEADY = frozenset({
    b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade", b"expect", b"keep-alive", b"te", b"trailer",
    b"host", b"content-type", b"accept", b"accept-encoding", b"user-agent",
})  # fmt: skip
"""Fields whose value is a part of the shape: it tells the parser or us something, or a client never changes it."""
_PLAIN = bytes.maketrans(b"+/=-_.:", b"0000000")
"""Makes a letter or a digit of every byte that a plain value may have, and of no other one."""


class Route(msgspec.Struct, eq=False):
    """A head that a source serves, with a body of `size` bytes. `can_stay` says whether its connection may.

    It counts as long as `sources` are those of the receiver.
    """

    served: ServedSource
    head: Head
    size: int
    can_stay: bool
    sources: Mapping[str, ServedSource]


class Shape(msgspec.Struct, eq=False):
    """The shape of heads. `cut` gives the pieces of a head of this length, in turns fixed ones and values.

    `first` was parsed. `places` says which of its fields the values are of, and `length` which value is that of the body.
    """

    first: Route
    cut: Callable[[bytes], tuple[bytes, ...]]
    fixed: tuple[bytes, ...]
    places: tuple[int, ...]
    length: int

    def read(self, raw: bytes, peer: str) -> tuple[Head, int] | None:
        """Return a head and the length of its body; None when it has another shape."""
        pieces = self.cut(raw)
        values = pieces[1::2]
        if pieces[::2] != self.fixed or not _are_plain(values) or not values[self.length].isdigit():
            return None
        head = self.first.head
        fields = list(head.fields)
        for place, value in zip(self.places, values, strict=True):
            fields[place] = (fields[place][0], value)
        # By place: it is built for each message.
        other = Head(head.method, head.path, head.raw_path, head.query, head.version, fields, peer)
        return other, int(values[self.length])


class Heads:
    """The heads of one server. `routes` has them by their bytes, without the empty line.

    A head or a shape is kept when it comes for the second time.
    """

    def __init__(self) -> None:
        self.routes: dict[bytes, Route] = {}
        self._shapes: dict[int, list[Shape]] = {}
        """By the length of a head."""
        self._count = 0
        self._seen: set[int] = set()

    def keep(self, raw: bytes, route: Route) -> None:
        """Keep what was read out of these bytes, unless they are many or new.

        They must not end before the empty line. A line that ends in LF alone is such a doubt: the parser decides then.
        """
        if self._is_new(hash(raw)):
            return
        if len(raw) <= _LARGEST and raw.count(b"\n") == raw.count(b"\r\n") and raw.startswith(b"POST "):
            if len(self.routes) >= _MOST:
                self.routes.clear()
            self.routes[raw] = route

    def keep_shape(self, raw: bytes, route: Route) -> None:
        """Keep the shape of a head that was parsed, unless it is large, new, or not as plain as it has to be."""
        pieces = _cut_head(raw, route.head.fields) if len(raw) <= _LARGEST else None
        if pieces is None:
            return
        fixed, values = tuple(pieces[::2]), pieces[1::2]
        if self._is_new(hash((fixed, *map(len, values)))):
            return
        if self._count >= _MOST:
            self._shapes.clear()
            self._count = 0
        names = [name for name, _ in route.head.fields]
        places = tuple(place for place, field in enumerate(route.head.fields) if _may_differ(*field))
        cut = Struct("".join(f"{len(piece)}s" for piece in pieces)).unpack
        alike = self._shapes.setdefault(len(raw), [])
        alike.insert(0, Shape(route, cut, fixed, places, places.index(names.index(_LENGTH))))
        self._count += 1 - len(alike[_MOST_ALIKE:])
        del alike[_MOST_ALIKE:]

    def read(self, raw: bytes, peer: str) -> tuple[Shape, Head, int] | None:
        """Return what is in a head of a known shape: the shape, the head and the length of the body."""
        for shape in self._shapes.get(len(raw), ()):
            read = shape.read(raw, peer)
            if read is not None:
                return shape, *read
        return None

    def _is_new(self, mark: int) -> bool:
        if mark in self._seen:
            return False
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(mark)
        return True


def _cut_head(raw: bytes, fields: Sequence[tuple[bytes, bytes]]) -> list[bytes] | None:
    """Return the pieces of a head, in turns fixed ones and values that may differ.

    Returns None when its lines are not just the fields that the parser found, or its length is not named once.
    """
    first, *lines = raw.split(b"\r\n")
    names = [name for name, _ in fields]
    if not first.startswith(b"POST ") or len(lines) != len(fields) or names.count(_LENGTH) != 1:
        return None
    pieces = [first]
    for line, (name, value) in zip(lines, fields, strict=True):
        sent, _, rest = line.partition(b":")
        if sent.lower() != name or rest.strip(b" \t") != value:
            return None
        if _may_differ(name, value):
            before, _, behind = rest.partition(value)
            pieces[-1] += b"\r\n" + sent + b":" + before
            pieces += [value, behind]
        else:
            pieces[-1] += b"\r\n" + line
    return pieces


def _may_differ(name: bytes, value: bytes) -> bool:
    return value.isdigit() if name == _LENGTH else name not in _STEADY and _are_plain((value,))


def _are_plain(values: Sequence[bytes]) -> bool:
    return b"".join(values).translate(_PLAIN).isalnum()
