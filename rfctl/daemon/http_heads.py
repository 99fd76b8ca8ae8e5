"""The heads that clients send again and again: what was read out of such a head before is known by its bytes.

Nothing in a head but its bytes, its peer and the sources decides how it is served. So the same bytes need no second look.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.ingest.head import Head
from rfctl.sources.contract import ServedSource

_MOST, _MOST_SEEN = 512, 4096
_LARGEST = 1024
"""Bytes. Strangers decide which heads come: all that are kept together stay below ten megabytes."""


class Route(msgspec.Struct, eq=False):
    """A head that a source serves, with a body of `size` bytes. `can_stay` says whether its connection may.

    It counts as long as `sources` are those of the receiver.
    """

    served: ServedSource
    head: Head
    size: int
    can_stay: bool
    sources: Mapping[str, ServedSource]


class Heads:
    """The heads of one server. `routes` has them by their bytes, without the empty line.

    A head is kept when it comes for the second time: a signed one never does.
    """

    def __init__(self) -> None:
        self.routes: dict[bytes, Route] = {}
        self._seen: set[int] = set()

    def keep(self, raw: bytes, route: Route) -> None:
        """Keep what was read out of these bytes, unless they are many or new.

        They must not end before the empty line. A line that ends in LF alone is such a doubt: the parser decides then.
        """
        mark = hash(raw)
        if mark not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add(mark)
        elif len(raw) <= _LARGEST and raw.count(b"\n") == raw.count(b"\r\n") and raw.startswith(b"POST "):
            if len(self.routes) >= _MOST:
                self.routes.clear()
            self.routes[raw] = route
