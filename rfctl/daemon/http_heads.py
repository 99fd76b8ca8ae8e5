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
    """The shape of heads, of which `first` was parsed.

    `cut` gives the pieces of a head of this length, in turns fixed ones and values. These values are those of the headers
    in `differing`; `length` says which one is that of the body. `headers` are those of the first head.
    """

    first: Route
    cut: Callable[[bytes], tuple[bytes, ...]]
    fixed: tuple[bytes, ...]
    differing: tuple[str, ...]
    length: int
    headers: dict[str, bytes]

    def read(self, raw: bytes, size: int, peer: str) -> Head | None:
        """Return a head before a body of this size, or None: then it has another shape, or another size."""
        pieces = self.cut(raw)
        values = pieces[1::2]
        digits = values[self.length]
        if pieces[::2] != self.fixed or not (_are_plain(values) and digits.isdigit() and int(digits) == size):
            return None
        headers, head = self.headers.copy(), self.first.head
        headers.update(zip(self.differing, values, strict=True))
        # By place: it is built for each message.
        return Head(head.method, head.path, head.raw_path, head.query, head.version, (), peer, headers)


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
        """Keep the shape of a head that was parsed, unless it is large, new, or not as plain as it has to be.

        Its source has to verify every request. Without a secret the values of a head decide who is let in.
        """
        is_fit = route.served.verified and len(raw) <= _LARGEST
        pieces = _cut_head(raw, route.head.fields) if is_fit else None
        if pieces is None:
            return
        if self._is_new(hash((tuple(pieces[::2]), *map(len, pieces)))):
            return
        if self._count >= _MOST:
            self._shapes.clear()
            self._count = 0
        alike = self._shapes.setdefault(len(raw), [])
        alike.insert(0, _build_shape(route, pieces))
        self._count += 1 - len(alike[_MOST_ALIKE:])
        del alike[_MOST_ALIKE:]

    def find_alike(self, raw: bytes) -> Sequence[Shape]:
        """Return the shapes that a head of this length may have."""
        return self._shapes.get(len(raw), ())

    def _is_new(self, mark: int) -> bool:
        if mark in self._seen:
            return False
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(mark)
        return True


def _cut_head(raw: bytes, fields: Sequence[tuple[bytes, bytes]]) -> list[bytes] | None:
    """Return the pieces of a head, in turns fixed ones and values that may differ.

    Returns None when its lines are not just the fields that the parser found, or one of them comes twice.
    """
    first, *lines = raw.split(b"\r\n")
    names = [name for name, _ in fields]
    if not first.startswith(b"POST ") or len(lines) != len(fields) or _LENGTH not in names:
        return None
    if len(set(names)) < len(names):  # which of them counts is not for a shape to say
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


def _build_shape(route: Route, pieces: Sequence[bytes]) -> Shape:
    cut = Struct("".join(f"{len(piece)}s" for piece in pieces)).unpack
    differing = tuple(name.decode("latin-1") for name, value in route.head.fields if _may_differ(name, value))
    headers = dict(route.head.build_request(b"").headers)
    return Shape(route, cut, tuple(pieces[::2]), differing, differing.index(_LENGTH.decode()), headers)


def _may_differ(name: bytes, value: bytes) -> bool:
    return value.isdigit() if name == _LENGTH else name not in _STEADY and _are_plain((value,))


def _are_plain(values: Sequence[bytes]) -> bool:
    return b"".join(values).translate(_PLAIN).isalnum()
